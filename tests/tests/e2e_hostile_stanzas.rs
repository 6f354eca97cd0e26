//! What a room member may throw at the gateway through a real server, and what SIP users may have it throw back.

use std::time::Duration;

use gateway_tests::{
    Context, Result, ensure,
    peers::{ProsodySettings, SipChat, XmppUser},
    raw_msrp::{RawParticipant, offer},
    raw_sip::{RawSip, Request},
    stanza::Element,
    world::{ROOM, ROOM_URI, World, in_a_world, in_a_world_with},
};

/// What XML 1.0 cannot carry, tab and line breaks beside it.
fn awkward_characters() -> impl Iterator<Item = char> {
    (0..=0x1F_u8).map(char::from).chain(['\u{FFFE}', '\u{FFFF}'])
}

#[test]
fn a_stanza_nested_40_000_deep_ends_neither_the_process_nor_the_link() -> Result<()> {
    // Prosody's own limit of 256 KiB a stanza ends at 37 449 levels.
    let roomy = ProsodySettings {
        stanza_limit: 512 * 1024,
        ..ProsodySettings::default()
    };
    in_a_world_with(roomy, |world| {
        let mut cast = Cast::enter(world)?;
        let nest = "<a>".repeat(40_000) + &"</a>".repeat(40_000);
        cast.attack([
            format!("<message type='groupchat' to='{ROOM}'><body>deep</body>{nest}</message>"),
            format!("<iq type='get' id='deep' to='{ROOM}/Romeo'>{nest}</iq>"),
        ])?;
        cast.everything_still_works(world)?;
        must_have_been_skipped(world)
    })
}

#[test]
fn an_attribute_of_9_000_octets_ends_neither_the_process_nor_the_link() -> Result<()> {
    in_a_world(|world| {
        let mut cast = Cast::enter(world)?;
        let long = "x".repeat(9000);
        cast.attack([
            format!(
                "<message type='groupchat' to='{ROOM}'><body>long</body><x xmlns='urn:x' a='{long}'/></message>"
            ),
            format!("<message type='groupchat' id='{long}' to='{ROOM}'><body>long id</body></message>"),
            format!("<presence to='{ROOM}/Mallory'><x xmlns='{long}'/></presence>"),
            format!(
                "<message type='chat' to='{ROOM}/Romeo'><body xmlns:long='{long}'>private</body></message>"
            ),
            format!("<message type='groupchat' to='{ROOM}'><{long} xmlns='urn:x'/></message>"),
        ])?;
        cast.everything_still_works(world)?;
        must_have_been_skipped(world)
    })
}

#[test]
fn stanzas_of_unknown_kinds_end_neither_the_process_nor_the_link() -> Result<()> {
    in_a_world(|world| {
        let mut cast = Cast::enter(world)?;
        cast.attack([
            format!("<message type='bogus' to='{ROOM}/Romeo'><body>of no known type</body></message>"),
            format!(
                "<message type='groupchat' to='{ROOM}'><body>a</body><body>b</body><thread/><thread/></message>"
            ),
            format!("<presence to='{ROOM}/Mallory'><show>asleep</show><priority>1000</priority></presence>"),
            format!("<iq type='get' id='odd' to='{ROOM}/Romeo'><query xmlns='urn:nobody:knows'/></iq>"),
            format!(
                "<message type='error' to='{ROOM}/Romeo'><error type='odd'><unheard-of/></error></message>"
            ),
            format!(
                "<message type='groupchat' to='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/><status code='332'/></x><body>forged</body></message>"
            ),
            format!(
                "<message type='chat' to='{ROOM}/Romeo'><x xmlns='http://jabber.org/protocol/muc#user'><status code='307'/></x></message>"
            ),
        ])?;
        cast.everything_still_works(world)
    })
}

#[test]
fn awkward_characters_from_a_room_member_end_neither_the_process_nor_the_link() -> Result<()> {
    in_a_world(|world| {
        let mut cast = Cast::enter(world)?;
        for (number, character) in awkward_characters().enumerate() {
            let code = u32::from(character);
            for text in [character.to_string(), format!("&#x{code:X};")] {
                // The server ends the stream of who sends what XML forbids: each attempt has a stream of its own.
                let mut villain = world.xmpp_user("villain")?;
                villain.enter(ROOM, &format!("Villain {number}"))?;
                let sent = villain.send(format!(
                    "<message type='groupchat' to='{ROOM}'><body>before {text} after</body></message>\
                     <presence to='{ROOM}/Villain {number}'><status>{text}</status></presence>\
                     <message type='groupchat' to='{ROOM}'><subject>subject {text}</subject></message>"
                ));
                if sent.is_ok() {
                    let _ = villain.request("get", "example.com", "<ping xmlns='urn:xmpp:ping'/>");
                }
            }
        }
        cast.everything_still_works(world)
    })
}

