//! XMPP clients that others wrote, in the same rooms as SIP users.

use gateway_tests::{
    Result, ensure, on_each_xmpp_server,
    peers::{SipChat, XmppClient, XmppClientKind, XmppServerKind},
    world::{ROOM, in_a_world_with},
};

on_each_xmpp_server!(
    slixmpp_and_a_sip_user_talk_in_a_chat_room,
    profanity_and_a_sip_user_talk_in_a_chat_room,
);

fn slixmpp_and_a_sip_user_talk_in_a_chat_room(server: XmppServerKind) -> Result<()> {
    in_a_chat_room(server, XmppClientKind::Slixmpp)
}

fn profanity_and_a_sip_user_talk_in_a_chat_room(server: XmppServerKind) -> Result<()> {
    in_a_chat_room(server, XmppClientKind::Profanity)
}

fn in_a_chat_room(server: XmppServerKind, kind: XmppClientKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = kind.connect(&world.xmpp, "juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        converse(&mut *juliet, &mut romeo)
    })
}

/// They see each other, talk and whisper, and the client leaves.
fn converse(juliet: &mut dyn XmppClient, romeo: &mut SipChat) -> Result<()> {
    let occupants = juliet.occupants()?;
    ensure!(occupants == ["JuliC", "Romeo"], "{occupants:?}");
    romeo.say_and_wait("Art thou not Romeo? 🌹")?;
    ensure!(juliet.hear("Art thou not Romeo? 🌹")? == "Romeo");
    juliet.say("Who knows? مرحبا")?;
    ensure!(romeo.hear("Who knows? مرحبا")? == "JuliC");
    romeo.whisper("JuliC", "By and by, I come")?;
    juliet.hear_privately("Romeo", "By and by, I come")?;
    juliet.whisper("Romeo", "Good night")?;
    ensure!(romeo.hear_privately("Good night")? == "JuliC");
    juliet.leave()?;
    romeo.wait_for("left", |event| {
        event.get("nick").is_some_and(|nick| nick == "JuliC")
    })?;
    Ok(())
}
