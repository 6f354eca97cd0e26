//! The invariants of the simulation, each a function of its own. Some are looked at with every message, the others when the world is at
//! rest, at the end of a run or over two runs.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use mapping::Occupancy;
use xmpp::stanza::Outgoing;

use crate::{
    conference::ROOMS,
    model::{ANSWER, Kind, Model, Speaker, UNDER_WAY},
    server::MUC,
    user::{State, room_name},
    wire::Asked,
    world::World,
};

/// Names, in DESIGN's order where it numbers them.
pub const NAMES: [&str; 17] = [
    "at_most_once",
    "exactly_once",
    "order_is_kept",
    "no_reflection_to_sender",
    "rosters_converge",
    "nicknames_are_unique",
    "exactly_one_answer",
    "private_only_to_addressee",
    "no_message_crosses_rooms",
    "tables_empty",
    "limits_hold",
    "logs_are_clean",
    "runs_are_identical",
    "messages_are_accounted",
    "component_keeps_the_rules",
    "msrp_is_sound",
    "remembered",
];

/// A stay hears a message.
pub(crate) fn on_heard(model: &mut Model, stay: usize, own: &str, to: &str, text: &str, now: Instant) {
    let Some(token) = crate::model::token(text).filter(|token| model.said.contains_key(token)) else {
        return model.fail(
            "messages_are_accounted",
            "a message that nobody said".to_owned(),
            now,
        );
    };
    at_most_once(model, stay, token, now);
    no_reflection_to_sender(model, stay, token, now);
    no_message_crosses_rooms(model, stay, token, to, now);
    private_only_to_addressee(model, stay, own, token, to, now);
    order_is_kept(model, stay, token, now);
    if model.said.get(&token).is_some_and(|said| said.text != text) {
        model.fail(
            "exactly_once",
            format!("message {token} arrived with another text"),
            now,
        );
    }
    model.stays[stay].heard.insert(token);
}

/// 1: at most once per message and recipient session.
pub(crate) fn at_most_once(model: &mut Model, stay: usize, token: u32, now: Instant) {
    if model.stays[stay].heard.contains(&token) {
        model.fail(
            "at_most_once",
            format!("stay {stay} hears message {token} again"),
            now,
        );
    }
}

/// 2: what a session hears of one speaker is in the order in which the room had it; so is all of it until something so long is
/// said in the room that it lets others by. Under another nickname somebody is another speaker: a newcomer who is told the history
/// cannot know better. A private message after an outage comes as it does to any occupant whom the room has kept: at once, and before the
/// history of what was said publicly.
pub(crate) fn order_is_kept(model: &mut Model, stay: usize, token: u32, now: Instant) {
    let said = &model.said[&token];
    let Some((_, place)) = said.accepted else {
        return model.fail(
            "messages_are_accounted",
            format!("stay {stay} hears {token}, which no room has"),
            now,
        );
    };
    let speaker = (said.from, said.nickname.clone());
    let before_history = said.kind == Kind::Private && !model.room_calm(said.room, said.at, now);
    let terse = !model.long_winded.contains(&said.room);
    let last_places = &model.stays[stay].last_places;
    let is_late = last_places
        .iter()
        .any(|(other, last)| place < *last && (terse || *other == speaker));
    if is_late {
        model.fail("order_is_kept", format!("stay {stay} hears {token} late"), now);
    }
    if !before_history {
        model.stays[stay].last_places.insert(speaker, place);
    }
}

/// 3: a SIP sender does not hear himself.
fn no_reflection_to_sender(model: &mut Model, stay: usize, token: u32, now: Instant) {
    let said = &model.said[&token];
    if said.from == Speaker::Stay(stay) && said.kind != Kind::Private {
        model.fail(
            "no_reflection_to_sender",
            format!("stay {stay} hears its own {token}"),
            now,
        );
    }
}

/// 7: a private message reaches only its addressee, and is not shown as public.
fn private_only_to_addressee(model: &mut Model, stay: usize, own: &str, token: u32, to: &str, now: Instant) {
    let said = &model.said[&token];
    let to_room = to.contains(MUC);
    let wrong = match said.kind {
        Kind::Private => to_room || !said.to.iter().any(|jid| crate::server::bare(jid) == own),
        Kind::Public | Kind::Odd => !to_room,
        Kind::Hostile => true,
    };
    if wrong {
        let detail = format!("stay {stay} hears {:?} message {token} with To {to}", said.kind);
        model.fail("private_only_to_addressee", detail, now);
    }
}

