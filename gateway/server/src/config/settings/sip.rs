//! Keys of SIP sockets, and of what the gateway is to other SIP servers.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{super::human, ChallengeSettings, Secret, TrustSettings, one_or_more};

/// `[sip]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SipSettings {
    /// Addresses listened on, `transport:address:port`. Default UDP and TCP on 127.0.0.1:5060.
    #[serde(deserialize_with = "one_or_more")]
    pub listen: Vec<String>,
    /// `host[:port]` that peers reach us by. Default: the listen address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// SIP URI that requests outside a dialog are sent through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_proxy: Option<String>,
    /// RFC 3261 T1. Default 500 ms.
    #[serde(with = "human::duration")]
    pub t1: Duration,
    /// How often peers we have connected to are asked whether they are there (RFC 5626); zero: never. Default 2 min.
    #[serde(with = "human::duration")]
    pub keep_alive: Duration,
    /// Who is believed.
    pub trust: TrustSettings,
    /// Who is asked for a password.
    pub challenge: ChallengeSettings,
    /// What challenges are answered with.
    pub credentials: CredentialSettings,
    /// Where the gateway registers itself.
    pub register: RegisterSettings,
}

impl Default for SipSettings {
    fn default() -> Self {
        Self {
            listen: vec!["udp:127.0.0.1:5060".to_owned(), "tcp:127.0.0.1:5060".to_owned()],
            advertise: None,
            outbound_proxy: None,
            t1: Duration::from_millis(500),
            keep_alive: Duration::from_secs(120),
            trust: TrustSettings::default(),
            challenge: ChallengeSettings::default(),
            credentials: CredentialSettings::default(),
            register: RegisterSettings::default(),
        }
    }
}

/// `[sip.credentials]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialSettings {
    /// The only realm whose challenges are answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// User name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password; this or `password_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A file with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

/// `[sip.register]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegisterSettings {
    /// SIP URI of the registrar; without it nothing is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrar: Option<String>,
    /// SIP URI that is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// For how long at a time. Default 1 h.
    #[serde(with = "human::duration")]
    pub expires: Duration,
}

impl Default for RegisterSettings {
    fn default() -> Self {
        Self {
            registrar: None,
            address: None,
            expires: Duration::from_secs(3600),
        }
    }
}
