//! Asking for passwords, and how much may be asked of us.

use std::time::Duration;

use sip::{
    Event, Rate, Rates, Trust, Users,
    digest::{Algorithm, Asked, AuthorityLimits, Password, strongest},
    message::Response,
};

use crate::scene::{Ask, Scene, config, seconds};

const REALM: &str = "example.org";

fn users(algorithms: &[Algorithm]) -> Users {
    let secrets = |name: &str| {
        let secret = |algorithm: &Algorithm| {
            let password = Password::new(format!("{name}'s"));
            (*algorithm, algorithm.secret(name, REALM, &password))
        };
        (name.to_owned(), algorithms.iter().map(secret).collect())
    };
    Users {
        realm: REALM.to_owned(),
        secrets: ["romeo", "juliet"].map(secrets).into(),
        nonces: AuthorityLimits::default(),
    }
}

fn asking(algorithms: &[Algorithm]) -> Scene {
    let mut scene = Scene::with(config());
    let now = scene.now;
    scene.endpoint.set_users(Some(users(algorithms)), now);
    scene
}

/// The request again with an answer to the challenge.
fn answered(ask: &Ask, challenge: &Response, username: &str, count: u32) -> Ask {
    let challenge = strongest(challenge.headers.list("WWW-Authenticate"), REALM).unwrap();
    let asked = Asked {
        method: ask.method,
        uri: &ask.uri,
        body: ask.body.as_bytes(),
    };
    let password = Password::new(format!("{username}'s"));
    let answer = challenge.answer(username, &password, asked, count, "0a4f113b");
    let mut again = ask.clone();
    again.cseq += 1;
    again
        .branch(&format!("z9hG4bK-again-{count}"))
        .header(&format!("Authorization: {answer}"))
}

#[test]
fn rfc3261_section_22_1_who_asks_for_something_is_challenged_without_state_and_the_right_password_lets_in() {
    let mut scene = asking(&[Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256]);
    let invite = Ask::invite();
    scene.ask(&invite);
    let challenge = scene.response();
    assert_eq!(challenge.status.0, 401);
    let offered: Vec<_> = challenge.headers.list("WWW-Authenticate").collect();
    assert_eq!(offered.len(), 3);
    assert!(offered[0].contains("SHA-512-256"), "{offered:?}");
    scene.assert_quiet();
    scene.assert_empty();
    scene.ask(&answered(&invite, &challenge, "romeo", 1));
    assert!(matches!(scene.event(), Event::Invited { .. }));
}

#[test]
fn rfc8760_section_2_6_only_algorithms_that_every_user_has_are_offered_and_taken() {
    let mut some = users(&[Algorithm::Md5, Algorithm::Sha256]);
    some.secrets.get_mut("juliet").unwrap().remove(&Algorithm::Md5);
    assert_eq!(some.algorithms(), [Algorithm::Sha256]);
    let mut scene = Scene::with(config());
    let now = scene.now;
    scene.endpoint.set_users(Some(some), now);
    scene.ask(&Ask::invite());
    let challenge = scene.response();
    assert_eq!(challenge.headers.list("WWW-Authenticate").count(), 1);
    let weaker = challenge
        .headers
        .get("WWW-Authenticate")
        .unwrap()
        .replace("SHA-256", "MD5");
    let mut weaker_challenge = challenge;
    weaker_challenge
        .headers
        .0
        .retain(|header| header.name != "WWW-Authenticate");
    weaker_challenge.headers.push("WWW-Authenticate", weaker);
    scene.ask(&answered(&Ask::invite(), &weaker_challenge, "romeo", 1));
    assert_eq!(scene.response().status.0, 401);
}

#[test]
fn from_must_be_the_authenticated_user() {
    let mut scene = asking(&[Algorithm::Sha256]);
    scene.ask(&Ask::invite());
    let challenge = scene.response();
    // Juliet's password is right, but the request says that it is Romeo's.
    scene.ask(&answered(&Ask::invite(), &challenge, "juliet", 1));
    assert_eq!(scene.response().status.0, 403);
    scene.assert_quiet();
}

#[test]
fn a_wrong_password_an_unknown_user_and_a_nonce_used_before_are_challenged_again() {
    let mut scene = asking(&[Algorithm::Sha256]);
    let message = Ask::new("MESSAGE", 1);
    scene.ask(&message);
    let challenge = scene.response();
    scene.ask(&answered(&message, &challenge, "tybalt", 1));
    assert_eq!(scene.response().status.0, 401);
    let right = answered(&message, &challenge, "romeo", 1);
    scene.ask(&right);
    assert!(matches!(scene.event(), Event::Requested { .. }));
    // Somebody has listened and says the same in another transaction.
    scene.ask(&right.branch("z9hG4bK-replayed"));
    let replayed = scene.response();
    assert_eq!(replayed.status.0, 401);
    assert!(
        replayed
            .headers
            .get("WWW-Authenticate")
            .unwrap()
            .contains("stale=true")
    );
}

