//! Five hundred stanzas that break a schema, deceive or weigh too much, by an ordinary client and by a room: the link lives, the process
//! lives, memory stays bounded, the next good message arrives.

use std::time::Duration;

use gateway_tests::{
    Result, ensure,
    hostile::{Hostile, table},
    on_each_xmpp_server,
    peers::{RoomService, XmppServerKind, XmppUser, room_service::HALL},
    world::{ROOM, World},
};

on_each_xmpp_server! {
    by_a_member_they_cost_nobody_anything,
    by_a_room_they_cost_nobody_anything,
}

/// What the gateway may use at the most, with two users: 100 MB would be two hundred stanzas of the largest size kept.
const MEMORY: u64 = 100 * 1024 * 1024;

/// ejabberd itself takes a second or more for some of them.
const PASSED: Duration = Duration::from_secs(120);

fn by_a_member_they_cost_nobody_anything(server: XmppServerKind) -> Result<()> {
    let mut world = World::start_with(server, Vec::new())?;
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    let mut romeo = world.sip_user("romeo", "Romeo")?;
    juliet.see(ROOM, "Romeo", None)?;
    for (number, batch) in table().iter().enumerate() {
        // Somebody else each time: a room may throw out who sends such things.
        let mut villain = world.xmpp_user(&format!("villain{number}"))?;
        villain.enter(ROOM, &format!("Villain {number}"))?;
        for stanza in batch {
            villain.send(stanza.of_member(ROOM, "Romeo"))?;
        }
        until_passed_on(&mut villain)?;
        let good = format!("good message {number}");
        juliet.say(ROOM, &good)?;
        assert_eq!(romeo.hear(&good)?, "JuliC");
        let answer = format!("good answer {number}");
        romeo.say_and_wait(&answer)?;
        assert_eq!(juliet.hear(ROOM, &answer)?, "Romeo");
        must_be_unbroken(&mut world, batch)?;
    }
    Ok(())
}

/// The server has passed on what a user has sent before.
fn until_passed_on(user: &mut XmppUser) -> Result<()> {
    user.send("<iq type='get' id='passed' to='example.com'><ping xmlns='urn:xmpp:ping'/></iq>")?;
    let passed = user.inbox().wait("the answer to a ping", PASSED, |stanza| {
        stanza.attribute("id") == Some("passed")
    });
    passed.map(drop)
}

fn by_a_room_they_cost_nobody_anything(server: XmppServerKind) -> Result<()> {
    let mut world = World::start_with(server, vec![RoomService::setting()])?;
    let mut hall = RoomService::attach(&world.xmpp)?;
    let (mut romeo, occupant) = hall.bring_in(world.gateway.sip_address(), "<sip:romeo@example.org>")?;
    for (number, batch) in table().iter().enumerate() {
        for (place, stanza) in batch.iter().enumerate() {
            // The room itself, and one in it.
            let from = if place % 3 == 0 {
                HALL.to_owned()
            } else {
                format!("{HALL}/Villain")
            };
            hall.send(stanza.of_room(&from, &occupant))?;
        }
        // Who he is is the room's to say, and some of them say something else.
        hall.tell_who_he_is(&occupant, &format!("{HALL}/romeo"))?;
        let good = format!("good message {number}");
        hall.say(&occupant, "Juliet", &good)?;
        romeo.hear(&good)?;
        let answer = format!("good answer {number}");
        let posted = romeo.post(&answer)?;
        assert_eq!(hall.reflect("romeo")?, answer);
        hall.say(&occupant, "Juliet", "heard it")?;
        romeo.hear("heard it")?;
        assert_eq!(romeo.answer_to(&posted), Some(200), "{}", kind(batch));
        ensure!(!hall.is_closed(), "the server has ended the room's stream");
        must_be_unbroken(&mut world, batch)?;
    }
    Ok(())
}

/// The process, its memory and its first link.
fn must_be_unbroken(world: &mut World, batch: &[Hostile]) -> Result<()> {
    let kind = kind(batch);
    eprintln!(
        "{kind} {:?}",
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_millis()
            % 1_000_000
    );
    ensure!(world.gateway.is_running(), "the gateway has ended after {kind}");
    let resident = world.gateway.process().usage()?.resident;
    ensure!(resident < MEMORY, "{resident} octets after {kind}");
    let log = world.gateway.log();
    let (ups, downs) = (log.matches("link up").count(), log.matches("link down").count());
    ensure!(
        (ups, downs) == (1, 0),
        "the link was up {ups} and down {downs} times after {kind}"
    );
    Ok(())
}

fn kind(batch: &[Hostile]) -> &'static str {
    batch.first().map_or("nothing", |stanza| stanza.kind)
}
