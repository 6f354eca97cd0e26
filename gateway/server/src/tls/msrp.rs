//! MSRP over TLS (RFC 4975 §14): any client may connect, for its secret is the path; whom we connect to proves who it is.

use std::{io, sync::Arc, time::Duration};

use ::msrp::sdp::Fingerprints;
use mapping::{NotConnected, Proof};
use rustls::{CertificateError, Error};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::{Current, Tls, server_name, within};

impl Tls {
    /// The certificates that MSRP peers may be shown.
    pub(crate) fn fingerprints(&self) -> Fingerprints {
        self.material().fingerprints.clone()
    }

    /// Tells when they change from now on.
    pub(crate) fn watch(&self) -> CertificateWatch {
        CertificateWatch {
            current: self.current.subscribe(),
        }
    }

    /// The handshake with an MSRP peer that has connected. It is asked for no certificate: one would tell who it is (RFC 7701 §11).
    ///
    /// # Errors
    /// The peer's or the network's fault, or no end within `deadline`.
    pub(crate) async fn accept_msrp(
        &self,
        stream: TcpStream,
        deadline: Duration,
    ) -> io::Result<server::TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.material().msrp_server));
        within(deadline, acceptor.accept(stream)).await
    }

    /// The handshake with an MSRP peer that we have connected to: the one at `host`, as it proves.
    ///
    /// # Errors
    /// What was wrong, and in words for the log.
    pub(crate) async fn secure_msrp(
        &self,
        stream: TcpStream,
        host: &str,
        proof: &Proof,
    ) -> Result<client::TlsStream<TcpStream>, (NotConnected, String)> {
        let Some(name) = server_name(host) else {
            let why = format!("`{host}` is no host that a certificate could name");
            return Err((NotConnected::WrongName, why));
        };
        let material = self.material();
        let config = match proof {
            Proof::Name => Arc::clone(&material.msrp_client),
            Proof::Certificate(certificates) => Arc::new(material.msrp_client_of(certificates.clone())),
        };
        let secured = TlsConnector::from(config).connect(name, stream).await;
        secured.map_err(|error| (verdict(&error), error.to_string()))
    }
}

/// Tells when MSRP peers are shown other certificates.
pub(crate) struct CertificateWatch {
    current: tokio::sync::watch::Receiver<Current>,
}

impl CertificateWatch {
    /// Those from now on, as soon as files were read again; never, once nobody can read them. May be cancelled.
    pub(crate) async fn changed(&mut self) -> Fingerprints {
        if self.current.changed().await.is_err() {
            return std::future::pending().await;
        }
        self.current.borrow_and_update().material.fingerprints.clone()
    }
}

fn verdict(error: &io::Error) -> NotConnected {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => NotConnected::WrongName,
        Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            NotConnected::WrongCertificate
        }
        Some(Error::InvalidCertificate(_)) => NotConnected::Untrusted,
        _ => NotConnected::NoTls,
    }
}
