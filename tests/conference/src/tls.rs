//! TLS of the switch.

use std::{io, path::Path, sync::Arc};

use msrp::sdp::Fingerprints;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What the switch shows to those who connect.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    pub(crate) fingerprints: Fingerprints,
}

/// Those of the certificate in a file.
///
/// # Errors
/// There is none in it.
pub(crate) fn fingerprints(certificate: &Path) -> io::Result<Fingerprints> {
    let certificate = CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?;
    Ok(Fingerprints::of([&*certificate]))
}

impl Tls {
    /// # Errors
    /// The files hold no certificate and key that belong together.
    pub(crate) fn open(certificate: &Path, key: &Path) -> io::Result<Self> {
        let fingerprints = fingerprints(certificate)?;
        let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(io::Error::other)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            fingerprints,
        })
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}
