/// What one connection accepts and holds at most. Every bound has a test at −1, 0 and +1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a start line (RFC 4975 sets none). Default 512.
    pub start_line: usize,
    /// Octets of one header line, without CRLF. Default 1024 (Use-Nickname may need 1023 octets plus quoting: 2200).
    pub header_line: usize,
    /// Header lines of one frame. Default 32.
    pub headers: usize,
    /// Octets of the body of one received chunk; the rest of a longer one is skipped, and it is answered 413. Default 128 KiB.
    pub chunk_in: usize,
    /// Octets of the body of one sent chunk; RFC 4975 §7.1.1 makes longer ones interruptible. Default 8 KiB; 2048 at least.
    pub chunk_out: usize,
    /// Octets of one reassembled message; a longer one is answered 413. Default 128 KiB.
    pub message: usize,
    /// Incomplete incoming messages per session. Default 8.
    pub open_messages: usize,
    /// Octets held per session for incomplete incoming messages, and for frames that wait for [`crate::Command::Bind`]. Default 1 MiB.
    pub reassembly: usize,
    /// The same for all sessions of the connection together; what passes it is answered 413. Default 8 MiB.
    pub incoming: usize,
    /// Sessions on one connection, those asked for included; a request for a further one is answered 481. Default 1024.
    pub sessions: usize,
    /// Octets queued for sending over the whole connection, each message counted with 256 more; beyond it `Send` fails with
    /// [`crate::Status::CONGESTED`]. When responses alone pass it, the peer does not read: the connection is given up. Default 1 MiB.
    pub outgoing: usize,
    /// Requests of one session that wait for an answer, in each direction: so many chunks of ours are sent ahead, and further
    /// messages of the peer are refused (413, a NICKNAME 403). Default 256.
    pub unanswered: usize,
    /// How long a request waits for its response (RFC 4975 §7.1.1: 30 s).
    pub transaction: std::time::Duration,
    /// How long an unfinished incoming message may pause before it is dropped. Default 540 s (RFC 7701 §6.1).
    pub chunk_reception: std::time::Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start_line: 512,
            header_line: 2200,
            headers: 32,
            chunk_in: 128 * 1024,
            chunk_out: 8 * 1024,
            message: 128 * 1024,
            open_messages: 8,
            reassembly: 1024 * 1024,
            incoming: 8 * 1024 * 1024,
            sessions: 1024,
            outgoing: 1024 * 1024,
            unanswered: 256,
            transaction: std::time::Duration::from_secs(30),
            chunk_reception: std::time::Duration::from_secs(540),
        }
    }
}
