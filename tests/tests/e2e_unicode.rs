//! Every Unicode scalar value, batched, in whatever text passes the gateway: it arrives, or is visibly replaced or refused; the link lives.

use gateway_tests::{
    Context, Result, ensure, on_each_xmpp_server,
    peers::{
        RoomService, SipChat, SipChatSettings, XmppServerKind, XmppUser,
        room_service::{HALL, HALL_URI},
        sip_chat::field,
        xmpp_user::escape,
    },
    raw_msrp::RawParticipant,
    raw_sip::RawSip,
    world::{ROOM, ROOM_URI, World},
};

on_each_xmpp_server! {
    in_messages_both_ways,
    in_nicknames_that_sip_users_ask_for,
    in_nicknames_and_subjects_of_a_room,
    in_the_reasons_of_a_room,
    in_the_reasons_of_sip_users,
    in_resources,
}

/// Scalars of one text. Some take four octets, and 64 KiB is the most that a message may have.
const BATCH: usize = 4096;

fn texts() -> impl Iterator<Item = String> {
    texts_of(BATCH)
}

fn texts_of(scalars: usize) -> impl Iterator<Item = String> {
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    let batches: Vec<String> = all.chunks(scalars).map(|batch| batch.iter().collect()).collect();
    // Something that is not trimmed at the ends, and a number to know them by.
    batches
        .into_iter()
        .enumerate()
        .map(|(number, batch)| format!("{number}:{batch}:"))
}

/// What XML 1.0 cannot carry is replaced, and a carriage return is a line break there.
fn in_xml(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\r' => '\n',
            '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => character,
            _ => char::REPLACEMENT_CHARACTER,
        })
        .collect()
}

/// Texts that a server takes for a resource (RFC 3920 appendix B), of at most so many scalars each: between them, all scalars that any such
/// text has.
fn resources(most: usize) -> Vec<String> {
    let is_one = |text: &str| stringprep::resourceprep(text).is_ok_and(|prepared| prepared == text);
    let all: Vec<char> = ('\0'..=char::MAX)
        .filter(|character| is_one(&character.to_string()) && *character != ' ')
        .collect();
    // Directions do not mix.
    let (leftward, rightward): (Vec<char>, Vec<char>) = all
        .into_iter()
        .partition(|character| !is_one(&format!("a{character}a")));
    let wrapped = |characters: &[char], end: char| -> Vec<String> {
        let batches = characters.chunks(most);
        batches
            .map(|batch| format!("{end}{}{end}", batch.iter().collect::<String>()))
            .filter(|text| is_one(text))
            .collect()
    };
    [wrapped(&leftward, 'א'), wrapped(&rightward, 'x')].concat()
}

/// The process lives, and the link is the first one.
fn must_be_unbroken(world: &mut World) -> Result<()> {
    ensure!(world.gateway.is_running(), "the gateway has ended");
    let log = world.gateway.log();
    ensure!(!log.contains("link down"), "the link broke\n{}", world.logs());
    Ok(())
}

fn in_messages_both_ways(server: XmppServerKind) -> Result<()> {
    let mut world = World::start_with(server, Vec::new())?;
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    let mut romeo = world.sip_user("romeo", "Romeo")?;
    for text in texts() {
        romeo.say_and_wait(&text)?;
        assert_eq!(juliet.hear(ROOM, &in_xml(&text))?, "Romeo");
        let text = in_xml(&text).replacen(':', ";", 1);
        juliet.say(ROOM, &text)?;
        assert_eq!(romeo.hear(&text)?, "JuliC");
    }
    must_be_unbroken(&mut world)
}

fn in_nicknames_that_sip_users_ask_for(server: XmppServerKind) -> Result<()> {
    let mut world = World::start_with(server, Vec::new())?;
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    let mut romeo = RawParticipant::enter(world.gateway.sip_address(), ROOM_URI, "<sip:romeo@example.org>")?;
    // Together, so that what a room takes is asked of it, and what it cannot take beside it is not.
    let mut taken = 0;
    let takeable = resources(30);
    let all: Vec<char> = ('\0'..=char::MAX)
        .filter(|character| !matches!(character, '\r' | '\n'))
        .collect();
    // A header line has at most 2200 octets.
    let rest = all.chunks(500).map(|batch| batch.iter().collect::<String>());
    for nickname in takeable.into_iter().chain(rest) {
        let quoted = nickname.replace('\\', "\\\\").replace('"', "\\\"");
        match romeo.nickname(&quoted)?.status() {
            Some(200) => taken += 1,
            Some(424) => {}
            other => ensure!(false, "{nickname:?} got {other:?}"),
        }
    }
    ensure!(taken > 1000, "only {taken} were taken");
    let renamed = juliet.inbox().history().iter();
    let renamed = renamed
        .filter(|stanza| stanza.name == "presence" && stanza.has_status("303"))
        .count();
    ensure!(renamed + 1 >= taken, "{taken} were taken and {renamed} seen");
    must_be_unbroken(&mut world)
}

