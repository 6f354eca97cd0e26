//! Certificates and keys as they stand in files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use ::msrp::sdp::Fingerprints;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::{
    ClientCertificates, KeyPair, TlsConfig,
    identity::{self, PeerVerifier},
};

/// The keys of `[tls]`.
const SERVER: [&str; 2] = ["certificate", "key"];
const CLIENT: [&str; 2] = ["client_certificate", "client_key"];
const ANCHORS: &str = "trust_anchors";

/// What handshakes are made with.
pub(super) struct Material {
    /// With SIP peers that connect to us.
    pub(super) server: Arc<ServerConfig>,
    /// With SIP peers that we connect to.
    pub(super) client: Arc<ClientConfig>,
    /// With MSRP peers that connect to us.
    pub(super) msrp_server: Arc<ServerConfig>,
    /// With MSRP peers that we connect to and know by their names.
    pub(super) msrp_client: Arc<ClientConfig>,
    /// Whom our certificate names.
    pub(super) names: Vec<String>,
    /// The certificates that MSRP peers may be shown.
    pub(super) fingerprints: Fingerprints,
}

/// A file that cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}; {remedy}", file.display())]
pub struct TlsFault {
    /// The key of `[tls]` that names the file.
    pub key: &'static str,
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
        let (chain, key) = read_pair(&config.server, SERVER)?;
        let names = chain.first().map(identity::names).unwrap_or_default();
        let clients = client_verifier(config, &anchors, &provider)?;
        let (client_chain, client_key) = read_pair(&config.client, CLIENT)?;
        let fingerprints = Fingerprints::of([&chain, &client_chain].into_iter().filter_map(|chain| {
            let certificate = chain.first()?;
            Some(&**certificate)
        }));
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_client_cert_verifier(clients))
            .and_then(|builder| builder.with_single_cert(chain, key))
            .map_err(|error| mismatch(SERVER[0], &config.server, &error))?;
        let msrp_server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map(|builder| {
                builder
                    .with_no_client_auth()
                    .with_cert_resolver(Arc::clone(&server.cert_resolver))
            })
            .map_err(|error| mismatch(SERVER[0], &config.server, &error))?;
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map(|builder| {
                let verifier = PeerVerifier::of_sip_domains(Arc::clone(&anchors), &provider);
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            })
            .and_then(|builder| builder.with_client_auth_cert(client_chain, client_key))
            .map_err(|error| mismatch(CLIENT[0], &config.client, &error))?;
        let msrp_client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|builder| {
                builder
                    .with_root_certificates(anchors)
                    .with_client_cert_resolver(Arc::clone(&client.client_auth_cert_resolver))
            })
            .map_err(|error| mismatch(CLIENT[0], &config.client, &error))?;
        Ok(Self {
            server: Arc::new(server),
            client: Arc::new(client),
            msrp_server: Arc::new(msrp_server),
            msrp_client: Arc::new(msrp_client),
            names,
            fingerprints,
        })
    }

    /// With an MSRP peer that we connect to and know by its certificate. Nothing is kept of it: another may have the same name.
    pub(super) fn msrp_client_of(&self, certificates: Fingerprints) -> ClientConfig {
        let mut config = ClientConfig::clone(&self.msrp_client);
        let verifier = PeerVerifier::of_certificates(certificates, config.crypto_provider());
        config.dangerous().set_certificate_verifier(Arc::new(verifier));
        config.resumption = Resumption::disabled();
        config
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

fn read_pair(
    pair: &KeyPair,
    [certificate_key, key_key]: [&'static str; 2],
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsFault> {
    let chain = read_certificates(certificate_key, &pair.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&pair.key).map_err(|error| TlsFault {
        key: key_key,
        file: pair.key.clone(),
        problem: match error {
            pem::Error::NoItemsFound => "it holds no private key".to_owned(),
            error => unreadable(&error),
        },
        remedy: "put the certificate's private key there in PEM form, without a passphrase, readable by the gateway's user",
    })?;
    Ok((chain, key))
}

fn read_certificates(key: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let fault = |problem| TlsFault {
        key,
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
pub(super) fn read_anchors(file: Option<&Path>) -> Result<RootCertStore, TlsFault> {
    let certificates = match file {
        Some(file) => read_certificates(ANCHORS, file)?,
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
        key: ANCHORS,
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

fn mismatch(key: &'static str, pair: &KeyPair, error: &rustls::Error) -> TlsFault {
    TlsFault {
        key,
        file: pair.certificate.clone(),
        problem: format!("it does not go with {}: {error}", pair.key.display()),
        remedy: "put the certificate first and its own key beside it",
    }
}
