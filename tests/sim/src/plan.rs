//! What happens in a run: drawn from the seed beforehand, so that actions can be left out and the rest replayed.

use std::{collections::BTreeSet, fmt, str::FromStr, time::Duration};

use crate::conference::plan::{Act, Conferences};
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

/// A kind of fault; each can be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIP datagrams get lost.
    DatagramLoss,
    /// SIP datagrams arrive twice.
    DatagramDuplicate,
    /// SIP datagrams overtake each other.
    DatagramReorder,
    /// SIP datagrams take seconds.
    DatagramDelay,
    /// Streams are cut into single octets.
    StreamSplit,
    /// A stream pauses for seconds.
    StreamStall,
    /// A peer closes its half of an MSRP connection.
    HalfClose,
    /// An MSRP or SIP connection is reset.
    StreamReset,
    /// Inside the gateway, events and commands wait in the queues between tasks.
    TaskDelay,
    /// The component link is cut; the rooms keep everybody.
    LinkKept,
    /// The XMPP server dies; its rooms are lost.
    LinkForgotten,
    /// The component link is cut while users leave: the rooms keep ghosts.
    LinkGhosts,
    /// The MUC service restarts (332).
    RoomRestart,
    /// A user is removed for a technical reason (333).
    Technical,
    /// Kicks, bans and destroyed rooms.
    Moderation,
    /// A phone dies without a word.
    Vanish,
    /// A phone never sends ACK.
    NoAck,
    /// A phone never opens the MSRP session.
    NoMedia,
    /// NOTIFY is never answered, or with 481.
    NotifyHabits,
    /// Many want the same nickname at once.
    NicknameRace,
    /// A client reads slowly, or not at all.
    SlowReader,
    /// Hostile SIP: garbage, stale CSeq.
    HostileSip,
    /// Hostile MSRP: foreign From, several To, wrong wrapper, oversize, garbage.
    HostileMsrp,
    /// Hostile XML: nested, oversize, odd stanzas passed on by the server.
    HostileXml,
    /// The focus answers calls with 3xx to 6xx.
    FocusRefuses,
    /// The focus answers no call.
    FocusSilent,
    /// The focus ends calls and conferences.
    FocusExpels,
    /// The switch answers no message.
    SwitchMute,
    /// The connection to the switch is reset.
    SwitchReset,
    /// The first server of the focus's zone does not stand, or the zone gives no answer.
    Zone,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 30] = [
        Self::DatagramLoss,
        Self::DatagramDuplicate,
        Self::DatagramReorder,
        Self::DatagramDelay,
        Self::StreamSplit,
        Self::StreamStall,
        Self::HalfClose,
        Self::StreamReset,
        Self::TaskDelay,
        Self::LinkKept,
        Self::LinkForgotten,
        Self::LinkGhosts,
        Self::RoomRestart,
        Self::Technical,
        Self::Moderation,
        Self::Vanish,
        Self::NoAck,
        Self::NoMedia,
        Self::NotifyHabits,
        Self::NicknameRace,
        Self::SlowReader,
        Self::HostileSip,
        Self::HostileMsrp,
        Self::HostileXml,
        Self::FocusRefuses,
        Self::FocusSilent,
        Self::FocusExpels,
        Self::SwitchMute,
        Self::SwitchReset,
        Self::Zone,
    ];

    /// Those of conferences alone.
    pub(crate) const OF_CONFERENCES: [Self; 6] = [
        Self::FocusRefuses,
        Self::FocusSilent,
        Self::FocusExpels,
        Self::SwitchMute,
        Self::SwitchReset,
        Self::Zone,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `LinkKept` is written `link-kept`.
        for (n, c) in format!("{self:?}").chars().enumerate() {
            if c.is_uppercase() && n > 0 {
                write!(f, "-")?;
            }
            write!(f, "{}", c.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|fault| fault.to_string() == text)
            .ok_or_else(|| {
                let all: Vec<_> = Self::ALL.iter().map(ToString::to_string).collect();
                format!("no such fault; there are: {}", all.join(", "))
            })
    }
}

/// Which faults a run may draw from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// A few of all kinds, by the seed; every fourth seed has none.
    #[default]
    Seed,
    /// None.
    None,
    /// These.
    Only(BTreeSet<Fault>),
}

