//! A relay for TCP and TLS whose server, or whose clients, are judged by [`msrp_checker`] on the way.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use msrp_checker::Judge;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{Context, Result, authority::Files, ensure, tls::Between};

/// The last octets that are shown of a server that wrote something unsound.
const SHOWN: usize = 64 * 1024;

/// Carries every connection made to it on to a server, and judges what both ends write from the first octet to the last.
#[derive(Debug)]
pub struct MsrpTap {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<Arc<Mutex<Recording>>>>>,
}

/// One connection.
#[derive(Debug, Default)]
struct Recording {
    server: Judge,
    client: Judge,
    /// Octets that the server wrote.
    written: usize,
    /// The last octets that either end wrote.
    last: Vec<u8>,
}

impl Recording {
    fn written(&mut self, octets: &[u8]) {
        self.server.written(octets);
        self.client.heard(octets);
        self.written += octets.len();
        self.keep(octets);
    }

    fn heard(&mut self, octets: &[u8]) {
        self.server.heard(octets);
        self.client.written(octets);
        self.keep(octets);
    }

    fn keep(&mut self, octets: &[u8]) {
        self.last.extend_from_slice(octets);
        if self.last.len() > 2 * SHOWN {
            self.last.drain(..self.last.len() - SHOWN);
        }
    }
}

impl MsrpTap {
    /// Listens on a port of 127.0.0.1 on behalf of `server`.
    ///
    /// # Errors
    /// No port can be had.
    pub fn start(server: SocketAddr) -> Result<Self> {
        Self::start_between(server, None)
    }

    /// The same for a server that speaks TLS: clients are shown its very certificate, and it is asked for none.
    ///
    /// # Errors
    /// No port can be had, or the files are no certificate.
    pub fn start_tls(server: SocketAddr, files: &Files) -> Result<Self> {
        Self::start_between(server, Some(Between::open(files)?))
    }

    fn start_between(server: SocketAddr, tls: Option<Between>) -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no port for the MSRP tap")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let connections = Arc::default();
        let kept = Arc::clone(&connections);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        thread::spawn(move || runtime.block_on(serve(listener, server, tls, kept)));
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
        self.judged(|recording| &recording.server)
    }

    /// Judges everything that has been written to the server so far.
    ///
    /// # Errors
    /// A client broke a rule; the message names each, with the octets.
    pub fn check_clients(&self) -> Result<()> {
        self.judged(|recording| &recording.client)
    }

    fn judged(&self, of: fn(&Recording) -> &Judge) -> Result<()> {
        for connection in lock(&self.connections).iter() {
            let connection = lock(connection);
            let complaint = of(&connection).complaint();
            ensure!(
                complaint.is_none(),
                "unsound MSRP was written:\n{}\n--- in\n{}",
                complaint.unwrap_or_default(),
                String::from_utf8_lossy(&connection.last)
            );
        }
        Ok(())
    }

    /// Octets that the server has written so far, over all connections.
    #[must_use]
    pub fn written(&self) -> usize {
        let connections = lock(&self.connections);
        connections
            .iter()
            .map(|connection| lock(connection).written)
            .sum()
    }
}

async fn serve(
    listener: std::net::TcpListener,
    server: SocketAddr,
    tls: Option<Between>,
    kept: Arc<Mutex<Vec<Arc<Mutex<Recording>>>>>,
) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let (tls, kept) = (tls.clone(), Arc::clone(&kept));
        // A server that is gone is a closed connection to the client.
        tokio::spawn(async move { carry(client, server, tls, &kept).await });
    }
}

async fn carry(
    client: TcpStream,
    server: SocketAddr,
    tls: Option<Between>,
    kept: &Mutex<Vec<Arc<Mutex<Recording>>>>,
) -> Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let recording = Arc::new(Mutex::new(Recording::default()));
    lock(kept).push(Arc::clone(&recording));
    match tls {
        None => {
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            both(from_client, to_server, from_server, to_client, &recording).await;
        }
        Some(tls) => {
            let (from_client, to_client) = tokio::io::split(tls.accept(client).await?);
            let (from_server, to_server) = tokio::io::split(tls.connect(server).await?);
            both(from_client, to_server, from_server, to_client, &recording).await;
        }
    }
    Ok(())
}

async fn both(
    from_client: impl AsyncRead + Unpin,
    to_server: impl AsyncWrite + Unpin,
    from_server: impl AsyncRead + Unpin,
    to_client: impl AsyncWrite + Unpin,
    recording: &Mutex<Recording>,
) {
    tokio::join!(
        pump(from_client, to_server, recording, Recording::heard),
        pump(from_server, to_client, recording, Recording::written),
    );
}

/// Carries octets on until there are no more, and passes the end on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    recording: &Mutex<Recording>,
    note: fn(&mut Recording, &[u8]),
) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let octets = piece.get(..length).unwrap_or_default();
        // Noted before it is passed on, so that a request is known before its response.
        note(&mut lock(recording), octets);
        if to.write_all(octets).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
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
