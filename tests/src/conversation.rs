//! One conversation between an XMPP user and two SIP users, told as each of them sees it, with every copy counted.
//!
//! The demo, the compose test and an end-to-end test all hold this conversation.

use std::{collections::BTreeSet, thread, time::Duration};

use serde_json::Value;

use crate::{
    Context, Result, ensure,
    peers::{
        SipChat, SipChatSettings, XmppUser,
        sip_chat::{code, field, nicknames},
        xmpp_user::{is_said, is_whispered},
    },
};

/// Messages that everybody says at once in the middle of the conversation.
const BURST: usize = 10;
/// How long a doubled message is given to show itself.
const SETTLE: Duration = Duration::from_millis(1500);

/// Somebody in the conversation, to be shown apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// The XMPP user.
    Juliet,
    /// The first SIP user.
    Romeo,
    /// The second SIP user.
    Nurse,
    /// Nobody: what the conversation is about to do.
    Stage,
}

/// How the SIP users get in, and where.
#[derive(Debug, Clone)]
pub struct Place {
    /// The room as XMPP users name it.
    pub room: String,
    /// How `romeo@example.org` gets in as Romeo.
    pub romeo: SipChatSettings,
    /// How `nurse@example.org` gets in as Nurse.
    pub nurse: SipChatSettings,
    /// Whose room it is.
    pub keeper: Keeper,
}

/// Who keeps the room, and so its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// An XMPP server, for Juliet: RFC 7702 §6.
    Juliet,
    /// The focus of a SIP conference, whose subject is [`SUBJECT`] from the start: RFC 7702 §5.
    Focus,
}

/// What the room is about.
pub const SUBJECT: &str = "Verona after dark";

/// What became of all messages. A pair is one message and one occupant who has to get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Messages said.
    pub sent: usize,
    /// Pairs that arrived.
    pub delivered: usize,
    /// Pairs that did not arrive, and messages of SIP users that the room never confirmed.
    pub lost: usize,
    /// Copies beyond the first, and copies for somebody who should not have got one.
    pub duplicated: usize,
}

impl Tally {
    /// Whether everything arrived exactly once.
    #[must_use]
    pub fn is_perfect(&self) -> bool {
        self.sent > 0 && self.lost == 0 && self.duplicated == 0
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            sent,
            delivered,
            lost,
            duplicated,
        } = self;
        write!(
            out,
            "{sent} messages sent, {delivered} copies delivered, {lost} lost, {duplicated} duplicated"
        )
    }
}

/// Holds the conversation from entering to leaving. `tell` is called for every line worth showing.
///
/// # Errors
/// Something that had to happen did not: an entering, a roster, a nickname, a leave. Lost or doubled messages are no
/// error but in the tally.
pub fn converse(juliet: XmppUser, place: &Place, tell: &mut dyn FnMut(Voice, &str)) -> Result<Tally> {
    tell(Voice::Stage, "Entering the room");
    let mut scene = Scene::open(juliet, place, tell)?;
    scene.tell(Voice::Stage, "Messages each way");
    scene.exchange(
        "By whose direction found'st thou out this place?",
        Voice::Juliet,
        "JuliC",
    )?;
    scene.exchange(
        "By love, who first did prompt me to enquire.",
        Voice::Romeo,
        "Romeo",
    )?;
    scene.exchange(
        "Your lady mother is coming to your chamber.",
        Voice::Nurse,
        "Nurse",
    )?;
    scene.burst()?;
    scene.tell(Voice::Stage, "A nickname changes, another is refused");
    scene.change_nicknames()?;
    if place.keeper == Keeper::Focus {
        scene.want_a_nickname_in_vain()?;
    }
    scene.tell(Voice::Stage, "Private messages");
    scene.whisper()?;
    scene.tell(Voice::Stage, "Leaving");
    scene.part()?;
    thread::sleep(SETTLE);
    Ok(scene.tally())
}

/// A message said, and who has to get a copy.
#[derive(Debug)]
struct Said {
    text: String,
    by: Voice,
    /// Everybody who has to get it; the XMPP sender of a public message is one of them, since rooms reflect.
    audience: Vec<Voice>,
}

/// The conversation as it stands.
struct Scene<'a> {
    room: String,
    juliet: XmppUser,
    romeo: SipChat,
    nurse: SipChat,
    said: Vec<Said>,
    tell: &'a mut dyn FnMut(Voice, &str),
}

impl<'a> Scene<'a> {
    fn open(mut juliet: XmppUser, place: &Place, tell: &'a mut dyn FnMut(Voice, &str)) -> Result<Self> {
        let room = place.room.clone();
        juliet.ask_to_enter(&room, "JuliC")?;
        juliet.see(&room, "JuliC", None)?;
        tell(Voice::Juliet, "enters as JuliC");
        if place.keeper == Keeper::Juliet {
            juliet.set_subject(&room, SUBJECT)?;
        }
        juliet.see_subject(&room, SUBJECT)?;
        tell(Voice::Juliet, &format!("sees the subject: {SUBJECT}"));
        let romeo = come(&place.romeo, Voice::Romeo, &["JuliC", "Romeo"], tell)?;
        juliet.see(&room, "Romeo", None)?;
        tell(Voice::Juliet, "sees Romeo enter");
        let nurse = come(&place.nurse, Voice::Nurse, &["JuliC", "Nurse", "Romeo"], tell)?;
        juliet.see(&room, "Nurse", None)?;
        tell(Voice::Juliet, "sees Nurse enter");
        let mut scene = Self {
            room,
            juliet,
            romeo,
            nurse,
            said: Vec::new(),
            tell,
        };
        scene
            .romeo
            .wait_for("joined", |event| field(event, "nick") == "Nurse")?;
        scene.tell(Voice::Romeo, "sees Nurse enter");
        Ok(scene)
    }

