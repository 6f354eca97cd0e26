//! An MSRP participant written by hand from the grammar of RFC 4975 §9: a second opinion on what the gateway writes, and
//! a source of what no proper client sends.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc::{Sender, channel},
    thread,
};

use crate::{
    Context, PATIENCE, Result, ensure,
    inbox::Inbox,
    raw_sip::{Message, RawSip, Request, unique},
};

/// An MSRP request or response as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Transaction identifier.
    pub transaction: String,
    /// What follows it in the first line: a method, or a status code with its comment.
    pub kind: String,
    /// Header fields in order.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// `$`, `+` or `#`.
    pub flag: char,
}

impl Frame {
    /// Status code, if it is a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.kind.get(..3)?.parse().ok()
    }

    /// Value of a header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Cuts the first complete frame off `octets`. An error names what breaks the grammar.
    fn take(octets: &mut Vec<u8>) -> Result<Option<Self>> {
        let Some(first_end) = find(octets, b"\r\n") else {
            return Ok(None);
        };
        let first = std::str::from_utf8(octets.get(..first_end).unwrap_or_default())?.to_owned();
        let mut words = first.splitn(3, ' ');
        ensure!(words.next() == Some("MSRP"), "a frame begins {first:?}");
        let transaction = words.next().unwrap_or_default().to_owned();
        ensure!(
            (4..=32).contains(&transaction.len()),
            "the transaction identifier of {first:?}"
        );
        let kind = words.next().unwrap_or_default().to_owned();
        let end_line = format!("\r\n-------{transaction}");
        let Some(end) = find(octets, end_line.as_bytes()) else {
            return Ok(None);
        };
        let after = end + end_line.len();
        let Some(tail) = octets.get(after..after + 3) else {
            return Ok(None);
        };
        ensure!(tail.ends_with(b"\r\n"), "the end-line of {first:?}");
        let flag = tail.first().map_or(' ', |flag| char::from(*flag));
        ensure!("$+#".contains(flag), "the continuation flag {flag:?}");
        let content = octets.get(first_end..end).unwrap_or_default();
        let (head, body) = match find(content, b"\r\n\r\n") {
            Some(gap) => (
                content.get(..gap).unwrap_or_default(),
                content.get(gap + 4..).unwrap_or_default(),
            ),
            None => (content, &[][..]),
        };
        let headers = std::str::from_utf8(head)?
            .split("\r\n")
            .filter(|line| !line.is_empty())
            .map(|line| {
                let (name, value) = line
                    .split_once(": ")
                    .with_context(|| format!("the header line {line:?}"))?;
                Ok((name.to_owned(), value.to_owned()))
            })
            .collect::<Result<Vec<_>>>()?;
        ensure!(
            headers.first().is_some_and(|(name, _)| name == "To-Path")
                && headers.get(1).is_some_and(|(name, _)| name == "From-Path"),
            "To-Path and From-Path come first (RFC 4975 §7.1): {headers:?}"
        );
        let frame = Self {
            transaction,
            kind,
            headers,
            body: body.to_vec(),
            flag,
        };
        octets.drain(..after + 3);
        Ok(Some(frame))
    }
}

/// A SIP user in a room of the gateway, by hand.
#[derive(Debug)]
pub struct RawParticipant {
    /// His SIP connection.
    pub sip: RawSip,
    /// The answer to his INVITE, or the INVITE that he took.
    pub answer: Message,
    stream: TcpStream,
    frames: Inbox<std::result::Result<Frame, String>>,
    own_path: String,
    peer_path: String,
    room: String,
    from: String,
}

impl RawParticipant {
    /// Enters a room at the gateway itself, without a proxy. `from` is the content of the From header: an address of
    /// record, with a display name if need be.
    ///
    /// # Errors
    /// He is refused, or something is not answered.
    pub fn enter(gateway: SocketAddr, room: &str, from: &str) -> Result<Self> {
        Self::enter_over(RawSip::connect(gateway)?, room, from)
    }

    /// The same over a SIP connection that is there.
    ///
    /// # Errors
    /// He is refused, or something is not answered.
    pub fn enter_over(mut sip: RawSip, room: &str, from: &str) -> Result<Self> {
        let own_path = format!("msrp://{}/raw{};tcp", sip.contact(), unique());
        let mut invite = Request::invite(room, sip.contact(), &offer(&own_path));
        invite.from = from.to_owned();
        sip.send(invite.to_string())?;
        let answer = sip.final_response(&invite.call_id)?;
        ensure!(answer.status() == Some(200), "INVITE got {}", answer.start);
        let mut ack = Request::new("ACK", uri_of(answer.header("Contact"))?, sip.contact());
        ack.from = invite.from;
        ack.to = answer.header("To").context("no To")?.to_owned();
        ack.call_id = invite.call_id;
        sip.send(ack.to_string())?;
        Self::open(sip, answer, own_path, room, uri_of(Some(from))?)
    }

