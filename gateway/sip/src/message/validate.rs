//! The validator: which messages the endpoint gets to see.

use bytes::Bytes;

use super::{
    CSeq, Headers, Method, Rejection, StatusCode, Uri, headers, lex, name_addr,
    reader::{Head, MAX_CONTENT_LENGTH},
    via,
};
use crate::Limits;

/// The longest Call-ID.
const MAX_CALL_ID: usize = 256;
/// The longest tag.
const MAX_TAG: usize = 128;

/// What the first line says.
pub(super) enum StartLine {
    Request { method: Method, uri: Uri },
    Response { status: StatusCode, reason: String },
}

/// Checks a head and cuts out the body.
pub(super) fn check(head: &Head, octets: &Bytes, limits: &Limits) -> Result<(StartLine, Bytes), Rejection> {
    if octets.len() > limits.message {
        return Err(Rejection {
            status: StatusCode(513),
            rule: "Message over the limit (RFC 3261 §21.5.7)",
        });
    }
    let start = match &head.fault {
        Some(fault) if head.start_line.is_empty() => return Err(*fault),
        _ => read_start_line(&head.start_line)?,
    };
    if let Some(fault) = head.fault {
        return Err(fault);
    }
    let fields = Fields::of(&head.headers);
    let parties = check_common(&fields, limits)?;
    if let StartLine::Request { method, .. } = &start {
        check_request(&fields, method, &parties)?;
    }
    Ok((start, read_body(head.length, &fields, octets)?))
}

macro_rules! ruled {
    ($($field:ident $name:literal)*) => {
        /// A header field that has rules here.
        #[derive(Clone, Copy)]
        enum Ruled {
            $($field),*
        }

        impl Ruled {
            const COUNT: usize = [$(Self::$field),*].len();

            /// By the name as the reader writes it.
            fn of(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$field),)*
                    _ => None,
                }
            }

            const fn name(self) -> &'static str {
                match self {
                    $(Self::$field => $name),*
                }
            }
        }
    };
}
ruled! {
    Via "Via"
    From "From"
    To "To"
    CallId "Call-ID"
    CSeq "CSeq"
    MaxForwards "Max-Forwards"
    Contact "Contact"
    ContentLength "Content-Length"
    ContentType "Content-Type"
    RecordRoute "Record-Route"
    Route "Route"
    Event "Event"
    Expires "Expires"
    SubscriptionState "Subscription-State"
    ReferTo "Refer-To"
    ReferredBy "Referred-By"
    MinExpires "Min-Expires"
    ReplyTo "Reply-To"
    AssertedIdentity "P-Asserted-Identity"
}

/// The fields that have rules, found in one pass.
struct Fields<'a> {
    headers: &'a Headers,
    seen: [Seen<'a>; Ruled::COUNT],
}

#[derive(Clone, Copy, Default)]
struct Seen<'a> {
    first: Option<&'a str>,
    again: bool,
}

impl<'a> Fields<'a> {
    fn of(headers: &'a Headers) -> Self {
        let mut seen = [Seen::default(); Ruled::COUNT];
        for header in &headers.0 {
            let place = Ruled::of(&header.name).and_then(|field| seen.get_mut(field as usize));
            if let Some(Seen { first, again }) = place {
                *again = first.is_some();
                first.get_or_insert(header.value.as_str());
            }
        }
        Self { headers, seen }
    }

    /// The value of the first field of this name.
    fn get(&self, field: Ruled) -> Option<&'a str> {
        self.seen.get(field as usize)?.first
    }

    fn require(&self, field: Ruled, missing: &'static str) -> Result<&'a str, Rejection> {
        self.get(field).ok_or(Rejection::bad(missing))
    }

    /// Every value of a field, lists taken apart.
    fn list(&self, field: Ruled) -> impl Iterator<Item = &'a str> + use<'a> {
        let there = self.get(field).is_some();
        there
            .then(|| self.headers.list(field.name()))
            .into_iter()
            .flatten()
    }

    fn at_most_once(&self, field: Ruled, twice: &'static str) -> Result<(), Rejection> {
        match self.seen.get(field as usize) {
            Some(Seen { again: true, .. }) => Err(Rejection::bad(twice)),
            _ => Ok(()),
        }
    }

    fn number(&self, field: Ruled, most: u64, fault: &'static str) -> Result<(), Rejection> {
        match self.get(field) {
            Some(value) if lex::read_number(value, most).is_none() => Err(Rejection::bad(fault)),
            _ => Ok(()),
        }
    }
}

