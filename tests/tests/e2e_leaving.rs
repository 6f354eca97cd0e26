//! How a SIP user's stay in a room ends, by himself, by the room's owner, or by an accident.

use std::time::{Duration, Instant};

use gateway_tests::{
    PATIENCE, Result, ensure, on_each_xmpp_server,
    peers::{
        SipChat, XmppServerKind,
        sip_chat::{code, field},
    },
    world::{ROOM, in_a_world_with},
};

on_each_xmpp_server! {
    a_bye_is_seen_as_leaving,
    a_lost_msrp_connection_is_seen_as_leaving_within_seconds,
    a_kicked_sip_user_is_told_why_and_may_come_back,
    a_banned_sip_user_is_told_why_and_refused_with_403_afterwards,
    a_destroyed_room_ends_the_stay_of_every_sip_user,
    a_gateway_that_stops_tells_both_sides,
}

fn a_bye_is_seen_as_leaving(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        juliet.see(ROOM, "Romeo", None)?;
        romeo.quit()?;
        juliet.see(ROOM, "Romeo", Some("unavailable"))?;
        assert_eq!(field(&romeo.wait("ended")?, "cause"), "quit");
        Ok(())
    })
}

fn a_lost_msrp_connection_is_seen_as_leaving_within_seconds(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        juliet.see(ROOM, "Romeo", None)?;
        romeo.kill()?;
        let killed = Instant::now();
        juliet.see(ROOM, "Romeo", Some("unavailable"))?;
        ensure!(
            killed.elapsed() < Duration::from_secs(5),
            "seen only after {:?}",
            killed.elapsed()
        );
        Ok(())
    })
}

fn a_kicked_sip_user_is_told_why_and_may_come_back(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut nurse = world.sip_user("nurse", "Nurse")?;
        juliet.see(ROOM, "Nurse", None)?;
        nurse.wait("roster")?;
        juliet.kick(ROOM, "Romeo", "thou art banished")?;
        must_have_been_ended(&mut romeo, Some("thou art banished"))?;
        nurse.wait_for("left", |event| field(event, "nick") == "Romeo")?;
        nurse.say_and_wait("I am still here")?;
        world.sip_user("romeo", "Romeo")?;
        juliet.see(ROOM, "Romeo", None)?;
        Ok(())
    })
}

fn a_banned_sip_user_is_told_why_and_refused_with_403_afterwards(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        juliet.see(ROOM, "Romeo", None)?;
        juliet.ban(ROOM, "romeo@example.org", "never return")?;
        must_have_been_ended(&mut romeo, Some("never return"))?;
        drop(romeo);
        let mut romeo = SipChat::start(&world.sip_settings("romeo", "Romeo"))?;
        assert_eq!(code(&romeo.wait("refused")?), Some(403));
        Ok(())
    })
}

fn a_destroyed_room_ends_the_stay_of_every_sip_user(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut nurse = world.sip_user("nurse", "Nurse")?;
        juliet.see(ROOM, "Nurse", None)?;
        juliet.destroy(ROOM, "the tomb is closed")?;
        must_have_been_ended(&mut romeo, None)?;
        must_have_been_ended(&mut nurse, None)
    })
}

fn a_gateway_that_stops_tells_both_sides(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        juliet.see(ROOM, "Romeo", None)?;
        world.gateway.process().terminate();
        must_have_been_ended(&mut romeo, None)?;
        juliet.see(ROOM, "Romeo", Some("unavailable"))?;
        let status = world.gateway.process().wait(PATIENCE)?;
        ensure!(status.success(), "the gateway ended with {status}");
        Ok(())
    })
}

/// The stay was ended by a BYE with a Reason (RFC 3326), and the program with it.
fn must_have_been_ended(user: &mut SipChat, reason: Option<&str>) -> Result<()> {
    let ended = user.wait("ended")?;
    ensure!(field(&ended, "cause") == "bye", "ended otherwise: {ended}");
    ensure!(
        !field(&ended, "reason").is_empty(),
        "no Reason was given: {ended}"
    );
    if let Some(reason) = reason {
        ensure!(
            field(&ended, "reason").contains(reason),
            "the owner's reason is not given: {ended}"
        );
    }
    user.wait_for_end()
}
