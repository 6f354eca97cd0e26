//! Invitations between the two worlds, with real rooms (RFC 7702 §6.5, XEP-0045 §7.8, XEP-0249).

use gateway_tests::{
    Context, Result,
    conference_world::{ConferenceWorld, in_a_conference_world},
    ensure, on_each_xmpp_server,
    peers::{XmppServerKind, XmppUser},
    raw_msrp::{RawParticipant, offer},
    raw_sip::{CallAnswer, RawSip, Request, unique},
    stanza::Element,
    world::{ROOM, ROOM_URI, World},
};

on_each_xmpp_server! {
    an_invited_sip_user_is_called_and_talks,
    a_directly_invited_sip_user_is_called,
    an_invited_sip_user_declines,
    a_sip_user_invites_an_xmpp_user,
}

const ROMEO: &str = "sip:romeo@example.org";
const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

/// Romeo's phone at Kamailio, and the path at which it takes calls.
fn phone(world: &ConferenceWorld) -> Result<(RawSip, String)> {
    let mut phone = RawSip::connect(world.kamailio.address())?;
    phone.register("romeo")?;
    let path = format!("msrp://{}/raw{};tcp", phone.contact(), unique());
    phone.answer_calls(CallAnswer::Accepted(offer(&path)));
    Ok((phone, path))
}

/// Juliet in the room.
fn juliet_in(world: &ConferenceWorld) -> Result<XmppUser> {
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    Ok(juliet)
}

fn invite_romeo(juliet: &mut XmppUser) -> Result<()> {
    juliet.send(format!(
        "<message to='{ROOM}'><x xmlns='{MUC_USER}'><invite to='romeo@example.org'>\
         <reason>wherefore art thou?</reason></invite></x></message>"
    ))
}

fn an_invited_sip_user_is_called_and_talks(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let (phone, path) = phone(world)?;
        let mut juliet = juliet_in(world)?;
        invite_romeo(&mut juliet)?;
        let mut romeo = RawParticipant::take_call(phone, path, ROOM_URI, ROMEO)?;
        let invite = &romeo.answer;
        ensure!(
            invite.header("To").is_some_and(|to| to.contains(ROMEO)),
            "somebody else: {invite:?}"
        );
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
    })
}

fn a_directly_invited_sip_user_is_called(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let (phone, path) = phone(world)?;
        let mut juliet = juliet_in(world)?;
        juliet.send(format!(
            "<message to='romeo@example.org'><x xmlns='jabber:x:conference' jid='{ROOM}'/></message>"
        ))?;
        let _romeo = RawParticipant::take_call(phone, path, ROOM_URI, ROMEO)?;
        juliet.see(ROOM, "romeo", None)?;
        Ok(())
    })
}

fn an_invited_sip_user_declines(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let (phone, _) = phone(world)?;
        phone.answer_calls(CallAnswer::Refused(603));
        let mut juliet = juliet_in(world)?;
        invite_romeo(&mut juliet)?;
        let from_room = |stanza: &Element, name: &str| {
            stanza.name == "message"
                && stanza.attribute("from").is_some_and(|from| from == ROOM)
                && stanza.child("x").is_some_and(|muc| muc.child(name).is_some())
        };
        let declined = juliet.wait("the decline", |stanza| from_room(stanza, "decline"))?;
        let decline = declined
            .child("x")
            .and_then(|muc| muc.child("decline"))
            .context("no decline")?;
        assert_eq!(decline.attribute("from"), Some("romeo@example.org"));
        assert_eq!(decline.child_text("reason"), Some("Declined"));
        Ok(())
    })
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
