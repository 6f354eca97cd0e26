//! How stays of XMPP users in conferences end (RFC 7702 §5.8, and whatever breaks).

use gateway_tests::{
    Result,
    conference_world::{CONFERENCE, CONFERENCE_JID, in_a_conference_world},
    ensure, on_each_xmpp_server,
    peers::{XmppServerKind, XmppUser, sip_chat::field},
    stanza::Element,
};
use serde_json::json;

on_each_xmpp_server!(
    rfc7702_section_5_8_leaving_is_seen_by_all,
    rfc4579_section_5_11_who_is_removed_is_told_so,
    a_conference_that_is_over_lets_everybody_go,
    lost_media_ends_the_stay,
    a_focus_that_dies_is_noticed_and_can_be_entered_again,
);

/// The presence that tells a user that he is out.
fn is_out(user: &mut XmppUser, nickname: &str) -> Result<Element> {
    let out = user.see(CONFERENCE_JID, nickname, Some("unavailable"))?;
    ensure!(out.has_status("110"), "XEP-0045: {out:#?}");
    Ok(out)
}

fn rfc7702_section_5_8_leaving_is_seen_by_all(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut juliet = world.xmpp_user("juliet")?;
        let mut tybalt = world.xmpp_user("tybalt")?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        tybalt.enter(CONFERENCE_JID, "Tybalt")?;
        romeo.await_occupant("Tybalt")?;
        juliet.send(format!(
            "<presence type='unavailable' to='{CONFERENCE_JID}/JuliC'><status>O, look!</status></presence>"
        ))?;
        is_out(&mut juliet, "JuliC")?;
        romeo.wait_for("left", |event| field(event, "nick") == "JuliC")?;
        tybalt.see(CONFERENCE_JID, "JuliC", Some("unavailable"))?;
        romeo.quit()?;
        tybalt.see(CONFERENCE_JID, "Romeo", Some("unavailable"))?;
        // As a crash, or a client that logs off without a word.
        drop(tybalt);
        world.conference.expect_empty()
    })
}

fn rfc4579_section_5_11_who_is_removed_is_told_so(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut juliet = world.xmpp_user("juliet")?;
        let mut tybalt = world.xmpp_user("tybalt")?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        tybalt.enter(CONFERENCE_JID, "Tybalt")?;
        romeo.await_occupant("Tybalt")?;
        juliet.see(CONFERENCE_JID, "Tybalt", None)?;
        world.conference.kick(CONFERENCE, "Tybalt", "quarrelsome")?;
        let out = is_out(&mut tybalt, "Tybalt")?;
        ensure!(out.has_status("307"), "{out:#?}");
        let seen = juliet.see(CONFERENCE_JID, "Tybalt", Some("unavailable"))?;
        ensure!(seen.has_status("307") && !seen.has_status("110"), "{seen:#?}");
        romeo.wait_for("left", |event| field(event, "nick") == "Tybalt")?;
        world.conference.kick(CONFERENCE, "Romeo", "him too")?;
        let seen = juliet.see(CONFERENCE_JID, "Romeo", Some("unavailable"))?;
        ensure!(seen.has_status("307"), "{seen:#?}");
        tybalt.say(CONFERENCE_JID, "Boy!")?;
        let condition = tybalt.refused_message(CONFERENCE_JID)?;
        ensure!(condition == "not-acceptable", "{condition}");
        tybalt.enter(CONFERENCE_JID, "Tybalt")?;
        juliet.see(CONFERENCE_JID, "Tybalt", None)?;
        Ok(())
    })
}

fn a_conference_that_is_over_lets_everybody_go(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        let mut tybalt = world.xmpp_user("tybalt")?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        tybalt.enter(CONFERENCE_JID, "Tybalt")?;
        world.conference.destroy(CONFERENCE, "the end")?;
        is_out(&mut juliet, "JuliC")?;
        is_out(&mut tybalt, "Tybalt")?;
        world.conference.expect_empty()?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        Ok(())
    })
}

fn lost_media_ends_the_stay(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        world
            .conference
            .command(&json!({"cmd": "cut", "room": CONFERENCE, "nick": "JuliC"}))?;
        is_out(&mut juliet, "JuliC")?;
        world.conference.expect_empty()?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        world
            .conference
            .command(&json!({"cmd": "unbind", "room": CONFERENCE, "nick": "JuliC"}))?;
        // It answers in order: then that is done.
        world.conference.expect_status("an answer", |_| true)?;
        juliet.say(CONFERENCE_JID, "Do you hear me?")?;
        // RFC 4975 §10.8: the session is no more.
        juliet.refused_message(CONFERENCE_JID)?;
        is_out(&mut juliet, "JuliC")?;
        world.conference.expect_empty()
    })
}

fn a_focus_that_dies_is_noticed_and_can_be_entered_again(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        world.conference.kill()?;
        is_out(&mut juliet, "JuliC")?;
        world.replace_conference(&[])?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        ensure!(juliet.enter(CONFERENCE_JID, "JuliC")? == ["Romeo"]);
        romeo.await_occupant("JuliC")?;
        juliet.say(CONFERENCE_JID, "Again")?;
        ensure!(romeo.hear("Again")? == "JuliC");
        Ok(())
    })
}
