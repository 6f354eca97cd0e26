//! MSRP over TLS, in both directions, with the judge of MSRP between the ends (RFC 4975 §14).

use gateway_tests::{
    Context, Result,
    authority::{Authority, Files, SanType, Says, dns},
    conference_world::{CONFERENCE_JID, ConferenceWorld},
    conversation::{Keeper, Place, SUBJECT, converse},
    ensure,
    peers::{SipChat, XmppServerKind, sip_chat::code},
    world::{ROOM, World},
};

fn loopback() -> SanType {
    SanType::IpAddress([127, 0, 0, 1].into())
}

fn certificate(authority: &Authority, name: &str) -> Result<Files> {
    authority.issue(name, &Says::names(&[loopback()]))
}

fn trusting(authority: &Authority, policy: &str) -> Vec<(&'static str, String)> {
    vec![
        (
            "GATEWAY__TLS__TRUST_ANCHORS",
            authority.file().display().to_string(),
        ),
        ("GATEWAY__MSRP__TLS", policy.to_owned()),
    ]
}

/// SIP users enter a room; one of them over TLS and the other without.
// Rows: G7702-07, C757X-20
#[test]
fn a_conversation_over_tls_and_without_neither_loses_nor_doubles_a_message() -> Result<()> {
    let authority = Authority::new()?;
    let files = certificate(&authority, "gateway")?;
    let server = XmppServerKind::default();
    let mut world = World::start_as(server, Some(files), trusting(&authority, "accepted"))?;
    let mut romeo = world.sip_settings("romeo", "Romeo");
    romeo.msrp_tls = true;
    let place = Place {
        room: ROOM.to_owned(),
        romeo,
        nurse: world.sip_settings("nurse", "Nurse"),
        keeper: Keeper::Juliet,
    };
    let outcome = converse(world.xmpp_user("juliet")?, &place, &mut |_, _| {}).and_then(|tally| {
        ensure!(tally.is_perfect(), "{tally}");
        ensure!(world.gateway.msrps_written() > 0 && world.gateway.msrp_written() > 0);
        world.gateway.check_msrp()
    });
    outcome.with_context(|| world.logs())
}

/// An XMPP user enters a conference whose switch has TLS alone; so do SIP users.
// Rows: G7702-07, C4975-37
#[test]
fn a_conversation_in_a_conference_over_tls_neither_loses_nor_doubles_a_message() -> Result<()> {
    let authority = Authority::new()?;
    let (switch, gateway) = (
        certificate(&authority, "switch")?,
        certificate(&authority, "gateway")?,
    );
    let mut world = ConferenceWorld::start_as(
        XmppServerKind::default(),
        &["--subject", SUBJECT],
        Some([&switch, &gateway]),
        &trusting(&authority, "offered"),
    )?;
    let settings = |name, nickname| {
        let mut settings = world.sip_settings(name, nickname);
        settings.msrp_tls = true;
        settings
    };
    let place = Place {
        room: CONFERENCE_JID.to_owned(),
        romeo: settings("romeo", "Romeo"),
        nurse: settings("nurse", "Nurse"),
        keeper: Keeper::Focus,
    };
    let outcome = converse(world.xmpp_user("juliet")?, &place, &mut |_, _| {}).and_then(|tally| {
        ensure!(tally.is_perfect(), "{tally}");
        world.conference.check_msrp()?;
        world.gateway.check_msrp()
    });
    outcome.with_context(|| world.logs())
}

/// The switch of a conference shows a certificate; whether Juliet gets in, and else why not.
fn entering(authority: &Authority, switch: &Files, options: &[&str]) -> Result<Option<(String, String)>> {
    let gateway = certificate(authority, "gateway")?;
    let world = ConferenceWorld::start_as(
        XmppServerKind::default(),
        options,
        Some([switch, &gateway]),
        &trusting(authority, "required"),
    )?;
    let mut juliet = world.xmpp_user("juliet")?;
    if options.is_empty() {
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        return Ok(None);
    }
    juliet.enter_in_vain(CONFERENCE_JID, "JuliC").map(Some)
}

// Rows: C4975-37, G7702-07
#[test]
fn rfc4975_section_14_4_a_fingerprint_binds_a_certificate_that_no_name_and_no_authority_does() -> Result<()> {
    let (authority, nobody) = (Authority::new()?, Authority::new()?);
    let stranger = nobody.issue("stranger", &Says::names(&[dns("elsewhere.example.net")?]))?;
    ensure!(entering(&authority, &stranger, &[])?.is_none());
    Ok(())
}

// Rows: C4975-37, G7702-07
#[test]
fn rfc4975_section_14_2_who_enters_hears_why_a_switch_is_not_trusted() -> Result<()> {
    let (authority, nobody) = (Authority::new()?, Authority::new()?);
    let right = certificate(&authority, "right")?;
    let elsewhere = authority.issue("elsewhere", &Says::names(&[dns("elsewhere.example.net")?]))?;
    let untrusted = certificate(&nobody, "untrusted")?;
    let other = elsewhere.certificate.display().to_string();
    for (switch, options, why) in [
        (
            &elsewhere,
            vec!["--no-fingerprint"],
            "MSRP Certificate Is Not For The Host Of The Path",
        ),
        (
            &untrusted,
            vec!["--no-fingerprint"],
            "MSRP Certificate Is Not Trusted",
        ),
        (
            &right,
            vec!["--false-fingerprint", &other],
            "MSRP Certificate Is Not That Of The Fingerprint",
        ),
    ] {
        let (condition, text) = entering(&authority, switch, &options)?.context("she got in")?;
        ensure!(
            condition == "recipient-unavailable" && text == why,
            "{condition}: {text}"
        );
    }
    Ok(())
}

// Rows: C7701-61
#[test]
fn where_tls_is_required_a_client_without_is_refused_and_one_with_it_gets_in() -> Result<()> {
    let authority = Authority::new()?;
    let files = certificate(&authority, "gateway")?;
    let server = XmppServerKind::default();
    let world = World::start_as(server, Some(files), trusting(&authority, "required"))?;
    let outcome = (|| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut plain = SipChat::start(&world.sip_settings("nurse", "Nurse"))?;
        ensure!(code(&plain.wait("refused")?) == Some(488));
        let mut settings = world.sip_settings("romeo", "Romeo");
        settings.msrp_tls = true;
        let mut romeo = SipChat::enter(&settings)?;
        romeo.say_and_wait("Is the day so young?")?;
        juliet.hear(ROOM, "Is the day so young?")?;
        Ok(())
    })();
    outcome.with_context(|| world.logs())
}
