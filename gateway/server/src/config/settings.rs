//! The file's keys as they are written, with their defaults. Every type refuses keys it does not know.

use std::{fmt, path::PathBuf, time::Duration};

use mapping::{AddressForm, AnswerRule, ConflictRule, CreationRule, NamingRule, OutageRule, RouteRule};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::human;

mod security;

pub use self::security::{ChallengeSettings, MsrpTls, TlsSettings, TrustSettings};

/// What a secret is shown as.
pub const REDACTED: &str = "<redacted>";

/// The whole file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The link to the XMPP server.
    pub xmpp: XmppSettings,
    /// SIP sockets.
    pub sip: SipSettings,
    /// Certificates.
    pub tls: TlsSettings,
    /// MSRP sockets.
    pub msrp: MsrpSettings,
    /// How SIP users enter rooms.
    pub entering: EnteringSettings,
    /// Who may use the gateway.
    pub access: AccessSettings,
    /// Who may give commands.
    pub admin: AdminSettings,
    /// Whose other domains are.
    pub routing: RoutingSettings,
    /// How our users' occupants behave in their rooms.
    #[serde(with = "Occupants")]
    pub occupants: mapping::Occupants,
    /// What else than plain texts SIP users are shown.
    #[serde(with = "Texts")]
    pub texts: mapping::Texts,
    /// What SIP users see of a room that is out of reach.
    #[serde(with = "Outage")]
    pub outage: mapping::Outage,
    /// Host look-ups.
    pub dns: DnsSettings,
    /// The log.
    pub log: LogSettings,
    /// Conference domains.
    pub rooms: Vec<RoomSettings>,
    /// Rooms with a password.
    pub passwords: Vec<PasswordSettings>,
    /// Further domains of SIP users.
    pub users: Vec<UserSettings>,
    /// SIP conferences for XMPP users.
    pub conferences: Vec<ConferenceSettings>,
    /// Bounds and deadlines.
    pub limits: LimitSettings,
}

/// `[admin]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Addresses of administrators in XMPP, without resources. Default none.
    #[serde(deserialize_with = "one_or_more")]
    pub jids: Vec<String>,
}

/// `[xmpp]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct XmppSettings {
    /// `host:port` of the server's component listener; several are tried in turn. Default `127.0.0.1:5347`.
    #[serde(deserialize_with = "one_or_more")]
    pub server: Vec<String>,
    /// Whether it speaks TLS from the first octet. Default false.
    #[serde(with = "human::switch")]
    pub tls: bool,
    /// Whom its certificate must name. Default: the host of `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_name: Option<String>,
    /// A file with the certificates that it must lead to. Default: the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_anchors: Option<PathBuf>,
    /// The component's domain. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Form of the addresses under it. Default native.
    #[serde(with = "Form")]
    pub form: AddressForm,
    /// The shared secret; this or `secret_file` is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// A file with the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// How long connect and handshake may take. Default 10 s.
    #[serde(with = "human::duration")]
    pub handshake: Duration,
    /// Silence after which the server is pinged. Default 30 s.
    #[serde(with = "human::duration")]
    pub idle: Duration,
    /// How long a ping may go unanswered. Default 10 s.
    #[serde(with = "human::duration")]
    pub ping: Duration,
    /// The longest wait between two attempts while the server is out of reach. Default 2 s.
    #[serde(with = "human::duration")]
    pub retry: Duration,
    /// What to do when another connection takes the domain over. Default retry.
    #[serde(with = "Takeover")]
    pub conflict: xmpp::ConflictRule,
}

impl Default for XmppSettings {
    fn default() -> Self {
        Self {
            server: vec!["127.0.0.1:5347".to_owned()],
            tls: false,
            tls_name: None,
            tls_anchors: None,
            domain: None,
            form: AddressForm::Native,
            secret: None,
            secret_file: None,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            ping: Duration::from_secs(10),
            retry: Duration::from_secs(2),
            conflict: xmpp::ConflictRule::Retry,
        }
    }
}

