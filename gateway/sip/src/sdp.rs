//! Session descriptions with MSRP media (RFC 4566, RFC 3264, RFC 4975 §8), over `sdp-types`.

use std::net::{IpAddr, Ipv6Addr};

use sdp_types::{AddrType, Attribute, Connection, NetType, Origin, Time};

/// Octets of a body that is read.
const MAX_BODY: usize = 16 * 1024;
/// Media descriptions.
const MAX_MEDIA: usize = 16;
/// Attributes in all.
const MAX_ATTRIBUTES: usize = 256;

/// A parsed session description.
#[derive(Debug, Clone)]
pub struct Session {
    inner: sdp_types::Session,
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
    /// An attribute's value (`Some("")` if it has none). Names with case, as RFC 4566 §5.13 has them.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// The values of an attribute that may be there several times.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.attributes.iter().filter(move |(written, _)| written == name);
        named.map(|(_, value)| value.as_deref().unwrap_or_default())
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
    /// Reads a body of at most 16 KiB, 16 media, 256 attributes. Missing `s=`, `t=` and `c=` lines and line ends without CR are
    /// tolerated, as peers have them.
    ///
    /// # Errors
    /// Over a limit, or no session description.
    pub fn parse(body: &[u8]) -> Result<Self, SdpFault> {
        if body.len() > MAX_BODY {
            return Err(SdpFault("over 16 KiB"));
        }
        // The parser fills in an origin of its own.
        if !body
            .split(|octet| *octet == b'\n')
            .any(|line| line.starts_with(b"o="))
        {
            return Err(SdpFault("no o= line"));
        }
        let inner = sdp_types::Session::parse(body).map_err(|_| SdpFault("malformed"))?;
        if inner.medias.len() > MAX_MEDIA {
            return Err(SdpFault("over 16 media"));
        }
        let in_media: usize = inner.medias.iter().map(|media| media.attributes.len()).sum();
        if inner.attributes.len() + in_media > MAX_ATTRIBUTES {
            return Err(SdpFault("over 256 attributes"));
        }
        Ok(Self { inner })
    }

    /// The media descriptions in order.
    #[must_use]
    pub fn media(&self) -> Vec<Media> {
        let shared = self.inner.connection.as_ref();
        let read = |media: &sdp_types::Media| Media {
            kind: media.media.clone(),
            port: media.port,
            protocol: media.proto.clone(),
            address: media.connections.first().or(shared).map(address),
            attributes: media.attributes.iter().map(pair).collect(),
        };
        self.inner.medias.iter().map(read).collect()
    }

    /// A session-level attribute's value (`Some("")` if it has none), which holds for media without one of their own (RFC 4566 §5.13).
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// The values of a session-level attribute that may be there several times.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let all = self.inner.attributes.iter();
        all.filter(move |attribute| attribute.attribute == name)
            .map(|attribute| attribute.value.as_deref().unwrap_or_default())
    }

    /// An answer to this offer that takes the media at `index` as `line` and refuses all others with port 0 (RFC 3264 §6).
    /// `id` and `version` fill the `o=` line. A media that was offered with port 0 stays refused; an `index` beyond the offer refuses all.
    #[must_use]
    pub fn answer(&self, index: usize, line: &Line, id: u64, version: u64) -> Vec<u8> {
        let media = self.inner.medias.iter().enumerate().map(|(place, offered)| {
            if place == index && offered.port != 0 {
                taken(&offered.media, line)
            } else {
                refused(offered)
            }
        });
        // RFC 3264 §6: the answer's time is the offer's.
        write(line, id, version, self.inner.times.clone(), media.collect())
    }

    /// An offer with one media line.
    #[must_use]
    pub fn offer(line: &Line, id: u64, version: u64) -> Vec<u8> {
        write(line, id, version, Vec::new(), vec![taken("message", line)])
    }
}

/// The address without the time-to-live and count of a multicast `c=` line.
fn address(connection: &Connection) -> String {
    let written = &connection.connection_address;
    written.split('/').next().unwrap_or(written).to_owned()
}

fn pair(attribute: &Attribute) -> (String, Option<String>) {
    (attribute.attribute.clone(), attribute.value.clone())
}

fn taken(kind: &str, line: &Line) -> sdp_types::Media {
    let attributes = line.attributes.iter().map(|(name, value)| Attribute {
        attribute: (*name).to_owned(),
        value: value.clone(),
    });
    sdp_types::Media {
        media: kind.to_owned(),
        port: line.port,
        num_ports: None,
        proto: line.protocol.to_owned(),
        // RFC 4975 §8: the format list of MSRP is one asterisk.
        fmt: "*".to_owned(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: attributes.collect(),
    }
}

/// RFC 3264 §6: port 0, the formats kept since the line needs one.
fn refused(offered: &sdp_types::Media) -> sdp_types::Media {
    sdp_types::Media {
        port: 0,
        num_ports: None,
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
        ..offered.clone()
    }
}

fn write(line: &Line, id: u64, version: u64, times: Vec<Time>, medias: Vec<sdp_types::Media>) -> Vec<u8> {
    let host = line.host.trim_start_matches('[').trim_end_matches(']');
    let family = match host.parse::<Ipv6Addr>().map(IpAddr::from) {
        Ok(_) => AddrType::Ip6,
        Err(_) => AddrType::Ip4,
    };
    let origin = Origin::new(id, version, NetType::In, family.clone(), host);
    let mut session = sdp_types::Session::new(origin, "-");
    session.connection = Some(Connection::new(NetType::In, family, host));
    session.times = if times.is_empty() {
        vec![Time::new(0, 0)]
    } else {
        times
    };
    session.medias = medias;
    let mut body = Vec::with_capacity(512);
    #[expect(
        clippy::expect_used,
        reason = "the only failures are the sink's, and a Vec has none"
    )]
    session.write(&mut body).expect("a Vec takes every octet");
    body
}
