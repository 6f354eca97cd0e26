//! Kamailio, with `deploy/kamailio.cfg` as registrar and proxy of the SIP users, or as an MSRP relay.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{deployed, on_free_ports, server_program};
use crate::{
    Context, PATIENCE, Result,
    authority::{Authority, Files},
    bail,
    ports::free_port,
    process::{Launch, Process},
    scratch::{Scratch, User},
};

/// What an MSRP relay of [`Kamailio::start_msrp_relay`] wants to know of its users: every one of them has this password.
pub const RELAY_PASSWORD: &str = "secret";

/// The MSRP relay.
const MSRP_RELAY: &str = include_str!("kamailio_msrp_relay.cfg");

/// A running Kamailio.
#[derive(Debug)]
pub struct Kamailio {
    process: Process,
    address: SocketAddr,
    secured: Option<SocketAddr>,
    _scratch: Scratch,
}

impl Kamailio {
    /// Starts it on a free port of 127.0.0.1, UDP and TCP, to serve `example.org` and to send `rooms.example.com` to the gateway.
    /// `gateway` is where that listens for SIP over TCP.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(gateway: SocketAddr) -> Result<Self> {
        let config = deployed_config()?;
        on_free_ports(|| Self::start_on(free_address()?, &config, &definition("GATEWAY_URI", gateway)))
    }

    /// Starts it on this address, also to send `conference.example.org` to a conference server and `example.com` to the gateway.
    ///
    /// # Errors
    /// It is not installed, or does not start there.
    pub fn start_at(address: SocketAddr, gateway: SocketAddr, conference: SocketAddr) -> Result<Self> {
        let definitions = [
            definition("GATEWAY_URI", gateway),
            definition("CONFERENCE_URI", conference),
        ];
        Self::start_on(address, &deployed_config()?, &definitions.concat())
    }

    /// The same over TLS: it shows this certificate to the gateway, which listens at `gateway`, and wants one of the authority from it.
    ///
    /// # Errors
    /// It or its TLS module is not installed, or it does not start.
    pub fn start_with_tls(gateway: SocketAddr, authority: &Authority, files: &Files) -> Result<Self> {
        let config = fs::read_to_string(deployed("kamailio.cfg")).context("deploy/kamailio.cfg")?;
        let file = |name: &str, path: &Path| format!("{name}=\"{}\"", path.display());
        let definitions = [
            format!("GATEWAY_URI=\"sip:{gateway};transport=tls\""),
            file("TLS_CERTIFICATE", &files.certificate),
            file("TLS_KEY", &files.key),
            file("TLS_AUTHORITIES", &authority.file()),
        ];
        on_free_ports(|| {
            let secured = free_address()?;
            let mut arguments = vec!["-l".to_owned(), format!("tls:{secured}")];
            for definition in &definitions {
                arguments.extend(["-A".to_owned(), definition.clone()]);
            }
            let kamailio = Self::start_on(free_address()?, &config, &arguments)?;
            Ok(Self {
                secured: Some(secured),
                ..kamailio
            })
        })
    }

    /// Starts it as an MSRP relay with digest authentication and without TLS.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start_msrp_relay() -> Result<Self> {
        on_free_ports(|| Self::start_on(free_address()?, MSRP_RELAY, &[]))
    }

    fn start_on(address: SocketAddr, settings: &str, definitions: &[String]) -> Result<Self> {
        let program = server_program("kamailio")?;
        let user = User::for_server("kamailio")?;
        let scratch = Scratch::new("kamailio")?;
        let directory = scratch.directory("run", user.as_ref())?;
        let config = scratch.path().join("kamailio.cfg");
        fs::write(&config, settings)?;
        let process = Launch::new("Kamailio", program, scratch.path().join("kamailio.log"))
            .arguments([
                "-f".into(),
                config.into_os_string(),
                "-Y".into(),
                directory.clone().into_os_string(),
            ])
            .arguments(["-w".into(), directory.clone().into_os_string()])
            .arguments(["-P".into(), directory.join("kamailio.pid").into_os_string()])
            .arguments(["-DD", "-E", "-m", "64", "-M", "8"])
            .arguments([
                "-l".to_owned(),
                format!("udp:{address}"),
                "-l".to_owned(),
                format!("tcp:{address}"),
            ])
            .arguments(definitions.iter().cloned())
            .user(user)
            .start()?;
        let mut kamailio = Self {
            process,
            address,
            secured: None,
            _scratch: scratch,
        };
        kamailio.wait_until_it_answers()?;
        Ok(kamailio)
    }

    /// Where SIP users connect, by UDP or TCP; MSRP users by TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it takes TLS connections.
    #[must_use]
    pub fn secured_address(&self) -> Option<SocketAddr> {
        self.secured
    }

    /// Everything it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// What its sanity checks and parser found wrong with messages: nothing, as long as everyone speaks proper SIP.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.log()
            .lines()
            .filter(|line| {
                line.contains("refused by sanity") || (line.contains("ERROR") && line.contains("pars"))
            })
            .map(str::to_owned)
            .collect()
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if !self.process.is_running() {
                bail!("Kamailio did not start\n{}", self.process.log_tail());
            }
            socket.send_to(
                options(self.address, socket.local_addr()?).as_bytes(),
                self.address,
            )?;
            let mut answer = [0; 2048];
            match socket.recv(&mut answer) {
                Ok(length)
                    if answer
                        .get(..length)
                        .is_some_and(|answer| answer.starts_with(b"SIP/2.0 200 ")) =>
                {
                    return Ok(());
                }
                // Nobody listens yet: give it a moment.
                _ => thread::sleep(Duration::from_millis(10)),
            }
        }
        bail!("Kamailio does not answer OPTIONS\n{}", self.process.log_tail())
    }
}

