//! Disposition notifications (RFC 5438): the CPIM headers that ask for them, and the `message/imdn+xml` that gives them.

use bytes::Bytes;
use jiff::Timestamp;

use crate::{cpim::Cpim, xml};

/// The media type.
pub const CONTENT_TYPE: &str = "message/imdn+xml";

/// The namespace of the CPIM headers (RFC 5438 §6.1).
pub const NAMESPACE: &str = "urn:ietf:params:imdn";

const DOCUMENT_NAMESPACE: &str = "urn:ietf:params:xml:ns:imdn";

/// IMDN-Record-Route headers that are copied at most.
const ROUTES: usize = 16;

/// What the sender of a message asks for in its CPIM headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Message-ID, which the notification repeats. Without one nothing can be notified; an empty one, or one with characters that
    /// XML cannot carry, is none.
    pub message_id: Option<String>,
    /// Disposition-Notification.
    pub dispositions: Dispositions,
    /// Original-To: the URI that the message was sent to first.
    pub original_to: Option<String>,
    /// IMDN-Record-Route: the URIs that the notification is to pass, in their order; 16 at most.
    pub record_route: Vec<String>,
}

/// Disposition-Notification (RFC 5438 §7.1.1.3); unknown values are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dispositions {
    /// `positive-delivery`.
    pub positive_delivery: bool,
    /// `negative-delivery`.
    pub negative_delivery: bool,
    /// `processing`, which only intermediaries give.
    pub processing: bool,
    /// `display`.
    pub display: bool,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imdn {
    /// The Message-ID of the message that it is about.
    pub message_id: String,
    /// When that message was sent; an absent or unreadable one is written as empty.
    pub date_time: Option<Timestamp>,
    /// Who received it.
    pub recipient_uri: Option<String>,
    /// Who it was sent to first.
    pub original_recipient_uri: Option<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// What became of it.
    pub notification: Notification,
}

/// What became of a message (RFC 5438 §11.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    /// On its way to the recipient's device.
    Delivery(Delivery),
    /// In an intermediary.
    Processing(Processing),
    /// In front of the recipient.
    Display(Display),
}

/// Of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It arrived.
    Delivered,
    /// It did not.
    Failed,
    /// Nothing is told.
    Forbidden,
    /// The server failed.
    Error,
}

/// Of processing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processing {
    /// It was handled.
    Processed,
    /// It is kept for later.
    Stored,
    /// Nothing is told.
    Forbidden,
    /// The server failed.
    Error,
}

/// Of display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// It was shown.
    Displayed,
    /// Nothing is told.
    Forbidden,
    /// The server failed, or cannot know.
    Error,
}

/// Why a body is no notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a disposition notification: {0}")]
pub struct ImdnFault(pub &'static str);

/// Every notification with its two elements.
const NOTIFICATIONS: [(&str, &str, Notification); 11] = {
    use Notification as N;
    const DELIVERY: &str = "delivery-notification";
    const PROCESSING: &str = "processing-notification";
    const DISPLAY: &str = "display-notification";
    [
        (DELIVERY, "delivered", N::Delivery(Delivery::Delivered)),
        (DELIVERY, "failed", N::Delivery(Delivery::Failed)),
        (DELIVERY, "forbidden", N::Delivery(Delivery::Forbidden)),
        (DELIVERY, "error", N::Delivery(Delivery::Error)),
        (PROCESSING, "processed", N::Processing(Processing::Processed)),
        (PROCESSING, "stored", N::Processing(Processing::Stored)),
        (PROCESSING, "forbidden", N::Processing(Processing::Forbidden)),
        (PROCESSING, "error", N::Processing(Processing::Error)),
        (DISPLAY, "displayed", N::Display(Display::Displayed)),
        (DISPLAY, "forbidden", N::Display(Display::Forbidden)),
        (DISPLAY, "error", N::Display(Display::Error)),
    ]
};

impl Dispositions {
    /// Reads the header's value.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let mut dispositions = Self::default();
        for word in value.split(',') {
            match word.split(';').next().unwrap_or_default().trim() {
                "positive-delivery" => dispositions.positive_delivery = true,
                "negative-delivery" => dispositions.negative_delivery = true,
                "processing" => dispositions.processing = true,
                "display" => dispositions.display = true,
                _ => {}
            }
        }
        dispositions
    }

    /// Whether this notification was asked for. A delivery that is forbidden or failed for the server's sake is no success.
    #[must_use]
    pub const fn want(self, notification: Notification) -> bool {
        match notification {
            Notification::Delivery(Delivery::Delivered) => self.positive_delivery,
            Notification::Delivery(Delivery::Failed | Delivery::Forbidden | Delivery::Error) => {
                self.negative_delivery
            }
            Notification::Processing(_) => self.processing,
            Notification::Display(_) => self.display,
        }
    }
}

