//! Stanzas that break a schema, deceive, or weigh too much: a table by kind, the same at every run. Each is well-formed XML, for that much a
//! server demands before it passes anything on.

use std::collections::BTreeSet;

use crate::peers::xmpp_user::escape;

/// A stanza but for its addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hostile {
    /// Which part of the table it is of.
    pub kind: &'static str,
    name: &'static str,
    /// What stands in the start tag beside the addresses.
    attributes: String,
    content: String,
    to: To,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum To {
    Room,
    Occupant,
}

impl Hostile {
    /// As an occupant writes it.
    #[must_use]
    pub fn of_member(&self, room: &str, occupant: &str) -> String {
        let to = match self.to {
            To::Room => room.to_owned(),
            To::Occupant => format!("{room}/{occupant}"),
        };
        self.written(&format!("to='{}'", escape(&to)))
    }

    /// As a room passes it on, or makes it up, in the name of one in it.
    #[must_use]
    pub fn of_room(&self, from: &str, to: &str) -> String {
        self.written(&format!("from='{}' to='{}'", escape(from), escape(to)))
    }

    fn written(&self, addresses: &str) -> String {
        let Self {
            name,
            attributes,
            content,
            ..
        } = self;
        format!("<{name} {addresses} {attributes}>{content}</{name}>")
    }
}

const MUC: &str = "http://jabber.org/protocol/muc";
const CONDITIONS: [&str; 14] = [
    "bad-request",
    "conflict",
    "feature-not-implemented",
    "forbidden",
    "gone",
    "internal-server-error",
    "item-not-found",
    "jid-malformed",
    "not-acceptable",
    "not-allowed",
    "recipient-unavailable",
    "remote-server-not-found",
    "remote-server-timeout",
    "unheard-of",
];

/// The whole table, by kind. No two are the same.
#[must_use]
pub fn table() -> Vec<Vec<Hostile>> {
    let kinds = [
        namespaces(),
        muc_payloads(),
        attributes(),
        weights(),
        nests(),
        forgeries(),
        addresses(),
        characters(),
        requests(),
        subjects(),
        presences(),
        extensions(),
        invitations(),
        errors(),
    ];
    let mut seen = BTreeSet::new();
    kinds
        .into_iter()
        .map(|kind| {
            kind.into_iter()
                .filter(|stanza| seen.insert(stanza.clone()))
                .collect()
        })
        .collect()
}

fn message(kind: &'static str, attributes: impl Into<String>, content: impl Into<String>) -> Hostile {
    let attributes = attributes.into();
    let to = if attributes.contains("groupchat") {
        To::Room
    } else {
        To::Occupant
    };
    Hostile {
        kind,
        name: "message",
        attributes,
        content: content.into(),
        to,
    }
}

/// The same to the room and to one in it.
fn messages(kind: &'static str, content: &str) -> [Hostile; 2] {
    ["type='groupchat' id='h'", "type='chat' id='h'"].map(|attributes| message(kind, attributes, content))
}

fn request(attributes: impl Into<String>, content: impl Into<String>) -> Hostile {
    Hostile {
        kind: "requests",
        name: "iq",
        attributes: attributes.into(),
        content: content.into(),
        to: To::Occupant,
    }
}

/// Children in namespaces that are not theirs.
fn namespaces() -> Vec<Hostile> {
    let elements = ["body", "subject", "thread", "error", "x", "delay"];
    let namespaces = [
        "urn:x",
        "jabber:server",
        "jabber:component:accept",
        "",
        "http://etherx.jabber.org/streams",
    ];
    let mixed = elements.iter().flat_map(|element| {
        namespaces.iter().map(move |namespace| {
            format!("<{element} xmlns='{namespace}'>odd</{element}><body>beside it</body>")
        })
    });
    mixed
        .flat_map(|content| messages("namespaces", &content))
        .collect()
}

