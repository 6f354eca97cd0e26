//! Whom a certificate names (RFC 5922 §7), and which it is (RFC 4975 §14.4).

use std::{net::IpAddr, sync::Arc};

use ::msrp::sdp::Fingerprints;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use sip::Uri;
use webpki::EndEntityCert;

/// The SIP domain identities in a certificate: the hosts of its SIP URIs without a user, else its DNS names (RFC 5922 §7.1). Neither its
/// common name nor a wildcard counts.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    let of_uris: Vec<String> = certificate.valid_uri_names().filter_map(sip_domain).collect();
    if !of_uris.is_empty() {
        return of_uris;
    }
    certificate
        .valid_dns_names()
        .filter(|name| !name.contains('*'))
        .map(str::to_ascii_lowercase)
        .collect()
}

/// The names of a peer's certificate, which its handshake has verified.
pub(super) fn of_peer(chain: Option<&[CertificateDer<'_>]>) -> Vec<String> {
    chain.and_then(<[_]>::first).map(names).unwrap_or_default()
}

fn sip_domain(uri: &str) -> Option<String> {
    let uri: Uri = uri.parse().ok()?;
    let is_domain = uri.scheme() == "sip" && uri.user().is_none() && !uri.host().is_empty();
    is_domain.then(|| uri.host().to_ascii_lowercase())
}

/// Verifies the peers that we connect to.
#[derive(Debug)]
pub(super) struct PeerVerifier {
    known_by: KnownBy,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum KnownBy {
    /// A chain to a trust anchor, and the very SIP host that the request is for.
    SipDomain(Arc<RootCertStore>),
    /// The certificate alone.
    Certificate(Fingerprints),
}

impl PeerVerifier {
    pub(super) fn of_sip_domains(anchors: Arc<RootCertStore>, provider: &CryptoProvider) -> Self {
        Self::new(KnownBy::SipDomain(anchors), provider)
    }

    pub(super) fn of_certificates(certificates: Fingerprints, provider: &CryptoProvider) -> Self {
        Self::new(KnownBy::Certificate(certificates), provider)
    }

    fn new(known_by: KnownBy, provider: &CryptoProvider) -> Self {
        Self {
            known_by,
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (right, otherwise) = match &self.known_by {
            KnownBy::SipDomain(anchors) => {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                verify_server_cert_signed_by_trust_anchor(
                    &parsed,
                    anchors,
                    intermediates,
                    now,
                    self.algorithms.all,
                )?;
                (
                    is_named(end_entity, server_name),
                    CertificateError::NotValidForName,
                )
            }
            KnownBy::Certificate(certificates) => (
                certificates.name(end_entity),
                CertificateError::ApplicationVerificationFailure,
            ),
        };
        if right {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(otherwise))
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

/// RFC 5922 §7.2: whole names, without case. A peer that is configured by its address may be named by it (RFC 5280 §4.2.1.6).
fn is_named(certificate: &CertificateDer<'_>, host: &ServerName<'_>) -> bool {
    let named = |host: &str| {
        names(certificate)
            .iter()
            .any(|name| name.eq_ignore_ascii_case(host))
    };
    match host {
        ServerName::DnsName(name) => named(name.as_ref()),
        ServerName::IpAddress(address) => {
            let by_address = EndEntityCert::try_from(certificate)
                .is_ok_and(|certificate| certificate.verify_is_valid_for_subject_name(host).is_ok());
            by_address || named(&IpAddr::from(*address).to_string())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType, string::Ia5String};

    use super::*;

    fn certificate(names: Vec<SanType>) -> CertificateDer<'static> {
        let mut parameters = CertificateParams::default();
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, "cn.example.com");
        parameters.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().clone()
    }

    fn text(text: &str) -> Ia5String {
        text.try_into().unwrap()
    }
    fn uri(name: &str) -> SanType {
        SanType::URI(text(name))
    }
    fn dns(name: &str) -> SanType {
        SanType::DnsName(text(name))
    }

    #[test]
    fn rfc5922_section_7_1_sip_uris_without_user_count_and_dns_names_only_without_them() {
        for (in_certificate, expected) in [
            (
                vec![uri("SIP:Example.com"), dns("other.example.com")],
                vec!["example.com"],
            ),
            (
                vec![dns("a.example.com"), dns("B.example.com")],
                vec!["a.example.com", "b.example.com"],
            ),
            (
                vec![uri("sip:alice@example.com"), dns("a.example.com")],
                vec!["a.example.com"],
            ),
            (
                vec![uri("https://example.com"), dns("a.example.com")],
                vec!["a.example.com"],
            ),
            (vec![uri("sips:example.com")], vec![]),
            (vec![dns("*.example.com")], vec![]),
            (vec![], vec![]),
        ] {
            assert_eq!(names(&certificate(in_certificate)), expected);
        }
    }

    #[test]
    fn rfc5922_section_7_2_names_match_whole_without_case_and_never_by_wildcard() {
        let named = |name: SanType, host: &str| {
            let host = super::super::server_name(host).unwrap();
            is_named(&certificate(vec![name]), &host)
        };
        assert!(named(dns("example.com"), "EXAMPLE.com"));
        assert!(named(uri("sip:example.com"), "example.com."));
        assert!(!named(dns("example.com"), "foo.example.com"));
        assert!(!named(dns("foo.example.com"), "example.com"));
        assert!(!named(dns("*.example.com"), "foo.example.com"));
        assert!(!named(dns("other.example.com"), "cn.example.com"));
        assert!(named(SanType::IpAddress([192, 0, 2, 1].into()), "192.0.2.1"));
        assert!(named(uri("sip:192.0.2.1"), "192.0.2.1"));
        assert!(!named(SanType::IpAddress([192, 0, 2, 1].into()), "192.0.2.2"));
    }
}
