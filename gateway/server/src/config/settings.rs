//! The file's keys as they are written, with their defaults. Every type refuses keys it does not know.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use self::machines::{Occupants, Outage, Texts};
use super::human;

mod access;
mod components;
mod limits;
mod machines;
mod msrp;
mod rooms;
mod security;
mod sip;

pub use self::{
    access::{AccessSettings, AdminSettings, RoutingSettings},
    components::{ConferenceSettings, UserSettings, XmppSettings},
    limits::{ConnectionLimits, LimitSettings},
    msrp::{MsrpSettings, MsrpTls},
    rooms::{EnteringSettings, PasswordSettings, RoomSettings},
    security::{ChallengeSettings, TlsSettings, TrustSettings},
    sip::{CredentialSettings, RegisterSettings, SipSettings},
};

/// What a secret is shown as.
pub const REDACTED: &str = "<redacted>";

/// The whole file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The link to the XMPP server.
    pub xmpp: XmppSettings,
    /// SIP sockets.
    pub sip: SipSettings,
    /// Certificates.
    pub tls: TlsSettings,
    /// MSRP sockets.
    pub msrp: MsrpSettings,
    /// How SIP users enter rooms.
    pub entering: EnteringSettings,
    /// Who may use the gateway.
    pub access: AccessSettings,
    /// Who may give commands.
    pub admin: AdminSettings,
    /// Whose other domains are.
    pub routing: RoutingSettings,
    /// How our users' occupants behave in their rooms.
    #[serde(with = "Occupants")]
    pub occupants: mapping::Occupants,
    /// What else than plain texts SIP users are shown.
    #[serde(with = "Texts")]
    pub texts: mapping::Texts,
    /// What SIP users see of a room that is out of reach.
    #[serde(with = "Outage")]
    pub outage: mapping::Outage,
    /// What outlives the gateway.
    pub state: StateSettings,
    /// Host look-ups.
    pub dns: DnsSettings,
    /// The log.
    pub log: LogSettings,
    /// Conference domains.
    pub rooms: Vec<RoomSettings>,
    /// Rooms with a password.
    pub passwords: Vec<PasswordSettings>,
    /// Further domains of SIP users.
    pub users: Vec<UserSettings>,
    /// SIP conferences for XMPP users.
    pub conferences: Vec<ConferenceSettings>,
    /// Bounds and deadlines.
    pub limits: LimitSettings,
}

/// `[state]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateSettings {
    /// The directory for what outlives the gateway. Default: nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
}

/// `[dns]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsSettings {
    /// Name servers, `address[:port]`. Default: the system's.
    #[serde(deserialize_with = "one_or_more")]
    pub servers: Vec<String>,
    /// How long one look-up may take in all. Default 8 s.
    #[serde(with = "human::duration")]
    pub deadline: Duration,
    /// How long an earlier answer may stand in for name servers that give none; zero: never. Default 24 h.
    #[serde(with = "human::duration")]
    pub stale: Duration,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            deadline: Duration::from_secs(8),
            stale: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// For people or for machines. Default pretty.
    pub format: LogFormat,
    /// Level, also per module: `info`, `info,sip=debug`. Default info.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Pretty,
            level: "info".to_owned(),
        }
    }
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text per event.
    Pretty,
    /// One JSON object per event.
    Json,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// A list, or one text with its entries separated by commas, as an environment variable writes it most easily.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMore;
    impl<'de> de::Visitor<'de> for OneOrMore {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(text.split(',').map(|entry| entry.trim().to_owned()).collect())
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = list.next_element()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    deserializer.deserialize_any(OneOrMore)
}

/// `#[serde(with = …)]` for what [`one_or_more`] reads.
mod list {
    use serde::{Serialize, Serializer};

    pub(super) use super::one_or_more as deserialize;

    pub(super) fn serialize<S: Serializer>(list: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        list.serialize(serializer)
    }
}