/// What rooms alone may say, said by an occupant.
fn muc_payloads() -> Vec<Hostile> {
    let statuses = [
        "100", "110", "170", "201", "210", "301", "303", "307", "321", "322", "332", "333", "0", "65536",
        "-1", "x", "",
    ];
    let statuses = statuses
        .map(|code| format!("<x xmlns='{MUC}#user'><status code='{code}'/></x><body>status {code}</body>"));
    let items = [
        "role='none'",
        "role='nobody' affiliation='king'",
        "jid='@'",
        "nick=''",
        "affiliation='outcast'",
        "",
    ];
    let items = items.map(|item| {
        format!("<x xmlns='{MUC}#user'><item {item}><reason>no</reason><reason/><actor/></item></x><body>item {item:?}</body>")
    });
    let others = [
        format!("<x xmlns='{MUC}'><password/><history maxstanzas='-1'/></x><body>a wish to enter</body>"),
        format!("<query xmlns='{MUC}#admin'><item nick='Romeo' role='none'/></query><body>a kick</body>"),
        format!("<query xmlns='{MUC}#owner'><destroy/></query><body>an end</body>"),
        format!("<x xmlns='{MUC}#user'><destroy jid='@'><reason/></destroy></x><body>an end</body>"),
        format!("<x xmlns='{MUC}#user'/><x xmlns='{MUC}#user'><status code='110'/></x><body>two</body>"),
    ];
    let all = statuses.into_iter().chain(items).chain(others);
    all.flat_map(|content| messages("muc payloads", &content))
        .collect()
}

/// Start tags that lack something, or have too much.
fn attributes() -> Vec<Hostile> {
    let types = [
        "",
        "type=''",
        "type='bogus'",
        "type='GROUPCHAT'",
        "type='headline'",
        "type='normal'",
        "type='groupchat'",
    ];
    let extras = [
        "",
        "id=''",
        "xml:lang=''",
        "xml:lang='x-nobody-knows-this-one'",
        "xmlns:p='urn:p' p:type='error'",
        "foreign='1'",
        "xml:space='odd'",
    ];
    let mixed = types
        .iter()
        .flat_map(|kind| extras.iter().map(move |extra| format!("{kind} {extra}")));
    mixed
        .map(|attributes| message("attributes", attributes, "<body>an odd start tag</body>"))
        .collect()
}

/// Much of something.
fn weights() -> Vec<Hostile> {
    let long = |length| "x".repeat(length);
    let many = |element: &str, count| element.repeat(count);
    let numbered: String = (0..200).map(|number| format!(" a{number}='x'")).collect();
    let contents = [
        format!("<body>{}</body>", long(200_000)),
        format!("<body>{}</body>", long(60_000)),
        format!("<body>{}</body>", many("&amp;", 20_000)),
        format!("<body>{}</body>", many("👩‍👩‍👧", 5000)),
        format!("<body>{}</body>", many("\n", 30_000)),
        many("<body>again</body>", 2000),
        many("<body xml:lang='en'>again</body>", 1000),
        many("<thread>t</thread>", 3000),
        many("<a/>", 9000) + "<body>beside many</body>",
        many(
            "<x xmlns='jabber:x:oob'><url>https://example.com/</url></x>",
            1500,
        ),
        many("<stanza-id xmlns='urn:xmpp:sid:0' by='a@b' id='x'/>", 2000) + "<body>many ids</body>",
        many(
            "<delay xmlns='urn:xmpp:delay' stamp='2001-01-01T00:00:00Z'/>",
            2000,
        ) + "<body>many delays</body>",
        format!(
            "<a xmlns='urn:x' a='{}'/><body>a long attribute</body>",
            long(5000)
        ),
        format!("<a xmlns='urn:x'{numbered}/><body>many attributes</body>"),
        format!("<{} xmlns='urn:x'/><body>a long name</body>", long(1000)),
        format!("<a xmlns='urn:{}'/><body>a long namespace</body>", long(4090)),
        format!("<subject>{}</subject><body>a long subject</body>", long(50_000)),
        format!("<thread>{}</thread><body>a long thread</body>", long(50_000)),
        format!(
            "<nick xmlns='http://jabber.org/protocol/nick'>{}</nick><body>a long nickname</body>",
            long(50_000)
        ),
        format!(
            "<reactions xmlns='urn:xmpp:reactions:0' id='x'>{}</reactions>",
            many("<reaction>🌹</reaction>", 3000)
        ),
    ];
    contents
        .iter()
        .flat_map(|content| messages("weights", content))
        .collect()
}

