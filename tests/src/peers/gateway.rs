//! The gateway itself, with `deploy/gateway.toml`.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use super::{XmppServer, deployed, on_free_ports};
use crate::{
    Context, PATIENCE, Result,
    authority::Files,
    bail,
    binaries::Binaries,
    msrp_tap::MsrpTap,
    ports::free_port,
    process::{Launch, Process},
    scratch::Scratch,
};

/// What a test may want otherwise than it is.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Where the XMPP server takes components.
    pub server: SocketAddr,
    /// The secret shared with it.
    pub secret: String,
    /// Further settings as `GATEWAY__…` variables.
    pub overrides: Vec<(&'static str, String)>,
    /// The certificate with which it takes MSRP over TLS, too; the trust anchors are a setting of their own.
    pub msrp_tls: Option<Files>,
    /// The program, unless it is the one that cargo builds for tests.
    pub program: Option<PathBuf>,
}

impl GatewaySettings {
    /// Those that attach it to this server.
    #[must_use]
    pub fn for_server(server: &XmppServer) -> Self {
        Self {
            server: server.component_address(),
            secret: server.secret().to_owned(),
            overrides: Vec::new(),
            msrp_tls: None,
            program: None,
        }
    }
}

/// A running gateway. MSRP clients reach it through a tap; a test in which it writes unsound MSRP fails, at the latest when the
/// gateway is dropped.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    sip: SocketAddr,
    msrp: MsrpTap,
    msrps: Option<MsrpTap>,
    /// Whether the fault that the tap found has been told.
    judged: bool,
    _scratch: Scratch,
}

impl Gateway {
    /// Starts it on free ports of 127.0.0.1 and waits until it takes SIP connections, attached or not.
    ///
    /// # Errors
    /// It does not build or start.
    pub fn start(settings: &GatewaySettings) -> Result<Self> {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        on_free_ports(|| Self::start_on(local(free_port()?), local(free_port()?), settings))
    }

    /// Starts it on these addresses.
    ///
    /// # Errors
    /// It does not build or start.
    pub fn start_on(sip: SocketAddr, msrp: SocketAddr, settings: &GatewaySettings) -> Result<Self> {
        let tap = MsrpTap::start(msrp)?;
        let secured = match &settings.msrp_tls {
            Some(files) => {
                let listen = SocketAddr::new(msrp.ip(), free_port()?);
                Some((listen, MsrpTap::start_tls(listen, files)?, files))
            }
            None => None,
        };
        let scratch = Scratch::new("gateway")?;
        let config = scratch.path().join("gateway.toml");
        fs::copy(deployed("gateway.toml"), &config).context("deploy/gateway.toml")?;
        let program = match &settings.program {
            Some(program) => program,
            None => &Binaries::built()?.gateway,
        };
        let mut launch = Launch::new("Gateway", program, scratch.path().join("gateway.log"))
            .arguments(["run".into(), "--config".into(), config.into_os_string()])
            .environment("GATEWAY__XMPP__SERVER", settings.server.to_string())
            .environment("GATEWAY__XMPP__SECRET", &settings.secret)
            .environment("GATEWAY__SIP__LISTEN", format!("[\"udp:{sip}\", \"tcp:{sip}\"]"))
            .environment("GATEWAY__SIP__ADVERTISE", sip.ip().to_string())
            .environment("GATEWAY__MSRP__LISTEN", msrp.to_string())
            .environment("GATEWAY__MSRP__ADVERTISE", tap.address().to_string());
        if let Some((listen, tls, files)) = &secured {
            launch = launch
                .environment("GATEWAY__MSRP__LISTEN", format!("{msrp},tls:{listen}"))
                .environment(
                    "GATEWAY__MSRP__ADVERTISE",
                    format!("{},tls:{}", tap.address(), tls.address()),
                )
                .environment(
                    "GATEWAY__TLS__CERTIFICATE",
                    files.certificate.display().to_string(),
                )
                .environment("GATEWAY__TLS__KEY", files.key.display().to_string());
        }
        for (name, value) in &settings.overrides {
            launch = launch.environment(name, value);
        }
        let mut gateway = Self {
            process: launch.start()?,
            sip,
            msrp: tap,
            msrps: secured.map(|(_, tls, _)| tls),
            judged: false,
            _scratch: scratch,
        };
        gateway.wait_until_it_listens()?;
        Ok(gateway)
    }

    /// Where it takes SIP, by UDP and TCP.
    #[must_use]
    pub fn sip_address(&self) -> SocketAddr {
        self.sip
    }

    /// Where it takes MSRP connections: at the tap.
    #[must_use]
    pub fn msrp_address(&self) -> SocketAddr {
        self.msrp.address()
    }

    /// Octets of MSRP that it has written to those who connected to it without TLS.
    #[must_use]
    pub fn msrp_written(&self) -> usize {
        self.msrp.written()
    }

    /// And with TLS.
    #[must_use]
    pub fn msrps_written(&self) -> usize {
        self.msrps.as_ref().map_or(0, MsrpTap::written)
    }

    /// Judges all MSRP that it has written to those who connected to it.
    ///
    /// # Errors
    /// It broke a rule.
    pub fn check_msrp(&mut self) -> Result<()> {
        self.judged = true;
        self.msrp.check()?;
        self.msrps.as_ref().map_or(Ok(()), MsrpTap::check)
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
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

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    fn wait_until_it_listens(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if !self.is_running() {
                bail!("the gateway did not start\n{}", self.log_tail());
            }
            if TcpStream::connect(self.sip).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("the gateway does not listen at {}\n{}", self.sip, self.log_tail())
    }
}

impl Drop for Gateway {
    #[expect(
        clippy::panic,
        reason = "the test must fail, and a drop has no other way to say so"
    )]
    fn drop(&mut self) {
        if !self.judged
            && !thread::panicking()
            && let Err(fault) = self.check_msrp()
        {
            panic!("{fault:#}");
        }
    }
}
