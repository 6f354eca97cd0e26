//! Bodies of type message/cpim by RFC 3862 §3.6 and §4.

type Fault = (&'static str, String);

const CORE: [&str; 7] = ["From", "To", "cc", "DateTime", "Subject", "NS", "Require"];

/// The first deviation of a whole body.
pub(super) fn check(body: &[u8]) -> Result<(), Fault> {
    let mut from = 0;
    let mut to = 0;
    let mut prefixes = Vec::new();
    let mut rest = body;
    loop {
        let (line, after) = next_line(rest, "RFC 3862 §2")?;
        rest = after;
        if line.is_empty() {
            break;
        }
        let header = header(line)?;
        match header.name {
            "From" | "To" | "cc" => address(header.value)?,
            "DateTime" => date_time(header.value)?,
            "NS" => prefixes.push(namespace(header.value)?),
            name => known(name, &prefixes)?,
        }
        from += usize::from(header.name == "From");
        to += usize::from(header.name == "To");
    }
    if from != 1 {
        return Err(("RFC 3862 §4.1", format!("{from} From headers")));
    }
    // RFC 3862 allows any number; a chat room exactly one.
    if to != 1 {
        return Err(("RFC 7701 §6.1", format!("{to} To headers")));
    }
    content(rest)
}

struct Header<'a> {
    name: &'a str,
    value: &'a str,
}

fn next_line<'a>(body: &'a [u8], section: &'static str) -> Result<(&'a [u8], &'a [u8]), Fault> {
    let feed = body.iter().position(|octet| *octet == b'\n');
    let feed = feed.ok_or_else(|| (section, "the headers do not end".to_owned()))?;
    let (line, rest) = body.split_at(feed);
    let line = line.strip_suffix(b"\r").filter(|line| !line.contains(&b'\r'));
    let line = line.ok_or_else(|| (section, "a line does not end in CRLF".to_owned()))?;
    Ok((line, rest.get(1..).unwrap_or_default()))
}

/// `Header-name ":" *( ";" Parameter ) SP Header-value`.
fn header(line: &[u8]) -> Result<Header<'_>, Fault> {
    let fault = || {
        (
            "RFC 3862 §3.6",
            format!("the header {:?}", String::from_utf8_lossy(line)),
        )
    };
    let text = std::str::from_utf8(line).map_err(|_| fault())?;
    let (name, rest) = text.split_once(':').ok_or_else(fault)?;
    let (parameters, value) = rest.split_once(' ').ok_or_else(fault)?;
    let names = name.split('.').count() <= 2 && name.split('.').all(is_name);
    let sound = parameters.is_empty()
        || parameters.strip_prefix(';').is_some_and(|all| {
            all.split(';')
                .all(|one| one.split_once('=').is_some_and(|(name, _)| is_name(name)))
        });
    if names && sound && escapes_are_sound(value) {
        Ok(Header { name, value })
    } else {
        Err(fault())
    }
}

/// NAMECHAR.
fn is_name(text: &str) -> bool {
    let is_char = |octet: u8| {
        octet.is_ascii_alphanumeric()
            || matches!(octet, 0x21 | 0x23..=0x27 | 0x2a..=0x2b | 0x2d | 0x5e..=0x60 | 0x7c | 0x7e)
    };
    !text.is_empty() && text.bytes().all(is_char)
}

/// No control character, and every backslash begins an escape of §2.3.
fn escapes_are_sound(text: &str) -> bool {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let sound = match character {
            '\\' => match characters.next() {
                Some('\\' | '"' | '\'' | 'b' | 't' | 'n' | 'r') => true,
                Some('u') => (0..4).all(|_| characters.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
                _ => false,
            },
            other => !other.is_control() || u32::from(other) >= 0x80,
        };
        if !sound {
            return false;
        }
    }
    true
}

/// `[ Formal-name ] "<" URI ">"`.
fn address(value: &str) -> Result<(), Fault> {
    let fault = || ("RFC 3862 §4.1", format!("the address {value:?}"));
    let inside = value.strip_suffix('>').ok_or_else(fault)?;
    let (name, uri) = inside.rsplit_once('<').ok_or_else(fault)?;
    let bare = |name: &str| {
        name.strip_suffix(' ')
            .is_some_and(|words| words.split(' ').all(is_token))
    };
    let sound = name.is_empty() || is_string(name.strip_suffix(' ').unwrap_or(name)) || bare(name);
    if sound && is_absolute_uri(uri) {
        Ok(())
    } else {
        Err(fault())
    }
}

