//! TLS from the first octet on a component link, where the XMPP server's listener wants it (`tls: true` in ejabberd).

use std::{io, path::Path, sync::Arc};

use rustls::{ClientConfig, crypto::ring, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{TlsFault, files::read_anchors, server_name};

/// How the XMPP server proves who it is. The component's secret is what we prove it with.
#[derive(Clone)]
pub struct ComponentTls {
    config: Arc<ClientConfig>,
    /// Whom its certificate names; without, the host that was connected to.
    name: Option<ServerName<'static>>,
}

impl ComponentTls {
    /// Reads the trust anchors, or the system's. `name` is whom the certificate must name, if not the host connected to; `None` if no
    /// certificate could.
    ///
    /// # Errors
    /// A file that cannot be used, with the remedy.
    pub fn open(anchors: Option<&Path>, name: Option<&str>) -> Result<Option<Self>, TlsFault> {
        let anchors = read_anchors(anchors)?;
        let name = match name.map(server_name) {
            Some(None) => return Ok(None),
            name => name.flatten(),
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Ok(builder.ok().map(|builder| Self {
            config: Arc::new(builder.with_root_certificates(anchors).with_no_client_auth()),
            name,
        }))
    }

    /// The handshake over a connection to `host`.
    ///
    /// # Errors
    /// The server's or the network's fault, or another's certificate.
    pub(crate) async fn secure(&self, stream: TcpStream, host: &str) -> io::Result<TlsStream<TcpStream>> {
        let name = self.name.clone().or_else(|| server_name(host)).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{host}` is no host that a certificate could name: set xmpp.tls_name"),
            )
        })?;
        TlsConnector::from(Arc::clone(&self.config))
            .connect(name, stream)
            .await
    }
}
