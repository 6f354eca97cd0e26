//! Conference documents (RFC 4575), written by a hand of their own: a second opinion beside the product's.

use std::io;

use jiff::Timestamp;
use quick_xml::{Writer, events::BytesText};

/// A document for one subscriber.
pub(crate) struct Document<'a> {
    /// The room's address.
    pub(crate) room: &'a str,
    /// Whether it lists everybody, or what has changed.
    pub(crate) full: bool,
    pub(crate) version: u32,
    /// `None`: not told here.
    pub(crate) subject: Option<&'a str>,
    pub(crate) user_count: usize,
    pub(crate) users: &'a [User],
    /// Whether URIs in element content are percent-escaped.
    pub(crate) escaped: bool,
}

/// A participant, who may be there with several devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) entity: String,
    pub(crate) display_text: Option<String>,
    /// `xcon:nickname` (RFC 6501).
    pub(crate) nickname: Option<String>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// How he left, if he did.
    pub(crate) departure: Option<Departure>,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) entity: String,
    pub(crate) joined: Timestamp,
    pub(crate) media: u64,
}

/// How somebody left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Departure {
    /// By himself.
    Departed,
    /// He was removed.
    Booted(Option<String>),
}

/// The media type.
pub(crate) const CONTENT_TYPE: &str = "application/conference-info+xml";

type Sink = Writer<Vec<u8>>;

impl Document<'_> {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut sink = Writer::new(b"<?xml version='1.0' encoding='UTF-8'?>\n".to_vec());
        // A Vec takes every octet.
        let _ = self.write_to(&mut sink);
        sink.into_inner()
    }

    fn write_to(&self, sink: &mut Sink) -> io::Result<()> {
        let state = if self.full { "full" } else { "partial" };
        let version = self.version.to_string();
        sink.create_element("conference-info")
            .with_attribute(("xmlns", "urn:ietf:params:xml:ns:conference-info"))
            .with_attribute(("xmlns:xcon", "urn:ietf:params:xml:ns:xcon-conference-info"))
            .with_attribute(("entity", self.room))
            .with_attribute(("state", state))
            .with_attribute(("version", version.as_str()))
            .write_inner_content(|sink| {
                if let Some(subject) = self.subject {
                    self.write_description(sink, subject)?;
                }
                sink.create_element("conference-state")
                    .write_inner_content(|sink| {
                        text(sink, "user-count", &self.user_count.to_string())?;
                        text(sink, "active", "true")
                    })?;
                if self.full || !self.users.is_empty() {
                    sink.create_element("users")
                        .with_attribute(("state", state))
                        .write_inner_content(|sink| {
                            self.users.iter().try_for_each(|user| user.write(sink))
                        })?;
                }
                Ok(())
            })?;
        Ok(())
    }

    fn write_description(&self, sink: &mut Sink, subject: &str) -> io::Result<()> {
        let uri = if self.escaped {
            percent_escaped(self.room)
        } else {
            self.room.to_owned()
        };
        sink.create_element("conference-description")
            .write_inner_content(|sink| {
                text(sink, "display-text", "A conference for tests")?;
                text(sink, "subject", subject)?;
                sink.create_element("conf-uris").write_inner_content(|sink| {
                    sink.create_element("entry").write_inner_content(|sink| {
                        text(sink, "uri", &uri)?;
                        text(sink, "purpose", "participation")
                    })?;
                    Ok(())
                })?;
                Ok(())
            })?;
        Ok(())
    }
}

impl User {
    fn write(&self, sink: &mut Sink) -> io::Result<()> {
        let gone = self.departure.is_some();
        let mut element = sink
            .create_element("user")
            .with_attribute(("entity", self.entity.as_str()))
            .with_attribute(("state", if gone { "deleted" } else { "full" }));
        if let Some(nickname) = self.nickname.as_deref().filter(|_| !gone) {
            element = element.with_attribute(("xcon:nickname", nickname));
        }
        element.write_inner_content(|sink| {
            if !gone {
                if let Some(name) = &self.display_text {
                    text(sink, "display-text", name)?;
                }
                sink.create_element("roles")
                    .write_inner_content(|sink| text(sink, "entry", "participant"))?;
            }
            self.endpoints
                .iter()
                .try_for_each(|endpoint| endpoint.write(sink, self.departure.as_ref()))
        })?;
        Ok(())
    }
}

