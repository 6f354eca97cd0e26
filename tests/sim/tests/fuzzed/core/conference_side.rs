//! XMPP users in SIP conferences: what they say and ask, and what a focus and its switch answer, plausible or not.

mod clients;
mod decisions;
mod focus;
mod switch;

use mapping::ConnectionId;
use msrp::{SessionId, Status};
use sip::{DialogId, Event, SubscriptionId, SubscriptionState};
use xmpp::Jid;

use self::focus::document;
use super::{CONFERENCE_LINK, Script, Stage};

pub(super) const CONFERENCE_MUC: &str = "conference.example.org";
pub(super) const CONFERENCE_SIP: &str = "conference.example.com";

/// One account's call to a conference, as far as it is known outside the core.
pub(super) struct Visit {
    dialog: DialogId,
    room: usize,
    /// Our session, as the latest offer named it.
    session: SessionId,
    /// The switch's path.
    path: String,
    connection: Option<ConnectionId>,
    /// The focus answers a call once.
    is_answered: bool,
    /// Whether the machine has said that the session is open.
    is_open: bool,
    over: bool,
}

/// What the core asked of focus and switch, and what clients asked of it.
#[derive(Default)]
pub(super) struct Conferences {
    visits: Vec<Visit>,
    /// Calls of a focus to XMPP users: room, and the switch's path if it was offered.
    calls: Vec<(DialogId, usize, Option<String>)>,
    /// Conference subscriptions of ours, with the version of the last document.
    watches: Vec<(SubscriptionId, usize, u8)>,
    referrals: Vec<SubscriptionId>,
    /// Nicknames asked for.
    naming: Vec<(ConnectionId, SessionId, msrp::MessageTag)>,
    /// Messages to a whole room that are to be shown to their sender or refused, by his address and their id.
    said: Vec<(Jid, String, Fate)>,
    /// Requests that are to be answered at once.
    asked: Vec<String>,
}

/// What became of a message to a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    /// He was to hear, and the link was down, or he has left.
    Unsent,
    Shown,
    Refused,
}

impl Stage {
    pub(super) fn conference_act(&mut self, script: &mut Script<'_>) {
        match script.octet() % 28 {
            24 | 25 => self.focus_calls(script),
            26 => self.focus_refers(script),
            27 => self.focus_confirms(script),
            0 | 1 => self.client_enters(script),
            2..=5 => self.whole_visit(script),
            6 => self.client_presence(script),
            7..=10 => self.client_says(script),
            11 => self.client_asks(script),
            12 => self.focus_answers(script),
            13 => self.focus_acts(script),
            14 | 15 => self.focus_tells(script),
            16 => self.referral_progress(script),
            17 | 18 => self.switch_opens(script),
            19 => self.switch_names(script),
            20 => self.switch_goes(script),
            21 | 22 => self.switch_speaks(script),
            _ => self.conference_link_event(script),
        }
    }

    /// All that a good conference does until somebody is in.
    fn whole_visit(&mut self, script: &mut Script<'_>) {
        let known = self.conferences.visits.len();
        self.client_enters(script);
        self.settle();
        if self.conferences.visits.len() == known {
            return;
        }
        self.answer(known, 0, script);
        self.settle();
        self.open(known, false);
        self.settle();
        self.name(self.conferences.naming.len().checked_sub(1), Status::OK);
        self.settle();
        if let Some(&(subscription, room, _)) = self.conferences.watches.last() {
            self.gateway
                .handle_sip(Event::SubscriptionAccepted { subscription }, self.now);
            self.settle();
            let document = document(room, "full", 1, script);
            self.notified(subscription, SubscriptionState::Active, Some(document));
        }
    }

    fn conference_link_event(&mut self, script: &mut Script<'_>) {
        self.conference_up = script.chance(2);
        let event = if self.conference_up {
            xmpp::Event::Up
        } else {
            xmpp::Event::Down(xmpp::DownCause::Closed)
        };
        self.gateway.handle_xmpp(CONFERENCE_LINK, event, self.now);
    }
}
