//! From [`Settings`] to [`Config`]: what types cannot say.

mod passwords;
mod security;
mod trunk;

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use mapping::{Component, MsrpTransport, RoomDomain};
use sip::Transport;
use tracing_subscriber::filter::LevelFilter;

use super::{
    Config, CoreConfig, Host, MsrpConfig, SipConfig,
    attached::Attached,
    fault::Fault,
    settings::{MsrpTls, Secret, Settings, XmppSettings},
    source::Sources,
};
use crate::lookup::LookupConfig;

/// The port of an MSRP listener, RFC 4975 §15.4.
const MSRP_PORT: u16 = 2855;
/// Octets of a file with a secret.
const SECRET_FILE: u64 = 4096;

/// The configuration, or nothing when a part of it is at fault; every fault is added to `faults`.
pub(super) fn config(settings: &Settings, sources: &Sources, faults: &mut Vec<Fault>) -> Option<Config> {
    let mut check = Check { sources, faults };
    let xmpp_servers = check.servers(&["xmpp", "server"], &settings.xmpp.server);
    let domain = check.domain(
        &["xmpp", "domain"],
        settings.xmpp.domain.as_deref(),
        "example.org",
    );
    let secret = check.secret(settings);
    let rooms = check.rooms(settings);
    let passwords = check.passwords(settings);
    let usual = (xmpp_servers.as_deref(), secret.as_ref());
    let mut attached = settings
        .xmpp
        .domain
        .iter()
        .map(|domain| domain.to_lowercase())
        .collect();
    let users = check.users(settings, usual, &mut attached);
    let conferences = check.conferences(settings, usual, &mut attached);
    let sip = check.sip(settings);
    let msrp = check.msrp(settings);
    let secured = sip
        .as_ref()
        .is_some_and(|sip| is_among(&sip.listen, Transport::Tls))
        || msrp
            .as_ref()
            .is_some_and(|msrp| is_among(&msrp.listen, MsrpTransport::Tls));
    let tls = check.tls(settings, secured);
    let xmpp_tls = check.component_tls(settings);
    let servers = check.name_servers(settings);
    let state = check.state(settings);
    check.log(&settings.log.level);
    check.limits(settings);
    let access = check.access(settings);
    let admins = check.admins(settings);
    let routes = check.routes(settings);
    let numbers = check.numbers(settings);
    let first = Attached {
        of: Component {
            domain: domain?,
            form: settings.xmpp.form,
        },
        servers: xmpp_servers?,
        secret: secret?,
    };
    let (users, conferences, xmpp_tls) = (users?, conferences?, xmpp_tls?);
    let users: Vec<_> = [first].into_iter().chain(users).collect();
    let components = users
        .iter()
        .map(|user| user.link(&user.of.domain, true, settings, xmpp_tls.as_ref()));
    // The core has more to say for a service of rooms.
    let conference_links = conferences
        .iter()
        .map(|room| room.link(&room.of.muc, false, settings, xmpp_tls.as_ref()));
    Some(Config {
        links: components.chain(conference_links).collect(),
        sip: sip?,
        tls,
        tls_check: settings.tls.check,
        msrp: msrp?,
        core: CoreConfig {
            components: users.iter().map(|user| user.of.clone()).collect(),
            rooms: rooms?,
            passwords: passwords?,
            conferences: conferences.iter().map(|room| room.of.clone()).collect(),
            routes: routes?,
            numbers: numbers?,
            connect: settings.msrp.connect,
            answer: settings.entering.answer,
            conflict: settings.entering.conflict,
            history: settings.entering.history,
            naming: settings.entering.naming,
            tell_nickname: settings.entering.tell_nickname,
            creation: settings.entering.create,
            access: access?,
            occupants: settings.occupants,
            texts: settings.texts.clone(),
            outage: settings.outage,
            admins: admins?,
            limits: settings.limits.mapping.clone(),
        },
        lookup: LookupConfig {
            servers: servers?,
            deadline: settings.dns.deadline,
            stale: settings.dns.stale,
        },
        state: state?,
        log: settings.log.clone(),
        connections: settings.limits.connections.clone(),
    })
}

pub(super) struct Check<'a> {
    sources: &'a Sources,
    faults: &'a mut Vec<Fault>,
}

