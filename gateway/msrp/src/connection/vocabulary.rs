//! The vocabulary between a connection and its owner.

use bytes::Bytes;

use crate::{MessageId, Path, SessionId, Status, frame, relay};

/// The caller's own number for a message or nickname request; given back in the event that settles it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageTag(pub u64);

/// A request that must be answered once with [`Command::Answer`]. Not cloneable: it is spent by answering.
#[must_use = "the peer waits for an answer"]
#[derive(Debug, PartialEq, Eq)]
pub struct AnswerDue {
    pub(crate) session: SessionId,
    pub(crate) transaction: u64,
}

impl AnswerDue {
    /// The session that the request belongs to.
    #[must_use]
    pub fn session(&self) -> &SessionId {
        &self.session
    }
}

/// The two ends of a session, as negotiated in SDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionParameters {
    /// Our `path`; the last hop carries our session-id. Hops before it are relays of ours, the outermost first, as
    /// [`relay::Grant::offered_path`] gives them: requests go through them.
    pub local: Path,
    /// The peer's `path`, with the relays of the peer.
    pub remote: Path,
}

/// What the sender of a message wants to hear of failures (RFC 4975 §7.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailureReport {
    /// Every response, and REPORTs of later failures.
    #[default]
    Yes,
    /// Nothing: [`Event::Delivered`] comes when the last octet has been handed to `poll_transmit`.
    No,
    /// Only failures: [`Event::Delivered`] comes when the last octet has been handed to `poll_transmit`; a failure that is
    /// answered later is an [`Event::Reported`].
    Partial,
}

/// Which messages of a session keep their order, by the caller's own number: those of one lane arrive in the order in which they
/// were sent. A message longer than [`crate::Limits::chunk_out`] lets those of other lanes by after each of its chunks, so that in
/// a chat room one speaker's long message does not delay what the others say. Messages of one chunk keep their order in any case.
///
/// A lane costs nothing while nothing of it is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lane(pub u64);

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// Comes back in [`Event::Delivered`] or [`Event::Failed`]: exactly one of them for each message.
    pub tag: MessageTag,
    /// Its Message-ID.
    pub id: MessageId,
    /// Content-Type of the body.
    pub content_type: &'static str,
    /// The body; shared, never copied before it is written.
    pub body: Bytes,
    /// Whether a success REPORT is asked for.
    pub success_report: bool,
    /// Which failures are to be reported.
    pub failure_report: FailureReport,
    /// Which other messages of the session it stays in order with. Those of one sender, or simply all: `Lane::default()`.
    pub lane: Lane,
}

/// A complete message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingMessage {
    /// Its Message-ID.
    pub id: MessageId,
    /// Content-Type as written.
    pub content_type: String,
    /// The body, reassembled.
    pub body: Bytes,
    /// Whether a success REPORT was asked for; the connection sends it by itself when the answer is 200.
    pub success_report: bool,
    /// Which failures the sender wants to hear of; the connection honours it by itself.
    pub failure_report: FailureReport,
}

/// What the owner wants.
#[derive(Debug)]
pub enum Command {
    /// Accepts the session that [`Event::BindRequested`] named; its bodiless SEND is answered 200, a first SEND with a body is
    /// delivered. For a session that is bound already it replaces the paths (a new offer and answer); for one that was not asked
    /// for it lets the peer in before its first SEND, and the owner sees to it that nothing is sent before that (RFC 4975 §5.4).
    Bind(SessionParameters),
    /// Refuses it, with 481 or 506.
    RefuseBind {
        /// The session-id asked for.
        session: SessionId,
        /// The answer.
        status: Status,
    },
    /// Binds a session of which we are the active end: sends the bodiless SEND (RFC 4975 §5.4). Messages may be sent without
    /// waiting for [`Event::Opened`].
    Open(SessionParameters),
    /// Sends a message.
    Send {
        /// In which session.
        session: SessionId,
        /// What.
        message: OutgoingMessage,
    },
    /// Sends a message before all others of its session that have octets left to send, at the next border of a chunk: for what
    /// should not wait behind a long message, such as isComposing or a notice of congestion. Several keep their order.
    Interject {
        /// In which session.
        session: SessionId,
        /// What.
        message: OutgoingMessage,
    },
    /// Gives up a message of ours whose last octet has not been sent: nothing more of it is, and it is [`Event::Failed`] with
    /// [`Status::ABORTED`]. A peer that has got chunks of it hears so (flag `#`, RFC 4975 §7.1). A message that has been sent whole
    /// cannot be taken back: it is settled as without this.
    Abort {
        /// In which session.
        session: SessionId,
        /// The tag of the message; of several with the same one, the first.
        tag: MessageTag,
    },
    /// Asks relays for a path to a session of ours, on the connection to the first of them (RFC 4976 §5.1): answered by
    /// [`Event::Authorized`] or [`Event::Unauthorized`], and renewed until [`Command::Unbind`] or the end of the connection. The
    /// session-id is that of [`relay::Parameters::local`]; asking for the same again starts anew.
    Authorize(relay::Parameters),
    /// Asks for a nickname (RFC 7701 §7.1); empty gives the present one back.
    Nickname {
        /// In which session.
        session: SessionId,
        /// Comes back in [`Event::NicknameAnswered`].
        tag: MessageTag,
        /// The nickname, unquoted.
        nickname: String,
    },
    /// Answers a request.
    Answer {
        /// The request.
        due: AnswerDue,
        /// The answer. A local status is sent as 408.
        status: Status,
    },
    /// Reports on a message that was answered 200 and failed afterwards (RFC 4975 §7.1.2). Not for one whose sender wants to hear
    /// of no failures.
    Report {
        /// In which session.
        session: SessionId,
        /// Which message.
        message: MessageId,
        /// Octets of its body.
        octets: u64,
        /// What became of it.
        status: Status,
    },
    /// Ends a session on our side, and its [`Command::Authorize`]. What is queued for it is dropped: each message [`Event::Failed`] and each nickname request
    /// [`Event::NicknameAnswered`] with [`Status::NO_SESSION`]. Requests that still wait for their answer, and later frames, get 481.
    Unbind(SessionId),
    /// Sends what is queued, then [`Event::Closed`]. Messages that are unanswered by then fail with [`Status::CONNECTION_LOST`], and
    /// requests of the peer that wait for an answer get 481.
    Close,
}

