//! The XMPP server goes, comes back, is absent, or refuses us.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use gateway_tests::{
    Context, PATIENCE, Result, ensure, on_each_xmpp_server,
    peers::{
        Gateway, GatewaySettings, Prosody, ProsodySettings, SipChat, SipChatSettings, XmppServer,
        XmppServerKind, XmppUser,
        sip_chat::{field, is_message},
        xmpp_user::is_whispered,
    },
    ports::free_port,
    raw_msrp::{RawParticipant, cpim, offer},
    raw_sip::{RawSip, Request},
    scratch::Scratch,
    world::{ROOM, ROOM_URI, World, in_a_world_with},
};

/// What a SIP user is told by the room.
const AWAY: &str = "(the room is out of reach for now; this call stays up until it is back)";
const BACK: &str = "(the room is back)";

on_each_xmpp_server! {
    sip_users_survive_a_crash_of_the_xmpp_server_and_are_back_in_the_room,
    what_is_said_during_an_outage_is_held_and_sent_once_where_the_operator_wants_it,
    after_a_crash_of_the_gateway_nobody_is_left_behind_in_the_room,
    whom_a_crash_leaves_behind_leaves_at_the_next_start_though_nothing_happens_in_his_room,
    whatever_a_room_has_for_somebody_who_was_left_behind_makes_him_leave,
    who_whispers_while_the_server_stands_still_hears_that_it_may_be_lost,
    a_wrong_secret_is_named_in_the_log_and_the_gateway_lives,
}

fn sip_users_survive_a_crash_of_the_xmpp_server_and_are_back_in_the_room(
    server: XmppServerKind,
) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut nurse = world.sip_user("nurse", "Nurse")?;
        juliet.see(ROOM, "Nurse", None)?;

        world.xmpp.kill()?;
        world.xmpp.restart()?;
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
            for notice in [AWAY, BACK] {
                let heard = user.inbox().history().iter();
                let told = heard.filter(|event| is_message(event, notice, false)).count();
                assert_eq!(told, 1, "{notice}");
            }
        }
        Ok(())
    })
}

fn what_is_said_during_an_outage_is_held_and_sent_once_where_the_operator_wants_it(
    server: XmppServerKind,
) -> Result<()> {
    let hold = vec![
        ("GATEWAY__OUTAGE__MESSAGES", "hold".to_owned()),
        ("GATEWAY__LIMITS__MAPPING__REFLECTION", "29s".to_owned()),
    ];
    let mut world = World::start_with(server, hold)?;
    let mut romeo = world.sip_user("romeo", "Romeo")?;
    let mut nurse = world.sip_user("nurse", "Nurse")?;
    world.xmpp.kill()?;
    romeo.wait_for("message", |event| is_message(event, AWAY, false))?;
    romeo.say("first")?;
    romeo.say("second")?;
    world.xmpp.restart()?;
    for text in ["first", "second"] {
        romeo.wait_for("sent", |event| field(event, "text") == text)?;
    }
    nurse.wait_for("message", |event| is_message(event, BACK, false))?;
    romeo.say_and_wait("third")?;
    nurse.hear("third")?;
    let heard: Vec<&str> = nurse
        .inbox()
        .history()
        .iter()
        .filter(|event| field(event, "event") == "message" && field(event, "from") == "Romeo")
        .map(|event| field(event, "text"))
        .collect();
    ensure!(
        heard == ["first", "second", "third"],
        "the nurse hears {heard:?}\n{}",
        world.logs()
    );
    Ok(())
}

fn who_whispers_while_the_server_stands_still_hears_that_it_may_be_lost(
    server: XmppServerKind,
) -> Result<()> {
    let soon = vec![
        ("GATEWAY__XMPP__IDLE", "2s".to_owned()),
        ("GATEWAY__XMPP__PING", "1s".to_owned()),
    ];
    let mut world = World::start_with(server, soon)?;
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    let mut romeo = RawParticipant::enter(world.gateway.sip_address(), ROOM_URI, "<sip:romeo@example.org>")?;
    juliet.see(ROOM, "romeo", None)?;
    let mut send = |to: &str, text: &str| {
        let body = cpim(&[to], "sip:romeo@example.org", text);
        romeo.send(body.as_bytes(), Some("message/cpim"))
    };
    let to_juliet = format!("{ROOM_URI};gr=JuliC");
    assert_eq!(send(&to_juliet, "heard")?.status(), Some(200));
    juliet.hear_privately(ROOM, "heard")?;
    // Its reflection comes behind whatever the server has to say of the whisper.
    assert_eq!(send(ROOM_URI, "aloud")?.status(), Some(200));
    world.xmpp.process().context("no server")?.pause();
    assert_eq!(send(&to_juliet, "lost?")?.status(), Some(200));
    assert_eq!(romeo.reported()?, "000 408 Chat Service Not Connected");
    world.xmpp.process().context("no server")?.resume();
    // The server may have read it all the same, once; what had arrived before is not reported.
    juliet.hear_privately(ROOM, "lost?")?;
    world
        .gateway
        .process()
        .wait_for_log("back in the room", 0, PATIENCE)?;
    juliet.say(ROOM, "are you there?")?;
    romeo.hear("are you there?")?;
    let again = juliet.inbox().history().iter();
    let again = again.filter(|stanza| is_whispered(stanza, ROOM, "lost?"));
    assert_eq!(again.count(), 1);
    assert_eq!(romeo.reports(), 1);
    Ok(())
}

