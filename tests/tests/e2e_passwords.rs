//! Rooms with a password, and how SIP users get into them (XEP-0045 §7.2.6, RFC 3261 §22).

use std::fs;

use gateway_tests::{
    Result,
    conference_world::in_a_conference_world,
    ensure, on_each_xmpp_server,
    peers::{SipChat, XmppServerKind, XmppUser, sip_chat::code},
    raw_msrp::{RawParticipant, offer},
    raw_sip::{CallAnswer, RawSip, unique},
    scratch::Scratch,
    world::{ROOM, ROOM_URI, World},
};

on_each_xmpp_server! {
    who_knows_the_password_is_let_in_and_nobody_else,
    everybody_is_let_in_where_nobody_is_asked,
    without_its_password_a_room_is_not_entered,
    who_is_invited_comes_with_the_password_of_the_invitation,
}

const CAULDRON: &str = "cauldron";

fn who_knows_the_password_is_let_in_and_nobody_else(server: XmppServerKind) -> Result<()> {
    let world = World::start_with(server, vec![known("")])?;
    let mut juliet = behind_her_password(world.xmpp_user("juliet")?)?;
    let scratch = Scratch::new("passwords")?;
    let (right, wrong) = (scratch.path().join("right"), scratch.path().join("wrong"));
    fs::write(&right, CAULDRON)?;
    fs::write(&wrong, "kettle")?;
    let settings = world.sip_settings("romeo", "Romeo");
    let with = |file: &std::path::Path| {
        let file = file.display().to_string();
        SipChat::start_with(&settings, &["--realm", ROOM, "--password-file", &file])
    };
    for mut stranger in [SipChat::start(&settings)?, with(&wrong)?] {
        assert_eq!(code(&stranger.wait("refused")?), Some(401));
    }
    let mut romeo = with(&right)?;
    romeo.wait("entered")?;
    juliet.see(ROOM, "Romeo", None)?;
    romeo.say_and_wait("double, double")?;
    assert_eq!(juliet.hear(ROOM, "double, double")?, "Romeo");
    ensure!(
        !world.gateway.log().contains(CAULDRON),
        "the log tells the password"
    );
    world.check_sip()
}

fn everybody_is_let_in_where_nobody_is_asked(server: XmppServerKind) -> Result<()> {
    let world = World::start_with(server, vec![known(", ask = false")])?;
    let mut juliet = behind_her_password(world.xmpp_user("juliet")?)?;
    let _romeo = world.sip_user("romeo", "Romeo")?;
    juliet.see(ROOM, "Romeo", None)?;
    Ok(())
}

fn without_its_password_a_room_is_not_entered(server: XmppServerKind) -> Result<()> {
    let world = World::start_with(server, Vec::new())?;
    let _juliet = behind_her_password(world.xmpp_user("juliet")?)?;
    let mut romeo = SipChat::start(&world.sip_settings("romeo", "Romeo"))?;
    assert_eq!(code(&romeo.wait("refused")?), Some(403));
    Ok(())
}

/// The room knows that its owner invites, and tells the invited what he needs to get in.
fn who_is_invited_comes_with_the_password_of_the_invitation(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut phone = RawSip::connect(world.kamailio.address())?;
        phone.register("romeo")?;
        let path = format!("msrp://{}/raw{};tcp", phone.contact(), unique());
        phone.answer_calls(CallAnswer::Accepted(offer(&path)));
        let mut juliet = behind_her_password(world.xmpp_user("juliet")?)?;
        juliet.send(format!(
            "<message to='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <invite to='romeo@example.org'/></x></message>"
        ))?;
        let _romeo = RawParticipant::take_call(phone, path, ROOM_URI, "sip:romeo@example.org")?;
        juliet.see(ROOM, "romeo", None)?;
        Ok(())
    })
}

fn known(further: &str) -> (&'static str, String) {
    let password = format!("[{{ room = \"{ROOM}\", password = \"{CAULDRON}\"{further} }}]");
    ("GATEWAY__PASSWORDS", password)
}

/// Juliet in her room, into which she lets nobody without the password.
fn behind_her_password(mut juliet: XmppUser) -> Result<XmppUser> {
    juliet.enter(ROOM, "JuliC")?;
    juliet.protect(ROOM, CAULDRON)?;
    Ok(juliet)
}