impl Check<'_> {
    /// Adds a fault, unless the key has one already.
    pub(super) fn fault<T>(
        &mut self,
        key: &[&str],
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Option<T> {
        let key: Vec<String> = key.iter().map(|part| (*part).to_owned()).collect();
        if !self.faults.iter().any(|fault| fault.key == key) {
            let place = self.sources.place(&key);
            self.faults.push(Fault {
                place,
                key,
                problem: problem.into(),
                remedy: remedy.into(),
            });
        }
        None
    }

    pub(super) fn host(&mut self, key: &[&str], text: &str, default_port: Option<u16>) -> Option<Host> {
        match host_and_port(text) {
            Some((name, port)) if port.or(default_port).is_some() => Some(Host {
                name,
                port: port.or(default_port)?,
            }),
            _ => self.fault(
                key,
                format!("`{text}` is no host and port"),
                "write it as \"host:5347\"",
            ),
        }
    }

    pub(super) fn domain(&mut self, key: &[&str], text: Option<&str>, example: &str) -> Option<String> {
        let Some(text) = text else {
            return self.fault(key, "missing", format!("add it, such as \"{example}\""));
        };
        let domain = text.trim_end_matches('.').to_lowercase();
        let plausible = domain
            .parse::<xmpp::BareJid>()
            .is_ok_and(|jid| jid.node().is_none())
            && !domain.contains(['/', '@', ':', ' '])
            && !domain.is_empty();
        if plausible {
            Some(domain)
        } else {
            self.fault(
                key,
                format!("`{text}` is no domain"),
                format!("write it as \"{example}\""),
            )
        }
    }

    fn secret(&mut self, settings: &Settings) -> Option<Secret> {
        let XmppSettings {
            secret, secret_file, ..
        } = &settings.xmpp;
        let keys = [&["xmpp", "secret"][..], &["xmpp", "secret_file"]];
        self.one_secret(
            keys,
            "the server's component_secret",
            secret.as_ref(),
            secret_file.as_deref(),
        )
    }

    /// A secret that stands in the file or in a file of its own, not in both.
    pub(super) fn one_secret(
        &mut self,
        [key, file_key]: [&[&str]; 2],
        what: &str,
        secret: Option<&Secret>,
        file: Option<&Path>,
    ) -> Option<Secret> {
        match (secret, file) {
            (Some(_), Some(_)) => {
                let name = key.last().copied().unwrap_or_default();
                self.fault(file_key, format!("stands beside `{name}`"), "keep one of the two")
            }
            (Some(secret), None) if secret.expose().is_empty() => {
                self.fault(key, "empty", format!("write {what}"))
            }
            (Some(secret), None) => Some(secret.clone()),
            (None, Some(file)) => self.secret_file(file_key, what, file),
            (None, None) => {
                let name = file_key.last().copied().unwrap_or_default();
                let remedy = format!("add it, or `{name}` with the name of a file that holds {what}");
                self.fault(key, "missing", remedy)
            }
        }
    }

    fn secret_file(&mut self, key: &[&str], what: &str, file: &Path) -> Option<Secret> {
        let path = self.sources.directory().join(file);
        let read = std::fs::metadata(&path).and_then(|data| {
            if data.len() > SECRET_FILE {
                return Err(std::io::Error::other("it is too large for a secret"));
            }
            std::fs::read_to_string(&path)
        });
        match read {
            Ok(text) => {
                let secret = text.strip_suffix('\n').unwrap_or(&text);
                let secret = secret.strip_suffix('\r').unwrap_or(secret);
                if secret.is_empty() {
                    let problem = format!("{} is empty", path.display());
                    self.fault(key, problem, format!("put {what} there"))
                } else {
                    Some(Secret::new(secret.to_owned()))
                }
            }
            Err(error) => self.fault(
                key,
                format!("{} cannot be read: {error}", path.display()),
                "create it, readable by the gateway's user",
            ),
        }
    }

    /// `[state]`.
    fn state(&mut self, settings: &Settings) -> Option<Option<PathBuf>> {
        let Some(directory) = &settings.state.directory else {
            return Some(None);
        };
        let directory = self.sources.directory().join(directory);
        if directory.is_dir() {
            Some(Some(directory))
        } else {
            self.fault(
                &["state", "directory"],
                format!("{} is no directory", directory.display()),
                "create it, writable by the gateway's user",
            )
        }
    }

    fn rooms(&mut self, settings: &Settings) -> Option<Vec<RoomDomain>> {
        if settings.rooms.is_empty() {
            return self.fault(
                &["rooms"],
                "missing",
                "add a [[rooms]] section with `sip` and `muc`",
            );
        }
        let mut seen = BTreeSet::new();
        let mut rooms = Vec::new();
        for (number, room) in settings.rooms.iter().enumerate() {
            let number = number.to_string();
            let sip = self.domain(
                &["rooms", &number, "sip"],
                room.sip.as_deref(),
                "rooms.example.com",
            );
            let muc = self.domain(
                &["rooms", &number, "muc"],
                room.muc.as_deref(),
                "rooms.example.com",
            );
            let ours = settings
                .conferences
                .iter()
                .any(|conference| muc.is_some() && conference.muc.as_deref().map(str::to_lowercase) == muc);
            if ours {
                self.fault::<()>(
                    &["rooms", &number, "muc"],
                    "is a [[conferences]] component of the gateway itself",
                    "calls would go round in a loop: name the domain of a multi-user chat service",
                );
            }
            if let Some(sip) = &sip
                && !seen.insert(sip.clone())
            {
                self.fault::<()>(
                    &["rooms", &number, "sip"],
                    format!("`{sip}` is there already"),
                    "keep one of the two",
                );
            }
            rooms.extend(sip.zip(muc).map(|(sip, muc)| RoomDomain { sip, muc }));
        }
        (rooms.len() == settings.rooms.len()).then_some(rooms)
    }

    fn sip(&mut self, settings: &Settings) -> Option<SipConfig> {
        let listen = self.listen(
            "sip",
            &settings.sip.listen,
            listen_address,
            "\"udp:192.0.2.1:5060\", \"tcp:[2001:db8::1]:5060\" or \"tls:192.0.2.1:5061\"",
        );
        let advertise = self.advertise(
            "sip",
            settings.sip.advertise.as_deref(),
            listen.iter().map(|(_, at)| at.ip()),
        );
        let proxy = match settings.sip.outbound_proxy.as_deref().map(str::parse) {
            None => None,
            Some(Ok(uri)) => Some(uri),
            Some(Err(rejection)) => self.fault(
                &["sip", "outbound_proxy"],
                format!("no SIP URI: {rejection}"),
                "write it as \"sip:proxy.example.com;transport=tcp;lr\"",
            ),
        };
        let register = self.register(settings);
        let registrar = register.as_ref().map(|register| &register.registrar);
        let credentials = self.credentials(settings, proxy.as_ref(), registrar);
        Some(SipConfig {
            listen,
            advertise: advertise?,
            credentials,
            register,
            outbound_proxy: proxy,
            t1: settings.sip.t1,
            keep_alive: settings.sip.keep_alive,
            policy: self.policy(settings),
            limits: settings.limits.sip.clone(),
        })
    }

    fn msrp(&mut self, settings: &Settings) -> Option<MsrpConfig> {
        let listen = self.listen(
            "msrp",
            &settings.msrp.listen,
            msrp_address,
            "\"192.0.2.1:2855\", \"[2001:db8::1]:2855\" or \"tls:192.0.2.1:2856\"",
        );
        let secured = is_among(&listen, MsrpTransport::Tls);
        if !secured && settings.msrp.tls != MsrpTls::Accepted {
            self.fault::<()>(
                &["msrp", "tls"],
                "TLS is not listened on",
                "add an address to msrp.listen, such as \"tls:192.0.2.1:2856\", or take this away",
            );
        }
        let shared = |(transport, address): &(MsrpTransport, SocketAddr)| {
            let twin = |(other, at): &(MsrpTransport, SocketAddr)| other != transport && at == address;
            address.port() != 0 && listen.iter().any(twin)
        };
        if listen.iter().any(shared) {
            self.fault::<()>(
                &["msrp", "listen"],
                "one port for plain TCP and for TLS",
                "write another behind the address of one of them, such as \"tls:192.0.2.1:2856\"",
            );
        }
        let mut written = Vec::new();
        for text in &settings.msrp.advertise {
            let (transport, place) = msrp_transport(text);
            match transport {
                Some(transport) if !is_among(&listen, transport) => self.fault::<()>(
                    &["msrp", "advertise"],
                    format!("`{text}` is for a transport that msrp.listen does not have"),
                    "add an address to msrp.listen, or take this away",
                )?,
                transport => written.push((transport.unwrap_or(MsrpTransport::Tcp), place)),
            }
        }
        let mut advertise = Vec::new();
        let listened = [MsrpTransport::Tcp, MsrpTransport::Tls].into_iter();
        for transport in listened.filter(|transport| is_among(&listen, *transport)) {
            let own = written.iter().find(|(of, _)| *of == transport);
            let of_transport = listen.iter().filter(|(of, _)| *of == transport);
            let addresses = of_transport.map(|(_, at)| at.ip());
            let place = self.advertise(
                "msrp",
                own.or(written.first()).map(|(_, place)| *place),
                addresses,
            )?;
            // The port that stands beside a host is that of its own transport.
            let port = |port| own.and(port);
            advertise.extend(place.map(|(host, written)| (transport, (host, port(written)))));
        }
        Some(MsrpConfig {
            listen,
            advertise,
            tls: settings.msrp.tls,
            limits: settings.limits.msrp.clone(),
        })
    }

    /// The addresses listened on, at most one per transport and address family.
    fn listen<T: Copy + PartialEq>(
        &mut self,
        section: &str,
        texts: &[String],
        read: fn(&str) -> Result<(T, SocketAddr), String>,
        examples: &str,
    ) -> Vec<(T, SocketAddr)> {
        let key = [section, "listen"];
        let mut listen = Vec::new();
        for text in texts {
            match read(text) {
                Ok((transport, address)) => {
                    let same = |(other, at): &(T, SocketAddr)| {
                        *other == transport && at.is_ipv4() == address.is_ipv4()
                    };
                    if listen.iter().any(same) {
                        self.fault::<()>(
                            &key,
                            format!("`{text}` is a second address of its transport and address family"),
                            "keep one of them",
                        );
                    }
                    listen.push((transport, address));
                }
                Err(problem) => {
                    self.fault::<()>(&key, problem, format!("write it as {examples}"));
                }
            }
        }
        if texts.is_empty() {
            self.fault::<()>(&key, "empty", format!("add an address, such as {examples}"));
        }
        listen
    }

    /// What peers are told. An address that means "all of this machine" tells them nothing.
    fn advertise(
        &mut self,
        section: &str,
        text: Option<&str>,
        mut listen: impl Iterator<Item = IpAddr>,
    ) -> Option<Option<(String, Option<u16>)>> {
        let key = [section, "advertise"];
        match text {
            Some(text) => match host_and_port(text) {
                Some((host, _)) if host.parse().is_ok_and(|address: IpAddr| address.is_unspecified()) => self
                    .fault(
                        &key,
                        format!("peers cannot reach `{text}`"),
                        "name an address or host that they can reach",
                    ),
                Some(host) => Some(Some(host)),
                None => self.fault(
                    &key,
                    format!("`{text}` is no host"),
                    "write it as \"host\" or \"host:port\"",
                ),
            },
            None if listen.any(|address| address.is_unspecified()) => self.fault(
                &key,
                "missing, while all addresses are listened on",
                "add the host name or address that peers reach the gateway by",
            ),
            None => Some(None),
        }
    }

    fn name_servers(&mut self, settings: &Settings) -> Option<Vec<SocketAddr>> {
        let servers: Option<Vec<_>> = settings
            .dns
            .servers
            .iter()
            .map(|text| socket_address(text, Some(53)))
            .collect();
        servers.or_else(|| {
            self.fault(
                &["dns", "servers"],
                "not all are addresses",
                "write them as \"192.0.2.53\" or \"127.0.0.1:5354\"",
            )
        })
    }

    fn log(&mut self, level: &str) {
        let known = level.split(',').all(|directive| {
            let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
            level.trim().parse::<LevelFilter>().is_ok() && !level.trim().is_empty()
        });
        if !known {
            let remedy = "write error, warn, info, debug or trace, also per module: \"info,sip=debug\"";
            self.fault::<()>(&["log", "level"], format!("`{level}` is no level"), remedy);
        }
    }

    fn limits(&mut self, settings: &Settings) {
        let limits = &settings.limits;
        let rules: [(&[&str], bool, &str, &str); 10] = [
            (
                &["limits", "mapping", "reflection"],
                limits.mapping.reflection < limits.msrp.transaction,
                "not shorter than limits.msrp.transaction",
                "the sender's MSRP would give up first: choose less",
            ),
            (
                &["limits", "sip", "subscription"],
                limits.sip.subscription.0 <= limits.sip.subscription.1,
                "the shortest lifetime is longer than the longest",
                "write them as [\"60s\", \"1h\"]",
            ),
            (
                &["limits", "sip", "session"],
                limits.sip.session.0 <= limits.sip.session.1,
                "the shortest interval is longer than the longest",
                "write them as [\"90s\", \"30m\"]",
            ),
            (
                &["limits", "sip", "session"],
                limits.sip.session.0 >= Duration::from_secs(90),
                "less than 90 s",
                "RFC 4028 §4 forbids it: choose more",
            ),
            (
                &["limits", "msrp", "chunk_out"],
                limits.msrp.chunk_out >= 2048,
                "less than 2048 octets",
                "RFC 4975 has smaller chunks whole: choose 2 KiB or more",
            ),
            (
                &["limits", "msrp", "reassembly"],
                limits.msrp.reassembly >= limits.msrp.message,
                "less than limits.msrp.message",
                "no message of that size could arrive: choose more",
            ),
            (
                &["limits", "sip", "head"],
                limits.sip.head <= limits.sip.message,
                "more than limits.sip.message",
                "choose less",
            ),
            (
                &["limits", "connections", "sip_queue"],
                limits.connections.sip_queue >= limits.sip.message,
                "less than limits.sip.message",
                "no message of that size could be sent: choose more",
            ),
            (
                &["limits", "mapping", "text"],
                limits.mapping.text <= limits.xmpp.stanza_out,
                "more than limits.xmpp.stanza_out",
                "no stanza could carry it: choose less",
            ),
            (
                &["limits", "mapping", "text"],
                limits.mapping.max_size() <= limits.msrp.message,
                "more than limits.msrp.message holds with its wrapper",
                "no message could bring it: choose less, or a larger limits.msrp.message",
            ),
        ];
        for (key, holds, problem, remedy) in rules {
            if !holds {
                self.fault::<()>(key, problem, remedy);
            }
        }
        let periods: [(&[&str], Duration); 14] = [
            (&["xmpp", "handshake"], settings.xmpp.handshake),
            (&["xmpp", "idle"], settings.xmpp.idle),
            (&["xmpp", "ping"], settings.xmpp.ping),
            (&["xmpp", "retry"], settings.xmpp.retry),
            (&["sip", "t1"], settings.sip.t1),
            (&["sip", "register", "expires"], settings.sip.register.expires),
            (&["sip", "challenge", "nonce"], settings.sip.challenge.nonce),
            (&["dns", "deadline"], settings.dns.deadline),
            (&["limits", "mapping", "admission"], limits.mapping.admission),
            (&["limits", "mapping", "entrance"], limits.mapping.entrance),
            (&["limits", "connections", "connect"], limits.connections.connect),
            (
                &["limits", "connections", "tls_handshake"],
                limits.connections.tls_handshake,
            ),
            (
                &["limits", "connections", "sip_pong"],
                limits.connections.sip_pong,
            ),
            (
                &["limits", "connections", "write_stall"],
                limits.connections.write_stall,
            ),
        ];
        for (key, period) in periods {
            if period.is_zero() {
                self.fault::<()>(key, "zero", "nothing could happen in that time: choose more");
            }
        }
    }
}

