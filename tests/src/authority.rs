//! A certificate authority, and certificates in files as servers take them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
pub use rcgen::{ExtendedKeyUsagePurpose, SanType, date_time_ymd};

use crate::{Context, Result, scratch::Scratch};

/// An authority whose files go with it.
pub struct Authority {
    scratch: Scratch,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a certificate says besides its key.
#[derive(Debug, Clone, Default)]
pub struct Says {
    /// Whom it names.
    pub names: Vec<SanType>,
    /// It was valid long ago.
    pub expired: bool,
    /// What it is for; any purpose if it does not say.
    pub purpose: Option<ExtendedKeyUsagePurpose>,
}

/// The files of a certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct Files {
    /// Certificate.
    pub certificate: PathBuf,
    /// Key.
    pub key: PathBuf,
}

impl Says {
    /// A certificate for these names, valid now.
    #[must_use]
    pub fn names(names: &[SanType]) -> Self {
        Self {
            names: names.to_vec(),
            ..Self::default()
        }
    }
}

/// A DNS name.
///
/// # Errors
/// It is not ASCII.
pub fn dns(name: &str) -> Result<SanType> {
    Ok(SanType::DnsName(name.try_into()?))
}

/// A URI.
///
/// # Errors
/// It is not ASCII.
pub fn uri(name: &str) -> Result<SanType> {
    Ok(SanType::URI(name.try_into()?))
}

impl Authority {
    /// A new authority with a key of its own.
    ///
    /// # Errors
    /// The temporary directory is not writable.
    pub fn new() -> Result<Self> {
        let scratch = Scratch::new("authority")?;
        let mut parameters = parameters();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters
            .distinguished_name
            .push(DnType::CommonName, scratch.path().display().to_string());
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        fs::write(scratch.path().join("authority.pem"), issuer.pem())?;
        Ok(Self { scratch, issuer })
    }

    /// The file with its own certificate.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.scratch.path().join("authority.pem")
    }

    /// Issues a certificate whose common name is `localhost`; an earlier one in files of that name is replaced.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn issue(&self, name: &str, says: &Says) -> Result<Files> {
        let mut parameters = parameters();
        parameters.subject_alt_names.clone_from(&says.names);
        parameters
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        parameters.extended_key_usages = says.purpose.clone().into_iter().collect();
        if says.expired {
            parameters.not_before = date_time_ymd(2020, 1, 1);
            parameters.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let directory = self.scratch.path();
        let files = Files {
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        };
        replace(&files.key, &key.serialize_pem())?;
        replace(&files.certificate, &certificate.pem())?;
        Ok(files)
    }

    /// The certificate of the authority, in DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        self.issuer.der()
    }
}

/// Valid for long, but not until rcgen's own 4096, which is more than ejabberd can count down to.
fn parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.not_after = date_time_ymd(2100, 1, 1);
    parameters
}

/// Nobody sees it half written.
fn replace(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, path).with_context(|| format!("cannot write {}", path.display()))
}
