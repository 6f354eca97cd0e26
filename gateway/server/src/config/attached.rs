//! What is attached to the XMPP server, and who may use it: `[[users]]`, `[[conferences]]`, `[access]`, `[routing]`.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use mapping::{Access, AccessList, Component, ConferenceDomain, Pattern, Routes};

use super::{
    ComponentLink, Host,
    settings::{Secret, Settings},
    validate::Check,
};

/// A component of the XMPP server and where it attaches.
pub(super) struct Attached<T> {
    pub(super) of: T,
    pub(super) server: Host,
    pub(super) secret: Secret,
}

impl<T> Attached<T> {
    /// The link of it, which answers by itself what is asked of it, or leaves that to the core: a conference domain is a service with
    /// more to say.
    pub(super) fn link(&self, domain: &str, answers: bool, settings: &Settings) -> ComponentLink {
        ComponentLink {
            server: self.server.clone(),
            link: xmpp::LinkConfig {
                domain: domain.to_owned(),
                secret: self.secret.expose().to_owned(),
                limits: settings.limits.xmpp.clone(),
                handshake: settings.xmpp.handshake,
                idle: settings.xmpp.idle,
                ping: settings.xmpp.ping,
                retry: Duration::from_secs(2),
                conflict: xmpp::ConflictRule::Retry,
                answers,
            },
        }
    }
}

/// What `[xmpp]` says, for those who say nothing.
pub(super) type Usual<'a> = (Option<&'a Host>, Option<&'a Secret>);

impl Check<'_> {
    /// Further domains of SIP users, each under a component domain of its own.
    pub(super) fn users(
        &mut self,
        settings: &Settings,
        usual: Usual<'_>,
        attached: &mut BTreeSet<String>,
    ) -> Option<Vec<Attached<Component>>> {
        let mut users = Vec::new();
        for (number, user) in settings.users.iter().enumerate() {
            let number = number.to_string();
            let key = |name: &'static str| ["users", number.as_str(), name];
            let domain = self.domain(&key("domain"), user.domain.as_deref(), "example.net");
            let link = self.attachment(
                &["users", &number],
                (&user.server, &user.secret, &user.secret_file),
                usual,
            );
            let fresh = self.fresh_component(&key("domain"), domain.as_deref(), attached);
            if let (Some(domain), Some((server, secret)), true) = (domain, link, fresh) {
                let of = Component {
                    domain,
                    form: user.form,
                };
                users.push(Attached { of, server, secret });
            }
        }
        (users.len() == settings.users.len()).then_some(users)
    }

    /// The SIP conferences that XMPP users reach, each under a component domain of its own.
    pub(super) fn conferences(
        &mut self,
        settings: &Settings,
        usual: Usual<'_>,
        attached: &mut BTreeSet<String>,
    ) -> Option<Vec<Attached<ConferenceDomain>>> {
        let mut conferences = Vec::new();
        for (number, conference) in settings.conferences.iter().enumerate() {
            let number = number.to_string();
            let key = |name: &'static str| ["conferences", number.as_str(), name];
            let muc = self.domain(&key("muc"), conference.muc.as_deref(), "conference.example.org");
            let sip = self.domain(&key("sip"), conference.sip.as_deref(), "conference.example.com");
            let link = self.attachment(
                &["conferences", &number],
                (&conference.server, &conference.secret, &conference.secret_file),
                usual,
            );
            let fresh = self.fresh_component(&key("muc"), muc.as_deref(), attached);
            if let (Some(muc), Some(sip), Some((server, secret)), true) = (muc, sip, link, fresh) {
                conferences.push(Attached {
                    of: ConferenceDomain { muc, sip },
                    server,
                    secret,
                });
            }
        }
        (conferences.len() == settings.conferences.len()).then_some(conferences)
    }

    fn attachment(
        &mut self,
        section: &[&str; 2],
        (server, secret, file): (&Option<String>, &Option<Secret>, &Option<PathBuf>),
        (usual_server, usual_secret): Usual<'_>,
    ) -> Option<(Host, Secret)> {
        let [list, number] = section;
        let server = match server {
            Some(server) => self.host(&[list, number, "server"], server, Some(5347)),
            None => usual_server.cloned(),
        };
        let secret = match (secret, file) {
            (None, None) => usual_secret.cloned(),
            (secret, file) => self.one_secret(
                [&[list, number, "secret"][..], &[list, number, "secret_file"]],
                "the server's component_secret",
                secret.as_ref(),
                file.as_deref(),
            ),
        };
        server.zip(secret)
    }

    fn fresh_component(
        &mut self,
        key: &[&str],
        domain: Option<&str>,
        attached: &mut BTreeSet<String>,
    ) -> bool {
        let Some(domain) = domain else { return false };
        let fresh = attached.insert(domain.to_owned());
        if !fresh {
            let problem = format!("`{domain}` is a component already");
            self.fault::<()>(key, problem, "give each component a domain of its own");
        }
        fresh
    }

    /// `[access]`.
    pub(super) fn access(&mut self, settings: &Settings) -> Option<Access> {
        let access = &settings.access;
        let mut list = |allow: (&str, &[String]), deny: (&str, &[String])| {
            let allow = self.patterns(&["access", allow.0], allow.1);
            let deny = self.patterns(&["access", deny.0], deny.1);
            Some(AccessList {
                allow: allow?,
                deny: deny?,
            })
        };
        let callers = list(
            ("allow_callers", &access.allow_callers),
            ("deny_callers", &access.deny_callers),
        );
        let xmpp_users = list(
            ("allow_xmpp_users", &access.allow_xmpp_users),
            ("deny_xmpp_users", &access.deny_xmpp_users),
        );
        let rooms = list(
            ("allow_rooms", &access.allow_rooms),
            ("deny_rooms", &access.deny_rooms),
        );
        Some(Access {
            callers: callers?,
            xmpp_users: xmpp_users?,
            rooms: rooms?,
            anonymous: access.anonymous,
        })
    }

    /// `[routing]`.
    pub(super) fn routes(&mut self, settings: &Settings) -> Option<Routes> {
        let routing = &settings.routing;
        let sip = self.patterns(&["routing", "sip"], &routing.sip);
        let xmpp = self.patterns(&["routing", "xmpp"], &routing.xmpp);
        Some(Routes {
            sip: sip?,
            xmpp: xmpp?,
            otherwise: routing.otherwise,
        })
    }

    /// The domain of telephone numbers, if there is one.
    pub(super) fn numbers(&mut self, settings: &Settings) -> Option<Option<String>> {
        match &settings.routing.numbers {
            None => Some(None),
            Some(domain) => {
                let domain = self.domain(&["routing", "numbers"], Some(domain), "example.org");
                domain.map(Some)
            }
        }
    }

    fn patterns(&mut self, key: &[&str], texts: &[String]) -> Option<Vec<Pattern>> {
        let mut patterns = Vec::new();
        for text in texts {
            match text.parse() {
                Ok(pattern) => patterns.push(pattern),
                Err(problem) => self.fault(
                    key,
                    format!("`{text}` is {problem}"),
                    "write it as \"romeo@example.org\", \"example.org\" or \"*.example.org\"",
                )?,
            }
        }
        Some(patterns)
    }
}
