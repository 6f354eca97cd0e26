//! SIP users: a client each, made of the wire machines, that keeps its own view of every call.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use bytes::Bytes;
use sip::{
    Contact, DialogId, Endpoint, LocalAddress, NameAddr, SubscribeParameters, SubscriptionId, Transport, Uri,
};

use crate::{proxy, server::MUC, xml};

pub(crate) struct User {
    pub(crate) endpoint: Endpoint,
    pub(crate) address: SocketAddr,
    pub(crate) name: String,
    pub(crate) aor: Uri,
    pub(crate) instance: Option<String>,
    pub(crate) calls: Vec<Call>,
    pub(crate) stream: Option<u64>,
    pub(crate) inbox: Vec<u8>,
    pub(crate) gone: bool,
    pub(crate) opens_media: bool,
    next: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Calling,
    /// 200 came.
    Answered,
    /// The MSRP session stands.
    Open,
    Over,
}

/// A call of a user to a room. Its number is the model's.
pub(crate) struct Call {
    pub(crate) number: usize,
    pub(crate) room: usize,
    pub(crate) dialog: DialogId,
    pub(crate) state: State,
    pub(crate) path: msrp::Path,
    pub(crate) media: Option<msrp::Connection>,
    pub(crate) stream: Option<u64>,
    pub(crate) remote: Option<msrp::Path>,
    pub(crate) subscription: Option<SubscriptionId>,
    /// A NOTIFY may have been lost on a stream, where nobody sends it again: the notifier gives up and the phone cannot know.
    pub(crate) doubtful: bool,
    pub(crate) view: View,
}

/// A room as conference documents show it.
#[derive(Debug, Default, Clone)]
pub(crate) struct View {
    pub(crate) version: Option<u32>,
    /// Nicknames.
    pub(crate) users: BTreeSet<String>,
    pub(crate) count: Option<u32>,
    pub(crate) subject: Option<String>,
}

pub(crate) fn address(n: usize) -> SocketAddr {
    let [.., high, low] = u32::try_from(n + 1).unwrap_or(1).to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, high, low)), 5060)
}

pub(crate) fn number(address: IpAddr) -> Option<usize> {
    match address {
        IpAddr::V4(v4) => match v4.octets() {
            [10, 1, high, low] => Some(usize::from(high) * 256 + usize::from(low) - 1),
            _ => None,
        },
        IpAddr::V6(_) => None,
    }
}

impl User {
    pub(crate) fn new(n: usize, name: String, instance: Option<String>, udp: bool, seed: [u8; 32]) -> Self {
        let address = address(n);
        let transport = if udp { Transport::Udp } else { Transport::Tcp };
        let kind = if udp { "udp" } else { "tcp" };
        let route = format!("sip:{}:{};transport={kind};lr", proxy::ADDRESS, proxy::USERS);
        let config = sip::Config {
            local: vec![LocalAddress {
                transport,
                host: address.ip().to_string(),
                port: address.port(),
            }],
            outbound_proxy: route.parse().ok(),
            product: "phone".to_owned(),
            limits: sip::Limits::default(),
            t1: Duration::from_millis(500),
        };
        Self {
            endpoint: Endpoint::new(config, seed),
            address,
            aor: Uri::new(Some(&name), "example.org", None),
            name,
            instance,
            calls: Vec::new(),
            stream: None,
            inbox: Vec::new(),
            gone: false,
            opens_media: true,
            next: 0,
        }
    }

    pub(crate) fn call_in(&mut self, room: usize) -> Option<&mut Call> {
        self.calls
            .iter_mut()
            .rev()
            .find(|call| call.room == room && call.state != State::Over)
    }

    fn contact(&self) -> Contact {
        Contact {
            user: Some(self.name.clone()),
            parameters: self.instance.iter().map(|gr| ("gr", Some(gr.clone()))).collect(),
        }
    }

