//! What the gateway answers to SIP that it cannot or will not serve, on the wire.

use std::time::Duration;

use gateway_tests::{
    Context, Result, ensure,
    raw_msrp::{offer, sdp},
    raw_sip::{RawSip, Request, datagram},
    world::{ROOM_URI, World, in_a_world},
};

const PATH: &str = "msrp://127.0.0.1:9/x;tcp";

#[test]
fn what_cannot_be_parsed_gets_400_over_tcp_and_the_connection_stays() -> Result<()> {
    in_a_world(|world| {
        let mut caller = RawSip::connect(world.gateway.sip_address())?;
        for (what, right, wrong) in [
            ("CSeq of another method", "CSeq: 1 OPTIONS", "CSeq: 1 INVITE"),
            ("CSeq beyond its range", "CSeq: 1 ", "CSeq: 99999999999 "),
            ("a second CSeq", "Max-Forwards: 70", "CSeq: 2 OPTIONS"),
            ("a quote that never ends", "From: <", "From: \"Romeo <"),
        ] {
            let request = Request::new("OPTIONS", ROOM_URI, caller.contact());
            caller.send(request.to_string().replace(right, wrong))?;
            let answer = caller.final_response(&request.call_id).context(what)?;
            assert_eq!(answer.status(), Some(400), "{what}");
            ensure!(
                answer.start.len() > "SIP/2.0 400 ".len(),
                "{what}: no reason given"
            );
            caller.require_alive(ROOM_URI).context(what)?;
        }
        Ok(())
    })
}

#[test]
fn what_cannot_be_answered_is_passed_over_in_silence() -> Result<()> {
    in_a_world(|world| {
        let server = world.gateway.sip_address();
        for garbage in [
            &b"\0\xFF\xFEgarbage"[..],
            b"INVITE\r\n\r\n",
            b"SIP/2.0 200 OK\r\n\r\n",
            b"",
        ] {
            let answer = datagram(server, garbage, Duration::from_millis(300))?;
            assert_eq!(answer, None, "{garbage:?}");
        }
        RawSip::connect(server)?.require_alive(ROOM_URI)
    })
}

#[test]
fn an_unknown_method_gets_501_or_405_with_allow_and_the_connection_stays() -> Result<()> {
    in_a_world(|world| {
        let mut caller = RawSip::connect(world.gateway.sip_address())?;
        for (method, statuses) in [("TELEPORT", [501, 405]), ("PUBLISH", [501, 405])] {
            let request = Request::new(method, ROOM_URI, caller.contact());
            caller.send(request.to_string())?;
            let answer = caller.final_response(&request.call_id)?;
            ensure!(
                answer.status().is_some_and(|status| statuses.contains(&status)),
                "{method} got {}",
                answer.start
            );
            let allowed = answer.header("Allow").context("no Allow")?;
            ensure!(
                allowed.contains("INVITE") && !allowed.contains(method),
                "Allow: {allowed}"
            );
        }
        caller.require_alive(ROOM_URI)
    })
}

// Rows: C7701-04
#[test]
fn an_offer_without_msrp_or_without_cpim_gets_488() -> Result<()> {
    in_a_world(|world| {
        let audio = sdp("m=audio 49170 RTP/AVP 0\r\n");
        let plain = sdp(&format!(
            "m=message 2855 TCP/MSRP *\r\na=accept-types:text/plain\r\na=path:{PATH}\r\n"
        ));
        for offer in [audio, plain] {
            assert_eq!(invite(world, ROOM_URI, &offer)?, 488, "{offer}");
        }
        Ok(())
    })
}

#[test]
fn a_domain_that_is_not_served_gets_404() -> Result<()> {
    in_a_world(|world| {
        assert_eq!(invite(world, "sip:capulet@elsewhere.example", &offer(PATH))?, 404);
        assert_eq!(invite(world, "sip:capulet@example.org", &offer(PATH))?, 404);
        Ok(())
    })
}

#[test]
fn a_message_over_the_limit_gets_413_or_513() -> Result<()> {
    in_a_world(|world| {
        let mut caller = RawSip::connect(world.gateway.sip_address())?;
        let mut request = Request::new("OPTIONS", ROOM_URI, caller.contact());
        request.body = Some(("text/plain".to_owned(), "x".repeat(80 * 1024)));
        // The gateway may close while we still write.
        let _ = caller.send(request.to_string());
        let answer = caller.final_response(&request.call_id)?;
        ensure!(matches!(answer.status(), Some(413 | 513)), "got {}", answer.start);
        RawSip::connect(world.gateway.sip_address())?.require_alive(ROOM_URI)
    })
}

fn invite(world: &World, uri: &str, sdp: &str) -> Result<u16> {
    let mut caller = RawSip::connect(world.gateway.sip_address())?;
    let invite = Request::invite(uri, caller.contact(), sdp);
    caller.send(invite.to_string())?;
    caller
        .final_response(&invite.call_id)?
        .status()
        .context("no status")
}
