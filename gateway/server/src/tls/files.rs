//! Certificates and keys as they stand in files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::{
    ClientCertificates, KeyPair, TlsConfig,
    identity::{self, SipServerVerifier},
};

/// What handshakes are made with.
pub(super) struct Material {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
    /// Whom our certificate names.
    pub(super) names: Vec<String>,
}

/// A file that cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}; {remedy}", file.display())]
pub struct TlsFault {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: &'static str,
}

/// What tells that a file is another than it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: SystemTime,
    octets: u64,
}

impl Stamp {
    /// `None` where there is no such file.
    pub(super) fn of(file: &Path) -> Option<Self> {
        let data = fs::metadata(file).ok()?;
        Some(Self {
            modified: data.modified().ok()?,
            octets: data.len(),
        })
    }
}

impl Material {
    pub(super) fn read(config: &TlsConfig) -> Result<Self, TlsFault> {
        let provider = Arc::new(ring::default_provider());
        let anchors = Arc::new(read_anchors(config.trust_anchors.as_deref())?);
        let (chain, key) = read_pair(&config.server)?;
        let names = chain.first().map(identity::names).unwrap_or_default();
        let clients = client_verifier(config, &anchors, &provider)?;
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_client_cert_verifier(clients))
            .and_then(|builder| builder.with_single_cert(chain, key))
            .map_err(|error| mismatch(&config.server, &error))?;
        let (chain, key) = read_pair(&config.client)?;
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map(|builder| {
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(SipServerVerifier::new(anchors, &provider)))
            })
            .and_then(|builder| builder.with_client_auth_cert(chain, key))
            .map_err(|error| mismatch(&config.client, &error))?;
        Ok(Self {
            server: Arc::new(server),
            client: Arc::new(client),
            names,
        })
    }
}

fn client_verifier(
    config: &TlsConfig,
    anchors: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(anchors), Arc::clone(provider));
    let verifier = match config.client_certificates {
        ClientCertificates::None => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientCertificates::Optional => builder.allow_unauthenticated().build(),
        ClientCertificates::Required => builder.build(),
    };
    verifier.map_err(|error| anchors_fault(config.trust_anchors.as_deref(), error.to_string()))
}

fn read_pair(pair: &KeyPair) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsFault> {
    let chain = read_certificates(&pair.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&pair.key).map_err(|error| TlsFault {
        file: pair.key.clone(),
        problem: match error {
            pem::Error::NoItemsFound => "it holds no private key".to_owned(),
            error => unreadable(&error),
        },
        remedy: "put the certificate's private key there in PEM form, without a passphrase, readable by the gateway's user",
    })?;
    Ok((chain, key))
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let fault = |problem| TlsFault {
        file: file.to_owned(),
        problem,
        remedy: "put the certificate and those that follow it up to its trust anchor there in PEM form",
    };
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let chain = read.map_err(|error| fault(unreadable(&error)))?;
    if chain.is_empty() {
        return Err(fault("it holds no certificate".to_owned()));
    }
    Ok(chain)
}

/// The anchors in a file, or the system's.
fn read_anchors(file: Option<&Path>) -> Result<RootCertStore, TlsFault> {
    let certificates = match file {
        Some(file) => read_certificates(file)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut anchors = RootCertStore::empty();
    // A system's store may hold a certificate that is none: the others count.
    let (_usable, _unusable) = anchors.add_parsable_certificates(certificates);
    if anchors.is_empty() {
        return Err(anchors_fault(file, "no certificate there can be used".to_owned()));
    }
    Ok(anchors)
}

fn anchors_fault(file: Option<&Path>, problem: String) -> TlsFault {
    TlsFault {
        file: file.unwrap_or(Path::new("the system's trust anchors")).to_owned(),
        problem,
        remedy: "install ca-certificates, or name a file with certificates in tls.trust_anchors",
    }
}

fn unreadable(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            "there is no such file".to_owned()
        }
        error => format!("it cannot be read: {error}"),
    }
}

fn mismatch(pair: &KeyPair, error: &rustls::Error) -> TlsFault {
    TlsFault {
        file: pair.certificate.clone(),
        problem: format!("it does not go with {}: {error}", pair.key.display()),
        remedy: "put the certificate first and its own key beside it",
    }
}
