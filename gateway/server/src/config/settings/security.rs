//! Keys that say who is believed and how peers are known.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{super::human, one_or_more};
use crate::tls::ClientCertificates;

/// `[tls]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// Certificate chain, PEM. Needed to listen with TLS, for SIP or MSRP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// What is shown to peers we connect to. Default `certificate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<PathBuf>,
    /// Its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
    /// Certificates that peers' certificates must lead to, PEM. Default: the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_anchors: Option<PathBuf>,
    /// Whether who connects for SIP must show a certificate. Default optional.
    #[serde(with = "Asked")]
    pub client_certificates: ClientCertificates,
    /// How often the files are looked at for changes; zero: at SIGHUP only. Default 1 min.
    #[serde(with = "human::duration")]
    pub check: Duration,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            client_certificate: None,
            client_key: None,
            trust_anchors: None,
            client_certificates: ClientCertificates::Optional,
            check: Duration::from_secs(60),
        }
    }
}

/// `[sip.trust]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrustSettings {
    /// Addresses, networks, and names in verified certificates. Default none.
    #[serde(deserialize_with = "one_or_more")]
    pub peers: Vec<String>,
    /// What becomes of requests of others. Default serve.
    #[serde(with = "Others")]
    pub others: sip::Unlisted,
}

/// `[sip.challenge]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChallengeSettings {
    /// The realm, which is the users' domain; without it nobody is asked for a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// The file with the users and their secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<PathBuf>,
    /// How long a nonce may be answered. Default 5 min.
    #[serde(with = "human::duration")]
    pub nonce: Duration,
    /// Nonces in use whose counts are remembered. Default 10 000.
    #[serde(with = "human::count")]
    pub nonces: usize,
}

impl Default for ChallengeSettings {
    fn default() -> Self {
        let limits = sip::digest::AuthorityLimits::default();
        Self {
            realm: None,
            users: None,
            nonce: limits.lifetime,
            nonces: limits.nonces,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ClientCertificates", rename_all = "lowercase")]
enum Asked {
    None,
    Optional,
    Required,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "sip::Unlisted", rename_all = "lowercase")]
enum Others {
    Serve,
    Refuse,
    Ignore,
}
