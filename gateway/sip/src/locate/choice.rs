//! Which records come first.

use super::{NAPTR_MAX, Naptr, Query, SERVICES_MAX, Service, TARGETS_MAX};
use crate::endpoint::Transport;

/// Octets of a host name (RFC 1035 §2.3.4), without the final dot.
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// A service of RFC 3861, looked up for `im:` and `pres:` URIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Messaging {
    /// `im:`.
    InstantMessages,
    /// `pres:`.
    Presence,
}

/// The SRV question for a domain's messaging service over `protocol`, such as `sip` or `xmpp` (RFC 3861 §3.2): `_im._sip.example.com.`;
/// [`choose_services`] orders its answer. `None` if the domain is no host name or the protocol no label.
#[must_use]
pub fn messaging_query(service: Messaging, protocol: &str, domain: &str) -> Option<Query> {
    let service = match service {
        Messaging::InstantMessages => "_im",
        Messaging::Presence => "_pres",
    };
    let is_label = !protocol.is_empty()
        && protocol.len() < LABEL_MAX
        && protocol
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    let domain = qualified(domain).filter(|_| is_label)?;
    Some(Query::Services(format!("{service}._{protocol}.{domain}")))
}

/// SRV records in the order to try them (RFC 2782): by priority, and within one priority drawn at random in proportion to weight.
/// `draw(limit)` is uniform in `0..=limit`. At most [`SERVICES_MAX`] records are looked at and [`TARGETS_MAX`] given. Records of target
/// `.` are left out.
pub fn choose_services(mut records: Vec<Service>, mut draw: impl FnMut(u32) -> u32) -> Vec<Service> {
    records.retain(|record| record.target != ".");
    // Those of weight 0 first, so that they have their small chance (RFC 2782).
    records.sort_by_key(|record| (record.priority, record.weight != 0));
    records.truncate(SERVICES_MAX);
    let mut chosen = Vec::new();
    while let (Some(first), true) = (records.first(), chosen.len() < TARGETS_MAX) {
        let priority = first.priority;
        let equals = || records.iter().take_while(|record| record.priority == priority);
        let total = equals().map(|record| u32::from(record.weight)).sum();
        let drawn = draw(total);
        let mut running = 0;
        let position = equals().position(|record| {
            running += u32::from(record.weight);
            running >= drawn
        });
        chosen.push(records.remove(position.unwrap_or(0)));
    }
    chosen
}

/// The SRV names that NAPTR records lead to with the transports of `choice`, best first (RFC 3263 §4.1).
pub(super) fn choose_naptr(mut records: Vec<Naptr>, choice: &[Transport]) -> Vec<(Transport, String)> {
    records.sort_by_key(|record| (record.order, record.preference));
    let followed = records.into_iter().filter_map(|record| {
        let transport = transport_of(&record.services).filter(|transport| choice.contains(transport))?;
        let terminal = record.flags.eq_ignore_ascii_case("s") && record.regexp.is_empty();
        (terminal && record.replacement != ".").then_some((transport, record.replacement))
    });
    followed.take(NAPTR_MAX).collect()
}

/// RFC 3263 §4.1.
fn transport_of(services: &str) -> Option<Transport> {
    [
        ("SIP+D2U", Transport::Udp),
        ("SIP+D2T", Transport::Tcp),
        ("SIPS+D2T", Transport::Tls),
    ]
    .into_iter()
    .find_map(|(name, transport)| services.eq_ignore_ascii_case(name).then_some(transport))
}

/// The labels before the domain in the SRV name of a transport (RFC 3263 §4.2).
pub(super) fn service_labels(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
    }
}

/// The host name with its final dot, if it is one.
pub(super) fn qualified(host: &str) -> Option<String> {
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
    };
    (name.len() <= NAME_MAX && name.split('.').all(is_label))
        .then(|| format!("{}.", name.to_ascii_lowercase()))
}