/// `[sip]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SipSettings {
    /// Addresses listened on, `transport:address:port`. Default UDP and TCP on 127.0.0.1:5060.
    #[serde(deserialize_with = "one_or_more")]
    pub listen: Vec<String>,
    /// `host[:port]` that peers reach us by. Default: the listen address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// SIP URI that requests outside a dialog are sent through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_proxy: Option<String>,
    /// RFC 3261 T1. Default 500 ms.
    #[serde(with = "human::duration")]
    pub t1: Duration,
    /// How often peers we have connected to are asked whether they are there (RFC 5626); zero: never. Default 2 min.
    #[serde(with = "human::duration")]
    pub keep_alive: Duration,
    /// Who is believed.
    pub trust: TrustSettings,
    /// Who is asked for a password.
    pub challenge: ChallengeSettings,
    /// What challenges are answered with.
    pub credentials: CredentialSettings,
    /// Where the gateway registers itself.
    pub register: RegisterSettings,
}

impl Default for SipSettings {
    fn default() -> Self {
        Self {
            listen: vec!["udp:127.0.0.1:5060".to_owned(), "tcp:127.0.0.1:5060".to_owned()],
            advertise: None,
            outbound_proxy: None,
            t1: Duration::from_millis(500),
            keep_alive: Duration::from_secs(120),
            trust: TrustSettings::default(),
            challenge: ChallengeSettings::default(),
            credentials: CredentialSettings::default(),
            register: RegisterSettings::default(),
        }
    }
}

/// `[sip.credentials]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialSettings {
    /// The only realm whose challenges are answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// User name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password; this or `password_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A file with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

/// `[sip.register]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegisterSettings {
    /// SIP URI of the registrar; without it nothing is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrar: Option<String>,
    /// SIP URI that is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// For how long at a time. Default 1 h.
    #[serde(with = "human::duration")]
    pub expires: Duration,
}

impl Default for RegisterSettings {
    fn default() -> Self {
        Self {
            registrar: None,
            address: None,
            expires: Duration::from_secs(3600),
        }
    }
}

/// `[msrp]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MsrpSettings {
    /// Addresses listened on, `address:port`, or `tls:address:port`. Default 127.0.0.1:2855.
    #[serde(deserialize_with = "one_or_more")]
    pub listen: Vec<String>,
    /// What TLS is to those who could do without. Default accepted.
    pub tls: MsrpTls,
    /// Whether connections are opened to clients that want that. Default true.
    #[serde(with = "human::switch")]
    pub connect: bool,
    /// `host[:port]`, or `tls:host[:port]`, that peers reach us by. Default: the listen addresses.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub advertise: Vec<String>,
}

impl Default for MsrpSettings {
    fn default() -> Self {
        Self {
            listen: vec!["127.0.0.1:2855".to_owned()],
            tls: MsrpTls::Accepted,
            connect: true,
            advertise: Vec::new(),
        }
    }
}

/// One `[[rooms]]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomSettings {
    /// Host of the conference URIs. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<String>,
    /// The MUC service. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muc: Option<String>,
}

/// One `[[passwords]]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordSettings {
    /// Address of the room in XMPP. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Its password; this or `password_file` is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A file with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Whether callers are asked for it; else all are let in with it. Default true.
    #[serde(with = "human::switch")]
    pub ask: bool,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self {
            room: None,
            password: None,
            password_file: None,
            ask: true,
        }
    }
}

/// One `[[users]]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserSettings {
    /// The component's domain. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Form of the addresses under it. Default native.
    #[serde(with = "Form")]
    pub form: AddressForm,
    /// `host:port` of the server's component listener. Default `xmpp.server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The shared secret; this or `secret_file`. Default that of `[xmpp]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// A file with the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
}

impl Default for UserSettings {
    fn default() -> Self {
        Self {
            domain: None,
            form: AddressForm::Native,
            server: None,
            secret: None,
            secret_file: None,
        }
    }
}

/// One `[[conferences]]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConferenceSettings {
    /// The component's domain. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muc: Option<String>,
    /// Host of the conference URIs. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<String>,
    /// `host:port` of the server's component listener. Default `xmpp.server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The shared secret; this or `secret_file`. Default that of `[xmpp]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// A file with the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
}

