//! What is measured, and what the workloads have in common.

use std::time::Instant;

use bytes::Bytes;
use criterion::Throughput;
use msrp::{FailureReport, Lane, MessageTag, OutgoingMessage, Path, SessionId, SessionParameters};

/// One line of the table.
pub(crate) struct Workload {
    /// Its name there.
    pub(crate) name: &'static str,
    /// What one run amounts to.
    pub(crate) amount: Throughput,
    pub(crate) task: Box<dyn Task>,
}

/// Something that is done again and again.
pub(crate) trait Task {
    /// What comes before each run and is not measured.
    fn prepare(&mut self) {}
    /// What is measured. It checks its own results, so that nothing is measured that does not work.
    fn run(&mut self);
}

/// The only place where measured work happens: an instruction counter can be told its name.
#[inline(never)]
pub(crate) fn measured(task: &mut dyn Task) {
    task.run();
}

/// An instant to start from.
#[expect(
    clippy::disallowed_methods,
    reason = "an instant has no other source; only differences to it count"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}

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
