use super::*;

fn face() -> Terminal {
    Terminal::new(false, false, TimeZone::UTC)
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn said(line: &str) -> Typed {
    Typed::Command(Command::Say {
        text: text(line),
        reference: None,
    })
}

fn whispered(to: &str, line: &str) -> Typed {
    Typed::Command(Command::Whisper {
        to: text(to),
        text: text(line),
        reference: None,
    })
}

#[test]
fn what_is_typed_is_said_unless_it_begins_with_a_slash() {
    let nick = |nickname: &str| {
        Typed::Command(Command::Rename {
            nickname: text(nickname),
        })
    };
    let table = [
        ("hello, world", said("hello, world")),
        ("  indented", said("  indented")),
        ("//me waves", said("/me waves")),
        ("   ", Typed::Nothing),
        ("", Typed::Nothing),
        ("/who", Typed::Command(Command::Roster)),
        ("/quit", Typed::Command(Command::Quit)),
        ("/nick First Witch ", nick("First Witch")),
        ("/msg Juliet come here", whispered("Juliet", "come here")),
        ("/msg \"First Witch\" hail", whispered("First Witch", "hail")),
        ("/help", Typed::Print(text(HELP))),
    ];
    for (line, typed) in table {
        assert_eq!(face().read(line), typed, "{line:?}");
    }
}

#[test]
fn a_command_that_makes_no_sense_is_told() {
    for line in [
        "/dance",
        "/",
        "/nick",
        "/msg",
        "/msg Juliet",
        "/msg \"First Witch hail",
        "/msg \"\" hail",
        "/invite",
        "/quit now",
    ] {
        assert!(
            matches!(face().read(line), Typed::Answer(Event::Error { .. })),
            "{line:?}"
        );
    }
}

#[test]
fn a_message_shows_time_nickname_and_whether_it_is_private() {
    let mut face = face();
    let at: Timestamp = "2026-11-20T23:05:59Z".parse().unwrap();
    let message = |line: &str, private| Event::Message {
        from: text("Juliet"),
        text: text(line),
        private,
        at,
    };
    assert_eq!(face.show(&message("hello", false)), "23:05 <Juliet> hello\n");
    assert_eq!(
        face.show(&message("psst", true)),
        "23:05 [private] <Juliet> psst\n"
    );
    assert_eq!(
        face.show(&message("a\r\nb", false)),
        "23:05 <Juliet> a\n      b\n"
    );
    let sent = |to: Option<&str>| Event::Sent {
        reference: None,
        to: to.map(text),
        text: text("hello"),
        at,
    };
    assert_eq!(face.show(&sent(None)), "23:05 <you> hello\n");
    face.show(&Event::Nick {
        nickname: text("Romeo"),
    });
    assert_eq!(
        face.show(&sent(Some("Nurse"))),
        "23:05 [to Nurse] <Romeo> hello\n"
    );
}

#[test]
fn nothing_that_a_peer_wrote_can_command_the_terminal() {
    let hostile = "a\x1b[2J\u{9b}2J\x07\u{202e}b\u{2066}\0";
    let at = Timestamp::UNIX_EPOCH;
    let events = [
        Event::Message {
            from: text(&format!("{hostile}\n12:00 <Nurse> lies")),
            text: text(hostile),
            private: false,
            at,
        },
        Event::Joined { nick: text(hostile) },
        Event::Roster {
            users: vec![text(hostile)],
        },
        Event::Subject { text: text(hostile) },
        Event::Ended {
            cause: EndCause::Bye,
            code: Some(403),
            reason: Some(text(hostile)),
        },
        Event::Refused {
            refusal: Refusal::new(499, hostile),
        },
    ];
    for event in events {
        let shown = face().show(&event);
        let body = shown.strip_suffix('\n').unwrap();
        assert!(!body.chars().any(char::is_control), "{shown:?}");
        assert!(!shown.contains(['\u{202e}', '\u{2066}']), "{shown:?}");
    }
}

#[test]
fn refusals_are_told_in_words() {
    let cases = [
        (
            Event::NickRefused {
                nickname: text("Juliet"),
                refusal: Refusal::new(425, "x"),
            },
            "* you cannot be \"Juliet\": somebody else has this nickname\n",
        ),
        (
            Event::Failed {
                reference: None,
                to: Some(text("Nurse")),
                text: text("hail"),
                refusal: Refusal::new(404, "x"),
            },
            "* not delivered: \"hail\": nobody of that name is here\n",
        ),
        (
            Event::Refused {
                refusal: Refusal::new(403, "Forbidden"),
            },
            "* the room did not let you in: you may not enter it (403 Forbidden)\n",
        ),
        (
            Event::Ended {
                cause: EndCause::Bye,
                code: Some(403),
                reason: Some(text("banned")),
            },
            "* the room has ended your stay: banned (403)\n",
        ),
    ];
    for (event, words) in cases {
        assert_eq!(face().show(&event), words);
    }
}

#[test]
fn on_a_terminal_the_line_being_typed_is_cleared_first() {
    let mut face = Terminal::new(true, true, TimeZone::UTC);
    let shown = face.show(&Event::Joined { nick: text("Nurse") });
    assert_eq!(shown, "\r\x1b[K\x1b[2m* Nurse has come in\x1b[0m\n");
    assert_eq!(face.prompt(), "> ");
}
