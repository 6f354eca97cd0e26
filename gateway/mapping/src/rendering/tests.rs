use xmpp::{
    Jid,
    stanza::{Encryption, Extras, Fallback, Link, Message, MessageKind, Retraction},
};

use super::text;
use crate::Texts;

const REPLY: &str = "urn:xmpp:reply:0";
const REACTIONS: &str = "urn:xmpp:reactions:0";

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

fn from(from: &str, body: Option<&str>, extras: Extras) -> Message {
    Message {
        from: jid(from),
        to: jid("romeo@example.org/sip"),
        id: None,
        kind: MessageKind::Groupchat,
        body: body.map(str::to_owned),
        subject: None,
        has_thread: false,
        muc: None,
        delay: None,
        stanza_ids: Vec::new(),
        error: None,
        extras,
    }
}

fn juliet(body: Option<&str>, extras: Extras) -> Message {
    from("capulet@rooms.example.com/Juliet", body, extras)
}

fn room(body: Option<&str>, extras: Extras) -> Message {
    from("capulet@rooms.example.com", body, extras)
}

fn nothing() -> Texts {
    Texts {
        actions: false,
        corrections: false,
        replies: false,
        reactions: false,
        retractions: false,
        links: false,
        encrypted: false,
        languages: Vec::new(),
    }
}

/// What is shown with everything on, and with everything off.
fn shown(message: &Message) -> (Option<String>, Option<String>) {
    (text(message, &Texts::default()), text(message, &nothing()))
}

fn check(message: &Message, on: Option<&str>, off: Option<&str>) {
    assert_eq!(
        shown(message),
        (on.map(str::to_owned), off.map(str::to_owned)),
        "{message:?}"
    );
}

fn reply(author: Option<&str>, range: Option<(usize, usize)>) -> Extras {
    Extras {
        replies_to: Some(author.map(jid)),
        fallbacks: range
            .map(|range| Fallback {
                of: Some(REPLY.to_owned()),
                range: Some(range),
            })
            .into_iter()
            .collect(),
        ..Extras::default()
    }
}

fn reactions(reactions: &[&str]) -> Extras {
    Extras {
        reactions: Some(reactions.iter().map(|text| (*text).to_owned()).collect()),
        ..Extras::default()
    }
}

fn link(url: &str, description: Option<&str>) -> Extras {
    Extras {
        links: vec![Link {
            url: url.to_owned(),
            description: description.map(str::to_owned),
        }],
        ..Extras::default()
    }
}

#[test]
fn plain_text_is_shown_as_it_is() {
    for body in ["Good night", "", "/mention", "/me", "(corrected) ", "?O", "a\nb"] {
        check(&juliet(Some(body), Extras::default()), Some(body), Some(body));
    }
    check(&juliet(None, Extras::default()), None, None);
}

#[test]
fn xep_0245_an_action_names_who_acts() {
    let action = juliet(Some("/me waves"), Extras::default());
    check(&action, Some("* Juliet waves"), Some("/me waves"));
    let by_the_room = room(Some("/me waves"), Extras::default());
    check(&by_the_room, Some("/me waves"), Some("/me waves"));
}

// Rows: CXMPP-25
#[test]
fn xep_0308_a_correction_is_shown_as_such() {
    let extras = Extras {
        corrects: true,
        ..Extras::default()
    };
    check(
        &juliet(Some("nine o'clock"), extras),
        Some("(corrected) nine o'clock"),
        Some("nine o'clock"),
    );
}

#[test]
fn xep_0461_a_reply_shows_what_it_answers_once() {
    let quoted = "> Romeo:\n> Shall I?\nYes, ü";
    let answer = || reply(Some("capulet@rooms.example.com/Romeo"), None);
    check(
        &juliet(
            Some(quoted),
            reply(Some("capulet@rooms.example.com/Romeo"), Some((0, 20))),
        ),
        Some(quoted),
        Some("Yes, ü"),
    );
    check(
        &juliet(Some("Yes"), answer()),
        Some("(in reply to Romeo) Yes"),
        Some("Yes"),
    );
    check(&juliet(Some("Yes"), reply(None, None)), Some("Yes"), Some("Yes"));
    check(
        &juliet(Some("Yes"), reply(Some("capulet@rooms.example.com"), None)),
        Some("Yes"),
        Some("Yes"),
    );
    let corrected = Extras {
        corrects: true,
        ..answer()
    };
    check(
        &juliet(Some("No"), corrected),
        Some("(corrected) (in reply to Romeo) No"),
        Some("No"),
    );
}

