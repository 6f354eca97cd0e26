//! Connection establishment for media anchoring (RFC 6714): whether a connection goes to the address of the `path` or to that of
//! the `c=` and `m=` lines, where a middlebox may have put its own.
//!
//! Addresses are compared as RFC 6714 §4.4 wants: the caller resolves names and says whether they [`matches`](matches()).

use std::net::IpAddr;

use super::{Opener, Setup, opener};
use crate::Uri;

/// What one end's description says, as the other end has received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// `a=msrp-cema` is there.
    pub cema: bool,
    /// The `path` has more than one URI: that end uses a relay.
    pub relay: bool,
    /// The address of the `c=` and `m=` lines is that of the first URI of the `path`; if not, a middlebox has put its own there.
    pub matches: bool,
    /// `a=setup`.
    pub setup: Option<Setup>,
}

/// What an end knows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ours {
    /// Our offer had `a=msrp-cema`.
    pub cema: bool,
    /// We use a relay.
    pub relay: bool,
    /// The `setup` of our offer or answer.
    pub setup: Option<Setup>,
}

/// What the offerer does with an answer (RFC 6714 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterAnswer {
    /// Connect to the address of the `c=` and `m=` lines.
    ConnectToMediaLine,
    /// Connect to the first URI of the `path`; with a relay of ours, to that relay (RFC 4975, RFC 4976).
    ConnectToPath,
    /// Wait for the answerer.
    Wait,
    /// Offer again without `a=msrp-cema`, since a middlebox stands between and must take part in MSRP.
    OfferWithoutCema,
}

/// What the answerer does with an offer (RFC 6714 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Refuse the media (port 0) or the request (488): a middlebox that does not know CEMA has broken the offer.
    Refuse,
    /// Answer without `a=msrp-cema`; connections go by the `path`.
    WithoutCema,
    /// Answer with `a=msrp-cema`; if we are to connect, then to the address of the `c=` and `m=` lines of the offer.
    WithCema,
}