/// Whether a first line is that of a status line, readable or not.
pub(super) fn is_status_line(line: &str) -> bool {
    line.get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("SIP/"))
}

fn read_start_line(line: &str) -> Result<StartLine, Rejection> {
    if is_status_line(line) {
        return read_status_line(line);
    }
    let parts = line
        .split_once(' ')
        .and_then(|(method, rest)| Some((method, rest.rsplit_once(' ')?)));
    let Some((method, (uri, version))) = parts else {
        return Err(Rejection::bad("Not a request line (RFC 3261 §7.1)"));
    };
    if !is_status_line(version) {
        return Err(Rejection::bad("Not a request line (RFC 3261 §7.1)"));
    }
    check_version(version)?;
    let method = method.parse()?;
    let uri: Uri = uri.parse()?;
    if !matches!(uri.scheme(), "sip" | "sips" | "tel") {
        return Err(Rejection {
            status: StatusCode(416),
            rule: "Unsupported URI scheme (RFC 3261 §21.4.14)",
        });
    }
    if uri.has_headers() {
        return Err(Rejection::bad("Headers in the Request-URI (RFC 3261 §19.1.1)"));
    }
    Ok(StartLine::Request { method, uri })
}

fn read_status_line(line: &str) -> Result<StartLine, Rejection> {
    const FAULT: Rejection = Rejection::bad("Not a status line (RFC 3261 §7.2)");
    let (version, rest) = line.split_once(' ').ok_or(FAULT)?;
    check_version(version)?;
    // The space before an empty reason phrase is often left out.
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let status = lex::read_number(code, 699)
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| code.len() == 3 && *status >= 100)
        .ok_or(FAULT)?;
    Ok(StartLine::Response {
        status: StatusCode(status),
        reason: reason.to_owned(),
    })
}

fn check_version(version: &str) -> Result<(), Rejection> {
    if version.eq_ignore_ascii_case("SIP/2.0") {
        return Ok(());
    }
    Err(Rejection {
        status: StatusCode(505),
        rule: "Version Not Supported (RFC 3261 §21.5.6)",
    })
}

/// What the rules for requests need of the common headers.
struct Parties {
    /// The top Via has no transaction branch: RFC 2543 peers send none, and some of them neither tags nor Contact (RFC 4475 §3.4.1).
    old_peer: bool,
    from_tag: bool,
    to_tag: bool,
    cseq: CSeq,
}

/// What requests and responses have in common.
fn check_common(fields: &Fields, limits: &Limits) -> Result<Parties, Rejection> {
    for (field, twice) in [
        (Ruled::From, "More than one From (RFC 3261 §7.3.1)"),
        (Ruled::To, "More than one To (RFC 3261 §7.3.1)"),
        (Ruled::CallId, "More than one Call-ID (RFC 3261 §7.3.1)"),
        (Ruled::CSeq, "More than one CSeq (RFC 3261 §7.3.1)"),
        (
            Ruled::ContentLength,
            "More than one Content-Length (RFC 3261 §7.3.1)",
        ),
        (Ruled::ContentType, "More than one Content-Type (RFC 3261 §7.3.1)"),
        (Ruled::MaxForwards, "More than one Max-Forwards (RFC 3261 §7.3.1)"),
    ] {
        fields.at_most_once(field, twice)?;
    }
    let old_peer = !check_vias(fields, limits)?;
    let from_tag = has_tag(fields.require(Ruled::From, "Missing From (RFC 3261 §8.1.1)")?)?;
    let to_tag = has_tag(fields.require(Ruled::To, "Missing To (RFC 3261 §8.1.1)")?)?;
    let call_id = fields.require(Ruled::CallId, "Missing Call-ID (RFC 3261 §8.1.1)")?;
    if call_id.is_empty() || call_id.len() > MAX_CALL_ID || lex::has_space(call_id) {
        return Err(Rejection::bad("Malformed Call-ID (RFC 3261 §20.8)"));
    }
    let cseq = fields
        .require(Ruled::CSeq, "Missing CSeq (RFC 3261 §8.1.1)")?
        .parse()?;
    for field in [
        Ruled::Contact,
        Ruled::Route,
        Ruled::RecordRoute,
        Ruled::ReferTo,
        Ruled::ReferredBy,
        Ruled::ReplyTo,
        Ruled::AssertedIdentity,
    ] {
        for address in fields.list(field) {
            if !matches!(field, Ruled::Contact) || address != "*" {
                name_addr::Parts::check(address)?;
            }
        }
    }
    Ok(Parties {
        old_peer,
        from_tag,
        to_tag,
        cseq,
    })
}

