//! Who is writing: XEP-0085 on the side of the room, RFC 3994 on the side of the phone, in the room and in private.

use std::time::{Duration, Instant};

use msrp::{
    cpim::{Address, Cpim},
    iscomposing::{self, IsComposing, State},
};
use xmpp::{
    BareJid, Jid,
    stanza::{ChatState, Message, Outgoing},
};

use crate::{
    Gateway,
    session::{Phase, SessionKey},
    timers::{Timer, TimerId},
};

/// How long nobody is told again that the same one has begun to write.
const PAUSE: Duration = Duration::from_secs(1);
/// How long somebody may write before it is told again: phones believe it for [`iscomposing::DEFAULT_REFRESH`].
const REPEAT: Duration = Duration::from_secs(60);
/// Longest refresh interval that is believed.
const LONGEST: Duration = Duration::from_secs(10 * 60);
/// Writers remembered of one room.
const WRITERS: usize = 256;

/// A SIP user who writes, as the room was told.
#[derive(Debug)]
pub(crate) struct Typing {
    to: Jid,
    /// When he counts as idle.
    timer: Option<TimerId>,
    since: Instant,
}

impl Typing {
    /// The deadline that is set.
    pub(super) fn timer(&self) -> Option<TimerId> {
        self.timer
    }
}

/// An occupant who writes, as SIP users were told.
#[derive(Debug)]
pub(super) struct Writer {
    active: bool,
    told: Instant,
}

/// Who writes, and for whom alone if it is in private.
pub(super) type WriterKey = (String, Option<SessionKey>);

// From the SIP user to the room.
impl Gateway {
    /// Tells the room, or one occupant, that he writes or has stopped. Each change is told once, and not more often than once a second.
    pub(super) fn typing_by_user(&mut self, key: SessionKey, to: Jid, status: &IsComposing, now: Instant) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if !matches!(session.phase, Phase::Joined) {
            return;
        }
        let known = session.typing.as_ref().filter(|typing| typing.to == to);
        let is_told = known.is_some_and(|typing| typing.timer.is_some());
        match status.state {
            State::Idle if is_told => self.typing_over(key, true),
            State::Idle => {}
            State::Active => {
                if known.is_some_and(|typing| {
                    typing.timer.is_none() && now.saturating_duration_since(typing.since) < PAUSE
                }) {
                    return;
                }
                if !is_told {
                    self.typing_over(key, true);
                    self.tell_chat_state(key, &to, ChatState::Composing);
                }
                let refresh = status.refresh.map_or(iscomposing::DEFAULT_REFRESH, |seconds| {
                    Duration::from_secs(seconds.into()).min(LONGEST)
                });
                let timer = self.timers.start(now + refresh, Timer::Typing(key));
                let former = self.sessions.get_mut(key).and_then(|session| {
                    let since = now;
                    let timer = Some(timer);
                    session.typing.replace(Typing { to, timer, since })
                });
                if let Some(former) = former.and_then(|typing| typing.timer) {
                    self.timers.cancel(former);
                }
            }
        }
    }

    /// He writes no more. A message says so by itself; otherwise it is `told`.
    pub(crate) fn typing_over(&mut self, key: SessionKey, told: bool) {
        let session = self.sessions.get_mut(key);
        let Some(typing) = session.and_then(|session| session.typing.as_mut()) else {
            return;
        };
        let Some(timer) = typing.timer.take() else {
            return;
        };
        let to = typing.to.clone();
        self.timers.cancel(timer);
        if told {
            self.tell_chat_state(key, &to, ChatState::Active);
        }
    }

    fn tell_chat_state(&mut self, key: SessionKey, to: &Jid, state: ChatState) {
        if let Some(session) = self.sessions.get(key) {
            let from = session.who.jid.clone();
            let to = to.clone();
            self.xmpp(Outgoing::ChatState { from, to, state });
        }
    }
}

// From the room to the SIP users.
impl Gateway {
    /// A message that says no more than what its sender does: to all, or to one of ours in private.
    pub(super) fn writes(
        &mut self,
        room: &BareJid,
        message: &Message,
        alone: Option<SessionKey>,
        now: Instant,
    ) {
        let (Some(state), Some(nickname)) = (message.extras.chat_state, message.from.resource()) else {
            return;
        };
        if !self.config.occupants.typing {
            return;
        }
        let active = state == ChatState::Composing;
        let writer = (nickname.as_str().to_owned(), alone);
        if !self.is_news(room, &writer, active, now) {
            return;
        }
        let domain = message.to.domain();
        let hearers: Vec<SessionKey> = match alone {
            Some(key) => vec![key],
            None => self
                .sessions
                .in_room(room)
                .filter(|(_, session)| session.who.jid.domain() == domain)
                .map(|(key, _)| key)
                .collect(),
        };
        let Some(address) = self.rooms.get(room).map(|room| room.address.clone()) else {
            return;
        };
        let (nickname, _) = writer;
        let status = IsComposing::new(if active { State::Active } else { State::Idle });
        for key in hearers {
            let Some(session) = self.sessions.get(key) else {
                continue;
            };
            let hears = session.hears_typing
                && matches!(session.phase, Phase::Joined)
                && session.nickname != nickname
                && (alone.is_none() || session.chatroom.private_messages);
            if !hears {
                continue;
            }
            let to = if alone.is_some() {
                &session.who.user
            } else {
                &address.sip
            };
            let cpim = Cpim {
                from: Some(Address {
                    display_name: Some(nickname.clone()),
                    uri: address.occupant(&nickname).to_string(),
                }),
                to: vec![Address {
                    display_name: None,
                    uri: to.to_string(),
                }],
                content_type: iscomposing::CONTENT_TYPE.to_owned(),
                content: status.to_bytes(),
                ..Cpim::default()
            };
            let lane = self
                .rooms
                .get(room)
                .map(|room| room.roster.lane(&nickname))
                .unwrap_or_default();
            let outgoing = self.outgoing(cpim.to_bytes(), lane);
            self.send_to_user(key, outgoing, now);
        }
    }

    /// Who speaks has written: phones know that by themselves (RFC 3994 §3.3).
    pub(super) fn has_written(&mut self, room: &BareJid, nickname: &str) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.writers.retain(|(writer, _), _| writer != nickname);
        }
    }

    /// Whether phones do not know it yet. Every copy says it, and clients repeat themselves.
    fn is_news(&mut self, room: &BareJid, writer: &WriterKey, active: bool, now: Instant) -> bool {
        let Some(room) = self.rooms.get_mut(room) else {
            return false;
        };
        let known = room.writers.get(writer);
        let age = known.map(|known| now.saturating_duration_since(known.told));
        let was_active = known.is_some_and(|known| known.active);
        let news = match (active, was_active, age) {
            (true, true, Some(age)) => age >= REPEAT,
            (true, false, Some(age)) => age >= PAUSE,
            (true, _, None) => true,
            (false, was_active, _) => was_active,
        };
        if news {
            if room.writers.len() >= WRITERS {
                room.writers.clear();
            }
            room.writers.insert(writer.clone(), Writer { active, told: now });
        }
        news
    }
}
