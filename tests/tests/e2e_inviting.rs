//! Invitations between the two worlds, with real rooms (RFC 7702 §6.5, XEP-0045 §7.8, XEP-0249).

use gateway_tests::{
    Context, Result, ensure, on_each_xmpp_server,
    peers::{XmppServerKind, XmppUser},
    raw_msrp::RawParticipant,
    raw_sip::{RawCallee, Request},
    stanza::Element,
    world::{ROOM, ROOM_URI, World},
};

on_each_xmpp_server! {
    an_invited_sip_user_is_called_and_talks,
    a_directly_invited_sip_user_is_called,
    an_invited_sip_user_declines,
    a_sip_user_invites_an_xmpp_user,
}

const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

/// A world in which every SIP user is the one at the other end of this line.
fn world_with(server: XmppServerKind, callee: &RawCallee) -> Result<World> {
    let line = format!("sip:{};transport=tcp;lr", callee.contact());
    World::start_with(server, vec![("GATEWAY__SIP__OUTBOUND_PROXY", line)])
}

fn invite_romeo(juliet: &mut XmppUser) -> Result<()> {
    juliet.send(format!(
        "<message to='{ROOM}'><x xmlns='{MUC_USER}'><invite to='romeo@example.org'>\
         <reason>wherefore art thou?</reason></invite></x></message>"
    ))
}

fn an_invited_sip_user_is_called_and_talks(server: XmppServerKind) -> Result<()> {
    let mut callee = RawCallee::listen(200)?;
    let world = world_with(server, &callee)?;
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    invite_romeo(&mut juliet)?;
    let mut romeo = take_call(&world, &mut callee)?;
    let invite = &romeo.answer;
    assert_eq!(invite.start, "INVITE sip:romeo@example.org SIP/2.0");
    ensure!(
        invite.header("From").is_some_and(|from| from.contains(ROOM_URI)),
        "From is no room: {invite:?}"
    );
    ensure!(
        invite
            .header("Contact")
            .is_some_and(|contact| contact.contains("isfocus")),
        "the room is no focus: {invite:?}"
    );
    assert_eq!(invite.header("Subject"), Some("wherefore art thou?"));
    ensure!(
        invite
            .header("Referred-By")
            // Prosody names her by her nickname, ejabberd by her address.
            .is_some_and(|by| by.contains("sip:juliet@example.com") || by.contains(";gr=JuliC")),
        "nobody invited: {invite:?}"
    );
    juliet.see(ROOM, "romeo", None)?;
    juliet.say(ROOM, "good morrow")?;
    romeo.hear("good morrow")?;
    let answer = romeo.send(
        romeo.cpim("is the day so young?").as_bytes(),
        Some("message/cpim"),
    )?;
    assert_eq!(answer.status(), Some(200));
    assert_eq!(juliet.hear(ROOM, "is the day so young?")?, "romeo");
    Ok(())
}

fn a_directly_invited_sip_user_is_called(server: XmppServerKind) -> Result<()> {
    let mut callee = RawCallee::listen(200)?;
    let world = world_with(server, &callee)?;
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    juliet.send(format!(
        "<message to='romeo@example.org'><x xmlns='jabber:x:conference' jid='{ROOM}'/></message>"
    ))?;
    let _romeo = take_call(&world, &mut callee)?;
    juliet.see(ROOM, "romeo", None)?;
    Ok(())
}

fn an_invited_sip_user_declines(server: XmppServerKind) -> Result<()> {
    let callee = RawCallee::listen(603)?;
    let world = world_with(server, &callee)?;
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    invite_romeo(&mut juliet)?;
    let from_room = |stanza: &Element, name: &str| {
        stanza.name == "message"
            && stanza.attribute("from").is_some_and(|from| from == ROOM)
            && stanza.child("x").is_some_and(|muc| muc.child(name).is_some())
    };
    let declined = juliet
        .wait("the decline", |stanza| from_room(stanza, "decline"))
        .with_context(|| world.logs())?;
    let decline = declined
        .child("x")
        .and_then(|muc| muc.child("decline"))
        .context("no decline")?;
    assert_eq!(decline.attribute("from"), Some("romeo@example.org"));
    assert_eq!(decline.child_text("reason"), Some("Declined"));
    Ok(())
}

fn a_sip_user_invites_an_xmpp_user(server: XmppServerKind) -> Result<()> {
    let world = World::start_with(server, Vec::new())?;
    let mut nurse = world.xmpp_user("nurse")?;
    nurse.send("<presence/>")?;
    let from = "<sip:romeo@example.org>";
    let mut romeo = RawParticipant::enter(world.gateway.sip_address(), ROOM_URI, from)?;
    let mut refer = Request::new("REFER", ROOM_URI, romeo.sip.contact());
    refer.extra.push("Refer-To: <sip:nurse@example.com>".to_owned());
    romeo.sip.send(refer.to_string())?;
    assert_eq!(romeo.sip.final_response(&refer.call_id)?.status(), Some(200));
    let progress = romeo.sip.request("NOTIFY")?;
    ensure!(progress.body.starts_with("SIP/2.0 100"), "{progress:?}");
    let invited = nurse
        .wait("the invitation", |stanza| {
            stanza.name == "message" && stanza.child("x").is_some_and(|muc| muc.child("invite").is_some())
        })
        .with_context(|| world.logs())?;
    assert_eq!(invited.attribute("from"), Some(ROOM));
    Ok(())
}

fn take_call(world: &World, callee: &mut RawCallee) -> Result<RawParticipant> {
    RawParticipant::take_call(
        world.gateway.sip_address(),
        callee,
        ROOM_URI,
        "sip:romeo@example.org",
    )
    .with_context(|| world.logs())
}