/// 8: no message crosses rooms.
fn no_message_crosses_rooms(model: &mut Model, stay: usize, token: u32, to: &str, now: Instant) {
    let (said, it) = (&model.said[&token], &model.stays[stay]);
    let named = to.contains(MUC) && !to.contains(&format!("{}@", room_name(said.room)));
    if said.room != it.room || named {
        let detail = format!(
            "stay {stay} in room {} hears {token} of room {} with To {to}",
            it.room, said.room
        );
        model.fail("no_message_crosses_rooms", detail, now);
    }
}

/// A room has a message for all.
pub(crate) fn on_public(
    model: &mut Model,
    token: u32,
    room: &str,
    body: &str,
    imposter: Option<&str>,
    now: Instant,
) {
    let said = &model.said[&token];
    match said.kind {
        Kind::Private => model.fail("private_only_to_addressee", format!("{token} became public"), now),
        Kind::Hostile => model.fail("messages_are_accounted", format!("{token} was taken"), now),
        Kind::Public | Kind::Odd => {}
    }
    on_accepted(model, token, room, body, imposter, now);
}

/// A room handed a private message over.
pub(crate) fn on_private(
    model: &mut Model,
    token: u32,
    room: &str,
    body: &str,
    imposter: Option<&str>,
    now: Instant,
) {
    if model.said[&token].kind != Kind::Private {
        model.fail(
            "private_only_to_addressee",
            format!("{token} became private"),
            now,
        );
    }
    on_accepted(model, token, room, body, imposter, now);
}

fn on_accepted(model: &mut Model, token: u32, room: &str, body: &str, imposter: Option<&str>, now: Instant) {
    let said = &model.said[&token];
    if room_name(said.room) != room {
        model.fail("no_message_crosses_rooms", format!("{token} went to {room}"), now);
    } else if let Some(imposter) = imposter {
        model.fail(
            "messages_are_accounted",
            format!("{token} went out as {imposter}"),
            now,
        );
    } else if said.text != body {
        model.fail(
            "exactly_once",
            format!("{token} reached the room with another text"),
            now,
        );
    }
}

/// A sender hears what became of his message: 200 means that the room has it.
pub(crate) fn on_outcome(model: &mut Model, token: u32, status: u16, now: Instant) {
    let Some(said) = model.said.get(&token) else {
        return;
    };
    let taken = said.accepted.is_some();
    let outcomes = said.outcomes.len();
    if status == 200 && !taken && said.kind == Kind::Public {
        model.fail(
            "messages_are_accounted",
            format!("{token} was answered 200 and no room has it"),
            now,
        );
    } else if status == 200 && said.kind == Kind::Hostile {
        model.fail(
            "messages_are_accounted",
            format!("hostile {token} was answered 200"),
            now,
        );
    }
    if outcomes > 1 {
        model.fail(
            "exactly_one_answer",
            format!("{token} was answered {outcomes} times"),
            now,
        );
    }
}

/// The world is at rest: nothing is under way.
pub(crate) fn at_rest(world: &mut World) {
    everybody_is_where_he_belongs(world);
    rosters_converge(world);
    nicknames_are_unique(world);
    exactly_one_answer(world);
    messages_are_accounted(world);
    exactly_once(world);
    crate::conference::invariants::at_rest(world);
}

fn lately(world: &World, seconds: u64) -> Instant {
    let ago = world.now.checked_sub(Duration::from_secs(seconds));
    ago.unwrap_or(world.start).max(world.start)
}

/// 9, while people are there: the room's occupants of ours are exactly those whose calls stand.
fn everybody_is_where_he_belongs(world: &mut World) {
    let now = world.now;
    let since = lately(world, 20);
    let mut wrong = Vec::new();
    for room in 0..world.setting.rooms {
        let occupants = world.server.occupants(&room_name(room));
        for (n, user) in world.users.iter().enumerate().filter(|(_, user)| !user.gone) {
            let held = occupants
                .iter()
                .filter(|occupant| world.is_of(n, &occupant.jid))
                .count();
            let open = user
                .calls
                .iter()
                .filter(|call| {
                    call.room == room
                        && call.state == State::Open
                        && world.model.calm(call.number, since, now)
                })
                .count();
            let any = user
                .calls
                .iter()
                .any(|call| call.room == room && call.state != State::Over);
            let lately = user.calls.iter().any(|call| {
                call.room == room
                    && world.model.stays[call.number]
                        .over
                        .is_some_and(|over| over > since)
            });
            if open == 1 && held != 1 {
                wrong.push(format!("u{n} is in his call and {held} times in room {room}"));
            }
            if !any && !lately && held > 0 && world.model.room_calm(room, since, now) {
                wrong.push(format!("u{n} has no call and is in room {room}"));
            }
        }
    }
    for detail in wrong {
        world.model.fail("rosters_converge", detail, now);
    }
}