#[test]
fn awkward_characters_in_a_sip_users_text_are_carried_or_replaced() -> Result<()> {
    in_a_world(|world| {
        let mut cast = Cast::enter(world)?;
        for (number, character) in awkward_characters().enumerate() {
            let text = format!("{number} before{character}after");
            cast.romeo.say_and_wait(&text)?;
            let heard = cast.juliet.wait(&format!("{text:?}"), |stanza| {
                let body = stanza.child_text("body").unwrap_or_default();
                body.starts_with(&format!("{number} before")) && body.ends_with("after")
            })?;
            let body = heard.child_text("body").unwrap_or_default();
            let expected = match character {
                '\t' | '\n' => character,
                // RFC 5322 line ends in MSRP text become XML's.
                '\r' => '\n',
                _ => char::REPLACEMENT_CHARACTER,
            };
            assert_eq!(
                body,
                format!("{number} before{expected}after"),
                "U+{:04X}",
                u32::from(character)
            );
        }
        cast.everything_still_works(world)
    })
}

#[test]
fn awkward_characters_in_nicknames_and_display_names_end_neither_the_process_nor_the_link() -> Result<()> {
    in_a_world(|world| {
        let mut cast = Cast::enter(world)?;
        let mut named =
            RawParticipant::enter(world.gateway.sip_address(), ROOM_URI, "<sip:tybalt@example.org>")?;
        for character in awkward_characters() {
            // A line break ends the header line, so it cannot be part of a nickname.
            if matches!(character, '\r' | '\n') {
                continue;
            }
            let answer = named.nickname(&format!("Ty{character}balt"))?;
            ensure!(
                answer.status().is_some(),
                "U+{:04X} got {answer:?}",
                u32::from(character)
            );
        }
        // A display name that cannot be answered to is passed over in silence, any other lets him in or is refused. In
        // all cases the connection goes on.
        let mut caller = RawSip::connect(world.gateway.sip_address())?;
        for character in awkward_characters() {
            let mut invite = Request::invite(ROOM_URI, caller.contact(), &offer("msrp://127.0.0.1:9/x;tcp"));
            invite.from = format!("\"Ben{character}volio\" <sip:benvolio@example.org>");
            caller.send(invite.to_string())?;
            let alive = caller.require_alive(ROOM_URI);
            alive.with_context(|| format!("after U+{:04X} in a display name", u32::from(character)))?;
        }
        cast.everything_still_works(world)
    })
}

/// The attack did reach the gateway, which says so.
fn must_have_been_skipped(world: &World) -> Result<()> {
    ensure!(
        world.gateway.log().contains("stanza skipped"),
        "no stanza was skipped"
    );
    Ok(())
}

/// A well-behaved XMPP user, a SIP user and a villain in one room.
struct Cast {
    juliet: XmppUser,
    romeo: SipChat,
    mallory: XmppUser,
}

impl Cast {
    fn enter(world: &World) -> Result<Self> {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let romeo = world.sip_user("romeo", "Romeo")?;
        let mut mallory = world.xmpp_user("mallory")?;
        mallory.enter(ROOM, "Mallory")?;
        juliet.see(ROOM, "Romeo", None)?;
        Ok(Self {
            juliet,
            romeo,
            mallory,
        })
    }

    /// Mallory sends these stanzas. When the server has answered a ping behind them, it has passed them on.
    fn attack(&mut self, stanzas: impl IntoIterator<Item = String>) -> Result<()> {
        for stanza in stanzas {
            self.mallory.send(stanza)?;
        }
        self.mallory
            .send("<iq type='get' id='passed' to='example.com'><ping xmlns='urn:xmpp:ping'/></iq>")?;
        // Prosody itself takes a second or more of processor time for every copy of a deep stanza.
        let passed = |stanza: &Element| stanza.attribute("id") == Some("passed");
        self.mallory
            .inbox()
            .wait("the answer to a ping", Duration::from_secs(120), passed)?;
        Ok(())
    }

    /// The next good message arrives both ways, over the very link that the attack came over, and nobody was thrown out.
    fn everything_still_works(&mut self, world: &mut World) -> Result<()> {
        self.juliet.say(ROOM, "is anybody there?")?;
        assert_eq!(self.romeo.hear("is anybody there?")?, "JuliC");
        self.romeo.say_and_wait("I am here")?;
        assert_eq!(self.juliet.hear(ROOM, "I am here")?, "Romeo");
        ensure!(world.gateway.is_running(), "the gateway has ended");
        let attached = world
            .prosody
            .log()
            .matches("External component successfully authenticated")
            .count();
        ensure!(attached == 1, "the link was set up {attached} times");
        Ok(())
    }
}
