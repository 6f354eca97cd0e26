//! Digest authentication: the examples of RFC 7616 §3.9 and what deployed peers get wrong.

#![expect(clippy::unwrap_used, reason = "tests: a failed assumption is a failed test")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use sip::digest::{Algorithm, Asked, Authority, AuthorityLimits, Challenge, Password, Verdict, strongest};

const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

fn get(uri: &str) -> Asked<'_> {
    Asked {
        method: "GET",
        uri,
        body: b"",
    }
}

fn invite() -> Asked<'static> {
    Asked {
        method: "INVITE",
        uri: "sip:room@example.org;transport=tcp",
        body: b"v=0\r\n",
    }
}

/// The challenge of RFC 7616 §3.9.1.
fn mufasa(algorithm: &str) -> Challenge {
    Challenge::read(&format!(
        "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, nonce=\"{NONCE}\", \
         opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
    ))
    .unwrap()
}

#[test]
fn the_examples_of_rfc_7616() {
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        (
            "SHA-256",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ] {
        let password = Password::new("Circle of Life");
        let answer = mufasa(algorithm).answer("Mufasa", &password, get("/dir/index.html"), 1, CNONCE);
        assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
        assert!(answer.contains(&format!("algorithm={algorithm}, qop=auth, nc=00000001,")));
        assert!(answer.contains("opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""));
    }
    // §3.9.2 prints a value of truncated SHA-512; this is SHA-512/256 (FIPS 180-4), as its errata have it.
    let challenge = Challenge::read(
        "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
         nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", charset=UTF-8",
    )
    .unwrap();
    let answer = challenge.answer(
        "Jäsøn Doe",
        &Password::new("Secret, or not?"),
        get("/doe.json"),
        1,
        "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    );
    assert!(
        answer.contains("3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"),
        "{answer}"
    );
}

#[test]
fn the_strongest_challenge_of_the_realm_is_taken_wherever_it_stands() {
    let challenge = |realm: &str, algorithm: &str| {
        format!("Digest realm=\"{realm}\", nonce=\"n\", algorithm={algorithm}, qop=\"auth\"")
    };
    let own = ["MD5", "SHA-256", "SHA-512-256"].map(|algorithm| challenge("ours", algorithm));
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let values = order.map(|place: usize| own.get(place).unwrap().as_str());
        assert_eq!(
            strongest(values, "ours").unwrap().algorithm(),
            Algorithm::Sha512_256
        );
    }
    let unknown = challenge("ours", "SHA-1024");
    let foreign = challenge("theirs", "SHA-512-256");
    let md5 = challenge("ours", "MD5");
    let chosen = strongest([unknown.as_str(), "Basic realm=\"ours\"", &foreign, &md5], "ours");
    assert_eq!(chosen.unwrap().algorithm(), Algorithm::Md5);
    assert_eq!(strongest([unknown.as_str(), &foreign], "ours"), None);
}

#[test]
fn the_nonce_count_is_eight_hexadecimal_digits() {
    for (count, text) in [
        (1, "00000001"),
        (255, "000000ff"),
        (256, "00000100"),
        (u32::MAX, "ffffffff"),
    ] {
        let answer = mufasa("MD5").answer("u", &Password::new("p"), invite(), count, "c");
        assert!(answer.contains(&format!(", nc={text},")), "{answer}");
    }
}

#[test]
fn auth_int_is_taken_only_where_nothing_else_is_offered_and_covers_the_body() {
    let read = |qop: &str| Challenge::read(&format!("Digest realm=\"r\", nonce=\"n\"{qop}")).unwrap();
    let answer = |challenge: &Challenge, body: &'static [u8]| {
        let asked = Asked { body, ..invite() };
        challenge.answer("u", &Password::new("p"), asked, 1, "c")
    };
    let both = read(", qop=\"auth-int,auth\"");
    assert_eq!(answer(&both, b"a"), answer(&both, b"b"));
    let body = read(", qop=\"auth-int\"");
    assert!(answer(&body, b"a").contains("qop=auth-int"));
    assert_ne!(answer(&body, b"a"), answer(&body, b"b"));
    // RFC 2069 had neither.
    let old = answer(&read(""), b"a");
    assert!(!old.contains("qop") && !old.contains("nc=") && !old.contains("algorithm"));
    assert_eq!(
        Challenge::read("Digest realm=\"r\", nonce=\"n\", qop=\"other\""),
        None
    );
}

#[test]
fn what_is_quoted_stays_quoted_and_what_is_not_is_not() {
    let challenge = Challenge::read("digest  REALM=\"a \\\"b\\\", c\" , Nonce=\"x,y\",stale=TRUE,qop=auth,");
    let challenge = challenge.unwrap();
    assert_eq!((challenge.realm(), challenge.nonce()), ("a \"b\", c", "x,y"));
    assert!(challenge.is_stale());
    let answer = challenge.answer("d\"e", &Password::new("p"), invite(), 1, "c");
    assert!(answer.starts_with("Digest username=\"d\\\"e\", realm=\"a \\\"b\\\", c\", nonce=\"x,y\", "));
    assert!(answer.contains("uri=\"sip:room@example.org;transport=tcp\""));
}

#[test]
fn challenges_that_cannot_be_read_are_not_answered() {
    let long = format!("Digest realm=\"r\", nonce=\"{}\"", "n".repeat(1025));
    let many: String = (0..40).map(|number| format!(", x{number}=1")).collect();
    let many = format!("Digest realm=\"r\", nonce=\"n\"{many}");
    for value in [
        "",
        "Digest",
        "Digest realm=\"r\"",
        "Digest nonce=\"n\"",
        "Bearer realm=\"r\", nonce=\"n\"",
        "Digest realm=\"r\", nonce=\"n\", nonce=\"m\"",
        "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess",
        "Digest realm=\"r\", nonce=\"n\", junk",
        long.as_str(),
        many.as_str(),
    ] {
        assert_eq!(Challenge::read(value), None, "{value}");
    }
}

#[test]
fn a_password_is_never_shown() {
    assert!(!format!("{:?}", Password::new("Circle of Life")).contains("Circle"));
}

struct Server {
    authority: Authority,
    now: Instant,
}

impl Server {
    fn new(nonces: usize) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an arbitrary start for virtual time")]
        let now = Instant::now();
        let limits = AuthorityLimits {
            nonces,
            ..AuthorityLimits::default()
        };
        Self {
            authority: Authority::new("example.org", [7; 32], limits, now),
            now,
        }
    }
    fn challenge(&mut self, algorithm: Algorithm) -> Challenge {
        let values = self.authority.challenge(false, self.now);
        let mut read = values.iter().filter_map(|value| Challenge::read(value));
        read.find(|challenge| challenge.algorithm() == algorithm).unwrap()
    }
    fn check(&mut self, answer: &str, asked: Asked<'_>) -> Verdict {
        let secret = |user: &str, algorithm: Algorithm| {
            (user == "romeo").then(|| algorithm.secret("romeo", "example.org", &Password::new("rose")))
        };
        self.authority.check(answer, asked, secret, self.now)
    }
}

