//! TLS to the switch: the certificate that its description names, or one for its host (RFC 4975 §14.2, §14.4).

use std::{io, path::Path, sync::Arc};

use msrp::sdp::Fingerprints;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Reads the certificates that others must lead to.
///
/// # Errors
/// The file has none, or cannot be read.
pub(crate) fn anchors(file: &Path) -> io::Result<RootCertStore> {
    let named = |fault| io::Error::other(format!("{}: {fault}", file.display()));
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|fault| named(fault.to_string()))?;
    let mut anchors = RootCertStore::empty();
    match anchors.add_parsable_certificates(certificates) {
        (0, _) => Err(named("there is no certificate in it".to_owned())),
        _ => Ok(anchors),
    }
}

/// The handshake with the switch at `host`.
///
/// # Errors
/// It is not the one that we were told of, or the connection failed.
pub(super) async fn secure(
    stream: TcpStream,
    host: &str,
    certificates: Fingerprints,
    anchors: Arc<RootCertStore>,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let config = if certificates.is_empty() {
        builder.with_root_certificates(anchors).with_no_client_auth()
    } else {
        let verifier = Arc::new(ByFingerprint {
            certificates,
            algorithms,
        });
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        builder.with_no_client_auth()
    };
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Takes a certificate of the fingerprints, whomever it names.
#[derive(Debug)]
struct ByFingerprint {
    certificates: Fingerprints,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ByFingerprint {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.certificates.name(certificate) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
