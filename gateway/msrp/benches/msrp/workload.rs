//! What the workloads have in common.

use bytes::Bytes;
use msrp::{FailureReport, Lane, MessageTag, OutgoingMessage, Path, SessionId, SessionParameters};

/// The two ends of session number `index`, seen from ours.
pub(crate) fn parameters(index: usize) -> SessionParameters {
    // Session-ids as long and as scattered as generated ones.
    let scattered = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let end = |host: &str, who: char| -> Path {
        format!("msrp://{host}:2855/{who}{scattered:016x}abcdefgh{who};tcp")
            .parse()
            .expect("a sound path")
    };
    SessionParameters {
        local: end("chat.example.com", 's'),
        remote: end("client7.example.org", 'c'),
    }
}

/// The session-id of our end.
pub(crate) fn session(parameters: &SessionParameters) -> SessionId {
    parameters.local.last().session().cloned().expect("a session-id")
}

/// A message to send.
pub(crate) fn outgoing(tag: u64, body: &Bytes) -> OutgoingMessage {
    OutgoingMessage {
        tag: MessageTag(tag),
        id: "kq3v8w2m5n7p1x4z6b9d0f2h3j".parse().expect("a sound Message-ID"),
        content_type: "message/cpim",
        body: body.clone(),
        success_report: false,
        failure_report: FailureReport::Yes,
        lane: Lane::default(),
    }
}