/// One thing that somebody does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    Invite {
        user: usize,
        room: usize,
        name: usize,
    },
    Cancel {
        user: usize,
        room: usize,
    },
    Bye {
        user: usize,
        room: usize,
    },
    Subscribe {
        user: usize,
        room: usize,
    },
    Unsubscribe {
        user: usize,
        room: usize,
    },
    Say {
        user: usize,
        room: usize,
        size: usize,
    },
    Whisper {
        user: usize,
        room: usize,
        to: Whom,
    },
    Nickname {
        user: usize,
        room: usize,
        nickname: usize,
    },
    Refer {
        user: usize,
        room: usize,
    },
    Join {
        native: usize,
        room: usize,
        nickname: usize,
    },
    Leave {
        native: usize,
        room: usize,
    },
    NativeSay {
        native: usize,
        room: usize,
        size: usize,
    },
    NativeWhisper {
        native: usize,
        room: usize,
        user: usize,
    },
    NativeRename {
        native: usize,
        room: usize,
        nickname: usize,
    },
    Subject {
        native: usize,
        room: usize,
    },
    Ping {
        user: usize,
        room: usize,
    },
    Kick {
        user: usize,
        room: usize,
    },
    Ban {
        user: usize,
        room: usize,
    },
    Destroy {
        room: usize,
    },
    RestartRoom {
        room: usize,
    },
    Technical {
        user: usize,
        room: usize,
    },
    CutLink {
        forget: bool,
        millis: u64,
    },
    Reset {
        user: usize,
        room: usize,
    },
    ResetSip,
    HalfClose {
        user: usize,
        room: usize,
    },
    Stall {
        user: usize,
        room: usize,
        millis: u64,
    },
    StopReading {
        user: usize,
        room: usize,
        millis: u64,
    },
    Vanish {
        user: usize,
    },
    Hostile {
        user: usize,
        room: usize,
        kind: usize,
    },
    HostileSip {
        user: usize,
        kind: usize,
    },
    HostileXml {
        native: usize,
        room: usize,
        kind: usize,
    },
    Conference(Act),
    Rest,
}

/// Whom a private message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Whom {
    User(usize),
    Native(usize),
}

/// How the world is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) users: usize,
    pub(crate) natives: usize,
    pub(crate) rooms: usize,
    pub(crate) ejabberd: bool,
    pub(crate) hosted: bool,
    pub(crate) at_once: bool,
    pub(crate) history: u32,
    /// UDP on the users' side of the proxy, and on the gateway's.
    pub(crate) udp: (bool, bool),
    /// Pairs of users that are two devices of one.
    pub(crate) twins: bool,
    pub(crate) faults: BTreeSet<Fault>,
    /// Users with a habit, if its fault is on.
    pub(crate) odd: usize,
    pub(crate) conferences: Conferences,
}

/// A run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) seed: u64,
    pub(crate) setting: Setting,
    /// Each with the pause before it. The number is that in the whole plan.
    pub(crate) steps: Vec<(usize, Duration, Action)>,
}

pub(crate) struct Dice(ChaCha12Rng);

