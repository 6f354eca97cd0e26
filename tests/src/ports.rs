//! Free loopback ports.

use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    sync::atomic::{AtomicU16, Ordering},
};

use crate::{Context, Result};

/// Below Linux's range for outgoing connections (32768 and up), so that no such connection takes the port between
/// our look and the server's bind.
const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

/// A port that nothing on 127.0.0.1 uses now, for UDP and TCP alike. No two calls in one process give the same port
/// until the range is used up; a server that still finds it taken must be started again on another.
///
/// # Errors
/// No port in the range is free.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run side by side start at different places.
    let origin = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(COUNT))?;
    (0..COUNT)
        .map(|_| {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
            FIRST + (origin + step) % COUNT
        })
        .find(|port| is_free(*port))
        .context("no free port on 127.0.0.1")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        && UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::free_port;

    #[test]
    fn ports_of_one_process_differ() {
        let ports: BTreeSet<u16> = (0..100).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 100);
    }
}