impl Endpoint {
    fn write(&self, sink: &mut Sink, departure: Option<&Departure>) -> io::Result<()> {
        sink.create_element("endpoint")
            .with_attribute(("entity", self.entity.as_str()))
            .with_attribute(("state", if departure.is_some() { "deleted" } else { "full" }))
            .write_inner_content(|sink| match departure {
                None => {
                    text(sink, "status", "connected")?;
                    sink.create_element("joining-info")
                        .write_inner_content(|sink| text(sink, "when", &self.joined.to_string()))?;
                    let id = self.media.to_string();
                    sink.create_element("media")
                        .with_attribute(("id", id.as_str()))
                        .write_inner_content(|sink| text(sink, "type", "message"))?;
                    Ok(())
                }
                Some(departure) => departure.write(sink),
            })?;
        Ok(())
    }
}

impl Departure {
    fn write(&self, sink: &mut Sink) -> io::Result<()> {
        text(sink, "status", "disconnected")?;
        match self {
            Self::Departed => text(sink, "disconnection-method", "departed"),
            Self::Booted(reason) => {
                text(sink, "disconnection-method", "booted")?;
                if let Some(reason) = reason {
                    sink.create_element("disconnection-info")
                        .write_inner_content(|sink| text(sink, "reason", reason))?;
                }
                Ok(())
            }
        }
    }
}

fn text(sink: &mut Sink, name: &str, content: &str) -> io::Result<()> {
    sink.create_element(name)
        .write_text_content(BytesText::new(content))?;
    Ok(())
}

/// `sip%3Aroom%40host`.
fn percent_escaped(uri: &str) -> String {
    uri.replace('%', "%25")
        .replace(':', "%3A")
        .replace('@', "%40")
        .replace(';', "%3B")
        .replace('=', "%3D")
}

#[cfg(test)]
mod tests {
    use sip::conference::{self, EndpointStatus, State};

    use super::*;

    fn user(entity: &str, name: &str, departure: Option<Departure>) -> User {
        User {
            entity: entity.to_owned(),
            display_text: Some(name.to_owned()),
            nickname: Some(name.to_owned()),
            endpoints: vec![Endpoint {
                entity: entity.to_owned(),
                joined: Timestamp::UNIX_EPOCH,
                media: 7,
            }],
            departure,
        }
    }

    #[test]
    fn rfc4575_a_full_document_says_who_is_there() {
        let document = Document {
            room: "sip:verona@conference.example.org",
            full: true,
            version: 3,
            subject: Some("Peace & quiet"),
            user_count: 1,
            users: &[user(
                "sip:verona@conference.example.org;gr=p1",
                "\"Ben\" <&>",
                None,
            )],
            escaped: false,
        };
        let (version, read) = conference::Document::parse(&document.write()).unwrap();
        assert_eq!((version, read.state, read.user_count), (3, State::Full, Some(1)));
        assert_eq!(read.subject.as_deref(), Some("Peace & quiet"));
        assert_eq!(read.users[0].display_text.as_deref(), Some("\"Ben\" <&>"));
        assert_eq!(read.users[0].nickname.as_deref(), Some("\"Ben\" <&>"));
        assert_eq!(read.users[0].status, Some(EndpointStatus::Connected));
        assert_eq!(read.users[0].roles, ["participant"]);
    }

    #[test]
    fn rfc4575_a_partial_document_says_who_has_gone_and_how() {
        let reason = Some(Departure::Booted(Some("enough".to_owned())));
        let document = Document {
            room: "sip:verona@conference.example.org",
            full: false,
            version: 4,
            subject: None,
            user_count: 0,
            users: &[user("sip:romeo@example.org", "Romeo", reason)],
            escaped: true,
        };
        let (_, read) = conference::Document::parse(&document.write()).unwrap();
        assert_eq!((read.state, read.subject), (State::Partial, None));
        assert_eq!(read.users[0].state, State::Deleted);
        let booted = EndpointStatus::Booted(Some("enough".to_owned()));
        assert_eq!(read.users[0].status, Some(booted));
    }

    #[test]
    fn deployed_servers_escape_the_uris_of_the_conference() {
        assert_eq!(percent_escaped("sip:a@b;gr=c"), "sip%3Aa%40b%3Bgr%3Dc");
    }
}