    /// Takes the next call to `sip`, which answers calls with [`offer`] for `own_path`; `from` is his address of record.
    ///
    /// # Errors
    /// He is not called, or something is not answered.
    pub fn take_call(mut sip: RawSip, own_path: String, room: &str, from: &str) -> Result<Self> {
        let invite = sip.request("INVITE")?;
        Self::open(sip, invite, own_path, room, from)
    }

    /// Opens the MSRP session that a description of the gateway's is about.
    fn open(sip: RawSip, answer: Message, own_path: String, room: &str, from: &str) -> Result<Self> {
        let peer_path = answer
            .body
            .lines()
            .find_map(|line| line.strip_prefix("a=path:"))
            .context("no path in the answer")?
            .trim()
            .to_owned();
        let stream = TcpStream::connect(authority(&peer_path)?)?;
        stream.set_nodelay(true)?;
        let (sender, receiver) = channel();
        let (reader, answers) = (stream.try_clone()?, stream.try_clone()?);
        thread::spawn(move || read_frames(reader, answers, &sender));
        let mut participant = Self {
            sip,
            answer,
            stream,
            frames: Inbox::new("raw MSRP participant", receiver),
            own_path,
            peer_path,
            room: room.to_owned(),
            from: from.to_owned(),
        };
        // RFC 4975 §5.4: the active party opens with a SEND, here without a body.
        ensure!(
            participant.send(&[], None)?.status() == Some(200),
            "the first SEND was refused"
        );
        Ok(participant)
    }

    /// The path that the gateway gave.
    #[must_use]
    pub fn peer_path(&self) -> &str {
        &self.peer_path
    }

    /// A CPIM message to the room from oneself; both addresses can be given otherwise.
    #[must_use]
    pub fn cpim(&self, text: &str) -> String {
        cpim(&[&self.room], &self.from, text)
    }