/// The gateway dies without a word, and is started again.
fn crash(world: &mut World) -> Result<()> {
    let settings = GatewaySettings::for_server(&world.xmpp);
    crash_of(world, &settings)
}

/// The same with these settings from then on.
fn crash_of(world: &mut World, settings: &GatewaySettings) -> Result<()> {
    let sip = world.gateway.sip_address();
    let msrp = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    world.gateway.process().kill()?;
    world.gateway = Gateway::start_on(sip, msrp, settings)?;
    world.gateway.process().wait_for_log("link up", 0, PATIENCE)?;
    Ok(())
}

fn after_a_crash_of_the_gateway_nobody_is_left_behind_in_the_room(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.enter(ROOM, "JuliC")?;
        let _romeo = world.sip_user("romeo", "Romeo")?;
        juliet.see(ROOM, "Romeo", None)?;
        crash(world)?;
        juliet.say(ROOM, "Romeo?")?;
        juliet.see(ROOM, "Romeo", Some("unavailable"))?;
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        romeo.say_and_wait("here, under my old name")?;
        assert_eq!(juliet.hear(ROOM, "here, under my old name")?, "Romeo");
        Ok(())
    })
}

/// Waits until the gateway has so many changes of its occupants on the disk.
fn wait_until_written(world: &World, changes: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = world.gateway.log();
        let batches = log.split("occupants written changes=").skip(1);
        let numbers = batches.filter_map(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
        let written: usize = numbers.sum();
        if written == changes {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{written} of {changes} changes are written\n{log}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

fn whom_a_crash_leaves_behind_leaves_at_the_next_start_though_nothing_happens_in_his_room(
    server: XmppServerKind,
) -> Result<()> {
    let state = Scratch::new("state")?;
    let directory = state.path().display().to_string();
    let overrides = vec![
        ("GATEWAY__STATE__DIRECTORY", directory),
        (
            "GATEWAY__LOG__LEVEL",
            "info,server::tasks::journal=debug".to_owned(),
        ),
    ];
    let mut world = World::start_with(server, overrides.clone())?;
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    let quiet = "quiet@rooms.example.com";
    juliet.enter(quiet, "JuliC")?;
    let call = |world: &World, user: &str, room: &str| {
        let from = format!("\"{user}\" <sip:{}@example.org>", user.to_lowercase());
        RawParticipant::enter(world.gateway.sip_address(), &format!("sip:{room}"), &from)
    };
    let _romeo = call(&world, "Romeo", ROOM)?;
    let _nurse = call(&world, "Nurse", quiet)?;
    let mut tybalt = call(&world, "Tybalt", quiet)?;
    for (room, nickname) in [(ROOM, "Romeo"), (quiet, "Nurse"), (quiet, "Tybalt")] {
        juliet.see(room, nickname, None)?;
    }
    wait_until_written(&world, 3)?;
    tybalt.hang_up("enough")?;
    juliet.see(quiet, "Tybalt", Some("unavailable"))?;
    wait_until_written(&world, 4)?;

    let settings = GatewaySettings {
        overrides,
        ..GatewaySettings::for_server(&world.xmpp)
    };
    crash_of(&mut world, &settings)?;
    // She says nothing in either room.
    juliet.see(ROOM, "Romeo", Some("unavailable"))?;
    juliet.see(quiet, "Nurse", Some("unavailable"))?;
    ensure!(
        world.gateway.log().contains("occupants=2"),
        "Tybalt was not left behind\n{}",
        world.gateway.log_tail()
    );
    let mut romeo = world.sip_user("romeo", "Romeo")?;
    romeo.say_and_wait("here, under my old name")?;
    assert_eq!(juliet.hear(ROOM, "here, under my old name")?, "Romeo");

    // Whom a stop has made to leave is not left behind.
    world.gateway.process().terminate();
    juliet.see(ROOM, "Romeo", Some("unavailable"))?;
    world.gateway.process().wait(PATIENCE)?;
    let mut last = Gateway::start(&settings)?;
    last.process().wait_for_log("link up", 0, PATIENCE)?;
    ensure!(!last.log().contains("left behind"), "{}", last.log_tail());
    world.check_sip()
}

fn whatever_a_room_has_for_somebody_who_was_left_behind_makes_him_leave(
    server: XmppServerKind,
) -> Result<()> {
    type Happens = fn(&mut XmppUser, &mut XmppUser, &str) -> Result<()>;
    let cases: [(&str, Happens); 4] = [
        ("said", |juliet, _, room| juliet.say(room, "Romeo?")),
        ("whispered", |juliet, _, room| {
            juliet.whisper(room, "Romeo", "Romeo?")?;
            juliet.refused_message(&format!("{room}/Romeo")).map(drop)
        }),
        ("asked", |juliet, _, room| {
            let ping = "<ping xmlns='urn:xmpp:ping'/>";
            juliet.send(format!("<iq type='get' id='ask' to='{room}/Romeo'>{ping}</iq>"))
        }),
        ("entered", |_, nurse, room| nurse.enter(room, "Nurse").map(drop)),
    ];
    in_a_world_with(server, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        let mut nurse = world.xmpp_user("nurse")?;
        let mut romeos = Vec::new();
        for (name, _) in cases {
            let room = format!("{name}@rooms.example.com");
            juliet.enter(&room, "Juliet")?;
            let from = "\"Romeo\" <sip:romeo@example.org>";
            romeos.push(RawParticipant::enter(
                world.gateway.sip_address(),
                &format!("sip:{room}"),
                from,
            )?);
            juliet.see(&room, "Romeo", None)?;
        }
        crash(world)?;
        for (name, happens) in cases {
            let room = format!("{name}@rooms.example.com");
            happens(&mut juliet, &mut nurse, &room).context(name)?;
            juliet.see(&room, "Romeo", Some("unavailable")).context(name)?;
        }
        Ok(())
    })
}

#[test]
fn without_an_xmpp_server_the_gateway_lives_and_refuses_with_503_and_retry_after() -> Result<()> {
    let mut prosody = Prosody::stopped(ProsodySettings::default())?;
    let settings = GatewaySettings {
        server: prosody.component_address(),
        secret: prosody.secret().to_owned(),
        overrides: Vec::new(),
        msrp_tls: None,
        program: None,
    };
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
        msrp_tls: false,
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

fn a_wrong_secret_is_named_in_the_log_and_the_gateway_lives(server: XmppServerKind) -> Result<()> {
    let server = XmppServer::start(server)?;
    let mut settings = GatewaySettings::for_server(&server);
    settings.secret = "not the secret".to_owned();
    must_log(&settings, "refused the component secret")
}

#[test]
fn an_unknown_host_is_named_in_the_log_and_the_gateway_lives() -> Result<()> {
    unknown_host(XmppServerKind::default(), "does not serve this component domain")
}

#[test]
fn an_unknown_host_looks_like_a_wrong_secret_on_ejabberd_and_the_log_says_so() -> Result<()> {
    unknown_host(
        XmppServerKind::Ejabberd,
        "in ejabberd also the domain with the listener's `hosts`",
    )
}

fn unknown_host(server: XmppServerKind, cause: &str) -> Result<()> {
    let server = XmppServer::start(server)?;
    let mut settings = GatewaySettings::for_server(&server);
    settings
        .overrides
        .push(("GATEWAY__XMPP__DOMAIN", "elsewhere.example".to_owned()));
    must_log(&settings, cause)
}

#[test]
fn a_conflict_is_named_in_the_log_and_the_gateway_lives() -> Result<()> {
    let server = XmppServerKind::Prosody(ProsodySettings {
        conflict: "kick_new",
        ..ProsodySettings::default()
    });
    let world = World::start_with(server, Vec::new())?;
    must_log(
        &GatewaySettings::for_server(&world.xmpp),
        "another connection for this component domain",
    )
}

/// The log says so, and the process lives.
fn must_log(settings: &GatewaySettings, cause: &str) -> Result<()> {
    let mut gateway = Gateway::start(settings)?;
    gateway.process().wait_for_log(cause, 0, PATIENCE)?;
    ensure!(gateway.is_running(), "the gateway has ended");
    Ok(())
}