#[test]
fn xep_0428_a_range_that_the_text_does_not_have_takes_nothing_more_than_there_is() {
    let ranges = [
        ((0, usize::MAX), ""),
        ((2, 1), "abc"),
        ((3, 9), "abc"),
        ((1, 2), "ac"),
        ((usize::MAX, usize::MAX), "abc"),
    ];
    for (range, left) in ranges {
        check(
            &juliet(Some("abc"), reply(None, Some(range))),
            Some("abc"),
            Some(left),
        );
    }
}

#[test]
fn xep_0444_reactions_are_a_notice_unless_something_else_is_said() {
    check(
        &juliet(None, reactions(&["👍", "🎉"])),
        Some("(reacts with 👍 🎉)"),
        None,
    );
    check(
        &juliet(None, reactions(&[])),
        Some("(takes back a reaction)"),
        None,
    );
    let mut with_fallback = reactions(&["👍"]);
    with_fallback.fallbacks.push(Fallback {
        of: Some(REACTIONS.to_owned()),
        range: None,
    });
    check(
        &juliet(Some("> Shall I?\n👍"), with_fallback),
        Some("(reacts with 👍)"),
        None,
    );
    check(
        &juliet(Some("Well said"), reactions(&["👍"])),
        Some("Well said"),
        Some("Well said"),
    );
}

// Rows: CXMPP-25
#[test]
fn xep_0424_a_withdrawn_message_is_a_notice() {
    let extras = Extras {
        retraction: Some(Retraction::default()),
        ..Extras::default()
    };
    check(
        &juliet(Some("This person attempted to retract a message"), extras),
        Some("(withdraws an earlier message)"),
        None,
    );
}

// Rows: CXMPP-25
#[test]
fn xep_0425_only_the_room_moderates() {
    let moderated = |by: Option<&str>, reason: Option<&str>| Extras {
        retraction: Some(Retraction {
            moderated: true,
            by: by.map(jid),
            reason: reason.map(str::to_owned),
        }),
        ..Extras::default()
    };
    let nurse = Some("capulet@rooms.example.com/Nurse");
    check(
        &room(None, moderated(nurse, Some("Spam"))),
        Some("(an earlier message was removed by the moderator Nurse: Spam)"),
        None,
    );
    check(
        &room(None, moderated(None, None)),
        Some("(an earlier message was removed by a moderator)"),
        None,
    );
    check(&juliet(None, moderated(nurse, None)), None, None);
    check(
        &juliet(Some("forged"), moderated(nurse, None)),
        Some("forged"),
        Some("forged"),
    );
}

// Rows: CXMPP-26
#[test]
fn xep_0066_a_link_is_shown_once() {
    let url = "https://example.com/rose.png";
    check(&juliet(Some(url), link(url, None)), Some(url), Some(url));
    check(&juliet(None, link(url, None)), Some(url), None);
    check(
        &juliet(None, link(url, Some("A rose"))),
        Some("A rose: https://example.com/rose.png"),
        None,
    );
    check(
        &juliet(Some("Look"), link(url, None)),
        Some("Look\nhttps://example.com/rose.png"),
        Some("Look"),
    );
}

// Rows: G7702-08
#[test]
fn ciphertext_is_never_shown() {
    let kinds = [
        (Encryption::Omemo, " with OMEMO"),
        (Encryption::Otr, " with OTR"),
        (Encryption::OpenPgp, " with OpenPGP"),
        (Encryption::Other, ""),
    ];
    for (encryption, method) in kinds {
        let extras = || Extras {
            encryption: Some(encryption),
            ..Extras::default()
        };
        let notice = format!("(a message encrypted{method}, which cannot be shown here)");
        check(&juliet(Some("?OTR:AAMDJ+"), extras()), Some(&notice), None);
        check(&juliet(None, extras()), Some(&notice), None);
    }
}