    /// Own address of record.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.from
    }

    /// Sends a SEND with that body and waits for the response.
    ///
    /// # Errors
    /// The connection is gone, or nothing is answered.
    pub fn send(&mut self, body: &[u8], content_type: Option<&str>) -> Result<Frame> {
        let path = self.peer_path.clone();
        self.send_to(&path, body, content_type)
    }

    /// The same to another path.
    ///
    /// # Errors
    /// The connection is gone, or nothing is answered.
    pub fn send_to(&mut self, path: &str, body: &[u8], content_type: Option<&str>) -> Result<Frame> {
        let number = unique();
        let mut headers = format!("Message-ID: raw{number}\r\nByte-Range: 1-{0}/{0}\r\n", body.len());
        if let Some(content_type) = content_type {
            headers += &format!("Content-Type: {content_type}\r\n");
        }
        let body = content_type.map(|_| body);
        self.request("SEND", path, &headers, body)
    }

    /// Asks for a nickname, as it stands between the quotes, and waits for the response (RFC 7701 §7.1).
    ///
    /// # Errors
    /// The connection is gone, or nothing is answered.
    pub fn nickname(&mut self, quoted: &str) -> Result<Frame> {
        let path = self.peer_path.clone();
        self.request(
            "NICKNAME",
            &path,
            &format!("Use-Nickname: \"{quoted}\"\r\n"),
            None,
        )
    }

    /// Writes octets to the MSRP connection.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn write(&mut self, octets: &[u8]) -> Result<()> {
        self.stream
            .write_all(octets)
            .context("the MSRP connection is gone")
    }

    /// Hangs up a call of his own, and returns the answer. `text`: what he gives as his reason (RFC 3326), as it stands between the quotes.
    ///
    /// # Errors
    /// The connection is gone, or nothing is answered.
    pub fn hang_up(&mut self, text: &str) -> Result<Message> {
        let field = |name: &'static str| self.answer.header(name).context(name);
        let mut bye = Request::new("BYE", uri_of(self.answer.header("Contact"))?, self.sip.contact());
        bye.from = field("From")?.replace(";tag=raw", "");
        bye.to = field("To")?.to_owned();
        bye.call_id = field("Call-ID")?.to_owned();
        "2 BYE".clone_into(&mut bye.cseq);
        bye.extra.push(format!("Reason: SIP;cause=200;text=\"{text}\""));
        self.sip.send(bye.to_string())?;
        self.sip.final_response(&bye.call_id)
    }

    /// Waits until the gateway has closed the MSRP connection.
    ///
    /// # Errors
    /// It has not within [`PATIENCE`].
    pub fn wait_for_close(&mut self) -> Result<()> {
        let _ = self.frames.wait("the close", PATIENCE, |_| false);
        ensure!(
            self.frames.is_closed(),
            "the gateway keeps the MSRP connection open"
        );
        Ok(())
    }

    /// Waits for a SEND whose body contains `text`.
    ///
    /// # Errors
    /// None comes within [`PATIENCE`].
    pub fn hear(&mut self, text: &str) -> Result<Frame> {
        let frame = self.frames.wait(text, PATIENCE, |frame| {
            frame
                .as_ref()
                .is_ok_and(|frame| frame.kind == "SEND" && find(&frame.body, text.as_bytes()).is_some())
        })?;
        frame.map_err(anyhow::Error::msg)
    }

    /// Waits for a REPORT and returns its status line.
    ///
    /// # Errors
    /// None comes within [`PATIENCE`].
    pub fn reported(&mut self) -> Result<String> {
        let frame = self.frames.wait("a report", PATIENCE, |frame| {
            frame.as_ref().is_ok_and(|frame| frame.kind == "REPORT")
        })?;
        let report = frame.map_err(anyhow::Error::msg)?;
        Ok(report.header("Status").unwrap_or_default().to_owned())
    }

    /// How many frames have come.
    pub fn received(&mut self) -> usize {
        self.frames.history().len()
    }

    /// How many REPORTs have come.
    pub fn reports(&mut self) -> usize {
        let frames = self.frames.history().iter().flatten();
        frames.filter(|frame| frame.kind == "REPORT").count()
    }

    /// Says something to the room and waits for nothing. Returns what [`Self::answer_to`] finds the answer by.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn post(&mut self, text: &str) -> Result<String> {
        let path = self.peer_path.clone();
        let body = self.cpim(text);
        let headers = format!(
            "Message-ID: raw{}\r\nByte-Range: 1-{1}/{1}\r\nContent-Type: message/cpim\r\n",
            unique(),
            body.len()
        );
        self.write_request("SEND", &path, &headers, Some(body.as_bytes()))
    }

    /// The status of the response to a request, if it has come.
    pub fn answer_to(&mut self, transaction: &str) -> Option<u16> {
        let frames = self
            .frames
            .history()
            .iter()
            .filter_map(|frame| frame.as_ref().ok());
        frames
            .filter(|frame| frame.transaction == transaction)
            .find_map(Frame::status)
    }

    /// The texts heard so far, and how often each.
    pub fn texts(&mut self) -> BTreeMap<String, usize> {
        let mut texts = BTreeMap::new();
        for frame in self
            .frames
            .history()
            .iter()
            .filter_map(|frame| frame.as_ref().ok())
        {
            if frame.kind == "SEND"
                && let Some((_, text)) = String::from_utf8_lossy(&frame.body).rsplit_once("\r\n\r\n")
            {
                *texts.entry(text.to_owned()).or_default() += 1;
            }
        }
        texts
    }

    fn request(&mut self, method: &str, path: &str, headers: &str, body: Option<&[u8]>) -> Result<Frame> {
        let transaction = self.write_request(method, path, headers, body)?;
        let answer = self
            .frames
            .wait(&format!("the response to {method}"), PATIENCE, |frame| {
                frame
                    .as_ref()
                    .is_ok_and(|frame| frame.transaction == transaction && frame.status().is_some())
            })?;
        answer.map_err(anyhow::Error::msg)
    }

    fn write_request(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<&[u8]>,
    ) -> Result<String> {
        let transaction = format!("raw{:05}", unique());
        let mut octets = format!(
            "MSRP {transaction} {method}\r\nTo-Path: {path}\r\nFrom-Path: {}\r\n{headers}",
            self.own_path
        )
        .into_bytes();
        if let Some(body) = body {
            octets.extend_from_slice(b"\r\n");
            octets.extend_from_slice(body);
            octets.extend_from_slice(b"\r\n");
        }
        octets.extend_from_slice(format!("-------{transaction}$\r\n").as_bytes());
        self.write(&octets)?;
        Ok(transaction)
    }
}

