//! What the gateway registers, and what it shows to proxy and registrar.

use super::{
    super::settings::{CredentialSettings, Settings},
    Check,
};

impl Check<'_> {
    /// What is registered and where; nothing without a registrar.
    pub(super) fn register(&mut self, settings: &Settings) -> Option<sip::RegisterParameters> {
        let register = &settings.sip.register;
        let mut uri = |key: &str, text: &Option<String>, with_user: bool, example: &str| {
            let text = text.as_deref()?;
            let uri = text.parse().ok().filter(|uri: &sip::Uri| {
                uri.scheme() == "sip" && !uri.host().is_empty() && uri.user().is_some() == with_user
            });
            let remedy = format!("write it as \"{example}\"");
            uri.or_else(|| {
                self.fault(
                    &["sip", "register", key],
                    format!("`{text}` does not fit"),
                    remedy,
                )
            })
        };
        let registrar = uri("registrar", &register.registrar, false, "sip:example.com");
        let address = uri("address", &register.address, true, "sip:gateway@example.com");
        let missing = match (&register.registrar, &register.address) {
            (Some(_), None) => Some("address"),
            (None, Some(_)) => Some("registrar"),
            _ => None,
        };
        if let Some(missing) = missing {
            self.fault::<()>(
                &["sip", "register", missing],
                "missing",
                "add it, or take the other key away",
            );
        }
        let (registrar, address) = (registrar?, address?);
        Some(sip::RegisterParameters {
            registrar,
            contact: sip::Contact {
                user: address.user_decoded(),
                parameters: Vec::new(),
            },
            address: sip::NameAddr::new(address),
            expires: register.expires,
        })
    }

    /// What the outbound proxy and the registrar are answered with.
    pub(super) fn credentials(
        &mut self,
        settings: &Settings,
        proxy: Option<&sip::Uri>,
        registrar: Option<&sip::Uri>,
    ) -> Vec<sip::Credentials> {
        let CredentialSettings {
            realm,
            username,
            password,
            password_file,
        } = &settings.sip.credentials;
        if realm.is_none() && username.is_none() && password.is_none() && password_file.is_none() {
            return Vec::new();
        }
        for (key, text) in [("realm", realm), ("username", username)] {
            if text.as_deref().is_none_or(str::is_empty) {
                self.fault::<()>(&["sip", "credentials", key], "missing", "add it");
            }
        }
        if proxy.is_none() && registrar.is_none() {
            self.fault::<()>(
                &["sip", "credentials", "realm"],
                "nobody to be shown to",
                "add sip.outbound_proxy or sip.register, whose challenges it is for",
            );
        }
        let keys = [
            &["sip", "credentials", "password"][..],
            &["sip", "credentials", "password_file"],
        ];
        let password = self.one_secret(keys, "the password", password.as_ref(), password_file.as_deref());
        let (Some(realm), Some(username), Some(password)) = (realm, username, password) else {
            return Vec::new();
        };
        let servers = proxy.into_iter().chain(registrar);
        servers
            .map(|server| sip::Credentials {
                realm: realm.clone(),
                username: username.clone(),
                password: sip::digest::Password::new(password.expose()),
                server: server.clone(),
            })
            .collect()
    }
}
