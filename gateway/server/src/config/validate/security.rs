//! Certificates and trust.

use std::path::{Path, PathBuf};

use sip::{Trust, Users, digest::AuthorityLimits};

use super::{
    super::{Policy, settings::Settings, users},
    Check,
};
use crate::tls::{ComponentTls, KeyPair, Tls, TlsConfig, TlsFault};

/// Octets of a file of users.
const USERS_FILE: u64 = 64 * 1024 * 1024;

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
        Tls::open(config).map_err(|fault| self.tls_fault(&fault)).ok()
    }

    /// How the XMPP server proves who it is: `Some(None)` where its listener speaks no TLS.
    pub(super) fn component_tls(&mut self, settings: &Settings) -> Option<Option<ComponentTls>> {
        let xmpp = &settings.xmpp;
        if !xmpp.tls {
            for (key, given) in [
                ("tls_name", xmpp.tls_name.is_some()),
                ("tls_anchors", xmpp.tls_anchors.is_some()),
            ] {
                if given {
                    self.fault::<()>(
                        &["xmpp", key],
                        "without effect",
                        "set `tls = true` beside it, or take it away",
                    );
                }
            }
            return Some(None);
        }
        let anchors = xmpp
            .tls_anchors
            .as_ref()
            .map(|file| self.sources.directory().join(file));
        match ComponentTls::open(anchors.as_deref(), xmpp.tls_name.as_deref()) {
            Ok(Some(tls)) => Some(Some(tls)),
            Ok(None) => self.fault(
                &["xmpp", "tls_name"],
                "no host that a certificate could name",
                "write it as \"xmpp.example.org\"",
            ),
            Err(fault) => self.fault(
                &["xmpp", "tls_anchors"],
                format!("{}: {}", fault.file.display(), fault.problem),
                fault.remedy,
            ),
        }
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

    fn tls_fault(&mut self, fault: &TlsFault) {
        let problem = format!("{}: {}", fault.file.display(), fault.problem);
        self.fault::<()>(&["tls", fault.key], problem, fault.remedy);
    }

    /// How the endpoint meets those who send requests.
    pub(super) fn policy(&mut self, settings: &Settings) -> Policy {
        Policy {
            trust: self.trust(settings),
            users: self.challenged_users(settings),
            rates: settings.limits.rates.clone(),
        }
    }

    /// Who is asked for a password; nobody without a realm.
    fn challenged_users(&mut self, settings: &Settings) -> Option<Users> {
        let challenge = &settings.sip.challenge;
        let (realm, file) = match (&challenge.realm, &challenge.users) {
            (Some(realm), Some(file)) => (realm, self.sources.directory().join(file)),
            (None, None) => return None,
            (Some(_), None) => return self.missing_of_challenge("users"),
            (None, Some(_)) => return self.missing_of_challenge("realm"),
        };
        let key = ["sip", "challenge", "users"];
        let text = match read_bounded(&file) {
            Ok(text) => text,
            Err(error) => {
                let problem = format!("{} cannot be read: {error}", file.display());
                return self.fault(&key, problem, "create it, readable by the gateway's user");
            }
        };
        let secrets = match users::read(&text, realm) {
            Ok(secrets) => secrets,
            Err((line, problem)) => {
                let problem = format!("{}:{line}: {problem}", file.display());
                return self.fault(&key, problem, "write the line as htdigest does");
            }
        };
        let users = Users {
            realm: realm.clone(),
            secrets,
            nonces: AuthorityLimits {
                lifetime: challenge.nonce,
                nonces: challenge.nonces,
            },
        };
        if users.secrets.is_empty() {
            let problem = format!("{} has no user of the realm `{realm}`", file.display());
            return self.fault(
                &key,
                problem,
                "add one with htdigest, or correct sip.challenge.realm",
            );
        }
        if users.algorithms().is_empty() {
            let problem = format!("{}: no algorithm has a secret of every user", file.display());
            return self.fault(&key, problem, "add the missing secrets of one algorithm");
        }
        Some(users)
    }

    fn missing_of_challenge(&mut self, key: &str) -> Option<Users> {
        self.fault(
            &["sip", "challenge", key],
            "missing",
            "add it, or take the other key away",
        )
    }

    /// Whom the endpoint believes.
    fn trust(&mut self, settings: &Settings) -> Trust {
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

fn read_bounded(file: &Path) -> std::io::Result<String> {
    if std::fs::metadata(file)?.len() > USERS_FILE {
        return Err(std::io::Error::other("it is too large for a file of users"));
    }
    std::fs::read_to_string(file)
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
