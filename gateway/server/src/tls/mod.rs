//! TLS: our certificates, whom we believe theirs, and the change of both while connections stand.

mod component;
mod files;
mod identity;
mod msrp;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::pki_types::{DnsName, ServerName};
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use self::files::{Material, Stamp};
pub(crate) use self::msrp::CertificateWatch;
pub use self::{component::ComponentTls, files::TlsFault};

/// `[tls]`, with paths as the process opens them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// What we show to those who connect to us.
    pub server: KeyPair,
    /// What we show to those we connect to, when they ask.
    pub client: KeyPair,
    /// A file with the certificates that all others must lead to; `None`: the system's.
    pub trust_anchors: Option<PathBuf>,
    /// Whether who connects to us must show a certificate.
    pub client_certificates: ClientCertificates,
}

/// The files of a certificate chain and its private key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// Our certificate first, then those between it and its trust anchor.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Whether those who connect must show a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// None is asked for.
    None,
    /// One is asked for; who shows one must show a valid one.
    #[default]
    Optional,
    /// Without a valid one there is no connection.
    Required,
}

/// The certificates in use. Clones share them; a change is seen by the handshakes after it and touches no connection before it.
#[derive(Clone)]
pub struct Tls {
    current: watch::Sender<Current>,
}

#[derive(Clone)]
struct Current {
    config: Arc<TlsConfig>,
    material: Arc<Material>,
    /// What the files looked like before they were read.
    stamps: Vec<Option<Stamp>>,
}

/// A handshake done.
pub(crate) struct Secured {
    pub(crate) stream: TlsStream<TcpStream>,
    /// The SIP domain identities in the peer's certificate, which leads to a trust anchor of ours; none if it showed none.
    pub(crate) names: Vec<String>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// The first file that cannot be used, with the remedy.
    pub fn open(config: TlsConfig) -> Result<Self, TlsFault> {
        let stamps = stamps(&config);
        let material = Arc::new(Material::read(&config)?);
        Ok(Self {
            current: watch::Sender::new(Current {
                config: Arc::new(config),
                material,
                stamps,
            }),
        })
    }

    /// Uses from now on what `other` has read. Connections that stand go on with what they began with.
    pub fn adopt(&self, other: &Self) {
        self.current.send_replace(other.current());
    }

    /// Reads the files again. Connections that stand go on with what they began with.
    ///
    /// # Errors
    /// The first file that cannot be used, with the remedy; then the certificates stay as they are.
    pub fn reload(&self) -> Result<(), TlsFault> {
        let Current { config, material, .. } = self.current();
        let stamps = stamps(&config);
        let read = Material::read(&config).map(Arc::new);
        let (material, outcome) = match read {
            Ok(read) => (read, Ok(())),
            // It is reported once, not at every look until it is mended: hence the new stamps.
            Err(fault) => (material, Err(fault)),
        };
        self.current.send_replace(Current {
            config,
            material,
            stamps,
        });
        outcome
    }

    /// Whether a file has changed since it was read.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        let current = self.current();
        current.stamps != stamps(&current.config)
    }

    /// Whom our certificate names, for the log.
    #[must_use]
    pub fn summary(&self) -> String {
        self.material().names.join(", ")
    }

    /// The handshake with a peer that has connected.
    ///
    /// # Errors
    /// The peer's or the network's fault, or no end within `deadline`.
    pub(crate) async fn accept(&self, stream: TcpStream, deadline: Duration) -> io::Result<Secured> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.material().server));
        let stream = within(deadline, acceptor.accept(stream)).await?;
        let names = identity::of_peer(stream.get_ref().1.peer_certificates());
        Ok(Secured {
            stream: stream.into(),
            names,
        })
    }

    /// Connects to a peer whose certificate must name `host`; connect and handshake within `deadline`.
    ///
    /// # Errors
    /// The peer's or the network's fault, another's certificate, or no end within `deadline`.
    pub(crate) async fn connect(
        &self,
        peer: SocketAddr,
        host: &str,
        deadline: Duration,
    ) -> io::Result<Secured> {
        let name = server_name(host).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{host}` is no host that a certificate could name"),
            )
        })?;
        let connector = TlsConnector::from(Arc::clone(&self.material().client));
        let connected = async {
            let stream = TcpStream::connect(peer).await?;
            connector.connect(name, stream).await
        };
        let stream = within(deadline, connected).await?;
        let names = identity::of_peer(stream.get_ref().1.peer_certificates());
        Ok(Secured {
            stream: stream.into(),
            names,
        })
    }

    fn material(&self) -> Arc<Material> {
        self.current().material
    }

    fn current(&self) -> Current {
        self.current.borrow().clone()
    }
}

impl TlsConfig {
    /// Every file that counts.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let pairs = [&self.server, &self.client].map(|pair| [&pair.certificate, &pair.key]);
        pairs
            .into_iter()
            .flatten()
            .chain(&self.trust_anchors)
            .map(PathBuf::as_path)
    }
}

fn stamps(config: &TlsConfig) -> Vec<Option<Stamp>> {
    config.files().map(Stamp::of).collect()
}

fn server_name(host: &str) -> Option<ServerName<'static>> {
    if let Ok(address) = host.parse::<std::net::IpAddr>() {
        return Some(ServerName::from(address));
    }
    let name = DnsName::try_from(host.trim_end_matches('.').to_owned()).ok()?;
    Some(ServerName::DnsName(name))
}

async fn within<T>(deadline: Duration, handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(deadline, handshake).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no TLS connection in {deadline:?}"),
        )),
    }
}
