//! A relay for TCP whose connections can be cut, as a firewall or a broken switch does.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::{Context, Result};

/// Carries every connection made to it on to a server.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// Listens on a port of 127.0.0.1 on behalf of `server`.
    ///
    /// # Errors
    /// No port can be had.
    pub fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no port for the relay")?;
        let address = listener.local_addr()?;
        let open = Arc::default();
        let kept = Arc::clone(&open);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that is gone is a closed connection to the client.
                let _ = carry(&client, server, &kept);
            }
        });
        Ok(Self { address, open })
    }

    /// Where to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, on both sides and without a word.
    pub fn cut(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in open.drain(..) {
            // One that is closed already cannot be cut.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry(client: &TcpStream, server: SocketAddr, open: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    for stream in [client, &server] {
        stream.set_nodelay(true)?;
        let stream = stream.try_clone()?;
        open.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    }
    for (from, to) in [(client, &server), (&server, client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || {
            // Either side may break off: then both are closed.
            let _ = io::copy(&mut from, &mut to);
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
    Ok(())
}
