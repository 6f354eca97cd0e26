//! Session descriptions with MSRP media (RFC 4566, RFC 3264, RFC 4975 §8), over `sdp-types`.

/// A parsed session description.
#[derive(Debug, Clone)]
pub struct Session {
    _inner: (),
}

/// One media description, by its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// `message`, `audio`, ….
    pub kind: String,
    /// 0 = refused.
    pub port: u16,
    /// `TCP/MSRP`, `TCP/TLS/MSRP`, ….
    pub protocol: String,
    /// Address of the media's or the session's `c=` line.
    pub address: Option<String>,
    /// Attributes: name and value.
    pub attributes: Vec<(String, Option<String>)>,
}

impl Media {
    /// An attribute's value (`Some("")` if it has none).
    #[must_use]
    pub fn attribute(&self, _name: &str) -> Option<&str> {
        todo!()
    }
}

/// Why a body is no usable session description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a session description: {0}")]
pub struct SdpFault(pub &'static str);

/// The media line of ours in an offer or answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Our host, for `c=` and `o=`: an address or a name.
    pub host: String,
    /// Our port.
    pub port: u16,
    /// `TCP/MSRP`.
    pub protocol: &'static str,
    /// Attributes in order.
    pub attributes: Vec<(&'static str, Option<String>)>,
}

impl Session {
    /// Reads a body of at most 16 KiB, 16 media, 256 attributes.
    ///
    /// # Errors
    /// Over a limit, or no session description.
    pub fn parse(_body: &[u8]) -> Result<Self, SdpFault> {
        todo!()
    }
    /// The media descriptions in order.
    #[must_use]
    pub fn media(&self) -> Vec<Media> {
        todo!()
    }
    /// An answer to this offer that takes the media at `index` as `line` and refuses all others with port 0 (RFC 3264 §6).
    /// `id` and `version` fill the `o=` line.
    #[must_use]
    pub fn answer(&self, _index: usize, _line: &Line, _id: u64, _version: u64) -> Vec<u8> {
        todo!()
    }
    /// An offer with one media line.
    #[must_use]
    pub fn offer(_line: &Line, _id: u64, _version: u64) -> Vec<u8> {
        todo!()
    }
}
