//! What was heard beside what a transcript says. What it does not list does not matter.

use minidom::Element;

use super::{hall::STREAM, pattern::Variables, script::Protocol};

/// Says what differs.
pub(super) fn message(
    protocol: Protocol,
    expected: &str,
    heard: &str,
    variables: &mut Variables,
) -> Result<(), String> {
    match protocol {
        Protocol::Sip => sip(expected, heard, variables),
        Protocol::Msrp => msrp(expected, heard, variables),
        Protocol::Xmpp => xml(&parsed(expected)?, &parsed(heard)?, variables),
    }
}

pub(crate) fn parsed(text: &str) -> Result<Element, String> {
    Element::from_reader_with_prefixes(text.as_bytes(), STREAM.to_owned())
        .map_err(|error| format!("{error}: {text}"))
}

fn sip(expected: &str, heard: &str, variables: &mut Variables) -> Result<(), String> {
    let (head, body) = split(expected);
    let (heard_head, heard_body) = split(heard);
    headers(head, heard_head, variables)?;
    let Some(body) = body else { return Ok(()) };
    let heard_body = heard_body.unwrap_or_default();
    let kind = value(heard_head, "Content-Type").unwrap_or_default();
    if kind.ends_with("/sdp") {
        lines_in_order(body, heard_body, variables)
    } else if kind.ends_with("+xml") {
        xml(&parsed(body)?, &parsed(heard_body)?, variables)
    } else {
        text(body, heard_body.trim_end(), variables)
    }
}

/// The end-line belongs to the message, whatever is in between.
fn msrp(expected: &str, heard: &str, variables: &mut Variables) -> Result<(), String> {
    let cut = |text| str::rsplit_once(text, '\n').ok_or_else(|| format!("no end-line: {text}"));
    let (expected, end) = cut(expected.trim_end())?;
    let (heard, heard_end) = cut(heard.trim_end())?;
    let (head, body) = split(expected);
    let (heard_head, heard_body) = split(heard);
    headers(head, heard_head, variables)?;
    text(end, heard_end, variables)?;
    match (body, heard_body) {
        (None, None) => Ok(()),
        (Some(body), Some(heard)) if value(heard_head, "Content-Type") == Some("message/cpim") => {
            cpim(body, heard, variables)
        }
        (Some(body), Some(heard)) => text(body, heard, variables),
        (None, Some(_)) => Err("a body that is not expected".to_owned()),
        (Some(_), None) => Err("no body".to_owned()),
    }
}

fn cpim(expected: &str, heard: &str, variables: &mut Variables) -> Result<(), String> {
    let (head, wrapped) = split(expected);
    let (heard_head, heard_wrapped) = split(heard);
    fields(head.lines(), heard_head, variables)?;
    let (mime, content) = split(wrapped.unwrap_or_default());
    let (heard_mime, heard_content) = split(heard_wrapped.unwrap_or_default());
    fields(mime.lines(), heard_mime, variables)?;
    text(
        content.unwrap_or_default(),
        heard_content.unwrap_or_default(),
        variables,
    )
}

/// Start line and headers.
fn headers(expected: &str, heard: &str, variables: &mut Variables) -> Result<(), String> {
    let mut expected = expected.lines();
    text(
        expected.next().unwrap_or_default(),
        heard.lines().next().unwrap_or_default(),
        variables,
    )?;
    fields(expected, heard, variables)
}

/// Each expected field is one of those heard.
fn fields<'a>(
    expected: impl Iterator<Item = &'a str>,
    heard: &str,
    variables: &mut Variables,
) -> Result<(), String> {
    let mut rest: Vec<&str> = heard.lines().collect();
    for field in expected {
        if let Some(absent) = field.strip_prefix('!') {
            if value(heard, absent).is_some() {
                return Err(format!("{absent} is there"));
            }
            continue;
        }
        let Some(place) = rest.iter().position(|line| variables.matches(field, line)) else {
            return Err(format!("not there: {field}"));
        };
        rest.remove(place);
    }
    Ok(())
}

fn lines_in_order(expected: &str, heard: &str, variables: &mut Variables) -> Result<(), String> {
    let mut heard = heard.lines();
    for line in expected.lines() {
        if !heard.any(|heard| variables.matches(line, heard)) {
            return Err(format!("not there, or not in this order: {line}"));
        }
    }
    Ok(())
}

fn text(expected: &str, heard: &str, variables: &mut Variables) -> Result<(), String> {
    if variables.matches(expected, heard) {
        Ok(())
    } else {
        Err(format!("expected {expected}\nbut heard {heard}"))
    }
}

fn xml(expected: &Element, heard: &Element, variables: &mut Variables) -> Result<(), String> {
    let name = expected.name();
    if (name, expected.ns()) != (heard.name(), heard.ns()) {
        return Err(format!(
            "expected <{name}> of {}, not <{}> of {}",
            expected.ns(),
            heard.name(),
            heard.ns()
        ));
    }
    for ((namespace, attribute), pattern) in expected.attrs() {
        let value = heard
            .attrs()
            .get(namespace, attribute)
            .ok_or_else(|| format!("no {attribute} of <{name}>"))?;
        text(pattern, value, variables).map_err(|fault| format!("{attribute} of <{name}>: {fault}"))?;
    }
    let (said, own) = (expected.text(), heard.text());
    if !said.trim().is_empty() {
        text(said.trim(), own.trim(), variables).map_err(|fault| format!("text of <{name}>: {fault}"))?;
    }
    let mut children = heard.children();
    for child in expected.children() {
        let mut faults = Vec::new();
        let found = children.by_ref().any(|heard| match xml(child, heard, variables) {
            Ok(()) => true,
            Err(fault) => {
                faults.push(fault);
                false
            }
        });
        if !found {
            return Err(format!("<{}> in <{name}>: {}", child.name(), faults.join("; ")));
        }
    }
    Ok(())
}

/// Head and body.
fn split(message: &str) -> (&str, Option<&str>) {
    match message.split_once("\n\n") {
        Some((head, body)) => (head, Some(body)),
        None => (message, None),
    }
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
