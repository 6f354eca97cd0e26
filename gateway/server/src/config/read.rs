//! From the sources to [`Settings`], with all faults, not the first alone.

use figment::{
    error::{Actual, Kind},
    value::{Dict, Value},
};

use super::{
    fault::{Fault, suggestion},
    settings::Settings,
    source::Sources,
};

/// Most faults reported at once.
const FAULTS: usize = 64;

/// Reads the settings; a key with a fault is left out, so that the next fault comes to light.
pub(super) fn settings(sources: &Sources) -> (Settings, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut merged = match sources.merged() {
        Ok(merged) => merged,
        Err(error) => {
            return (
                Settings::default(),
                error.into_iter().map(|error| fault(error, sources)).collect(),
            );
        }
    };
    while faults.len() < FAULTS {
        match Value::from(merged.clone()).deserialize() {
            Ok(settings) => return (settings, faults),
            Err(error) => {
                let removed = remove(&mut merged, &error.path);
                faults.push(fault(error, sources));
                if !removed {
                    break;
                }
            }
        }
    }
    (Settings::default(), faults)
}

fn fault(error: figment::Error, sources: &Sources) -> Fault {
    let secret = error
        .path
        .last()
        .is_some_and(|key| matches!(key.as_str(), "secret" | "password"));
    let (problem, remedy) = match &error.kind {
        Kind::UnknownField(name, known) => ("unknown key".to_owned(), suggestion(name, known)),
        Kind::UnknownVariant(name, known) => (format!("unknown value `{name}`"), suggestion(name, known)),
        Kind::InvalidType(_, expected) if secret => {
            (format!("expected {}", plain(expected)), quoted(expected))
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => (
            format!("found {}, expected {}", named(found), plain(expected)),
            quoted(expected),
        ),
        Kind::InvalidLength(found, expected) => {
            (format!("{found} entries, expected {expected}"), String::new())
        }
        Kind::Message(text) => (text.clone(), String::new()),
        other => (other.to_string(), String::new()),
    };
    Fault {
        place: sources.place(&error.path),
        key: error.path,
        problem,
        remedy,
    }
}

/// What was found, in a reader's words.
fn named(found: &Actual) -> String {
    match found {
        Actual::Bool(value) => format!("`{value}`"),
        Actual::Unsigned(value) => format!("the number {value}"),
        Actual::Signed(value) => format!("the number {value}"),
        Actual::Float(value) => format!("the number {value}"),
        Actual::Str(text) => format!("the text \"{text}\""),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// What was expected, likewise.
fn plain(expected: &str) -> &str {
    match expected {
        "a string" => "a text",
        "a sequence" => "a list",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

fn quoted(expected: &str) -> String {
    if expected == "a string" {
        "write it in quotation marks".to_owned()
    } else {
        String::new()
    }
}

/// Takes the entry at `path` out. A list with a wrong entry goes as a whole, so that the numbers of other entries stay right.
fn remove(dict: &mut Dict, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return false;
    };
    let inner = match (dict.get_mut(first), rest) {
        (Some(Value::Dict(_, inner)), [_, ..]) => Some((inner, rest)),
        (Some(Value::Array(_, entries)), [index, rest @ ..]) if !rest.is_empty() => {
            match index.parse().ok().and_then(|index: usize| entries.get_mut(index)) {
                Some(Value::Dict(_, inner)) => Some((inner, rest)),
                _ => None,
            }
        }
        _ => None,
    };
    match inner {
        Some((inner, rest)) => remove(inner, rest),
        None => dict.remove(first).is_some(),
    }
}
