//! REFER to the conference server (RFC 4579 §5.5, §5.11; RFC 3515), and the calls that follow.

use std::{io::Read, net::TcpListener};

use gateway_tests::{
    Result, ensure,
    peers::{Conference, SipChat, conference::CONFERENCES, sip_chat::field},
    raw_msrp::RawParticipant,
    raw_sip::{CallAnswer, Message, RawSip, Request},
};

const ROOM: &str = "verona";
const ROMEO: &str = "\"Romeo\" <sip:romeo@example.org>";

fn uri() -> String {
    format!("sip:{ROOM}@{CONFERENCES}")
}

/// REFER by a participant, and the response.
fn refer(participant: &mut RawParticipant, target: &str) -> Result<Message> {
    let mut request = Request::new("REFER", &uri(), participant.sip.contact());
    request.from = ROMEO.to_owned();
    request.extra.push(format!("Refer-To: {target}"));
    participant.sip.send(request.to_string())?;
    participant.sip.final_response(&request.call_id)
}

/// The status lines that it is told of, up to the last.
fn progress(participant: &mut RawParticipant) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let notify = participant.sip.request("NOTIFY")?;
        ensure!(notify.header("Event") == Some("refer"), "{notify:?}");
        lines.push(notify.body.trim().to_owned());
        if notify.header("Subscription-State") == Some("terminated;reason=noresource") {
            return Ok(lines);
        }
    }
}

#[test]
fn rfc3515_section_2_4_5_the_referrer_learns_how_the_invitation_went() -> Result<()> {
    let mut conference = Conference::start(&[])?;
    let mut romeo = RawParticipant::enter(conference.sip_address(), &uri(), ROMEO)?;
    let mut benvolio = RawSip::connect(conference.sip_address())?;
    let target = format!("<sip:benvolio@{};transport=tcp>", benvolio.contact());
    ensure!(refer(&mut romeo, &target)?.status() == Some(200));
    let told = progress(&mut romeo)?;
    ensure!(told == ["SIP/2.0 100 Trying", "SIP/2.0 486 As Told"], "{told:?}");
    let invite = benvolio.request("INVITE")?;
    ensure!(
        invite.header("Referred-By") == Some("<sip:romeo@example.org>"),
        "{invite:?}"
    );
    ensure!(
        invite
            .header("Contact")
            .is_some_and(|contact| contact.ends_with(";isfocus")),
        "{invite:?}"
    );
    conference.wait("invite_refused").map(drop)
}

#[test]
fn rfc6135_section_4_2_2_who_accepts_passively_is_connected_to() -> Result<()> {
    let mut conference = Conference::start(&[])?;
    let mut romeo = RawParticipant::enter(conference.sip_address(), &uri(), ROMEO)?;
    let benvolio = RawSip::connect(conference.sip_address())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let path = format!("msrp://{}/benvolio;tcp", listener.local_addr()?);
    benvolio.answer_calls(CallAnswer::Accepted(
        gateway_tests::raw_msrp::offer(&path).replace("setup:active", "setup:passive"),
    ));
    let target = format!("<sip:benvolio@{};transport=tcp>", benvolio.contact());
    refer(&mut romeo, &target)?;
    let told = progress(&mut romeo)?;
    ensure!(told == ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"], "{told:?}");
    let (mut stream, _) = listener.accept()?;
    let mut octets = vec![0; 4096];
    let length = stream.read(&mut octets)?;
    let first = String::from_utf8_lossy(octets.get(..length).unwrap_or_default()).into_owned();
    ensure!(
        first.contains(" SEND\r\n") && first.contains("benvolio;tcp"),
        "{first}"
    );
    conference
        .wait_for("entered", |event| {
            field(event, "uri").starts_with("sip:benvolio@")
        })
        .map(drop)
}

#[test]
fn rfc4579_section_5_11_a_participant_is_removed_by_method_bye() -> Result<()> {
    for (options, method, removed) in [
        (vec![], "<sip:tybalt@example.org;method=BYE>", true),
        (vec![], "<sip:tybalt@example.org>;method=BYE", true),
        (
            vec!["--method-outside"],
            "<sip:tybalt@example.org>;method=BYE",
            true,
        ),
        (
            vec!["--method-outside"],
            "<sip:tybalt@example.org;method=BYE>",
            false,
        ),
    ] {
        let mut conference = Conference::start(&options)?;
        let mut tybalt = SipChat::enter(&conference.sip_settings(ROOM, "tybalt", "Tybalt", None))?;
        let mut romeo = RawParticipant::enter(conference.sip_address(), &uri(), ROMEO)?;
        ensure!(refer(&mut romeo, method)?.status() == Some(200));
        let referred = conference.wait("referred")?;
        ensure!(
            field(&referred, "method") == if removed { "BYE" } else { "INVITE" },
            "{referred}"
        );
        if removed {
            ensure!(
                progress(&mut romeo)?
                    .last()
                    .is_some_and(|line| line == "SIP/2.0 200 OK")
            );
            let ended = tybalt.wait("ended")?;
            ensure!(field(&ended, "cause") == "bye", "{ended}");
        }
    }
    Ok(())
}

#[test]
fn who_may_not_refer_is_refused() -> Result<()> {
    let conference = Conference::start(&["--refuse-refer", "603"])?;
    let mut romeo = RawParticipant::enter(conference.sip_address(), &uri(), ROMEO)?;
    ensure!(refer(&mut romeo, "<sip:benvolio@example.org>")?.status() == Some(603));
    let conference = Conference::start(&[])?;
    let _tybalt = SipChat::enter(&conference.sip_settings(ROOM, "tybalt", "Tybalt", None))?;
    let mut stranger = RawSip::connect(conference.sip_address())?;
    let mut request = Request::new("REFER", &uri(), stranger.contact());
    request
        .extra
        .push("Refer-To: <sip:benvolio@example.org>".to_owned());
    stranger.send(request.to_string())?;
    let answer = stranger.final_response(&request.call_id)?;
    ensure!(answer.status() == Some(403), "{answer:?}");
    Ok(())
}
