//! The strict checker catches what it must, and finds nothing wrong with what RFC 4975 and RFC 7701 ask for.

use msrp_checker::{Deviation, check, check_conversation};

const TO: &str = "To-Path: msrp://b.example.org:2855/bsession;tcp\r\n";
const FROM: &str = "From-Path: msrp://a.example.org:7394/asession;tcp\r\n";
const CPIM: &str = "From: \"A \\\"x\\\"\" <sip:a@example.org>\r\nTo: <sip:room@example.com>\r\n\
                    DateTime: 2026-11-20T21:00:00.25+01:00\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 1\r\n\
                    \r\nContent-Type: text/plain;charset=utf-8\r\n\r\nHi";

/// A SEND of `a…` with the transaction id `transact0001` and these lines behind the paths, up to the end-line.
fn send(rest: &str, flag: char) -> String {
    request("SEND", "transact0001", rest, flag)
}

fn request(method: &str, id: &str, rest: &str, flag: char) -> String {
    format!("MSRP {id} {method}\r\n{TO}{FROM}{rest}-------{id}{flag}\r\n")
}

fn whole(content_type: &str, body: &str) -> String {
    let length = body.len();
    send(
        &format!(
            "Message-ID: m001\r\nByte-Range: 1-{length}/{length}\r\nContent-Type: {content_type}\r\n\r\n{body}\r\n"
        ),
        '$',
    )
}

fn chunk(id: &str, first: usize, body: &str, total: &str, flag: char) -> String {
    let rest = format!(
        "Message-ID: m001\r\nByte-Range: {first}-*/{total}\r\nContent-Type: text/plain\r\n\r\n{body}\r\n"
    );
    request("SEND", id, &rest, flag)
}

fn response(id: &str, status: &str) -> String {
    // Paths swapped.
    let (to, from) = (FROM.replace("From", "To"), TO.replace("To", "From"));
    format!("MSRP {id} {status}\r\n{to}{from}-------{id}$\r\n")
}

/// A REPORT that goes back.
fn report(rest: &str) -> String {
    let (to, from) = (FROM.replace("From", "To"), TO.replace("To", "From"));
    format!("MSRP reporter0001 REPORT\r\n{to}{from}{rest}-------reporter0001$\r\n")
}

const REPORTED: &str = "Message-ID: m001\r\nByte-Range: 1-2/2\r\nStatus: 000 200 OK\r\n";

/// Each of `wrong` comes from the right text by one replacement and is caught for its section.
fn caught(right: &str, wrong: &[(&str, &str, &str)]) {
    assert_eq!(check(right.as_bytes()).deviations, [], "{right}");
    for (from, to, section) in wrong {
        let text = right.replacen(from, to, 1);
        assert_ne!(&text, right, "{from:?} does not occur");
        let verdict = check(text.as_bytes());
        let named = |deviation: &Deviation| deviation.section.starts_with(section);
        assert!(
            verdict.deviations.iter().any(named),
            "{from:?} → {to:?}: {verdict:?}"
        );
    }
}

#[test]
fn rfc4975_9_start_lines_and_end_lines() {
    caught(
        &whole("text/plain", "Hi"),
        &[
            ("MSRP ", "msrp ", "RFC 4975 §9"),
            ("MSRP ", "MSRP  ", "RFC 4975 §9"),
            ("MSRP ", "\r\nMSRP ", "RFC 4975 §9"),
            ("MSRP transact0001", "MSRP abc", "RFC 4975 §9"),
            ("MSRP transact0001", "MSRP -ransact0001", "RFC 4975 §9"),
            ("SEND", "send", "RFC 4975 §9"),
            ("SEND", "SEND ", "RFC 4975 §9"),
            ("SEND", "FETCH", "RFC 4975 §12"),
            ("SEND\r\n", "SEND\n", "RFC 4975 §9"),
            ("m001\r\n", "m001\n", "RFC 4975 §9"),
            ("m001\r\n", "m0\r01\r\n", "RFC 4975 §9"),
        ],
    );
    caught(
        &request("NICKNAME", "transact0001", "Use-Nickname: \"A\"\r\n", '$'),
        &[
            ("1$\r\n", "2$\r\n", "RFC 4975 §9"),
            ("1$\r\n", "1\r\n", "RFC 4975 §9"),
            ("1$\r\n", "1!\r\n", "RFC 4975 §9"),
            ("1$\r\n", "1$ \r\n", "RFC 4975 §9"),
            ("1$\r\n", "1+\r\n", "RFC 4975 §7.1"),
            ("1$\r\n", "1$\n", "RFC 4975 §9"),
        ],
    );
}

