//! Settings of the core.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use msrp::sdp::Fingerprints;
use xmpp::BareJid;

use crate::access::{Access, Pattern};

/// Settings of the core.
#[derive(Debug, Clone)]
pub struct Config {
    /// The attached components whose addresses SIP users get; at least one.
    pub components: Vec<Component>,
    /// SIP conference domains and the MUC service each stands for, e.g. `rooms.example.com` → `rooms.example.com`.
    pub rooms: Vec<RoomDomain>,
    /// Rooms with a password.
    pub passwords: BTreeMap<BareJid, RoomPassword>,
    /// SIP conference domains and the attached component that each is for XMPP users.
    pub conferences: Vec<ConferenceDomain>,
    /// Which other domains are whose.
    pub routes: Routes,
    /// The SIP domain under which telephone numbers (`tel:`) are users; without it they are none.
    pub numbers: Option<String>,
    /// Where MSRP peers reach us.
    pub msrp: MsrpPlaces,
    /// The certificates that MSRP peers are shown over TLS; later ones come with
    /// [`Gateway::handle_certificates`](crate::Gateway::handle_certificates).
    pub certificates: Fingerprints,
    /// Whether MSRP connections are opened to clients that want that: to wherever their descriptions say. Default true.
    pub connect: bool,
    /// When the INVITE is answered (DESIGN decision 7).
    pub answer: AnswerRule,
    /// History stanzas asked for when entering. Default 0.
    pub history: u32,
    /// When a room is entered. Default at once.
    pub naming: NamingRule,
    /// Whether a user is told when the room knows him by another nickname than he has or asked for. Default true.
    pub tell_nickname: bool,
    /// What becomes of a room that a call brings into being. Default: it is opened with the service's default configuration.
    pub creation: CreationRule,
    /// Who may use the gateway.
    pub access: Access,
    /// How our users' occupants behave in their rooms.
    pub occupants: Occupants,
    /// What else than plain texts is shown to SIP users.
    pub texts: Texts,
    /// What SIP users see of a room that is out of reach.
    pub outage: Outage,
    /// What becomes of an XMPP user whose nickname is taken in a SIP conference.
    pub conflict: ConflictRule,
    /// Who may give ad-hoc commands (XEP-0050) to the domains of our users.
    pub admins: BTreeSet<BareJid>,
    /// Deadlines and bounds.
    pub limits: Limits,
}

impl Config {
    /// The domain of every component link, in the order of their [`LinkId`](crate::LinkId)s.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        let components = self.components.iter().map(|component| component.domain.as_str());
        components.chain(self.conferences.iter().map(|conference| conference.muc.as_str()))
    }

    /// Under which component SIP users of a host are known: the one of that very domain, else one that takes any, else the first,
    /// which will refuse them.
    pub(crate) fn component(&self, host: &str) -> Option<&Component> {
        let native = |component: &&Component| {
            component.form == AddressForm::Native && component.domain.eq_ignore_ascii_case(host)
        };
        let mut components = self.components.iter();
        components
            .find(native)
            .or_else(|| {
                self.components
                    .iter()
                    .find(|component| component.form == AddressForm::Hosted)
            })
            .or_else(|| self.components.first())
    }
}

/// Host and port that MSRP peers reach us by, for `a=path`, `c=` and `m=`.
pub type Place = (String, u16);

/// What MSRP goes over (RFC 4975 §8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MsrpTransport {
    /// `TCP/MSRP`, with `msrp` URIs.
    Tcp,
    /// `TCP/TLS/MSRP`, with `msrps` URIs.
    Tls,
}

/// Where MSRP peers reach us, and so what they may offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MsrpPlaces {
    /// Plain TCP alone.
    Tcp(Place),
    /// TLS alone.
    Tls(Place),
    /// Whichever a peer offers.
    Either {
        /// For plain TCP.
        tcp: Place,
        /// For TLS.
        tls: Place,
        /// What we offer.
        offered: MsrpTransport,
    },
}

impl MsrpPlaces {
    pub(crate) fn takes(&self, transport: MsrpTransport) -> bool {
        match self {
            Self::Tcp(_) => transport == MsrpTransport::Tcp,
            Self::Tls(_) => transport == MsrpTransport::Tls,
            Self::Either { .. } => true,
        }
    }

