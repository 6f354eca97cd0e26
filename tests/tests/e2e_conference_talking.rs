//! What is said between XMPP users and a conference of the SIP side (RFC 7702 §5.5, §5.6).

use gateway_tests::{
    Result,
    conference_world::{CONFERENCE, CONFERENCE_JID, in_a_conference_world, in_a_conference_world_with},
    ensure, on_each_xmpp_server,
    peers::{
        XmppServerKind, XmppUser,
        sip_chat::{code, field},
        xmpp_user::is_said,
    },
};

on_each_xmpp_server!(
    rfc7702_section_5_5_1_public_messages_reach_everybody_once,
    rfc7702_section_5_5_2_private_messages_reach_nobody_else,
    rfc7702_section_5_5_long_messages_arrive_whole_or_are_refused,
    rfc7702_section_5_6_nicknames_change_on_either_side,
    what_the_switch_refuses_is_told_to_the_sender,
    what_was_said_before_comes_with_its_time,
);

fn said(user: &mut XmppUser, text: &str) -> usize {
    let heard = user.inbox().history().iter();
    heard
        .filter(|stanza| is_said(stanza, CONFERENCE_JID, text))
        .count()
}

fn rfc7702_section_5_5_1_public_messages_reach_everybody_once(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut juliet = world.xmpp_user("juliet")?;
        let mut tybalt = world.xmpp_user("tybalt")?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        tybalt.enter(CONFERENCE_JID, "Tybalt")?;
        romeo.await_occupant("Tybalt")?;
        let texts = [
            "Who knows where Romeo is?",
            "🌹💔 <&> \"quoted\"",
            "مرحبا يا روميو",
            "שלום\nsecond line",
            "👩‍👩‍👧‍👦 e\u{301} ＷＩＤＥ",
        ];
        for text in texts {
            juliet.say(CONFERENCE_JID, text)?;
            ensure!(
                juliet.hear(CONFERENCE_JID, text)? == "JuliC",
                "the reflection of {text:?}"
            );
            ensure!(tybalt.hear(CONFERENCE_JID, text)? == "JuliC", "{text:?}");
            ensure!(romeo.hear(text)? == "JuliC", "{text:?}");
            let answer = format!("{text} — indeed");
            romeo.say_and_wait(&answer)?;
            ensure!(juliet.hear(CONFERENCE_JID, &answer)? == "Romeo", "{answer:?}");
            ensure!(tybalt.hear(CONFERENCE_JID, &answer)? == "Romeo", "{answer:?}");
        }
        for number in 0..50 {
            juliet.say(CONFERENCE_JID, &format!("juliet {number}"))?;
            romeo.say(&format!("romeo {number}"))?;
        }
        for number in 0..50 {
            let (ours, theirs) = (format!("juliet {number}"), format!("romeo {number}"));
            juliet.hear(CONFERENCE_JID, &ours)?;
            tybalt.hear(CONFERENCE_JID, &ours)?;
            romeo.hear(&ours)?;
            juliet.hear(CONFERENCE_JID, &theirs)?;
            tybalt.hear(CONFERENCE_JID, &theirs)?;
        }
        for number in 0..50 {
            for text in [format!("juliet {number}"), format!("romeo {number}")] {
                ensure!(
                    said(&mut juliet, &text) == 1 && said(&mut tybalt, &text) == 1,
                    "{text:?} came twice"
                );
            }
        }
        let order: Vec<String> = romeo
            .inbox()
            .history()
            .iter()
            .filter(|event| field(event, "event") == "message")
            .filter_map(|event| field(event, "text").strip_prefix("juliet ").map(str::to_owned))
            .collect();
        let expected: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        ensure!(order == expected, "RFC 6120 §10.1: {order:?}");
        Ok(())
    })
}

