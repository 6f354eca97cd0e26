//! XMPP users call others into a conference (RFC 7702 §5.7).

use gateway_tests::{
    Result,
    conference_world::{CONFERENCE_JID, in_a_conference_world},
    ensure, on_each_xmpp_server,
    peers::{XmppServerKind, sip_chat::field},
    raw_msrp::offer,
    raw_sip::{CallAnswer, RawSip},
};

on_each_xmpp_server!(
    rfc7702_section_5_7_an_invitation_becomes_a_call_of_the_focus,
    rfc3515_section_2_4_5_what_becomes_of_an_invitation_is_told,
    a_focus_that_takes_no_refer_is_told_of,
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
