//! The invariants as XMPP users in conferences see them.

use std::time::{Duration, Instant};

use super::{
    ROOMS,
    focus::{Habit, Who},
    seat::State,
};
use crate::{
    invariants::{at_most_once, order_is_kept},
    model::{Kind, Model, Speaker},
    world::World,
};

/// How long entering may take, whatever the focus does.
const ENTRANCE: Duration = Duration::from_secs(40);
/// How long a sender may wait for his reflection or an error: MSRP's deadline and a moment.
const ANSWER: Duration = Duration::from_secs(33);

/// An XMPP user hears a message in a conference.
pub(crate) fn on_heard(
    model: &mut Model,
    (stay, own): (usize, &str),
    (from, text): (&str, &str),
    private: bool,
    token: u32,
    now: Instant,
) {
    let is_private = private || text.contains(" (privately): ");
    let Some(said) = model.said.get(&token) else {
        return model.fail(
            "messages_are_accounted",
            "a message that nobody said".to_owned(),
            now,
        );
    };
    let room = model.stays[stay].room;
    let wrong = [
        ("no_message_crosses_rooms", said.room != room),
        (
            "private_only_to_addressee",
            (said.kind == Kind::Private) != is_private,
        ),
        (
            "private_only_to_addressee",
            is_private && !said.to.iter().any(|to| to == own),
        ),
    ];
    // Who is not listed is named before his words, in the room's name.
    let is_same = said.text == text || (from.is_empty() && text.ends_with(&format!(": {}", said.text)));
    let changed = (!is_same).then(|| {
        let right = &said.text;
        format!("seat {stay} hears {token} as {text:?}, it was {right:?}")
    });
    at_most_once(model, stay, token, now);
    order_is_kept(model, stay, token, now);
    for (invariant, _) in wrong.into_iter().filter(|(_, wrong)| *wrong) {
        model.fail(invariant, format!("seat {stay} in {room} hears {token}"), now);
    }
    if let Some(detail) = changed {
        model.fail("exactly_once", detail, now);
    }
    model.stays[stay].heard.insert(token);
}

/// The world is at rest.
pub(crate) fn at_rest(world: &mut World) {
    for (invariant, detail) in [entrances(world), rosters(world), answers(world), accounts(world)]
        .into_iter()
        .flatten()
    {
        world.model.fail(invariant, detail, world.now);
    }
}