fn rfc7702_section_5_5_2_private_messages_reach_nobody_else(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        for entities in ["plain", "gruu", "nickname"] {
            world.restart_conference(&["--entities", entities])?;
            let mut romeo = world.sip_user("romeo", "Romeo")?;
            let mut nurse = world.sip_user("nurse", "Nurse")?;
            let mut juliet = world.xmpp_user("juliet")?;
            let mut tybalt = world.xmpp_user("tybalt")?;
            juliet.enter(CONFERENCE_JID, "JuliC")?;
            tybalt.enter(CONFERENCE_JID, "Tybalt")?;
            romeo.await_occupant("Tybalt")?;
            juliet.whisper(CONFERENCE_JID, "Romeo", "wherefore art thou?")?;
            ensure!(
                romeo.hear_privately("wherefore art thou?")? == "JuliC",
                "{entities}"
            );
            romeo.whisper("JuliC", "here")?;
            ensure!(
                juliet.hear_privately(CONFERENCE_JID, "here")? == "Romeo",
                "{entities}"
            );
            juliet.whisper(CONFERENCE_JID, "Tybalt", "go away")?;
            ensure!(
                tybalt.hear_privately(CONFERENCE_JID, "go away")? == "JuliC",
                "{entities}"
            );
            juliet.whisper(CONFERENCE_JID, "Mercutio", "nobody")?;
            let condition = juliet.refused_message(&format!("{CONFERENCE_JID}/Mercutio"))?;
            ensure!(condition == "item-not-found", "{condition}");
            // Whatever was to come has come when this has.
            romeo.say_and_wait("the end")?;
            nurse.hear("the end")?;
            tybalt.hear(CONFERENCE_JID, "the end")?;
            let leaked = |text: &str| ["wherefore art thou?", "here", "go away", "nobody"].contains(&text);
            let nurse_heard = nurse
                .inbox()
                .history()
                .iter()
                .any(|event| leaked(field(event, "text")));
            let tybalt_heard = tybalt.inbox().history().iter().any(|stanza| {
                stanza
                    .child_text("body")
                    .is_some_and(|text| leaked(text) && text != "go away")
            });
            ensure!(
                !nurse_heard && !tybalt_heard,
                "{entities}: a private message leaked"
            );
        }
        world.restart_conference(&["--no-private-messages"])?;
        let _romeo = world.sip_user("romeo", "Romeo")?;
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        juliet.whisper(CONFERENCE_JID, "Romeo", "psst")?;
        let condition = juliet.refused_message(&format!("{CONFERENCE_JID}/Romeo"))?;
        ensure!(condition == "feature-not-implemented", "{condition}");
        Ok(())
    })
}

/// The longest text in either direction is 64 KiB by default.
fn rfc7702_section_5_5_long_messages_arrive_whole_or_are_refused(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        for text in ["x".repeat(65_536), "é".repeat(32_768), "🌹".repeat(16_384)] {
            juliet.say(CONFERENCE_JID, &text)?;
            romeo.hear(&text)?;
            juliet.hear(CONFERENCE_JID, &text)?;
            romeo.say_and_wait(&text)?;
            juliet.wait("the long message", |stanza| {
                is_said(stanza, CONFERENCE_JID, &text) && stanza.from_resource() == Some("Romeo")
            })?;
        }
        let too_long = "y".repeat(64 * 1024 + 1);
        juliet.say(CONFERENCE_JID, &too_long)?;
        let condition = juliet.refused_message(CONFERENCE_JID)?;
        ensure!(condition == "policy-violation", "{condition}");
        romeo.say_and_wait("still here")?;
        juliet.hear(CONFERENCE_JID, "still here")?;
        Ok(())
    })
}

