//! What the component's own domain answers (XEP-0030, XEP-0092, XEP-0199).

use minidom::Element;
use xmpp_parsers::disco::{DiscoInfoResult, DiscoItemsResult, Identity};
use xmpp_parsers::ns;

use crate::stanza::service::version;
use crate::stanza::{Condition, Iq, IqKind, Outgoing, Payload};

/// The answer to a request to the domain itself; `None` for what is no request.
pub(super) fn answer(iq: &Iq) -> Option<Outgoing> {
    let outcome = match &iq.kind {
        IqKind::Get(Payload(query)) => get(query),
        IqKind::Set(Payload(query)) if is_known(query) => Err(Condition::FeatureNotImplemented),
        IqKind::Set(_) => Err(Condition::ServiceUnavailable),
        IqKind::Result(_) | IqKind::Error(_) => return None,
    };
    let (from, to, id) = (iq.to.clone(), iq.from.clone(), iq.id.clone());
    Some(match outcome {
        Ok(payload) => Outgoing::IqResult {
            from,
            to,
            id,
            payload: payload.map(Payload),
        },
        Err(condition) => Outgoing::IqError {
            from,
            to,
            id,
            condition,
        },
    })
}

fn get(query: &Element) -> Result<Option<Element>, Condition> {
    if query.is("ping", ns::PING) {
        return Ok(None);
    }
    if query.is("query", ns::VERSION) {
        return Ok(Some(version().0));
    }
    let is_info = query.is("query", ns::DISCO_INFO);
    if !is_info && !query.is("query", ns::DISCO_ITEMS) {
        return Err(if is_known(query) {
            Condition::FeatureNotImplemented
        } else {
            Condition::ServiceUnavailable
        });
    }
    // XEP-0030 §3.2: there are no nodes here.
    if query.attr("node").is_some() {
        return Err(Condition::ItemNotFound);
    }
    Ok(Some(if is_info { info().into() } else { items().into() }))
}

fn info() -> DiscoInfoResult {
    let features = [ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING, ns::VERSION];
    DiscoInfoResult {
        node: None,
        identities: vec![Identity::new("gateway", "sip", "en", "SIP groupchat gateway")],
        features: features.into_iter().map(str::to_owned).collect(),
        extensions: Vec::new(),
    }
}

fn items() -> DiscoItemsResult {
    DiscoItemsResult {
        node: None,
        items: Vec::new(),
        rsm: None,
    }
}

/// Whether the namespace is one that is answered at all.
fn is_known(query: &Element) -> bool {
    [ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING, ns::VERSION]
        .iter()
        .any(|namespace| query.has_ns(*namespace))
}
