//! A relay for TCP that keeps what goes through it, to be judged by [`crate::msrp_checker`] afterwards.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use crate::{Context, Result, ensure, msrp_checker::check_conversation};

/// Octets kept of one direction; a connection that carries more is judged no further.
const KEPT: usize = 32 * 1024 * 1024;

/// Carries every connection made to it on to a server, and keeps both directions from their first octet.
#[derive(Debug)]
pub struct MsrpTap {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<Arc<Recording>>>>,
}

/// One connection.
#[derive(Debug, Default)]
struct Recording {
    /// What the server wrote.
    written: Mutex<Vec<u8>>,
    /// What it heard.
    heard: Mutex<Vec<u8>>,
}

impl MsrpTap {
    /// Listens on a port of 127.0.0.1 on behalf of `server`.
    ///
    /// # Errors
    /// No port can be had.
    pub fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no port for the MSRP tap")?;
        let address = listener.local_addr()?;
        let connections = Arc::default();
        let kept = Arc::clone(&connections);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that is gone is a closed connection to the client.
                let _ = carry(client, server, &kept);
            }
        });
        Ok(Self { address, connections })
    }

    /// Where to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Judges everything that the server has written so far.
    ///
    /// # Errors
    /// It broke a rule; the message names each, with the octets.
    pub fn check(&self) -> Result<()> {
        for connection in lock(&self.connections).iter() {
            // What was heard is kept before it is passed on, so it is read last.
            let written = lock(&connection.written).clone();
            judge(&written, &lock(&connection.heard).clone())?;
        }
        Ok(())
    }

    /// Judges everything that has been written to the server so far.
    ///
    /// # Errors
    /// Somebody broke a rule; the message names each, with the octets.
    pub fn check_clients(&self) -> Result<()> {
        for connection in lock(&self.connections).iter() {
            let heard = lock(&connection.heard).clone();
            judge(&heard, &lock(&connection.written).clone())?;
        }
        Ok(())
    }

    /// Octets that the server has written so far, over all connections.
    #[must_use]
    pub fn written(&self) -> usize {
        let connections = lock(&self.connections);
        connections
            .iter()
            .map(|connection| lock(&connection.written).len())
            .sum()
    }
}

fn judge(written: &[u8], heard: &[u8]) -> Result<()> {
    if written.len().max(heard.len()) >= KEPT {
        return Ok(());
    }
    let verdict = check_conversation(written, heard);
    let deviations: Vec<String> = verdict.deviations.iter().map(ToString::to_string).collect();
    ensure!(
        deviations.is_empty(),
        "unsound MSRP was written:\n{}\n--- in\n{}",
        deviations.join("\n"),
        String::from_utf8_lossy(written)
    );
    Ok(())
}

fn carry(client: TcpStream, server: SocketAddr, kept: &Mutex<Vec<Arc<Recording>>>) -> Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let recording = Arc::new(Recording::default());
    lock(kept).push(Arc::clone(&recording));
    let (from_client, to_client) = (client.try_clone()?, client);
    let (from_server, to_server) = (server.try_clone()?, server);
    let heard = Arc::clone(&recording);
    thread::spawn(move || pump(from_client, to_server, &heard.heard));
    thread::spawn(move || pump(from_server, to_client, &recording.written));
    Ok(())
}

/// Carries octets on until there are no more, and passes the end on.
fn pump(mut from: TcpStream, mut to: TcpStream, kept: &Mutex<Vec<u8>>) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        let octets = piece.get(..length).unwrap_or_default();
        {
            let mut kept = lock(kept);
            let room = KEPT.saturating_sub(kept.len());
            kept.extend_from_slice(octets.get(..room).unwrap_or(octets));
        }
        if to.write_all(octets).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{Shutdown, TcpListener, TcpStream},
    };

    use super::MsrpTap;

    const REQUEST: &str = "MSRP transact0001 SEND\r\nTo-Path: msrp://b.example.org:1/bsession;tcp\r\n\
                           From-Path: msrp://a.example.org:1/asession;tcp\r\nMessage-ID: m001\r\n-------transact0001$\r\n";
    const RESPONSE: &str = "MSRP transact0001 200 OK\r\nTo-Path: msrp://a.example.org:1/asession;tcp\r\n\
                            From-Path: msrp://b.example.org:1/bsession;tcp\r\n-------transact0001$\r\n";

    /// The client asks, the server writes `response`; what the tap says of it.
    fn judged(response: &str) -> (String, Option<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tap = MsrpTap::start(listener.local_addr().unwrap()).unwrap();
        let mut client = TcpStream::connect(tap.address()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(REQUEST.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut asked = String::new();
        server.read_to_string(&mut asked).unwrap();
        assert_eq!(asked, REQUEST);
        server.write_all(response.as_bytes()).unwrap();
        drop(server);
        let mut answered = String::new();
        client.read_to_string(&mut answered).unwrap();
        assert_eq!(tap.written(), response.len());
        (answered, tap.check().err().map(|error| error.to_string()))
    }

    #[test]
    fn octets_and_ends_pass_through_both_ways() {
        assert_eq!(judged(RESPONSE), (RESPONSE.to_owned(), None));
    }

    #[test]
    fn what_the_server_writes_wrong_is_found() {
        for (right, wrong) in [("0001 200", "0002 200"), ("OK\r\n", "OK\n"), ("0001$", "0001+")] {
            let (_, fault) = judged(&RESPONSE.replacen(right, wrong, 1));
            assert!(fault.is_some_and(|fault| fault.contains("RFC 4975 §")), "{wrong}");
        }
    }
}
