//! The XMPP server goes, comes back, is absent, or refuses us.

use std::{thread, time::Duration};

use gateway_tests::{
    Result, ensure,
    peers::{Gateway, GatewaySettings, Prosody, ProsodySettings, SipChat, SipChatSettings, sip_chat::field},
    raw_msrp::offer,
    raw_sip::{RawSip, Request},
    world::{ROOM, ROOM_URI, World, in_a_world},
};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn sip_users_survive_a_crash_of_the_xmpp_server_and_are_back_in_the_room() -> Result<()> {
    in_a_world(|world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut nurse = world.sip_user("nurse", "Nurse")?;
        juliet.see(ROOM, "Nurse", None)?;

        world.prosody.kill()?;
        world.prosody.restart()?;
        let mut juliet = world.xmpp_user("juliet")?;
        let mut present = juliet.enter(ROOM, "JuliC")?;
        for nickname in ["Romeo", "Nurse"] {
            if !present.iter().any(|found| found == nickname) {
                let presence = juliet.inbox().wait(nickname, Duration::from_secs(90), |stanza| {
                    stanza.name == "presence"
                        && stanza.from() == format!("{ROOM}/{nickname}")
                        && stanza.attribute("type").is_none()
                })?;
                present.extend(presence.from_resource().map(str::to_owned));
            }
        }
        juliet.say(ROOM, "you are back")?;
        assert_eq!(romeo.hear("you are back")?, "JuliC");
        assert_eq!(nurse.hear("you are back")?, "JuliC");
        romeo.say_and_wait("we never left")?;
        assert_eq!(juliet.hear(ROOM, "we never left")?, "Romeo");
        assert_eq!(nurse.hear("we never left")?, "Romeo");
        for user in [&mut romeo, &mut nurse] {
            let ended = user
                .inbox()
                .history()
                .iter()
                .find(|event| field(event, "event") == "ended");
            assert_eq!(ended, None, "a SIP session was ended");
        }
        Ok(())
    })
}

#[test]
fn after_a_crash_of_the_gateway_nobody_is_left_behind_in_the_room() -> Result<()> {
    in_a_world(|world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let _romeo = world.sip_user("romeo", "Romeo")?;
        juliet.see(ROOM, "Romeo", None)?;
        let (sip, msrp) = (world.gateway.sip_address(), world.gateway.msrp_address());
        let settings = settings_for(&world.prosody);
        world.gateway.process().kill()?;
        world.gateway = Gateway::start_on(sip, msrp, &settings)?;
        world.gateway.process().wait_for_log("link up", 0, SOON)?;
        juliet.say(ROOM, "Romeo?")?;
        juliet.see(ROOM, "Romeo", Some("unavailable"))?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        romeo.say_and_wait("here, under my old name")?;
        assert_eq!(juliet.hear(ROOM, "here, under my old name")?, "Romeo");
        Ok(())
    })
}

#[test]
fn without_an_xmpp_server_the_gateway_lives_and_refuses_with_503_and_retry_after() -> Result<()> {
    let mut prosody = Prosody::stopped(ProsodySettings::default())?;
    let settings = settings_for(&prosody);
    let mut gateway = Gateway::start(&settings)?;
    let mut caller = RawSip::connect(gateway.sip_address())?;
    let invite = Request::invite(ROOM_URI, caller.contact(), &offer("msrp://127.0.0.1:9/x;tcp"));
    caller.send(invite.to_string())?;
    let refusal = caller.final_response(&invite.call_id)?;
    assert_eq!(refusal.status(), Some(503), "{}", gateway.log_tail());
    let seconds: u32 = refusal.header("Retry-After").unwrap_or_default().parse()?;
    assert!((1..=3600).contains(&seconds), "Retry-After: {seconds}");
    assert!(gateway.is_running());
    // Several attempts fail before the server is there: the cause is told once, not at each of them.
    thread::sleep(Duration::from_secs(4));

    prosody.restart()?;
    prosody.wait_for_log(
        "External component successfully authenticated",
        Duration::from_secs(60),
    )?;
    let mut romeo = SipChat::start(&SipChatSettings {
        from: "sip:romeo@example.org".to_owned(),
        room: ROOM_URI.to_owned(),
        proxy: gateway.sip_address(),
        nickname: "Romeo".to_owned(),
    })?;
    romeo.wait("entered")?;
    let log = gateway.log();
    let told = ["link down", "link up"].map(|change| log.matches(change).count());
    ensure!(
        told == [1, 1],
        "down and up are told {told:?} times, once each is due\n{log}"
    );
    Ok(())
}

#[test]
fn a_wrong_secret_is_named_in_the_log_and_the_gateway_lives() -> Result<()> {
    let prosody = Prosody::start(ProsodySettings::default())?;
    let mut settings = settings_for(&prosody);
    settings.secret = "not the secret".to_owned();
    must_log(&settings, "refused the component secret")
}

#[test]
fn an_unknown_host_is_named_in_the_log_and_the_gateway_lives() -> Result<()> {
    let prosody = Prosody::start(ProsodySettings::default())?;
    let mut settings = settings_for(&prosody);
    settings
        .overrides
        .push(("GATEWAY__XMPP__DOMAIN", "elsewhere.example".to_owned()));
    must_log(&settings, "does not serve this component domain")
}

#[test]
fn a_conflict_is_named_in_the_log_and_the_gateway_lives() -> Result<()> {
    let settings = ProsodySettings {
        conflict: "kick_new",
        ..ProsodySettings::default()
    };
    let world = World::start_with(settings, Vec::new())?;
    must_log(
        &settings_for(&world.prosody),
        "another connection for this component domain",
    )
}

fn settings_for(prosody: &Prosody) -> GatewaySettings {
    GatewaySettings {
        server: prosody.component_address(),
        secret: prosody.secret().to_owned(),
        overrides: Vec::new(),
    }
}

/// The log says so, and the process lives.
fn must_log(settings: &GatewaySettings, cause: &str) -> Result<()> {
    let mut gateway = Gateway::start(settings)?;
    gateway.process().wait_for_log(cause, 0, SOON)?;
    ensure!(gateway.is_running(), "the gateway has ended");
    Ok(())
}
