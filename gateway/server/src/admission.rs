//! How many connections a listener keeps, in all and from one address.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts the connections of one listener. Clones count together.
#[derive(Debug, Clone)]
pub struct Admission {
    total: usize,
    per_address: usize,
    present: Arc<Mutex<Present>>,
}

#[derive(Debug, Default)]
struct Present {
    total: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// An admitted connection; dropping it makes room for another.
#[derive(Debug)]
pub struct Seat {
    address: IpAddr,
    present: Arc<Mutex<Present>>,
}

/// Why a connection was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// The listener has as many as it may.
    #[error("the limit of connections in all is reached")]
    Total,
    /// The address has as many as it may.
    #[error("the limit of connections from one address is reached")]
    PerAddress,
}

impl Admission {
    /// At most `total` connections, at most `per_address` from one address.
    #[must_use]
    pub fn new(total: usize, per_address: usize) -> Self {
        Self {
            total,
            per_address,
            present: Arc::default(),
        }
    }

    /// Counts one more connection from `address`.
    ///
    /// # Errors
    /// When a limit is reached; the connection is to be closed.
    pub fn admit(&self, address: IpAddr) -> Result<Seat, NotAdmitted> {
        let address = address.to_canonical();
        let mut present = lock(&self.present);
        if present.total >= self.total {
            return Err(NotAdmitted::Total);
        }
        let here = present.by_address.entry(address).or_default();
        if *here >= self.per_address {
            return Err(NotAdmitted::PerAddress);
        }
        *here += 1;
        present.total += 1;
        Ok(Seat {
            address,
            present: Arc::clone(&self.present),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut present = lock(&self.present);
        present.total = present.total.saturating_sub(1);
        if let Some(here) = present.by_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                present.by_address.remove(&self.address);
            }
        }
    }
}

/// The counts are whole after every statement, so a lock left by a panicking task is as good as any.
fn lock(present: &Mutex<Present>) -> MutexGuard<'_, Present> {
    present.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_per_address_counts_each_address_for_itself_and_frees_on_drop() {
        let admission = Admission::new(10, 2);
        let [a, b] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse::<IpAddr>().unwrap());
        let first = admission.admit(a).unwrap();
        let _second = admission.admit(a).unwrap();
        assert_eq!(admission.admit(a).unwrap_err(), NotAdmitted::PerAddress);
        let _other = admission.admit(b).unwrap();
        drop(first);
        assert!(admission.admit(a).is_ok());
    }

    #[test]
    fn a_mapped_ipv4_address_is_the_same_as_the_plain_one() {
        let admission = Admission::new(10, 1);
        let _seat = admission.admit("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert!(admission.admit("192.0.2.1".parse().unwrap()).is_err());
    }

    #[test]
    fn the_total_holds_at_the_limit_and_nothing_is_left_after_all_have_gone() {
        let admission = Admission::new(3, 3);
        let seats: Vec<_> = (1..=3)
            .map(|n| admission.admit(IpAddr::from([192, 0, 2, n])).unwrap())
            .collect();
        assert_eq!(
            admission.admit(IpAddr::from([192, 0, 2, 9])).unwrap_err(),
            NotAdmitted::Total
        );
        drop(seats);
        let present = lock(&admission.present);
        assert_eq!((present.total, present.by_address.len()), (0, 0));
    }
}