    pub(crate) fn offered(&self) -> MsrpTransport {
        match self {
            Self::Tcp(_) => MsrpTransport::Tcp,
            Self::Tls(_) => MsrpTransport::Tls,
            Self::Either { offered, .. } => *offered,
        }
    }

    /// For a transport that we take.
    pub(crate) fn place(&self, transport: MsrpTransport) -> &Place {
        match (self, transport) {
            (Self::Tcp(place) | Self::Tls(place), _)
            | (Self::Either { tcp: place, .. }, MsrpTransport::Tcp)
            | (Self::Either { tls: place, .. }, MsrpTransport::Tls) => place,
        }
    }
}

/// A component domain of SIP users and its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Domain.
    pub domain: String,
    /// Form of the addresses under it.
    pub form: AddressForm,
}

/// How SIP addresses appear under a component domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressForm {
    /// The component's domain is the SIP domain: `sip:romeo@example.org` is `romeo@example.org`; callers of other domains get 403.
    Native,
    /// Any SIP domain: `sip:romeo@example.org` is `romeo\40example.org@component`.
    Hosted,
}

/// A SIP conference domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomDomain {
    /// Host of the conference URIs.
    pub sip: String,
    /// The MUC service.
    pub muc: String,
}

/// The password of a room, and whom the gateway enters it for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPassword {
    /// What the room wants to hear (XEP-0045 §7.2.6).
    pub password: Password,
    /// Whether each caller is asked for it first; else the gateway lets everybody in with it.
    pub ask: bool,
}

/// A password. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// A SIP conference domain as XMPP users see it (RFC 7702 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceDomain {
    /// The attached component's domain: `capulet@<muc>` is the conference `sip:capulet@<sip>`.
    pub muc: String,
    /// Host of the conference URIs.
    pub sip: String,
}

/// Whose a domain is that is neither a component nor a conference domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    /// Of SIP users.
    pub sip: Vec<Pattern>,
    /// Of XMPP users.
    pub xmpp: Vec<Pattern>,
    /// Of any other domain.
    pub otherwise: RouteRule,
}

/// Whose a domain is of which the configuration says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteRule {
    /// Of XMPP users, as RFC 7702 §6.5 takes it.
    Xmpp,
    /// Of SIP users.
    Sip,
    /// Of whom DNS has servers for (RFC 7247 §5, RFC 3861), SIP first.
    Dns,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            sip: Vec::new(),
            xmpp: Vec::new(),
            otherwise: RouteRule::Xmpp,
        }
    }
}

/// When a SIP user's INVITE is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerRule {
    /// When the room has admitted him, so that a ban is a 403.
    WhenAdmitted,
    /// At once, as RFC 7702 §6 draws it; a refusal then is a BYE.
    AtOnce,
}

/// When a SIP user's room is entered (RFC 7702 §6.1 allows both).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamingRule {
    /// At once, under a nickname made of his display name or address.
    Provisional,
    /// When his client asks for a nickname, if it can; after [`Limits::first_nickname`] at the latest. His INVITE is then answered at once.
    Requested,
}

/// What becomes of a room that did not exist before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreationRule {
    /// It is opened with the service's default configuration.
    AcceptDefault,
    /// It is left again, and the caller gets 403.
    Refuse,
}

/// How our users' occupants behave in their rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupants {
    /// Whether one copy of a message counts for all our users in its room: the others, if equal, are dropped before they are parsed.
    /// Default true.
    pub share_copies: bool,
    /// How often a room is asked whether it still knows each of them (XEP-0410); zero: only on suspicion. Default 15 min.
    pub self_ping: Duration,
    /// Whether users are told on either side who is writing (XEP-0085, RFC 3994). Default true.
    pub typing: bool,
}

impl Default for Occupants {
    fn default() -> Self {
        Self {
            share_copies: true,
            self_ping: Duration::from_secs(15 * 60),
            typing: true,
        }
    }
}

/// What becomes of an XMPP user who enters a SIP conference where his nickname is taken (RFC 7702 §5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictRule {
    /// He is told, and may choose another.
    Refuse,
    /// He is given a variant of it, `Juliet (2)`, and told so.
    Vary,
}