/// A message/cpim body (RFC 3862) with these To fields.
#[must_use]
pub fn cpim(to: &[&str], from: &str, text: &str) -> String {
    let to: String = to.iter().map(|to| format!("To: <{to}>\r\n")).collect();
    format!(
        "From: <{from}>\r\n{to}DateTime: 2026-11-20T21:00:00Z\r\n\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"
    )
}

/// A session description that offers MSRP for a chat room at that path.
#[must_use]
pub fn offer(path: &str) -> String {
    sdp(&format!(
        "m=message 2855 TCP/MSRP *\r\na=accept-types:message/cpim\r\na=accept-wrapped-types:text/plain *\r\n\
         a=path:{path}\r\na=chatroom:nickname private-messages\r\na=setup:active\r\n"
    ))
}

/// A session description with these media lines.
#[must_use]
pub fn sdp(media: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{media}")
}

fn read_frames(
    mut stream: TcpStream,
    mut answers: TcpStream,
    frames: &Sender<std::result::Result<Frame, String>>,
) {
    let mut octets = Vec::new();
    let mut piece = [0; 16 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        octets.extend_from_slice(piece.get(..length).unwrap_or_default());
        loop {
            let frame = match Frame::take(&mut octets) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(fault) => {
                    let _ = frames.send(Err(format!("{fault:#}")));
                    return;
                }
            };
            let answered = if frame.kind == "SEND" {
                answers.write_all(ok(&frame).as_bytes())
            } else {
                Ok(())
            };
            if answered.is_err() || frames.send(Ok(frame)).is_err() {
                return;
            }
        }
    }
}

/// 200 to a SEND: the paths swapped, each cut to its first hop (RFC 4975 §7.2).
fn ok(frame: &Frame) -> String {
    let first = |name: &str| {
        frame
            .header(name)
            .and_then(|path| path.split(' ').next())
            .unwrap_or_default()
    };
    let transaction = &frame.transaction;
    format!(
        "MSRP {transaction} 200 OK\r\nTo-Path: {}\r\nFrom-Path: {}\r\n-------{transaction}$\r\n",
        first("From-Path"),
        first("To-Path")
    )
}

fn authority(path: &str) -> Result<SocketAddr> {
    let authority = path
        .split('/')
        .nth(2)
        .with_context(|| format!("the path {path:?}"))?;
    authority
        .parse()
        .with_context(|| format!("the authority of {path:?}"))
}

fn uri_of(name_address: Option<&str>) -> Result<&str> {
    let uri = name_address
        .and_then(|value| value.split_once('<'))
        .and_then(|(_, rest)| rest.split_once('>'));
    uri.map(|(uri, _)| uri).context("no URI in angle brackets")
}

fn find(octets: &[u8], sought: &[u8]) -> Option<usize> {
    octets.windows(sought.len()).position(|window| window == sought)
}

#[cfg(test)]
mod tests {
    use super::{Frame, authority, uri_of};

    const SEND: &str = "MSRP a786hjs2 SEND\r\nTo-Path: msrp://b:1/x;tcp\r\nFrom-Path: msrp://a:1/y;tcp\r\n\
                        Byte-Range: 1-2/2\r\nContent-Type: text/plain\r\n\r\nHi\r\n-------a786hjs2$\r\n";

    #[test]
    fn frames_are_cut_at_their_end_line() {
        let mut octets = format!("{SEND}MSRP").into_bytes();
        let frame = Frame::take(&mut octets).unwrap().unwrap();
        assert_eq!(
            (&*frame.kind, &*frame.body, frame.flag),
            ("SEND", &b"Hi"[..], '$')
        );
        assert_eq!(frame.header("Byte-Range"), Some("1-2/2"));
        assert_eq!(octets, b"MSRP");
        assert_eq!(Frame::take(&mut octets).unwrap(), None);
    }

    #[test]
    fn frames_that_break_the_grammar_are_named() {
        for (right, wrong) in [
            ("To-Path", "X-Path"),
            ("a786hjs2$", "a786hjs2!"),
            ("MSRP a786hjs2 S", "MSRQ a786hjs2 S"),
        ] {
            let mut octets = SEND.replace(right, wrong).into_bytes();
            assert!(Frame::take(&mut octets).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_cut_out() {
        assert_eq!(
            authority("msrp://127.0.0.1:2855/abc;tcp").unwrap(),
            ([127, 0, 0, 1], 2855).into()
        );
        assert_eq!(uri_of(Some("\"R\" <sip:r@x>;tag=1")).unwrap(), "sip:r@x");
        assert!(uri_of(Some("sip:r@x")).is_err());
    }
}
