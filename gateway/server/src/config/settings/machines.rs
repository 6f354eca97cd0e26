//! Keys that are settings of the machines: how each is written. Their defaults are the machines'.

use std::time::Duration;

use mapping::OutageRule;
use serde::{Deserialize, Serialize};

use super::{super::human, list};

/// Lists the keys of a machine's settings: name, type, how it is written. Defaults are the machine's.
macro_rules! of_a_machine {
    ($path:literal as $name:ident: $remote:ty { $($field:ident: $kind:ty = $with:literal,)* }) => {
        #[derive(Serialize, Deserialize)]
        #[serde(remote = $path, default, deny_unknown_fields)]
        pub(super) struct $name {
            $(#[serde(with = $with)] $field: $kind,)*
        }
        impl Default for $name {
            fn default() -> Self {
                let defaults = <$remote>::default();
                Self { $($field: defaults.$field,)* }
            }
        }
    };
}

of_a_machine! {
    "mapping::Texts" as Texts: mapping::Texts {
        actions: bool = "human::switch",
        corrections: bool = "human::switch",
        replies: bool = "human::switch",
        reactions: bool = "human::switch",
        retractions: bool = "human::switch",
        links: bool = "human::switch",
        encrypted: bool = "human::switch",
        languages: Vec<String> = "list",
    }
}

of_a_machine! {
    "mapping::Occupants" as Occupants: mapping::Occupants {
        share_copies: bool = "human::switch",
        self_ping: Duration = "human::duration",
        typing: bool = "human::switch",
    }
}

of_a_machine! {
    "mapping::Outage" as Outage: mapping::Outage {
        tell: bool = "human::switch",
        messages: OutageRule = "HeldOrNot",
    }
}

of_a_machine! {
    "mapping::Limits" as MappingLimits: mapping::Limits {
        admission: Duration = "human::duration",
        media: Duration = "human::duration",
        reflection: Duration = "human::duration",
        nickname: Duration = "human::duration",
        first_nickname: Duration = "human::duration",
        ringing: Duration = "human::duration",
        notify: Duration = "human::duration",
        reentry: Duration = "human::duration",
        entrance: Duration = "human::duration",
        listing: Duration = "human::duration",
        unnamed: Duration = "human::duration",
        sessions: usize = "human::count",
        calls: usize = "human::count",
        recipients: usize = "human::count",
        occupants: usize = "human::count",
        session_queue: (usize, usize) = "human::queue",
        text: usize = "human::octets",
    }
}

of_a_machine! {
    "sip::Limits" as SipLimits: sip::Limits {
        message: usize = "human::octets",
        head: usize = "human::octets",
        header_line: usize = "human::octets",
        headers: usize = "human::count",
        vias: usize = "human::count",
        transactions: usize = "human::count",
        dialogs: usize = "human::count",
        subscription: (Duration, Duration) = "human::duration_range",
        session: (Duration, Duration) = "human::duration_range",
    }
}

of_a_machine! {
    "sip::Rates" as SipRates: sip::Rates {
        invites: sip::Rate = "human::rate",
        subscribes: sip::Rate = "human::rate",
        registers: sip::Rate = "human::rate",
        others: sip::Rate = "human::rate",
        sources: usize = "human::count",
    }
}

of_a_machine! {
    "msrp::Limits" as MsrpLimits: msrp::Limits {
        start_line: usize = "human::octets",
        header_line: usize = "human::octets",
        headers: usize = "human::count",
        chunk_in: usize = "human::octets",
        chunk_out: usize = "human::octets",
        message: usize = "human::octets",
        open_messages: usize = "human::count",
        reassembly: usize = "human::octets",
        incoming: usize = "human::octets",
        sessions: usize = "human::count",
        outgoing: usize = "human::octets",
        unanswered: usize = "human::count",
        transaction: Duration = "human::duration",
        chunk_reception: Duration = "human::duration",
    }
}

of_a_machine! {
    "xmpp::Limits" as XmppLimits: xmpp::Limits {
        depth: usize = "human::count",
        attribute: usize = "human::octets",
        attributes: usize = "human::count",
        elements: usize = "human::count",
        name: usize = "human::octets",
        stanza_in: usize = "human::octets",
        stanza_out: usize = "human::octets",
        queue: usize = "human::octets",
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OutageRule", rename_all = "kebab-case")]
enum HeldOrNot {
    Refuse,
    Hold,
}
