//! What XMPP users can say besides plain text, as plain text for SIP users.

use std::borrow::Cow;

use xmpp::stanza::{Encryption, Extras, Fallback, Link, Message, Retraction};

use crate::Texts;

/// What a SIP user is shown of a message; `None` if there is nothing to show.
pub(crate) fn text(message: &Message, show: &Texts) -> Option<String> {
    let extras = &message.extras;
    let nickname = message.from.resource().map(|resource| resource.as_str());
    if let Some(retraction) = &extras.retraction
        // Anybody can claim that a moderator has acted; the room alone knows.
        && retraction.moderated == nickname.is_none()
    {
        return show.retractions.then(|| retracted(retraction));
    }
    if let Some(encryption) = extras.encryption {
        return show.encrypted.then(|| encrypted(encryption));
    }
    let body = body(message, show);
    if let Some(reactions) = &extras.reactions
        && (body.is_none() || extras.fallbacks.iter().any(Fallback::is_of_reactions))
    {
        return show.reactions.then(|| reacted(reactions));
    }
    let links = extras.links.iter().filter(|_| show.links);
    match body {
        Some(body) => {
            let missing = links.filter(|link| !body.contains(&link.url)).map(linked);
            let said = said(&body, extras, nickname, show);
            Some([said].into_iter().chain(missing).collect::<Vec<_>>().join("\n"))
        }
        None => {
            let links: Vec<_> = links.map(linked).collect();
            (!links.is_empty()).then(|| links.join("\n"))
        }
    }
}

/// The body in the preferred language, else the first.
fn body<'a>(message: &'a Message, show: &Texts) -> Option<Cow<'a, str>> {
    let first = message.body.as_deref()?;
    let preferred = show.languages.iter().find_map(|wanted| {
        let mut bodies = message.extras.bodies.iter();
        bodies.find(|(language, _)| speaks(language, wanted))
    });
    Some(Cow::Borrowed(preferred.map_or(first, |(_, text)| text)))
}

/// Whether a language is the wanted one or a variety of it (RFC 4647 §3.3.1).
fn speaks(language: &str, wanted: &str) -> bool {
    let (start, rest) = language.split_at_checked(wanted.len()).unwrap_or((language, ""));
    start.eq_ignore_ascii_case(wanted) && (rest.is_empty() || rest.starts_with('-'))
}

/// The words themselves, with what they are about.
fn said(body: &str, extras: &Extras, nickname: Option<&str>, show: &Texts) -> String {
    let quotation = extras.fallbacks.iter().find(|fallback| fallback.is_of_reply());
    let words = match quotation.and_then(|quotation| quotation.range) {
        Some(range) if !show.replies => without(body, range),
        _ => body.to_owned(),
    };
    let words = match (words.strip_prefix("/me "), nickname) {
        (Some(action), Some(nickname)) if show.actions => format!("* {nickname} {action}"),
        _ => words,
    };
    // With a quotation everybody sees what is answered.
    let addressee = match (&extras.replies_to, quotation) {
        (Some(Some(author)), None) if show.replies => author.resource(),
        _ => None,
    };
    let correction = if extras.corrects && show.corrections {
        "(corrected) "
    } else {
        ""
    };
    match addressee {
        Some(author) => format!("{correction}(in reply to {author}) {words}"),
        None => format!("{correction}{words}"),
    }
}

/// A text without these characters; all of it if there are no such.
fn without(text: &str, (from, to): (usize, usize)) -> String {
    if from > to {
        return text.to_owned();
    }
    text.chars()
        .enumerate()
        .filter(|(place, _)| !(from..to).contains(place))
        .map(|(_, character)| character)
        .collect()
}

fn reacted(reactions: &[String]) -> String {
    if reactions.is_empty() {
        "(takes back a reaction)".to_owned()
    } else {
        format!("(reacts with {})", reactions.join(" "))
    }
}

fn retracted(retraction: &Retraction) -> String {
    if !retraction.moderated {
        return "(withdraws an earlier message)".to_owned();
    }
    let by = retraction.by.as_ref().and_then(|by| by.resource());
    let who = by.map_or_else(|| "a moderator".to_owned(), |by| format!("the moderator {by}"));
    match &retraction.reason {
        Some(reason) => format!("(an earlier message was removed by {who}: {reason})"),
        None => format!("(an earlier message was removed by {who})"),
    }
}

fn encrypted(encryption: Encryption) -> String {
    let method = match encryption {
        Encryption::Omemo => " with OMEMO",
        Encryption::Otr => " with OTR",
        Encryption::OpenPgp => " with OpenPGP",
        Encryption::Other => "",
    };
    format!("(a message encrypted{method}, which cannot be shown here)")
}

fn linked(link: &Link) -> String {
    match &link.description {
        Some(description) => format!("{description}: {}", link.url),
        None => link.url.clone(),
    }
}

#[cfg(test)]
mod tests;
