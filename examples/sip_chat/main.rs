//! `sip-chat`: a chat-room client for the terminal that speaks SIP and MSRP (RFC 4579, RFC 4975, RFC 7701).
//!
//! ```text
//! sip-chat --from sip:romeo@example.org --room sip:capulet@rooms.example.com \
//!          --proxy '127.0.0.1:5060;transport=tcp' --nickname Romeo
//! ```
//!
//! It calls the room through the proxy, opens the MSRP session that the room's answer names, asks for the nickname, subscribes to the
//! roster, and then passes on what people write, both ways. With `--password-file` it answers the proxy's challenges; with `--msrp-tls` messages go over TLS. It does not register: requests within its dialogs reach it over its
//! connection to the proxy or at the port it listens on. On a terminal, type `/help`.
//!
//! # JSON lines
//!
//! With `--jsonl` it is driven by another program: commands are read from standard input and events are written to standard output,
//! each one JSON object on a line of its own. Nothing else is written there; diagnostics (`--verbose`) go to standard error.
//!
//! ## Commands
//!
//! Fields marked `?` may be left out; others must be there, and unknown ones are an error. A line has at most 256 KiB. Commands given
//! before `entered` are held and carried out at entering (at most 256). `ref` is a number or a text of the caller's choice.
//!
//! | command | answered by |
//! |---|---|
//! | `{"cmd":"say","text":…,"ref"?:…}` | `sent` or `failed`, exactly one, with the same `ref` |
//! | `{"cmd":"msg","to":NICK,"text":…,"ref"?:…}`: a private message | `sent` or `failed`, likewise |
//! | `{"cmd":"nick","nickname":…}` | `nick` or `nick_refused` |
//! | `{"cmd":"invite","uri":…}`: `sip:user@domain` or `user@domain` | `invited` or `invite_refused` |
//! | `{"cmd":"roster"}` | `roster` (when it has come, if it has not yet), or `error` |
//! | `{"cmd":"quit"}`: leaves when what was asked before is answered, after 10 s at the latest | `ended` |
//!
//! The end of the input is a `quit`; so are SIGINT and SIGTERM. A second one of any of them leaves at once.
//!
//! ## Events
//!
//! Every event has `"event":NAME`. Codes are numbers, `null` stands for what is not known.
//!
//! | event | fields | meaning |
//! |---|---|---|
//! | `entered` | `room`, `nickname` | We are in the room. `nickname` is the one granted; `null` if none was asked for or the wish was refused (a `nick_refused` stands before): the room then names us as it likes. |
//! | `roster` | `users`: nicknames, ours among them | After the first full conference document, and on demand. |
//! | `joined` | `nick` | Somebody came in. |
//! | `left` | `nick`, `how`: `departed`, `booted` or `unsaid`, `reason` | Somebody left, or was removed. |
//! | `renamed` | `old`, `new` | A new nickname. A document that tells of one who left by himself and of one who came, and of nobody else, is taken for one. Of another one's change that was gathered into a document with more in it, there is a `left` and a `joined`. |
//! | `subject` | `text` | The subject: behind the first `roster` if there is one, and when it changes; empty when it was taken away. |
//! | `no_roster` | `code`, `reason` | The room refuses the subscription (a SIP status). The stay goes on without `roster`, `joined`, `left`, `renamed`, `subject`. |
//! | `message` | `from`, `text`, `private`, `at` | A message to all or to us alone; `from` is a nickname, or a URI for who has none; `at` is when it was written (RFC 3339). |
//! | `sent` | `ref`, `to`, `text`, `at` | The room has our message: MSRP 200. `to` is the nickname of a private one. |
//! | `failed` | `ref`, `to`, `text`, `code`, `reason` | It does not: an MSRP status, or 900 (too much in flight) or 901 (connection lost, or we left before the answer). |
//! | `nick` | `nickname` | We have another nickname. |
//! | `nick_refused` | `nickname`, `code`, `reason` | The wish was refused; the former nickname stays. An MSRP status: 425 in use, 424 malformed, 501 no nicknames here; or 900, 901. |
//! | `invited` | `uri` | The room passes the invitation on. |
//! | `invite_refused` | `uri`, `code`, `reason` | It does not: a SIP status, or 900, 901. |
//! | `refused` | `code`, `reason` | The room did not let us in: a SIP status; 408 and 503 may have been made here, when nobody answers. The last event. |
//! | `ended` | `cause`, `code`, `reason` | The stay is over. `cause`: `quit` (we left), `bye` (the room ended it; `code` and `reason` are those of its Reason header), `media_lost`, `signalling_lost`, `incompatible` (the answer cannot be used). The last event. |
//! | `error` | `text` | A line that is no command, or a command that makes no sense now. |
//!
//! ## Exit code
//!
//! 0 after `ended` with `quit` or `bye`; 1 after `refused` or any other `ended`, and when no socket can be had; 2 for a wrong command
//! line.

