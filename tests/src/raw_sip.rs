//! A SIP peer written by hand: it sends whatever it is told to, right or wrong, and reads answers leniently.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use crate::{Context, PATIENCE, Result, ensure, inbox::Inbox};

/// A SIP message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Request line or status line.
    pub start: String,
    /// Header fields in order, names as they came.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

impl Message {
    /// Status code, if it is a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// Method, if it is a request.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        if self.status().is_some() {
            None
        } else {
            self.start.split(' ').next()
        }
    }

    /// First value of a header field, its name compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut lines = std::iter::from_fn(|| {
            let mut line = String::new();
            (stream.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
        });
        let start = lines.find(|line| !line.is_empty())?;
        let headers: Vec<(String, String)> = lines
            .take_while(|line| !line.is_empty())
            .filter_map(|line| {
                line.split_once(':')
                    .map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned()))
            })
            .collect();
        let mut message = Self {
            start,
            headers,
            body: String::new(),
        };
        let length = message
            .header("Content-Length")
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        message.body = String::from_utf8_lossy(&body).into_owned();
        Some(message)
    }

    /// A final response; `opening`: what it says besides if it opens a dialog.
    fn answer(&self, status: u16, opening: &str) -> String {
        let mut answer = format!("SIP/2.0 {status} As Told\r\n");
        for (name, value) in &self.headers {
            if ["via", "from", "to", "call-id", "cseq", "record-route"]
                .iter()
                .any(|kept| name.eq_ignore_ascii_case(kept))
            {
                let opens = name.eq_ignore_ascii_case("to") && !value.contains(";tag=");
                let tag = if opens { ";tag=raw" } else { "" };
                let _ = write!(answer, "{name}: {value}{tag}\r\n");
            }
        }
        if opening.is_empty() {
            answer + "Content-Length: 0\r\n\r\n"
        } else {
            answer + opening
        }
    }
}

/// What a call to a raw peer gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallAnswer {
    /// 200 with this session description.
    Accepted(String),
    /// Any other final response.
    Refused(u16),
}

/// A TCP connection to a SIP server, with an address at which it may be called back. Requests from the server are
/// answered 200 and kept; calls as it is told to.
#[derive(Debug)]
pub struct RawSip {
    stream: TcpStream,
    contact: SocketAddr,
    inbox: Inbox<Message>,
    calls: Arc<Mutex<CallAnswer>>,
}

impl RawSip {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn connect(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server).with_context(|| format!("SIP server at {server}"))?;
        stream.set_nodelay(true)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let contact = listener.local_addr()?;
        let (sender, receiver) = channel();
        let calls = Arc::new(Mutex::new(CallAnswer::Refused(486)));
        let answers = Answers {
            contact,
            calls: calls.clone(),
        };
        spawn_reader(stream.try_clone()?, sender.clone(), answers.clone());
        thread::spawn(move || {
            for called in listener.incoming().flatten() {
                spawn_reader(called, sender.clone(), answers.clone());
            }
        });
        Ok(Self {
            stream,
            contact,
            calls,
            inbox: Inbox::new("raw SIP peer", receiver),
        })
    }

    /// What calls get from now on; 486 before that.
    pub fn answer_calls(&self, answer: CallAnswer) {
        *lock(&self.calls) = answer;
    }

    /// Registers `NAME@example.org` with a registrar, so that calls to him come here.
    ///
    /// # Errors
    /// It is refused.
    pub fn register(&mut self, name: &str) -> Result<()> {
        let address = format!("<sip:{name}@example.org>");
        let mut register = Request::new("REGISTER", "sip:example.org", self.contact);
        register.from.clone_from(&address);
        register.to = address;
        register.extra.push("Expires: 600".to_owned());
        self.send(register.to_string())?;
        let answer = self.final_response(&register.call_id)?;
        ensure!(answer.status() == Some(200), "REGISTER got {}", answer.start);
        Ok(())
    }

    /// Where it may be called back.
    #[must_use]
    pub fn contact(&self) -> SocketAddr {
        self.contact
    }

    /// Writes octets.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self, octets: impl AsRef<[u8]>) -> Result<()> {
        self.stream
            .write_all(octets.as_ref())
            .context("the SIP connection is gone")
    }

    /// Waits for the final response with that Call-ID.
    ///
    /// # Errors
    /// None comes within [`PATIENCE`].
    pub fn final_response(&mut self, call_id: &str) -> Result<Message> {
        self.inbox
            .wait(&format!("the final response in {call_id}"), PATIENCE, |message| {
                message.status().is_some_and(|status| status >= 200)
                    && message.header("Call-ID") == Some(call_id)
            })
    }

    /// Waits for a request of the server.
    ///
    /// # Errors
    /// None comes within [`PATIENCE`].
    pub fn request(&mut self, method: &str) -> Result<Message> {
        self.inbox
            .wait(method, PATIENCE, |message| message.method() == Some(method))
    }

    /// Asks OPTIONS and requires a 200: the server lives and has kept the connection.
    ///
    /// # Errors
    /// It does not answer so.
    pub fn require_alive(&mut self, uri: &str) -> Result<()> {
        let options = Request::new("OPTIONS", uri, self.contact);
        self.send(options.to_string())?;
        let answer = self.final_response(&options.call_id)?;
        ensure!(answer.status() == Some(200), "OPTIONS got {}", answer.start);
        Ok(())
    }
}