/// Whether an address of the `c=` and `m=` lines is that of a `path` URI (RFC 6714 §4.4). `host` and `port` are what stands in
/// the lines; `resolved` is what the names among the two resolve to: of the line, and of the URI. One match is enough.
#[must_use]
pub fn matches(host: &str, port: u16, uri: &Uri, resolved: (&[IpAddr], &[IpAddr])) -> bool {
    if uri.port() != Some(port) {
        return false;
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let literal: Option<IpAddr> = bare.parse().ok();
    match (literal, uri.address()) {
        (Some(line), Some(path)) => line == path,
        (Some(line), None) => resolved.1.contains(&line),
        (None, Some(path)) => resolved.0.contains(&path),
        (None, None) => {
            bare.eq_ignore_ascii_case(uri.host())
                || resolved.0.iter().any(|address| resolved.1.contains(address))
        }
    }
}

/// What the offerer does with the answer (RFC 6714 §4.2).
#[must_use]
pub fn after_answer(ours: Ours, answer: Described) -> AfterAnswer {
    let connects = opener(ours.setup, answer.setup) == Opener::Offerer;
    let by_path = if connects {
        AfterAnswer::ConnectToPath
    } else {
        AfterAnswer::Wait
    };
    if !ours.cema {
        return by_path;
    }
    if !answer.cema && !answer.matches && (!connects || ours.relay || answer.relay) {
        return AfterAnswer::OfferWithoutCema;
    }
    // A relay of the answerer at the address of the lines: no middlebox is there.
    if !answer.cema && answer.relay && answer.matches {
        return by_path;
    }
    // RFC 6714 §4.1: CEMA does not work for an active end with a relay.
    if connects && !ours.relay {
        AfterAnswer::ConnectToMediaLine
    } else {
        by_path
    }
}

/// What the answerer does with the offer (RFC 6714 §4.3). `relay` says whether we use one.
#[must_use]
pub fn answer(offer: Described, relay: bool) -> Answer {
    if !offer.cema {
        return if offer.matches {
            Answer::WithoutCema
        } else {
            Answer::Refuse
        };
    }
    let offerer_connects = matches!(offer.setup, None | Some(Setup::Active | Setup::HoldConn));
    let both_relays = relay && offer.relay;
    let active_behind_relay = offer.relay && offerer_connects;
    let cannot_wait = relay && offer.setup == Some(Setup::Passive);
    if both_relays || active_behind_relay || cannot_wait {
        Answer::WithoutCema
    } else {
        Answer::WithCema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(cema: bool, relay: bool, matches: bool, setup: Option<Setup>) -> Described {
        Described {
            cema,
            relay,
            matches,
            setup,
        }
    }

    #[test]
    fn rfc6714_4_4_addresses() {
        let name = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        for (host, port, uri, resolved, same) in [
            (
                "192.0.2.1",
                2855,
                "msrp://192.0.2.1:2855/a;tcp",
                (&[][..], &[][..]),
                true,
            ),
            (
                "192.0.2.1",
                2855,
                "msrp://192.0.2.1:2856/a;tcp",
                (&[], &[]),
                false,
            ),
            ("192.0.2.1", 2855, "msrp://192.0.2.1/a;tcp", (&[], &[]), false),
            (
                "192.0.2.2",
                2855,
                "msrp://192.0.2.1:2855/a;tcp",
                (&[], &[]),
                false,
            ),
            (
                "2001:db8:0::1",
                1,
                "msrp://[2001:db8::1]:1/a;tcp",
                (&[], &[]),
                true,
            ),
            (
                "[2001:db8::1]",
                1,
                "msrp://[2001:db8:0:0::1]:1/a;tcp",
                (&[], &[]),
                true,
            ),
            (
                "192.0.2.1",
                1,
                "msrp://a.example.com:1/a;tcp",
                (&[], &name[..]),
                true,
            ),
            (
                "192.0.2.9",
                1,
                "msrp://a.example.com:1/a;tcp",
                (&[], &name[..]),
                false,
            ),
            (
                "a.example.com",
                1,
                "msrp://192.0.2.1:1/a;tcp",
                (&name[..], &[]),
                true,
            ),
            (
                "a.example.com",
                1,
                "msrp://A.example.com:1/a;tcp",
                (&[], &[]),
                true,
            ),
            (
                "a.example.com",
                1,
                "msrp://b.example.com:1/a;tcp",
                (&name[..], &name[1..]),
                true,
            ),
            (
                "a.example.com",
                1,
                "msrp://b.example.com:1/a;tcp",
                (&name[..1], &name[1..]),
                false,
            ),
        ] {
            let parsed: Uri = uri.parse().unwrap();
            assert_eq!(
                matches(host, port, &parsed, resolved),
                same,
                "{host} {port} {uri}"
            );
        }
    }

    // Rows: C4975-30
    #[test]
    fn rfc6714_4_2_the_offerer() {
        use AfterAnswer::{ConnectToMediaLine, ConnectToPath, OfferWithoutCema, Wait};
        use Setup::{ActPass, Active, Passive};
        let (passive, active) = (Some(Passive), Some(Active));
        for (relay, answer, does) in [
            // Both know CEMA.
            (false, described(true, false, false, passive), ConnectToMediaLine),
            (false, described(true, false, true, passive), ConnectToMediaLine),
            (false, described(true, false, false, active), Wait),
            (true, described(true, false, false, active), Wait),
            (false, described(true, true, false, passive), ConnectToMediaLine),
            // The answerer does not: criteria 1, 2 and 3 of the section.
            (false, described(false, false, false, active), OfferWithoutCema),
            (true, described(false, false, false, passive), OfferWithoutCema),
            (true, described(false, false, false, None), OfferWithoutCema),
            (false, described(false, true, false, passive), OfferWithoutCema),
            // A middlebox, and we connect: CEMA works without the answerer.
            (false, described(false, false, false, passive), ConnectToMediaLine),
            (false, described(false, false, false, None), ConnectToMediaLine),
            // No middlebox.
            (false, described(false, true, true, passive), ConnectToPath),
            (false, described(false, false, true, passive), ConnectToMediaLine),
            (false, described(false, false, true, active), Wait),
            (true, described(false, false, true, passive), ConnectToPath),
        ] {
            let ours = Ours {
                cema: true,
                relay,
                setup: Some(ActPass),
            };
            assert_eq!(after_answer(ours, answer), does, "{relay} {answer:?}");
            let without = Ours { cema: false, ..ours };
            assert!(matches!(after_answer(without, answer), ConnectToPath | Wait));
        }
    }

    // Rows: C4975-30
    #[test]
    fn rfc6714_4_3_the_answerer() {
        use Answer::{Refuse, WithCema, WithoutCema};
        use Setup::{ActPass, Active, Passive};
        for (offer, relay, does) in [
            (described(false, false, false, Some(ActPass)), false, Refuse),
            (described(false, false, true, Some(ActPass)), false, WithoutCema),
            (described(true, false, false, Some(ActPass)), false, WithCema),
            (described(true, false, true, Some(Active)), true, WithCema),
            (described(true, true, false, Some(ActPass)), false, WithCema),
            // Criteria 1, 2 and 3 of the section.
            (described(true, true, true, Some(ActPass)), true, WithoutCema),
            (described(true, true, true, Some(Active)), false, WithoutCema),
            (described(true, true, true, None), false, WithoutCema),
            (described(true, false, true, Some(Passive)), true, WithoutCema),
            (described(true, false, true, Some(Passive)), false, WithCema),
        ] {
            assert_eq!(answer(offer, relay), does, "{offer:?} {relay}");
        }
    }
}
