//! The command line: where it is, what its rooms are like, and where it departs from the RFCs.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, ValueEnum};
use sip::Uri;

/// A SIP conference focus with its MSRP switch, for tests: every sip:ROOM@DOMAIN is a room as soon as somebody calls it.
///
/// Driven by JSON lines on standard input and telling by JSON lines on standard output what happens (see the top of main.rs); it
/// ends with its standard input. Without any of the peculiarities it follows RFC 4579, RFC 4575 and RFC 7701.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// The domain of the rooms
    #[arg(long, default_value = "conference.example.org")]
    pub(crate) domain: String,
    /// Where to listen for SIP, by UDP and TCP; port 0 is a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) sip: SocketAddr,
    /// Where to listen for MSRP
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) msrp: SocketAddr,
    /// What MSRP peers are told to connect to, if not where it listens
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) advertise_msrp: Option<SocketAddr>,
    /// The proxy that the rooms' own invitations go through, such as 127.0.0.1:5060
    #[arg(long, value_name = "HOST:PORT", value_parser = proxy)]
    pub(crate) proxy: Option<Uri>,
    /// Take MSRP over TLS alone (msrps), with this certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) rooms: Rooms,
    #[command(flatten)]
    pub(crate) quirks: Quirks,
}

/// What rooms are like.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rooms")]
pub(crate) struct Rooms {
    /// The subject of a new room
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) subject: String,
    /// Say this to whoever enters, from the room's own address
    #[arg(long, value_name = "TEXT")]
    pub(crate) welcome: Option<String>,
    /// Repeat so many of the last messages to whoever enters
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) history: usize,
    /// Participants that a room takes; one more is refused 486
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) capacity: usize,
    /// How long changes of the roster are gathered into one document, such as 200ms or 5s
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "100ms")]
    pub(crate) gather: Duration,
    /// What names a participant to the others
    #[arg(long, value_enum, default_value_t = Entities::Gruu)]
    pub(crate) entities: Entities,
    /// Which documents subscribers get
    #[arg(long, value_enum, default_value_t = Documents::Partial)]
    pub(crate) documents: Documents,
    /// What the versions of documents count
    #[arg(long, value_enum, default_value_t = Versions::Subscription)]
    pub(crate) versions: Versions,
    /// Octets of the longest message, announced as max-size
    #[arg(long, value_name = "OCTETS")]
    pub(crate) max_size: Option<usize>,
}

/// What names a participant to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Entities {
    /// His own SIP address
    Plain,
    /// The room's URI with an opaque gr parameter
    Gruu,
    /// The room's URI with the nickname as gr parameter, as RFC 7702 draws it
    Nickname,
}

/// Which documents subscribers get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Documents {
    /// A full one first, then the changes
    Partial,
    /// Always the full one
    FullOnly,
}

/// What the versions of documents count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Versions {
    /// The documents of one subscription
    Subscription,
    /// The changes of the room: the first one seen may be any number
    Room,
}