impl std::fmt::Display for Dispositions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = [
            (self.positive_delivery, "positive-delivery"),
            (self.negative_delivery, "negative-delivery"),
            (self.processing, "processing"),
            (self.display, "display"),
        ];
        let asked: Vec<&str> = words
            .into_iter()
            .filter_map(|(asked, word)| asked.then_some(word))
            .collect();
        f.write_str(&asked.join(", "))
    }
}

impl Request {
    /// What a message asks for, whatever prefix its headers have. An IMDN asks for nothing (RFC 5438 §7.2.1).
    #[must_use]
    pub fn of(message: &Cpim) -> Self {
        let one = |name| message.extension(NAMESPACE, name);
        let dispositions = match one("Disposition-Notification") {
            Some(value) if !is_imdn(message) => Dispositions::parse(value),
            _ => Dispositions::default(),
        };
        let routes = message.extensions(NAMESPACE, "IMDN-Record-Route");
        Self {
            message_id: one("Message-ID")
                .map(str::trim)
                .filter(|id| is_id(id))
                .map(str::to_owned),
            dispositions,
            original_to: one("Original-To").and_then(uri),
            record_route: routes.filter_map(uri).take(ROUTES).collect(),
        }
    }

    /// Adds the headers that ask for it, and the declaration of their namespace. A message that has DateTime too can be told from
    /// others by its sender (RFC 5438 §7.1.1.2).
    pub fn add_to(&self, message: &mut Cpim) {
        let mut headers = vec![("NS", format!("imdn <{NAMESPACE}>"))];
        if let Some(id) = &self.message_id {
            headers.push(("imdn.Message-ID", id.clone()));
        }
        if self.dispositions != Dispositions::default() {
            headers.push(("imdn.Disposition-Notification", self.dispositions.to_string()));
        }
        if let Some(uri) = &self.original_to {
            headers.push(("imdn.Original-To", format!("<{uri}>")));
        }
        for uri in &self.record_route {
            headers.push(("imdn.IMDN-Record-Route", format!("<{uri}>")));
        }
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value));
        message.other.extend(headers);
    }
}

impl Imdn {
    /// The notification about a message, as its recipient makes it; `None` if it was not asked for or the message has no
    /// Message-ID.
    #[must_use]
    pub fn about(message: &Cpim, notification: Notification) -> Option<Self> {
        let request = Request::of(message);
        if !request.dispositions.want(notification) {
            return None;
        }
        Some(Self {
            message_id: request.message_id?,
            date_time: message.date_time,
            recipient_uri: message.to.first().map(|to| to.uri.clone()),
            original_recipient_uri: request.original_to,
            subject: message.subjects().next().map(|(_, subject)| subject.to_owned()),
            notification,
        })
    }

