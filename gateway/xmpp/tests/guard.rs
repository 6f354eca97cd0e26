//! The guard: framing, bounds, and hostile streams.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use minidom::Element;
use proptest::prelude::*;
use quick_xml::events::Event as XmlEvent;
use xmpp::Limits;
use xmpp::guard::{Frame, Guard, Rule};

const OPEN: &str =
    "<s:stream xmlns='jabber:component:accept' xmlns:s='http://etherx.jabber.org/streams' id='1'>";

/// A frame that owns its octets.
#[derive(Debug, PartialEq, Eq, Clone)]
enum Owned {
    Header(Vec<u8>),
    Stanza(Vec<u8>, Head),
    Broken(Rule, Head),
    End,
    Malformed(&'static str),
}

#[derive(Debug, PartialEq, Eq, Clone, Default)]
struct Head {
    name: String,
    from: Option<String>,
    to: Option<String>,
    kind: Option<String>,
    id: Option<String>,
}

impl From<Frame<'_>> for Owned {
    fn from(frame: Frame<'_>) -> Self {
        let head = |peek: &xmpp::guard::Peek| Head {
            name: peek.element().to_owned(),
            from: peek.from(),
            to: peek.to(),
            kind: peek.kind(),
            id: peek.id(),
        };
        match frame {
            Frame::Header(octets) => Self::Header(octets.to_vec()),
            Frame::Stanza { octets, peek } => Self::Stanza(octets.to_vec(), head(peek)),
            Frame::Broken { rule, peek } => Self::Broken(rule, head(peek)),
            Frame::End => Self::End,
            Frame::Malformed(why) => Self::Malformed(why),
        }
    }
}

/// The frames of a stream that comes in these pieces.
fn frames<'a>(limits: &Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
    let mut guard = Guard::new(limits.clone());
    let mut frames = Vec::new();
    for mut piece in pieces {
        while let Some(frame) = guard.next(&mut piece) {
            frames.push(frame.into());
        }
        assert!(guard.buffered() <= limits.stanza_in);
    }
    frames
}

fn whole(stream: &str) -> Vec<Owned> {
    frames(&Limits::default(), [stream.as_bytes()])
}

/// The frames after the header of a stream of these stanzas.
fn after_header(limits: &Limits, stanzas: &str) -> Vec<Owned> {
    // The header is held to the same bounds, and here they are small.
    let mut all = frames(limits, [b"<s>".as_slice(), stanzas.as_bytes()]);
    assert_eq!(all.remove(0), Owned::Header(b"<s>".into()));
    all
}

fn stanzas(frames: &[Owned]) -> Vec<String> {
    let octets = frames.iter().filter_map(|frame| match frame {
        Owned::Stanza(octets, _) => Some(String::from_utf8_lossy(octets).into_owned()),
        _ => None,
    });
    octets.collect()
}

#[test]
fn stanzas_are_framed_to_the_octet() {
    let table = [
        "<presence/>",
        "<a b='>' c=\"'>\" d='\"/>'/>",
        "<a b = '1'\n\tc='2' ></a >",
        "<a><b/><c></c>x</a>",
        "<a><![CDATA[</a><!-- & ]] ]]]></a>",
        "<a><![CDATA[]]></a>",
        "<a>&amp;&lt;&gt;&quot;&apos;&#65;&#x41;</a>",
        "<a b='&amp;&#x3c;'/>",
        "<a>]]</a>",
        "<é ü='ö'>ä</é>",
    ];
    let stream = format!("{OPEN}{}</s:stream>", table.join(" \n"));
    let found = whole(&stream);
    assert_eq!(stanzas(&found), table);
    assert_eq!(found.last(), Some(&Owned::End));
}

