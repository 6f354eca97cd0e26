//! Where settings come from: the file and the environment, and which of them said what.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    ops::Range,
    path::{Path, PathBuf},
};

use figment::{
    Error, Figment, Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};
use toml_edit::{Document, Item, Key};

use super::fault::{Fault, Place};

/// Variables that are settings begin with this; two underscores part section and key.
const PREFIX: &str = "GATEWAY__";

/// The file and the environment, read but not yet understood.
pub(super) struct Sources {
    path: PathBuf,
    document: Document<String>,
    /// Variable names by the key they set.
    variables: BTreeMap<Vec<String>, String>,
    layers: [Layer; 2],
}

/// One source's settings.
struct Layer {
    name: &'static str,
    settings: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }
    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.settings.clone())]))
    }
}

impl Sources {
    /// Reads the file and picks the variables that are settings.
    pub(super) fn open(
        path: &Path,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Vec<Fault>> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let remedy =
                "name the file with --config FILE or the environment variable GATEWAY_CONFIG".to_owned();
            vec![whole_file(path, format!("cannot be read: {error}"), remedy)]
        })?;
        let document = Document::parse(text.clone()).map_err(|error| vec![syntax(path, &text, &error)])?;
        let mut file: Dict = toml_edit::de::from_str(&text)
            .map_err(|error| vec![whole_file(path, error.to_string(), String::new())])?;
        let (variables, settings) = read_environment(environment)?;
        // Whoever gives the secret in one way by the environment means it instead of the other way in the file.
        for (given, other) in [("secret", "secret_file"), ("secret_file", "secret")] {
            if variables.contains_key(&vec!["xmpp".to_owned(), given.to_owned()])
                && let Some(Value::Dict(_, xmpp)) = file.get_mut("xmpp")
            {
                xmpp.remove(other);
            }
        }
        let layers = [
            Layer {
                name: "file",
                settings: file,
            },
            Layer {
                name: "environment",
                settings,
            },
        ];
        Ok(Self {
            path: path.to_owned(),
            document,
            variables,
            layers,
        })
    }

    /// All settings, the environment's over the file's.
    pub(super) fn merged(&self) -> Result<Dict, Error> {
        let [file, environment] = &self.layers;
        let merged = Figment::new().merge(Borrowed(file)).merge(Borrowed(environment));
        merged.extract()
    }

    /// Where a key, or the nearest of its parents, was set.
    pub(super) fn place(&self, key: &[String]) -> Place {
        let variable = (1..=key.len())
            .rev()
            .find_map(|length| self.variables.get(key.get(..length)?));
        if let Some(name) = variable {
            return Place::Variable(name.clone());
        }
        match key_span(self.document.as_item(), key) {
            Some(span) => {
                let (line, column) = position(self.document.raw(), span.start);
                Place::At(self.path.clone(), line, column)
            }
            None => Place::File(self.path.clone()),
        }
    }

    /// The directory that relative names in the file start from.
    pub(super) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

struct Borrowed<'a>(&'a Layer);

impl Provider for Borrowed<'_> {
    fn metadata(&self) -> Metadata {
        self.0.metadata()
    }
    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        self.0.data()
    }
}

type Variables = BTreeMap<Vec<String>, String>;

fn read_environment(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Variables, Dict), Vec<Fault>> {
    let mut variables = Variables::new();
    let mut settings = Dict::new();
    let mut faults = Vec::new();
    for (name, text) in environment {
        let Some((name, key)) = name
            .to_str()
            .and_then(|name| Some((name, name.strip_prefix(PREFIX)?)))
        else {
            continue;
        };
        let key: Vec<String> = key.split("__").map(str::to_ascii_lowercase).collect();
        match text
            .to_str()
            .ok_or_else(|| "is not UTF-8".to_owned())
            .and_then(variable_value)
        {
            Ok(value) => {
                set(&mut settings, &key, value);
                variables.insert(key, name.to_owned());
            }
            Err(problem) => faults.push(Fault {
                place: Place::Variable(name.to_owned()),
                key,
                problem,
                remedy: "lists and tables are written as in TOML, such as [\"a\", \"b\"]".to_owned(),
            }),
        }
    }
    if faults.is_empty() {
        Ok((variables, settings))
    } else {
        Err(faults)
    }
}

/// A list or an inline table is read as TOML; anything else is text, so that a secret of digits stays what it is.
fn variable_value(text: &str) -> Result<Value, String> {
    if !text.starts_with(['[', '{']) {
        return Ok(Value::from(text));
    }
    let mut table: Dict =
        toml_edit::de::from_str(&format!("value = {text}")).map_err(|error| error.message().to_owned())?;
    table.remove("value").ok_or_else(|| "has no value".to_owned())
}

fn set(settings: &mut Dict, key: &[String], value: Value) {
    match key {
        [] => {}
        [last] => {
            settings.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let inner = settings
                .entry(first.clone())
                .or_insert_with(|| Value::from(Dict::new()));
            if !matches!(inner, Value::Dict(..)) {
                *inner = Value::from(Dict::new());
            }
            if let Value::Dict(_, inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

/// The span of the last part of a key that the document has.
fn key_span(root: &Item, key: &[String]) -> Option<Range<usize>> {
    let mut item = Some(root);
    let mut span = None;
    for part in key {
        let (found, inner) = step(item?, part);
        if let Some(found) = found {
            span = Some(found);
        }
        item = inner;
    }
    span
}

fn step<'a>(item: &'a Item, part: &str) -> (Option<Range<usize>>, Option<&'a Item>) {
    let number = part.parse::<usize>().ok();
    if let Some(tables) = item.as_array_of_tables() {
        let table = number.and_then(|number| tables.get(number));
        // An entry's own keys are reached through a table, which is no item: look at them by name in the next step.
        return (
            table.and_then(toml_edit::Table::span),
            number.and_then(|number| item.get(number)),
        );
    }
    if let Some(number) = number
        && let Some(inner) = item.get(number)
    {
        return (inner.span(), Some(inner));
    }
    let found = item.as_table_like().and_then(|table| table.get_key_value(part));
    (
        found.and_then(|(key, inner)| key_or_item_span(key, inner)),
        found.map(|(_, inner)| inner),
    )
}

fn key_or_item_span(key: &Key, item: &Item) -> Option<Range<usize>> {
    key.span().or_else(|| item.span())
}

/// Line and column, counted from 1, columns in characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).map_or(0, |line| line.chars().count());
    (before.matches('\n').count() + 1, column + 1)
}

fn syntax(path: &Path, text: &str, error: &toml_edit::TomlError) -> Fault {
    let (line, column) = position(text, error.span().map_or(0, |span| span.start));
    Fault {
        place: Place::At(path.to_owned(), line, column),
        key: Vec::new(),
        problem: format!("not TOML: {}", error.message().replace('\n', ", ")),
        remedy: "texts stand in quotation marks, sections in square brackets".to_owned(),
    }
}

fn whole_file(path: &Path, problem: String, remedy: String) -> Fault {
    Fault {
        place: Place::File(path.to_owned()),
        key: Vec::new(),
        problem,
        remedy,
    }
}