mod client;
mod face;
mod jsonl;
mod net;
mod room;
mod terminal;

use std::{
    io::{self, IsTerminal},
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use jiff::{Timestamp, tz::TimeZone};
use sip::{Credentials, LocalAddress, Transport, Uri, digest::Password};

use client::{Client, Outcome, Settings};
use face::Face;

/// Enter a SIP chat room and talk.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Our own address, such as sip:romeo@example.org
    #[arg(long, value_name = "URI", value_parser = address)]
    from: Uri,
    /// The room, such as sip:capulet@rooms.example.com
    #[arg(long, value_name = "URI", value_parser = address)]
    room: Uri,
    /// Where requests go first; the transport is udp (without one) or tcp
    #[arg(long, value_name = "HOST[:PORT][;transport=tcp]", value_parser = proxy)]
    proxy: Proxy,
    /// A file with the password that the proxy, or with --realm the room, asks for; our address names the user
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The realm that the password is for [default: the domain of our address]
    #[arg(long, requires = "password_file")]
    realm: Option<String>,
    /// Have the messages go over TLS (msrps)
    #[arg(long)]
    msrp_tls: bool,
    /// A file with the certificates that the switch's must lead to, unless the room's answer has a fingerprint
    #[arg(long, value_name = "FILE", requires = "msrp_tls")]
    trust_anchors: Option<PathBuf>,
    /// The nickname to ask for
    #[arg(long)]
    nickname: Option<String>,
    /// The display name beside our address [default: the nickname]
    #[arg(long)]
    display_name: Option<String>,
    /// The address to listen at [default: the one that the proxy is reached from]
    #[arg(long, value_name = "IP")]
    listen: Option<IpAddr>,
    /// Read commands and write events as JSON lines
    #[arg(long)]
    jsonl: bool,
    /// Do not ask who is in the room
    #[arg(long)]
    no_subscribe: bool,
    /// Tell on standard error what is sent and received
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Clone)]
struct Proxy {
    uri: Uri,
    transport: Transport,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(stay(arguments))) {
        Ok(Outcome::Left) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Err(fault) => {
            eprintln!("sip-chat: {fault}");
            ExitCode::from(1)
        }
    }
}

async fn stay(arguments: Arguments) -> io::Result<Outcome> {
    let Proxy {
        uri: proxy,
        transport,
    } = arguments.proxy;
    let listen = match arguments.listen {
        Some(address) if !address.is_unspecified() => address,
        _ => address_towards(&proxy).await?,
    };
    let bound = arguments.listen.unwrap_or(listen);
    let sockets = net::Sockets::bind(bound, transport == Transport::Udp)
        .await
        .map_err(|fault| io::Error::new(fault.kind(), format!("cannot listen at {bound}: {fault}")))?;
    let transports: &[Transport] = match transport {
        Transport::Udp => &[Transport::Udp, Transport::Tcp],
        Transport::Tcp | Transport::Tls => &[Transport::Tcp],
    };
    let local = transports.iter().map(|transport| LocalAddress {
        transport: *transport,
        host: listen.to_string(),
        port: sockets.port(),
    });
    let credentials = match &arguments.password_file {
        Some(file) => Some(credentials(file, &arguments.from, arguments.realm, &proxy)?),
        None => None,
    };
    let settings = Settings {
        credentials,
        from: arguments.from,
        // A room that must name us before it has read our wish takes the display name (RFC 7702 §6.1).
        display_name: arguments.display_name.or_else(|| arguments.nickname.clone()),
        room: arguments.room,
        nickname: arguments.nickname,
        secured: arguments.msrp_tls,
        subscribe: !arguments.no_subscribe,
        proxy,
        local: local.collect(),
        host: listen.to_string(),
    };
    let anchors = match &arguments.trust_anchors {
        Some(file) => net::anchors(file)?,
        None => rustls::RootCertStore::empty(),
    };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let client = Client::new(settings, seed, (Instant::now(), Timestamp::now()));
    net::run(client, sockets, anchors, face(arguments.jsonl), arguments.verbose).await
}

/// What challenges of the proxy are answered with, and of nobody else.
fn credentials(file: &Path, from: &Uri, realm: Option<String>, proxy: &Uri) -> io::Result<Credentials> {
    let named = |fault: io::Error| io::Error::new(fault.kind(), format!("{}: {fault}", file.display()));
    let text = std::fs::read_to_string(file).map_err(named)?;
    let password = text.lines().next().filter(|password| !password.is_empty());
    let password = password.ok_or_else(|| named(io::Error::other("there is no password in it")))?;
    Ok(Credentials {
        realm: realm.unwrap_or_else(|| from.host().to_owned()),
        username: from.user_decoded().unwrap_or_default(),
        password: Password::new(password),
        server: proxy.clone(),
    })
}