    pub(crate) fn invite(
        &mut self,
        number: usize,
        room: usize,
        name: Option<&str>,
        private: bool,
        now: Instant,
    ) {
        self.next += 2;
        let dialog = DialogId(self.next);
        let host = self.address.ip();
        let text = format!("msrp://{host}:2855/s{number}x{};tcp", self.next);
        let Ok(path) = text.parse::<msrp::Path>() else {
            return;
        };
        // Who says nothing of rooms is told that he is in one, of which the model knows nothing.
        let chatroom = if private {
            "a=chatroom:nickname private-messages\r\n"
        } else {
            "a=chatroom:nickname\r\n"
        };
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\n\
             a=accept-types:message/cpim\r\na=accept-wrapped-types:text/plain\r\na=path:{path}\r\na=setup:active\r\n{chatroom}"
        );
        let uri = room_uri(room);
        let parameters = sip::InviteParameters {
            to: NameAddr::new(uri.clone()),
            uri,
            from: NameAddr {
                display_name: name.map(str::to_owned),
                ..NameAddr::new(self.aor.clone())
            },
            contact: self.contact(),
            body: sip::Body {
                content_type: "application/sdp".to_owned(),
                bytes: Bytes::from(offer),
            },
            headers: Vec::new(),
        };
        self.calls.push(Call {
            number,
            room,
            dialog,
            state: State::Calling,
            path,
            media: None,
            stream: None,
            remote: None,
            subscription: None,
            doubtful: false,
            view: View::default(),
        });
        let parameters = Box::new(parameters);
        self.endpoint
            .handle_command(sip::Command::Invite { dialog, parameters }, now);
    }

    pub(crate) fn subscribe(&mut self, room: usize, now: Instant) {
        self.next += 2;
        let subscription = SubscriptionId(self.next);
        let uri = room_uri(room);
        let parameters = SubscribeParameters {
            from: NameAddr::new(self.aor.clone()),
            to: NameAddr::new(uri.clone()),
            uri,
            contact: self.contact(),
            event: "conference".to_owned(),
            accept: "application/conference-info+xml".to_owned(),
            expires: Duration::from_secs(600),
        };
        let Some(call) = self.call_in(room).filter(|call| call.subscription.is_none()) else {
            return;
        };
        call.subscription = Some(subscription);
        call.doubtful = false;
        call.view = View::default();
        let parameters = Box::new(parameters);
        self.endpoint.handle_command(
            sip::Command::Subscribe {
                subscription,
                parameters,
            },
            now,
        );
    }

    pub(crate) fn refer(&mut self, room: usize, invitee: &str, now: Instant) {
        self.next += 2;
        let uri = room_uri(room);
        let Ok(refer_to) = invitee.parse::<Uri>() else {
            return;
        };
        let parameters = sip::ReferParameters {
            from: NameAddr::new(self.aor.clone()),
            to: NameAddr::new(uri.clone()),
            uri,
            contact: self.contact(),
            refer_to: NameAddr::new(refer_to),
            silent: false,
        };
        let subscription = SubscriptionId(self.next);
        let parameters = Box::new(parameters);
        self.endpoint.handle_command(
            sip::Command::Refer {
                subscription,
                parameters,
            },
            now,
        );
    }
}

impl View {
    /// Takes a document in.
    ///
    /// # Errors
    /// It does not follow the one before it.
    pub(crate) fn apply(&mut self, body: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        let document = xml::document(text).ok_or("a conference document that is no XML")?;
        let version: u32 = document
            .attribute("version")
            .and_then(|version| version.parse().ok())
            .ok_or("a document without version")?;
        if let Some(before) = self.version
            && version != before + 1
        {
            return Err(format!("document {version} after {before}"));
        }
        let full = document.attribute("state") != Some("partial");
        if self.version.is_none() && !full {
            return Err("the first document is partial".to_owned());
        }
        self.version = Some(version);
        if full {
            self.users.clear();
        }
        for user in document
            .child("users")
            .map(|users| users.children.as_slice())
            .unwrap_or_default()
        {
            let entity = user.attribute("entity").unwrap_or_default();
            let nickname = entity
                .split(";gr=")
                .nth(1)
                .map(percent_decoded)
                .ok_or("a user without gr")?;
            if user.attribute("state") == Some("deleted") {
                self.users.remove(&nickname);
            } else {
                self.users.insert(nickname);
            }
        }
        if let Some(count) = document
            .child("conference-state")
            .and_then(|state| state.child("user-count"))
            .and_then(|count| count.text.parse().ok())
        {
            self.count = Some(count);
        }
        if let Some(subject) = document
            .child("conference-description")
            .and_then(|description| description.child("subject"))
        {
            self.subject = Some(subject.text.clone());
        }
        Ok(())
    }
}

/// `sip:roomN@…`.
pub(crate) fn room_uri(room: usize) -> Uri {
    Uri::new(Some(&room_name(room)), MUC, None)
}

pub(crate) fn room_name(room: usize) -> String {
    format!("room{room}")
}

pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'%' {
            let hex: Vec<u8> = rest.by_ref().take(2).collect();
            let code = std::str::from_utf8(&hex)
                .ok()
                .and_then(|hex| u8::from_str_radix(hex, 16).ok());
            bytes.push(code.unwrap_or(b'?'));
        } else {
            bytes.push(octet);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_') {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
    out
}

/// A `message/cpim` taken apart by hand: header fields and text.
pub(crate) fn read_cpim(body: &[u8]) -> Option<(BTreeMap<String, String>, String)> {
    let text = std::str::from_utf8(body).ok()?;
    let (head, rest) = text.split_once("\r\n\r\n")?;
    let (_, content) = rest.split_once("\r\n\r\n")?;
    let headers = head.split("\r\n").filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    });
    Some((headers.collect(), content.to_owned()))
}

/// And one put together by hand.
pub(crate) fn write_cpim(from: &str, to: &[String], text: &str) -> Bytes {
    let mut out = format!("From: <{from}>\r\n");
    for to in to {
        out.push_str(&format!("To: <{to}>\r\n"));
    }
    out.push_str("DateTime: 2026-01-01T00:00:00Z\r\n\r\nContent-Type: text/plain;charset=utf-8\r\n\r\n");
    out.push_str(text);
    Bytes::from(out)
}
