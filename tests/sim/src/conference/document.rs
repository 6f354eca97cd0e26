//! Conference documents as the focus writes them, by hand (RFC 4575 §5).

use std::collections::BTreeMap;

use crate::xml::escape;

/// A participant in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: Option<String>,
}

/// A document: full, or what changed between two rosters.
pub(crate) fn write(
    entity: &str,
    version: u32,
    full: bool,
    before: &BTreeMap<String, User>,
    now: &BTreeMap<String, User>,
    subject: &str,
) -> String {
    let state = if full { "full" } else { "partial" };
    let mut users = String::new();
    for (entity, user) in now {
        if full || before.get(entity) != Some(user) {
            let name = user.name.as_deref().map_or(String::new(), |name| {
                format!("<display-text>{}</display-text>", escape(name))
            });
            users.push_str(&format!(
                "<user entity='{0}' state='full'>{name}<endpoint entity='{0}'><media id='1'><type>message</type></media></endpoint></user>",
                escape(entity)
            ));
        }
    }
    let gone = before.keys().filter(|entity| !full && !now.contains_key(*entity));
    for entity in gone {
        users.push_str(&format!("<user entity='{}' state='deleted'/>", escape(entity)));
    }
    format!(
        "<?xml version='1.0' encoding='UTF-8'?><conference-info xmlns='urn:ietf:params:xml:ns:conference-info' entity='{}' state='{state}' version='{version}'>\
         <conference-description><subject>{}</subject></conference-description>\
         <conference-state><user-count>{}</user-count></conference-state><users state='{state}'>{users}</users></conference-info>",
        escape(entity),
        escape(subject),
        now.len()
    )
}