/// Elements in elements.
fn nests() -> Vec<Hostile> {
    let depths = [1, 15, 29, 30, 31, 32, 33, 62, 100, 300, 800];
    let nested = depths.iter().flat_map(|depth| {
        ["a", "body", "forwarded"].map(|element| {
            let (start, end) = (format!("<{element}>"), format!("</{element}>"));
            format!(
                "<body>a nest of {depth}</body>{}{}",
                start.repeat(*depth),
                end.repeat(*depth)
            )
        })
    });
    nested.flat_map(|content| messages("nests", &content)).collect()
}

/// What is not the sender's to say.
fn forgeries() -> Vec<Hostile> {
    let copy = "<message xmlns='jabber:client' type='groupchat' from='capulet@rooms.example.com/Nurse' to='romeo@example.org'><body>forged</body></message>";
    let forwarded = format!("<forwarded xmlns='urn:xmpp:forward:0'>{copy}</forwarded>");
    let stamps = [
        "",
        "yesterday",
        "2001-01-01T00:00:00Z",
        "9999-99-99T99:99:99Z",
        "2026-01-01",
        "-0001-01-01T00:00:00Z",
    ];
    let delays = stamps.iter().flat_map(|stamp| {
        ["from='capulet@rooms.example.com'", "from='@'", ""]
            .map(|from| format!("<delay xmlns='urn:xmpp:delay' {from} stamp='{stamp}'/>"))
    });
    let others = [
        forwarded.clone(),
        forwarded.repeat(3),
        format!("<received xmlns='urn:xmpp:carbons:2'>{forwarded}</received>"),
        format!("<sent xmlns='urn:xmpp:carbons:2'>{forwarded}</sent>"),
        "<private xmlns='urn:xmpp:carbons:2'/>".to_owned(),
        format!("<result xmlns='urn:xmpp:mam:2' id='1' queryid='q'>{forwarded}</result>"),
        "<fin xmlns='urn:xmpp:mam:2' complete='true'/>".to_owned(),
        "<stanza-id xmlns='urn:xmpp:sid:0' by='capulet@rooms.example.com' id='x'/>".to_owned(),
        "<stanza-id xmlns='urn:xmpp:sid:0'/>".to_owned(),
        "<origin-id xmlns='urn:xmpp:sid:0' id=''/>".to_owned(),
        "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='that of Romeo'/>".to_owned(),
        "<occupant-id xmlns='urn:xmpp:occupant-id:0'/>".to_owned(),
        "<addresses xmlns='http://jabber.org/protocol/address'><address type='ofrom' jid='nurse@example.com'/></addresses>".to_owned(),
        "<retract xmlns='urn:xmpp:message-retract:1' id='x'><moderated xmlns='urn:xmpp:message-moderate:1' by='capulet@rooms.example.com/Nurse'/></retract>".to_owned(),
        "<apply-to xmlns='urn:xmpp:fasten:0' id='x'><moderated xmlns='urn:xmpp:message-moderate:0'/></apply-to>".to_owned(),
    ];
    let all = delays
        .chain(others)
        .map(|claim| format!("<body>a forgery</body>{claim}"));
    all.flat_map(|content| messages("forgeries", &content)).collect()
}