type Wrong = Vec<(&'static str, String)>;

fn lately(world: &World, time: Duration) -> Instant {
    world
        .now
        .checked_sub(time)
        .unwrap_or(world.start)
        .max(world.start)
}

/// Who asked to enter has been told.
fn entrances(world: &World) -> Wrong {
    let seats = world.side.seats.iter();
    let late = seats.filter(|(_, seat)| {
        let waiting = matches!(seat.state, State::Entering | State::Leaving);
        let number = seat.number;
        waiting
            && seat.since + ENTRANCE < world.now
            && world
                .model
                .room_calm(world.model.stays[number].room, seat.since, world.now)
    });
    late.map(|((native, room), seat)| {
        let detail = format!("n{native} in conference {room} is {:?} for too long", seat.state);
        ("exactly_one_answer", detail)
    })
    .collect()
}

/// What XMPP users see is what the focus has.
fn rosters(world: &World) -> Wrong {
    let focus = &world.side.focus;
    let since = lately(world, Duration::from_secs(40));
    let mut wrong = Vec::new();
    for ((native, room), seat) in &world.side.seats {
        let is_calm = world.model.calm(seat.number, since, world.now);
        let aor = world.native_uri(*native);
        let called = focus
            .callers(*room)
            .iter()
            .filter(|caller| **caller == aor)
            .count();
        if seat.is_inside() && is_calm && called != 1 {
            wrong.push((
                "rosters_converge",
                format!("n{native} sits in {room} with {called} calls"),
            ));
        }
        if seat.state == State::Over
            && called > 0
            && world.model.stays[seat.number]
                .over
                .is_some_and(|over| over < since)
            && world.model.room_calm(ROOMS + room, since, world.now)
        {
            wrong.push((
                "tables_empty",
                format!("n{native} has left {room} and his call stands"),
            ));
        }
        // Where nobody can be found, nobody can be asked who is in.
        let unseen = focus.has(Habit::NoSubscription) || world.side.zone_dead;
        if !seat.is_inside() || !is_calm || unseen {
            continue;
        }
        // Names that XMPP cannot carry, or that somebody else has, are shown in another form; as many must be there.
        let there = focus.roster(*room);
        if seat.roster.len() != there.len() && !focus.has(Habit::LateNicknames) {
            let names: Vec<_> = there.values().collect();
            wrong.push((
                "rosters_converge",
                format!("n{native} sees {:?} in {room}, there are {names:?}", seat.roster),
            ));
        }
        let subject = focus
            .conferences
            .get(room)
            .map(|it| it.subject.as_str())
            .unwrap_or_default();
        if seat.subject.as_deref() != Some(subject) {
            wrong.push((
                "rosters_converge",
                format!(
                    "n{native} sees subject {:?} in {room}, it is {subject:?}",
                    seat.subject
                ),
            ));
        }
        let own = focus.roster(*room).get(&Who::Caller(aor)).cloned();
        if !focus.has(Habit::NoNicknames) && own.is_some_and(|own| own != seat.nickname) {
            wrong.push((
                "nicknames_are_unique",
                format!("n{native} is not {} in {room}", seat.nickname),
            ));
        }
    }
    wrong
}

/// Every question was answered once; an error may be said again if the link broke before it was known to have arrived.
fn answers(world: &World) -> Wrong {
    let asked = world.side.asked.iter();
    asked
        .filter(|(_, (at, answers))| {
            let until = *at + Duration::from_secs(10);
            let wrong = *answers > 1 || (*answers == 0 && world.now > until);
            wrong && world.model.room_calm(usize::MAX, *at, until)
        })
        .map(|(id, (_, answers))| ("exactly_one_answer", format!("{id} was answered {answers} times")))
        .collect()
}

/// Every message of an XMPP user came back to him, as his own or as an error.
fn accounts(world: &World) -> Wrong {
    let mut wrong = Vec::new();
    for (token, said) in &world.model.said {
        let Speaker::Seat(stay) = said.from else { continue };
        let sure = world.model.calm(stay, said.at, said.at + ANSWER) && world.now > said.at + ANSWER;
        if !sure {
            continue;
        }
        match (&said.kind, said.outcomes.as_slice()) {
            (Kind::Public, []) => {
                wrong.push((
                    "messages_are_accounted",
                    format!("{token} of seat {stay} was never answered"),
                ));
            }
            (Kind::Public, [(status, _)]) if *status != 200 => {
                wrong.push((
                    "messages_are_accounted",
                    format!("{token} of seat {stay} was refused"),
                ));
            }
            (Kind::Private, []) if said.accepted.is_none() => {
                wrong.push((
                    "messages_are_accounted",
                    format!("private {token} of seat {stay} is lost"),
                ));
            }
            _ => {}
        }
    }
    wrong
}

/// After all have left nothing is left.
pub(crate) fn tables_empty(world: &World) -> Wrong {
    let (legs, subscribers) = world.side.focus.census();
    let mut wrong = Vec::new();
    if (legs, subscribers) != (0, 0) {
        wrong.push((
            "tables_empty",
            format!("the focus has {legs} calls, {subscribers} subscribers"),
        ));
    }
    for ((native, room), seat) in &world.side.seats {
        // Who was shown the door while the link broke leaves in vain.
        let in_vain = seat.state == State::Leaving && seat.relisted;
        if seat.state != State::Over && !in_vain {
            wrong.push((
                "tables_empty",
                format!("n{native} in conference {room} is {:?}", seat.state),
            ));
        }
    }
    wrong
}