fn rfc7702_section_5_6_nicknames_change_on_either_side(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        romeo.await_occupant("JuliC")?;
        juliet.rename(CONFERENCE_JID, "CapuletGirl")?;
        let former = juliet.see(CONFERENCE_JID, "JuliC", Some("unavailable"))?;
        ensure!(
            former.has_status("303") && former.has_status("110"),
            "{former:#?}"
        );
        ensure!(juliet.see(CONFERENCE_JID, "CapuletGirl", None)?.has_status("110"));
        romeo.wait_for("renamed", |event| {
            field(event, "old") == "JuliC" && field(event, "new") == "CapuletGirl"
        })?;
        juliet.rename(CONFERENCE_JID, "ROMEO")?;
        let refusal = juliet.see(CONFERENCE_JID, "ROMEO", Some("error"))?;
        let conflict = refusal.child("error").and_then(|error| error.child("conflict"));
        ensure!(conflict.is_some(), "{refusal:#?}");
        romeo.rename("Montague")?;
        romeo.wait("nick")?;
        juliet.see(CONFERENCE_JID, "Romeo", Some("unavailable"))?;
        juliet.see(CONFERENCE_JID, "Montague", None)?;
        romeo.rename("capuletgirl")?;
        let refused = romeo.wait("nick_refused")?;
        ensure!(code(&refused) == Some(425), "{refused}");
        romeo.say_and_wait("by another name")?;
        ensure!(juliet.hear(CONFERENCE_JID, "by another name")? == "Montague");
        juliet.say(CONFERENCE_JID, "as sweet")?;
        ensure!(romeo.hear("as sweet")? == "CapuletGirl");
        Ok(())
    })
}

fn what_the_switch_refuses_is_told_to_the_sender(server: XmppServerKind) -> Result<()> {
    let impatient = [
        ("GATEWAY__LIMITS__MSRP__TRANSACTION", "5s".to_owned()),
        ("GATEWAY__LIMITS__MAPPING__REFLECTION", "4s".to_owned()),
    ];
    in_a_conference_world_with(server, &[], &impatient, |world| {
        for (options, expected) in [
            (&["--refuse-send", "403"][..], "forbidden"),
            (&["--refuse-send", "413"], "policy-violation"),
            (&["--refuse-send", "415"], "not-acceptable"),
            (&["--max-size", "500"], "policy-violation"),
            (&["--mute-switch"], "remote-server-timeout"),
        ] {
            world.restart_conference(options)?;
            let mut juliet = world.xmpp_user("juliet")?;
            juliet.enter(CONFERENCE_JID, "JuliC")?;
            let text = "Is this thing on? ".repeat(30);
            juliet.say(CONFERENCE_JID, &text)?;
            let condition = juliet.refused_message(CONFERENCE_JID)?;
            ensure!(condition == expected, "{options:?}: {condition}");
            ensure!(
                said(&mut juliet, &text) == 0,
                "{options:?}: reflected all the same"
            );
        }
        Ok(())
    })
}

fn what_was_said_before_comes_with_its_time(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &["--history", "2", "--welcome", "Be kind."], |world| {
        world.conference.join(CONFERENCE, "Ben")?;
        for text in ["one", "two", "three"] {
            world.conference.say(CONFERENCE, "Ben", text)?;
        }
        std::thread::sleep(std::time::Duration::from_millis(2500));
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.send(format!(
            "<presence to='{CONFERENCE_JID}/JuliC'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))?;
        juliet.see(CONFERENCE_JID, "JuliC", None)?;
        for text in ["two", "three"] {
            let message = juliet.wait(text, |stanza| is_said(stanza, CONFERENCE_JID, text))?;
            ensure!(message.child("delay").is_some(), "XEP-0203: {message:#?}");
            ensure!(message.from_resource() == Some("Ben"), "{message:#?}");
        }
        ensure!(said(&mut juliet, "one") == 0);
        let welcome = juliet.wait("the welcome", |stanza| {
            stanza.child_text("body") == Some("Be kind.")
        })?;
        ensure!(
            welcome.from() == CONFERENCE_JID,
            "the room's own words: {welcome:#?}"
        );
        Ok(())
    })
}