    fn tell(&mut self, voice: Voice, line: &str) {
        (self.tell)(voice, line);
    }

    /// One message to all, waited for at each of them.
    fn exchange(&mut self, text: &str, by: Voice, nickname: &str) -> Result<()> {
        self.say(text, by)?;
        self.tell(by, &format!("says: {text}"));
        for listener in [Voice::Juliet, Voice::Romeo, Voice::Nurse]
            .into_iter()
            .filter(|listener| *listener != by)
        {
            let from = self.hear(listener, text)?;
            ensure!(
                from == nickname,
                "{listener:?} hears {text:?} from {from:?} instead of {nickname:?}"
            );
            self.tell(listener, &format!("<{from}> {text}"));
        }
        Ok(())
    }

    /// Everybody talks at once.
    fn burst(&mut self) -> Result<()> {
        let everybody = [Voice::Juliet, Voice::Romeo, Voice::Nurse];
        let lines: Vec<(Voice, String)> = (1..=BURST)
            .flat_map(|number| everybody.map(|voice| (voice, format!("{voice:?} counts {number}"))))
            .collect();
        for (voice, text) in &lines {
            self.say(text, *voice)?;
        }
        self.tell(
            Voice::Stage,
            &format!("All three talk at once, {BURST} messages each"),
        );
        for listener in everybody {
            let heard = lines.iter().filter(|(by, _)| *by != listener);
            // What does not come is counted at the end.
            let missed = heard
                .filter(|(_, text)| self.hear(listener, text).is_err())
                .count();
            let heard = 2 * BURST - missed;
            self.tell(
                listener,
                &format!("hears {heard} of the others' {} messages", 2 * BURST),
            );
        }
        Ok(())
    }

    fn change_nicknames(&mut self) -> Result<()> {
        self.romeo.rename("Montague")?;
        self.romeo
            .wait_for("nick", |event| field(event, "nickname") == "Montague")?;
        self.tell(Voice::Romeo, "is now Montague");
        let room = self.room.clone();
        let presence = self.juliet.see(&room, "Romeo", Some("unavailable"))?;
        ensure!(
            presence.has_status("303"),
            "Juliet sees no nickname change: {presence:#?}"
        );
        self.juliet.see(&room, "Montague", None)?;
        self.tell(Voice::Juliet, "sees Romeo become Montague");
        self.nurse.wait_for("renamed", |event| {
            field(event, "old") == "Romeo" && field(event, "new") == "Montague"
        })?;
        self.tell(Voice::Nurse, "sees Romeo become Montague");
        self.nurse.rename("JuliC")?;
        let refusal = self.nurse.wait("nick_refused")?;
        let code = code(&refusal);
        ensure!(
            code == Some(425),
            "a nickname in use is refused with 425, not {code:?}"
        );
        self.tell(
            Voice::Nurse,
            &format!("may not be JuliC: 425 {}; stays Nurse", field(&refusal, "reason")),
        );
        Ok(())
    }

    fn want_a_nickname_in_vain(&mut self) -> Result<()> {
        let room = self.room.clone();
        self.juliet.rename(&room, "montague")?;
        let refusal = self.juliet.see(&room, "montague", Some("error"))?;
        let conflict = refusal.child("error").and_then(|error| error.child("conflict"));
        ensure!(
            conflict.is_some(),
            "a nickname in use is a conflict: {refusal:#?}"
        );
        self.tell(
            Voice::Juliet,
            "may not be montague, which is Romeo's: conflict; stays JuliC",
        );
        Ok(())
    }

    fn whisper(&mut self) -> Result<()> {
        let room = self.room.clone();
        let question = "What o'clock tomorrow shall I send to thee?";
        self.note(question, Voice::Juliet, vec![Voice::Romeo]);
        self.juliet.whisper(&room, "Montague", question)?;
        self.tell(Voice::Juliet, &format!("whispers to Montague: {question}"));
        let from = self.romeo.hear_privately(question)?;
        self.tell(Voice::Romeo, &format!("<{from}, privately> {question}"));
        let answer = "By the hour of nine.";
        self.note(answer, Voice::Romeo, vec![Voice::Juliet]);
        self.romeo.whisper("JuliC", answer)?;
        self.tell(Voice::Romeo, &format!("whispers to JuliC: {answer}"));
        let message = self
            .juliet
            .wait(answer, |stanza| is_whispered(stanza, &room, answer))?;
        let from = message.from_resource().unwrap_or_default();
        ensure!(
            from == "Montague",
            "the private message comes from {from:?} instead of Montague"
        );
        self.tell(Voice::Juliet, &format!("<{from}, privately> {answer}"));
        Ok(())
    }

