//! `fingerprint`: whose certificate the other end shows in TLS (RFC 4975 §14.4, RFC 4572 §5, RFC 8122 §5).

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256, Sha384, Sha512};

use super::SdpFault;

/// A hash function that binds a certificate, weakest first. RFC 8122 §5 makes SHA-256 the one that everybody has, and MD5 and SHA-1, of
/// which RFC 4975 has an example, bind nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashFunction {
    /// `sha-256`.
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

impl HashFunction {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// As the attribute names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn hash(self, octets: &[u8]) -> Box<[u8]> {
        match self {
            Self::Sha256 => Sha256::digest(octets).as_slice().into(),
            Self::Sha384 => Sha384::digest(octets).as_slice().into(),
            Self::Sha512 => Sha512::digest(octets).as_slice().into(),
        }
    }

    const fn octets(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// `a=fingerprint`: the hash of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    hash: HashFunction,
    octets: Box<[u8]>,
}

impl Fingerprint {
    /// That of a certificate in DER.
    #[must_use]
    pub fn of(hash: HashFunction, certificate: &[u8]) -> Self {
        Self {
            hash,
            octets: hash.hash(certificate),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.as_str())?;
        for (index, octet) in self.octets.iter().enumerate() {
            let separator = if index == 0 { ' ' } else { ':' };
            write!(f, "{separator}{octet:02X}")?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = SdpFault;
    /// Lower-case digits, which RFC 4572 does not allow, are common and read. A hash function that binds nothing is a fault.
    fn from_str(value: &str) -> Result<Self, SdpFault> {
        let fault = SdpFault("RFC 4572 §5: fingerprint");
        let (name, digits) = value.trim().split_once(' ').ok_or(fault.clone())?;
        let hash = HashFunction::ALL
            .into_iter()
            .find(|hash| hash.as_str().eq_ignore_ascii_case(name))
            .ok_or(SdpFault("RFC 8122 §5: no hash function that counts"))?;
        let octet = |pair: &str| {
            let plain = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            plain.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
        };
        let octets: Option<Box<[u8]>> = digits.trim().split(':').map(octet).collect();
        match octets {
            Some(octets) if octets.len() == hash.octets() => Ok(Self { hash, octets }),
            _ => Err(fault),
        }
    }
}

/// The fingerprints of one media: each names a certificate that its end may show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fingerprints(Vec<Fingerprint>);

impl Fingerprints {
    /// Those that count among the values of the attribute: the ones with the strongest hash function (RFC 8122 §5.1). None, if there is no
    /// attribute, or if no function of them counts.
    #[must_use]
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all: Vec<Fingerprint> = values.into_iter().flat_map(str::parse).collect();
        let strongest = all.iter().map(|fingerprint| fingerprint.hash).max();
        all.retain(|fingerprint| Some(fingerprint.hash) == strongest);
        Self(all)
    }

    /// SHA-256 of these certificates, in DER, each once.
    #[must_use]
    pub fn of<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut all: Vec<Fingerprint> = Vec::new();
        for certificate in certificates {
            let fingerprint = Fingerprint::of(HashFunction::Sha256, certificate);
            if !all.contains(&fingerprint) {
                all.push(fingerprint);
            }
        }
        Self(all)
    }

    /// Whether a certificate, in DER, is one of those.
    #[must_use]
    pub fn name(&self, certificate: &[u8]) -> bool {
        let mut all = self.0.iter();
        all.any(|known| *known == Fingerprint::of(known.hash, certificate))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each, for an attribute of its own.
    pub fn iter(&self) -> impl Iterator<Item = &Fingerprint> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's hash of `abc`.
    const ABC: &str = "sha-256 BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";

    // Rows: C4975-37
    #[test]
    fn rfc4572_5_a_fingerprint_is_the_hash_of_a_certificate_in_upper_case() {
        assert_eq!(Fingerprint::of(HashFunction::Sha256, b"abc").to_string(), ABC);
        for hash in HashFunction::ALL {
            let fingerprint = Fingerprint::of(hash, b"abc");
            assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint.clone()));
            assert_eq!(
                fingerprint.to_string().to_ascii_lowercase().parse(),
                Ok(fingerprint)
            );
        }
    }

    #[test]
    fn rfc4572_5_what_is_no_fingerprint() {
        for value in [
            "",
            "sha-256",
            "sha-256 ",
            "sha-256 BA:78",
            &ABC.replace("BA:", "B:"),
            &ABC.replace("BA:", "+A:"),
            &ABC.replace("BA:", "BA"),
            &format!("{ABC}:00"),
            &ABC.replace("sha-256", "sha-512"),
            // RFC 4975 §14.4's own: it binds nothing.
            "SHA-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB",
        ] {
            assert!(value.parse::<Fingerprint>().is_err(), "{value}");
        }
    }

    // Rows: C4975-37
    #[test]
    fn rfc8122_5_1_of_several_the_strongest_function_decides_and_one_match_is_enough() {
        let of = |hash, certificate: &[u8]| Fingerprint::of(hash, certificate).to_string();
        let named = |values: &[String]| {
            let fingerprints = Fingerprints::parse(values.iter().map(String::as_str));
            (fingerprints.is_empty(), fingerprints.name(b"abc"))
        };
        let (weak, strong) = (HashFunction::Sha256, HashFunction::Sha512);
        let sha1 = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB".to_owned();
        for (values, outcome) in [
            (vec![], (true, false)),
            (vec![sha1.clone()], (true, false)),
            (vec![of(weak, b"abc"), sha1], (false, true)),
            (vec![of(weak, b"other"), of(weak, b"abc")], (false, true)),
            (vec![of(weak, b"other")], (false, false)),
            (vec![of(weak, b"abc"), of(strong, b"other")], (false, false)),
            (vec![of(weak, b"other"), of(strong, b"abc")], (false, true)),
        ] {
            assert_eq!(named(&values), outcome, "{values:?}");
        }
    }

    #[test]
    fn a_certificate_that_is_shown_in_both_roles_is_named_once() {
        let ours = Fingerprints::of([&b"abc"[..], b"abc"]);
        assert_eq!(ours.iter().map(ToString::to_string).collect::<Vec<_>>(), [ABC]);
        assert_eq!(Fingerprints::of([&b"abc"[..], b"other"]).iter().count(), 2);
    }
}