#[test]
fn the_start_tag_is_known_of_every_stanza() {
    let stanza = "<message id='1&amp;2' xmlns:from='urn:x' from=\"a@b/'c\" x:to='no' to='d@e' type='chat'><from from='x'/><a id='y'/></message>";
    let expected = Head {
        name: "message".into(),
        from: Some("a@b/'c".into()),
        to: Some("d@e".into()),
        kind: Some("chat".into()),
        id: Some("1&2".into()),
    };
    let expected = [
        Owned::Stanza(stanza.into(), expected),
        Owned::Stanza("<iq/>".into(), head("iq")),
    ];
    assert_eq!(
        after_header(&Limits::default(), &format!("{stanza}<iq/>")),
        expected
    );
}

fn head(name: &str) -> Head {
    Head {
        name: name.into(),
        ..Head::default()
    }
}

#[test]
fn an_overlong_id_counts_as_absent() {
    for (length, kept) in [(1023, true), (1024, true), (1025, false)] {
        let found = after_header(&Limits::default(), &format!("<iq id='{}'/>", "i".repeat(length)));
        let [Owned::Stanza(_, head)] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(head.id.is_some(), kept, "{length}");
    }
}

#[test]
fn what_no_server_sends_is_malformed() {
    let table = [
        ("<!DOCTYPE x>", "a comment, a DTD or text outside of stanzas"),
        ("<!-- x -->", "a comment, a DTD or text outside of stanzas"),
        ("<?pi?>", "a processing instruction"),
        (
            "<?xml version='1.0'?><?xml version='1.0'?>",
            "a processing instruction",
        ),
        ("x", "text outside of stanzas"),
        ("\u{feff}", "text outside of stanzas"),
        ("</s:stream>", "misplaced markup"),
        ("<s:stream/>", "misplaced markup"),
        ("< a>", "misplaced markup"),
        (
            &format!("{OPEN}<?xml version='1.0'?>"),
            "a processing instruction",
        ),
        (
            &format!("{OPEN}<!-- -->"),
            "a comment, a DTD or text outside of stanzas",
        ),
        (&format!("{OPEN}<a><!-- --></a>"), "a comment or a DTD"),
        (&format!("{OPEN}<a><!DOCTYPE x></a>"), "a comment or a DTD"),
        (&format!("{OPEN}<a><?pi?></a>"), "a processing instruction"),
        (
            &format!("{OPEN}<![CDATA[x]]>"),
            "a comment, a DTD or text outside of stanzas",
        ),
        (&format!("{OPEN} x"), "text outside of stanzas"),
        (&format!("{OPEN}<a b>"), "an attribute without a value"),
        (&format!("{OPEN}<a b=c>"), "an attribute without a value"),
        (&format!("{OPEN}<a / >"), "misplaced markup"),
        (&format!("{OPEN}<a <b/>>"), "misplaced markup"),
        (&format!("{OPEN}<>"), "misplaced markup"),
    ];
    for (stream, why) in table {
        let found = whole(&format!("{stream}<presence/>"));
        assert_eq!(found.last(), Some(&Owned::Malformed(why)), "{stream}");
        assert_eq!(stanzas(&found), [""; 0], "{stream}");
    }
}

#[test]
fn nothing_comes_after_the_end() {
    let found = whole(&format!("{OPEN}<a/></s:stream><b/> x <!-- -->"));
    assert_eq!(stanzas(&found), ["<a/>"]);
    assert_eq!(found.last(), Some(&Owned::End));
    assert_eq!(found.len(), 3);
}

/// Small bounds, so that each can be met alone.
fn small() -> Limits {
    Limits {
        depth: 4,
        attribute: 8,
        attributes: 3,
        elements: 6,
        name: 5,
        stanza_in: 80,
        ..Limits::default()
    }
}