/// Addresses that are none, where a payload has one.
fn addresses() -> Vec<Hostile> {
    let long = format!("{}@example.com", "x".repeat(1100));
    let addresses = [
        "",
        "@",
        "a@",
        "@b",
        "a@b@c",
        "/",
        "a@b/",
        "//",
        "a b@c",
        "a@b c",
        "a@[::1]",
        "a@-b-",
        "ａ@ｂ",
        "\u{202e}@b",
        "a@b/\u{200b}",
        "a@b/\u{1f339}",
        "a\\20b@c",
        "'\"&<>@b",
        &long,
    ];
    let places = |address: &str| {
        let address = escape(address);
        [
            format!(
                "<x xmlns='{MUC}#user'><item jid='{address}' affiliation='member'/></x><body>an item</body>"
            ),
            format!("<stanza-id xmlns='urn:xmpp:sid:0' by='{address}' id='x'/><body>an id</body>"),
            format!("<reply xmlns='urn:xmpp:reply:0' to='{address}' id='x'/><body>a reply</body>"),
        ]
    };
    let all = addresses.iter().flat_map(|address| places(address));
    all.map(|content| message("addresses", "type='groupchat' id='h'", content))
        .collect()
}

/// Texts that are hard to show.
fn characters() -> Vec<Hostile> {
    let texts = [
        "\u{202e}desrever\u{202c}",
        "שלום עולם",
        "مرحبا",
        "a\u{200b}b\u{200d}c\u{feff}",
        "\u{200b}",
        "\u{feff}",
        "\u{2066}\u{2067}\u{2068}",
        "e\u{301}\u{301}\u{301}\u{301}",
        "\u{fdd0}\u{1fffe}\u{10ffff}",
        "\u{85}\u{2028}\u{2029}",
        "]]&gt;",
        "&lt;body&gt;&amp;lt;",
        "&#13;&#10;&#13;",
        "&#9;",
        " ",
        "\n",
        "\u{1f3f4}\u{e0067}\u{e0062}\u{e007f}",
        "\u{7f}\u{80}\u{9f}",
        "-------a786hjs2$",
        "MSRP a786hjs2 SEND",
        "From: &lt;sip:x@y&gt;\n\nx",
        "/me",
        "/me ",
        "&gt; quoted",
        "",
    ];
    let all = texts.iter().flat_map(|text| {
        [
            message(
                "characters",
                "type='groupchat' id='h'",
                format!("<body>{text}</body>"),
            ),
            message("characters", "type='chat' id='h'", format!("<body>{text}</body>")),
            message(
                "characters",
                "type='groupchat' id='h'",
                format!("<nick xmlns='http://jabber.org/protocol/nick'>{text}</nick><body>named</body>"),
            ),
        ]
    });
    all.collect()
}

/// Requests that nobody answers.
fn requests() -> Vec<Hostile> {
    let queries = [
        "<query xmlns='jabber:iq:roster'/>",
        "<query xmlns='jabber:iq:version'/>",
        "<query xmlns='jabber:iq:last'/>",
        "<query xmlns='jabber:iq:register'/>",
        "<query xmlns='jabber:iq:private'/>",
        "<vCard xmlns='vcard-temp'/>",
        "<time xmlns='urn:xmpp:time'/>",
        "<query xmlns='http://jabber.org/protocol/disco#info' node='no such'/>",
        "<query xmlns='http://jabber.org/protocol/disco#items'/>",
        "<query xmlns='http://jabber.org/protocol/bytestreams' sid='x'/>",
        "<open xmlns='http://jabber.org/protocol/ibb' sid='x' block-size='1'/>",
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='x'/>",
        "<command xmlns='http://jabber.org/protocol/commands' node='drain' action='execute'/>",
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Romeo' role='none'/></query>",
        "<query xmlns='urn:xmpp:mam:2'/>",
        "<ping xmlns='urn:xmpp:ping'/>",
        "<ping xmlns='urn:x'/>",
        "",
    ];
    let all = queries.iter().flat_map(|query| {
        ["get", "set", "result"].map(|kind| request(format!("type='{kind}' id='h'"), *query))
    });
    let odd = [
        request("type='get'", "<query xmlns='urn:x'/>"),
        request("id='h'", "<query xmlns='urn:x'/>"),
        request("type='odd' id='h'", "<query xmlns='urn:x'/>"),
        request("type='get' id='h'", "<a xmlns='urn:x'/><b xmlns='urn:x'/>"),
        request(
            "type='error' id='h'",
            "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
        ),
        request("type='error' id='h'", ""),
    ];
    all.chain(odd).collect()
}

