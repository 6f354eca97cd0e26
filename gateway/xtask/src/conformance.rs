//! `cargo xtask conformance`: joins the rows of `docs/conformance` with the tests that cite them, and writes the page that says which are proven.

mod citations;
mod page;
mod rows;

use std::{collections::BTreeMap, fs, path::Path};

use gateway_tests::{Context, Result, ensure};

use crate::screen;
use citations::Citation;
use rows::{Level, Row, Section};

/// Where the rows are, in the repository.
const FOLDER: &str = "docs/conformance";
/// The generated page, in that folder.
const PAGE: &str = "README.md";

/// The rows, what proves them, and why some are not proven.
#[derive(Debug)]
struct Conformance {
    sections: Vec<Section>,
    /// By row, the tests that cite it.
    tests: BTreeMap<String, Vec<Citation>>,
    /// By row, why it needs no test.
    waivers: BTreeMap<String, String>,
    /// By row, why it is about something that the gateway does not offer.
    outside: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Covered,
    Waived,
    /// About something that the gateway does not offer.
    Outside,
    Missing,
}

impl State {
    const ALL: [Self; 4] = [Self::Covered, Self::Waived, Self::Outside, Self::Missing];

    fn name(self) -> &'static str {
        match self {
            Self::Covered => "Covered",
            Self::Waived => "Waived",
            Self::Outside => "Outside",
            Self::Missing => "Missing",
        }
    }
}

/// Prints what is proven and writes the page.
///
/// # Errors
/// A citation or a waiver names no row, a waived row is proven, or — if `strict` — a row is neither.
pub(crate) fn run(strict: bool) -> Result<()> {
    let repository = repository();
    let conformance = Conformance::read(&repository)?;
    let path = repository.join(FOLDER).join(PAGE);
    fs::write(&path, page::render(&conformance))
        .with_context(|| format!("cannot write {}", path.display()))?;
    conformance.print();
    let faults = conformance.faults();
    for fault in &faults {
        println!("{} {fault}", screen::bad("fault:"));
    }
    ensure!(
        faults.is_empty(),
        "{} faults in citations or waivers",
        faults.len()
    );
    let missing = conformance.count(State::Missing, None);
    ensure!(
        !strict || missing == 0,
        "{missing} rows are neither proven nor waived"
    );
    Ok(())
}

impl Conformance {
    fn read(repository: &Path) -> Result<Self> {
        let folder = repository.join(FOLDER);
        let mut tests: BTreeMap<String, Vec<Citation>> = BTreeMap::new();
        for (row, citation) in citations::of_repository(repository)? {
            tests.entry(row).or_default().push(citation);
        }
        let (waivers, outside) = rows::waivers(&folder)?;
        Ok(Self {
            sections: rows::sections(&folder)?,
            tests,
            waivers,
            outside,
        })
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.sections.iter().flat_map(|section| &section.rows)
    }

    fn state(&self, row: &Row) -> State {
        if self.tests.contains_key(&row.id) {
            State::Covered
        } else if self.waivers.contains_key(&row.id) {
            State::Waived
        } else if self.outside.contains_key(&row.id) {
            State::Outside
        } else {
            State::Missing
        }
    }

    /// How many rows are in this state, of one level or of all.
    fn count(&self, state: State, level: Option<Level>) -> usize {
        self.rows()
            .filter(|row| level.is_none_or(|level| row.level == level) && self.state(row) == state)
            .count()
    }

    /// What contradicts itself.
    fn faults(&self) -> Vec<String> {
        let known = |id: &String| self.rows().any(|row| row.id == *id);
        let mut faults = rows::doubled(&self.sections);
        for (id, citations) in self.tests.iter().filter(|(id, _)| !known(id)) {
            let by: Vec<_> = citations.iter().map(ToString::to_string).collect();
            faults.push(format!("{id} is no row, but cited by {}", by.join(", ")));
        }
        for id in self.waivers.keys().chain(self.outside.keys()) {
            if !known(id) {
                faults.push(format!("{id} is no row, but waived"));
            } else if let Some(citation) = self.tests.get(id).and_then(|citations| citations.first()) {
                faults.push(format!("{id} is waived, but proven by {citation}"));
            }
        }
        faults
    }

    fn print(&self) {
        let line = |title: &str, counts: [String; 4]| {
            let [covered, waived, outside, missing] = counts;
            let title: String = title.chars().take(50).collect();
            println!("{title:<50} {covered:>8} {waived:>8} {outside:>8} {missing:>8}");
        };
        line("", State::ALL.map(|state| state.name().to_lowercase()));
        for section in &self.sections {
            let of = |state| section.rows.iter().filter(|row| self.state(row) == state).count();
            line(&section.title, State::ALL.map(|state| of(state).to_string()));
        }
        line("all", State::ALL.map(|state| self.count(state, None).to_string()));
    }
}

fn repository() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Conformance, FOLDER, PAGE, page, repository};

    #[test]
    fn citations_and_waivers_name_rows_and_do_not_contradict_each_other() {
        let faults = Conformance::read(&repository()).unwrap().faults();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn the_page_says_what_the_tests_prove() {
        let conformance = Conformance::read(&repository()).unwrap();
        let stands = fs::read_to_string(repository().join(FOLDER).join(PAGE)).unwrap_or_default();
        assert!(
            stands == page::render(&conformance),
            "{FOLDER}/{PAGE} is out of date; refresh it with: cargo xtask conformance"
        );
    }
}
