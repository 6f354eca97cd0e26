//! Answers every call that comes by UDP, until it is told to stop: the whole shell that `sip::Endpoint` needs.
//!
//! `cargo xtask bench sip` loads it, to measure the endpoint without a gateway around it.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::Parser;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::retry_on_intr,
};
use sip::{
    Body, Command, Config, Contact, Endpoint, Event, Flow, Limits, LocalAddress, SubscriptionState, Transport,
};

/// The largest datagram.
const DATAGRAM: usize = 64 * 1024;

/// Answers every SIP call that comes by UDP
#[derive(Debug, Parser)]
#[command(name = "sip-answer")]
struct Arguments {
    /// Where to listen
    #[arg(default_value = "127.0.0.1:5060")]
    listen: SocketAddr,
    /// How many dialogs there may be at once
    #[arg(long, default_value_t = 10_000)]
    dialogs: usize,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let socket = UdpSocket::bind(arguments.listen)?;
    socket.set_nonblocking(true)?;
    eprintln!("listening on {}", socket.local_addr()?);
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| io::Error::other("no random numbers"))?;
    Answering {
        endpoint: Endpoint::new(config(&arguments), seed),
        socket,
    }
    .run()
}

fn config(arguments: &Arguments) -> Config {
    Config {
        local: vec![LocalAddress {
            transport: Transport::Udp,
            host: arguments.listen.ip().to_string(),
            port: arguments.listen.port(),
        }],
        outbound_proxy: None,
        product: "sip-answer".to_owned(),
        limits: Limits {
            dialogs: arguments.dialogs,
            transactions: arguments.dialogs.saturating_mul(4),
            ..Limits::default()
        },
        t1: Duration::from_millis(500),
    }
}

struct Answering {
    endpoint: Endpoint,
    socket: UdpSocket,
}

impl Answering {
    fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; DATAGRAM];
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, peer)) => {
                    let flow = Flow {
                        transport: Transport::Udp,
                        peer,
                        id: None,
                    };
                    let bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
                    self.endpoint.handle_message(flow, bytes, Instant::now());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait()?,
                // The answer to a datagram of ours that nobody took.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
            self.endpoint.handle_timeout(Instant::now());
            self.carry_out();
        }
    }

    /// Until a datagram has come or a deadline.
    fn wait(&self) -> io::Result<()> {
        let due = self.endpoint.poll_timeout();
        let patience = due
            .map(|at| at.saturating_duration_since(Instant::now()))
            .and_then(|patience| Timespec::try_from(patience).ok());
        retry_on_intr(|| {
            let mut sockets = [PollFd::new(&self.socket, PollFlags::IN)];
            poll(&mut sockets, patience.as_ref())
        })?;
        Ok(())
    }

    fn carry_out(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            if let Some(command) = answer(event) {
                self.endpoint.handle_command(command, Instant::now());
            }
        }
        while let Some(resolve) = self.endpoint.poll_resolve() {
            // Callers name addresses here; a host name is nowhere.
            self.endpoint
                .handle_resolved(resolve.id, Vec::new(), Instant::now());
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            if self
                .socket
                .send_to(&transmit.bytes, transmit.target.peer)
                .is_err()
            {
                self.endpoint.handle_transmit_failed(transmit.id, Instant::now());
            }
        }
    }
}

/// Yes to calls and what keeps them going.
fn answer(event: Event) -> Option<Command> {
    match event {
        Event::Invited { due, .. } | Event::Reinvited { due, .. } => Some(Command::Accept {
            due,
            contact: contact(),
            body: description(),
        }),
        Event::Requested { due, .. } => Some(Command::AcceptRequest { due }),
        Event::Referred { due, .. } | Event::Subscribing { due, .. } => Some(Command::Refuse {
            due,
            status: sip::StatusCode(403),
            phrase: None,
            headers: Vec::new(),
        }),
        Event::SubscriptionRefreshed { subscription, .. } => Some(Command::Notify {
            subscription,
            state: SubscriptionState::Terminated("noresource".to_owned()),
            body: None,
        }),
        _ => None,
    }
}

fn contact() -> Contact {
    Contact {
        user: Some("answer".to_owned()),
        parameters: Vec::new(),
    }
}

fn description() -> Body {
    Body {
        content_type: "application/sdp".to_owned(),
        bytes: Bytes::from_static(
            b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\n\
              a=accept-types:message/cpim\r\na=path:msrp://127.0.0.1:2855/answer;tcp\r\n",
        ),
    }
}