/// Subjects with other things.
fn subjects() -> Vec<Hostile> {
    let subjects = [
        "<subject/>",
        "<subject>A</subject>",
        "<subject>A</subject><subject>B</subject>",
        "<subject xml:lang='de'>A</subject>",
        "<subject><b/>A</subject>",
    ];
    let beside = [
        "",
        "<body/>",
        "<body>with a body</body>",
        "<thread/>",
        "<thread>t</thread><body/>",
    ];
    let mixed = subjects
        .iter()
        .flat_map(|subject| beside.iter().map(move |other| format!("{subject}{other}")));
    mixed.flat_map(|content| messages("subjects", &content)).collect()
}

/// Presences that say something odd, or much.
fn presences() -> Vec<Hostile> {
    let presence = |attributes: &str, content: String| Hostile {
        kind: "presences",
        name: "presence",
        attributes: attributes.to_owned(),
        content,
        to: To::Room,
    };
    let contents = [
        "<show>asleep</show>".to_owned(),
        "<show/><show>away</show>".to_owned(),
        "<priority>1000</priority>".to_owned(),
        "<priority>x</priority>".to_owned(),
        "<status/>".repeat(500),
        format!("<status>{}</status>", "x".repeat(50_000)),
        "<c xmlns='http://jabber.org/protocol/caps' hash='' node='' ver=''/>".to_owned(),
        format!("<x xmlns='{MUC}#user'><item/></x>"),
        format!("<x xmlns='{MUC}#user'><status code='110'/><item jid='@' role='x'/></x>"),
        "<x xmlns='vcard-temp:x:update'><photo>no hash</photo></x>".to_owned(),
        "<a>".repeat(200) + &"</a>".repeat(200),
    ];
    let plain = contents.map(|content| presence("", content));
    let kinds = [
        "subscribe",
        "subscribed",
        "unsubscribe",
        "unsubscribed",
        "probe",
        "invisible",
        "bogus",
        "",
    ];
    let kinds = kinds.map(|kind| presence(&format!("type='{kind}'"), String::new()));
    plain.into_iter().chain(kinds).collect()
}

