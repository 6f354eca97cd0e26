//! Ad-hoc commands (XEP-0050) with their forms and tables (XEP-0004).

use minidom::{Element, ElementBuilder, rxml::xml_ncname};
use xmpp_parsers::ns;

use super::{Iq, IqKind, Payload};

/// The namespace, which is also the node of the list.
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";

/// Fields read of one form.
const FIELDS: usize = 16;

/// What is asked about commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Which there are (XEP-0050 §3.1).
    List,
    /// What the node is, of the list or of a command (XEP-0050 §3.2).
    About(String),
    /// To do something.
    Do(Command),
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Which.
    pub node: String,
    /// Whether it is called off.
    pub cancelled: bool,
    /// What was filled in, by field; `None` before a form was filled in.
    pub fields: Option<Vec<(String, String)>>,
}

/// What a command leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A form is to be filled in.
    Asks {
        /// Its title.
        title: &'static str,
        /// Its fields: name, label.
        fields: Vec<(&'static str, &'static str)>,
    },
    /// It is done.
    Done {
        /// What is told.
        note: String,
        /// What was asked for.
        table: Option<Table>,
    },
    /// It was called off.
    Cancelled,
}

/// A table of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its title.
    pub title: &'static str,
    /// Its columns: name, label.
    pub columns: Vec<(&'static str, &'static str)>,
    /// Its rows, as long as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Request {
    /// Reads a request; `None` for one about something else.
    #[must_use]
    pub fn read(iq: &Iq) -> Option<Self> {
        match &iq.kind {
            IqKind::Get(Payload(query)) => {
                let node = query.attr("node")?;
                if query.is("query", ns::DISCO_ITEMS) && node == COMMANDS {
                    return Some(Self::List);
                }
                query
                    .is("query", ns::DISCO_INFO)
                    .then(|| Self::About(node.to_owned()))
            }
            IqKind::Set(Payload(command)) if command.is("command", COMMANDS) => Some(Self::Do(Command {
                node: command.attr("node").unwrap_or_default().to_owned(),
                cancelled: command.attr("action") == Some("cancel"),
                fields: command.get_child("x", ns::DATA_FORMS).map(filled_in),
            })),
            IqKind::Set(_) | IqKind::Result(_) | IqKind::Error(_) => None,
        }
    }
}

impl Command {
    /// What was filled into a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter().flatten();
        fields
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The answer to [`Request::List`]: node and name of each command at `domain`.
#[must_use]
pub fn list(domain: &str, commands: &[(&str, &str)]) -> Payload {
    let items = commands.iter().map(|(node, name)| {
        Element::builder("item", ns::DISCO_ITEMS)
            .attr(xml_ncname!("jid").to_owned(), domain)
            .attr(xml_ncname!("node").to_owned(), *node)
            .attr(xml_ncname!("name").to_owned(), *name)
            .build()
    });
    let query = Element::builder("query", ns::DISCO_ITEMS).attr(xml_ncname!("node").to_owned(), COMMANDS);
    Payload(query.append_all(items).build())
}

/// The answer to [`Request::About`].
#[must_use]
pub fn about(node: &str, name: &str) -> Payload {
    let kind = if node == COMMANDS {
        "command-list"
    } else {
        "command-node"
    };
    let identity = Element::builder("identity", ns::DISCO_INFO)
        .attr(xml_ncname!("category").to_owned(), "automation")
        .attr(xml_ncname!("type").to_owned(), kind)
        .attr(xml_ncname!("name").to_owned(), name)
        .build();
    let features = [COMMANDS, ns::DATA_FORMS].map(|feature| {
        Element::builder("feature", ns::DISCO_INFO)
            .attr(xml_ncname!("var").to_owned(), feature)
            .build()
    });
    let query = Element::builder("query", ns::DISCO_INFO).attr(xml_ncname!("node").to_owned(), node);
    Payload(query.append(identity).append_all(features).build())
}

impl Outcome {
    /// The answer to a command.
    #[must_use]
    pub fn payload(&self, node: &str, session: &str) -> Payload {
        let status = match self {
            Self::Asks { .. } => "executing",
            Self::Done { .. } => "completed",
            Self::Cancelled => "canceled",
        };
        let command = Element::builder("command", COMMANDS)
            .attr(xml_ncname!("node").to_owned(), node)
            .attr(xml_ncname!("sessionid").to_owned(), session)
            .attr(xml_ncname!("status").to_owned(), status);
        Payload(match self {
            Self::Asks { title, fields } => {
                let next = Element::builder("complete", COMMANDS).build();
                let actions = Element::builder("actions", COMMANDS)
                    .attr(xml_ncname!("execute").to_owned(), "complete")
                    .append(next)
                    .build();
                command.append(actions).append(form(title, fields)).build()
            }
            Self::Done { note, table } => {
                let note = Element::builder("note", COMMANDS)
                    .attr(xml_ncname!("type").to_owned(), "info")
                    .append(note.as_str())
                    .build();
                command
                    .append(note)
                    .append_all(table.as_ref().map(Table::form))
                    .build()
            }
            Self::Cancelled => command.build(),
        })
    }
}

impl Table {
    fn form(&self) -> Element {
        let columns = self
            .columns
            .iter()
            .map(|(name, label)| described(name, label, None).build());
        let reported = Element::builder("reported", ns::DATA_FORMS)
            .append_all(columns)
            .build();
        let rows = self.rows.iter().map(|row| {
            let fields = self.columns.iter().zip(row).map(|((name, _), value)| {
                let value = Element::builder("value", ns::DATA_FORMS)
                    .append(value.as_str())
                    .build();
                Element::builder("field", ns::DATA_FORMS)
                    .attr(xml_ncname!("var").to_owned(), *name)
                    .append(value)
                    .build()
            });
            Element::builder("item", ns::DATA_FORMS)
                .append_all(fields)
                .build()
        });
        let form = Element::builder("x", ns::DATA_FORMS).attr(xml_ncname!("type").to_owned(), "result");
        form.append(titled(self.title))
            .append(reported)
            .append_all(rows)
            .build()
    }
}

fn form(title: &str, fields: &[(&str, &str)]) -> Element {
    let fields = fields.iter().map(|(name, label)| {
        let required = Element::builder("required", ns::DATA_FORMS).build();
        described(name, label, Some("text-single"))
            .append(required)
            .build()
    });
    Element::builder("x", ns::DATA_FORMS)
        .attr(xml_ncname!("type").to_owned(), "form")
        .append(titled(title))
        .append_all(fields)
        .build()
}

fn titled(title: &str) -> Element {
    Element::builder("title", ns::DATA_FORMS).append(title).build()
}

fn described(name: &str, label: &str, kind: Option<&str>) -> ElementBuilder {
    Element::builder("field", ns::DATA_FORMS)
        .attr(xml_ncname!("var").to_owned(), name)
        .attr(xml_ncname!("label").to_owned(), label)
        .attr(xml_ncname!("type").to_owned(), kind)
}

fn filled_in(form: &Element) -> Vec<(String, String)> {
    let fields = form.children().filter(|child| child.is("field", ns::DATA_FORMS));
    fields
        .filter_map(|field| {
            let value = field.get_child("value", ns::DATA_FORMS)?;
            Some((field.attr("var")?.to_owned(), value.text()))
        })
        .take(FIELDS)
        .collect()
}
