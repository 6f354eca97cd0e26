//! XMPP users in SIP conferences: what they say and ask, and what a focus and its switch answer, plausible or not.

use std::time::Duration;

use bytes::Bytes;
use mapping::{ConnectionId, NotConnected};
use msrp::{Command as MsrpCommand, Event as MsrpEvent, LostCause, SessionId, Status};
use sip::{
    Body, Command, DialogId, EndCause, Event, InviteParameters, NameAddr, StatusCode, SubscriptionId,
    SubscriptionState, Uri,
};
use xmpp::{
    BareJid, FullJid, Jid,
    stanza::{
        Condition, Invite, Iq, IqKind, Message, MessageKind, MucUser, Outgoing, Presence, PresenceKind,
        Stanza, StanzaError,
        service::{Join, RoomStanza, disco_info, disco_items, version},
    },
};

use super::{
    CONFERENCE_LINK, LINK, NICKNAMES, Owner, ROOMS, Script, Stage, USERS,
    msrp_side::owner,
    sip_side::{ended, offer, request, sdp, uri},
    xmpp_side::message,
};

pub(super) const CONFERENCE_MUC: &str = "conference.example.org";
pub(super) const CONFERENCE_SIP: &str = "conference.example.com";

/// Two clients of one account, one of another, and a SIP user of ours, whom no conference may see.
const CLIENTS: [&str; 4] = [
    "romeo@example.net/orchard",
    "romeo@example.net/balcony",
    "juliet@example.net/chamber",
    "tybalt@gateway.example.org/gr",
];

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
    Shown,
    Refused,
}

