//! SIP users behind Kamailio and XMPP users on Prosody or ejabberd in one room (RFC 7702 §6, and for the demo's conversation §5).

use gateway_tests::{
    Result,
    conference_world::{CONFERENCE_JID, in_a_conference_world},
    conversation::{Keeper, Place, SUBJECT, converse},
    ensure, on_each_xmpp_server,
    peers::{
        SipChat, XmppServerKind,
        sip_chat::{code, field, is_message, nicknames},
        xmpp_user::is_whispered,
    },
    world::{ROOM, World, in_a_world_with},
};

on_each_xmpp_server! {
    the_demo_conversation_neither_loses_nor_doubles_a_message,
    neither_does_the_conversation_in_a_conference,
    rosters_follow_the_room_on_both_sides,
    a_nickname_in_use_is_refused_with_425_and_the_old_one_stays,
    the_subject_is_shown_on_entering_and_when_it_changes,
    private_messages_reach_their_addressee_only,
    texts_arrive_as_they_were_written,
    texts_as_long_as_a_stanza_arrive_whole,
    emoji_are_no_nicknames_and_whoever_asks_for_them_is_told,
}

fn the_demo_conversation_neither_loses_nor_doubles_a_message(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let place = Place {
            room: ROOM.to_owned(),
            romeo: world.sip_settings("romeo", "Romeo"),
            nurse: world.sip_settings("nurse", "Nurse"),
            keeper: Keeper::Juliet,
        };
        let tally = converse(world.xmpp_user("juliet")?, &place, &mut |_, _| {})?;
        ensure!(tally.is_perfect(), "{tally}");
        Ok(())
    })
}

fn neither_does_the_conversation_in_a_conference(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &["--subject", SUBJECT], |world| {
        let place = Place {
            room: CONFERENCE_JID.to_owned(),
            romeo: world.sip_settings("romeo", "Romeo"),
            nurse: world.sip_settings("nurse", "Nurse"),
            keeper: Keeper::Focus,
        };
        let tally = converse(world.xmpp_user("juliet")?, &place, &mut |_, _| {})?;
        ensure!(tally.is_perfect(), "{tally}");
        Ok(())
    })
}

fn rosters_follow_the_room_on_both_sides(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let roster = romeo.wait_for("roster", |roster| nicknames(roster).len() == 2)?;
        assert_eq!(nicknames(&roster), ["JuliC", "Romeo"]);
        juliet.see(ROOM, "Romeo", None)?;

        let mut nurse = world.xmpp_user("nurse")?;
        assert_eq!(nurse.enter(ROOM, "Nurse")?.len(), 2);
        romeo.wait_for("joined", |event| field(event, "nick") == "Nurse")?;
        juliet.rename(ROOM, "Capulet")?;
        romeo.wait_for("renamed", |event| {
            field(event, "old") == "JuliC" && field(event, "new") == "Capulet"
        })?;
        nurse.leave(ROOM, "Nurse")?;
        romeo.wait_for("left", |event| field(event, "nick") == "Nurse")?;
        romeo.ask_roster()?;
        let roster = romeo.wait("roster")?;
        assert_eq!(nicknames(&roster), ["Capulet", "Romeo"]);
        Ok(())
    })
}

fn a_nickname_in_use_is_refused_with_425_and_the_old_one_stays(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        romeo.rename("JuliC")?;
        let refusal = romeo.wait_for("nick_refused", |event| field(event, "nickname") == "JuliC")?;
        assert_eq!(code(&refusal), Some(425));
        romeo.say_and_wait("still Romeo")?;
        assert_eq!(juliet.hear(ROOM, "still Romeo")?, "Romeo");

        romeo.rename("Montague")?;
        romeo.wait_for("nick", |event| field(event, "nickname") == "Montague")?;
        assert!(juliet.see(ROOM, "Romeo", Some("unavailable"))?.has_status("303"));
        romeo.say_and_wait("now Montague")?;
        assert_eq!(juliet.hear(ROOM, "now Montague")?, "Montague");
        Ok(())
    })
}

