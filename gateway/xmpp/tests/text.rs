//! The text rule, localpart escaping and nicknames.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use jid::NodePart;
use proptest::prelude::*;
use support::{up, written};
use xmpp::address::{escape_localpart, unescape_localpart};
use xmpp::nickname::resource_from;
use xmpp::stanza::Outgoing;
use xmpp::text::XmlText;
use xmpp::{BareJid, FullJid, ResourcePart};

/// XML 1.0 §2.2.
fn is_xml_char(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

#[test]
fn every_scalar_value_is_kept_or_replaced() {
    for scalar in '\0'..=char::MAX {
        let text = scalar.to_string();
        let expected = match scalar {
            '\r' => '\n',
            scalar if is_xml_char(scalar) => scalar,
            _ => '\u{fffd}',
        };
        assert_eq!(XmlText::new(&text).as_str(), expected.to_string());
        assert_eq!(
            XmlText::replaced(&text),
            usize::from(!is_xml_char(scalar)),
            "{scalar:?}"
        );
    }
}

#[test]
fn line_ends_become_line_feeds() {
    for (text, clean) in [
        ("a\r\nb", "a\nb"),
        ("\r\r\n\n\r", "\n\n\n\n"),
        ("\n\r", "\n\n"),
        ("\r\0", "\n\u{fffd}"),
    ] {
        assert_eq!(XmlText::new(text).as_str(), clean);
    }
    assert_eq!(XmlText::replaced("\r\n\0\u{ffff}\u{fffd}"), 2);
}

fn clean(text: &str) -> String {
    XmlText::new(text).as_str().to_owned()
}

fn occupant() -> FullJid {
    "u@gw.xmpp.test/sip".parse().unwrap()
}

fn room() -> BareJid {
    "r@muc.xmpp.test".parse().unwrap()
}

// Rows: CXMPP-33
#[test]
fn every_scalar_value_survives_being_written_and_read() {
    let mut link = up();
    let scalars: Vec<char> = ('\0'..=char::MAX).collect();
    for run in scalars.chunks(4096) {
        let body: String = run.iter().collect();
        // An attribute has its own escapes; ids of the whole range are shorter by the framing of the stanza.
        let id: String = run.iter().step_by(16).collect();
        let stanza = Outgoing::Groupchat {
            from: occupant(),
            to: room(),
            id: id.clone(),
            body: body.clone(),
        };
        let read = written(&mut link, stanza);
        assert_eq!(read.attr("id"), Some(XmlText::new(&id).as_str()));
        assert_eq!(
            read.get_child("body", "jabber:component:accept").unwrap().text(),
            XmlText::new(&body).as_str()
        );
    }
}

proptest! {
    #[test]
    fn any_text_survives_being_written_and_read(body in "(?s).{0,60}|[\\x00-\\x7f]{0,60}", id in "(?s).{0,20}|[\\x00-\\x7f]{0,20}") {
        let mut link = up();
        let stanza = Outgoing::Private {
            from: occupant(),
            to: "r@muc.xmpp.test/n".parse().unwrap(),
            id: id.clone(),
            body: body.clone(),
        };
        let read = written(&mut link, stanza);
        prop_assert_eq!(read.attr("id").map(str::to_owned), Some(clean(&id)));
        prop_assert_eq!(read.get_child("body", "jabber:component:accept").unwrap().text(), clean(&body));
    }

    #[test]
    fn cleaning_is_idempotent(text in "(?s).{0,60}|[\\x00-\\x20]{0,20}") {
        let clean = XmlText::new(&text);
        prop_assert_eq!(XmlText::replaced(clean.as_str()), 0);
        prop_assert_eq!(&XmlText::new(clean.as_str()), &clean);
    }

    // Rows: C7247-14, E-38
    #[test]
    fn unescaping_undoes_escaping(text in r#"[ "&'/:<>@\\25a6CcFf0x]{0,12}|(?s).{0,12}"#) {
        let localpart = escape_localpart(&text);
        prop_assert!(!localpart.contains([' ', '"', '&', '\'', '/', ':', '<', '>', '@']));
        prop_assert!(!localpart.starts_with("\\20") && !localpart.ends_with("\\20"));
        prop_assert_eq!(unescape_localpart(&localpart), text.trim_matches(' '));
    }

    /// A localpart folds case, and must not turn into another address by it.
    #[test]
    fn folding_case_does_not_change_what_is_escaped(text in r#"[ "&'/@\\25aA6CcFf0]{1,12}"#) {
        if let Ok(node) = NodePart::new(&escape_localpart(&text)) {
            prop_assert_eq!(unescape_localpart(node.as_str()), text.trim_matches(' ').to_lowercase());
        }
    }

    // Rows: CXMPP-34
    #[test]
    fn a_nickname_is_a_resourcepart(name in "(?s).{0,40}|[a-z א-ת0-9\u{200b}\u{a0}]{0,12}") {
        if let Some(nickname) = resource_from(&name) {
            prop_assert_eq!(&ResourcePart::new(nickname.as_str()).unwrap().into_owned(), &nickname);
            prop_assert_eq!(nickname.trim(), nickname.as_str());
            prop_assert_eq!(resource_from(nickname.as_str()), Some(nickname));
        }
    }
}

/// XEP-0106 §4.2, §4.3 and §5.1.
// Rows: C7247-05, C7247-06, E-38
#[test]
fn localparts_are_escaped_by_the_table() {
    let table = [
        ("space cadet", r"space\20cadet"),
        (r#"call me "ishmael""#, r"call\20me\20\22ishmael\22"),
        ("at&t guy", r"at\26t\20guy"),
        ("d'artagnan", r"d\27artagnan"),
        ("/.fanboy", r"\2f.fanboy"),
        ("::foo::", r"\3a\3afoo\3a\3a"),
        ("<foo>", r"\3cfoo\3e"),
        ("user@host", r"user\40host"),
        (r"c:\net", r"c\3a\net"),
        (r"c:\\net", r"c\3a\\net"),
        (r"c:\cool stuff", r"c\3a\cool\20stuff"),
        (r"c:\5commas", r"c\3a\5c5commas"),
        (r"\3and\2is\5cool", r"\5c3and\2is\5c5cool"),
        (r"\2plus\2is\4", r"\2plus\2is\4"),
        (r"foo\bar", r"foo\bar"),
        (r"foob\41r", r"foob\41r"),
        ("\\", "\\"),
        ("a\\2", "a\\2"),
        ("\\é", "\\é"),
    ];
    for (text, localpart) in table {
        assert_eq!(escape_localpart(text), localpart);
        assert_eq!(unescape_localpart(localpart), text);
    }
}

#[test]
fn a_localpart_neither_begins_nor_ends_with_an_escaped_space() {
    assert_eq!(escape_localpart("  a b "), r"a\20b");
    assert_eq!(escape_localpart("   "), "");
}

#[test]
fn an_escape_in_capitals_is_text() {
    assert_eq!(unescape_localpart(r"a\2Fb"), r"a\2Fb");
    assert_eq!(escape_localpart(r"a\2Fb"), r"a\5c2Fb");
}

#[test]
fn display_names_become_nicknames() {
    let table = [
        ("Juliet", Some("Juliet")),
        ("  Juliet  Capulet ", Some("Juliet  Capulet")),
        ("Ｕser4", Some("User4")),
        ("Juli\u{200b}et\u{ad}", Some("Juliet")),
        ("Juliet 🎭", Some("Juliet")),
        ("🎭", None),
        ("a\u{7}b\nc", Some("abc")),
        ("\u{a0}Juliet", Some("Juliet")),
        ("", None),
        (" \t\r\n", None),
        ("\u{202e}", None),
        ("רומיאו", Some("רומיאו")),
        ("Romeo רומיאו", Some("Romeo")),
        ("רומיאו Romeo 2", Some("רומיאו")),
        ("O'Hara/\"<>&@", Some("O'Hara/\"<>&@")),
    ];
    for (name, nickname) in table {
        assert_eq!(
            resource_from(name).as_ref().map(|part| part.as_str()),
            nickname,
            "{name:?}"
        );
    }
}

// Rows: CXMPP-34
#[test]
fn a_long_display_name_is_cut_to_1023_octets() {
    for (length, kept) in [(1022, 1022), (1023, 1023), (1024, 1023)] {
        assert_eq!(resource_from(&"a".repeat(length)).unwrap().len(), kept);
    }
    assert_eq!(resource_from(&"é".repeat(600)).unwrap().len(), 1022);
    // One character that normalises to eighteen.
    let long = resource_from(&"\u{fdfa}".repeat(400)).unwrap();
    assert!((900..=1023).contains(&long.len()), "{}", long.len());
}