/// 4: what subscribers were told is what the room is.
fn rosters_converge(world: &mut World) {
    let now = world.now;
    let since = lately(world, 20);
    let mut wrong = Vec::new();
    for (n, user) in world.users.iter().enumerate().filter(|(_, user)| !user.gone) {
        if world.proxy.notify.contains_key(&user.address.ip()) {
            continue;
        }
        for call in user
            .calls
            .iter()
            .filter(|call| call.subscription.is_some() && !call.doubtful)
        {
            if call.state != State::Open || !world.model.calm(call.number, since, now) {
                continue;
            }
            let Some(room) = world.server.rooms.get(&room_name(call.room)) else {
                continue;
            };
            let there: BTreeSet<String> = room
                .occupants
                .iter()
                .map(|occupant| occupant.nickname.clone())
                .collect();
            if call.view.users != there {
                wrong.push(format!(
                    "u{n} sees {:?} in room {}, there are {there:?}",
                    call.view.users, call.room
                ));
            }
            if call.view.count.is_some_and(|count| count as usize != there.len()) {
                wrong.push(format!(
                    "u{n} is told of {:?} users, there are {}",
                    call.view.count,
                    there.len()
                ));
            }
            if call.view.subject.as_deref().unwrap_or_default() != room.subject {
                wrong.push(format!(
                    "u{n} sees subject {:?}, it is {:?}",
                    call.view.subject, room.subject
                ));
            }
        }
    }
    for detail in wrong {
        world.model.fail("rosters_converge", detail, now);
    }
}

/// 5: SIP users of one room have nicknames that differ under RFC 8266; who was granted one has it.
fn nicknames_are_unique(world: &mut World) {
    let now = world.now;
    let mut wrong = Vec::new();
    for room in 0..world.setting.rooms {
        let occupants = world.server.occupants(&room_name(room));
        let mut seen = BTreeSet::new();
        for occupant in &occupants {
            let ours = (0..world.users.len()).any(|n| world.is_of(n, &occupant.jid));
            if ours && !seen.insert(alike(&occupant.nickname)) {
                wrong.push(format!(
                    "{} twice among SIP users in room {room}",
                    occupant.nickname
                ));
            }
        }
        for (number, stay) in world
            .model
            .stays
            .iter()
            .enumerate()
            .filter(|(_, stay)| stay.room == room)
        {
            let Some((nickname, at)) = &stay.nickname else {
                continue;
            };
            if !world.model.calm(number, *at, now) || world.users[stay.user].gone {
                continue;
            }
            let held = occupants
                .iter()
                .find(|occupant| world.is_of(stay.user, &occupant.jid));
            if held.is_some_and(|held| held.nickname != *nickname) {
                wrong.push(format!(
                    "stay {number} was granted {nickname} and has {:?}",
                    held.map(|held| &held.nickname)
                ));
            }
        }
    }
    for detail in wrong {
        world.model.fail("nicknames_are_unique", detail, now);
    }
}