/// `host`, `host:port`, `[address]:port`, or a bare IPv6 address.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address.to_string(), None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (
                address,
                port.strip_prefix(':').or_else(|| port.is_empty().then_some(""))?,
            )
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let named = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/@;".contains(c));
    let port = match port {
        "" if text.ends_with(':') => return None,
        "" => None,
        digits => Some(digits.parse().ok()?),
    };
    named.then(|| (host.to_owned(), port))
}

fn socket_address(text: &str, default_port: Option<u16>) -> Option<SocketAddr> {
    let (host, port) = host_and_port(text)?;
    Some(SocketAddr::new(host.parse().ok()?, port.or(default_port)?))
}

fn msrp_address(text: &str) -> Result<(MsrpTransport, SocketAddr), String> {
    let (transport, address) = msrp_transport(text);
    let address =
        socket_address(address, Some(MSRP_PORT)).ok_or_else(|| format!("`{text}` is no address and port"))?;
    Ok((transport.unwrap_or(MsrpTransport::Tcp), address))
}

/// The transport that is written before an address, and the address.
fn msrp_transport(text: &str) -> (Option<MsrpTransport>, &str) {
    match text.split_once(':') {
        Some((name, rest)) if name.eq_ignore_ascii_case("tcp") => (Some(MsrpTransport::Tcp), rest),
        Some((name, rest)) if name.eq_ignore_ascii_case("tls") => (Some(MsrpTransport::Tls), rest),
        _ => (None, text),
    }
}

fn is_among<T: PartialEq>(listen: &[(T, SocketAddr)], transport: T) -> bool {
    listen.iter().any(|(of, _)| *of == transport)
}

fn listen_address(text: &str) -> Result<(Transport, SocketAddr), String> {
    let (transport, address) = text
        .split_once(':')
        .ok_or_else(|| format!("`{text}` names no transport"))?;
    let transport = match transport.to_ascii_lowercase().as_str() {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        _ => return Err(format!("`{text}` names no transport")),
    };
    let address = socket_address(address, Some(transport.default_port()))
        .ok_or_else(|| format!("`{text}` has no address after its transport"))?;
    Ok((transport, address))
}
