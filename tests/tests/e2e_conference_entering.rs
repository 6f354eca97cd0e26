//! XMPP users enter conferences of the SIP side (RFC 7702 §5.1 to §5.4), and are refused.

use std::time::{Duration, Instant};

use gateway_tests::{
    Result,
    conference_world::{
        CONFERENCE, CONFERENCE_JID, ConferenceWorld, in_a_conference_world, in_a_conference_world_with,
    },
    ensure, on_each_xmpp_server,
    peers::{
        SipChat, XmppServerKind, XmppUser,
        conference::CONFERENCES,
        sip_chat::{field, nicknames},
    },
};

on_each_xmpp_server!(
    rfc7702_section_5_4_both_sides_see_who_is_there,
    rfc7247_section_7_what_the_focus_refuses_is_told_as_an_error,
    rfc7702_section_5_6_a_nickname_in_use_is_a_conflict,
    what_a_conference_does_without_does_not_keep_users_out,
    a_conference_that_never_answers_is_given_up,
    several_clients_of_one_account_share_a_stay,
    the_room_has_the_face_of_a_chat_room,
);

fn sees(user: &mut SipChat, nickname: &str) -> Result<()> {
    user.wait_for("joined", |event| field(event, "nick") == nickname)
        .map(drop)
}

fn rfc7702_section_5_4_both_sides_see_who_is_there(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &["--subject", "Today in Verona"], |world| {
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.ask_to_enter(CONFERENCE_JID, "JuliC")?;
        let romeo_there = juliet.see(CONFERENCE_JID, "Romeo", None)?;
        let item = romeo_there.child("x").and_then(|x| x.child("item"));
        let item = item.map(|item| (item.attribute("affiliation"), item.attribute("role")));
        ensure!(
            item == Some((Some("none"), Some("participant"))),
            "RFC 7702 table 3: {romeo_there:#?}"
        );
        ensure!(juliet.see(CONFERENCE_JID, "JuliC", None)?.has_status("110"));
        juliet.see_subject(CONFERENCE_JID, "Today in Verona")?;
        sees(&mut romeo, "JuliC")?;
        let mut nurse = world.sip_user("nurse", "Nurse")?;
        nurse.ask_roster()?;
        ensure!(nicknames(&nurse.wait("roster")?) == ["JuliC", "Nurse", "Romeo"]);
        juliet.see(CONFERENCE_JID, "Nurse", None)?;
        let mut tybalt = world.xmpp_user("tybalt")?;
        let others = tybalt.enter(CONFERENCE_JID, "Tybalt")?;
        ensure!(others == ["JuliC", "Nurse", "Romeo"], "{others:?}");
        juliet.see(CONFERENCE_JID, "Tybalt", None)?;
        sees(&mut romeo, "Tybalt")?;
        world.conference.set_subject(CONFERENCE, "Peace")?;
        juliet.see_subject(CONFERENCE_JID, "Peace")?;
        tybalt.see_subject(CONFERENCE_JID, "Peace")?;
        Ok(())
    })
}

/// RFC 7247 tables 2 and 3.
fn rfc7247_section_7_what_the_focus_refuses_is_told_as_an_error(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &["--refuse", "403"], |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        for (options, expected) in [
            (&["--refuse", "403"][..], "forbidden"),
            (&["--refuse", "404"], "item-not-found"),
            (&["--refuse", "486"], "recipient-unavailable"),
            (&["--refuse", "488"], "not-acceptable"),
            (&["--refuse", "407"], "registration-required"),
            (&["--refuse", "500"], "internal-server-error"),
            (&["--redirect", "sip:elsewhere@example.org"], "redirect"),
            (&["--capacity", "0"], "recipient-unavailable"),
        ] {
            world.restart_conference(options)?;
            let (condition, _) = juliet.enter_in_vain(CONFERENCE_JID, "JuliC")?;
            ensure!(condition == expected, "{options:?}: {condition}");
        }
        world.restart_conference(&[])?;
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        Ok(())
    })
}

fn rfc7702_section_5_6_a_nickname_in_use_is_a_conflict(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server.clone(), &["--nickname-taken", "Escalus"], |world| {
        let _romeo = world.sip_user("romeo", "Romeo")?;
        let mut juliet = world.xmpp_user("juliet")?;
        for name in ["Romeo", "romeo", "Escalus"] {
            let (condition, _) = juliet.enter_in_vain(CONFERENCE_JID, name)?;
            ensure!(condition == "conflict", "{name}: {condition}");
        }
        ensure!(juliet.enter(CONFERENCE_JID, "JuliC")? == ["Romeo"]);
        Ok(())
    })?;
    let vary = [("GATEWAY__ENTERING__CONFLICT", "vary".to_owned())];
    in_a_conference_world_with(server, &[], &vary, |world| {
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut juliet = world.xmpp_user("juliet")?;
        juliet.ask_to_enter(CONFERENCE_JID, "Romeo")?;
        let own = juliet.wait("her own presence", |stanza| {
            stanza.name == "presence" && stanza.has_status("110")
        })?;
        ensure!(own.has_status("210"), "XEP-0045 §7.2.3: {own:#?}");
        let name = own.from_resource().unwrap_or_default().to_owned();
        ensure!(name == "Romeo (2)", "{name}");
        sees(&mut romeo, &name)
    })
}

