//! Rooms of the conference server, with `sip-chat` users who call it straight.

use std::time::Duration;

use gateway_tests::{
    Result, ensure,
    peers::{
        Conference, SipChat,
        sip_chat::{code, field, nicknames},
    },
};
use serde_json::json;

const ROOM: &str = "verona";

fn enter(conference: &Conference, name: &str, nickname: &str) -> Result<SipChat> {
    SipChat::enter(&conference.sip_settings(ROOM, name, nickname, None))
}

fn start(conference: &Conference, name: &str, nickname: &str) -> Result<SipChat> {
    SipChat::start(&conference.sip_settings(ROOM, name, nickname, None))
}

fn roster(user: &mut SipChat) -> Result<Vec<String>> {
    user.ask_roster()?;
    let roster = user.wait("roster")?;
    Ok(nicknames(&roster))
}

/// Asks until the roster is so.
fn expect_roster(user: &mut SipChat, expected: &[&str]) -> Result<()> {
    let mut seen = Vec::new();
    for _ in 0..100 {
        seen = roster(user)?;
        if seen == expected {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    ensure!(seen == expected, "{seen:?} instead of {expected:?}");
    Ok(())
}

#[test]
fn rfc7701_participants_talk_whisper_and_change_their_names() -> Result<()> {
    let modes = ["plain", "gruu", "nickname"];
    for entities in modes {
        let mut conference = Conference::start(&["--subject", "Peace", "--entities", entities])?;
        let mut romeo = enter(&conference, "romeo", "Romeo")?;
        let subject = romeo.wait("subject")?;
        ensure!(field(&subject, "text") == "Peace", "{subject}");
        let mut nurse = enter(&conference, "nurse", "Nurse")?;
        expect_roster(&mut romeo, &["Nurse", "Romeo"])?;
        expect_roster(&mut nurse, &["Nurse", "Romeo"])?;
        romeo.say_and_wait("Ah, 🌹 عربي")?;
        ensure!(nurse.hear("Ah, 🌹 عربي")? == "Romeo", "{entities}");
        nurse.whisper("Romeo", "By and by")?;
        nurse.wait_for("sent", |event| field(event, "text") == "By and by")?;
        ensure!(romeo.hear_privately("By and by")? == "Nurse", "{entities}");
        nurse.rename("ROMEO")?;
        let refused = nurse.wait("nick_refused")?;
        ensure!(code(&refused) == Some(425), "{refused}");
        romeo.rename("Montague")?;
        romeo.wait("nick")?;
        expect_roster(&mut nurse, &["Montague", "Nurse"])?;
        conference.set_subject(ROOM, "War")?;
        nurse.wait_for("subject", |event| field(event, "text") == "War")?;
        let doubled = |user: &mut SipChat, text: &str| {
            let heard = user
                .inbox()
                .history()
                .iter()
                .filter(|event| field(event, "event") == "message" && field(event, "text") == text);
            heard.count()
        };
        ensure!(
            doubled(&mut romeo, "Ah, 🌹 عربي") == 0,
            "a message came back to its sender"
        );
        ensure!(doubled(&mut nurse, "Ah, 🌹 عربي") == 1, "not exactly once");
        romeo.quit()?;
        romeo.wait_for_end()?;
        nurse.wait_for("left", |event| {
            field(event, "nick") == "Montague" && field(event, "how") == "departed"
        })?;
        nurse.quit()?;
        nurse.wait_for_end()?;
        conference.expect_empty()?;
    }
    Ok(())
}

#[test]
fn residents_take_part_without_a_phone() -> Result<()> {
    let mut conference = Conference::start(&["--history", "2", "--welcome", "Be kind."])?;
    conference.join(ROOM, "Ben")?;
    for text in ["one", "two", "three"] {
        conference.say(ROOM, "Ben", text)?;
    }
    let mut romeo = enter(&conference, "romeo", "Romeo")?;
    for text in ["Be kind.", "two", "three"] {
        romeo.hear(text)?;
    }
    expect_roster(&mut romeo, &["Ben", "Romeo"])?;
    conference
        .command(&json!({"cmd": "whisper", "room": ROOM, "nick": "Ben", "to": "Romeo", "text": "psst"}))?;
    ensure!(romeo.hear_privately("psst")? == "Ben");
    conference.command(&json!({"cmd": "leave", "room": ROOM, "nick": "Ben"}))?;
    romeo.wait_for("left", |event| field(event, "nick") == "Ben")?;
    let said = |event: &serde_json::Value| field(event, "text") == "one";
    ensure!(!romeo.inbox().history().iter().any(said), "beyond the history");
    conference.command(&json!({"cmd": "say", "room": ROOM, "nick": "Ben", "text": "gone"}))?;
    conference.wait("error")?;
    Ok(())
}

#[test]
fn rfc4579_who_is_removed_gets_a_bye_and_the_others_see_it() -> Result<()> {
    let mut conference = Conference::start(&[])?;
    let mut romeo = enter(&conference, "romeo", "Romeo")?;
    let mut tybalt = enter(&conference, "tybalt", "Tybalt")?;
    expect_roster(&mut romeo, &["Romeo", "Tybalt"])?;
    conference.kick(ROOM, "Tybalt", "quarrelsome")?;
    let ended = tybalt.wait("ended")?;
    ensure!(
        field(&ended, "cause") == "bye" && field(&ended, "reason") == "quarrelsome",
        "{ended}"
    );
    let left = romeo.wait_for("left", |event| field(event, "nick") == "Tybalt")?;
    ensure!(
        field(&left, "how") == "booted" && field(&left, "reason") == "quarrelsome",
        "{left}"
    );
    conference.destroy(ROOM, "the end")?;
    let ended = romeo.wait("ended")?;
    ensure!(field(&ended, "reason") == "the end", "{ended}");
    conference.expect_empty()?;
    conference.quit()
}

#[test]
fn lost_media_ends_a_call() -> Result<()> {
    let mut conference = Conference::start(&[])?;
    let mut romeo = enter(&conference, "romeo", "Romeo")?;
    let mut nurse = enter(&conference, "nurse", "Nurse")?;
    conference.command(&json!({"cmd": "cut", "room": ROOM, "nick": "Romeo"}))?;
    let ended = romeo.wait("ended")?;
    ensure!(matches!(field(&ended, "cause"), "media_lost" | "bye"), "{ended}");
    nurse.kill()?;
    conference.expect_empty()
}

#[test]
fn a_message_of_60_000_octets_goes_through_in_chunks() -> Result<()> {
    let conference = Conference::start(&[])?;
    let mut romeo = enter(&conference, "romeo", "Romeo")?;
    let mut nurse = enter(&conference, "nurse", "Nurse")?;
    expect_roster(&mut nurse, &["Nurse", "Romeo"])?;
    let text = "é".repeat(30_000);
    romeo.say_and_wait(&text)?;
    ensure!(nurse.hear(&text)? == "Romeo");
    Ok(())
}

#[test]
fn refusals_are_options() -> Result<()> {
    for (options, expected) in [
        (vec!["--refuse", "403"], 403),
        (vec!["--redirect", "sip:elsewhere@example.org"], 302),
        (vec!["--capacity", "0"], 486),
        (vec![], 404),
    ] {
        let conference = Conference::start(&options)?;
        let mut settings = conference.sip_settings(ROOM, "romeo", "Romeo", None);
        if expected == 404 {
            settings.room = "sip:verona@elsewhere.example.org".to_owned();
        }
        let mut romeo = SipChat::start(&settings)?;
        let refused = romeo.wait("refused")?;
        ensure!(code(&refused) == Some(expected), "{options:?}: {refused}");
    }
    Ok(())
}

#[test]
fn what_a_room_does_without_is_an_option() -> Result<()> {
    let conference = Conference::start(&["--no-subscription", "--no-nicknames", "--no-private-messages"])?;
    let mut romeo = start(&conference, "romeo", "Romeo")?;
    let refused = romeo.wait("nick_refused")?;
    ensure!(matches!(code(&refused), Some(403 | 501)), "{refused}");
    let refused = romeo.wait("no_roster")?;
    ensure!(code(&refused) == Some(403), "{refused}");
    let conference = Conference::start(&["--nickname-taken", "Romeo", "--refuse-send", "413"])?;
    let mut romeo = start(&conference, "romeo", "romeo")?;
    let refused = romeo.wait("nick_refused")?;
    ensure!(code(&refused) == Some(425), "{refused}");
    romeo.say("hello")?;
    let failed = romeo.wait("failed")?;
    ensure!(code(&failed) == Some(413), "{failed}");
    Ok(())
}

#[test]
fn a_slow_server_still_serves() -> Result<()> {
    let conference = Conference::start(&["--slow", "300ms"])?;
    let began = std::time::Instant::now();
    let mut romeo = enter(&conference, "romeo", "Romeo")?;
    ensure!(
        began.elapsed() > Duration::from_millis(600),
        "INVITE and NICKNAME wait"
    );
    romeo.say_and_wait("at last")
}

#[test]
fn the_ways_of_a_deployed_server_can_be_had_at_once() -> Result<()> {
    let mut conference = Conference::start(&["--as-deployed", "--keep-alive", "200ms"])?;
    let mut romeo = enter(&conference, "romeo", "Romeo")?;
    let mut nurse = enter(&conference, "nurse", "Nurse")?;
    expect_roster(&mut nurse, &["\"Nurse\"", "\"Romeo\""])?;
    romeo.say_and_wait("Bon jour")?;
    nurse.hear("Bon jour")?;
    nurse.whisper("\"Romeo\"", "psst")?;
    romeo.hear_privately("psst")?;
    conference.wait("kept_alive")?;
    conference.wait("reported")?;
    let text = "x".repeat(20_000);
    romeo.say(&text)?;
    romeo.wait("ended")?;
    conference
        .wait_for("left", |event| field(event, "how") == "lost")
        .map(drop)
}