fn answer(challenge: &Challenge, count: u32) -> String {
    challenge.answer("romeo", &Password::new("rose"), invite(), count, "c")
}

fn authentic() -> Verdict {
    Verdict::Authentic {
        username: "romeo".to_owned(),
    }
}

#[test]
fn the_server_takes_the_right_password_with_each_algorithm() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256] {
        let mut server = Server::new(10);
        let challenge = server.challenge(algorithm);
        let right = answer(&challenge, 1);
        assert_eq!(server.check(&right, invite()), authentic());
        for wrong in [
            challenge.answer("romeo", &Password::new("thorn"), invite(), 2, "c"),
            challenge.answer("tybalt", &Password::new("rose"), invite(), 2, "c"),
            challenge.answer("tybalt", &Password::new(""), invite(), 2, "c"),
            right.replace("qop=auth", "qop=auth-int"),
            right.replace("nc=00000001", "nc=00000002"),
            right.replace(", qop=auth, nc=00000001, cnonce=\"c\"", ""),
            right.replace("realm=\"example.org\"", "realm=\"example.net\""),
            right.replace("uri=\"sip:room", "uri=\"(null)"),
            String::new(),
        ] {
            assert_eq!(server.check(&wrong, invite()), Verdict::Refused, "{wrong}");
        }
        let other = Asked {
            method: "BYE",
            ..invite()
        };
        assert_eq!(server.check(&answer(&challenge, 2), other), Verdict::Refused);
    }
}

