//! What the fuzz targets run on each input, and what must hold. The targets in `fuzz/` include this module, and the ordinary tests
//! replay the kept inputs through it.

#![allow(dead_code, reason = "each fuzz target runs one of the functions")]

use minidom::Element;
use quick_xml::events::Event;
use xmpp::{
    Limits,
    guard::{Frame, Guard, Rule},
};

const OPEN: &str =
    "<s:stream xmlns='jabber:component:accept' xmlns:s='http://etherx.jabber.org/streams' id='1'>";
const CLOSE: &str = "</s:stream>";

/// Who shares, in `ROOM`.
const SHARERS: [&str; 3] = ["a@gw/1", "b@gw/1", "c@gw/1"];
const ROOM: &str = "r@m";

/// A frame that owns its octets.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Stanza(Vec<u8>),
    Broken(Rule),
    End,
    Malformed(&'static str),
}

/// The guard against a full XML parser. The first octet says how the rest is cut.
pub(crate) fn guard(data: &[u8]) {
    let Some((&cut, rest)) = data.split_first() else {
        return;
    };
    let stream = [rest, CLOSE.as_bytes()].concat();
    let whole = pieces(&Limits::default(), &stream, usize::MAX);
    let cut = usize::from(cut).max(1);
    assert_eq!(
        pieces(&Limits::default(), &stream, cut),
        whole,
        "cut in pieces of {cut}"
    );

    let tight = Limits {
        depth: 3,
        attribute: 12,
        attributes: 3,
        elements: 8,
        name: 9,
        stanza_in: 96,
        ..Limits::default()
    };
    let bounded = pieces(&tight, &stream, usize::MAX);
    assert_eq!(
        pieces(&tight, &stream, cut),
        bounded,
        "bounded, cut in pieces of {cut}"
    );
    skips_to_the_octet(&whole, &bounded, &tight);

    let document = [OPEN.as_bytes(), &stream].concat();
    // Text between stanzas, if only a reference to a blank or an empty CDATA section, is well-formed, and yet no stream.
    let has_text_between =
        |piece: &Piece| matches!(piece, Piece::Malformed(why) if why.ends_with("text outside of stanzas"));
    if let Ok(tree) = Element::from_reader(document.as_slice())
        && !whole.last().is_some_and(has_text_between)
        && let Some(cut) = cut_by_quick_xml(&document)
    {
        let stanzas: Vec<&[u8]> = whole.iter().filter_map(Piece::stanza).collect();
        if whole.iter().any(|piece| matches!(piece, Piece::Broken(_))) {
            return;
        }
        assert_eq!(stanzas, cut, "cut by quick-xml");
        let parsed: Vec<Element> = stanzas
            .iter()
            .map(|stanza| parse(stanza).expect("well-formed"))
            .collect();
        assert_eq!(
            parsed,
            tree.children().cloned().collect::<Vec<_>>(),
            "parsed alone and as a whole"
        );
        assert_eq!(whole.last(), Some(&Piece::End));
    }
}

/// Stanzas of a room, of which three occupants share the messages. The first octet says how the rest is cut.
pub(crate) fn copies(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else {
        return;
    };
    // What is no UTF-8 no parser takes, in one copy or many.
    if std::str::from_utf8(stream).is_err() {
        return;
    }
    let all = pieces(&Limits::default(), stream, usize::MAX);
    let mut cutting = Guard::new(Limits::default());
    for sharer in SHARERS {
        cutting.share(ROOM, sharer);
    }
    let passed = drain(&mut cutting, stream, usize::from(cut).max(1));
    let mut passing = passed.iter().peekable();
    let mut last: Option<&[u8]> = None;
    let mut dropped = 0;
    for piece in &all {
        let Some(stanza) = piece.stanza() else {
            assert_eq!(passing.next(), Some(piece));
            continue;
        };
        if is_a_copy(stanza, last) && passing.peek().is_none_or(|next| **next != *piece) {
            dropped += 1;
            continue;
        }
        assert_eq!(passing.next(), Some(piece), "dropped, and yet no copy");
        if sharer(stanza).is_some() {
            last = Some(stanza);
        }
    }
    assert_eq!(passing.next(), None);
    assert_eq!(cutting.dropped(), dropped);
}