// What happens.
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

    fn client_enters(&mut self, script: &mut Script<'_>) {
        let (from, to) = self.client_and_room(script);
        let nickname = match script.chance(8) {
            true => script.text(),
            false => script.pick(&NICKNAMES).to_owned(),
        };
        let Ok(to) = to.with_resource_str(&nickname) else {
            return;
        };
        let mut wish = presence(from, to.into(), PresenceKind::Available);
        wish.id = Some(format!("enter{}", self.fresh()));
        wish.join = (!script.chance(16)).then(|| Join {
            password: None,
            no_history: script.chance(4),
        });
        self.conference_stanza(Stanza::Presence(wish));
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

    fn client_presence(&mut self, script: &mut Script<'_>) {
        let (from, to) = self.client_and_room(script);
        let to = match script.below(4) {
            0 => Jid::from(to),
            _ => to
                .with_resource_str(NICKNAMES[script.below(5)])
                .map_or(Jid::from(to), Jid::from),
        };
        let kind = match script.octet() % 8 {
            0 | 1 => PresenceKind::Unavailable,
            2 => PresenceKind::Error(StanzaError::new(
                script.pick(&[Condition::RecipientUnavailable, Condition::NotAcceptable]),
            )),
            3 => PresenceKind::Other(script.text()),
            _ => PresenceKind::Available,
        };
        let mut presence = presence(from, to, kind);
        presence.status = script.chance(4).then(|| script.text());
        self.conference_stanza(Stanza::Presence(presence));
    }

    fn client_says(&mut self, script: &mut Script<'_>) {
        let (from, room) = self.client_and_room(script);
        let kind = script.octet();
        let to = match kind % 4 {
            0 => room
                .with_resource_str(NICKNAMES[script.below(5)])
                .map_or(Jid::from(room), Jid::from),
            _ => Jid::from(room),
        };
        let types = [
            MessageKind::Chat,
            MessageKind::Groupchat,
            MessageKind::Groupchat,
            MessageKind::Groupchat,
        ];
        let Ok(us) = FullJid::new(&format!("{to}/us")).or_else(|_| FullJid::new(to.as_str())) else {
            return;
        };
        let mut said = message(from.clone().into(), &us, types[usize::from(kind) % types.len()]);
        said.to = to;
        said.id = Some(format!("said{}", self.fresh()));
        let odd = script.octet();
        said.body = (odd != 0).then(|| match odd {
            1 => "x".repeat(201),
            _ => script.text(),
        });
        said.subject = (odd > 240).then(|| script.text());
        if odd == 255 {
            said.kind = MessageKind::Normal;
            said.muc = Some(MucUser {
                invites: vec![Invite {
                    from: None,
                    to: script
                        .pick(&["mercutio@example.org", "capulet@example.net"])
                        .parse()
                        .ok(),
                    reason: script.chance(2).then(|| script.text()),
                }],
                ..MucUser::default()
            });
        }
        if odd == 254 {
            said.kind = MessageKind::Error;
            said.error = Some(StanzaError::new(Condition::RecipientUnavailable));
        }
        if let Some(id) = due_id(&said).filter(|_| self.conference_up) {
            self.conferences.said.push((from.into(), id, Fate::Open));
        }
        self.conference_stanza(Stanza::Message(Box::new(said)));
    }

    /// A request, to either side's domain; each is answered at once.
    fn client_asks(&mut self, script: &mut Script<'_>) {
        let (from, room) = self.client_and_room(script);
        let kind = script.octet();
        let to = match kind % 4 {
            0 => CONFERENCE_MUC.parse().ok(),
            1 => Some(Jid::from(room)),
            2 => room
                .with_resource_str(NICKNAMES[script.below(5)])
                .ok()
                .map(Jid::from),
            _ => script
                .pick(&["gateway.example.org", "romeo@gateway.example.org"])
                .parse()
                .ok(),
        };
        let Some(to) = to else { return };
        let link = if kind % 4 == 3 { LINK } else { CONFERENCE_LINK };
        let is_up = if kind % 4 == 3 {
            self.link_up
        } else {
            self.conference_up
        };
        if !is_up {
            return;
        }
        let payload = match kind / 4 % 3 {
            0 => disco_info(("a", "b", "c"), &[]),
            1 => disco_items([]),
            _ => version(),
        };
        let id = format!("asked{}", self.fresh());
        let kind = match kind / 16 % 2 {
            0 => IqKind::Get(payload),
            _ => IqKind::Set(payload),
        };
        self.conferences.asked.push(id.clone());
        let iq = Iq {
            from: from.into(),
            to,
            id: id.clone(),
            kind,
        };
        self.gateway
            .handle_xmpp(link, xmpp::Event::Stanza(Stanza::Iq(iq)), self.now);
        self.settle();
        assert!(!self.conferences.asked.contains(&id), "{id} is not answered");
    }

    fn focus_answers(&mut self, script: &mut Script<'_>) {
        let kind = script.octet();
        let visit = script.below(self.conferences.visits.len());
        if !self.conferences.visits.is_empty() {
            self.answer(visit, kind, script);
        }
    }

    fn answer(&mut self, visit: usize, kind: u8, script: &mut Script<'_>) {
        let number = self.fresh();
        let visit = &mut self.conferences.visits[visit];
        if visit.over || visit.is_answered {
            return;
        }
        visit.is_answered = true;
        let dialog = visit.dialog;
        let contact = NameAddr::new(conference(visit.room));
        let event = if kind % 8 < 5 {
            visit.path = format!("msrp://127.0.0.9:9/switch{number};tcp");
            let further = match kind / 8 % 8 {
                0..=2 => "a=setup:passive\r\na=chatroom:nickname private-messages\r\n",
                3 => "a=setup:active\r\na=chatroom:nickname\r\n",
                4 => "a=setup:passive\r\na=chatroom\r\na=max-size:100\r\n",
                5 => "",
                6 => "a=setup:holdconn\r\n",
                _ => "a=setup:passive\r\na=chatroom:private-messages\r\n",
            };
            let body = match kind {
                255 => None,
                254 => Some(sdp(&script.text())),
                _ => Some(offer(&visit.path, further)),
            };
            Event::Answered {
                dialog,
                contact: Some(contact),
                body,
            }
        } else {
            visit.over = true;
            let status = script.pick(&[
                300, 301, 302, 403, 404, 408, 410, 480, 482, 486, 488, 503, 603, 699,
            ]);
            Event::Refused {
                dialog,
                status: StatusCode(status),
                phrase: script.text(),
                contact: script
                    .chance(2)
                    .then(|| NameAddr::new(uri(&format!("sip:moved@{CONFERENCE_SIP}")))),
                local: script.chance(4),
            }
        };
        self.gateway.handle_sip(event, self.now);
    }

    /// An XMPP user is wanted in a conference.
    fn focus_calls(&mut self, script: &mut Script<'_>) {
        let room = script.below(ROOMS.len());
        let kind = script.octet();
        let Some(due) = self.mint.sip() else { return };
        let number = self.fresh();
        let dialog = DialogId(number);
        let path = format!("msrp://127.0.0.9:9/caller{number};tcp");
        let body = match kind % 8 {
            0 => None,
            1 => Some(sdp(&script.text())),
            2 => Some(offer(&path, "a=setup:active\r\na=chatroom:nickname\r\n")),
            _ => Some(offer(
                &path,
                "a=setup:actpass\r\na=chatroom:nickname private-messages\r\n",
            )),
        };
        let offered = body.is_some().then_some(path);
        let request = self.wanted(sip::Method::INVITE, room, kind, body, script);
        self.conferences.calls.push((dialog, room, offered));
        self.owe(&due, Owner::Dialog(dialog), self.limits.ringing);
        self.gateway
            .handle_sip(Event::Invited { dialog, request, due }, self.now);
    }

    fn focus_refers(&mut self, script: &mut Script<'_>) {
        let room = script.below(ROOMS.len());
        let kind = script.octet();
        let Some(due) = self.mint.sip() else { return };
        let request = self.wanted(sip::Method::REFER, room, kind, None, script);
        self.owe(&due, Owner::Nobody, Duration::ZERO);
        let event = Event::Referred {
            dialog: None,
            request,
            refer_to: NameAddr::new(conference(room)),
            due,
        };
        self.gateway.handle_sip(event, self.now);
    }

    /// A request of a focus, or of one who is none, to an XMPP user.
    fn wanted(
        &mut self,
        method: sip::Method,
        room: usize,
        kind: u8,
        body: Option<Body>,
        script: &mut Script<'_>,
    ) -> Box<sip::Incoming> {
        let user = script.pick(&["romeo", "romeo", "juliet", "nobody"]);
        let user = Uri::new(Some(user), "example.net", None);
        let mut request = request(method, 0, user, body);
        request.from = NameAddr::new(conference(room));
        request.contact = (kind < 240).then(|| {
            let contact = format!("<{}>;isfocus", conference(room));
            contact.parse().expect("a Contact")
        });
        Box::new(request)
    }

    /// ACK, or CANCEL instead of it.
    fn focus_confirms(&mut self, script: &mut Script<'_>) {
        let kind = script.octet();
        let place = script.below(self.conferences.calls.len());
        if self.conferences.calls.is_empty() {
            return;
        }
        let (dialog, ..) = self.conferences.calls[place];
        let number = self.fresh();
        let visit = self
            .conferences
            .visits
            .iter_mut()
            .find(|visit| visit.dialog == dialog);
        let event = match visit {
            Some(visit) if visit.over => return,
            Some(visit) => {
                self.conferences.calls.remove(place);
                let late = visit.path.is_empty();
                if late {
                    visit.path = format!("msrp://127.0.0.9:9/late{number};tcp");
                }
                let answer = offer(&visit.path, "a=setup:passive\r\na=chatroom:nickname\r\n");
                Event::Confirmed {
                    dialog,
                    body: late.then_some(answer).filter(|_| kind != 255),
                }
            }
            None if kind.is_multiple_of(2) => {
                self.conferences.calls.remove(place);
                self.over(dialog);
                Event::Cancelled { dialog }
            }
            None => return,
        };
        self.gateway.handle_sip(event, self.now);
    }

    /// BYE, re-INVITE, and what else comes in the dialog.
    fn focus_acts(&mut self, script: &mut Script<'_>) {
        let place = script.below(self.conferences.visits.len());
        let number = self.fresh();
        let Some(visit) = self.conferences.visits.get_mut(place).filter(|visit| !visit.over) else {
            return;
        };
        let (dialog, room) = (visit.dialog, visit.room);
        let event = match script.below(if visit.is_answered { 6 } else { 3 }) {
            0 => ended(dialog, EndCause::Bye(None)),
            1 => ended(dialog, EndCause::Gone),
            2 => ended(dialog, EndCause::ByUs),
            _ => {
                let body = match script.below(4) {
                    0 => None,
                    1 => Some(sdp(&script.text())),
                    2 => Some(offer(&visit.path, "a=setup:passive\r\na=chatroom:nickname\r\n")),
                    _ => {
                        visit.path = format!("msrp://127.0.0.9:9/moved{number};tcp");
                        let setup = script.pick(&["passive", "active", "actpass"]);
                        Some(offer(
                            &visit.path,
                            &format!("a=setup:{setup}\r\na=chatroom:nickname\r\n"),
                        ))
                    }
                };
                let Some(due) = self.mint.sip() else { return };
                self.owe(&due, Owner::Dialog(dialog), Duration::ZERO);
                let request = Box::new(request(sip::Method::INVITE, 0, conference(room), body));
                Event::Reinvited { dialog, request, due }
            }
        };
        if matches!(event, Event::Ended { .. }) {
            self.over(dialog);
        }
        self.gateway.handle_sip(event, self.now);
    }

    /// What becomes of a conference subscription, and what it tells.
    fn focus_tells(&mut self, script: &mut Script<'_>) {
        let kind = script.octet();
        let place = script.below(self.conferences.watches.len());
        let (subscription, room) = match self.conferences.watches.get_mut(place) {
            Some((subscription, room, version)) if kind < 248 => {
                *version = version.wrapping_add(1 + u8::from(kind % 16 == 15));
                (*subscription, *room)
            }
            _ => (SubscriptionId(kind.into()), 0),
        };
        let version = self.conferences.watches.get(place).map_or(0, |watch| watch.2);
        let event = match kind % 16 {
            0 => Event::SubscriptionAccepted { subscription },
            1 => Event::SubscriptionRefused {
                subscription,
                status: StatusCode(script.pick(&[408, 480, 481, 489, 503])),
            },
            2 => {
                let reason = script.pick(&["noresource", "rejected", "timeout", "deactivated", "giveup"]);
                let state = SubscriptionState::Terminated(reason.to_owned());
                return self.notified(subscription, state, None);
            }
            3 => {
                let body = Body {
                    content_type: sip::conference::CONTENT_TYPE.to_owned(),
                    bytes: Bytes::copy_from_slice(script.bytes()),
                };
                return self.notified(subscription, SubscriptionState::Active, Some(body));
            }
            _ => {
                let state = script.pick(&["full", "partial", "partial", "deleted"]);
                let document = document(room, state, version, script);
                return self.notified(subscription, SubscriptionState::Active, Some(document));
            }
        };
        self.gateway.handle_sip(event, self.now);
    }

    fn notified(&mut self, subscription: SubscriptionId, state: SubscriptionState, body: Option<Body>) {
        let event = Event::Notified {
            subscription,
            state,
            body,
        };
        self.gateway.handle_sip(event, self.now);
    }

    fn referral_progress(&mut self, script: &mut Script<'_>) {
        let place = script.below(self.conferences.referrals.len());
        let Some(&subscription) = self.conferences.referrals.get(place) else {
            return;
        };
        let event = match script.below(4) {
            0 => Event::SubscriptionRefused {
                subscription,
                status: StatusCode(403),
            },
            _ => Event::ReferProgress {
                subscription,
                status: StatusCode(script.pick(&[100, 180, 200, 404, 486, 603])),
                phrase: script.text(),
                is_over: script.chance(2),
            },
        };
        self.gateway.handle_sip(event, self.now);
    }

    fn switch_opens(&mut self, script: &mut Script<'_>) {
        let stranger = script.chance(32);
        let visit = script.below(self.conferences.visits.len());
        if !self.conferences.visits.is_empty() {
            self.open(visit, stranger);
        }
    }

    /// The session opens, from whichever end.
    fn open(&mut self, visit: usize, stranger: bool) {
        let visit = &mut self.conferences.visits[visit];
        let session = visit.session.clone();
        match visit.connection {
            Some(_) if visit.is_open => {}
            Some(connection) if self.bound.contains(&(connection, session.clone())) => {
                visit.is_open = true;
                self.gateway
                    .handle_msrp(connection, MsrpEvent::Opened { session }, self.now);
            }
            Some(_) => {}
            None if visit.path.is_empty() => {}
            None => {
                let path = if stranger {
                    "msrp://127.0.0.8:9/stranger;tcp"
                } else {
                    &visit.path
                };
                let from = path.parse().expect("a path");
                // None of those that SIP users have opened.
                let connection = ConnectionId(self.fresh() * 2 + 101);
                let event = MsrpEvent::BindRequested { session, from };
                self.gateway.handle_msrp(connection, event, self.now);
            }
        }
    }

    fn switch_names(&mut self, script: &mut Script<'_>) {
        let place = script.below(self.conferences.naming.len());
        let status = script.pick(&[
            Status::OK,
            Status::NICKNAME_IN_USE,
            Status::MALFORMED_NICKNAME,
            Status::TIMEOUT,
            Status::BAD_REQUEST,
        ]);
        self.name((place < self.conferences.naming.len()).then_some(place), status);
    }

    fn name(&mut self, place: Option<usize>, status: Status) {
        let Some(place) = place else { return };
        let (connection, session, tag) = self.conferences.naming.remove(place);
        let event = MsrpEvent::NicknameAnswered { session, tag, status };
        self.gateway.handle_msrp(connection, event, self.now);
    }

    fn switch_goes(&mut self, script: &mut Script<'_>) {
        let place = script.below(self.conferences.visits.len());
        let Some(visit) = self.conferences.visits.get(place) else {
            return;
        };
        let Some(connection) = visit.connection else {
            return;
        };
        let session = visit.session.clone();
        let event = match script.below(4) {
            // One of ours that never stood.
            0 if !visit.is_open => {
                self.connection_gone(connection);
                let why = script.pick(&[NotConnected::Unreachable, NotConnected::Untrusted]);
                return self.gateway.handle_not_connected(connection, why, self.now);
            }
            0 => MsrpEvent::Closed,
            1 => MsrpEvent::Eased {
                session: session.clone(),
            },
            _ => MsrpEvent::Lost {
                session: session.clone(),
                cause: LostCause::Silent,
            },
        };
        match &event {
            MsrpEvent::Closed => self.connection_gone(connection),
            MsrpEvent::Lost { .. } => self.session_gone(connection, &session),
            _ => {}
        }
        self.gateway.handle_msrp(connection, event, self.now);
    }

    /// A message of a participant, of a stranger, or of the user himself.
    fn switch_speaks(&mut self, script: &mut Script<'_>) {
        let place = script.below(self.conferences.visits.len());
        let Some(visit) = self.conferences.visits.get(place) else {
            return;
        };
        let bound = |connection: &ConnectionId| self.bound.contains(&(*connection, visit.session.clone()));
        let Some(connection) = visit.connection.filter(bound) else {
            return;
        };
        let (session, room) = (visit.session.clone(), visit.room);
        let kind = script.octet();
        let from = match kind % 4 {
            0 => "sip:romeo@example.net".to_owned(),
            1 => script.text(),
            _ => format!("sip:{}@example.org", USERS[script.below(USERS.len())]),
        };
        let to = match kind / 4 % 4 {
            0 => "sip:romeo@example.net".to_owned(),
            1 => script.text(),
            _ => conference(room).to_string(),
        };
        let message = self.cpim_message(&from, &to, kind, script);
        let due = self.mint.msrp();
        self.owe(&due, owner(connection, &session), Duration::ZERO);
        let event = MsrpEvent::Received {
            session,
            message,
            due,
        };
        self.gateway.handle_msrp(connection, event, self.now);
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

    fn conference_stanza(&mut self, stanza: Stanza) {
        if self.conference_up {
            self.gateway
                .handle_xmpp(CONFERENCE_LINK, xmpp::Event::Stanza(stanza), self.now);
        }
    }

    fn client_and_room(&self, script: &mut Script<'_>) -> (FullJid, BareJid) {
        let client = script.pick(&CLIENTS).parse().expect("a full JID");
        let room = ROOMS[script.below(ROOMS.len())];
        let room = BareJid::new(&format!("{room}@{CONFERENCE_MUC}")).expect("a bare JID");
        (client, room)
    }
}

// What the core decides.
impl Stage {
    /// A call to a conference; any other is none of ours.
    pub(super) fn conference_called(&mut self, dialog: DialogId, parameters: &InviteParameters) -> bool {
        if parameters.uri.host() != CONFERENCE_SIP {
            return false;
        }
        let session = session_of(&parameters.body);
        let user = parameters.uri.user_decoded();
        let visits = &mut self.conferences.visits;
        if let Some(visit) = visits.iter_mut().find(|visit| visit.session == session) {
            visit.dialog = dialog;
            visit.is_answered = false;
            visit.over = false;
        } else {
            visits.push(Visit {
                dialog,
                room: ROOMS
                    .iter()
                    .position(|room| user.as_deref() == Some(*room))
                    .unwrap_or(0),
                session,
                path: String::new(),
                connection: None,
                is_answered: false,
                is_open: false,
                over: false,
            });
        }
        true
    }

    /// An answer to a re-INVITE of a focus, which names our session of now; any other is none of ours.
    pub(super) fn conference_accepted(&mut self, owner: &Owner, body: &Body) -> bool {
        let session = session_of(body);
        let mut calls = self.conferences.calls.iter();
        if let Some((dialog, room, path)) = calls.find(|call| *owner == Owner::Dialog(call.0)) {
            self.conferences.visits.push(Visit {
                dialog: *dialog,
                room: *room,
                session,
                path: path.clone().unwrap_or_default(),
                connection: None,
                is_answered: true,
                is_open: false,
                over: false,
            });
            return true;
        }
        let mut visits = self.conferences.visits.iter_mut();
        let Some(visit) = visits.find(|visit| *owner == Owner::Dialog(visit.dialog)) else {
            return false;
        };
        if visit.session != session {
            visit.session = session;
            visit.connection = None;
            visit.is_open = false;
        }
        true
    }

    pub(super) fn visit_over(&mut self, dialog: DialogId) {
        self.conferences.calls.retain(|call| call.0 != dialog);
        for visit in &mut self.conferences.visits {
            visit.over |= visit.dialog == dialog;
        }
    }

    pub(super) fn conference_sip_command(&mut self, command: Command) {
        match command {
            Command::Subscribe {
                subscription,
                parameters,
            } => {
                let user = parameters.uri.user_decoded();
                let room = ROOMS.iter().position(|room| user.as_deref() == Some(*room));
                self.conferences
                    .watches
                    .push((subscription, room.unwrap_or(0), 0));
            }
            Command::Refer { subscription, .. } => self.conferences.referrals.push(subscription),
            Command::Unsubscribe { subscription } => {
                self.conferences.watches.retain(|(of, ..)| *of != subscription);
                self.conferences.referrals.retain(|of| *of != subscription);
            }
            other => panic!("not of a conference: {other:?}"),
        }
    }

    pub(super) fn conference_msrp_command(&mut self, connection: ConnectionId, command: MsrpCommand) {
        match command {
            MsrpCommand::Open(parameters) => {
                let remote = parameters.remote.to_string();
                let session = parameters.local.last().session().cloned();
                let mut visits = self.conferences.visits.iter_mut();
                let visit = visits.find(|visit| visit.path == remote);
                let (visit, session) = visit
                    .zip(session)
                    .expect("a session with a switch that has answered");
                // For a switch that has moved it is another one.
                visit.session = session.clone();
                visit.connection = Some(connection);
                visit.is_open = false;
                // Messages need not wait for the answer.
                self.bound.insert((connection, session));
            }
            MsrpCommand::Nickname { session, tag, .. } => {
                let known = self.bound.contains(&(connection, session.clone()));
                assert!(known, "a nickname in a session that is not bound");
                self.conferences.naming.push((connection, session, tag));
            }
            other => panic!("not of a conference: {other:?}"),
        }
    }

    /// The switch opened a session of ours, and was let in.
    pub(super) fn visit_bound(&mut self, connection: ConnectionId, session: &SessionId) {
        let mut visits = self.conferences.visits.iter_mut();
        if let Some(visit) = visits.find(|visit| visit.session == *session) {
            visit.connection = Some(connection);
            visit.is_open = true;
        }
    }

    /// Each message to a room is shown to its sender once at the most, and not after it was refused.
    pub(super) fn conference_stanza_out(&mut self, stanza: &Outgoing) {
        let (to, id, fate) = match stanza {
            Outgoing::Room(RoomStanza::Groupchat { to, id: Some(id), .. }) => {
                (Jid::from(to.clone()), id, Fate::Shown)
            }
            Outgoing::Room(RoomStanza::Refused {
                name: "message",
                to,
                id: Some(id),
                ..
            }) => (to.clone(), id, Fate::Refused),
            Outgoing::Room(RoomStanza::Refused {
                name: "iq",
                id: Some(id),
                ..
            })
            | Outgoing::IqResult { id, .. }
            | Outgoing::IqError { id, .. } => return self.answered(id),
            _ => return,
        };
        let mut said = self.conferences.said.iter_mut();
        if let Some((.., known)) = said.find(|(by, of, _)| *by == to && of == id) {
            let fits = match fate {
                Fate::Shown => *known == Fate::Open,
                // A switch may report a failure of what it had taken.
                Fate::Refused => *known != Fate::Refused,
                Fate::Open => false,
            };
            assert!(fits, "{id} of {to} was {known:?} and is now {fate:?}");
            *known = fate;
        }
    }

    fn answered(&mut self, id: &str) {
        if !id.starts_with("asked") {
            return;
        }
        let place = self.conferences.asked.iter().position(|asked| asked == id);
        let place = place.unwrap_or_else(|| panic!("{id} is answered twice"));
        self.conferences.asked.remove(place);
    }

    /// When all is over, no message to a room is without its end.
    pub(super) fn check_said(&self) {
        let open: Vec<_> = self
            .conferences
            .said
            .iter()
            .filter(|(.., fate)| *fate == Fate::Open)
            .collect();
        assert!(open.is_empty(), "neither shown nor refused: {open:?}");
    }
}

/// The id of a message that has to be shown to its sender or refused.
fn due_id(said: &Message) -> Option<String> {
    let is_due =
        said.kind == MessageKind::Groupchat && said.body.as_ref().is_some_and(|body| !body.is_empty());
    said.id.clone().filter(|_| is_due)
}

fn conference(room: usize) -> Uri {
    Uri::new(Some(ROOMS[room]), CONFERENCE_SIP, None)
}

fn session_of(body: &Body) -> SessionId {
    let text = String::from_utf8_lossy(&body.bytes).into_owned();
    let path = text.lines().find_map(|line| line.strip_prefix("a=path:"));
    let path: msrp::Path = path.expect("a path").trim().parse().expect("a path");
    path.last().session().cloned().expect("a session-id")
}

fn presence(from: FullJid, to: Jid, kind: PresenceKind) -> Presence {
    Presence {
        from: from.into(),
        to,
        id: None,
        kind,
        muc: None,
        nick: None,
        status: None,
        join: None,
    }
}

fn document(room: usize, state: &str, version: u8, script: &mut Script<'_>) -> Body {
    let users: String = (0..script.below(5))
        .map(|_| {
            let user = script.pick(&["romeo@example.net", "juliet@example.net", "nurse@example.org", "tybalt@example.org"]);
            let name = match NICKNAMES[script.below(5)] {
                "" => String::new(),
                name => format!("<display-text>{name}</display-text>"),
            };
            let state = script.pick(&["full", "full", "partial", "deleted"]);
            format!("<user entity=\"sip:{user}\" state=\"{state}\">{name}<endpoint entity=\"sip:{user};gr=1\"><status>connected</status></endpoint></user>")
        })
        .collect();
    let subject = match script.below(3) {
        0 => "<conference-description><subject>a feast</subject></conference-description>",
        1 => "<conference-state><active>false</active></conference-state>",
        _ => "",
    };
    Body {
        content_type: sip::conference::CONTENT_TYPE.to_owned(),
        bytes: Bytes::from(format!(
            "<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" entity=\"{}\" state=\"{state}\" \
             version=\"{version}\">{subject}<users>{users}</users></conference-info>",
            conference(room)
        )),
    }
}