#[test]
fn rfc4975_7_1_transaction_ids_are_long_and_fresh() {
    let short = whole("text/plain", "Hi").replace("transact0001", "trans12345");
    assert_eq!(sections(&short), ["RFC 4975 §7.1"]);
    let again = whole("text/plain", "Hi") + &whole("text/plain", "Ho").replace("m001", "m002");
    assert_eq!(sections(&again), ["RFC 4975 §7.1"]);
}

#[test]
fn rfc4975_9_headers_and_their_order() {
    caught(
        &whole("text/plain", "Hi"),
        &[
            ("To-Path", "X-Path", "RFC 4975 §9"),
            ("From-Path", "X-Path", "RFC 4975 §9"),
            (TO, "", "RFC 4975 §9"),
            ("Message-ID", "To-Path", "RFC 4975 §9"),
            (
                "Message-ID: m001\r\n",
                "Message-ID: m001\r\nMessage-ID: m001\r\n",
                "RFC 4975 §9",
            ),
            ("Message-ID: m001", "Message-ID:m001", "RFC 4975 §9"),
            ("Message-ID: m001", "Message-ID:  m001", "RFC 4975 §9"),
            ("Message-ID: m001", "Message-ID: m001 ", "RFC 4975 §9"),
            ("Message-ID: m001", "Message-ID: m01", "RFC 4975 §9"),
            (
                "Message-ID: m001\r\n",
                "Message-ID: m001\r\nX Y: z\r\n",
                "RFC 4975 §9",
            ),
            (
                "Message-ID: m001\r\n",
                "Message-ID: m001\r\nX: \u{7}\r\n",
                "RFC 4975 §9",
            ),
            (
                "Message-ID: m001\r\n",
                "Message-ID: m001\r\nSuccess-Report: maybe\r\n",
                "RFC 4975 §9",
            ),
            (
                "Message-ID: m001\r\n",
                "Message-ID: m001\r\nFailure-Report: some\r\n",
                "RFC 4975 §9",
            ),
            ("Message-ID: m001\r\n", "", "RFC 4975 §7.1.1"),
            ("text/plain", "text", "RFC 4975 §9"),
            ("text/plain", "text/plain; a=\"", "RFC 4975 §9"),
            ("text/plain\r\n", "text/plain\r\nX: y\r\n", "RFC 4975 §7.1"),
            ("Content-Type: text/plain\r\n", "", "RFC 4975 §7.1"),
        ],
    );
    let bodiless = send("Message-ID: m001\r\nByte-Range: 1-0/0\r\n", '$');
    caught(
        &bodiless,
        &[("m001\r\n", "m001\r\nContent-Type: a/b\r\n", "RFC 4975 §7.1")],
    );
}

#[test]
fn rfc4975_9_uris() {
    caught(
        &whole("text/plain", "Hi"),
        &[
            ("msrp://b", "sip://b", "RFC 4975 §9 MSRP-URI"),
            (":2855", "", "RFC 4975 §9 MSRP-URI"),
            (":2855", ":65536", "RFC 4975 §9 MSRP-URI"),
            ("/bsession", "", "RFC 4975 §9 MSRP-URI"),
            ("/bsession", "/b", "RFC 4975 §9 MSRP-URI"),
            ("/bsession", "/b@session", "RFC 4975 §9 MSRP-URI"),
            (";tcp", "", "RFC 4975 §9 MSRP-URI"),
            (";tcp", ";", "RFC 4975 §9 MSRP-URI"),
            (";tcp", ";tcp;", "RFC 4975 §9 MSRP-URI"),
            ("b.example.org", "[::1", "RFC 4975 §9 MSRP-URI"),
            ("b.example.org", "2001:db8::1", "RFC 4975 §9 MSRP-URI"),
            ("b.example.org", "b example.org", "RFC 4975 §9 MSRP-URI"),
            (
                "From-Path: ",
                "From-Path: msrp://r.example.org:2855;tcp ",
                "RFC 4975 §7.1",
            ),
        ],
    );
}

