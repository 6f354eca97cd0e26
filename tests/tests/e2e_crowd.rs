//! A room of 50, half on either side, in both directions: every message reaches every other occupant exactly once.

use gateway_tests::{
    Result,
    conference_world::{CONFERENCE_JID, in_a_conference_world},
    crowd::Crowd,
    ensure, on_each_xmpp_server,
    peers::{SipChat, SipChatSettings, XmppServer, XmppServerKind, XmppUser},
    world::{ROOM, in_a_world_with},
};

/// Users on each side.
const HALF: usize = 25;
/// Messages of each.
const ROUNDS: usize = 2;

on_each_xmpp_server!(
    a_chat_room_of_50_loses_nothing_and_doubles_nothing,
    a_conference_of_50_loses_nothing_and_doubles_nothing,
);

fn a_chat_room_of_50_loses_nothing_and_doubles_nothing(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let xmpp = enter_from_xmpp(&world.xmpp, ROOM)?;
        let sip = enter_from_sip(|name, nickname| world.sip_settings(name, nickname))?;
        hold(ROOM, sip, xmpp)
    })
}

fn a_conference_of_50_loses_nothing_and_doubles_nothing(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let sip = enter_from_sip(|name, nickname| world.sip_settings(name, nickname))?;
        let xmpp = enter_from_xmpp(&world.xmpp, CONFERENCE_JID)?;
        hold(CONFERENCE_JID, sip, xmpp)
    })
}

fn enter_from_sip(settings: impl Fn(&str, &str) -> SipChatSettings) -> Result<Vec<(String, SipChat)>> {
    (0..HALF)
        .map(|number| {
            let nickname = format!("Montague {number}");
            let user = SipChat::enter(&settings(&format!("montague{number}"), &nickname))?;
            Ok((nickname, user))
        })
        .collect()
}

fn enter_from_xmpp(server: &XmppServer, room: &str) -> Result<Vec<(String, XmppUser)>> {
    (0..HALF)
        .map(|number| {
            let nickname = format!("Capulet {number}");
            let mut user = server.connect_user(&format!("capulet{number}"))?;
            user.enter(room, &nickname)?;
            Ok((nickname, user))
        })
        .collect()
}

fn hold(room: &str, sip: Vec<(String, SipChat)>, xmpp: Vec<(String, XmppUser)>) -> Result<()> {
    let mut crowd = Crowd {
        room: room.to_owned(),
        sip,
        xmpp,
    };
    crowd.gather()?;
    let count = crowd.talk(ROUNDS)?;
    // Each XMPP user hears all 100, each SIP user the 98 of others.
    let expected = HALF * (2 * HALF * ROUNDS) + HALF * (2 * HALF - 1) * ROUNDS;
    ensure!(
        count.messages == 2 * HALF * ROUNDS && count.copies == expected,
        "{count:?}"
    );
    println!(
        "{room}: {} messages, {} copies, {:.1?}",
        count.messages, count.copies, count.took
    );
    Ok(())
}