/// `[entering]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnteringSettings {
    /// When an INVITE is answered. Default when admitted.
    #[serde(with = "Answer")]
    pub answer: AnswerRule,
    /// History stanzas asked for. Default 0.
    #[serde(with = "human::count")]
    pub history: u32,
    /// Under which nickname a room is entered. Default provisional.
    #[serde(with = "Naming")]
    pub naming: NamingRule,
    /// Whether a user is told of a nickname that he does not expect. Default true.
    #[serde(with = "human::switch")]
    pub tell_nickname: bool,
    /// What becomes of a room that a call creates. Default accept-default.
    #[serde(with = "Creation")]
    pub create: CreationRule,
    /// What becomes of an XMPP user whose nickname is taken in a SIP conference. Default refused.
    #[serde(with = "Conflict")]
    pub conflict: ConflictRule,
}

impl Default for EnteringSettings {
    fn default() -> Self {
        Self {
            answer: AnswerRule::WhenAdmitted,
            history: 0,
            naming: NamingRule::Provisional,
            tell_nickname: true,
            create: CreationRule::AcceptDefault,
            conflict: ConflictRule::Refuse,
        }
    }
}

/// `[access]`: patterns of addresses and domains.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    /// Whether SIP users may hide who they are. Default true.
    #[serde(with = "human::switch")]
    pub anonymous: bool,
    /// If any: only these SIP users may use the gateway.
    #[serde(with = "list")]
    pub allow_callers: Vec<String>,
    /// These SIP users may not.
    #[serde(with = "list")]
    pub deny_callers: Vec<String>,
    /// If any: only these XMPP users may invite and be invited.
    #[serde(with = "list")]
    pub allow_xmpp_users: Vec<String>,
    /// These XMPP users may not.
    #[serde(with = "list")]
    pub deny_xmpp_users: Vec<String>,
    /// If any: only these rooms may be entered.
    #[serde(with = "list")]
    pub allow_rooms: Vec<String>,
    /// These rooms may not.
    #[serde(with = "list")]
    pub deny_rooms: Vec<String>,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            anonymous: true,
            allow_callers: Vec::new(),
            deny_callers: Vec::new(),
            allow_xmpp_users: Vec::new(),
            deny_xmpp_users: Vec::new(),
            allow_rooms: Vec::new(),
            deny_rooms: Vec::new(),
        }
    }
}

/// `[routing]`: whose domains are that are neither components nor conference domains.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingSettings {
    /// Domains of SIP users.
    #[serde(with = "list")]
    pub sip: Vec<String>,
    /// Domains of XMPP users.
    #[serde(with = "list")]
    pub xmpp: Vec<String>,
    /// Whose all others are. Default XMPP.
    #[serde(with = "Route")]
    pub otherwise: RouteRule,
    /// The SIP domain of telephone numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<String>,
}

impl Default for RoutingSettings {
    fn default() -> Self {
        Self {
            sip: Vec::new(),
            xmpp: Vec::new(),
            otherwise: RouteRule::Xmpp,
            numbers: None,
        }
    }
}

/// `[dns]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsSettings {
    /// Name servers, `address[:port]`. Default: the system's.
    #[serde(deserialize_with = "one_or_more")]
    pub servers: Vec<String>,
    /// How long one look-up may take in all. Default 8 s.
    #[serde(with = "human::duration")]
    pub deadline: Duration,
    /// How long an earlier answer may stand in for name servers that give none; zero: never. Default 24 h.
    #[serde(with = "human::duration")]
    pub stale: Duration,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            deadline: Duration::from_secs(8),
            stale: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// For people or for machines. Default pretty.
    pub format: LogFormat,
    /// Level, also per module: `info`, `info,sip=debug`. Default info.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Pretty,
            level: "info".to_owned(),
        }
    }
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text per event.
    Pretty,
    /// One JSON object per event.
    Json,
}

