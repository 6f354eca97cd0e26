//! What XMPP users say besides plain text, as SIP users are shown it, and what is made up to deceive them.

use gateway_tests::{
    Result, on_each_xmpp_server,
    peers::{SipChat, XmppServerKind, XmppUser, sip_chat::field},
    world::{ROOM, World, in_a_world_with},
};

on_each_xmpp_server! {
    what_xmpp_users_say_besides_text_is_shown_as_text,
    what_is_off_is_not_shown,
    nothing_inside_a_stanza_is_believed_against_its_sender,
}

fn what_xmpp_users_say_besides_text_is_shown_as_text(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let (mut juliet, mut romeo) = cast(world)?;
        let said = [
            ("<body>/me waves</body>", "* JuliC waves"),
            (
                "<body>at nine</body><replace xmlns='urn:xmpp:message-correct:0' id='x'/>",
                "(corrected) at nine",
            ),
            (
                "<body>Yes</body><reply xmlns='urn:xmpp:reply:0' id='x' to='capulet@rooms.example.com/Romeo'/>",
                "(in reply to Romeo) Yes",
            ),
            (
                "<reactions xmlns='urn:xmpp:reactions:0' id='x'><reaction>🌹</reaction></reactions>\
                 <store xmlns='urn:xmpp:hints'/>",
                "(reacts with 🌹)",
            ),
            (
                "<body>/me retracted a message</body><retract xmlns='urn:xmpp:message-retract:1' id='x'/>",
                "(withdraws an earlier message)",
            ),
            (
                "<body>Look</body><x xmlns='jabber:x:oob'><url>https://example.com/r.png</url></x>",
                "Look\nhttps://example.com/r.png",
            ),
            (
                "<body>I sent you an OMEMO encrypted message</body>\
                 <encrypted xmlns='eu.siacs.conversations.axolotl'><payload>AAAA</payload></encrypted>",
                "(a message encrypted with OMEMO, which cannot be shown here)",
            ),
        ];
        for (content, shown) in said {
            groupchat(&mut juliet, content)?;
            assert_eq!(romeo.hear(shown)?, "JuliC", "{content}");
        }
        juliet.send(format!(
            "<message type='chat' to='{ROOM}/Romeo'><body>/me whispers</body>\
             <x xmlns='http://jabber.org/protocol/muc#user'/></message>"
        ))?;
        assert_eq!(romeo.hear_privately("* JuliC whispers")?, "JuliC");
        Ok(())
    })
}

fn what_is_off_is_not_shown(server: XmppServerKind) -> Result<()> {
    let off = [
        "GATEWAY__TEXTS__ACTIONS",
        "GATEWAY__TEXTS__REACTIONS",
        "GATEWAY__TEXTS__ENCRYPTED",
    ];
    let world = World::start_with(server, off.map(|name| (name, "false".to_owned())).to_vec())?;
    let (mut juliet, mut romeo) = cast(&world)?;
    groupchat(
        &mut juliet,
        "<reactions xmlns='urn:xmpp:reactions:0' id='x'><reaction>🌹</reaction></reactions>",
    )?;
    groupchat(
        &mut juliet,
        "<body>fallback</body><encrypted xmlns='eu.siacs.conversations.axolotl'><payload>AAAA</payload></encrypted>",
    )?;
    groupchat(&mut juliet, "<body>/me waves</body>")?;
    assert_eq!(romeo.hear("/me waves")?, "JuliC");
    assert_eq!(texts(&mut romeo), ["/me waves"]);
    Ok(())
}

/// The servers pass all of this on as it was written, but for a stanza-id by the room.
fn nothing_inside_a_stanza_is_believed_against_its_sender(server: XmppServerKind) -> Result<()> {
    in_a_world_with(server, |world| {
        let (mut juliet, mut romeo) = cast(world)?;
        let copy = format!(
            "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' type='groupchat' from='{ROOM}/Nurse' \
             to='romeo@example.org'><body>forged</body></message></forwarded>"
        );
        let claims = [
            (
                "carbon",
                format!("<received xmlns='urn:xmpp:carbons:2'>{copy}</received>"),
            ),
            ("forwarded", copy),
            (
                "delay",
                format!("<delay xmlns='urn:xmpp:delay' from='{ROOM}' stamp='2001-01-01T00:00:00Z'/>"),
            ),
            (
                "stanza-id",
                format!("<stanza-id xmlns='urn:xmpp:sid:0' by='{ROOM}' id='x'/>"),
            ),
            (
                "occupant-id",
                "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='that of Romeo'/>".to_owned(),
            ),
            (
                "muc#user",
                "<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/><status code='307'/>\
                 <item role='none'/><destroy/></x>"
                    .to_owned(),
            ),
            (
                "moderation",
                format!(
                    "<retract xmlns='urn:xmpp:message-retract:1' id='x'>\
                     <moderated xmlns='urn:xmpp:message-moderate:1' by='{ROOM}/Nurse'/></retract>"
                ),
            ),
            ("subject", "<subject>forged</subject>".to_owned()),
            (
                "address",
                "<addresses xmlns='http://jabber.org/protocol/address'>\
                 <address type='ofrom' jid='nurse@example.com'/></addresses>"
                    .to_owned(),
            ),
        ];
        for (claim, content) in &claims {
            groupchat(&mut juliet, &format!("<body>{claim}</body>{content}"))?;
            assert_eq!(romeo.hear(claim)?, "JuliC");
        }
        // Each was shown once and under her name, nothing forged beside it, and Romeo is still there.
        assert_eq!(texts(&mut romeo), claims.map(|(claim, _)| claim));
        romeo.say_and_wait("I believe thy words alone")?;
        assert_eq!(juliet.hear(ROOM, "I believe thy words alone")?, "Romeo");
        Ok(())
    })
}

fn cast(world: &World) -> Result<(XmppUser, SipChat)> {
    let mut juliet = world.xmpp_user("juliet")?;
    juliet.enter(ROOM, "JuliC")?;
    let romeo = world.sip_user("romeo", "Romeo")?;
    juliet.see(ROOM, "Romeo", None)?;
    Ok((juliet, romeo))
}

fn groupchat(user: &mut XmppUser, content: &str) -> Result<()> {
    user.send(format!(
        "<message type='groupchat' id='same' to='{ROOM}'>{content}</message>"
    ))
}

/// Every message that he was shown.
fn texts(user: &mut SipChat) -> Vec<String> {
    let messages = user.inbox().history().iter();
    messages
        .filter(|event| field(event, "event") == "message")
        .map(|event| field(event, "text").to_owned())
        .collect()
}
