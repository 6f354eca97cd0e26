//! Conferences, and addresses as they name them (RFC 7247 §6.5).

use sip::{NameAddr, Uri};
use xmpp::{
    BareJid,
    address::{escape_localpart, unescape_localpart},
};

use crate::config::ConferenceDomain;

/// The conference that a room of ours stands for; `None` for the service itself.
pub(super) fn conference_uri(room: &BareJid, domain: &ConferenceDomain) -> Option<Uri> {
    let local = unescape_localpart(room.node()?.as_str());
    Some(Uri::new(Some(&local), &domain.sip, None))
}

/// The room of ours that stands for a conference of the domain behind it.
pub(super) fn room_jid(conference: &Uri, domain: &ConferenceDomain) -> Option<BareJid> {
    let local = conference.user_decoded().filter(|user| !user.is_empty())?;
    BareJid::new(&format!("{}@{}", escape_localpart(&local), domain.muc)).ok()
}

/// Whether a Contact is that of a conference (RFC 4579 §5.1).
pub(super) fn is_focus(contact: Option<&NameAddr>) -> bool {
    contact.is_some_and(|contact| {
        contact.parameter("isfocus").is_some() || contact.uri.parameter("isfocus").is_some()
    })
}

/// A URI in a form that can be compared and sorted: what tells addresses of record and occupants of a room apart, unescaped.
pub(super) fn key_of(uri: &Uri) -> String {
    let user = uri.user_decoded().unwrap_or_default();
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    let instance = uri.parameter_decoded("gr").unwrap_or_default();
    format!("{}:{user}@{}{port};{instance}", uri.scheme(), uri.host())
}

/// A URI of a conference document. Some servers escape it whole.
pub(super) fn lenient_uri(text: &str) -> Option<Uri> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let wrapped: Uri = format!("sip:{text}@escaped").parse().ok()?;
        wrapped.user_decoded()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7247_section_6_5_a_room_is_a_conference_of_the_domain_behind_it() {
        let domain = ConferenceDomain {
            muc: "chat.example.com".to_owned(),
            sip: "rooms.example.net".to_owned(),
        };
        let jid = |text: &str| BareJid::new(text).unwrap();
        let room = conference_uri(&jid("capulet@chat.example.com"), &domain);
        assert_eq!(room.unwrap().to_string(), "sip:capulet@rooms.example.net");
        let room = conference_uri(&jid(r"d\27artagnan@chat.example.com"), &domain);
        assert_eq!(room.unwrap().to_string(), "sip:d'artagnan@rooms.example.net");
        assert_eq!(conference_uri(&jid("chat.example.com"), &domain), None);
        for room in ["capulet@chat.example.com", r"d\27artagnan@chat.example.com"] {
            let conference = conference_uri(&jid(room), &domain).unwrap();
            assert_eq!(room_jid(&conference, &domain), Some(jid(room)));
        }
        let nobody: Uri = "sip:rooms.example.net".parse().unwrap();
        assert_eq!(room_jid(&nobody, &domain), None);
    }

    #[test]
    fn addresses_that_mean_the_same_have_one_key() {
        let key = |text: &str| key_of(&lenient_uri(text).unwrap());
        assert_eq!(
            key("sip:Romeo@Example.ORG;transport=tcp"),
            key("sip:R%6fmeo@example.org")
        );
        assert_eq!(
            key("sip%3Aroom1%40conference.sip.test"),
            key("sip:room1@conference.sip.test")
        );
        assert_ne!(key("sip:room@h;gr=Romeo"), key("sip:room@h"));
        assert_ne!(key("sip:romeo@h"), key("sip:Romeo@h"));
        assert_eq!(lenient_uri("nobody"), None);
    }
}
