//! Keys of the rooms, and of how they are entered.

use std::path::PathBuf;

use mapping::{AnswerRule, ConflictRule, CreationRule, NamingRule};
use serde::{Deserialize, Serialize};

use super::{super::human, Secret};

/// One `[[rooms]]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomSettings {
    /// Host of the conference URIs. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<String>,
    /// The MUC service. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muc: Option<String>,
}

/// One `[[passwords]]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordSettings {
    /// Address of the room in XMPP. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Its password; this or `password_file` is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A file with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Whether callers are asked for it; else all are let in with it. Default true.
    #[serde(with = "human::switch")]
    pub ask: bool,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self {
            room: None,
            password: None,
            password_file: None,
            ask: true,
        }
    }
}

/// `[entering]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnteringSettings {
    /// When an INVITE is answered. Default when admitted.
    #[serde(with = "Answer")]
    pub answer: AnswerRule,
    /// History stanzas asked for. Default 0.
    #[serde(with = "human::count")]
    pub history: u32,
    /// Under which nickname a room is entered. Default provisional.
    #[serde(with = "Naming")]
    pub naming: NamingRule,
    /// Whether a user is told of a nickname that he does not expect. Default true.
    #[serde(with = "human::switch")]
    pub tell_nickname: bool,
    /// What becomes of a room that a call creates. Default accept-default.
    #[serde(with = "Creation")]
    pub create: CreationRule,
    /// What becomes of an XMPP user whose nickname is taken in a SIP conference. Default refused.
    #[serde(with = "Conflict")]
    pub conflict: ConflictRule,
}

impl Default for EnteringSettings {
    fn default() -> Self {
        Self {
            answer: AnswerRule::WhenAdmitted,
            history: 0,
            naming: NamingRule::Provisional,
            tell_nickname: true,
            create: CreationRule::AcceptDefault,
            conflict: ConflictRule::Refuse,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AnswerRule", rename_all = "kebab-case")]
enum Answer {
    WhenAdmitted,
    AtOnce,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NamingRule", rename_all = "kebab-case")]
enum Naming {
    Provisional,
    Requested,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CreationRule", rename_all = "kebab-case")]
enum Creation {
    AcceptDefault,
    Refuse,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ConflictRule", rename_all = "kebab-case")]
enum Conflict {
    Refuse,
    Vary,
}