/// Sends a datagram and waits for one answer.
///
/// # Errors
/// No socket can be had.
pub fn datagram(server: SocketAddr, octets: &[u8], limit: Duration) -> Result<Option<Message>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(limit))?;
    socket.send_to(octets, server)?;
    let mut answer = vec![0; 65_536];
    let length = socket.recv(&mut answer).unwrap_or(0);
    Ok(Message::read(&mut answer.get(..length).unwrap_or_default()))
}

/// A request that is right unless its fields are made wrong.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Request-URI.
    pub uri: String,
    /// Content of From, without the tag.
    pub from: String,
    /// Content of To, with a tag inside a dialog.
    pub to: String,
    /// Call-ID.
    pub call_id: String,
    /// Content of CSeq.
    pub cseq: String,
    /// Further header lines, without CRLF.
    pub extra: Vec<String>,
    /// Content-Type and body.
    pub body: Option<(String, String)>,
    contact: SocketAddr,
    branch: u32,
}

impl Request {
    /// A request outside any dialog from `romeo@example.org`, who can be called at `contact`.
    #[must_use]
    pub fn new(method: &str, uri: &str, contact: SocketAddr) -> Self {
        let number = unique();
        Self {
            method: method.to_owned(),
            uri: uri.to_owned(),
            from: "<sip:romeo@example.org>".to_owned(),
            to: format!("<{uri}>"),
            call_id: format!("raw-{}-{number}", std::process::id()),
            cseq: format!("1 {method}"),
            extra: Vec::new(),
            body: None,
            contact,
            branch: number,
        }
    }

    /// An INVITE with that session description.
    #[must_use]
    pub fn invite(uri: &str, contact: SocketAddr, sdp: &str) -> Self {
        let mut request = Self::new("INVITE", uri, contact);
        request.body = Some(("application/sdp".to_owned(), sdp.to_owned()));
        request
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            method,
            uri,
            from,
            to,
            call_id,
            cseq,
            contact,
            branch,
            ..
        } = self;
        write!(out, "{method} {uri} SIP/2.0\r\n")?;
        write!(
            out,
            "Via: SIP/2.0/TCP {contact};branch=z9hG4bKraw{}x{branch}\r\n",
            std::process::id()
        )?;
        write!(out, "Max-Forwards: 70\r\nFrom: {from};tag=raw\r\nTo: {to}\r\n")?;
        write!(
            out,
            "Call-ID: {call_id}\r\nCSeq: {cseq}\r\nContact: <sip:romeo@{contact};transport=tcp>\r\n"
        )?;
        for line in &self.extra {
            write!(out, "{line}\r\n")?;
        }
        match &self.body {
            Some((kind, body)) => {
                write!(
                    out,
                    "Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            None => write!(out, "Content-Length: 0\r\n\r\n"),
        }
    }
}

/// A number that no other call in this process gives.
pub fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// How requests are answered.
#[derive(Debug, Clone)]
struct Answers {
    contact: SocketAddr,
    calls: Arc<Mutex<CallAnswer>>,
}

impl Answers {
    fn to(&self, request: &Message) -> Option<String> {
        match request.method() {
            Some("ACK") | None => None,
            Some("INVITE") => Some(match &*lock(&self.calls) {
                CallAnswer::Refused(status) => request.answer(*status, ""),
                CallAnswer::Accepted(sdp) => request.answer(200, &self.opening(sdp)),
            }),
            Some(_) => Some(request.answer(200, "")),
        }
    }

    fn opening(&self, sdp: &str) -> String {
        format!(
            "Contact: <sip:raw@{};transport=tcp>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            self.contact,
            sdp.len()
        )
    }
}

fn lock(calls: &Mutex<CallAnswer>) -> MutexGuard<'_, CallAnswer> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn_reader(stream: TcpStream, messages: Sender<Message>, answers: Answers) {
    thread::spawn(move || {
        let Ok(mut writer) = stream.try_clone() else {
            return;
        };
        let mut stream = BufReader::new(stream);
        while let Some(message) = Message::read(&mut stream) {
            let answered = match answers.to(&message) {
                None => Ok(()),
                Some(answer) => writer.write_all(answer.as_bytes()),
            };
            if answered.is_err() || messages.send(message).is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{Message, Request};

    #[test]
    fn messages_are_cut_by_content_length() {
        let mut octets =
            &b"\r\nSIP/2.0 488 No\r\ncontent-length: 3\r\nAllow: ACK\r\n\r\nabcNOTIFY sip:x SIP/2.0\r\n\r\n"
                [..];
        let response = Message::read(&mut octets).unwrap();
        assert_eq!(
            (response.status(), response.header("allow"), &*response.body),
            (Some(488), Some("ACK"), "abc")
        );
        assert_eq!(Message::read(&mut octets).unwrap().method(), Some("NOTIFY"));
        assert_eq!(Message::read(&mut octets), None);
    }

    #[test]
    fn requests_announce_the_length_of_their_body() {
        let request =
            Request::invite("sip:room@example.com", ([127, 0, 0, 1], 5060).into(), "v=0\r\n").to_string();
        assert!(
            request.ends_with("Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"),
            "{request}"
        );
    }
}
