//! The conversations of RFC 7702 as texts that people read and machines play.
//!
//! A transcript is prose with the wire in between, indented. `>>>` goes to the gateway, `<<<` comes from it, and `---` is what else happens:
//!
//! ```text
//! >>> SIP romeo (F35)
//!     INVITE sip:capulet@rooms.example.com SIP/2.0
//!     …
//! <<< XMPP (F40)
//!     <presence from='romeo@example.org/dr4hcr0st3lup4c' to='capulet@rooms.example.com/Romeo'/>
//! --- 5 seconds pass
//! ```
//!
//! Everything that the gateway sends stands in the transcript, in order for each peer. Of a message, what is listed must be there — headers and attributes
//! with these values, elements, lines of a session description — and what is not listed does not matter; `!Name` says that a header is not there. `…`
//! stands for any text, and `$name` for a word that is the same wherever the name stands. A session description, a Content-Length and line ends are
//! put right on their way in; so is the `response` of an Authorization, where the password stands in its place.

pub(crate) mod compare;
pub(crate) mod hall;
pub(crate) mod pattern;
pub(crate) mod script;

use std::{fs, path::PathBuf};

use hall::Hall;
use pattern::Variables;
use script::{Script, Step};

macro_rules! transcripts {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            play(stringify!($name));
        })*

        #[test]
        fn every_transcript_is_played() {
            let mut files: Vec<_> = fs::read_dir(folder())
                .unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
                .collect();
            files.sort();
            let mut played = vec![$(stringify!($name)),*];
            played.sort();
            assert_eq!(files, played);
        }
    };
}

transcripts! {
    section_5_1_answered_without_tls,
    section_5_1_busy,
    section_5_1_call,
    section_5_1_call_tls,
    section_5_1_enter,
    section_5_1_enter_again,
    section_5_1_enter_tls,
    section_5_1_moved,
    section_5_1_moved_tls,
    section_5_1_no_conference,
    section_5_1_no_such_conference,
    section_5_1_refused,
    section_5_1_what_does_not_enter,
    section_5_1_wrong_certificate,
    section_5_2_conflict,
    section_5_2_conflict_varied,
    section_5_2_no_nicknames,
    section_5_2_unknown_method,
    section_5_3_refused,
    section_5_4_changes,
    section_5_4_real_addresses,
    section_5_5_1_from_sip,
    section_5_5_1_groupchat,
    section_5_5_1_refused,
    section_5_5_1_silence,
    section_5_5_2_private,
    section_5_5_2_refused,
    section_5_5_who_is_not_in,
    section_5_6_conflict,
    section_5_6_locked,
    section_5_6_nickname,
    section_5_7_called,
    section_5_7_called_and_comes,
    section_5_7_called_and_declines,
    section_5_7_called_and_silent,
    section_5_7_called_no_more,
    section_5_7_called_without_offer,
    section_5_7_declined,
    section_5_7_invite,
    section_5_7_referred,
    section_5_7_refused,
    section_5_8_client_gone,
    section_5_8_conference_over,
    section_5_8_exit,
    section_5_8_media_lost,
    section_5_8_removed,
    section_5_second_client,
    section_5_service,
    section_6_1_banned,
    section_6_1_call,
    section_6_1_challenged,
    section_6_1_cancelled,
    section_6_1_drawn_order,
    section_6_1_enter,
    section_6_1_full,
    section_6_1_members_only,
    section_6_1_nickname_taken,
    section_6_1_no_such_room,
    section_6_1_not_served,
    section_6_1_offer_without_cpim,
    section_6_1_offered_again,
    section_6_1_over_tls,
    section_6_1_password,
    section_6_1_secure,
    section_6_1_silent,
    section_6_1_tls_needed,
    section_6_1_unaware_client,
    section_6_2_changes,
    section_6_2_notify_refused,
    section_6_2_what_a_subscription_must_not_be,
    section_6_2_what_is_not_told,
    section_6_3_1_chunks,
    section_6_3_1_from_xmpp,
    section_6_3_1_groupchat,
    section_6_3_1_history,
    section_6_3_1_no_voice,
    section_6_3_1_reports,
    section_6_3_1_silence,
    section_6_3_1_too_much_for_the_room,
    section_6_3_1_what_a_send_must_not_be,
    section_6_3_2_private,
    section_6_3_2_private_fails_later,
    section_6_3_2_private_from_xmpp,
    section_6_4_conflict,
    section_6_4_held_already,
    section_6_4_locked,
    section_6_4_malformed,
    section_6_4_nickname,
    section_6_4_no_address,
    section_6_5_called,
    section_6_5_invite,
    section_6_5_no_invitation,
    section_6_5_remove,
    section_6_6_banned,
    section_6_6_destroyed,
    section_6_6_exit,
    section_6_6_kicked,
    section_6_6_media_lost,
    section_6_server_away,
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rfc7702/transcripts"))
}

fn script(name: &str) -> Script {
    let path = folder().join(format!("{name}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Script::parse(name, &text)
}

/// Plays a transcript to its end, after the one that it continues. Returns the machines as they are then, and what the names stand for.
pub(crate) fn play(name: &str) -> (Hall, Variables) {
    let mut scripts = vec![script(name)];
    while let Some(former) = scripts.last().unwrap().after.clone() {
        scripts.push(script(&former));
    }
    scripts.reverse();
    let givens: Vec<_> = scripts.iter().flat_map(|script| &script.given).collect();
    let mut hall = Hall::new(&givens);
    let mut variables = Variables::default();
    for script in &scripts {
        for step in &script.steps {
            perform(&mut hall, script, step, &mut variables);
        }
        if let Some((peer, message)) = hall.unheard() {
            panic!(
                "{}: at the end, not in the transcript, to {peer}:\n{message}",
                script.name
            );
        }
    }
    (hall, variables)
}

fn perform(hall: &mut Hall, script: &Script, step: &Step, variables: &mut Variables) {
    let place = format!("{}.txt:{}", script.name, step.line());
    if !matches!(step, Step::Hear { .. })
        && let Some((peer, message)) = hall.unheard()
    {
        panic!("{place}: before this, not in the transcript, to {peer}:\n{message}");
    }
    match step {
        Step::Say { peer, text, .. } => {
            let text = variables
                .fill(text)
                .unwrap_or_else(|fault| panic!("{place}: {fault}"));
            hall.say(peer, &text);
        }
        Step::Hear { peer, text, .. } => {
            let Some(heard) = hall.hear(peer) else {
                panic!("{place}: {peer} hears nothing")
            };
            if let Err(fault) = compare::message(peer.protocol, text, &heard, variables) {
                panic!("{place}: {fault}\n{peer} hears:\n{heard}\n{variables:?}");
            }
        }
        Step::Happens { what, .. } => hall.happens(what),
    }
}