    fn part(&mut self) -> Result<()> {
        let room = self.room.clone();
        self.romeo.quit()?;
        self.romeo.wait("ended")?;
        self.romeo.wait_for_end()?;
        self.tell(Voice::Romeo, "leaves");
        self.juliet.see(&room, "Montague", Some("unavailable"))?;
        self.tell(Voice::Juliet, "sees Montague leave");
        self.nurse
            .wait_for("left", |event| field(event, "nick") == "Montague")?;
        self.tell(Voice::Nurse, "sees Montague leave");
        let farewell = "Good night, good night! Parting is such sweet sorrow.";
        self.juliet.say(&room, farewell)?;
        self.note(farewell, Voice::Juliet, vec![Voice::Juliet, Voice::Nurse]);
        self.tell(Voice::Juliet, &format!("says: {farewell}"));
        let from = self.nurse.hear(farewell)?;
        self.tell(Voice::Nurse, &format!("<{from}> {farewell}"));
        Ok(())
    }

    fn say(&mut self, text: &str, by: Voice) -> Result<()> {
        let room = self.room.clone();
        let audience = match by {
            Voice::Juliet => vec![Voice::Juliet, Voice::Romeo, Voice::Nurse],
            Voice::Romeo => vec![Voice::Juliet, Voice::Nurse],
            Voice::Nurse => vec![Voice::Juliet, Voice::Romeo],
            Voice::Stage => Vec::new(),
        };
        self.note(text, by, audience);
        match by {
            Voice::Juliet => self.juliet.say(&room, text),
            Voice::Romeo => self.romeo.say(text),
            Voice::Nurse => self.nurse.say(text),
            Voice::Stage => Ok(()),
        }
    }

    fn hear(&mut self, listener: Voice, text: &str) -> Result<String> {
        match listener {
            Voice::Juliet => self.juliet.hear(&self.room, text),
            Voice::Romeo => self.romeo.hear(text),
            Voice::Nurse => self.nurse.hear(text),
            Voice::Stage => Ok(String::new()),
        }
        .with_context(|| format!("{listener:?} does not hear {text:?}"))
    }

    fn note(&mut self, text: &str, by: Voice, audience: Vec<Voice>) {
        self.said.push(Said {
            text: text.to_owned(),
            by,
            audience,
        });
    }

    fn tally(&mut self) -> Tally {
        let mut tally = Tally {
            sent: self.said.len(),
            ..Tally::default()
        };
        let said = std::mem::take(&mut self.said);
        for message in &said {
            for listener in [Voice::Juliet, Voice::Romeo, Voice::Nurse] {
                let copies = self.copies(listener, &message.text);
                let due = usize::from(message.audience.contains(&listener));
                tally.delivered += copies.min(due);
                tally.lost += due.saturating_sub(copies);
                tally.duplicated += copies.saturating_sub(due);
            }
            if !self.is_confirmed(message) {
                tally.lost += 1;
            }
        }
        tally
    }

    fn copies(&mut self, listener: Voice, text: &str) -> usize {
        let chat = match listener {
            Voice::Juliet => {
                let room = &self.room;
                let heard = |stanza: &&crate::stanza::Element| {
                    is_said(stanza, room, text) || is_whispered(stanza, room, text)
                };
                return self.juliet.inbox().history().iter().filter(heard).count();
            }
            Voice::Romeo => &mut self.romeo,
            Voice::Nurse => &mut self.nurse,
            Voice::Stage => return 0,
        };
        let heard = |event: &&Value| field(event, "event") == "message" && field(event, "text") == text;
        chat.inbox().history().iter().filter(heard).count()
    }

    /// A SIP user is told that the room has his message.
    fn is_confirmed(&mut self, message: &Said) -> bool {
        let chat = match message.by {
            Voice::Romeo => &mut self.romeo,
            Voice::Nurse => &mut self.nurse,
            Voice::Juliet | Voice::Stage => return true,
        };
        chat.inbox()
            .history()
            .iter()
            .any(|event| field(event, "event") == "sent" && field(event, "text") == message.text)
    }
}

/// A SIP user enters and gets the whole roster.
fn come(
    settings: &SipChatSettings,
    voice: Voice,
    expected: &[&str],
    tell: &mut dyn FnMut(Voice, &str),
) -> Result<SipChat> {
    let mut user = SipChat::enter(settings)?;
    tell(voice, &format!("enters as {}", settings.nickname));
    let expected: BTreeSet<&str> = expected.iter().copied().collect();
    let roster = user.wait_for("roster", |event| {
        let present = nicknames(event);
        present.iter().map(String::as_str).collect::<BTreeSet<_>>() == expected
    })?;
    tell(
        voice,
        &format!("sees in the room: {}", nicknames(&roster).join(", ")),
    );
    let subject = user.wait_for("subject", |event| !field(event, "text").is_empty())?;
    tell(voice, &format!("sees the subject: {}", field(&subject, "text")));
    Ok(user)
}