#[test]
fn rfc4975_7_1_1_byte_ranges() {
    caught(
        &whole("text/plain", "Hi"),
        &[
            ("1-2/2", "0-1/2", "RFC 4975 §7.1.1"),
            ("1-2/2", "1-3/3", "RFC 4975 §7.1.1"),
            ("1-2/2", "1-1/2", "RFC 4975 §7.1.1"),
            ("1-2/2", "1-2/1", "RFC 4975 §7.1.1"),
            ("1-2/2", "1-*/3", "RFC 4975 §7.1.1"),
            ("1-2/2", "1-2", "RFC 4975 §9"),
            ("1-2/2", "1-2/18446744073709551616", "RFC 4975 §9"),
            ("Byte-Range: 1-2/2\r\n", "", "RFC 4975 §7.1.1"),
        ],
    );
    let long = "x".repeat(2049);
    assert_eq!(sections(&chunk("transact0001", 1, &long, "2049", '$')), [""; 0]);
    let uninterruptible = chunk("transact0001", 1, &long, "2049", '$').replace("1-*", "1-2049");
    assert_eq!(sections(&uninterruptible), ["RFC 4975 §7.1.1"]);
}

#[test]
fn rfc4975_7_1_1_chunks_continue_each_other() {
    let first = chunk("transact0001", 1, &"x".repeat(2048), "2050", '+');
    let last = chunk("transact0002", 2049, "yz", "2050", '$');
    assert_eq!(sections(&(first.clone() + &last)), [""; 0]);
    for (wrong, section) in [
        (last.replace("2049-", "2048-"), "RFC 4975 §7.1.1"),
        (last.replace("2049-", "2050-"), "RFC 4975 §7.1.1"),
        (last.replace("/2050", "/2051"), "RFC 4975 §7.1.1"),
        (last.replace("text/plain", "text/html"), "RFC 4975 §7.1.1"),
        (
            last.replace("Byte", "Success-Report: yes\r\nByte"),
            "RFC 4975 §7.1.1",
        ),
        (
            last.replace("Byte", "Failure-Report: no\r\nByte"),
            "RFC 4975 §7.1.1",
        ),
        (last.replace("bsession", "csession"), "RFC 4975 §7.1.1"),
        (last.replace("Byte-Range: 2049-*/2050\r\n", ""), "RFC 4975 §7.1.1"),
        (
            last.clone() + &last.replace("transact0002", "transact0003"),
            "RFC 4975 §7.1.1",
        ),
        (chunk("transact0002", 2049, "y", "2050", '+'), "RFC 4975 §7.1.1"),
    ] {
        assert!(sections(&(first.clone() + &wrong)).contains(&section), "{wrong}");
    }
    assert_eq!(
        sections(&last),
        ["RFC 4975 §7.1.1"; 2],
        "the first chunk is missing"
    );
}

#[test]
fn rfc4975_7_1_bodies_hold_no_end_line() {
    for look_alike in [
        "a-------transact0001$b",
        "a\r\n-------transact0001+b",
        "-------transact0001#",
    ] {
        assert_eq!(
            sections(&whole("text/plain", look_alike)),
            ["RFC 4975 §7.1"],
            "{look_alike}"
        );
    }
    for harmless in [
        "a\r\n-------transact0002$\r\nb",
        "-------transact0001",
        "------transact0001$",
    ] {
        assert_eq!(sections(&whole("text/plain", harmless)), [""; 0], "{harmless}");
    }
}

#[test]
fn rfc4975_7_1_3_reports_and_rfc7701_7_1_nicknames() {
    caught(
        &report(REPORTED),
        &[
            ("Message-ID: m001\r\n", "", "RFC 4975 §7.1.3"),
            ("Status: 000 200 OK\r\n", "", "RFC 4975 §7.1.3"),
            ("Status: 000", "Status: 001", "RFC 4975 §7.1.3"),
            ("Status: 000 200 OK", "Status: 200 OK", "RFC 4975 §9"),
            ("Byte-Range: 1-2/2\r\n", "", "RFC 4975 §7.1.4"),
            ("1-2/2", "1-*/2", "RFC 4975 §7.1.4"),
            ("1-2/2", "1-3/2", "RFC 4975 §7.1.4"),
            ("Status", "Success-Report: no\r\nStatus", "RFC 4975 §7.1.2"),
        ],
    );
    caught(
        &request(
            "NICKNAME",
            "transact0001",
            "Use-Nickname: \"A \\\"b\\\\\"\r\n",
            '$',
        ),
        &[
            ("\"A \\\"b\\\\\"", "A", "RFC 4975 §9"),
            ("\"A ", "\"A \\n", "RFC 4975 §9"),
            ("\"A ", "\"A\" ", "RFC 4975 §9"),
            ("Use-Nickname", "X-Nickname", "RFC 7701 §7.1"),
            (
                "Use-Nickname",
                "Failure-Report: no\r\nUse-Nickname",
                "RFC 4975 §7.1.2",
            ),
        ],
    );
    for (octets, sound) in [(0, true), (1, true), (1023, true), (1024, false)] {
        let header = format!("Use-Nickname: \"{}\"\r\n", "x".repeat(octets));
        let found = sections(&request("NICKNAME", "transact0001", &header, '$'));
        assert_eq!(found.is_empty(), sound, "{octets}: {found:?}");
    }
}