/// TOKENCHAR.
fn is_token(text: &str) -> bool {
    let is_char = |character: char| {
        !character.is_ascii() || character == '.' || is_name(character.encode_utf8(&mut [0; 4]))
    };
    !text.is_empty() && text.chars().all(is_char)
}

fn is_string(text: &str) -> bool {
    let inside = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.is_some_and(|inside| {
        let mut escaped = false;
        let open = inside.chars().any(|character| {
            let closes = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            closes
        });
        !open && !escaped
    })
}

fn is_absolute_uri(text: &str) -> bool {
    let is_char = |octet: u8| octet.is_ascii_graphic() && !b"<>\"\\^`{|}#".contains(&octet);
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet))
            && !rest.is_empty()
            && rest.bytes().all(is_char)
    })
}

/// RFC 3339 `date-time`.
fn date_time(value: &str) -> Result<(), Fault> {
    let digits = |range: std::ops::Range<usize>, most: u32| {
        let text = value
            .get(range)
            .filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()));
        text.and_then(|text| text.parse::<u32>().ok())
            .is_some_and(|number| number <= most)
    };
    let at = |position: usize, octet: u8| value.as_bytes().get(position) == Some(&octet);
    let date = digits(0..4, 9999) && at(4, b'-') && digits(5..7, 12) && at(7, b'-') && digits(8..10, 31);
    let time = at(10, b'T')
        && digits(11..13, 23)
        && at(13, b':')
        && digits(14..16, 59)
        && at(16, b':')
        && digits(17..19, 60);
    let rest = value.get(19..).unwrap_or_default();
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
            (zone.len() < fraction.len()).then_some(zone)
        }
        None => Some(rest),
    };
    let is_offset = |zone: &str| {
        let octets = zone.as_bytes();
        matches!(octets, [b'+' | b'-', a, b, b':', c, d] if [a, b, c, d].into_iter().all(u8::is_ascii_digit))
    };
    if date && time && zone.is_some_and(|zone| zone == "Z" || is_offset(zone)) {
        Ok(())
    } else {
        Err(("RFC 3862 §4.4", format!("the time {value:?}")))
    }
}

/// The prefix that an NS header declares.
fn namespace(value: &str) -> Result<&str, Fault> {
    let fault = || ("RFC 3862 §4.6", format!("the namespace {value:?}"));
    let (prefix, uri) = value.split_once('<').ok_or_else(fault)?;
    let prefix = prefix.strip_suffix(' ').unwrap_or(prefix);
    let sound = (prefix.is_empty() || is_name(prefix)) && uri.strip_suffix('>').is_some_and(is_absolute_uri);
    if sound { Ok(prefix) } else { Err(fault()) }
}

/// A name without prefix is one of RFC 3862, a prefix was declared.
fn known(name: &str, prefixes: &[&str]) -> Result<(), Fault> {
    let sound = match name.split_once('.') {
        Some((prefix, _)) => prefixes.contains(&prefix),
        None => CORE.contains(&name) || prefixes.contains(&""),
    };
    if sound {
        Ok(())
    } else {
        Err(("RFC 3862 §3.4", format!("a header in no namespace: {name}")))
    }
}

/// MIME headers with a Content-Type, a blank line, the content.
fn content(mut rest: &[u8]) -> Result<(), Fault> {
    let mut text = false;
    let mut types = 0;
    loop {
        let (line, after) = next_line(rest, "RFC 3862 §2.4")?;
        rest = after;
        if line.is_empty() {
            break;
        }
        let line = String::from_utf8_lossy(line).into_owned();
        let fault = || ("RFC 3862 §2.4", format!("the content header {line:?}"));
        let (name, value) = line.split_once(": ").ok_or_else(fault)?;
        if !super::grammar::is_header_name(name) || value.is_empty() {
            return Err(fault());
        }
        if name.eq_ignore_ascii_case("Content-Type") {
            types += 1;
            let lower = value.to_ascii_lowercase();
            text = lower.starts_with("text/") && lower.contains("utf-8");
            if !super::grammar::is_media_type(value) {
                return Err(fault());
            }
        }
    }
    if types != 1 {
        return Err((
            "RFC 3862 §2.4",
            format!("{types} Content-Type headers of the content"),
        ));
    }
    if text && std::str::from_utf8(rest).is_err() {
        return Err(("RFC 3862 §2.4", "a text that is not in its charset".to_owned()));
    }
    Ok(())
}
