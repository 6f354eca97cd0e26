//! Conference documents in schema order (RFC 4575 §6).

use std::io;

use bytes::Bytes;
use quick_xml::{
    Writer,
    escape::escape,
    events::{BytesEnd, BytesStart, BytesText, Event},
};

use super::{Document, EndpointStatus, NAMESPACE, Rendered, State, User, XCON_NAMESPACE, carried};
use crate::fingerprint;

type Sink = Writer<Vec<u8>>;

pub(super) fn render(document: &Document) -> Rendered {
    let head = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<conference-info xmlns=\"{NAMESPACE}\" xmlns:xcon=\"{XCON_NAMESPACE}\" \
         entity=\"{}\" state=\"{}\" version=\"",
        escape(&*carried(&document.entity)),
        document.state.as_str(),
    );
    let mut sink = Writer::new(b"\">".to_vec());
    #[expect(
        clippy::expect_used,
        reason = "the only failures are the sink's, and a Vec has none"
    )]
    write_content(&mut sink, document).expect("a Vec takes every octet");
    let mut tail = sink.into_inner();
    tail.extend_from_slice(b"</conference-info>\n");
    Rendered {
        head: Bytes::from(head),
        tail: Bytes::from(tail),
    }
}

fn write_content(sink: &mut Sink, document: &Document) -> io::Result<()> {
    if document.state == State::Deleted {
        return Ok(());
    }
    let full = document.state == State::Full;
    if full || document.subject.is_some() {
        write_description(sink, document)?;
    }
    if let Some(count) = document.user_count {
        within(sink, "conference-state", |sink| {
            write_text(sink, "user-count", &count.to_string())
        })?;
    }
    if full || !document.users.is_empty() {
        let users = BytesStart::new("users").with_attributes([("state", document.state.as_str())]);
        element(sink, users, |sink| {
            document.users.iter().try_for_each(|user| write_user(sink, user))
        })?;
    }
    Ok(())
}

/// Always whole, since it has no state of its own and replaces what the subscriber has (RFC 4575 §4.6).
fn write_description(sink: &mut Sink, document: &Document) -> io::Result<()> {
    within(sink, "conference-description", |sink| {
        if let Some(subject) = &document.subject {
            write_text(sink, "subject", subject)?;
        }
        within(sink, "conf-uris", |sink| {
            within(sink, "entry", |sink| {
                write_text(sink, "uri", &document.entity)?;
                write_text(sink, "purpose", "participation")
            })
        })
    })
}

fn write_user(sink: &mut Sink, user: &User) -> io::Result<()> {
    let entity = carried(&user.entity);
    let mut start =
        BytesStart::new("user").with_attributes([("entity", &*entity), ("state", user.state.as_str())]);
    let deleted = user.state == State::Deleted;
    if let Some(nickname) = user.nickname.as_ref().filter(|_| !deleted) {
        start.push_attribute(("xcon:nickname", &*carried(nickname)));
    }
    element(sink, start, |sink| {
        if !deleted {
            if let Some(text) = &user.display_text {
                write_text(sink, "display-text", text)?;
            }
            if !user.aors.is_empty() {
                within(sink, "associated-aors", |sink| {
                    let mut aors = user.aors.iter();
                    aors.try_for_each(|aor| within(sink, "entry", |sink| write_text(sink, "uri", aor)))
                })?;
            }
            if !user.roles.is_empty() {
                within(sink, "roles", |sink| {
                    user.roles
                        .iter()
                        .try_for_each(|role| write_text(sink, "entry", role))
                })?;
            }
        }
        match &user.status {
            Some(status) => write_endpoint(sink, &entity, status, deleted),
            None => Ok(()),
        }
    })
}

fn write_endpoint(sink: &mut Sink, entity: &str, status: &EndpointStatus, deleted: bool) -> io::Result<()> {
    let state = if deleted { State::Deleted } else { State::Full };
    let start = BytesStart::new("endpoint").with_attributes([("entity", entity), ("state", state.as_str())]);
    element(sink, start, |sink| match status {
        EndpointStatus::Connected => {
            write_text(sink, "status", "connected")?;
            let id = fingerprint::of([entity]).to_string();
            let media = BytesStart::new("media").with_attributes([("id", id.as_str())]);
            element(sink, media, |sink| write_text(sink, "type", "message"))
        }
        EndpointStatus::Departed => {
            write_text(sink, "status", "disconnected")?;
            write_text(sink, "disconnection-method", "departed")
        }
        EndpointStatus::Booted(reason) => {
            write_text(sink, "status", "disconnected")?;
            write_text(sink, "disconnection-method", "booted")?;
            match reason {
                Some(reason) => within(sink, "disconnection-info", |sink| {
                    write_text(sink, "reason", reason)
                }),
                None => Ok(()),
            }
        }
        EndpointStatus::Other(status) => write_text(sink, "status", status),
    })
}

fn within(sink: &mut Sink, name: &str, content: impl FnOnce(&mut Sink) -> io::Result<()>) -> io::Result<()> {
    element(sink, BytesStart::new(name), content)
}

fn element(
    sink: &mut Sink,
    start: BytesStart<'_>,
    content: impl FnOnce(&mut Sink) -> io::Result<()>,
) -> io::Result<()> {
    sink.write_event(Event::Start(start.borrow()))?;
    content(sink)?;
    sink.write_event(Event::End(start.to_end()))
}

fn write_text(sink: &mut Sink, name: &str, text: &str) -> io::Result<()> {
    sink.write_event(Event::Start(BytesStart::new(name)))?;
    sink.write_event(Event::Text(BytesText::new(&carried(text))))?;
    sink.write_event(Event::End(BytesEnd::new(name)))
}
