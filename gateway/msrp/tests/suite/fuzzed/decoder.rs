//! Octets of a stream, cut as the first octet says.

use bytes::BytesMut;
use msrp::{
    Limits,
    frame::{Content, Decoder, Fault, Flag, Frame, Kind},
};

const LIMITS: Limits = Limits {
    start_line: 64,
    header_line: 256,
    headers: 8,
    chunk_in: 512,
    chunk_out: 2048,
    message: 2048,
    open_messages: 4,
    reassembly: 8192,
    incoming: 8192,
    sessions: 4,
    outgoing: 8192,
    unanswered: 4,
    transaction: std::time::Duration::from_secs(30),
    chunk_reception: std::time::Duration::from_secs(540),
};

/// Any split gives the same frames and the same fault, what is held is bounded, and frames survive being written.
pub(crate) fn decoder(data: &[u8]) {
    let Some((&piece, stream)) = data.split_first() else {
        return;
    };
    let whole = read(stream, stream.len().max(1), &LIMITS);
    assert_eq!(read(stream, usize::from(piece).max(1), &LIMITS), whole);
    assert_eq!(read(stream, 1, &LIMITS), whole);
    let (frames, fault) = whole;
    if let Some(fault) = fault {
        assert!(fault.offset <= stream.len() as u64);
        assert!(!fault.rule.is_empty());
    }
    for frame in frames.into_iter().filter(is_writable) {
        let mut out = BytesMut::new();
        frame.encode(&mut out);
        let (mut again, fault) = read(&out, out.len(), &Limits::default());
        assert_eq!(fault, None);
        let mut read_back = again.pop().expect("a frame");
        assert!(again.is_empty());
        if let (Kind::Response(_), Kind::Response(_)) = (&frame.kind, &read_back.kind) {
            // A response names its sender alone.
            assert_eq!(frame.from.last(), read_back.from.last());
            read_back.from = frame.from.clone();
        }
        assert_eq!(read_back, frame);
    }
}

fn read(stream: &[u8], piece: usize, limits: &Limits) -> (Vec<Frame>, Option<Fault>) {
    let mut decoder = Decoder::new(limits);
    let mut frames = Vec::new();
    for octets in stream.chunks(piece) {
        decoder.push(octets);
        while let Some(frame) = decoder.next_frame() {
            match frame {
                Ok(frame) => {
                    if let Content::Body(body) = &frame.content {
                        assert!(body.len() <= limits.chunk_in);
                    }
                    frames.push(frame);
                }
                Err(fault) => {
                    assert!(decoder.next_frame().is_none());
                    assert_eq!(decoder.held(), 0);
                    return (frames, Some(fault));
                }
            }
        }
        let line = limits.start_line.max(limits.header_line) + 2;
        // An end-line that is not complete yet has 44 octets at most.
        let bound = line.max(limits.chunk_in + 44);
        assert!(decoder.held() <= bound, "{} octets held", decoder.held());
    }
    assert!(decoder.offset() <= stream.len() as u64);
    (frames, None)
}

/// Whether everything in the frame can be written again.
fn is_writable(frame: &Frame) -> bool {
    let headers = &frame.headers;
    let content = match &frame.content {
        Content::None => headers.content_type.is_none(),
        Content::Body(_) => headers.content_type.is_some() && matches!(frame.kind, Kind::Request(_)),
        Content::TooLong => false,
    };
    let flag = matches!(frame.kind, Kind::Request(_)) || frame.flag == Flag::Complete;
    content && flag && headers.broken.is_none() && !matches!(headers.use_nickname, Some(Err(_)))
}