#[test]
fn rfc4975_7_2_responses() {
    caught(
        &response("transact0001", "200 OK"),
        &[
            ("200", "20", "RFC 4975 §9"),
            ("200", "2000", "RFC 4975 §9"),
            ("200", "900", "RFC 4975 §10"),
            ("1$", "1+", "RFC 4975 §7.2"),
            (
                "-------",
                "Content-Type: a/b\r\n\r\nx\r\n-------",
                "RFC 4975 §7.2",
            ),
            (
                "From-Path: ",
                "From-Path: msrp://r.example.org:2855/relayed;tcp ",
                "RFC 4975 §7.1",
            ),
        ],
    );
}

/// What was written in answer to `heard`, its deviations.
fn answered(heard: &str, written: &str) -> Vec<&'static str> {
    let verdict = check_conversation(written.as_bytes(), heard.as_bytes());
    verdict
        .deviations
        .iter()
        .map(|deviation| deviation.section)
        .collect()
}

#[test]
fn rfc4975_7_2_responses_answer_requests() {
    let heard = whole("text/plain", "Hi");
    let ok = response("transact0001", "200 OK");
    assert_eq!(answered(&heard, &ok), [""; 0]);
    let relayed = heard.replace("From-Path: ", "From-Path: msrp://r.example.org:2855/relayed;tcp ");
    for (heard, written) in [
        (String::new(), ok.clone()),
        (heard.clone(), ok.clone() + &ok),
        (heard.clone(), ok.replace("transact0001", "transact0002")),
        (
            heard.clone(),
            ok.replace("To-Path: msrp://a", "To-Path: msrp://c"),
        ),
        (
            heard.clone(),
            ok.replace("From-Path: msrp://b", "From-Path: msrp://c"),
        ),
        (heard.replace("Byte", "Failure-Report: no\r\nByte"), ok.clone()),
        (
            heard.replace("Byte", "Failure-Report: partial\r\nByte"),
            ok.clone(),
        ),
        (relayed, ok.clone()),
        (request("REPORT", "transact0001", REPORTED, '$'), ok.clone()),
    ] {
        assert_eq!(answered(&heard, &written), ["RFC 4975 §7.2"], "{heard}{written}");
    }
    let partial = heard.replace("Byte", "Failure-Report: partial\r\nByte");
    assert_eq!(answered(&partial, &response("transact0001", "413 Stop")), [""; 0]);
}

#[test]
fn answers_to_malformed_requests_are_answers() {
    let malformed = request(
        "NICKNAME",
        "transact0001",
        "Use-Nickname:\"a\u{7}b\r\n: \r\n",
        '$',
    );
    assert_eq!(
        answered(&malformed, &response("transact0001", "424 Malformed Nickname")),
        [""; 0]
    );
    assert_eq!(check(malformed.as_bytes()).deviations.len(), 1);
}

#[test]
fn rfc4975_7_1_3_reports_are_on_what_was_heard() {
    let heard = whole("text/plain", "Hi").replace("Byte", "Success-Report: yes\r\nByte");
    assert_eq!(answered(&heard, &report(REPORTED)), [""; 0]);
    for (heard, written, section) in [
        (String::new(), report(REPORTED), "RFC 4975 §7.1.3"),
        (whole("text/plain", "Hi"), report(REPORTED), "RFC 4975 §7.1.3"),
        (
            heard.clone(),
            report(&REPORTED.replace("m001", "m002")),
            "RFC 4975 §7.1.3",
        ),
        (
            heard.clone(),
            report(REPORTED).replace("msrp://a", "msrp://c"),
            "RFC 4975 §7.1.3",
        ),
        (
            heard.clone(),
            report(&REPORTED.replace("1-2/2", "1-3/3")),
            "RFC 4975 §7.1.4",
        ),
        (
            heard.replace("Byte", "Failure-Report: no\r\nByte"),
            report(&REPORTED.replace("200", "413")),
            "RFC 4975 §7.1.3",
        ),
    ] {
        assert_eq!(answered(&heard, &written), [section], "{heard}{written}");
    }
}