#[test]
fn every_bound_holds_at_its_edge() {
    type Build = fn(usize) -> String;
    let table: [(Rule, usize, Build); 7] = [
        (Rule::Depth, 4, |n| {
            format!("{}{}", "<a>".repeat(n), "</a>".repeat(n))
        }),
        (Rule::Elements, 6, |n| format!("<a>{}</a>", "<b/>".repeat(n - 1))),
        (Rule::AttributeLength, 8, |n| {
            format!("<a b='{}'/>", "x".repeat(n))
        }),
        (Rule::AttributeCount, 3, |n| {
            format!("<a{}/>", (0..n).map(|i| format!(" b{i}=''")).collect::<String>())
        }),
        (Rule::NameLength, 5, |n| format!("<{}/>", "n".repeat(n))),
        (Rule::NameLength, 5, |n| format!("<a {}=''/>", "n".repeat(n))),
        (Rule::StanzaSize, 80, |n| format!("<a>{}</a>", "x".repeat(n - 7))),
    ];
    for (rule, limit, build) in table {
        for length in [limit - 1, limit, limit + 1] {
            let stanza = build(length);
            let found = after_header(&small_with_room(rule), &format!("{stanza}<next/>"));
            let first = stanzas(&found).first().cloned();
            if length <= limit {
                assert_eq!(first, Some(stanza), "{rule:?} {length}");
            } else {
                assert!(
                    matches!(found.first(), Some(Owned::Broken(broken, _)) if *broken == rule),
                    "{rule:?}: {found:?}"
                );
                assert_eq!(first.as_deref(), Some("<next/>"), "{rule:?}");
            }
        }
    }
}

fn small_with_room(rule: Rule) -> Limits {
    let stanza_in = if rule == Rule::StanzaSize { 80 } else { 1000 };
    Limits { stanza_in, ..small() }
}

#[test]
fn the_length_of_an_attribute_counts_octets_on_the_wire() {
    for (value, fits) in [
        ("&amp;&#9;", false),
        ("&amp;123", true),
        ("éééé", true),
        ("ééééé", false),
    ] {
        let found = after_header(&small(), &format!("<a b='{value}'/>"));
        assert_eq!(!stanzas(&found).is_empty(), fits, "{value}");
    }
}

// Rows: CXMPP-33
#[test]
fn only_predefined_entities_pass() {
    let refused = [
        "&",
        "& ",
        "&;",
        "&foo;",
        "&amp",
        "&AMP;",
        "&#;",
        "&#x;",
        "&#xg;",
        "&#1a;",
        "&-;",
        "&#00000000000000065;",
        "&&amp;",
    ];
    for entity in refused {
        for stanza in [format!("<a>{entity}</a>"), format!("<a b='{entity}'/>")] {
            let found = after_header(&Limits::default(), &format!("{stanza}<next/>"));
            assert_eq!(found[0], Owned::Broken(Rule::Entity, head("a")), "{stanza}");
            assert_eq!(stanzas(&found), ["<next/>"], "{stanza}");
        }
    }
}

#[test]
fn markup_in_an_attribute_is_skipped() {
    let found = after_header(&Limits::default(), "<a b='<c>'></a><next/>");
    assert_eq!(found[0], Owned::Broken(Rule::MarkupInAttribute, head("a")));
    assert_eq!(stanzas(&found), ["<next/>"]);
}

#[test]
fn a_header_that_breaks_a_bound_is_malformed() {
    let stream = format!("<s:stream id='{}'>", "x".repeat(5000));
    assert_eq!(whole(&stream), [Owned::Malformed("attribute too long")]);
}

