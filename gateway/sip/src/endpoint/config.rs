//! Settings and bounds.

use std::time::Duration;

use super::flow::Transport;
use crate::message::Uri;

/// Settings of an endpoint.
#[derive(Debug, Clone)]
pub struct Config {
    /// What we call ourselves in Via and Contact, per transport we listen on. At least one.
    pub local: Vec<LocalAddress>,
    /// Where requests outside a dialog go first, if set: becomes a Route header (`sip:host:port;transport=tcp;lr`).
    pub outbound_proxy: Option<Uri>,
    /// User-Agent and Server header.
    pub product: String,
    /// Bounds.
    pub limits: Limits,
    /// RFC 3261 T1, 1 ms to 60 s (others are brought into that range). Default 500 ms.
    pub t1: Duration,
}

/// An advertised address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalAddress {
    /// Transport.
    pub transport: Transport,
    /// Host name or address that peers reach us by.
    pub host: String,
    /// Port that peers reach us by.
    pub port: u16,
}

/// Bounds of the endpoint and of stream framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a message. Default 64 KiB.
    pub message: usize,
    /// Octets of the start line and header fields. Default 16 KiB.
    pub head: usize,
    /// Octets of one header line. Default 4 KiB.
    pub header_line: usize,
    /// Header lines. Default 128.
    pub headers: usize,
    /// Via header values. Default 32.
    pub vias: usize,
    /// Server transactions held; beyond it new requests get 503 with Retry-After (BYE and CANCEL only beyond nine eighths of it).
    /// Default 20 000.
    pub transactions: usize,
    /// Dialogs held; beyond it INVITE, SUBSCRIBE and REFER get 503 with Retry-After, and the owner's own are refused with a local 503.
    /// Default 10 000.
    pub dialogs: usize,
    /// Subscription lifetimes granted: shorter ones get 423, longer ones are cut. Default 60 s to 3600 s.
    pub subscription: (Duration, Duration),
    /// Session intervals (RFC 4028): a shorter one asked for gets 422, a longer one is cut. The longest is asked for in INVITEs of ours and
    /// of peers that know session timers. Default 90 s to 1800 s.
    pub session: (Duration, Duration),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 64 * 1024,
            head: 16 * 1024,
            header_line: 4 * 1024,
            headers: 128,
            vias: 32,
            transactions: 20_000,
            dialogs: 10_000,
            subscription: (Duration::from_secs(60), Duration::from_secs(3600)),
            session: (Duration::from_secs(90), Duration::from_secs(1800)),
        }
    }
}
