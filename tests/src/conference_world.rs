//! The other direction: XMPP users in conferences of the SIP side.

use std::net::SocketAddr;

use crate::{
    Context, PATIENCE, Result,
    authority::Files,
    peers::{
        Conference, Gateway, GatewaySettings, Kamailio, SipChat, SipChatSettings, XmppServer, XmppServerKind,
        XmppUser, conference::CONFERENCES,
    },
    ports::free_port,
};

/// The conference of the tests, by the user part of its address.
pub const CONFERENCE: &str = "verona";
/// The same, as XMPP users name it.
pub const CONFERENCE_JID: &str = "verona@conference.example.org";
/// The same, as SIP users name it.
pub const CONFERENCE_URI: &str = "sip:verona@conference.example.org";

const ATTACHED: &str = "link up";
const ATTEMPTS: usize = 5;

/// The servers of the deployed configuration, and a conference server behind the SIP proxy.
#[derive(Debug)]
pub struct ConferenceWorld {
    /// The gateway. First, so that it is stopped while the others still hear its farewells.
    pub gateway: Gateway,
    /// The conference server.
    pub conference: Conference,
    /// The SIP proxy.
    pub kamailio: Kamailio,
    /// The XMPP server.
    pub xmpp: XmppServer,
}

impl ConferenceWorld {
    /// Starts them, with options of the conference server and settings of the gateway, and waits until both components are attached.
    ///
    /// # Errors
    /// One of them does not start; the message holds its log.
    pub fn start(
        server: XmppServerKind,
        options: &[&str],
        overrides: &[(&'static str, String)],
    ) -> Result<Self> {
        Self::start_as(server, options, None, overrides)
    }

    /// The same where MSRP goes over TLS, with the certificates of the conference's switch and of the gateway.
    ///
    /// # Errors
    /// One of them does not start; the message holds its log.
    pub fn start_as(
        server: XmppServerKind,
        options: &[&str],
        tls: Option<[&Files; 2]>,
        overrides: &[(&'static str, String)],
    ) -> Result<Self> {
        let (of_switch, of_gateway) = (tls.map(|[files, _]| files), tls.map(|[_, files]| files));
        let xmpp = XmppServer::start(server)?;
        // Proxy and conference server call each other: one of them has to be told where the other will be.
        let proxied = local(free_port()?);
        let proxy_argument = proxied.to_string();
        let options = [&["--proxy", &proxy_argument], options].concat();
        let conference = Conference::start_as(&options, of_switch)?;
        let mut failure = None;
        for _ in 0..ATTEMPTS {
            let (sip, msrp) = (local(free_port()?), local(free_port()?));
            let started = Kamailio::start_at(proxied, sip, conference.sip_address()).and_then(|kamailio| {
                let gateway = start_gateway(&xmpp, &kamailio, (sip, msrp), of_gateway, overrides)?;
                Ok((kamailio, gateway))
            });
            match started {
                Ok((kamailio, gateway)) => {
                    return Ok(Self {
                        gateway,
                        conference,
                        kamailio,
                        xmpp,
                    });
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.context("no attempt was made")?)
    }

    /// Creates an account `NAME@example.com` and logs it in.
    ///
    /// # Errors
    /// It does not get in.
    pub fn xmpp_user(&self, name: &str) -> Result<XmppUser> {
        self.xmpp.connect_user(name)
    }

    /// How `NAME@example.org` gets into the conference through Kamailio.
    #[must_use]
    pub fn sip_settings(&self, name: &str, nickname: &str) -> SipChatSettings {
        let proxy = Some(self.kamailio.address());
        self.conference.sip_settings(CONFERENCE, name, nickname, proxy)
    }

    /// Brings `NAME@example.org` into the conference through Kamailio.
    ///
    /// # Errors
    /// He is refused, or nothing happens.
    pub fn sip_user(&self, name: &str, nickname: &str) -> Result<SipChat> {
        SipChat::enter(&self.sip_settings(name, nickname))
    }

    /// Ends the conference server, with a BYE to whoever is there, and starts it at the same address with other options.
    ///
    /// # Errors
    /// It does not end, or the new one does not start.
    pub fn restart_conference(&mut self, options: &[&str]) -> Result<()> {
        self.conference.quit()?;
        self.replace_conference(options)
    }

    /// Starts a conference server at the address of one that is no more.
    ///
    /// # Errors
    /// It does not start.
    pub fn replace_conference(&mut self, options: &[&str]) -> Result<()> {
        self.conference.check_msrp()?;
        let proxy = self.kamailio.address().to_string();
        let options = [&["--proxy", &proxy], options].concat();
        self.conference = Conference::start_at(self.conference.sip_address(), &options)?;
        Ok(())
    }

    /// The ends of all logs.
    #[must_use]
    pub fn logs(&self) -> String {
        [
            self.xmpp.log_tail(),
            self.kamailio.log_tail(),
            self.conference.log_tail(),
            self.gateway.log_tail(),
        ]
        .join("\n")
    }
}

fn start_gateway(
    xmpp: &XmppServer,
    kamailio: &Kamailio,
    (sip, msrp): (SocketAddr, SocketAddr),
    msrp_tls: Option<&Files>,
    overrides: &[(&'static str, String)],
) -> Result<Gateway> {
    let conferences = format!("[{{ muc = \"{CONFERENCES}\", sip = \"{CONFERENCES}\" }}]");
    let proxy = format!("sip:{};transport=tcp;lr", kamailio.address());
    let own = [
        ("GATEWAY__CONFERENCES", conferences),
        ("GATEWAY__SIP__OUTBOUND_PROXY", proxy),
    ];
    let settings = GatewaySettings {
        overrides: own.iter().chain(overrides).cloned().collect(),
        msrp_tls: msrp_tls.cloned(),
        ..GatewaySettings::for_server(xmpp)
    };
    let mut gateway = Gateway::start_on(sip, msrp, &settings)?;
    // Once for the SIP users, once for the conferences.
    let mut from = 0;
    for _ in 0..2 {
        let process = gateway.process();
        process
            .wait_for_log(ATTACHED, from, PATIENCE)
            .with_context(|| xmpp.log_tail())?;
        let log = process.log();
        let found = log.get(from..).and_then(|rest| rest.find(ATTACHED));
        from += found.unwrap_or_default() + ATTACHED.len();
    }
    Ok(gateway)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Runs a test in a fresh world; a failure carries the servers' logs. All MSRP that the gateway writes has to be sound.
///
/// # Errors
/// What the test returns, unsound MSRP, or a server that does not start.
pub fn in_a_conference_world(
    server: XmppServerKind,
    options: &[&str],
    test: impl FnOnce(&mut ConferenceWorld) -> Result<()>,
) -> Result<()> {
    in_a_conference_world_with(server, options, &[], test)
}

/// The same with settings of the gateway.
///
/// # Errors
/// What the test returns, unsound MSRP, or a server that does not start.
pub fn in_a_conference_world_with(
    server: XmppServerKind,
    options: &[&str],
    overrides: &[(&'static str, String)],
    test: impl FnOnce(&mut ConferenceWorld) -> Result<()>,
) -> Result<()> {
    let mut world = ConferenceWorld::start(server, options, overrides)?;
    let outcome = test(&mut world);
    let sound = world
        .gateway
        .check_msrp()
        .and_then(|()| world.conference.check_msrp());
    outcome.and(sound).with_context(|| world.logs())
}