/// Romeo, with a client that shows what he is told, in a room whose every word is ours.
fn in_the_hall(server: XmppServerKind) -> Result<(World, RoomService, SipChat, String)> {
    let notify = ("GATEWAY__LIMITS__MAPPING__NOTIFY", "250ms".to_owned());
    let world = World::start_with(server, vec![RoomService::setting(), notify])?;
    let mut hall = RoomService::attach(&world.xmpp)?;
    let settings = SipChatSettings {
        from: "sip:romeo@example.org".to_owned(),
        room: HALL_URI.to_owned(),
        proxy: world.gateway.sip_address(),
        nickname: "Romeo".to_owned(),
        msrp_tls: false,
    };
    let mut romeo = SipChat::start(&settings)?;
    let occupant = hall.admit()?;
    romeo.wait("entered")?;
    Ok((world, hall, romeo, occupant))
}

fn in_nicknames_and_subjects_of_a_room(server: XmppServerKind) -> Result<()> {
    let (mut world, mut hall, mut romeo, occupant) = in_the_hall(server)?;
    for (number, nickname) in resources(250).into_iter().enumerate() {
        let text = format!("speech {number}");
        hall.say(&occupant, &nickname, &text)?;
        assert_eq!(romeo.hear(&text)?, nickname);
    }
    let last = texts().count() - 1;
    for (number, text) in texts().enumerate() {
        let subject = escape(&in_xml(&text));
        hall.send(format!(
            "<message from='{HALL}/Juliet' to='{}' type='groupchat'><subject>{subject}</subject></message>",
            escape(&occupant)
        ))?;
        // Documents are gathered: each is sent, some are shown.
        if number % 32 == 0 || number == last {
            let subject = in_xml(&text);
            romeo.wait_for("subject", |event| field(event, "text") == subject)?;
        }
    }
    must_be_unbroken(&mut world)
}

/// For users who come again for each text.
fn often() -> Vec<(&'static str, String)> {
    vec![
        ("GATEWAY__LIMITS__RATES__INVITES", "[1000, 1000]".to_owned()),
        ("GATEWAY__LIMITS__CONNECTIONS__PER_ADDRESS", "1000".to_owned()),
    ]
}

fn in_the_reasons_of_sip_users(server: XmppServerKind) -> Result<()> {
    let mut world = World::start_with(server, often())?;
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    let mut sip = RawSip::connect(world.gateway.sip_address())?;
    // A header line has at most 4096 octets.
    for text in texts_of(1000) {
        // No field of SIP holds a line end (RFC 3261 §25.1).
        let text = text.replace(['\r', '\n'], "");
        let mut romeo = RawParticipant::enter_over(sip, ROOM_URI, "<sip:romeo@example.org>")?;
        let answer = romeo.hang_up(&quoted(&text))?;
        ensure!(answer.status() == Some(200), "BYE got {}", answer.start);
        let left = juliet.see(ROOM, "romeo", Some("unavailable"))?;
        assert_eq!(left.child_text("status"), Some(in_xml(&text).as_str()));
        sip = romeo.sip;
    }
    must_be_unbroken(&mut world)
}

/// What stands between the quotes of a quoted-string (RFC 3261 §25.1).
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_control() || matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

fn in_the_reasons_of_a_room(server: XmppServerKind) -> Result<()> {
    let mut world = World::start_with(server, [vec![RoomService::setting()], often()].concat())?;
    let mut hall = RoomService::attach(&world.xmpp)?;
    for text in texts() {
        let (mut romeo, occupant) = hall.bring_in(world.gateway.sip_address(), "<sip:romeo@example.org>")?;
        hall.send(format!(
            "<presence from='{HALL}/romeo' to='{}' type='unavailable'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='none'><reason>{}</reason></item><status code='110'/><status code='307'/></x></presence>",
            escape(&occupant),
            escape(&in_xml(&text))
        ))?;
        let bye = romeo.sip.request("BYE")?;
        let reason = bye.header("Reason").context("no reason")?;
        ensure!(reason.starts_with("SIP") && reason.contains("text="), "{reason}");
    }
    must_be_unbroken(&mut world)
}

/// A client writes to a conference that he is not in, and the answer finds him.
fn in_resources(server: XmppServerKind) -> Result<()> {
    let conferences = "[{ muc = \"conference.example.org\", sip = \"conference.example.org\" }]".to_owned();
    let mut world = World::start_with(server, vec![("GATEWAY__CONFERENCES", conferences)])?;
    world.xmpp.add_user("juliet")?;
    for resource in resources(250) {
        let address = world.xmpp.users_address();
        let mut juliet = XmppUser::connect_as(address, "juliet", "juliet", &escape(&resource))?;
        juliet.say(HALL, "anybody there?")?;
        assert_eq!(juliet.refused_message(HALL)?, "not-acceptable", "{resource:?}");
    }
    must_be_unbroken(&mut world)
}
