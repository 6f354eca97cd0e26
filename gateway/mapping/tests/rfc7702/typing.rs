//! Who is writing: chat states (XEP-0085) and isComposing (RFC 3994).

use std::time::Duration;

use xmpp::{
    FullJid,
    stanza::{ChatState, MessageKind, Outgoing, Stanza},
};

use crate::{
    ROOM, ROOM_URI,
    stage::{
        Stage, config,
        muc::{empty_message, message},
    },
};

const ACTIVE: &str = "<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state>active</state><refresh>90</refresh></isComposing>";
const IDLE: &str =
    "<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state>idle</state></isComposing>";

fn with_romeo() -> (Stage, usize, FullJid) {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let occupants = &stage.muc.room(ROOM).occupants;
    let (_, jid) = occupants.iter().find(|(nick, _)| nick == "Romeo").unwrap();
    let jid = jid.clone().try_into_full().unwrap();
    (stage, romeo, jid)
}

fn writes(stage: &mut Stage, user: usize, status: &str, to: &str) {
    let cpim = format!(
        "From: <sip:romeo@example.org>\r\nTo: <{to}>\r\n\r\nContent-Type: application/im-iscomposing+xml\r\n\r\n{status}"
    );
    let tag = stage.send_raw(user, "message/cpim", cpim.into());
    assert_eq!(stage.outcome(user, tag), Some(Ok(())));
}

fn told(stage: &Stage) -> Vec<ChatState> {
    let states = stage.to_rooms.iter().filter_map(|stanza| match stanza {
        Outgoing::ChatState { state, .. } => Some(*state),
        _ => None,
    });
    states.collect()
}

// Rows: C757X-02
#[test]
fn a_room_is_told_each_change_once() {
    let (mut stage, romeo, _) = with_romeo();
    for status in [ACTIVE, ACTIVE, IDLE, IDLE] {
        writes(&mut stage, romeo, status, ROOM_URI);
    }
    assert_eq!(told(&stage), [ChatState::Composing, ChatState::Active]);
    writes(&mut stage, romeo, ACTIVE, ROOM_URI);
    assert_eq!(told(&stage).len(), 2, "not more often than once a second");
    stage.pass(Duration::from_secs(1));
    writes(&mut stage, romeo, ACTIVE, ROOM_URI);
    assert_eq!(told(&stage).len(), 3);
}

#[test]
fn rfc3994_section_3_3_who_does_not_refresh_is_idle() {
    let (mut stage, romeo, _) = with_romeo();
    writes(&mut stage, romeo, ACTIVE, ROOM_URI);
    stage.pass(Duration::from_secs(89));
    assert_eq!(told(&stage), [ChatState::Composing]);
    stage.pass(Duration::from_secs(1));
    assert_eq!(told(&stage), [ChatState::Composing, ChatState::Active]);
}

#[test]
fn a_message_says_by_itself_that_he_writes_no_more() {
    let (mut stage, romeo, _) = with_romeo();
    writes(&mut stage, romeo, ACTIVE, ROOM_URI);
    stage.say(romeo, "there");
    stage.pass(Duration::from_secs(200));
    assert_eq!(told(&stage), [ChatState::Composing]);
}

#[test]
fn one_occupant_is_told_in_private() {
    let (mut stage, romeo, _) = with_romeo();
    writes(
        &mut stage,
        romeo,
        ACTIVE,
        "sip:capulet@rooms.example.com;gr=Juliet",
    );
    let Some(Outgoing::ChatState { to, .. }) = stage.to_rooms.last() else {
        panic!()
    };
    assert_eq!(to.as_str(), "capulet@rooms.example.com/Juliet");
}

fn state(from: &str, to: &FullJid, kind: MessageKind, state: ChatState) -> Stanza {
    let Stanza::Message(mut message) = message(&ROOM.parse().unwrap(), from, to, "1", "") else {
        panic!()
    };
    let empty = empty_message(&ROOM.parse().unwrap(), to, "1", kind);
    message.body = None;
    message.kind = empty.kind;
    message.extras.chat_state = Some(state);
    Stanza::Message(message)
}

// Rows: C757X-03, C757X-04
#[test]
fn rfc7573_section_6_table_4_composing_is_active_and_all_else_idle() {
    let mut stage = Stage::new(config());
    stage.muc.native_enters(ROOM, "Juliet");
    let romeo = stage.user("romeo");
    let offer = stage.offer(romeo).replace(
        "a=accept-wrapped-types:text/plain",
        "a=accept-wrapped-types:text/plain application/im-iscomposing+xml",
    );
    stage.invite_with(romeo, ROOM_URI, Some("Romeo"), &offer, "application/sdp");
    stage.connect(romeo);
    let occupants = &stage.muc.room(ROOM).occupants;
    let (_, jid) = occupants.iter().find(|(nick, _)| nick == "Romeo").unwrap();
    let jid = jid.clone().try_into_full().unwrap();
    for other in [
        ChatState::Active,
        ChatState::Inactive,
        ChatState::Paused,
        ChatState::Gone,
    ] {
        let before = stage.users[romeo].received.len();
        for what in [ChatState::Composing, other] {
            stage.pass(Duration::from_secs(2));
            stage.stanza(state("Juliet", &jid, MessageKind::Groupchat, what));
        }
        let received = &stage.users[romeo].received[before..];
        let states: Vec<_> = received
            .iter()
            .map(|(_, message)| {
                let text = String::from_utf8_lossy(&message.body).into_owned();
                let (_, state) = text.split_once("<state>").unwrap();
                state.split('<').next().unwrap().to_owned()
            })
            .collect();
        assert_eq!(states, ["active", "idle"], "{other:?}");
    }
    assert_eq!(stage.bye(romeo), None, "gone ends no stay");
}

#[test]
fn a_client_that_did_not_offer_to_take_it_hears_nothing_of_it() {
    let (mut stage, romeo, jid) = with_romeo();
    let before = stage.users[romeo].received.len();
    for (kind, what) in [
        (MessageKind::Groupchat, ChatState::Composing),
        (MessageKind::Groupchat, ChatState::Paused),
        (MessageKind::Chat, ChatState::Composing),
    ] {
        stage.stanza(state("Juliet", &jid, kind, what));
    }
    assert_eq!(stage.users[romeo].received.len(), before);
}

#[test]
fn where_it_is_off_it_is_refused_and_not_offered() {
    let mut config = config();
    config.occupants.typing = false;
    let mut stage = Stage::new(config);
    let romeo = stage.user("romeo");
    stage.enter(romeo, ROOM_URI, "Romeo");
    let cpim = format!(
        "From: <sip:romeo@example.org>\r\nTo: <{ROOM_URI}>\r\n\r\nContent-Type: application/im-iscomposing+xml\r\n\r\n{ACTIVE}"
    );
    let tag = stage.send_raw(romeo, "message/cpim", cpim.into());
    assert_eq!(
        stage.outcome(romeo, tag),
        Some(Err(msrp::Status::UNSUPPORTED_MEDIA))
    );
    assert_eq!(told(&stage), []);
}
