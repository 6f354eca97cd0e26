//! An XMPP server, Kamailio and the gateway, together on loopback.

use crate::{
    Context, PATIENCE, Result,
    authority::Files,
    ensure,
    peers::{
        Gateway, GatewaySettings, Kamailio, SipChat, SipChatSettings, XmppServer, XmppServerKind, XmppUser,
    },
};

/// The room of the tests, as XMPP users name it.
pub const ROOM: &str = "capulet@rooms.example.com";
/// The room of the tests, as SIP users name it.
pub const ROOM_URI: &str = "sip:capulet@rooms.example.com";

const ATTACHED: &str = "link up";

/// The three servers of the deployed configuration.
#[derive(Debug)]
pub struct World {
    /// The gateway. First, so that it is stopped while the others still hear its farewells.
    pub gateway: Gateway,
    /// The SIP proxy.
    pub kamailio: Kamailio,
    /// The XMPP server.
    pub xmpp: XmppServer,
}

impl World {
    /// Starts all three, with Prosody, and waits until the gateway is attached.
    ///
    /// # Errors
    /// One of them does not start; the message holds its log.
    pub fn start() -> Result<Self> {
        Self::start_with(XmppServerKind::default(), Vec::new())
    }

    /// The same with an XMPP server and settings of one's own.
    ///
    /// # Errors
    /// One of them does not start; the message holds its log.
    pub fn start_with(server: XmppServerKind, overrides: Vec<(&'static str, String)>) -> Result<Self> {
        Self::start_as(server, None, overrides)
    }

    /// The same where MSRP goes over TLS, too, with this certificate.
    ///
    /// # Errors
    /// One of them does not start; the message holds its log.
    pub fn start_as(
        server: XmppServerKind,
        msrp_tls: Option<Files>,
        overrides: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        let xmpp = XmppServer::start(server)?;
        let mut gateway = Gateway::start(&GatewaySettings {
            overrides,
            msrp_tls,
            ..GatewaySettings::for_server(&xmpp)
        })?;
        gateway
            .process()
            .wait_for_log(ATTACHED, 0, PATIENCE)
            .with_context(|| xmpp.log_tail())?;
        let kamailio = Kamailio::start(gateway.sip_address())?;
        Ok(Self {
            gateway,
            kamailio,
            xmpp,
        })
    }

    /// Creates an account `NAME@example.com` and logs it in.
    ///
    /// # Errors
    /// It does not get in.
    pub fn xmpp_user(&self, name: &str) -> Result<XmppUser> {
        self.xmpp.connect_user(name)
    }

    /// How `NAME@example.org` gets into the room through Kamailio.
    #[must_use]
    pub fn sip_settings(&self, name: &str, nickname: &str) -> SipChatSettings {
        SipChatSettings {
            from: format!("sip:{name}@example.org"),
            room: ROOM_URI.to_owned(),
            proxy: self.kamailio.address(),
            nickname: nickname.to_owned(),
            msrp_tls: false,
        }
    }

    /// Brings `NAME@example.org` into the room through Kamailio.
    ///
    /// # Errors
    /// He is refused, or nothing happens.
    pub fn sip_user(&self, name: &str, nickname: &str) -> Result<SipChat> {
        SipChat::enter(&self.sip_settings(name, nickname))
    }

    /// Judges all SIP that went through Kamailio: its sanity checks and its parser must have had nothing to say.
    ///
    /// # Errors
    /// They had; the message is what they said.
    pub fn check_sip(&self) -> Result<()> {
        let complaints = self.kamailio.complaints();
        ensure!(complaints.is_empty(), "Kamailio refused: {complaints:#?}");
        Ok(())
    }

    /// The ends of all logs.
    #[must_use]
    pub fn logs(&self) -> String {
        [
            self.xmpp.log_tail(),
            self.kamailio.log_tail(),
            self.gateway.log_tail(),
        ]
        .join("\n")
    }
}

/// Runs a test in a fresh world with Prosody; a failure carries the servers' logs. All MSRP that the gateway writes has to be
/// sound, and Kamailio content with all SIP.
///
/// # Errors
/// What the test returns, unsound MSRP, refused SIP, or a server that does not start.
pub fn in_a_world(test: impl FnOnce(&mut World) -> Result<()>) -> Result<()> {
    in_a_world_with(XmppServerKind::default(), test)
}

/// The same with an XMPP server of one's choice.
///
/// # Errors
/// What the test returns, or a server that does not start.
pub fn in_a_world_with(server: XmppServerKind, test: impl FnOnce(&mut World) -> Result<()>) -> Result<()> {
    let mut world = World::start_with(server, Vec::new())?;
    let outcome = test(&mut world);
    let sound = world.gateway.check_msrp();
    let outcome = outcome.and(sound).and_then(|()| world.check_sip());
    outcome.with_context(|| world.logs())
}

/// Makes a test of each function for each XMPP server: `NAME(XmppServerKind) -> Result<()>` becomes `on_prosody::NAME` and
/// `on_ejabberd::NAME`.
#[macro_export]
macro_rules! on_each_xmpp_server {
    ($($test:ident),+ $(,)?) => {
        mod on_prosody {
            $(#[test]
            fn $test() -> $crate::Result<()> {
                super::$test($crate::peers::XmppServerKind::default())
            })+
        }
        mod on_ejabberd {
            $(#[test]
            fn $test() -> $crate::Result<()> {
                super::$test($crate::peers::XmppServerKind::Ejabberd)
            })+
        }
    };
}