#[test]
fn hostile_stanzas_are_skipped_to_their_end_and_their_sender_is_known() {
    let start = "from='a@b/c' to='d@e' type='chat' id='1'";
    let long = "x".repeat(9000);
    let table = [
        (
            Rule::Depth,
            format!(
                "<message {start}>{}{}</message>",
                "<a>".repeat(40_000),
                "</a>".repeat(40_000)
            ),
        ),
        (Rule::AttributeLength, format!("<message {start} x='{long}'/>")),
        (
            Rule::AttributeLength,
            format!("<message x='{long}' {start}><body/></message>"),
        ),
        (Rule::NameLength, format!("<message {start}><{long}/></message>")),
        (Rule::NameLength, format!("<message {long}='' {start}/>")),
        (
            Rule::StanzaSize,
            format!("<message {start}><body>{}</body></message>", "x".repeat(1 << 20)),
        ),
        (
            Rule::StanzaSize,
            format!("<message {start}><![CDATA[{}]]></message>", "]".repeat(1 << 20)),
        ),
        (
            Rule::Elements,
            format!("<message {start}>{}</message>", "<a/>".repeat(100_000)),
        ),
        (
            Rule::AttributeCount,
            format!(
                "<message {start}{}/>",
                (0..20_000)
                    .map(|i| format!(" xmlns:a{i}='u'"))
                    .collect::<String>()
            ),
        ),
    ];
    let sender = Head {
        name: "message".into(),
        from: Some("a@b/c".into()),
        to: Some("d@e".into()),
        kind: Some("chat".into()),
        id: Some("1".into()),
    };
    for (rule, stanza) in table {
        let stream = format!("{OPEN}{stanza}<next/>");
        for size in [stream.len(), 1460, 7] {
            let found = frames(&Limits::default(), stream.as_bytes().chunks(size));
            let expected = [
                Owned::Header(OPEN.into()),
                Owned::Broken(rule, sender.clone()),
                Owned::Stanza("<next/>".into(), head("next")),
            ];
            assert_eq!(found, expected, "{rule:?} in pieces of {size}");
        }
    }
}

#[test]
fn an_endless_stanza_takes_no_memory() {
    let mut guard = Guard::new(Limits::default());
    let mut input = OPEN.as_bytes();
    assert!(guard.next(&mut input).is_some());
    for piece in std::iter::once("<a>").chain(std::iter::repeat_n("x<b>&amp;", 200_000)) {
        assert_eq!(guard.next(&mut piece.as_bytes()), None);
        assert!(guard.buffered() <= Limits::default().stanza_in);
    }
    assert_eq!(guard.buffered(), 0);
}

/// One well-formed element.
fn element() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "message", "x:b", "c-d.e", "é"]);
    let blank = prop::sample::select(vec!["", " ", "\n\t"]);
    let quoted = prop_oneof![
        "[a-z >/é\"=&&[^&]]{0,12}".prop_map(|value| format!("'{value}'")),
        "[a-z >/'\\]=]{0,12}".prop_map(|value| format!("\"{value}\"")),
        Just("'&lt;&amp;&#x41;'".to_owned()),
    ];
    let attributes = prop::collection::vec((quoted, blank.clone()), 0..3).prop_map(|values| {
        let attributes = values.iter().enumerate();
        attributes
            .map(|(i, (value, blank))| format!(" n{i}{blank}={blank}{value}"))
            .collect::<String>()
    });
    let leaf = (name.clone(), attributes.clone(), blank.clone())
        .prop_map(|(name, attributes, blank)| format!("<{name} xmlns:x='urn:x'{attributes}{blank}/>"));
    let text = prop_oneof![
        "[a-z é'\"/=\n]{0,10}",
        Just("&amp;&#65;&gt;".to_owned()),
        "[a-z<>&'\"/ \\]]{0,12}".prop_map(|text| format!("<![CDATA[{}]]>", text.replace("]]>", ""))),
        Just("<![CDATA[]]]]>".to_owned()),
        Just("]".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let content = prop::collection::vec(prop_oneof![inner, text.clone()], 0..5);
        (name.clone(), attributes.clone(), content, blank.clone()).prop_map(
            |(name, attributes, content, blank)| {
                format!(
                    "<{name} xmlns:x='urn:x'{attributes}>{}</{name}{blank}>",
                    content.concat()
                )
            },
        )
    })
}