fn face(jsonl: bool) -> Box<dyn Face> {
    if jsonl {
        return Box::new(jsonl::JsonLines);
    }
    let shown = io::stdout().is_terminal();
    let colour = shown && std::env::var_os("NO_COLOR").is_none();
    Box::new(terminal::Terminal::new(
        shown && io::stdin().is_terminal(),
        colour,
        TimeZone::system(),
    ))
}

async fn address_towards(proxy: &Uri) -> io::Result<IpAddr> {
    let (host, port) = (proxy.host(), proxy.port().unwrap_or(5060));
    let unknown =
        |fault: io::Error| io::Error::new(fault.kind(), format!("the proxy {host} cannot be found: {fault}"));
    let mut addresses = tokio::net::lookup_host((host, port)).await.map_err(unknown)?;
    let address = addresses
        .next()
        .ok_or_else(|| unknown(io::Error::from(io::ErrorKind::NotFound)))?;
    net::address_towards(address).await
}

/// A SIP address with a user part.
fn address(text: &str) -> Result<Uri, String> {
    let uri: Uri = text
        .parse()
        .map_err(|fault: sip::message::Rejection| fault.rule.to_owned())?;
    if uri.scheme() == "sip" && uri.user().is_some() {
        Ok(uri)
    } else {
        Err("sip:user@domain is expected".to_owned())
    }
}

/// The Route of a proxy (RFC 3261 §8.1.2): loose routing is what every proxy since 2002 does.
fn proxy(text: &str) -> Result<Proxy, String> {
    let text = text.strip_prefix("sip:").unwrap_or(text);
    let (place, parameters) = text.split_once(';').unwrap_or((text, ""));
    let transport = match parameters {
        "" | "transport=udp" => Transport::Udp,
        "transport=tcp" => Transport::Tcp,
        _ => return Err("only ;transport=udp or ;transport=tcp may follow".to_owned()),
    };
    let name = if transport == Transport::Udp { "udp" } else { "tcp" };
    let uri: Uri = format!("sip:{place};transport={name};lr")
        .parse()
        .map_err(|fault: sip::message::Rejection| fault.rule.to_owned())?;
    if place.contains('@') || uri.host().is_empty() {
        return Err("HOST or HOST:PORT is expected".to_owned());
    }
    Ok(Proxy { uri, transport })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_first_line_of_its_file_and_the_realm_our_domain() {
        let file = std::env::temp_dir().join(format!("sip-chat-password-{}", std::process::id()));
        let from = address("sip:ro%6deo@example.org").unwrap();
        let proxy = proxy("127.0.0.1;transport=tcp").unwrap().uri;
        std::fs::write(&file, "rose\nand more\n").unwrap();
        let read = credentials(&file, &from, None, &proxy).unwrap();
        assert_eq!(
            (read.realm.as_str(), read.username.as_str(), &read.server),
            ("example.org", "romeo", &proxy)
        );
        assert_eq!(read.password, Password::new("rose"));
        let other = credentials(&file, &from, Some("phones".to_owned()), &proxy).unwrap();
        assert_eq!(other.realm, "phones");
        std::fs::write(&file, "\n").unwrap();
        let empty = credentials(&file, &from, None, &proxy).unwrap_err();
        assert!(empty.to_string().contains("no password"), "{empty}");
        std::fs::remove_file(&file).unwrap();
        assert!(credentials(&file, &from, None, &proxy).is_err());
    }

    #[test]
    fn a_proxy_becomes_a_loose_route() {
        for (text, uri, transport) in [
            (
                "127.0.0.1:5060;transport=tcp",
                "sip:127.0.0.1:5060;transport=tcp;lr",
                Transport::Tcp,
            ),
            (
                "proxy.example.org",
                "sip:proxy.example.org;transport=udp;lr",
                Transport::Udp,
            ),
            (
                "sip:[::1]:5070;transport=udp",
                "sip:[::1]:5070;transport=udp;lr",
                Transport::Udp,
            ),
        ] {
            let proxy = proxy(text).unwrap();
            assert_eq!(proxy.uri.to_string(), uri);
            assert_eq!(proxy.transport, transport);
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for text in [
            "",
            ":5060",
            "a b",
            "host:port",
            "host;transport=tls",
            "host;lr",
            "user@host",
        ] {
            assert!(proxy(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_address_is_a_sip_uri_with_a_user() {
        assert!(address("sip:romeo@example.org").is_ok());
        for text in [
            "",
            "romeo@example.org",
            "sip:example.org",
            "sips:romeo@example.org",
            "tel:+15550100",
        ] {
            assert!(address(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