/// RFC 8266 §2.4 as far as the nicknames of the world need it.
pub(crate) fn alike(nickname: &str) -> String {
    let words: Vec<_> = nickname.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// 6: every request that is due an answer gets exactly one, in time.
fn exactly_one_answer(world: &mut World) {
    let now = world.now;
    let mut wrong = Vec::new();
    let connections = world.host.connections.values().map(|connection| &connection.wire);
    let msrp = connections
        .chain(&world.closed_wires)
        .flat_map(|wire| wire.asked.values());
    // A call that is set up at once is answered at once; else the room has ten seconds, and the queues inside theirs.
    for asked in world.host.sip_wire.asked.values().chain(msrp) {
        check_asked(asked, now, &mut wrong);
    }
    for (id, (jid, at, answers)) in &world.pings {
        let calm = world.model.room_calm(usize::MAX, *at, *at + UNDER_WAY);
        if (*answers != 1 && calm && now > *at + UNDER_WAY) || *answers > 1 {
            wrong.push(format!("IQ {id} to {jid} was answered {answers} times"));
        }
    }
    for detail in wrong {
        world.model.fail("exactly_one_answer", detail, now);
    }
}

fn check_asked(asked: &Asked, now: Instant, wrong: &mut Vec<String>) {
    let Asked {
        what,
        at,
        limit,
        answers,
        void,
    } = asked;
    let late = answers
        .first()
        .is_some_and(|(_, answered)| *answered > *at + *limit);
    let missing = answers.is_empty() && now > *at + *limit && !void;
    if late || missing || answers.len() > 1 {
        let answers: Vec<_> = answers
            .iter()
            .map(|(answer, when)| (answer, when.duration_since(*at)))
            .collect();
        wrong.push(format!("{what}: answered {answers:?}"));
    }
}

/// 13: accepted = delivered + refused + pending, and nothing is pending at rest.
fn messages_are_accounted(world: &mut World) {
    let now = world.now;
    let mut wrong = Vec::new();
    for (token, said) in &world.model.said {
        let Speaker::Stay(stay) = said.from else { continue };
        let calm = world.model.calm(stay, said.at, said.at + ANSWER);
        let sure = calm && now > said.at + ANSWER;
        match said.outcomes.as_slice() {
            [] if sure => wrong.push(format!("message {token} of stay {stay} was never answered")),
            [(status, _)] if sure && said.kind == Kind::Public && *status != 200 => {
                wrong.push(format!(
                    "message {token} of stay {stay} was refused with {status}"
                ));
            }
            [(200, _)] if said.kind == Kind::Private && sure && said.accepted.is_none() && !said.reported => {
                wrong.push(format!("private message {token} of stay {stay} is lost"));
            }
            _ => {}
        }
    }
    for detail in wrong {
        world.model.fail("messages_are_accounted", detail, now);
    }
}

/// 1, where nothing got in the way: exactly once for everybody who was there.
fn exactly_once(world: &mut World) {
    let now = world.now;
    let mut wrong = Vec::new();
    for (token, said) in &world.model.said {
        let Some((at, _)) = said.accepted.filter(|(at, _)| now > *at + UNDER_WAY) else {
            continue;
        };
        for stay in &said.must {
            let it = &world.model.stays[*stay];
            // A call that was answered before the room was asked may not be in it yet.
            let from = if world.setting.at_once {
                at.checked_sub(UNDER_WAY).unwrap_or(at)
            } else {
                at
            };
            // XMPP users lose no phones.
            let able = it.room >= ROOMS || (!world.users[it.user].gone && world.users[it.user].opens_media);
            if able && world.model.calm(*stay, from, at + UNDER_WAY) && !it.heard.contains(token) {
                wrong.push(format!(
                    "stay {stay} (u{} in room {}) never heard {token}",
                    it.user, it.room
                ));
            }
        }
        // A private message of a native user: heard, or its sender was told.
        if let (Speaker::Native(_), Kind::Private) = (said.from, &said.kind) {
            let heard = world.model.stays.iter().any(|stay| stay.heard.contains(token));
            let calm = world.model.room_calm(said.room, at, at + Duration::from_secs(40));
            if !heard
                && !said.bounced
                && calm
                && now > at + Duration::from_secs(40)
                && !someone_is_gone(world)
            {
                wrong.push(format!("private message {token} was neither heard nor bounced"));
            }
        }
    }
    for detail in wrong {
        world.model.fail("exactly_once", detail, now);
    }
}

fn someone_is_gone(world: &World) -> bool {
    world.users.iter().any(|user| user.gone)
}

/// Whoever asks to enter a room would be made to leave it after a crash.
pub(crate) fn remembered(world: &mut World, command: &xmpp::Command) {
    let xmpp::Command::Send(Outgoing::Enter { from, to, .. }) = command else {
        return;
    };
    let occupancy = Occupancy {
        occupant: from.clone(),
        room: to.to_bare(),
    };
    if !world.host.remembered.contains(&occupancy) {
        let detail = format!("{from} enters {to} and is not remembered");
        world.model.fail("remembered", detail, world.now);
    }
}

/// 9: after all have left nothing is left.
pub(crate) fn tables_empty(world: &mut World) {
    let mut left = Vec::new();
    let core = world.host.core.census();
    let endpoint = world.host.endpoint.census();
    if core != (0, 0, 0, 0) || !world.host.core.is_idle() {
        left.push(format!("core: sessions, rooms, subscriptions, timers {core:?}"));
    }
    if endpoint != (0, 0, 0) {
        left.push(format!(
            "endpoint: dialogs, subscriptions, transactions {endpoint:?}"
        ));
    }
    if !world.host.connections.is_empty() {
        left.push(format!("{} MSRP connections", world.host.connections.len()));
    }
    for occupancy in &world.host.remembered {
        left.push(format!("remembered: {occupancy:?}"));
    }
    for (room, state) in &world.server.rooms {
        left.push(format!("in {room}: {:?}", state.occupants));
    }
    if !world.host.links.iter().all(|end| end.link.is_up()) {
        left.push("a link is not up".to_owned());
    }
    let now = world.now;
    for (invariant, detail) in crate::conference::invariants::tables_empty(world) {
        world.model.fail(invariant, detail, now);
    }
    for detail in left {
        world.model.fail("tables_empty", detail, now);
    }
}