/// What SIP users, whose messages are plain text, are shown of what XMPP users can do besides. What is off is not shown at all, but for
/// `actions`, `corrections` and `replies`, where the bare text remains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// `/me waves` as `* Juliet waves` (XEP-0245).
    pub actions: bool,
    /// A corrected message as such (XEP-0308).
    pub corrections: bool,
    /// What a reply answers: its quotation, else whom (XEP-0461).
    pub replies: bool,
    /// Reactions as notices (XEP-0444).
    pub reactions: bool,
    /// Messages withdrawn by their sender or a moderator as notices (XEP-0424, XEP-0425).
    pub retractions: bool,
    /// Links that the text lacks (XEP-0066).
    pub links: bool,
    /// A notice for a message that only XMPP clients can decrypt.
    pub encrypted: bool,
    /// Which languages are preferred if a text comes in several, best first; `en` is also `en-GB`. None: the first text.
    pub languages: Vec<String>,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            actions: true,
            corrections: true,
            replies: true,
            reactions: true,
            retractions: true,
            links: true,
            encrypted: true,
            languages: Vec::new(),
        }
    }
}

/// While the link to the XMPP server or a room is away, calls stay up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// Whether users are told, once when the room goes out of reach and once when it is back. Default true.
    pub tell: bool,
    /// What becomes of what they say to the room meanwhile. Default refused.
    pub messages: OutageRule,
}

impl Default for Outage {
    fn default() -> Self {
        Self {
            tell: true,
            messages: OutageRule::Refuse,
        }
    }
}

/// What becomes of messages to a room that is out of reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutageRule {
    /// They are refused at once.
    Refuse,
    /// They are sent when the room is back, in order. One that waits longer than [`Limits::reflection`] is refused then, one for which
    /// [`Limits::session_queue`] has no room at once.
    Hold,
}

/// Deadlines and bounds of the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long the room may take to admit. Default 10 s.
    pub admission: Duration,
    /// How long the client may take to open its MSRP session. Default 30 s.
    pub media: Duration,
    /// How long a message may wait for its reflection; under MSRP's 30 s. Default 20 s.
    pub reflection: Duration,
    /// How long a nickname change may wait. Default 20 s.
    pub nickname: Duration,
    /// How long a client may take to ask for the nickname to enter with. Default 5 s.
    pub first_nickname: Duration,
    /// How long an invited user, of SIP or of XMPP, may take to answer. Default 60 s.
    pub ringing: Duration,
    /// Shortest time between two conference documents to one subscriber after a burst. Default 5 s (RFC 4575 §3.9).
    pub notify: Duration,
    /// How long rooms may take to come back after the link is up again, before a session is given up. Default 60 s.
    pub reentry: Duration,
    /// How long a SIP conference may take to let an XMPP user in: INVITE, MSRP session and nickname together. Default 30 s.
    pub entrance: Duration,
    /// How long it may then take to say who is in, before he is told of himself alone. Default 5 s.
    pub listing: Duration,
    /// How long a participant whom it lists without a name is waited for to get one, before he is shown under his address. Default 2 s.
    pub unnamed: Duration,
    /// Sessions in all, in both directions, with those who are being called or invited. Default 10 000.
    pub sessions: usize,
    /// SIP users who are being called into rooms and XMPP users who are invited into conferences, in all. Default 500.
    pub calls: usize,
    /// Recipients of one INVITE or REFER. Default 50.
    pub recipients: usize,
    /// Occupants kept of one room. Default 5000.
    pub occupants: usize,
    /// Messages and octets held for one session. Default 256 and 1 MiB.
    pub session_queue: (usize, usize),
    /// Octets of one text. Default 64 KiB.
    pub text: usize,
}

/// Octets that a CPIM wrapper may add to a text.
const WRAPPER: usize = 4096;

impl Limits {
    /// Octets of the longest MSRP message that is of use, a text in its wrapper: announced as `max-size` (RFC 4975 §8.6).
    #[must_use]
    pub const fn max_size(&self) -> usize {
        self.text.saturating_add(WRAPPER)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            admission: Duration::from_secs(10),
            media: Duration::from_secs(30),
            reflection: Duration::from_secs(20),
            nickname: Duration::from_secs(20),
            first_nickname: Duration::from_secs(5),
            ringing: Duration::from_secs(60),
            notify: Duration::from_secs(5),
            reentry: Duration::from_secs(60),
            entrance: Duration::from_secs(30),
            listing: Duration::from_secs(5),
            unnamed: Duration::from_secs(2),
            sessions: 10_000,
            calls: 500,
            recipients: 50,
            occupants: 5000,
            session_queue: (256, 1024 * 1024),
            text: 64 * 1024,
        }
    }
}
