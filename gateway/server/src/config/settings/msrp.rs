//! Keys of MSRP sockets.

use serde::{Deserialize, Serialize};

use super::{super::human, one_or_more};

/// `[msrp]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MsrpSettings {
    /// Addresses listened on, `address:port`, or `tls:address:port`. Default 127.0.0.1:2855.
    #[serde(deserialize_with = "one_or_more")]
    pub listen: Vec<String>,
    /// What TLS is to those who could do without. Default accepted.
    pub tls: MsrpTls,
    /// Whether connections are opened to clients that want that. Default true.
    #[serde(with = "human::switch")]
    pub connect: bool,
    /// `host[:port]`, or `tls:host[:port]`, that peers reach us by. Default: the listen addresses.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub advertise: Vec<String>,
}

impl Default for MsrpSettings {
    fn default() -> Self {
        Self {
            listen: vec!["127.0.0.1:2855".to_owned()],
            tls: MsrpTls::Accepted,
            connect: true,
            advertise: Vec::new(),
        }
    }
}

/// `msrp.tls`, where TLS is listened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MsrpTls {
    /// Whoever offers it gets it; we offer plain TCP.
    Accepted,
    /// We offer it; whoever offers plain TCP gets that.
    Offered,
    /// There is nothing else.
    Required,
}