/// Payloads that SIP users are shown as text.
fn extensions() -> Vec<Hostile> {
    let bounds = [
        "start='0' end='5'",
        "start='-1' end='5'",
        "start='5' end='0'",
        "start='3' end='99999999999999999999'",
        "start='x'",
        "",
        "start='1' end='2'",
    ];
    let fallbacks = bounds.map(|range| {
        format!(
            "<body>🌹 fallback</body><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body {range}/></fallback>\
             <reply xmlns='urn:xmpp:reply:0' id='x' to='capulet@rooms.example.com/Romeo'/>"
        )
    });
    let others = [
        "<replace xmlns='urn:xmpp:message-correct:0'/><body>a correction</body>",
        "<replace xmlns='urn:xmpp:message-correct:0' id='1'/><replace xmlns='urn:xmpp:message-correct:0' id='2'/><body>two</body>",
        "<replace xmlns='urn:xmpp:message-correct:0' id='1'/>",
        "<reactions xmlns='urn:xmpp:reactions:0'/>",
        "<reactions xmlns='urn:xmpp:reactions:0' id='x'><reaction/><reaction>a long word</reaction></reactions>",
        "<retract xmlns='urn:xmpp:message-retract:1'/>",
        "<apply-to xmlns='urn:xmpp:fasten:0'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>",
        "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
        "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='x'/><payload>not base64</payload></encrypted><body>fallback</body>",
        "<openpgp xmlns='urn:xmpp:openpgp:0'>AAAA</openpgp>",
        "<x xmlns='jabber:x:encrypted'>AAAA</x><body>fallback</body>",
        "<encryption xmlns='urn:xmpp:eme:0' namespace='' name=''/><body>fallback</body>",
        "<x xmlns='jabber:x:oob'/>",
        "<x xmlns='jabber:x:oob'><url>javascript:alert(1)</url></x>",
        "<x xmlns='jabber:x:oob'><url/><desc/></x><body>a link</body>",
        "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'><script/></body></html><body>formatted</body>",
        "<composing xmlns='http://jabber.org/protocol/chatstates'/><paused xmlns='http://jabber.org/protocol/chatstates'/>",
        "<gone xmlns='http://jabber.org/protocol/chatstates'/>",
        "<sleeping xmlns='http://jabber.org/protocol/chatstates'/>",
        "<request xmlns='urn:xmpp:receipts'/><received xmlns='urn:xmpp:receipts' id='x'/>",
        "<displayed xmlns='urn:xmpp:chat-markers:0'/>",
        "<no-store xmlns='urn:xmpp:hints'/><no-store xmlns='urn:xmpp:hints'/>",
        "<poll xmlns='urn:nobody:knows'><option/></poll>",
        "",
    ];
    let all = fallbacks.into_iter().chain(others.map(str::to_owned));
    all.flat_map(|content| messages("extensions", &content)).collect()
}

/// Invitations that are none.
fn invitations() -> Vec<Hostile> {
    let contents = [
        "<x xmlns='jabber:x:conference'/>".to_owned(),
        "<x xmlns='jabber:x:conference' jid='@' reason=''/>".to_owned(),
        format!("<x xmlns='{MUC}#user'><invite/></x>"),
        format!("<x xmlns='{MUC}#user'><invite from='@' to='@'><reason/></invite></x>"),
        format!("<x xmlns='{MUC}#user'><decline/></x>"),
        format!("<x xmlns='{MUC}#user'><decline from='@'><reason/><reason/></decline></x>"),
        format!("<x xmlns='{MUC}#user'><password/><password/></x>"),
        "<x xmlns='jabber:x:data' type='form'><field var='muc#role'/></x>".to_owned(),
    ];
    contents
        .iter()
        .flat_map(|content| messages("invitations", content))
        .collect()
}

/// Errors that nobody has caused. A room may throw their sender out.
fn errors() -> Vec<Hostile> {
    let contents = CONDITIONS.map(|condition| {
        format!("<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
    });
    let odd = [
        "",
        "<error/>",
        "<error type='odd'/><error/>",
        "<error type='cancel' code='9999'><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
    ];
    let all = contents.into_iter().chain(odd.map(str::to_owned));
    all.flat_map(|content| {
        [
            message("errors", "type='error' id='h'", content.as_str()),
            message(
                "errors",
                "type='error'",
                format!("<body>an error of an error</body>{content}"),
            ),
        ]
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::stanza::read_stream;

    #[test]
    fn there_are_more_than_five_hundred_and_each_is_one_well_formed_stanza() {
        let all: Vec<_> = table().concat();
        assert!(all.len() > 500, "{}", all.len());
        for stanza in all {
            let (sender, stanzas) = std::sync::mpsc::channel();
            let written = format!("<stream>{}<presence/>", stanza.of_room("a@b/'c'", "d@e"));
            read_stream(written.as_bytes(), &sender);
            drop(sender);
            let names: Vec<String> = stanzas.iter().map(|stanza| stanza.name).collect();
            assert_eq!(names, ["stream", stanza.name, "presence"], "{stanza:?}");
        }
    }
}
