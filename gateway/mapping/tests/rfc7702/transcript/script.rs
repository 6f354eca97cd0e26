//! The text of a transcript, taken apart.

use std::{fmt, time::Duration};

#[derive(Debug)]
pub(super) struct Script {
    pub(super) name: String,
    /// The transcript that this one continues.
    pub(super) after: Option<String>,
    /// Settings that are not the defaults.
    pub(super) given: Vec<String>,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug)]
pub(super) enum Step {
    Say { line: usize, peer: Peer, text: String },
    Hear { line: usize, peer: Peer, text: String },
    Happens { line: usize, what: Happening },
}

#[derive(Debug)]
pub(crate) enum Happening {
    Passes(Duration),
    LinkBreaks,
    LinkIsBack,
    MsrpBreaks(String),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Peer {
    pub(crate) protocol: Protocol,
    /// Empty for the XMPP server.
    pub(crate) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    Sip,
    Msrp,
    Xmpp,
}

impl Step {
    pub(super) fn line(&self) -> usize {
        match self {
            Self::Say { line, .. } | Self::Hear { line, .. } | Self::Happens { line, .. } => *line,
        }
    }
}

impl Peer {
    pub(crate) fn sip(name: &str) -> Self {
        Self {
            protocol: Protocol::Sip,
            name: name.to_owned(),
        }
    }

    pub(crate) fn msrp(name: &str) -> Self {
        Self {
            protocol: Protocol::Msrp,
            name: name.to_owned(),
        }
    }

    pub(crate) fn xmpp() -> Self {
        Self {
            protocol: Protocol::Xmpp,
            name: String::new(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.protocol, self.name)
    }
}

impl Script {
    pub(super) fn parse(name: &str, text: &str) -> Self {
        let mut script = Self {
            name: name.to_owned(),
            after: None,
            given: Vec::new(),
            steps: Vec::new(),
        };
        let mut lines = text.lines().zip(1..).peekable();
        while let Some((line, number)) = lines.next() {
            if let Some(after) = line.strip_prefix("After: ") {
                script.after = Some(after.to_owned());
            } else if let Some(given) = line.strip_prefix("Given: ") {
                script.given.push(given.to_owned());
            } else if let Some(what) = line.strip_prefix("--- ") {
                let what =
                    happening(what).unwrap_or_else(|| panic!("{name}.txt:{number}: {what} cannot happen"));
                script.steps.push(Step::Happens { line: number, what });
            } else if let Some((says, head)) = arrow(line) {
                let peer = peer(head).unwrap_or_else(|| panic!("{name}.txt:{number}: no such peer"));
                let mut block = Vec::new();
                while let Some((line, _)) =
                    lines.next_if(|(line, _)| line.is_empty() || line.starts_with("    "))
                {
                    block.push(line.get(4..).unwrap_or_default());
                }
                while block.last().is_some_and(|line| line.is_empty()) {
                    block.pop();
                }
                let text = block.join("\n");
                let line = number;
                script.steps.push(if says {
                    Step::Say { line, peer, text }
                } else {
                    Step::Hear { line, peer, text }
                });
            } else {
                assert!(!line.starts_with(' '), "{name}.txt:{number}: said by nobody");
            }
        }
        script
    }
}

/// Whether it goes to the gateway, and what stands behind.
fn arrow(line: &str) -> Option<(bool, &str)> {
    let says = line.strip_prefix(">>> ").map(|head| (true, head));
    says.or_else(|| line.strip_prefix("<<< ").map(|head| (false, head)))
}

fn peer(head: &str) -> Option<Peer> {
    let head = head.split('(').next()?.trim();
    let (protocol, name) = head.split_once(' ').unwrap_or((head, ""));
    let protocol = match protocol {
        "SIP" => Protocol::Sip,
        "MSRP" => Protocol::Msrp,
        "XMPP" => Protocol::Xmpp,
        _ => return None,
    };
    (name.is_empty() == (protocol == Protocol::Xmpp)).then(|| Peer {
        protocol,
        name: name.to_owned(),
    })
}

fn happening(what: &str) -> Option<Happening> {
    let time = what.strip_suffix(" seconds pass");
    if let Some(time) = time.or_else(|| what.strip_suffix(" second passes")) {
        return Some(Happening::Passes(Duration::from_secs(time.parse().ok()?)));
    }
    if let Some(user) = what.strip_suffix("'s MSRP connection breaks") {
        return Some(Happening::MsrpBreaks(user.to_owned()));
    }
    match what {
        "the XMPP server goes away" => Some(Happening::LinkBreaks),
        "the XMPP server is back" => Some(Happening::LinkIsBack),
        _ => None,
    }
}
