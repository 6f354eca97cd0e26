//! A one-to-one chat between two RCS clients: bodiless SENDs, a response without comment, responses with a Message-ID, the two
//! spellings of an IPv6 path, CPIM without angle brackets, fractions of seven digits.

use msrp::{
    Limits, Path, Status,
    cpim::Cpim,
    frame::{Content, Decoder, Frame, Kind, Method},
};

const TRACE: &str = include_str!("../data/rcs_one_to_one.txt");

/// The frames with the line ends and blank lines that a web page has taken from them.
fn restored() -> String {
    let mut text = String::new();
    let (mut is_cpim, mut in_content_headers) = (false, false);
    for line in TRACE.lines() {
        let is_content_header = line.to_ascii_lowercase().starts_with("content-");
        let is_outer = text
            .rsplit("MSRP ")
            .next()
            .is_some_and(|frame| !frame.contains("\r\n\r\n"));
        if !is_outer && is_cpim && is_content_header != in_content_headers {
            text += "\r\n";
            in_content_headers = is_content_header;
            is_cpim = is_content_header;
        }
        text += &format!("{line}\r\n");
        if is_outer && is_content_header {
            text += "\r\n";
            is_cpim = line.ends_with("message/cpim");
        }
    }
    text
}

fn frames() -> Vec<Frame> {
    let mut decoder = Decoder::new(&Limits::default());
    decoder.push(restored().as_bytes());
    let frames = std::iter::from_fn(|| decoder.next_frame())
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(decoder.held(), 0);
    frames
}

#[test]
fn every_frame_decodes() {
    let frames = frames();
    let sends = frames
        .iter()
        .filter(|frame| frame.kind == Kind::Request(Method::Send))
        .count();
    let accepted = frames
        .iter()
        .filter(|frame| frame.kind == Kind::Response(Status::OK))
        .count();
    assert_eq!((frames.len(), sends, accepted), (11, 5, 6));
    assert!(frames.iter().all(|frame| frame.headers.broken.is_none()));
    assert_eq!(frames[0].content, Content::None);
}

#[test]
fn the_paths_are_two_in_whatever_spelling() {
    let client: Path = "msrp://[2001::1:4c16:9c0f:4986:9e6d]:8880/FmnP;tcp"
        .parse()
        .unwrap();
    let other: Path = "msrp://[2001:0:0:1::2]:16000/558f02b9d0;tcp".parse().unwrap();
    for frame in frames() {
        let short: Path = frame
            .to
            .to_string()
            .replace("[2001:0000:0000:0001:4C16", "[2001::1:4C16")
            .parse()
            .unwrap();
        assert_eq!(short, frame.to);
        assert!([&client, &other].contains(&&frame.to) && [&client, &other].contains(&&frame.from));
        assert_ne!(frame.to, frame.from);
    }
}

#[test]
fn every_cpim_body_is_read() {
    let mut read = Vec::new();
    for frame in frames() {
        let Content::Body(body) = &frame.content else {
            continue;
        };
        if frame.headers.content_type.as_deref() != Some("message/cpim") {
            continue;
        }
        let cpim = Cpim::parse(body).unwrap();
        assert_eq!(cpim.from.as_ref().unwrap().uri, "sip:anonymous@anonymous.invalid");
        assert_eq!(cpim.to[0].uri, "sip:anonymous@anonymous.invalid");
        let id = cpim
            .extension("urn:ietf:params:imdn", "Message-ID")
            .unwrap()
            .to_owned();
        let text = cpim.text().map(|text| text.trim_end().to_owned());
        read.push((cpim.date_time.unwrap().to_string(), id, cpim.content_type, text));
    }
    let text = |text: &str| Some(text.to_owned());
    let line =
        |time: &str, id: &str, kind: &str, text| (time.to_owned(), id.to_owned(), kind.to_owned(), text);
    assert_eq!(
        read,
        [
            line(
                "2015-02-24T06:48:09Z",
                "wYcJuXBbGOfCtBqIPQqz0I",
                "text/plain;charset=UTF-8",
                text("Hello")
            ),
            line(
                "2015-02-24T06:48:10.7749079Z",
                "2252a2757d",
                "message/imdn+xml",
                None
            ),
            line(
                "2015-02-24T06:48:26.5388096Z",
                "dc5ebabb21",
                "text/plain; charset=utf-8",
                text("hi")
            ),
        ]
    );
}