/// What breaks a bound changes nothing for what follows.
fn skips_to_the_octet(whole: &[Piece], bounded: &[Piece], limits: &Limits) {
    for (index, piece) in bounded.iter().enumerate() {
        match (piece, whole.get(index)) {
            (Piece::Stanza(octets), _) => assert!(octets.len() <= limits.stanza_in),
            (Piece::Broken(_), Some(Piece::Stanza(_) | Piece::Broken(_))) => continue,
            _ => {}
        }
        assert_eq!(Some(piece), whole.get(index));
    }
    assert_eq!(bounded.len(), whole.len());
}

/// Whether a stanza is the message that passed last, to another who shares.
fn is_a_copy(stanza: &[u8], last: Option<&[u8]>) -> bool {
    let Some((last, to, other)) = last.and_then(|last| Some((last, sharer(stanza)?, sharer(last)?))) else {
        return false;
    };
    let differs_there_alone = |place: usize| {
        let tail = stanza.get(place..)?.strip_prefix(to.as_bytes())?;
        Some([stanza.get(..place)?, other.as_bytes(), tail].concat() == last)
    };
    to != other && (0..stanza.len()).any(|place| differs_there_alone(place) == Some(true))
}

/// To which sharer a groupchat message is, as quick-xml reads its start tag.
fn sharer(stanza: &[u8]) -> Option<&'static str> {
    let mut reader = quick_xml::Reader::from_reader(stanza);
    let tag = match reader.read_event().ok()? {
        Event::Start(tag) | Event::Empty(tag) => tag,
        _ => return None,
    };
    // Of several of one name, which no parser takes, the guard believes the last.
    let value = |name: &str| {
        let mut attributes = tag.attributes();
        let all = attributes.with_checks(false).flatten();
        let named = all.filter(|attribute| attribute.key.as_ref() == name).last()?;
        Some(named.value.into_owned())
    };
    let (from, to) = (value("from")?, value("to")?);
    let is_said = tag.name().as_ref() == "message"
        && value("type")? == "groupchat"
        && from.split_once('/').is_some_and(|(room, _)| room == ROOM);
    SHARERS.into_iter().find(|sharer| is_said && **sharer == to)
}

fn pieces(limits: &Limits, stream: &[u8], cut: usize) -> Vec<Piece> {
    drain(&mut Guard::new(limits.clone()), stream, cut)
}

/// The frames of a stream that comes in pieces of this length, after a header within any bounds.
fn drain(guard: &mut Guard, stream: &[u8], cut: usize) -> Vec<Piece> {
    let mut header: &[u8] = b"<s>";
    assert!(matches!(guard.next(&mut header), Some(Frame::Header(_))));
    let mut pieces = Vec::new();
    for mut octets in stream.chunks(cut) {
        while let Some(frame) = guard.next(&mut octets) {
            pieces.push(match frame {
                Frame::Stanza { octets, .. } => Piece::Stanza(octets.to_vec()),
                Frame::Broken { rule, .. } => Piece::Broken(rule),
                Frame::End => Piece::End,
                Frame::Malformed(why) => Piece::Malformed(why),
                Frame::Header(_) => panic!("a second header"),
            });
        }
        assert!(guard.buffered() <= Limits::default().stanza_in);
    }
    pieces
}

fn parse(stanza: &[u8]) -> Option<Element> {
    let prefixes = [
        (None, "jabber:component:accept".to_owned()),
        (
            Some("s".to_owned()),
            "http://etherx.jabber.org/streams".to_owned(),
        ),
    ];
    let prefixes: std::collections::BTreeMap<_, _> = prefixes.into_iter().collect();
    Element::from_reader_with_prefixes(stanza, prefixes).ok()
}

/// Top-level elements as an independent parser cuts them; `None` where it finds fault.
fn cut_by_quick_xml(document: &[u8]) -> Option<Vec<&[u8]>> {
    let mut reader = quick_xml::Reader::from_reader(document);
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    loop {
        let before = usize::try_from(reader.buffer_position()).ok()?;
        let event = reader.read_event().ok()?;
        let after = usize::try_from(reader.buffer_position()).ok()?;
        match event {
            Event::Start(_) => {
                if depth == 1 {
                    start = before;
                }
                depth += 1;
            }
            Event::Empty(_) if depth == 1 => found.push(document.get(before..after)?),
            Event::End(_) => {
                depth -= 1;
                if depth == 1 {
                    found.push(document.get(start..after)?);
                }
            }
            Event::Eof => return Some(found),
            _ => {}
        }
    }
}

impl Piece {
    fn stanza(&self) -> Option<&[u8]> {
        match self {
            Self::Stanza(octets) => Some(octets),
            Self::Broken(_) | Self::End | Self::Malformed(_) => None,
        }
    }
}
