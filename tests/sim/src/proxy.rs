//! A SIP proxy between users and gateway that works on the text of messages: it record-routes twice (RFC 5658), keeps no state and knows
//! nothing of the product. Around it hostile and careless users do their work.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

pub(crate) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
pub(crate) const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// Ports of the two sides.
pub(crate) const USERS: u16 = 5060;
pub(crate) const GATEWAYS: u16 = 5062;

/// How a message is to go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Onward {
    pub(crate) to: SocketAddr,
    pub(crate) udp: bool,
    pub(crate) text: Vec<u8>,
}

/// What a user's client does with NOTIFY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NotifyHabit {
    Never,
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Proxy {
    /// Whether the users' side speaks UDP, and the gateway's.
    pub(crate) udp: (bool, bool),
    /// Users whose ACKs get lost for good.
    pub(crate) no_ack: BTreeSet<IpAddr>,
    pub(crate) notify: BTreeMap<IpAddr, NotifyHabit>,
    /// Call-ID → the last INVITE of a user, and the tag that the gateway gave him.
    calls: BTreeMap<String, Known>,
    copies: u32,
}

/// Header fields of an INVITE, and To and Contact of the answer.
type Known = (Vec<(String, String)>, String, String);

/// A message taken apart.
struct Text {
    first: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Text {
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let first = lines.next()?.to_owned();
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        });
        Some(Self {
            first,
            headers: headers.collect(),
            body: bytes[end + 4..].to_vec(),
        })
    }

    fn write(&self) -> Vec<u8> {
        let mut out = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        out.push_str("\r\n");
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.body);
        out
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn is_response(&self) -> bool {
        self.first.starts_with("SIP/2.0 ")
    }
}

impl Proxy {
    pub(crate) fn new(udp: (bool, bool)) -> Self {
        Self {
            udp,
            no_ack: BTreeSet::new(),
            notify: BTreeMap::new(),
            calls: BTreeMap::new(),
            copies: 0,
        }
    }

    /// A message that arrived from `from`.
    pub(crate) fn handle(&mut self, bytes: &[u8], from: IpAddr, by_udp: bool) -> Vec<Onward> {
        let Some(mut text) = Text::read(bytes) else {
            return Vec::new();
        };
        if text.is_response() {
            self.response(&mut text).into_iter().collect()
        } else {
            self.request(&mut text, from, by_udp).into_iter().collect()
        }
    }

    fn response(&mut self, text: &mut Text) -> Option<Onward> {
        if text.first.starts_with("SIP/2.0 2")
            && text.get("CSeq").is_some_and(|cseq| cseq.ends_with("INVITE"))
            && let (Some(call), Some(to), Some(contact)) =
                (text.get("Call-ID"), text.get("To"), text.get("Contact"))
        {
            let (to, contact) = (to.to_owned(), contact.to_owned());
            if let Some(known) = self.calls.get_mut(call) {
                known.1 = to;
                known.2 = contact;
            }
        }
        let own = text
            .headers
            .iter()
            .position(|(name, _)| name.eq_ignore_ascii_case("Via"))?;
        if !text.headers[own].1.contains("z9hG4bKproxy") {
            return None;
        }
        text.headers.remove(own);
        let via = text.get("Via")?.to_owned();
        let (protocol, rest) = via.split_once(' ')?;
        let to = rest.split(';').next()?.trim().parse().ok()?;
        Some(Onward {
            to,
            udp: protocol.ends_with("UDP"),
            text: text.write(),
        })
    }