/// Where it departs from what the RFCs ask for, or refuses what they allow to be refused.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Peculiarities")]
pub(crate) struct Quirks {
    /// All the ways of a widely deployed chat server at once
    #[arg(long)]
    as_deployed: bool,
    /// Announce no nicknames, and refuse them with 403
    #[arg(long)]
    pub(crate) no_nicknames: bool,
    /// Announce no private messages, and refuse them with 428
    #[arg(long)]
    pub(crate) no_private_messages: bool,
    /// Refuse subscriptions; with 403 if no status is given
    #[arg(long, value_name = "STATUS", num_args = 0..=1, default_missing_value = "403")]
    pub(crate) no_subscription: Option<u16>,
    /// Refuse subscriptions with 480 until the MSRP session is bound
    #[arg(long)]
    pub(crate) subscribe_when_bound: bool,
    /// This nickname is in use: 425; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) nickname_taken: Vec<String>,
    /// Take the quotes of a nickname for a part of it
    #[arg(long)]
    pub(crate) unquoted_nicknames: bool,
    /// Take so long to answer anything but BYE
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) slow: Option<Duration>,
    /// Redirect every INVITE there (302) that is not for there
    #[arg(long, value_name = "URI")]
    pub(crate) redirect: Option<String>,
    /// Refuse every INVITE
    #[arg(long, value_name = "STATUS")]
    pub(crate) refuse: Option<u16>,
    /// Never answer an INVITE but with 100 Trying
    #[arg(long)]
    pub(crate) silent: bool,
    /// Never answer a message
    #[arg(long)]
    pub(crate) mute_switch: bool,
    /// Refuse every message with this MSRP status
    #[arg(long, value_name = "STATUS")]
    pub(crate) refuse_send: Option<u16>,
    /// Refuse every REFER
    #[arg(long, value_name = "STATUS")]
    pub(crate) refuse_refer: Option<u16>,
    /// Refuse SUBSCRIBE (500) and REFER (403) within the dialog of an INVITE
    #[arg(long)]
    pub(crate) own_dialogs_only: bool,
    /// Send a bodiless SEND with Keep-Alive this often, and end a session that leaves one unanswered; 60s if no duration is given
    #[arg(long, value_name = "DURATION", value_parser = duration, num_args = 0..=1, default_missing_value = "60s")]
    pub(crate) keep_alive: Option<Duration>,
    /// End the session of whoever sends a message in several chunks
    #[arg(long)]
    pub(crate) no_chunks: bool,
    /// Take a message for delivered and drop it if its From is not exactly the sender's SIP address
    #[arg(long)]
    pub(crate) strict_from: bool,
    /// Ask for a success report with every message
    #[arg(long)]
    pub(crate) success_reports: bool,
    /// Write message/cpim with bare line feeds behind its own headers, and names without quotes
    #[arg(long)]
    pub(crate) lax_cpim: bool,
    /// Percent-escape the URIs in conference documents
    #[arg(long)]
    pub(crate) escaped_uris: bool,
    /// Describe the switch without the fingerprint of its certificate
    #[arg(long)]
    pub(crate) no_fingerprint: bool,
    /// Describe it with the fingerprint of this other certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) false_fingerprint: Option<PathBuf>,
    /// The user part of the Contact, instead of the room's name
    #[arg(long, value_name = "NAME")]
    pub(crate) contact: Option<String>,
    /// A REFER removes somebody only if method=BYE stands behind the brackets; within them it is an invitation
    #[arg(long)]
    pub(crate) method_outside: bool,
}

impl Options {
    /// The options of the command line, with those that others imply.
    pub(crate) fn read() -> Self {
        Self::parse().completed()
    }

    fn completed(mut self) -> Self {
        if self.quirks.as_deployed {
            self.rooms.entities = Entities::Plain;
            self.rooms.documents = Documents::FullOnly;
            self.rooms.versions = Versions::Room;
            let welcome = || "Welcome! Others can join by calling the same address.".to_owned();
            self.rooms.welcome.get_or_insert_with(welcome);
            self.quirks = self.quirks.deployed();
        }
        self
    }

    /// The options that these arguments give.
    #[cfg(test)]
    pub(crate) fn of(arguments: &[&str]) -> Self {
        Self::parse_from(["conference-server"].iter().chain(arguments)).completed()
    }
}

impl Quirks {
    fn deployed(self) -> Self {
        Self {
            subscribe_when_bound: true,
            unquoted_nicknames: true,
            own_dialogs_only: true,
            keep_alive: self.keep_alive.or(Some(Duration::from_secs(60))),
            no_chunks: true,
            strict_from: true,
            success_reports: true,
            lax_cpim: true,
            escaped_uris: true,
            contact: self.contact.or_else(|| Some("chatserver".to_owned())),
            method_outside: true,
            ..self
        }
    }
}

/// `250ms`, `2s` or `1m`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let number: u32 = digits
        .parse()
        .map_err(|_| "a number with ms, s or m is expected")?;
    let unit = match text.strip_prefix(digits) {
        Some("ms") => Duration::from_millis(1),
        Some("s") => Duration::from_secs(1),
        Some("m") => Duration::from_secs(60),
        _ => return Err("ms, s or m must follow the number".to_owned()),
    };
    Ok(unit * number)
}

fn proxy(text: &str) -> Result<Uri, String> {
    format!("sip:{text};transport=tcp;lr")
        .parse()
        .map_err(|_| "HOST:PORT is expected".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("60").is_err() && duration("s").is_err() && duration("1h").is_err());
    }

    #[test]
    fn peculiarities_can_be_combined_and_preset() {
        let options = Options::of(&["--no-nicknames", "--no-subscription", "--entities", "plain"]);
        assert!(options.quirks.no_nicknames && !options.quirks.strict_from);
        assert_eq!(options.quirks.no_subscription, Some(403));
        assert_eq!(options.rooms.entities, Entities::Plain);
        let options = Options::of(&["--as-deployed", "--contact", "hall", "--keep-alive", "1s"]);
        assert_eq!(options.quirks.contact.as_deref(), Some("hall"));
        assert_eq!(options.quirks.keep_alive, Some(Duration::from_secs(1)));
        assert_eq!(options.rooms.versions, Versions::Room);
    }
}