    /// The CPIM message that carries it back: from the first recipient to the sender, with the route that the message recorded
    /// (RFC 5438 §7.2.1). `message_id` is fresh and hard to guess.
    #[must_use]
    pub fn reply(&self, message: &Cpim, message_id: &str) -> Cpim {
        let mut reply = Cpim {
            from: message.to.first().cloned(),
            to: message.from.iter().cloned().collect(),
            content_type: CONTENT_TYPE.to_owned(),
            content_headers: vec![("Content-Disposition".to_owned(), "notification".to_owned())],
            content: self.to_bytes(),
            ..Cpim::default()
        };
        let request = Request {
            message_id: Some(message_id.to_owned()),
            ..Request::default()
        };
        request.add_to(&mut reply);
        let routes = Request::of(message).record_route.into_iter();
        let routes = routes.map(|uri| ("imdn.IMDN-Route".to_owned(), format!("<{uri}>")));
        reply.other.extend(routes);
        reply
    }

    /// Reads a document of at most 16 KiB. Elements that RFC 5438 does not know are left out.
    ///
    /// # Errors
    /// Says what is wrong: a document type, XML that is not well-formed, another document, no Message-ID, no status that RFC 5438
    /// knows.
    pub fn parse(body: &[u8]) -> Result<Self, ImdnFault> {
        let root = xml::read(body, DOCUMENT_NAMESPACE, "imdn").map_err(ImdnFault)?;
        let text = |name| root.text_of(name).map(str::to_owned);
        let is_known = |(kind, status, _): &&(&str, &str, Notification)| {
            let status_of = root.child(kind).and_then(|kind| kind.child("status"));
            status_of.is_some_and(|found| found.children().any(|(name, _)| name == *status))
        };
        let (_, _, notification) = NOTIFICATIONS
            .iter()
            .find(is_known)
            .ok_or(ImdnFault("RFC 5438 §11.1.7: no known status"))?;
        Ok(Self {
            message_id: text("message-id").ok_or(ImdnFault("RFC 5438 §11.1.1: no message-id"))?,
            date_time: root.text_of("datetime").and_then(|text| text.parse().ok()),
            recipient_uri: text("recipient-uri"),
            original_recipient_uri: text("original-recipient-uri"),
            subject: text("subject"),
            notification: *notification,
        })
    }

    /// Writes the document.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut text =
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<imdn xmlns=\"{DOCUMENT_NAMESPACE}\">");
        let mut element = |name: &str, content: &str| {
            let content = xml::escaped(content);
            text.push_str(&format!("<{name}>{content}</{name}>"));
        };
        element("message-id", &self.message_id);
        let date_time = self.date_time.map(|instant| instant.to_string());
        element("datetime", &date_time.unwrap_or_default());
        // The schema has the second URI only behind the first, and the subject only behind both.
        let original = self
            .original_recipient_uri
            .as_ref()
            .or(self.recipient_uri.as_ref());
        if let Some(uri) = self.recipient_uri.as_ref().or(original)
            && let Some(original) = original
        {
            element("recipient-uri", uri);
            element("original-recipient-uri", original);
            if let Some(subject) = &self.subject {
                element("subject", subject);
            }
        }
        let written = NOTIFICATIONS
            .iter()
            .find(|(_, _, known)| *known == self.notification);
        if let Some((kind, status, _)) = written {
            text.push_str(&format!("<{kind}><status><{status}/></status></{kind}>"));
        }
        text.push_str("</imdn>");
        text.into()
    }
}

/// Whether a message is a notification itself.
#[must_use]
pub fn is_imdn(message: &Cpim) -> bool {
    let bare = message.content_type.split(';').next().unwrap_or_default();
    bare.trim().eq_ignore_ascii_case(CONTENT_TYPE)
}

/// Whether a notification can repeat this Message-ID unchanged.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|character| xml::is_char(character) && !character.is_control())
}

/// The URI of an address, with or without angle brackets.
fn uri(value: &str) -> Option<String> {
    let inside = match value.rsplit_once('<') {
        Some((_, bracketed)) => bracketed.split_once('>')?.0,
        None => value,
    };
    let uri = inside.trim();
    let sound = uri.contains(':')
        && !uri.contains(|character: char| character.is_whitespace() || character.is_control());
    sound.then(|| uri.to_owned())
}