fn the_subject_is_shown_on_entering_and_when_it_changes(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        juliet.set_subject(ROOM, "Verona")?;
        juliet.wait("the subject", |stanza| {
            stanza.child_text("subject") == Some("Verona")
        })?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        romeo.wait_for("subject", |event| field(event, "text") == "Verona")?;
        juliet.set_subject(ROOM, "Mantua & beyond")?;
        romeo.wait_for("subject", |event| field(event, "text") == "Mantua & beyond")?;
        Ok(())
    })
}

fn private_messages_reach_their_addressee_only(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut nurse = world.sip_user("nurse", "Nurse")?;
        juliet.see(ROOM, "Nurse", None)?;

        juliet.whisper(ROOM, "Romeo", "to Romeo alone")?;
        assert_eq!(romeo.hear_privately("to Romeo alone")?, "JuliC");
        romeo.whisper("JuliC", "to Juliet alone")?;
        let message = juliet.wait("Romeo's answer", |stanza| {
            is_whispered(stanza, ROOM, "to Juliet alone")
        })?;
        assert_eq!(message.from_resource(), Some("Romeo"));
        romeo.whisper("Nurse", "from SIP to SIP")?;
        assert_eq!(nurse.hear_privately("from SIP to SIP")?, "Romeo");

        // Something public after it shows that nothing private is still on its way.
        juliet.say(ROOM, "to all")?;
        nurse.hear("to all")?;
        let overheard = nurse.inbox().history().iter().find(|event| {
            ["to Romeo alone", "to Juliet alone"]
                .iter()
                .any(|text| is_message(event, text, true))
        });
        assert_eq!(overheard, None);
        Ok(())
    })
}

fn texts_arrive_as_they_were_written(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let long = "wherefore ".repeat(1500);
        let texts = [
            "<b>not markup</b> & \"quotes\" ' ]]>",
            "Grüße, ελληνικά, 你好, 🌹",
            "שלום! مرحبا, \u{202b}שלום\u{202c} (100%) 👩‍👩‍👧",
            "two\nlines",
            "-------abcd$",
            "  blanks around  ",
            long.trim_end(),
        ];
        for text in texts {
            juliet.say(ROOM, text)?;
            assert_eq!(romeo.hear(text)?, "JuliC");
            romeo.say_and_wait(text)?;
            let heard = juliet.wait("Romeo's copy", |stanza| {
                stanza.from_resource() == Some("Romeo") && stanza.child_text("body") == Some(text)
            })?;
            assert_eq!(heard.attribute("type"), Some("groupchat"));
        }
        Ok(())
    })
}

/// 64 KiB by default.
fn texts_as_long_as_a_stanza_arrive_whole(server: XmppServerKind) -> Result<()> {
    let mut world = World::start_with(server, Vec::new())?;
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    let mut romeo = world.sip_user("romeo", "Romeo")?;
    for text in ["x".repeat(65_536), "🌹".repeat(16_384), "ש".repeat(32_768)] {
        juliet.say(ROOM, &text)?;
        assert_eq!(romeo.hear(&text)?, "JuliC");
        romeo.say_and_wait(&text)?;
        juliet.wait("Romeo's copy", |stanza| {
            stanza.from_resource() == Some("Romeo") && stanza.child_text("body") == Some(text.as_str())
        })?;
    }
    world.gateway.check_msrp()?;
    world.check_sip()
}

/// Unicode 3.2, by which resourceparts are prepared, knows no emoji, and both servers hold to that.
fn emoji_are_no_nicknames_and_whoever_asks_for_them_is_told(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut nurse = world.xmpp_user("nurse")?;
        let (condition, _) = nurse.enter_in_vain(ROOM, "Nurse 🌹")?;
        ensure!(
            ["jid-malformed", "bad-request"].contains(&condition.as_str()),
            "{condition}"
        );
        let mut romeo = SipChat::start(&world.sip_settings("romeo", "Romeo 🎸"))?;
        let refused = romeo.wait("nick_refused")?;
        assert_eq!(code(&refused), Some(424));
        // What can be carried of his display name.
        juliet.see(ROOM, "Romeo", None)?;
        romeo.say_and_wait("what's in a name? 🌹")?;
        assert_eq!(juliet.hear(ROOM, "what's in a name? 🌹")?, "Romeo");
        Ok(())
    })
}
