//! What the gateway answers to MSRP that it cannot or will not serve, on the wire (RFC 4975, RFC 7701 §6).

use gateway_tests::{
    Result, ensure,
    peers::XmppUser,
    raw_msrp::{RawParticipant, cpim},
    world::{ROOM, ROOM_URI, World, in_a_world},
};

const CPIM: Option<&str> = Some("message/cpim");

#[test]
fn a_malformed_frame_closes_the_connection_and_ends_its_session() -> Result<()> {
    in_a_world(|world| {
        let (mut juliet, mut tybalt) = enter(world)?;
        tybalt.write(b"GET / HTTP/1.1\r\n\r\n")?;
        tybalt.wait_for_close()?;
        juliet.see(ROOM, "Tybalt", Some("unavailable"))?;
        tybalt.sip.request("BYE")?;
        ensure!(world.gateway.is_running(), "the gateway has ended");
        Ok(())
    })
}

// Rows: C4975-09
#[test]
fn a_send_for_no_session_gets_481() -> Result<()> {
    in_a_world(|world| {
        let (juliet, mut tybalt) = enter(world)?;
        let elsewhere = tybalt.peer_path().replacen(';', "x;", 1);
        let answer = tybalt.send_to(&elsewhere, tybalt.cpim("lost").as_bytes(), CPIM)?;
        assert_eq!(answer.status(), Some(481));
        still_talks(juliet, tybalt)
    })
}

// Rows: C7701-33
#[test]
fn a_send_without_cpim_gets_415() -> Result<()> {
    in_a_world(|world| {
        let (juliet, mut tybalt) = enter(world)?;
        assert_eq!(tybalt.send(b"bare", Some("text/plain"))?.status(), Some(415));
        still_talks(juliet, tybalt)
    })
}

// Rows: C7701-18, C7701-34
#[test]
fn several_cpim_recipients_or_a_foreign_cpim_sender_get_403() -> Result<()> {
    in_a_world(|world| {
        let (mut juliet, mut tybalt) = enter(world)?;
        let own = tybalt.address().to_owned();
        let two = cpim(&[ROOM_URI, "sip:nurse@example.org"], &own, "to two");
        assert_eq!(tybalt.send(two.as_bytes(), CPIM)?.status(), Some(403));
        let foreign = cpim(&[ROOM_URI], "sip:romeo@example.org", "as somebody else");
        assert_eq!(tybalt.send(foreign.as_bytes(), CPIM)?.status(), Some(403));
        juliet.say(ROOM, "who spoke?")?;
        tybalt.hear("who spoke?")?;
        let leaked = juliet
            .inbox()
            .history()
            .iter()
            .find(|stanza| matches!(stanza.child_text("body"), Some("to two" | "as somebody else")));
        assert_eq!(leaked, None);
        still_talks(juliet, tybalt)
    })
}

/// In the other tests too, all that the gateway writes is judged at the end; here is something to judge.
// Rows: C4975-01
#[test]
fn what_the_gateway_writes_in_answers_and_chunks_is_sound() -> Result<()> {
    in_a_world(|world| {
        let (mut juliet, mut tybalt) = enter(world)?;
        assert_eq!(tybalt.nickname("JuliC")?.status(), Some(425));
        assert_eq!(tybalt.nickname("Prince of Cats")?.status(), Some(200));
        assert_eq!(tybalt.nickname("open\\")?.status(), Some(424));
        let long = "y".repeat(20_000);
        juliet.say(ROOM, &long)?;
        let first = tybalt.hear("yyyy")?;
        assert_eq!(first.flag, '+', "20000 octets in one chunk");
        juliet.say(ROOM, "peace")?;
        tybalt.hear("peace")?;
        let written = world.gateway.msrp_written();
        ensure!(written > long.len(), "only {written} octets were recorded");
        world.gateway.check_msrp()
    })
}

/// An XMPP user, and a SIP user by hand.
fn enter(world: &World) -> Result<(XmppUser, RawParticipant)> {
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    let from = "\"Tybalt\" <sip:tybalt@example.org>";
    let tybalt = RawParticipant::enter(world.gateway.sip_address(), ROOM_URI, from)?;
    juliet.see(ROOM, "Tybalt", None)?;
    Ok((juliet, tybalt))
}

/// The session goes on as if nothing had been.
fn still_talks(mut juliet: XmppUser, mut tybalt: RawParticipant) -> Result<()> {
    let answer = tybalt.send(tybalt.cpim("peace").as_bytes(), CPIM)?;
    ensure!(answer.status() == Some(200), "a proper SEND got {}", answer.kind);
    assert_eq!(juliet.hear(ROOM, "peace")?, "Tybalt");
    juliet.say(ROOM, "what, drawn?")?;
    tybalt.hear("what, drawn?")?;
    Ok(())
}
