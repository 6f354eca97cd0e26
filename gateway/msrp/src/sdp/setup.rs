//! `setup`: which end opens the connection (RFC 4145, RFC 6135).

use std::fmt;

/// `a=setup` (RFC 4145, RFC 6135).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Opens the connection.
    Active,
    /// Waits for it.
    Passive,
    /// Either.
    ActPass,
    /// No connection for now.
    HoldConn,
}

impl Setup {
    const ALL: [Self; 4] = [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn];

    /// Reads the attribute's value; `None` if it is none of the four.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|setup| setup.as_str().eq_ignore_ascii_case(value.trim()))
    }
    /// The attribute's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which end opens the connection and sends the first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opener {
    /// The end that made the offer.
    Offerer,
    /// The end that made the answer.
    Answerer,
}

/// Who connects, from the `setup` of an offer and of its answer (RFC 6135 §4.2, §5). An absent one, and `holdconn`, which MSRP does
/// not know, count as if nothing were there; then RFC 4975 §5.4 makes the offerer connect.
///
/// An answer that contradicts the offer is read in favour of the offer: both ends can know that one.
#[must_use]
pub const fn opener(offer: Option<Setup>, answer: Option<Setup>) -> Opener {
    match (offer, answer) {
        (Some(Setup::Active), _) => Opener::Offerer,
        (Some(Setup::Passive), _) => Opener::Answerer,
        (Some(Setup::ActPass), Some(Setup::Active)) => Opener::Answerer,
        // An offer without `setup` comes from an end that can only connect, whatever the answer says.
        (Some(Setup::ActPass | Setup::HoldConn) | None, _) => Opener::Offerer,
    }
}

/// The `setup` of an answer to this offer (RFC 6135 §4.2.2): passive where the offer leaves the choice, unless we cannot be
/// reached from outside.
#[must_use]
pub const fn answer_setup(offer: Option<Setup>, reachable: bool) -> Setup {
    match offer {
        Some(Setup::Passive) => Setup::Active,
        Some(Setup::ActPass) if !reachable => Setup::Active,
        Some(Setup::Active | Setup::ActPass | Setup::HoldConn) | None => Setup::Passive,
    }
}

/// The `setup` of an offer (RFC 6135 §4.2.2), never passive.
#[must_use]
pub const fn offer_setup(reachable: bool) -> Setup {
    if reachable { Setup::ActPass } else { Setup::Active }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4145_4_setup() {
        for setup in Setup::ALL {
            assert_eq!(Setup::parse(setup.as_str()), Some(setup));
        }
        assert_eq!(Setup::parse("ActPass "), Some(Setup::ActPass));
        assert_eq!(Setup::parse("existing"), None);
    }

    // Rows: C4975-40, C4975-07
    #[test]
    fn rfc6135_4_2_2_who_connects() {
        use Opener::{Answerer, Offerer};
        use Setup::{ActPass, Active, HoldConn, Passive};
        for (offer, answer, opener_is) in [
            // RFC 4975 §5.4: no setup on either side, or on one.
            (None, None, Offerer),
            (None, Some(Passive), Offerer),
            (None, Some(Active), Offerer),
            (Some(ActPass), None, Offerer),
            (Some(ActPass), Some(Passive), Offerer),
            (Some(ActPass), Some(Active), Answerer),
            (Some(ActPass), Some(ActPass), Offerer),
            (Some(Active), None, Offerer),
            (Some(Active), Some(Passive), Offerer),
            (Some(Active), Some(Active), Offerer),
            (Some(Passive), None, Answerer),
            (Some(Passive), Some(Active), Answerer),
            (Some(HoldConn), Some(HoldConn), Offerer),
            (Some(ActPass), Some(HoldConn), Offerer),
        ] {
            assert_eq!(opener(offer, answer), opener_is, "{offer:?} {answer:?}");
        }
    }

    // Rows: C4975-40
    #[test]
    fn rfc6135_4_2_2_answers_agree_with_their_offers() {
        for (offer, reachable, answer) in [
            (None, true, Setup::Passive),
            (None, false, Setup::Passive),
            (Some(Setup::ActPass), true, Setup::Passive),
            (Some(Setup::ActPass), false, Setup::Active),
            (Some(Setup::Active), true, Setup::Passive),
            (Some(Setup::Active), false, Setup::Passive),
            (Some(Setup::Passive), true, Setup::Active),
            (Some(Setup::HoldConn), true, Setup::Passive),
        ] {
            assert_eq!(answer_setup(offer, reachable), answer, "{offer:?} {reachable}");
            let expected = match answer {
                Setup::Active => Opener::Answerer,
                _ => Opener::Offerer,
            };
            assert_eq!(opener(offer, Some(answer)), expected, "{offer:?} {reachable}");
        }
        assert_eq!(
            (offer_setup(true), offer_setup(false)),
            (Setup::ActPass, Setup::Active)
        );
    }
}
