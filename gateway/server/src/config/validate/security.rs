//! Certificates and trust.

use std::path::{Path, PathBuf};

use sip::Trust;

use super::{
    super::settings::{Settings, TlsSettings},
    Check,
};
use crate::tls::{KeyPair, Tls, TlsConfig, TlsFault};

impl Check<'_> {
    /// The certificates; nothing where nothing needs them.
    pub(super) fn tls(&mut self, settings: &Settings, needed: bool) -> Option<Tls> {
        let tls = &settings.tls;
        let server = self.pair(["certificate", "key"], &tls.certificate, &tls.key);
        let client = self.pair(
            ["client_certificate", "client_key"],
            &tls.client_certificate,
            &tls.client_key,
        );
        let Some(server) = server else {
            let others = [&tls.client_certificate, &tls.trust_anchors];
            if tls.key.is_none() && (needed || others.iter().any(|file| file.is_some())) {
                self.fault::<()>(
                    &["tls", "certificate"],
                    "missing",
                    "add it with `key`: the files of the gateway's certificate chain and private key",
                );
            }
            return None;
        };
        let directory = self.sources.directory();
        let config = TlsConfig {
            client: client.unwrap_or_else(|| server.clone()),
            server,
            trust_anchors: tls.trust_anchors.as_ref().map(|file| directory.join(file)),
            client_certificates: tls.client_certificates,
        };
        Tls::open(config)
            .map_err(|fault| self.tls_fault(tls, &fault))
            .ok()
    }

    /// A certificate and its key, which come together.
    fn pair(
        &mut self,
        keys: [&str; 2],
        certificate: &Option<PathBuf>,
        key: &Option<PathBuf>,
    ) -> Option<KeyPair> {
        let missing = match (certificate, key) {
            (Some(certificate), Some(key)) => {
                let directory = self.sources.directory();
                return Some(KeyPair {
                    certificate: directory.join(certificate),
                    key: directory.join(key),
                });
            }
            (None, None) => return None,
            (None, Some(_)) => 0,
            (Some(_), None) => 1,
        };
        let missing = keys.get(missing).copied().unwrap_or_default();
        self.fault(&["tls", missing], "missing", "add it, or take the other key away")
    }

    fn tls_fault(&mut self, tls: &TlsSettings, fault: &TlsFault) {
        let directory = self.sources.directory();
        let named = [
            ("certificate", &tls.certificate),
            ("key", &tls.key),
            ("client_certificate", &tls.client_certificate),
            ("client_key", &tls.client_key),
            ("trust_anchors", &tls.trust_anchors),
        ];
        let at_fault = |file: &Option<PathBuf>| {
            file.as_ref()
                .is_some_and(|file| directory.join(file) == fault.file)
        };
        let key = named
            .iter()
            .find(|(_, file)| at_fault(file))
            .map_or("trust_anchors", |(key, _)| *key);
        let problem = format!("{}: {}", Path::display(&fault.file), fault.problem);
        self.fault::<()>(&["tls", key], problem, fault.remedy);
    }

    /// Whom the endpoint believes.
    pub(super) fn trust(&mut self, settings: &Settings) -> Trust {
        let mut trust = Trust {
            unlisted: settings.sip.trust.others,
            ..Trust::default()
        };
        for (number, peer) in settings.sip.trust.peers.iter().enumerate() {
            if let Ok(network) = peer.parse() {
                trust.networks.push(network);
            } else if is_host_name(peer) {
                trust.names.push(peer.to_ascii_lowercase());
            } else {
                self.fault::<()>(
                    &["sip", "trust", "peers", &number.to_string()],
                    format!("`{peer}` is no address, network or host name"),
                    "write it as \"192.0.2.1\", \"192.0.2.0/24\" or, for a name in its certificate, \"proxy.example.com\"",
                );
            }
        }
        if trust.names.is_empty() && trust.networks.is_empty() && trust.unlisted != sip::Unlisted::Serve {
            self.fault::<()>(
                &["sip", "trust", "others"],
                "nobody is left to be served",
                "add the proxy to sip.trust.peers",
            );
        }
        trust
    }
}

fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    let numeric = text.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
    !numeric && text.split('.').all(label)
}
