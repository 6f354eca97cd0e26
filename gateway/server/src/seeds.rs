//! One random seed at start, divided among the machines.

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

/// Seeds for every machine, derived from one of 32 octets: the same master seed gives the same seeds.
#[derive(Clone)]
pub struct Seeds {
    master: [u8; 32],
}

/// Whose seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The mapping core.
    Mapping,
    /// The SIP endpoint.
    Sip,
    /// A component link, by its number.
    Link(u64),
    /// The choice among SRV records of equal priority.
    Lookup,
    /// An MSRP connection, by its number.
    Connection(u64),
}

impl Seeds {
    /// From the operating system's generator.
    ///
    /// # Errors
    /// When the operating system has none, which leaves nothing to run on.
    pub fn from_system() -> Result<Self, getrandom::Error> {
        let mut master = [0; 32];
        getrandom::fill(&mut master)?;
        Ok(Self { master })
    }

    /// From a given seed, for replay.
    #[must_use]
    pub fn from_master(master: [u8; 32]) -> Self {
        Self { master }
    }

    /// The seed for one machine: a ChaCha stream of its own.
    #[must_use]
    pub fn seed(&self, purpose: Purpose) -> [u8; 32] {
        let stream = match purpose {
            Purpose::Mapping => 0,
            Purpose::Sip => 1,
            Purpose::Lookup => 3,
            // Even streams are links, odd ones connections.
            Purpose::Link(number) => number.wrapping_mul(2).wrapping_add(16),
            Purpose::Connection(number) => number.wrapping_mul(2).wrapping_add(17),
        };
        let mut rng = ChaCha12Rng::from_seed(self.master);
        rng.set_stream(stream);
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        seed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_its_own_seed_and_the_same_one_again() {
        let seeds = Seeds::from_master([7; 32]);
        let all = [
            Purpose::Mapping,
            Purpose::Sip,
            Purpose::Link(0),
            Purpose::Link(1),
            Purpose::Lookup,
            Purpose::Connection(0),
            Purpose::Connection(1),
        ]
        .map(|purpose| seeds.seed(purpose));
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other != one));
        }
        assert_eq!(seeds.seed(Purpose::Connection(1)), all[6]);
        assert_ne!(Seeds::from_master([8; 32]).seed(Purpose::Mapping), all[0]);
    }
}