// Rows: C757X-16
#[test]
fn the_preferred_language_is_chosen_and_the_first_text_otherwise() {
    let bodies = [("en", "Good night"), ("de-AT", "Gute Nacht"), ("", "…")];
    let extras = Extras {
        bodies: bodies
            .map(|(language, text)| (language.to_owned(), text.to_owned()))
            .into(),
        ..Extras::default()
    };
    let message = juliet(Some("Good night"), extras);
    let choices: [(&[&str], &str); 6] = [
        (&[], "Good night"),
        (&["de"], "Gute Nacht"),
        (&["DE-at", "en"], "Gute Nacht"),
        (&["de-CH", "fr"], "Good night"),
        (&["fr", "de"], "Gute Nacht"),
        (&["d"], "Good night"),
    ];
    for (languages, expected) in choices {
        let show = Texts {
            languages: languages.iter().map(|language| (*language).to_owned()).collect(),
            ..Texts::default()
        };
        assert_eq!(text(&message, &show).as_deref(), Some(expected), "{languages:?}");
    }
}

/// A switch, something it is about, and how that is shown with it on and off.
type Switch = (
    fn(&mut Texts) -> &mut bool,
    Message,
    Option<&'static str>,
    Option<&'static str>,
);

fn switches() -> Vec<Switch> {
    // A switch that is added is named here, and has a line below.
    let Texts {
        actions: _,
        corrections: _,
        replies: _,
        reactions: _,
        retractions: _,
        links: _,
        encrypted: _,
        languages: _,
    } = Texts::default();
    let corrected = Extras {
        corrects: true,
        ..Extras::default()
    };
    let withdrawn = Extras {
        retraction: Some(Retraction::default()),
        ..Extras::default()
    };
    let encrypted = Extras {
        encryption: Some(Encryption::Omemo),
        ..Extras::default()
    };
    let url = "https://example.com/rose.png";
    let romeo = Some("capulet@rooms.example.com/Romeo");
    vec![
        (
            |texts| &mut texts.actions,
            juliet(Some("/me waves"), Extras::default()),
            Some("* Juliet waves"),
            Some("/me waves"),
        ),
        (
            |texts| &mut texts.corrections,
            juliet(Some("at nine"), corrected),
            Some("(corrected) at nine"),
            Some("at nine"),
        ),
        (
            |texts| &mut texts.replies,
            juliet(Some("Yes"), reply(romeo, None)),
            Some("(in reply to Romeo) Yes"),
            Some("Yes"),
        ),
        (
            |texts| &mut texts.reactions,
            juliet(None, reactions(&["👍"])),
            Some("(reacts with 👍)"),
            None,
        ),
        (
            |texts| &mut texts.retractions,
            juliet(None, withdrawn),
            Some("(withdraws an earlier message)"),
            None,
        ),
        (
            |texts| &mut texts.links,
            juliet(Some("Look"), link(url, None)),
            Some("Look\nhttps://example.com/rose.png"),
            Some("Look"),
        ),
        (
            |texts| &mut texts.encrypted,
            juliet(Some("?OTR:AAMDJ+"), encrypted),
            Some("(a message encrypted with OMEMO, which cannot be shown here)"),
            None,
        ),
    ]
}

#[test]
fn each_switch_alone_turns_on_and_off_what_it_is_about_and_nothing_else() {
    let switches = switches();
    for (turned, (switch, ..)) in switches.iter().enumerate() {
        for (mut texts, others_are_on) in [(Texts::default(), true), (nothing(), false)] {
            *switch(&mut texts) = !others_are_on;
            for (number, (_, message, on, off)) in switches.iter().enumerate() {
                let is_on = others_are_on != (number == turned);
                let expected = if is_on { on } else { off };
                assert_eq!(text(message, &texts).as_deref(), *expected, "{texts:?}");
            }
        }
    }
}