fn deployed_config() -> Result<String> {
    fs::read_to_string(deployed("kamailio.cfg")).context("deploy/kamailio.cfg")
}

/// Tells where a server is.
fn definition(name: &str, server: SocketAddr) -> [String; 2] {
    ["-A".to_owned(), format!("{name}=\"sip:{server};transport=tcp\"")]
}

fn free_address() -> Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)))
}

fn options(to: SocketAddr, from: SocketAddr) -> String {
    format!(
        "OPTIONS sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKready{}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:probe@example.org>;tag=1\r\nTo: <sip:example.org>\r\n\
         Call-ID: ready@{to}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        from.port()
    )
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::{Kamailio, options};
    use crate::PATIENCE;

    /// What the checks of every end-to-end test rest on.
    #[test]
    fn malformed_requests_and_responses_are_complained_about() {
        let mut kamailio = Kamailio::start(([127, 0, 0, 1], 9).into()).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let request = options(kamailio.address(), socket.local_addr().unwrap());
        let own_via = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKown",
            kamailio.address()
        );
        let response = request.replace("OPTIONS sip:example.org SIP/2.0", &own_via);
        for (sent, what) in [
            (request.replace("1 OPTIONS", "1 INVITE"), "request"),
            (
                response.replace("Content-Length: 0", "Content-Length: 7"),
                "response",
            ),
        ] {
            let before = kamailio.process.log().len();
            socket.send_to(sent.as_bytes(), kamailio.address()).unwrap();
            kamailio
                .process
                .wait_for_log("refused by sanity", before, PATIENCE)
                .unwrap_or_else(|error| panic!("{what}: {error:#}"));
        }
        assert!(kamailio.complaints().len() >= 2, "{:?}", kamailio.complaints());
    }

    #[test]
    fn the_deployed_configuration_starts_and_answers_options() {
        let kamailio = Kamailio::start(([127, 0, 0, 1], 9).into()).unwrap();
        assert_eq!(kamailio.complaints(), Vec::<String>::new());
    }
}