/// Whether the top Via has a transaction branch.
fn check_vias(fields: &Fields, limits: &Limits) -> Result<bool, Rejection> {
    let mut top = None;
    for (place, text) in fields.list(Ruled::Via).enumerate() {
        if place >= limits.vias {
            return Err(Rejection {
                status: StatusCode(513),
                rule: "Too many Via values (RFC 3261 §21.5.7)",
            });
        }
        let has_branch = via::check(text)?;
        top.get_or_insert(has_branch);
    }
    top.ok_or(Rejection::bad("Missing Via (RFC 3261 §8.1.1)"))
}

fn has_tag(party: &str) -> Result<bool, Rejection> {
    match name_addr::Parts::check(party)? {
        Some("") => Err(Rejection::bad("Tag without a value (RFC 3261 §19.3)")),
        Some(tag) if tag.len() > MAX_TAG => Err(Rejection::bad("Tag over 128 octets (RFC 3261 §19.3)")),
        tag => Ok(tag.is_some()),
    }
}

fn check_request(fields: &Fields, method: &Method, parties: &Parties) -> Result<(), Rejection> {
    for (field, twice) in [
        (Ruled::Event, "More than one Event (RFC 6665 §8.2.1)"),
        (Ruled::Expires, "More than one Expires (RFC 3261 §7.3.1)"),
        (Ruled::MinExpires, "More than one Min-Expires (RFC 3261 §7.3.1)"),
        (Ruled::ReferTo, "More than one Refer-To (RFC 3515 §2.4.2)"),
        (
            Ruled::SubscriptionState,
            "More than one Subscription-State (RFC 6665 §8.2.3)",
        ),
    ] {
        fields.at_most_once(field, twice)?;
    }
    if parties.cseq.method != *method {
        return Err(Rejection::bad(
            "CSeq method differs from the request (RFC 3261 §8.1.1.5)",
        ));
    }
    fields.number(
        Ruled::MaxForwards,
        255,
        "Max-Forwards is not 0 to 255 (RFC 3261 §20.22)",
    )?;
    for field in [Ruled::Expires, Ruled::MinExpires] {
        fields.number(
            field,
            u64::from(u32::MAX),
            "Malformed Expires or Min-Expires (RFC 3261 §20.19)",
        )?;
    }
    for field in [Ruled::Event, Ruled::SubscriptionState, Ruled::ContentType] {
        if let Some(value) = fields.get(field) {
            headers::check_parameterized(value)?;
        }
    }
    check_dialog_headers(fields, method, parties)
}

/// What dialogs live on: From-tag and Contact.
fn check_dialog_headers(fields: &Fields, method: &Method, parties: &Parties) -> Result<(), Rejection> {
    if *method != Method::REGISTER && fields.list(Ruled::Contact).any(|contact| contact == "*") {
        return Err(Rejection::bad("Contact * outside REGISTER (RFC 3261 §20.10)"));
    }
    if parties.old_peer {
        return Ok(());
    }
    if !parties.from_tag {
        return Err(Rejection::bad("Missing From tag (RFC 3261 §8.1.1.3)"));
    }
    let needs_contact = match *method {
        Method::INVITE => true,
        Method::SUBSCRIBE | Method::REFER => !parties.to_tag,
        _ => false,
    };
    if needs_contact && fields.get(Ruled::Contact).is_none() {
        return Err(Rejection::bad("Missing Contact (RFC 3261 §8.1.1.8)"));
    }
    Ok(())
}

/// Content-Length octets; without the header all that is there (a datagram's end is the body's, RFC 3261 §18.3).
fn read_body(head: usize, fields: &Fields, octets: &Bytes) -> Result<Bytes, Rejection> {
    let mut body = octets.slice(head.min(octets.len())..);
    if let Some(text) = fields.get(Ruled::ContentLength) {
        let length = lex::read_number(text, MAX_CONTENT_LENGTH)
            .and_then(|length| usize::try_from(length).ok())
            .ok_or(Rejection::bad("Malformed Content-Length (RFC 3261 §20.14)"))?;
        if length > body.len() {
            return Err(Rejection::bad(
                "Content-Length exceeds the message (RFC 3261 §18.3)",
            ));
        }
        body.truncate(length);
    }
    Ok(body)
}