fn stream() -> impl Strategy<Value = String> {
    prop::collection::vec((element(), "[ \n]{0,3}"), 0..6).prop_map(|stanzas| {
        let stanzas = stanzas
            .iter()
            .map(|(stanza, blank)| format!("{stanza}{blank}"))
            .collect::<String>();
        format!("<?xml version='1.0'?>{OPEN}{stanzas}</s:stream>")
    })
}

/// Top-level elements as an independent parser cuts them.
fn cut_by_quick_xml(stream: &str) -> Vec<String> {
    let mut reader = quick_xml::Reader::from_str(stream);
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    loop {
        let before = usize::try_from(reader.buffer_position()).unwrap();
        let event = reader.read_event().unwrap();
        let after = usize::try_from(reader.buffer_position()).unwrap();
        let mut close = |depth: usize, start: usize| {
            if depth == 1 {
                found.push(stream[start..after].to_owned());
            }
        };
        match event {
            XmlEvent::Start(_) => {
                if depth == 1 {
                    start = before;
                }
                depth += 1;
            }
            XmlEvent::Empty(_) => close(depth, before),
            XmlEvent::End(_) => {
                depth -= 1;
                close(depth, start);
            }
            XmlEvent::Eof => return found,
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn framing_agrees_with_an_xml_parser(stream in stream()) {
        prop_assert_eq!(stanzas(&whole(&stream)), cut_by_quick_xml(&stream));
    }

    #[test]
    fn any_split_gives_the_same_frames(stream in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12), tight in any::<bool>()) {
        let limits = if tight { small() } else { Limits::default() };
        let limits = Limits { attribute: limits.attribute.max(OPEN.len()), name: limits.name.max(9), stanza_in: limits.stanza_in.max(OPEN.len()), ..limits };
        let octets = stream.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(octets.len())).collect();
        cuts.extend([0, octets.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|ends| &octets[ends[0]..ends[1]]);
        let at_once = frames(&limits, [octets]);
        prop_assert_eq!(&frames(&limits, pieces), &at_once);
        prop_assert_eq!(frames(&limits, octets.chunks(1)), at_once);
    }

    /// Where a strict parser takes the whole stream, the guard's stanzas parsed one by one are its children.
    #[test]
    fn damaged_streams_are_framed_as_a_strict_parser_reads_them(
        stream in stream(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"<>/'\"&;= a]!".to_vec())), 0..4),
    ) {
        let mut octets = stream.into_bytes();
        for (at, octet) in damage {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        let found = frames(&Limits::default(), [octets.as_slice()]);
        // Text between stanzas is well-formed, and yet no stream.
        if let Ok(whole) = Element::from_reader(octets.as_slice())
            && whole.texts().all(|text| text.trim().is_empty())
        {
            let Owned::Header(header) = &found[0] else { panic!("{found:?}") };
            let mut header = header.clone();
            header.truncate(header.len() - 1);
            header.extend_from_slice(b"/>");
            let prefixes = Element::from_reader(header.as_slice()).unwrap().prefixes.declared_prefixes().clone();
            let parsed: Vec<Element> = stanzas(&found)
                .iter()
                .map(|stanza| Element::from_reader_with_prefixes(stanza.as_bytes(), prefixes.clone()).unwrap())
                .collect();
            prop_assert_eq!(parsed, whole.children().cloned().collect::<Vec<_>>());
            prop_assert_eq!(found.last(), Some(&Owned::End));
        }
    }

    #[test]
    fn random_octets_never_panic(octets in prop::collection::vec(prop_oneof![3 => prop::sample::select(b"<>/'\"&;= a]![?x-CDAT\n".to_vec()), 1 => any::<u8>()], 0..400), opened in any::<bool>()) {
        let opening = if opened { OPEN } else { "" };
        let at_once = frames(&small(), [opening.as_bytes(), &octets]);
        let one_by_one = frames(&small(), std::iter::once(opening.as_bytes()).chain(octets.chunks(1)));
        prop_assert_eq!(at_once, one_by_one);
    }
}