#[test]
fn rfc7616_section_3_4_3_an_answer_with_auth_int_is_for_this_body_alone() {
    let mut server = Server::new(10);
    let values = server.authority.challenge(false, server.now);
    let body_only = values
        .first()
        .unwrap()
        .replace("qop=\"auth,auth-int\"", "qop=\"auth-int\"");
    let challenge = Challenge::read(&body_only).unwrap();
    let asked = |body| Asked { body, ..invite() };
    let answer = |count| challenge.answer("romeo", &Password::new("rose"), asked(b"offer"), count, "c");
    assert!(answer(1).contains("qop=auth-int"));
    assert_eq!(server.check(&answer(1), asked(b"offer")), authentic());
    assert_eq!(server.check(&answer(2), asked(b"other")), Verdict::Refused);
}

#[test]
fn a_count_is_taken_once_and_a_gap_is_no_fault() {
    let mut server = Server::new(10);
    let challenge = server.challenge(Algorithm::Sha256);
    for (count, verdict) in [
        (1, authentic()),
        (1, Verdict::Stale),
        (5, authentic()),
        (4, Verdict::Stale),
        (6, authentic()),
        (0, Verdict::Stale),
    ] {
        assert_eq!(
            server.check(&answer(&challenge, count), invite()),
            verdict,
            "{count}"
        );
    }
}

#[test]
fn a_nonce_is_good_for_its_lifetime_and_only_if_it_is_ours() {
    let mut server = Server::new(10);
    let challenge = server.challenge(Algorithm::Sha256);
    server.now += Duration::from_secs(300);
    assert_eq!(server.check(&answer(&challenge, 1), invite()), authentic());
    server.now += Duration::from_millis(1);
    assert_eq!(server.check(&answer(&challenge, 2), invite()), Verdict::Stale);
    let forged =
        Challenge::read("Digest realm=\"example.org\", nonce=\"0.1.00\", algorithm=SHA-256, qop=\"auth\"");
    assert_eq!(
        server.check(&answer(&forged.unwrap(), 1), invite()),
        Verdict::Refused
    );
    let stale = server.authority.challenge(true, server.now);
    assert!(
        stale
            .iter()
            .all(|value| Challenge::read(value).unwrap().is_stale())
    );
}

#[test]
fn beyond_the_limit_of_nonces_the_oldest_is_stale_and_not_replayable() {
    let mut server = Server::new(2);
    let challenges = [(); 3].map(|()| server.challenge(Algorithm::Sha256));
    for challenge in &challenges {
        assert_eq!(server.check(&answer(challenge, 1), invite()), authentic());
    }
    let verdicts = challenges.map(|challenge| server.check(&answer(&challenge, 2), invite()));
    assert_eq!(verdicts, [Verdict::Stale, authentic(), authentic()]);
}

proptest! {
    #[test]
    fn nothing_that_a_peer_writes_is_taken_or_harms(value in ".{0,200}", parameters in "[a-z=\",\\\\ ]{0,200}") {
        let _ = Challenge::read(&value);
        let mut server = Server::new(2);
        prop_assert_eq!(server.check(&value, invite()), Verdict::Refused);
        let value = format!("Digest {parameters}");
        let _ = Challenge::read(&value);
        prop_assert_eq!(server.check(&value, invite()), Verdict::Refused);
    }

    #[test]
    fn what_the_client_answers_the_server_takes(count in 1u32.., username in "[ -~]{1,20}", password in "\\PC{0,20}", qop in any::<bool>()) {
        let mut server = Server::new(2);
        let values = server.authority.challenge(false, server.now);
        let value = values.first().unwrap();
        let value = if qop { value.replace("auth,auth-int", "auth-int") } else { value.clone() };
        let answer = Challenge::read(&value).unwrap().answer(&username, &Password::new(password.as_str()), invite(), count, "c");
        let secret = |user: &str, algorithm: Algorithm| Some(algorithm.secret(user, "example.org", &Password::new(password.as_str())));
        let verdict = server.authority.check(&answer, invite(), secret, server.now);
        prop_assert_eq!(verdict, Verdict::Authentic { username });
    }
}
