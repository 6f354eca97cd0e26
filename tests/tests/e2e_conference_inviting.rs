//! XMPP users call others into a conference (RFC 7702 §5.7).

use gateway_tests::{
    Result,
    conference_world::{CONFERENCE_JID, CONFERENCE_URI, in_a_conference_world},
    ensure, on_each_xmpp_server,
    peers::{
        XmppServerKind, XmppUser,
        sip_chat::{code, field},
    },
    raw_msrp::offer,
    raw_sip::{CallAnswer, RawSip, Request},
    stanza::Element,
};

const JULIET_URI: &str = "sip:juliet@example.com";

on_each_xmpp_server!(
    rfc7702_section_5_7_an_invitation_becomes_a_call_of_the_focus,
    rfc3515_section_2_4_5_what_becomes_of_an_invitation_is_told,
    a_focus_that_takes_no_refer_is_told_of,
    rfc4579_section_5_2_an_xmpp_user_whom_the_focus_calls_is_invited_and_comes,
    rfc4579_section_5_2_an_xmpp_user_declines_the_call_of_a_focus,
    rfc4579_section_5_6_an_xmpp_user_is_referred_to_a_conference,
);

fn rfc7702_section_5_7_an_invitation_becomes_a_call_of_the_focus(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &["--entities", "plain"], |world| {
        let mut phone = RawSip::connect(world.kamailio.address())?;
        phone.register("benvolio")?;
        let path = format!("msrp://{}/benvolio;tcp", phone.contact());
        phone.answer_calls(CallAnswer::Accepted(offer(&path)));
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        juliet.invite(CONFERENCE_JID, "benvolio@example.org")?;
        let call = phone.request("INVITE")?;
        ensure!(
            call.header("Referred-By") == Some("<sip:juliet@example.com>"),
            "{call:?}"
        );
        world.conference.wait_for("entered", |event| {
            field(event, "uri") == "sip:benvolio@example.org"
        })?;
        juliet.see(CONFERENCE_JID, "benvolio", None)?;
        Ok(())
    })
}

fn rfc3515_section_2_4_5_what_becomes_of_an_invitation_is_told(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut phone = RawSip::connect(world.kamailio.address())?;
        phone.register("benvolio")?;
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        for status in [486, 603] {
            phone.answer_calls(CallAnswer::Refused(status));
            juliet.invite(CONFERENCE_JID, "benvolio@example.org")?;
            let message = juliet.wait("the refusal", |stanza| {
                stanza.name == "message" && stanza.descendant("decline").is_some()
            })?;
            let decline = message
                .descendant("decline")
                .and_then(|decline| decline.attribute("from"));
            ensure!(
                decline == Some("benvolio@example.org"),
                "XEP-0045 §7.8.2: {message:#?}"
            );
        }
        juliet.invite(CONFERENCE_JID, "nobody@example.org")?;
        let condition = juliet.refused_message(CONFERENCE_JID)?;
        ensure!(condition == "item-not-found", "{condition}");
        Ok(())
    })
}

fn a_focus_that_takes_no_refer_is_told_of(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &["--refuse-refer", "403"], |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        juliet.invite(CONFERENCE_JID, "benvolio@example.org")?;
        let condition = juliet.refused_message(CONFERENCE_JID)?;
        ensure!(condition == "forbidden", "{condition}");
        juliet.say(CONFERENCE_JID, "Never mind")?;
        juliet.hear(CONFERENCE_JID, "Never mind")?;
        Ok(())
    })
}

fn rfc4579_section_5_2_an_xmpp_user_whom_the_focus_calls_is_invited_and_comes(
    server: XmppServerKind,
) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut juliet = at_home(world.xmpp_user("juliet")?)?;
        romeo.invite(JULIET_URI)?;
        let invitation = invited(&mut juliet)?;
        let inviter = invitation
            .descendant("invite")
            .and_then(|invite| invite.attribute("from"));
        assert_eq!(inviter, Some("romeo@example.org"));
        let others = juliet.enter(CONFERENCE_JID, "JuliC")?;
        assert_eq!(others, ["Romeo"]);
        world
            .conference
            .wait_for("entered", |event| field(event, "uri") == JULIET_URI)?;
        juliet.say(CONFERENCE_JID, "good morrow")?;
        romeo.hear("good morrow")?;
        romeo.say_and_wait("is the day so young?")?;
        assert_eq!(juliet.hear(CONFERENCE_JID, "is the day so young?")?, "Romeo");
        Ok(())
    })
}

fn rfc4579_section_5_2_an_xmpp_user_declines_the_call_of_a_focus(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut juliet = at_home(world.xmpp_user("juliet")?)?;
        romeo.invite(JULIET_URI)?;
        invited(&mut juliet)?;
        juliet.send(format!(
            "<message to='{CONFERENCE_JID}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <decline to='romeo@example.org'><reason>too rash</reason></decline></x></message>"
        ))?;
        let refused = world
            .conference
            .wait_for("invite_refused", |event| field(event, "uri") == JULIET_URI)?;
        assert_eq!(code(&refused), Some(603));
        // Of somebody who is not there her server says so.
        romeo.invite("sip:nobody@example.com")?;
        let refused = world.conference.wait_for("invite_refused", |event| {
            field(event, "uri") == "sip:nobody@example.com"
        })?;
        ensure!(matches!(code(&refused), Some(404 | 480)), "{refused}");
        Ok(())
    })
}

fn rfc4579_section_5_6_an_xmpp_user_is_referred_to_a_conference(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let _romeo = world.sip_user("romeo", "Romeo")?;
        let mut juliet = at_home(world.xmpp_user("juliet")?)?;
        let mut phone = RawSip::connect(world.kamailio.address())?;
        phone.register("benvolio")?;
        let mut refer = Request::new("REFER", JULIET_URI, phone.contact());
        refer.extra.push(format!("Refer-To: <{CONFERENCE_URI}>"));
        phone.send(refer.to_string())?;
        assert_eq!(phone.final_response(&refer.call_id)?.status(), Some(200));
        let progress = phone.request("NOTIFY")?;
        ensure!(progress.body.starts_with("SIP/2.0 100"), "{progress:?}");
        invited(&mut juliet)?;
        assert_eq!(juliet.enter(CONFERENCE_JID, "JuliC")?, ["Romeo"]);
        let outcome = phone.request("NOTIFY")?;
        ensure!(outcome.body.starts_with("SIP/2.0 200"), "{outcome:?}");
        ensure!(
            outcome
                .header("Subscription-State")
                .is_some_and(|state| state.starts_with("terminated")),
            "{outcome:?}"
        );
        Ok(())
    })
}

/// Her client is there for messages to her account.
fn at_home(mut user: XmppUser) -> Result<XmppUser> {
    user.send("<presence/>")?;
    Ok(user)
}

fn invited(user: &mut XmppUser) -> Result<Element> {
    user.wait("the invitation", |stanza| {
        stanza.name == "message"
            && stanza.from() == CONFERENCE_JID
            && stanza.descendant("invite").is_some()
            && stanza
                .children
                .iter()
                .any(|child| child.attribute("jid") == Some(CONFERENCE_JID))
    })
}
