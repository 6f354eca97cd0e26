//! The configuration: a TOML file, overridden by environment variables `GATEWAY__SECTION__KEY`, secrets also from files. All faults
//! are collected, each with its place and a remedy.

mod attached;
pub mod fault;
pub mod human;
pub mod settings;

mod read;
mod source;
mod users;
mod validate;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use mapping::{MsrpPlaces, MsrpTransport};
use sip::{LocalAddress, Transport, message::Uri};

use self::source::Sources;
pub use self::{
    fault::{Fault, Place},
    settings::{ConnectionLimits, LogFormat, LogSettings, MsrpTls, Settings},
};
use crate::{
    lookup::LookupConfig,
    tls::{ComponentTls, Tls},
};

/// Where the file is unless the command line or `GATEWAY_CONFIG` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/sip-xmpp-gateway/gateway.toml";

/// A configuration without faults.
pub struct Loaded {
    /// As written, defaults filled in.
    pub settings: Settings,
    /// As the gateway uses it.
    pub config: Config,
    sources: Sources,
}

impl Loaded {
    /// Where a key, or the nearest of its parents, was set.
    #[must_use]
    pub fn place(&self, key: &[String]) -> Place {
        self.sources.place(key)
    }
}

/// Reads and validates the whole configuration. Nothing is looked up and no address is bound; files with secrets are read.
///
/// # Errors
/// Every fault there is.
pub fn load(
    file: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Vec<Fault>> {
    let sources = Sources::open(file, environment)?;
    let (settings, mut faults) = read::settings(&sources);
    let config = validate::config(&settings, &sources, &mut faults);
    match config {
        Some(config) if faults.is_empty() => Ok(Loaded {
            settings,
            config,
            sources,
        }),
        _ => Err(faults),
    }
}

/// The keys, as `section.key`, whose values differ; secrets are never compared.
#[must_use]
pub fn changed_keys(old: &Settings, new: &Settings) -> Vec<String> {
    let (old, new) = (leaves(old), leaves(new));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .cloned()
        .collect()
}

/// Every value with its key, as printed.
fn leaves(settings: &Settings) -> BTreeMap<String, String> {
    fn enter(table: &dyn toml_edit::TableLike, path: &str, into: &mut BTreeMap<String, String>) {
        for (key, item) in table.iter() {
            let path = if path.is_empty() {
                key.to_owned()
            } else {
                format!("{path}.{key}")
            };
            match item.as_table_like() {
                Some(table) => enter(table, &path, into),
                None => {
                    into.insert(path, item.to_string().trim().to_owned());
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    if let Ok(document) = toml_edit::ser::to_document(settings) {
        enter(document.as_table(), "", &mut found);
    }
    found
}

/// What the gateway runs with.
#[derive(Clone)]
pub struct Config {
    /// The component links, in the order of [`mapping::Config::links`].
    pub links: Vec<ComponentLink>,
    /// SIP.
    pub sip: SipConfig,
    /// Certificates.
    pub tls: Option<Tls>,
    /// How often their files are looked at; zero: never.
    pub tls_check: Duration,
    /// MSRP.
    pub msrp: MsrpConfig,
    /// The mapping core, but for the MSRP address, which is known once it is bound.
    pub core: CoreConfig,
    /// Host look-ups.
    pub lookup: LookupConfig,
    /// The directory for what outlives the gateway, if anything does.
    pub state: Option<PathBuf>,
    /// The log.
    pub log: LogSettings,
    /// Bounds of sockets.
    pub connections: ConnectionLimits,
}

/// A component link and where it goes.
#[derive(Clone)]
pub struct ComponentLink {
    /// The XMPP server's component listeners, tried in turn.
    pub servers: Vec<Host>,
    /// Set if they speak TLS from the first octet.
    pub tls: Option<ComponentTls>,
    /// What is said there.
    pub link: xmpp::LinkConfig,
}

/// A host, by name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Name or address, without brackets.
    pub name: String,
    /// Port.
    pub port: u16,
}

/// SIP.
#[derive(Debug, Clone)]
pub struct SipConfig {
    /// Addresses listened on: at most one per transport and address family.
    pub listen: Vec<(Transport, SocketAddr)>,
    /// What peers reach us by; without a port, the port listened on.
    pub advertise: Option<(String, Option<u16>)>,
    /// Where requests outside a dialog go first.
    pub outbound_proxy: Option<Uri>,
    /// What challenges of the outbound proxy and the registrar are answered with.
    pub credentials: Vec<sip::Credentials>,
    /// What is registered, and where.
    pub register: Option<sip::RegisterParameters>,
    /// RFC 3261 T1.
    pub t1: Duration,
    /// How often peers we have connected to are asked whether they are there; zero: never.
    pub keep_alive: Duration,
    /// Who is believed, who is asked for a password, and who may ask for how much.
    pub policy: Policy,
    /// Bounds.
    pub limits: sip::Limits,
}

/// How the endpoint meets those who send requests; it can change while calls stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Who is believed.
    pub trust: sip::Trust,
    /// Who is asked for a password.
    pub users: Option<sip::Users>,
    /// How much others may ask for.
    pub rates: sip::Rates,
}

/// MSRP.
#[derive(Debug, Clone)]
pub struct MsrpConfig {
    /// Addresses listened on: at least one, and at most one per transport and address family.
    pub listen: Vec<(MsrpTransport, SocketAddr)>,
    /// What peers reach us by; without a port, the port listened on.
    pub advertise: Vec<(MsrpTransport, (String, Option<u16>))>,
    /// What TLS is to those who could do without.
    pub tls: MsrpTls,
    /// Bounds.
    pub limits: msrp::Limits,
}

impl MsrpConfig {
    /// Where peers reach us, given the addresses that were bound. Of several for one transport they are told the first.
    fn places(&self, bound: &[(MsrpTransport, SocketAddr)]) -> MsrpPlaces {
        let advertise = |transport| self.advertise.iter().find(|(of, _)| *of == transport);
        let place = |transport| {
            let (_, address) = bound.iter().find(|(of, _)| *of == transport)?;
            Some(advertised(advertise(transport).map(|(_, place)| place), *address))
        };
        match (place(MsrpTransport::Tcp), place(MsrpTransport::Tls)) {
            (Some(tcp), Some(tls)) => {
                let offered = match self.tls {
                    MsrpTls::Accepted => MsrpTransport::Tcp,
                    MsrpTls::Offered => MsrpTransport::Tls,
                    MsrpTls::Required => return MsrpPlaces::Tls(tls),
                };
                MsrpPlaces::Either { tcp, tls, offered }
            }
            (None, Some(tls)) => MsrpPlaces::Tls(tls),
            // One of both is listened on.
            (tcp, None) => MsrpPlaces::Tcp(tcp.unwrap_or_default()),
        }
    }
}

/// The mapping core.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    /// The attached components of SIP users.
    pub components: Vec<mapping::Component>,
    /// Conference domains of multi-user chat services.
    pub rooms: Vec<mapping::RoomDomain>,
    /// Rooms with a password.
    pub passwords: BTreeMap<xmpp::BareJid, mapping::RoomPassword>,
    /// Attached components of SIP conferences.
    pub conferences: Vec<mapping::ConferenceDomain>,
    /// Which other domains are whose.
    pub routes: mapping::Routes,
    /// The SIP domain of telephone numbers.
    pub numbers: Option<String>,
    /// Whether MSRP connections are opened to clients that want that.
    pub connect: bool,
    /// When an INVITE is answered.
    pub answer: mapping::AnswerRule,
    /// What becomes of a nickname that is taken in a conference.
    pub conflict: mapping::ConflictRule,
    /// History stanzas asked for.
    pub history: u32,
    /// Under which nickname a room is entered.
    pub naming: mapping::NamingRule,
    /// Whether a user is told of a nickname that he does not expect.
    pub tell_nickname: bool,
    /// What becomes of a room that a call creates.
    pub creation: mapping::CreationRule,
    /// Who may use the gateway.
    pub access: mapping::Access,
    /// How our users' occupants behave.
    pub occupants: mapping::Occupants,
    /// What else than plain texts SIP users are shown.
    pub texts: mapping::Texts,
    /// What SIP users see of a room that is out of reach.
    pub outage: mapping::Outage,
    /// Who may give ad-hoc commands.
    pub admins: BTreeSet<xmpp::BareJid>,
    /// Bounds.
    pub limits: mapping::Limits,
}

impl Config {
    /// The endpoint's settings, given the addresses that were bound.
    #[must_use]
    pub fn endpoint(&self, bound: &[(Transport, SocketAddr)]) -> sip::Config {
        let local = bound
            .iter()
            .map(|(transport, address)| {
                let (host, port) = match (transport, &self.sip.advertise) {
                    // The port advertised is that of UDP and TCP; TLS never shares it.
                    (Transport::Tls, Some((host, _))) => (host.clone(), address.port()),
                    (_, advertise) => advertised(advertise.as_ref(), *address),
                };
                LocalAddress {
                    transport: *transport,
                    host,
                    port,
                }
            })
            .collect();
        sip::Config {
            local,
            outbound_proxy: self.sip.outbound_proxy.clone(),
            product: concat!("sip-xmpp-gateway/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: self.sip.limits.clone(),
            t1: self.sip.t1,
        }
    }

    /// The core's settings, given the MSRP addresses that were bound.
    #[must_use]
    pub fn core(&self, bound: &[(MsrpTransport, SocketAddr)]) -> mapping::Config {
        mapping::Config {
            components: self.core.components.clone(),
            rooms: self.core.rooms.clone(),
            passwords: self.core.passwords.clone(),
            conferences: self.core.conferences.clone(),
            msrp: self.msrp.places(bound),
            certificates: self.tls.as_ref().map(Tls::fingerprints).unwrap_or_default(),
            answer: self.core.answer,
            conflict: self.core.conflict,
            history: self.core.history,
            routes: self.core.routes.clone(),
            numbers: self.core.numbers.clone(),
            connect: self.core.connect,
            naming: self.core.naming,
            tell_nickname: self.core.tell_nickname,
            creation: self.core.creation,
            access: self.core.access.clone(),
            occupants: self.core.occupants,
            texts: self.core.texts.clone(),
            outage: self.core.outage,
            admins: self.core.admins.clone(),
            limits: self.core.limits.clone(),
        }
    }
}

fn advertised(advertise: Option<&(String, Option<u16>)>, bound: SocketAddr) -> (String, u16) {
    match advertise {
        Some((host, port)) => (host.clone(), port.unwrap_or(bound.port())),
        None => (bound.ip().to_string(), bound.port()),
    }
}