#[test]
fn rfc3862_bodies() {
    let right = whole("message/cpim", CPIM);
    assert_eq!(sections(&right), [""; 0]);
    for (from, to, section) in [
        ("From: ", "from: ", "RFC 3862 §3.4"),
        ("From: ", "From:", "RFC 3862 §3.6"),
        ("From: ", "X-From: ", "RFC 3862 §3.4"),
        (
            "From: \"A \\\"x\\\"\" <sip:a@example.org>\r\n",
            "",
            "RFC 3862 §4.1",
        ),
        ("From: ", "From: <sip:b@example.org>\r\nFrom: ", "RFC 3862 §4.1"),
        ("\\\"x\\\"", "\"x\"", "RFC 3862 §4.1"),
        ("\\\"x", "\\qx", "RFC 3862 §3.6"),
        ("<sip:a@example.org>", "sip:a@example.org", "RFC 3862 §4.1"),
        ("<sip:a@example.org>", "<sip:a@example.org>;gr=x", "RFC 3862 §4.1"),
        ("<sip:a@example.org>", "<a@example.org>", "RFC 3862 §4.1"),
        ("<sip:a@example.org>", "<sip:a@exam ple.org>", "RFC 3862 §4.1"),
        ("<sip:a@example.org>", "<sip:ä@example.org>", "RFC 3862 §4.1"),
        (
            "<sip:room@example.com>\r\n",
            "<sip:room@example.com>\n",
            "RFC 3862 §2",
        ),
        ("DateTime", "To: <sip:x@example.org>\r\nDateTime", "RFC 7701 §6.1"),
        ("To: <sip:room@example.com>\r\n", "", "RFC 7701 §6.1"),
        ("2026-11-20T", "2026-13-20T", "RFC 3862 §4.4"),
        ("21:00:00.25+01:00", "21:00:00", "RFC 3862 §4.4"),
        ("21:00:00.25+01:00", "21:00:00.Z", "RFC 3862 §4.4"),
        ("NS: imdn <", "NS: imdn ", "RFC 3862 §4.6"),
        ("NS: imdn <urn:ietf:params:imdn>\r\n", "", "RFC 3862 §3.4"),
        ("imdn.Message-ID: 1", "imdn.Message-ID: \u{1b}", "RFC 3862 §3.6"),
        ("Content-Type: text/plain;charset=utf-8\r\n", "", "RFC 3862 §2.4"),
        (
            "Content-Type: text/plain;charset=utf-8\r\n",
            "Content-Type: text/plain\n",
            "RFC 3862 §2.4",
        ),
        ("Content-Type: text", "Content-Type: te xt", "RFC 3862 §2.4"),
        (
            "\r\n\r\nContent-Type: text/plain;charset=utf-8\r\n\r\nHi",
            "",
            "RFC 3862 §2",
        ),
    ] {
        let body = CPIM.replacen(from, to, 1);
        assert_ne!(body, CPIM, "{from:?} does not occur");
        assert_eq!(
            sections(&whole("message/cpim", &body)),
            [section],
            "{from:?} → {to:?}"
        );
    }
}

#[test]
fn what_is_cut_off_at_the_end_is_counted_and_no_deviation() {
    let text = whole("text/plain", "Hi");
    for cut in 1..text.len() {
        let verdict = check(&text.as_bytes()[..cut]);
        assert_eq!(
            (verdict.deviations, verdict.frames, verdict.unfinished),
            (Vec::new(), 0, cut)
        );
    }
    let verdict = check(text.as_bytes());
    assert_eq!((verdict.frames, verdict.unfinished), (1, 0));
}

fn sections(text: &str) -> Vec<&'static str> {
    let verdict = check(text.as_bytes());
    verdict
        .deviations
        .iter()
        .map(|deviation| deviation.section)
        .collect()
}