/// What happened.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// The first request for a session-id this connection does not know; answer with `Bind` or `RefuseBind`. Asked once per
    /// session-id; further frames for it wait, within the reassembly limit.
    BindRequested {
        /// The session-id of the To-Path.
        session: SessionId,
        /// The From-Path.
        from: Path,
    },
    /// The peer took the session that we opened.
    Opened {
        /// Which.
        session: SessionId,
    },
    /// A complete message with a body. Its last chunk waits for the answer. Messages whose Message-ID was accepted before are
    /// answered again and not delivered again (RFC 4975 §5.4).
    Received {
        /// In which session.
        session: SessionId,
        /// The message.
        message: IncomingMessage,
        /// Owed to the peer; also when the sender asked for no response, where the connection then sends none.
        due: AnswerDue,
    },
    /// A NICKNAME request that is well formed (a malformed one has been answered 424 or 400).
    NicknameRequested {
        /// In which session.
        session: SessionId,
        /// The nickname, unquoted; empty to give it back.
        nickname: String,
        /// Owed to the peer.
        due: AnswerDue,
    },
    /// The answer to our NICKNAME; 408 when none came in time.
    NicknameAnswered {
        /// In which session.
        session: SessionId,
        /// The command's tag.
        tag: MessageTag,
        /// The answer.
        status: Status,
    },
    /// Every chunk of our message was answered 200, or, with a [`FailureReport`] other than `Yes`, has been handed over.
    Delivered {
        /// In which session.
        session: SessionId,
        /// The command's tag.
        tag: MessageTag,
    },
    /// Our message was refused, or not answered in time (408), or given up, or never sent.
    Failed {
        /// In which session.
        session: SessionId,
        /// The command's tag.
        tag: MessageTag,
        /// Why.
        status: Status,
    },
    /// A REPORT, or the late failure of a message sent with [`FailureReport::Partial`]. Settled messages are not remembered: a
    /// Message-ID that the owner does not know is to be ignored (RFC 4975 §7.1.2). A failure of a message that is not settled
    /// yet has failed it just before.
    Reported {
        /// In which session.
        session: SessionId,
        /// Which message.
        message: MessageId,
        /// What was reported.
        status: Status,
    },
    /// More than 80 % of [`crate::Limits::outgoing`] waits on the connection: the peer, or the way to it, is slow. The owner should
    /// send less (RFC 7701 §6.4). Told to each session that exists then, and to a later one when it sends.
    Congested {
        /// Which session.
        session: SessionId,
    },
    /// After [`Event::Congested`]: less than 40 % waits.
    Eased {
        /// Which session.
        session: SessionId,
    },
    /// The relays have given a path, or renewed it: if it differs from the one before, the peer needs a new offer.
    Authorized {
        /// The session of [`relay::Parameters::local`].
        session: SessionId,
        /// The path.
        grant: relay::Grant,
    },
    /// A relay gives no path, or does not renew it; a path that was granted before holds until it expires.
    Unauthorized {
        /// The session of [`relay::Parameters::local`].
        session: SessionId,
        /// Why.
        refusal: relay::Refusal,
    },
    /// The session cannot go on over this connection. Its messages and nickname requests have been settled; nothing more comes
    /// about it.
    Lost {
        /// Which.
        session: SessionId,
        /// Why.
        cause: LostCause,
    },
    /// The peer broke the framing, or leaves our responses unread beyond [`crate::Limits::outgoing`]: close the transport. Preceded
    /// by `Lost` for each session, followed by nothing.
    Faulted(frame::Fault),
    /// Nothing more to send after [`Command::Close`], or the transport ended: close it. The last event.
    Closed,
}

/// Why a session was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostCause {
    /// The transport connection ended.
    Disconnected,
    /// The peer sent something that is no MSRP frame.
    Malformed,
    /// The peer answered a request of ours with 481 or 506.
    Rejected(Status),
    /// The peer left a request unanswered for the transaction deadline.
    Silent,
}
