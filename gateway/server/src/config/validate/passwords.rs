//! `[[passwords]]`: rooms that want to hear one.

use std::collections::BTreeMap;

use mapping::{Password, RoomPassword};
use xmpp::BareJid;

use super::{super::settings::Settings, Check};

impl Check<'_> {
    /// The passwords of rooms, each once.
    pub(super) fn passwords(&mut self, settings: &Settings) -> Option<BTreeMap<BareJid, RoomPassword>> {
        let mut passwords = BTreeMap::new();
        for (number, entry) in settings.passwords.iter().enumerate() {
            let number = number.to_string();
            let key = |name: &'static str| ["passwords", number.as_str(), name];
            let room = self.room(&key("room"), entry.room.as_deref(), settings);
            let password = self.one_secret(
                [&key("password"), &key("password_file")],
                "the room's password",
                entry.password.as_ref(),
                entry.password_file.as_deref(),
            );
            if let Some((room, password)) = room.zip(password) {
                let known = RoomPassword {
                    password: Password::new(password.expose()),
                    ask: entry.ask,
                };
                if passwords.insert(room, known).is_some() {
                    self.fault::<()>(&key("room"), "has a password already", "keep one of the two");
                }
            }
        }
        (passwords.len() == settings.passwords.len()).then_some(passwords)
    }

    /// A room of a multi-user chat service that callers reach.
    fn room(&mut self, key: &[&str], text: Option<&str>, settings: &Settings) -> Option<BareJid> {
        let example = "write it as \"capulet@rooms.example.com\"";
        let Some(text) = text else {
            return self.fault(key, "missing", example);
        };
        let room = text.parse().ok().filter(|room: &BareJid| room.node().is_some());
        let Some(room) = room else {
            return self.fault(key, format!("`{text}` is no address of a room"), example);
        };
        let domain = room.domain().as_str();
        let mut services = settings.rooms.iter().filter_map(|room| room.muc.as_deref());
        if services.any(|service| mapping::address::same_domain(service, domain)) {
            Some(room)
        } else {
            let problem = format!("`{domain}` is the `muc` of no [[rooms]]");
            self.fault(key, problem, "name a room of a service that SIP users reach")
        }
    }
}
