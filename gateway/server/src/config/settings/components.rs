//! Keys of the domains that are components, and of their links.

use std::{path::PathBuf, time::Duration};

use mapping::AddressForm;
use serde::{Deserialize, Serialize};

use super::{super::human, Secret, one_or_more};

/// `[xmpp]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct XmppSettings {
    /// `host:port` of the server's component listener; several are tried in turn. Default `127.0.0.1:5347`.
    #[serde(deserialize_with = "one_or_more")]
    pub server: Vec<String>,
    /// Whether it speaks TLS from the first octet. Default false.
    #[serde(with = "human::switch")]
    pub tls: bool,
    /// Whom its certificate must name. Default: the host of `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_name: Option<String>,
    /// A file with the certificates that it must lead to. Default: the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_anchors: Option<PathBuf>,
    /// The component's domain. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Form of the addresses under it. Default native.
    #[serde(with = "Form")]
    pub form: AddressForm,
    /// The shared secret; this or `secret_file` is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// A file with the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// How long connect and handshake may take. Default 10 s.
    #[serde(with = "human::duration")]
    pub handshake: Duration,
    /// Silence after which the server is pinged. Default 30 s.
    #[serde(with = "human::duration")]
    pub idle: Duration,
    /// How long a ping may go unanswered. Default 10 s.
    #[serde(with = "human::duration")]
    pub ping: Duration,
    /// The longest wait between two attempts while the server is out of reach. Default 2 s.
    #[serde(with = "human::duration")]
    pub retry: Duration,
    /// What to do when another connection takes the domain over. Default retry.
    #[serde(with = "Takeover")]
    pub conflict: xmpp::ConflictRule,
}

impl Default for XmppSettings {
    fn default() -> Self {
        Self {
            server: vec!["127.0.0.1:5347".to_owned()],
            tls: false,
            tls_name: None,
            tls_anchors: None,
            domain: None,
            form: AddressForm::Native,
            secret: None,
            secret_file: None,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            ping: Duration::from_secs(10),
            retry: Duration::from_secs(2),
            conflict: xmpp::ConflictRule::Retry,
        }
    }
}

/// One `[[users]]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserSettings {
    /// The component's domain. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Form of the addresses under it. Default native.
    #[serde(with = "Form")]
    pub form: AddressForm,
    /// `host:port` of the server's component listener. Default `xmpp.server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The shared secret; this or `secret_file`. Default that of `[xmpp]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// A file with the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
}

impl Default for UserSettings {
    fn default() -> Self {
        Self {
            domain: None,
            form: AddressForm::Native,
            server: None,
            secret: None,
            secret_file: None,
        }
    }
}

/// One `[[conferences]]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConferenceSettings {
    /// The component's domain. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muc: Option<String>,
    /// Host of the conference URIs. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<String>,
    /// `host:port` of the server's component listener. Default `xmpp.server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The shared secret; this or `secret_file`. Default that of `[xmpp]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// A file with the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AddressForm", rename_all = "lowercase")]
enum Form {
    Native,
    Hosted,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "xmpp::ConflictRule", rename_all = "lowercase")]
enum Takeover {
    Retry,
    Stop,
}