/// Enters, speaks and hears, whatever the conference is like.
fn takes_part(world: &mut ConferenceWorld, options: &[&str]) -> Result<()> {
    world.restart_conference(options)?;
    let mut juliet = world.xmpp_user("juliet")?;
    world.conference.join(CONFERENCE, "Ben")?;
    juliet.enter(CONFERENCE_JID, "JuliC")?;
    juliet.say(CONFERENCE_JID, "Is anybody there?")?;
    juliet.hear(CONFERENCE_JID, "Is anybody there?")?;
    world
        .conference
        .wait_for("message", |event| field(event, "text") == "Is anybody there?")?;
    world.conference.say(CONFERENCE, "Ben", "Here I am")?;
    let from = juliet.hear(CONFERENCE_JID, "Here I am")?;
    ensure!(from == "Ben", "{options:?}: {from:?}");
    juliet.leave(CONFERENCE_JID, "JuliC")?;
    let left = |event: &serde_json::Value| field(event, "uri") == "sip:juliet@example.com";
    world.conference.wait_for("left", left).map(drop)
}

fn what_a_conference_does_without_does_not_keep_users_out(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        for options in [
            &["--no-nicknames"][..],
            &["--no-private-messages"],
            &["--subscribe-when-bound"],
            &["--documents", "full-only", "--versions", "room"],
            &["--entities", "plain"],
            &["--entities", "nickname"],
            &["--slow", "700ms"],
            &["--contact", "focus"],
            &["--escaped-uris"],
            &["--lax-cpim", "--success-reports"],
            &["--strict-from", "--own-dialogs-only", "--entities", "plain"],
            &["--keep-alive", "100ms", "--no-chunks"],
            &["--gather", "3s"],
            &["--unquoted-nicknames"],
            &["--as-deployed"],
        ] {
            takes_part(world, options).map_err(|error| error.context(format!("{options:?}")))?;
        }
        Ok(())
    })
}

fn a_conference_that_never_answers_is_given_up(server: XmppServerKind) -> Result<()> {
    let impatient = [("GATEWAY__LIMITS__MAPPING__ENTRANCE", "3s".to_owned())];
    in_a_conference_world_with(server, &["--silent"], &impatient, |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        let began = Instant::now();
        let (condition, _) = juliet.enter_in_vain(CONFERENCE_JID, "JuliC")?;
        ensure!(condition == "remote-server-timeout", "{condition}");
        ensure!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        world.conference.quit()?;
        let (condition, _) = juliet.enter_in_vain(CONFERENCE_JID, "JuliC")?;
        ensure!(
            matches!(
                &*condition,
                "remote-server-timeout" | "remote-server-not-found" | "bad-request"
            ),
            "nobody listens: {condition}"
        );
        Ok(())
    })
}

fn several_clients_of_one_account_share_a_stay(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut romeo = world.sip_user("romeo", "Romeo")?;
        let mut desk = world.xmpp_user("juliet")?;
        let mut phone = XmppUser::connect_as(world.xmpp.users_address(), "juliet", "juliet", "phone")?;
        desk.enter(CONFERENCE_JID, "JuliC")?;
        ensure!(phone.enter(CONFERENCE_JID, "JuliC")? == ["Romeo"]);
        sees(&mut romeo, "JuliC")?;
        romeo.say_and_wait("Hello, both of you")?;
        desk.hear(CONFERENCE_JID, "Hello, both of you")?;
        phone.hear(CONFERENCE_JID, "Hello, both of you")?;
        phone.say(CONFERENCE_JID, "From the phone")?;
        desk.hear(CONFERENCE_JID, "From the phone")?;
        ensure!(romeo.hear("From the phone")? == "JuliC");
        phone.leave(CONFERENCE_JID, "JuliC")?;
        phone.see(CONFERENCE_JID, "JuliC", Some("unavailable"))?;
        romeo.say_and_wait("Still there?")?;
        desk.hear(CONFERENCE_JID, "Still there?")?;
        desk.leave(CONFERENCE_JID, "JuliC")?;
        romeo.wait_for("left", |event| field(event, "nick") == "JuliC")?;
        let entered = romeo
            .inbox()
            .history()
            .iter()
            .filter(|event| field(event, "event") == "joined")
            .count();
        ensure!(entered == 1, "one participant for both clients, not {entered}");
        Ok(())
    })
}

fn the_room_has_the_face_of_a_chat_room(server: XmppServerKind) -> Result<()> {
    in_a_conference_world(server, &[], |world| {
        let mut juliet = world.xmpp_user("juliet")?;
        let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
        for address in [CONFERENCES, CONFERENCE_JID] {
            let answer = juliet.request("get", address, info)?;
            let query = answer
                .child("query")
                .map(|query| query.children.clone())
                .unwrap_or_default();
            let has = |name: &str, attribute: &str, value: &str| {
                query
                    .iter()
                    .any(|child| child.name == name && child.attribute(attribute) == Some(value))
            };
            ensure!(
                has("identity", "category", "conference")
                    && has("feature", "var", "http://jabber.org/protocol/muc"),
                "{address}: {answer:#?}"
            );
        }
        juliet.enter(CONFERENCE_JID, "JuliC")?;
        // XEP-0410.
        juliet.request(
            "get",
            &format!("{CONFERENCE_JID}/JuliC"),
            "<ping xmlns='urn:xmpp:ping'/>",
        )?;
        Ok(())
    })
}
