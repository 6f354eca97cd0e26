//! What is wrong with a configuration, where, and what to do.

use std::{fmt, path::PathBuf};

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub place: Place,
    /// The key as a path, list entries by number; empty when it concerns a whole file.
    pub key: Vec<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do; may be empty where the problem says it.
    pub remedy: String,
}

/// Where a fault stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the file, at a line and column counted from 1.
    At(PathBuf, usize, usize),
    /// In the file as a whole, as something missing from it.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(file, line, column) => write!(f, "{}:{line}:{column}", file.display()),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", Dotted(&self.key))?;
        }
        write!(f, "{}", self.problem)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// `rooms[0].sip`.
pub(crate) struct Dotted<'a>(pub(crate) &'a [String]);

impl fmt::Display for Dotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, part) in self.0.iter().enumerate() {
            if part.bytes().all(|octet| octet.is_ascii_digit()) {
                write!(f, "[{part}]")?;
            } else if position == 0 {
                f.write_str(part)?;
            } else {
                write!(f, ".{part}")?;
            }
        }
        Ok(())
    }
}

/// ``did you mean `server`?``, or the list of what there is.
#[must_use]
pub fn suggestion(written: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(written, name), *name))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, name)) if likeness > 0.8 => format!("did you mean `{name}`?"),
        _ => format!("known here: {}", known.join(", ")),
    }
}
