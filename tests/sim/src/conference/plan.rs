//! What happens in conferences, drawn from the same seed by dice of their own.

use std::{collections::BTreeSet, time::Duration};

use super::focus::Habit;
use crate::plan::{Action, Dice, Fault};

/// How the other direction is built.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Conferences {
    /// None in every second world.
    pub(crate) rooms: usize,
    /// SIP users who are in them by themselves.
    pub(crate) locals: usize,
    pub(crate) habits: BTreeSet<Habit>,
}

/// One thing that somebody does in a conference.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Act {
    Enter {
        native: usize,
        room: usize,
        nickname: usize,
    },
    Leave {
        native: usize,
        room: usize,
    },
    Say {
        native: usize,
        room: usize,
        size: usize,
    },
    Whisper {
        native: usize,
        room: usize,
        to: usize,
    },
    Rename {
        native: usize,
        room: usize,
        nickname: usize,
    },
    Invite {
        native: usize,
        room: usize,
    },
    Ask {
        native: usize,
        room: usize,
        what: usize,
    },
    Odd {
        native: usize,
        room: usize,
        kind: usize,
    },
    LocalEnter {
        local: usize,
        room: usize,
        nickname: usize,
    },
    LocalLeave {
        local: usize,
        room: usize,
    },
    LocalSay {
        local: usize,
        room: usize,
        size: usize,
    },
    LocalWhisper {
        local: usize,
        room: usize,
        to: usize,
    },
    Subject {
        room: usize,
    },
    Expel {
        native: usize,
        room: usize,
    },
    Reset {
        native: usize,
        room: usize,
    },
    Destroy {
        room: usize,
    },
    Refuse {
        kind: usize,
    },
    Silent {
        on: bool,
    },
    Mute {
        on: bool,
    },
    Zone {
        dead: bool,
    },
}

impl Conferences {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        if dice.chance(50) {
            return Self::default();
        }
        let mut habits = BTreeSet::new();
        for _ in 0..dice.below(4) {
            habits.insert(Habit::ALL[dice.below(Habit::ALL.len())]);
        }
        Self {
            rooms: dice.between(1, 2),
            locals: dice.between(1, 3),
            habits,
        }
    }

    /// The acts of a run, each with the place among the other steps after which it comes.
    pub(crate) fn acts(
        &self,
        dice: &mut Dice,
        natives: usize,
        steps: usize,
        faults: &BTreeSet<Fault>,
    ) -> Vec<(usize, Duration, Action)> {
        let mut acts = Vec::new();
        if self.rooms == 0 {
            return acts;
        }
        let mut places: Vec<usize> = (0..dice.between(25, 45)).map(|_| dice.below(steps)).collect();
        places.sort_unstable();
        for (n, place) in places.into_iter().enumerate() {
            let (native, room, local) = (
                dice.below(natives),
                dice.below(self.rooms),
                dice.below(self.locals),
            );
            let act = match n {
                0 => Act::LocalEnter {
                    local,
                    room,
                    nickname: 6 + local,
                },
                1..=3 => Act::Enter {
                    native: (n - 1) % natives,
                    room,
                    nickname: 3 + n,
                },
                _ => self.act(dice, native, room, local, faults),
            };
            let pause = match dice.below(10) {
                0..=4 => dice.below(50),
                _ => dice.between(50, 2500),
            };
            acts.push((
                place,
                Duration::from_millis(pause as u64),
                Action::Conference(act),
            ));
        }
        acts
    }

    fn act(
        &self,
        dice: &mut Dice,
        native: usize,
        room: usize,
        local: usize,
        faults: &BTreeSet<Fault>,
    ) -> Act {
        let nickname = dice.below(12);
        let size = if dice.chance(5) {
            dice.between(2000, 20_000)
        } else {
            dice.below(120)
        };
        match dice.below(100) {
            0..=14 => Act::Enter {
                native,
                room,
                nickname,
            },
            15..=34 => Act::Say { native, room, size },
            35..=49 => Act::LocalSay { local, room, size },
            50..=57 => Act::LocalEnter {
                local,
                room,
                nickname,
            },
            58..=61 => Act::LocalLeave { local, room },
            62..=66 => Act::Rename {
                native,
                room,
                nickname,
            },
            67..=70 => Act::Whisper {
                native,
                room,
                to: local,
            },
            71..=74 => Act::LocalWhisper {
                local,
                room,
                to: native,
            },
            75..=78 => Act::Leave { native, room },
            79..=80 => Act::Invite { native, room },
            81..=84 => Act::Ask {
                native,
                room,
                what: dice.below(6),
            },
            85..=86 => Act::Subject { room },
            87 => Act::Odd {
                native,
                room,
                kind: dice.below(5),
            },
            _ => self
                .fault(dice, native, room, faults)
                .unwrap_or(Act::Say { native, room, size }),
        }
    }

    fn fault(&self, dice: &mut Dice, native: usize, room: usize, faults: &BTreeSet<Fault>) -> Option<Act> {
        let of_conferences: Vec<Fault> = faults
            .iter()
            .copied()
            .filter(|fault| Fault::OF_CONFERENCES.contains(fault))
            .collect();
        let fault = of_conferences.get(dice.below(of_conferences.len()))?;
        Some(match fault {
            Fault::FocusRefuses => Act::Refuse { kind: dice.below(8) },
            Fault::FocusSilent => Act::Silent { on: dice.chance(60) },
            Fault::SwitchMute => Act::Mute { on: dice.chance(60) },
            Fault::FocusExpels if dice.chance(30) => Act::Destroy { room },
            Fault::FocusExpels => Act::Expel { native, room },
            Fault::SwitchReset => Act::Reset { native, room },
            _ => Act::Zone {
                dead: dice.chance(50),
            },
        })
    }
}