#[test]
fn trusted_peers_dialogs_and_options_are_not_asked() {
    let mut scene = asking(&[Algorithm::Sha256]);
    scene.ask(&Ask::new("OPTIONS", 1));
    assert_eq!(scene.response().status.0, 200);
    scene.endpoint.set_trust(Trust {
        networks: vec!["192.0.2.10".parse().unwrap()],
        ..Trust::default()
    });
    let (_, tag) = scene.established(&Ask::invite());
    scene.endpoint.set_trust(Trust::default());
    scene.ask(&Ask::new("BYE", 2).to(&tag));
    assert_eq!(scene.response().status.0, 200);
    scene.ask(&Ask::invite().call("call-2").branch("z9hG4bK-2"));
    scene.events.clear();
    assert_eq!(scene.response().status.0, 401);
}

#[test]
fn users_can_change_while_their_challenges_are_out() {
    let mut scene = asking(&[Algorithm::Sha256]);
    scene.ask(&Ask::invite());
    let challenge = scene.response();
    let now = scene.now;
    let mut fewer = users(&[Algorithm::Sha256]);
    fewer.secrets.remove("juliet");
    scene.endpoint.set_users(Some(fewer), now);
    scene.ask(&answered(&Ask::invite(), &challenge, "romeo", 1));
    assert!(matches!(scene.event(), Event::Invited { .. }));
    scene.endpoint.set_users(None, now);
    scene.ask(&Ask::invite().call("call-2").branch("z9hG4bK-2"));
    assert!(matches!(scene.event(), Event::Invited { .. }));
    scene.assert_quiet();
}

fn limited(trust: Trust) -> Scene {
    let mut scene = Scene::with(config());
    scene.endpoint.set_trust(trust);
    scene.endpoint.set_rates(Rates {
        others: Rate { steady: 1, burst: 3 },
        ..Rates::default()
    });
    scene
}

/// The statuses of the answers to as many OPTIONS.
fn statuses(scene: &mut Scene, from: u32, count: u32) -> Vec<u16> {
    for number in from..from + count {
        let ask = Ask::new("OPTIONS", 1)
            .call(&format!("call-{number}"))
            .branch(&format!("z9hG4bK-{number}"));
        scene.ask(&ask);
    }
    let mut statuses = Vec::new();
    while !scene.sent.is_empty() {
        let response = scene.response();
        assert_eq!(
            response.headers.get("Retry-After").is_some(),
            response.status.0 == 503
        );
        statuses.push(response.status.0);
    }
    statuses
}

#[test]
fn a_source_that_is_not_listed_gets_its_burst_then_503_then_nothing() {
    let proxy = Trust {
        networks: vec!["198.51.100.7".parse().unwrap()],
        ..Trust::default()
    };
    let mut scene = limited(proxy);
    assert_eq!(statuses(&mut scene, 0, 10), [200, 200, 200, 503, 503, 503]);
    scene.pass(seconds(2.0));
    assert_eq!(statuses(&mut scene, 10, 10), [200, 200, 503, 503]);
    scene.pass(Duration::from_secs(32));
    scene.assert_empty();
}

#[test]
fn the_listed_proxy_is_not_limited_and_nobody_is_while_none_is_listed() {
    let proxy = Trust {
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        ..Trust::default()
    };
    for trust in [proxy, Trust::default()] {
        let mut scene = limited(trust);
        assert_eq!(statuses(&mut scene, 0, 100), [200; 100]);
    }
}

#[test]
fn guessing_passwords_is_limited_though_no_peer_is_listed() {
    let mut scene = limited(Trust::default());
    let now = scene.now;
    scene.endpoint.set_users(Some(users(&[Algorithm::Md5])), now);
    for number in 0..20 {
        let ask = Ask::new("MESSAGE", 1)
            .call(&format!("call-{number}"))
            .branch(&format!("z9hG4bK-{number}"));
        scene.ask(&ask);
    }
    let answers = scene.titles();
    assert_eq!(
        answers,
        [
            "401 MESSAGE",
            "401 MESSAGE",
            "401 MESSAGE",
            "503 MESSAGE",
            "503 MESSAGE",
            "503 MESSAGE"
        ]
    );
}