/// `[limits.*]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Of the mapping core.
    #[serde(with = "MappingLimits")]
    pub mapping: mapping::Limits,
    /// Of SIP messages, transactions and dialogs.
    #[serde(with = "SipLimits")]
    pub sip: sip::Limits,
    /// Of what each source may ask for that is no trusted peer.
    #[serde(with = "SipRates")]
    pub rates: sip::Rates,
    /// Of each MSRP connection.
    #[serde(with = "MsrpLimits")]
    pub msrp: msrp::Limits,
    /// Of the component stream.
    #[serde(with = "XmppLimits")]
    pub xmpp: xmpp::Limits,
    /// Of sockets.
    pub connections: ConnectionLimits,
}

/// `[limits.connections]`: what sockets may cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionLimits {
    /// SIP streams accepted in all. Default 4096.
    #[serde(with = "human::count")]
    pub sip: usize,
    /// MSRP connections accepted in all. Default 10 000.
    #[serde(with = "human::count")]
    pub msrp: usize,
    /// Connections of each of the two kinds from one address. Default 64.
    #[serde(with = "human::count")]
    pub per_address: usize,
    /// Octets that may wait for one SIP stream; one more, and it is closed. Default 256 KiB.
    #[serde(with = "human::octets")]
    pub sip_queue: usize,
    /// How long a new SIP stream may stay silent. Default 10 s.
    #[serde(with = "human::duration")]
    pub sip_first: Duration,
    /// How long one SIP message may take to arrive on a stream. Default 10 s.
    #[serde(with = "human::duration")]
    pub sip_message: Duration,
    /// How long a SIP stream may be idle. Default 65 min, longer than a proxy keeps it.
    #[serde(with = "human::duration")]
    pub sip_idle: Duration,
    /// How long a TLS handshake may take. Default 5 s.
    #[serde(with = "human::duration")]
    pub tls_handshake: Duration,
    /// How long the answer to a keep-alive may take. Default 10 s.
    #[serde(with = "human::duration")]
    pub sip_pong: Duration,
    /// How long an MSRP connection may be without a session. Default 30 s.
    #[serde(with = "human::duration")]
    pub msrp_unbound: Duration,
    /// How long a peer may take none of what is written to it. Default 30 s.
    #[serde(with = "human::duration")]
    pub write_stall: Duration,
    /// How long opening a SIP stream may take, or an MSRP connection, at all addresses of its host together. Default 5 s.
    #[serde(with = "human::duration")]
    pub connect: Duration,
    /// How long sessions may take to end when the gateway stops. Default 5 s.
    #[serde(with = "human::duration")]
    pub stop: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            sip: 4096,
            msrp: 10_000,
            per_address: 64,
            sip_queue: 256 * 1024,
            sip_first: Duration::from_secs(10),
            sip_message: Duration::from_secs(10),
            sip_idle: Duration::from_secs(65 * 60),
            tls_handshake: Duration::from_secs(5),
            sip_pong: Duration::from_secs(10),
            msrp_unbound: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            stop: Duration::from_secs(5),
        }
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "xmpp::ConflictRule", rename_all = "lowercase")]
enum Takeover {
    Retry,
    Stop,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AddressForm", rename_all = "lowercase")]
enum Form {
    Native,
    Hosted,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OutageRule", rename_all = "kebab-case")]
enum HeldOrNot {
    Refuse,
    Hold,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ConflictRule", rename_all = "kebab-case")]
enum Conflict {
    Refuse,
    Vary,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AnswerRule", rename_all = "kebab-case")]
enum Answer {
    WhenAdmitted,
    AtOnce,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NamingRule", rename_all = "kebab-case")]
enum Naming {
    Provisional,
    Requested,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CreationRule", rename_all = "kebab-case")]
enum Creation {
    AcceptDefault,
    Refuse,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RouteRule", rename_all = "kebab-case")]
enum Route {
    Xmpp,
    Sip,
    Dns,
}

/// Lists the keys of a machine's settings: name, type, how it is written. Defaults are the machine's.
macro_rules! of_a_machine {
    ($path:literal as $name:ident: $remote:ty { $($field:ident: $kind:ty = $with:literal,)* }) => {
        #[derive(Serialize, Deserialize)]
        #[serde(remote = $path, default, deny_unknown_fields)]
        struct $name {
            $(#[serde(with = $with)] $field: $kind,)*
        }
        impl Default for $name {
            fn default() -> Self {
                let defaults = <$remote>::default();
                Self { $($field: defaults.$field,)* }
            }
        }
    };
}

of_a_machine! {
    "mapping::Texts" as Texts: mapping::Texts {
        actions: bool = "human::switch",
        corrections: bool = "human::switch",
        replies: bool = "human::switch",
        reactions: bool = "human::switch",
        retractions: bool = "human::switch",
        links: bool = "human::switch",
        encrypted: bool = "human::switch",
        languages: Vec<String> = "list",
    }
}

of_a_machine! {
    "mapping::Occupants" as Occupants: mapping::Occupants {
        share_copies: bool = "human::switch",
        self_ping: Duration = "human::duration",
        typing: bool = "human::switch",
    }
}

of_a_machine! {
    "mapping::Outage" as Outage: mapping::Outage {
        tell: bool = "human::switch",
        messages: OutageRule = "HeldOrNot",
    }
}

of_a_machine! {
    "mapping::Limits" as MappingLimits: mapping::Limits {
        admission: Duration = "human::duration",
        media: Duration = "human::duration",
        reflection: Duration = "human::duration",
        nickname: Duration = "human::duration",
        first_nickname: Duration = "human::duration",
        ringing: Duration = "human::duration",
        notify: Duration = "human::duration",
        reentry: Duration = "human::duration",
        entrance: Duration = "human::duration",
        listing: Duration = "human::duration",
        unnamed: Duration = "human::duration",
        sessions: usize = "human::count",
        calls: usize = "human::count",
        recipients: usize = "human::count",
        occupants: usize = "human::count",
        session_queue: (usize, usize) = "human::queue",
        text: usize = "human::octets",
    }
}

of_a_machine! {
    "sip::Limits" as SipLimits: sip::Limits {
        message: usize = "human::octets",
        head: usize = "human::octets",
        header_line: usize = "human::octets",
        headers: usize = "human::count",
        vias: usize = "human::count",
        transactions: usize = "human::count",
        dialogs: usize = "human::count",
        subscription: (Duration, Duration) = "human::duration_range",
        session: (Duration, Duration) = "human::duration_range",
    }
}

of_a_machine! {
    "sip::Rates" as SipRates: sip::Rates {
        invites: sip::Rate = "human::rate",
        subscribes: sip::Rate = "human::rate",
        registers: sip::Rate = "human::rate",
        others: sip::Rate = "human::rate",
        sources: usize = "human::count",
    }
}

of_a_machine! {
    "msrp::Limits" as MsrpLimits: msrp::Limits {
        start_line: usize = "human::octets",
        header_line: usize = "human::octets",
        headers: usize = "human::count",
        chunk_in: usize = "human::octets",
        chunk_out: usize = "human::octets",
        message: usize = "human::octets",
        open_messages: usize = "human::count",
        reassembly: usize = "human::octets",
        incoming: usize = "human::octets",
        sessions: usize = "human::count",
        outgoing: usize = "human::octets",
        unanswered: usize = "human::count",
        transaction: Duration = "human::duration",
        chunk_reception: Duration = "human::duration",
    }
}

of_a_machine! {
    "xmpp::Limits" as XmppLimits: xmpp::Limits {
        depth: usize = "human::count",
        attribute: usize = "human::octets",
        attributes: usize = "human::count",
        elements: usize = "human::count",
        name: usize = "human::octets",
        stanza_in: usize = "human::octets",
        stanza_out: usize = "human::octets",
        queue: usize = "human::octets",
    }
}

/// A list, or one text with its entries separated by commas, as an environment variable writes it most easily.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMore;
    impl<'de> de::Visitor<'de> for OneOrMore {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(text.split(',').map(|entry| entry.trim().to_owned()).collect())
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = list.next_element()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    deserializer.deserialize_any(OneOrMore)
}

/// `#[serde(with = …)]` for what [`one_or_more`] reads.
mod list {
    use serde::{Serialize, Serializer};

    pub(super) use super::one_or_more as deserialize;

    pub(super) fn serialize<S: Serializer>(list: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        list.serialize(serializer)
    }
}
