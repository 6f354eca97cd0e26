//! Keys that say who may use the gateway, and whose domains are.

use mapping::RouteRule;
use serde::{Deserialize, Serialize};

use super::{super::human, list, one_or_more};

/// `[access]`: patterns of addresses and domains.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    /// Whether SIP users may hide who they are. Default true.
    #[serde(with = "human::switch")]
    pub anonymous: bool,
    /// If any: only these SIP users may use the gateway.
    #[serde(with = "list")]
    pub allow_callers: Vec<String>,
    /// These SIP users may not.
    #[serde(with = "list")]
    pub deny_callers: Vec<String>,
    /// If any: only these XMPP users may invite and be invited.
    #[serde(with = "list")]
    pub allow_xmpp_users: Vec<String>,
    /// These XMPP users may not.
    #[serde(with = "list")]
    pub deny_xmpp_users: Vec<String>,
    /// If any: only these rooms may be entered.
    #[serde(with = "list")]
    pub allow_rooms: Vec<String>,
    /// These rooms may not.
    #[serde(with = "list")]
    pub deny_rooms: Vec<String>,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            anonymous: true,
            allow_callers: Vec::new(),
            deny_callers: Vec::new(),
            allow_xmpp_users: Vec::new(),
            deny_xmpp_users: Vec::new(),
            allow_rooms: Vec::new(),
            deny_rooms: Vec::new(),
        }
    }
}

/// `[admin]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Addresses of administrators in XMPP, without resources. Default none.
    #[serde(deserialize_with = "one_or_more")]
    pub jids: Vec<String>,
}

/// `[routing]`: whose domains are that are neither components nor conference domains.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingSettings {
    /// Domains of SIP users.
    #[serde(with = "list")]
    pub sip: Vec<String>,
    /// Domains of XMPP users.
    #[serde(with = "list")]
    pub xmpp: Vec<String>,
    /// Whose all others are. Default XMPP.
    #[serde(with = "Route")]
    pub otherwise: RouteRule,
    /// The SIP domain of telephone numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<String>,
}

impl Default for RoutingSettings {
    fn default() -> Self {
        Self {
            sip: Vec::new(),
            xmpp: Vec::new(),
            otherwise: RouteRule::Xmpp,
            numbers: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RouteRule", rename_all = "kebab-case")]
enum Route {
    Xmpp,
    Sip,
    Dns,
}