    fn request(&mut self, text: &mut Text, from: IpAddr, by_udp: bool) -> Option<Onward> {
        let method = text.first.split(' ').next()?.to_owned();
        let from_gateway = from == GATEWAY;
        if method == "ACK" && self.no_ack.contains(&from) {
            return None;
        }
        text.headers
            .retain(|(name, value)| !(name.eq_ignore_ascii_case("Route") && value.contains("10.0.0.2")));
        let next = text.get("Route").map_or_else(
            || text.first.split(' ').nth(1).map(str::to_owned),
            |route| Some(route.to_owned()),
        )?;
        let to = target(&next)?;
        let to_gateway = to.ip() == GATEWAY;
        if method == "NOTIFY"
            && let Some(habit) = self.notify.get(&to.ip())
        {
            return match habit {
                NotifyHabit::Never => None,
                NotifyHabit::Unknown => refuse(text),
            };
        }
        if method == "INVITE"
            && to_gateway
            && let Some(call) = text.get("Call-ID")
        {
            self.calls.insert(
                call.to_owned(),
                (text.headers.clone(), String::new(), String::new()),
            );
        }
        let same = self.udp.0 == self.udp.1;
        // What came on a stream, being long, goes on over one: its sender does not send it again.
        let udp = if to_gateway { self.udp.1 } else { self.udp.0 } && (by_udp || !same);
        if matches!(method.as_str(), "INVITE" | "SUBSCRIBE" | "REFER") && !text.get("To")?.contains("tag=") {
            let route = |port: u16, udp: bool| {
                let transport = if udp { "udp" } else { "tcp" };
                format!("<sip:{ADDRESS}:{port};transport={transport};lr>")
            };
            let (users, gateways) = (route(USERS, self.udp.0), route(GATEWAYS, self.udp.1));
            let (first, second) = if from_gateway {
                (gateways, users)
            } else {
                (users, gateways)
            };
            text.headers.insert(0, ("Record-Route".to_owned(), first));
            text.headers.insert(0, ("Record-Route".to_owned(), second));
        }
        let above = text
            .get("Via")?
            .split("branch=")
            .nth(1)?
            .split(';')
            .next()?
            .to_owned();
        let port = if to_gateway { GATEWAYS } else { USERS };
        let protocol = if udp { "UDP" } else { "TCP" };
        let via = format!(
            "SIP/2.0/{protocol} {ADDRESS}:{port};branch=z9hG4bKproxy{}",
            above.trim_start_matches("z9hG4bK")
        );
        text.headers.insert(0, ("Via".to_owned(), via));
        for (name, value) in &mut text.headers {
            if name.eq_ignore_ascii_case("Max-Forwards") {
                *value = value
                    .parse::<u32>()
                    .map_or(69, |hops| hops.saturating_sub(1))
                    .to_string();
            }
        }
        Some(Onward {
            to: if to_gateway {
                SocketAddr::new(GATEWAY, 5060)
            } else {
                to
            },
            udp,
            text: text.write(),
        })
    }

    /// A BYE in a user's call that nobody sent: its CSeq is older than the INVITE's (RFC 3261 §12.2.2 wants a 500 and no more).
    pub(crate) fn stale_bye(&mut self, user: IpAddr) -> Option<Onward> {
        let caller = user.to_string();
        let mut known = self.calls.values().filter(|(headers, to, _)| {
            !to.is_empty()
                && headers
                    .iter()
                    .any(|(name, value)| name == "Contact" && value.contains(&caller))
        });
        let (headers, to, contact) = known.next_back()?;
        let uri = contact.split(['<', '>']).nth(1)?;
        let get = |name: &str| {
            headers
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        self.copies += 1;
        let protocol = if self.udp.1 { "UDP" } else { "TCP" };
        let text = Text {
            first: format!("BYE {uri} SIP/2.0"),
            headers: vec![
                (
                    "Via".to_owned(),
                    format!(
                        "SIP/2.0/{protocol} {ADDRESS}:{GATEWAYS};branch=z9hG4bKstale{}",
                        self.copies
                    ),
                ),
                ("Max-Forwards".to_owned(), "70".to_owned()),
                ("From".to_owned(), get("From")?),
                ("To".to_owned(), to.clone()),
                ("Call-ID".to_owned(), get("Call-ID")?),
                ("CSeq".to_owned(), "0 BYE".to_owned()),
                ("Content-Length".to_owned(), "0".to_owned()),
            ],
            body: Vec::new(),
        };
        Some(Onward {
            to: SocketAddr::new(GATEWAY, 5060),
            udp: self.udp.1,
            text: text.write(),
        })
    }
}

/// 481 in the user's name.
fn refuse(text: &Text) -> Option<Onward> {
    let via = text.get("Via")?.to_owned();
    let kept = ["Via", "From", "To", "Call-ID", "CSeq"];
    let mut headers: Vec<_> = text
        .headers
        .iter()
        .filter(|(name, _)| kept.iter().any(|kept| kept.eq_ignore_ascii_case(name)))
        .cloned()
        .collect();
    headers.push(("Content-Length".to_owned(), "0".to_owned()));
    let refusal = Text {
        first: "SIP/2.0 481 Subscription Does Not Exist".to_owned(),
        headers,
        body: Vec::new(),
    };
    let (protocol, rest) = via.split_once(' ')?;
    Some(Onward {
        to: rest.split(';').next()?.trim().parse().ok()?,
        udp: protocol.ends_with("UDP"),
        text: refusal.write(),
    })
}

/// Where a URI leads: the gateway for the conference domain, else the host itself.
fn target(uri: &str) -> Option<SocketAddr> {
    let uri = uri.split(['<', '>']).nth(1).unwrap_or(uri);
    let rest = uri.strip_prefix("sip:")?;
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = host.split([';', '?']).next()?;
    if host == crate::server::MUC {
        return Some(SocketAddr::new(GATEWAY, 5060));
    }
    host.parse()
        .ok()
        .or_else(|| Some(SocketAddr::new(host.parse().ok()?, 5060)))
}