impl Dice {
    pub(crate) fn new(seed: u64, purpose: u8) -> Self {
        let mut bytes = [purpose; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(ChaCha12Rng::from_seed(bytes))
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.0.next_u64() % (n.max(1) as u64)).unwrap_or(0)
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

impl Plan {
    /// The run of a seed.
    #[must_use]
    pub fn new(seed: u64, choice: &Choice) -> Self {
        let mut dice = Dice::new(seed, 1);
        let mut faults = BTreeSet::new();
        let drawn = if seed.is_multiple_of(4) {
            0
        } else {
            dice.between(1, 5)
        };
        for _ in 0..drawn {
            faults.insert(Fault::ALL[dice.below(Fault::ALL.len() - Fault::OF_CONFERENCES.len())]);
        }
        // What is drawn for conferences leaves the rest of a seed's plan as it is.
        let mut conference_dice = Dice::new(seed, 5);
        let conferences = Conferences::draw(&mut conference_dice);
        if drawn > 0 && conferences.rooms > 0 {
            for _ in 0..conference_dice.below(3) {
                faults.insert(Fault::OF_CONFERENCES[conference_dice.below(Fault::OF_CONFERENCES.len())]);
            }
        }
        match choice {
            Choice::Seed => {}
            Choice::None => faults.clear(),
            Choice::Only(only) => faults.clone_from(only),
        }
        // A proxy without state cannot carry between a transport that loses and one on which nobody sends again.
        let lossy = faults.iter().any(|fault| *fault <= Fault::DatagramDelay);
        let mut udp = (dice.chance(50) || lossy, dice.chance(50) || lossy);
        if faults.contains(&Fault::StreamReset) {
            udp.0 = udp.1;
        }
        let setting = Setting {
            users: dice.between(3, 7),
            natives: dice.between(1, 3),
            rooms: dice.between(1, 3),
            ejabberd: dice.chance(50),
            hosted: dice.chance(30),
            at_once: dice.chance(25),
            history: if dice.chance(25) { 5 } else { 0 },
            udp,
            twins: dice.chance(30),
            odd: dice.below(8),
            conferences,
            faults,
        };
        let mut plan = Self {
            seed,
            setting,
            steps: Vec::new(),
        };
        plan.draw(&mut dice);
        plan.add_conferences(&mut conference_dice);
        plan
    }

    /// Puts what happens in conferences among the other steps.
    fn add_conferences(&mut self, dice: &mut Dice) {
        let Setting {
            conferences,
            natives,
            faults,
            ..
        } = &self.setting;
        let acts = conferences.acts(dice, *natives, self.steps.len(), faults);
        for (place, pause, action) in acts.into_iter().rev() {
            self.steps.insert(place, (0, pause, action));
        }
        for (number, step) in self.steps.iter_mut().enumerate() {
            step.0 = number;
        }
    }

    /// Only these steps of it, each at its own time.
    pub fn keep(&mut self, kept: &[usize]) {
        let mut pause = Duration::ZERO;
        let all = std::mem::take(&mut self.steps);
        for (number, before, action) in all {
            pause += before;
            if kept.contains(&number) {
                self.steps.push((number, std::mem::take(&mut pause), action));
            }
        }
    }

    /// The numbers of its steps.
    #[must_use]
    pub fn numbers(&self) -> Vec<usize> {
        self.steps.iter().map(|(number, ..)| *number).collect()
    }

    /// The faults that it draws from.
    pub fn faults(&self) -> impl Iterator<Item = Fault> {
        self.setting.faults.iter().copied()
    }

    fn draw(&mut self, dice: &mut Dice) {
        let mut inside: Vec<(usize, usize)> = Vec::new();
        let mut natives: Vec<(usize, usize)> = Vec::new();
        let total = dice.between(55, 85);
        for native in 0..self.setting.natives {
            let room = dice.below(self.setting.rooms);
            natives.push((native, room));
            self.push(
                dice,
                Action::Join {
                    native,
                    room,
                    nickname: dice_nick(native),
                },
            );
        }
        for user in 0..self.setting.users {
            let room = dice.below(self.setting.rooms);
            let name = dice.below(8);
            inside.push((user, room));
            self.push(dice, Action::Invite { user, room, name });
            if dice.chance(60) {
                self.push(dice, Action::Subscribe { user, room });
            }
        }
        let race = self.setting.faults.contains(&Fault::NicknameRace);
        while self.steps.len() < total {
            let room = dice.below(self.setting.rooms);
            let user = dice.below(self.setting.users);
            let native = dice.below(self.setting.natives);
            let nickname = if race { dice.below(4) } else { dice.below(12) };
            let name = if race { dice.below(2) } else { dice.below(8) };
            let in_room = (!inside.is_empty()).then(|| inside[dice.below(inside.len())]);
            let native_in = (!natives.is_empty()).then(|| natives[dice.below(natives.len())]);
            let size = if dice.chance(5) {
                dice.between(2000, 20_000)
            } else {
                dice.below(120)
            };
            let action = match (dice.below(100), in_room, native_in) {
                (0..=9, ..) | (10..=69, None, None) => {
                    inside.push((user, room));
                    Action::Invite { user, room, name }
                }
                (10..=34, Some((user, room)), _) => Action::Say { user, room, size },
                (35..=44, _, Some((native, room))) => Action::NativeSay { native, room, size },
                (45..=50, Some((user, room)), _) => Action::Subscribe { user, room },
                (51..=56, Some((user, room)), _) => Action::Nickname { user, room, nickname },
                (57..=60, Some((user, room)), _) => Action::Whisper {
                    user,
                    room,
                    to: if dice.chance(50) {
                        Whom::Native(native)
                    } else {
                        Whom::User(dice.below(self.setting.users))
                    },
                },
                (61..=64, Some((user, room)), Some(_)) => Action::NativeWhisper { native, room, user },
                (65..=68, Some((user, room)), _) => {
                    inside.retain(|place| *place != (user, room));
                    Action::Bye { user, room }
                }
                (69..=71, Some((user, room)), _) => Action::Refer { user, room },
                (72, Some((user, room)), _) => Action::Unsubscribe { user, room },
                (73, Some((user, room)), _) => Action::Cancel { user, room },
                (74..=76, ..) => {
                    natives.push((native, room));
                    Action::Join {
                        native,
                        room,
                        nickname,
                    }
                }
                (77..=78, _, Some((native, room))) => {
                    natives.retain(|place| *place != (native, room));
                    Action::Leave { native, room }
                }
                (79..=80, _, Some((native, room))) => Action::NativeRename {
                    native,
                    room,
                    nickname,
                },
                (81, _, Some((native, room))) => Action::Subject { native, room },
                (82, Some((user, room)), _) => Action::Ping { user, room },
                (83, ..) => Action::Rest,
                (84.., ..) => match self.fault(dice, in_room, native_in) {
                    Some(action) => action,
                    None => continue,
                },
                _ => continue,
            };
            self.push(dice, action);
        }
    }

    fn push(&mut self, dice: &mut Dice, action: Action) {
        let pause = match dice.below(10) {
            0..=3 => dice.below(30),
            4..=7 => dice.between(100, 2500),
            _ => dice.between(2500, 8000),
        };
        let number = self.steps.len();
        self.steps
            .push((number, Duration::from_millis(pause as u64), action));
    }

    /// An action that is a fault, if one of its kind is on.
    fn fault(
        &self,
        dice: &mut Dice,
        inside: Option<(usize, usize)>,
        native: Option<(usize, usize)>,
    ) -> Option<Action> {
        let faults: Vec<Fault> = self.faults().collect();
        if faults.is_empty() {
            return None;
        }
        let (user, room) = inside?;
        let millis = dice.between(200, 40_000) as u64;
        Some(match faults[dice.below(faults.len())] {
            Fault::StreamStall => Action::Stall {
                user,
                room,
                millis: millis / 4,
            },
            Fault::HalfClose => Action::HalfClose { user, room },
            Fault::StreamReset if dice.chance(50) => Action::ResetSip,
            Fault::StreamReset => Action::Reset { user, room },
            Fault::LinkKept | Fault::LinkGhosts => Action::CutLink {
                forget: false,
                millis,
            },
            Fault::LinkForgotten => Action::CutLink { forget: true, millis },
            Fault::RoomRestart => Action::RestartRoom { room },
            Fault::Technical => Action::Technical { user, room },
            Fault::Moderation => match dice.below(3) {
                0 => Action::Kick { user, room },
                1 => Action::Ban { user, room },
                _ => Action::Destroy { room },
            },
            Fault::Vanish => Action::Vanish { user },
            Fault::NicknameRace => Action::Nickname {
                user,
                room,
                nickname: dice.below(4),
            },
            Fault::SlowReader => Action::StopReading {
                user,
                room,
                millis: millis * 2,
            },
            Fault::HostileSip => Action::HostileSip {
                user,
                kind: dice.below(4),
            },
            Fault::HostileMsrp => Action::Hostile {
                user,
                room,
                kind: dice.below(8),
            },
            Fault::HostileXml => {
                let (native, room) = native?;
                Action::HostileXml {
                    native,
                    room,
                    kind: dice.below(6),
                }
            }
            Fault::DatagramLoss
            | Fault::DatagramDuplicate
            | Fault::DatagramReorder
            | Fault::DatagramDelay
            | Fault::StreamSplit
            | Fault::TaskDelay
            | Fault::NoAck
            | Fault::NoMedia
            | Fault::NotifyHabits
            | Fault::FocusRefuses
            | Fault::FocusSilent
            | Fault::FocusExpels
            | Fault::SwitchMute
            | Fault::SwitchReset
            | Fault::Zone => return None,
        })
    }
}

fn dice_nick(native: usize) -> usize {
    4 + native
}

/// Nicknames that people want; the first four are the same under RFC 8266.
pub(crate) const NICKNAMES: [&str; 12] = [
    "Romeo",
    "romeo",
    "ROMEO",
    " Romeo ",
    "Juliet",
    "Mercutio",
    "Nurse",
    "Tybalt",
    "Friar L.",
    "Paris & Co",
    "Bénvolio",
    "Абрам",
];

/// Display names of callers.
pub(crate) const NAMES: [Option<&str>; 8] = [
    Some("Romeo"),
    Some("romeo"),
    None,
    Some("Juliet \"J\" Capulet"),
    Some("Nurse"),
    Some("Ro\u{202e}meo"),
    Some("<Peter>"),
    None,
];
