//! The tables of `docs/conformance`: rows, and the waivers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use gateway_tests::{Context, Result, bail};

use super::PAGE;

const WAIVERS: &str = "waivers.md";
/// The heading of its second part.
const OUTSIDE: &str = "# Rows about something else";

/// The files in the order of the page.
const ORDER: &[&str] = &[
    "rfc7702-general",
    "rfc7702-section-5",
    "rfc7702-section-6",
    "rfc7702-section-7",
    "rfc7702-flows",
    "rfc7701",
    "rfc7247",
    "rfc7247-table-2",
    "rfc7247-table-3",
    "msrp-errors",
    "rfc4975",
    "rfc4575",
    "rfc7573",
    "xmpp",
    "sip",
    "rfc7702-errata",
    "rfc7702-gaps",
];

/// One file of rows.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: String,
    /// In the folder of the rows.
    pub(super) file: String,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) level: Level,
    pub(super) rule: String,
}

/// How strongly the source asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Must,
    Should,
    May,
    /// A correspondence between the protocols.
    Mapping,
    /// Said without a keyword.
    Text,
    /// Asked for by no RFC.
    Ours,
}

impl Level {
    pub(super) const ALL: [Self; 6] = [
        Self::Must,
        Self::Mapping,
        Self::Should,
        Self::May,
        Self::Text,
        Self::Ours,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
            Self::Mapping => "mapping",
            Self::Text => "text",
            Self::Ours => "ours",
        }
    }
}

/// All rows, in the order of the page.
///
/// # Errors
/// A file is missing, unlisted, or has a table that is none.
pub(super) fn sections(folder: &Path) -> Result<Vec<Section>> {
    for entry in fs::read_dir(folder).with_context(|| format!("no rows in {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let listed = name.strip_suffix(".md").is_some_and(|stem| ORDER.contains(&stem));
        if !listed && name != PAGE && name != WAIVERS {
            bail!("{name} is not in the order of the page");
        }
    }
    ORDER.iter().map(|stem| section(folder, stem)).collect()
}

/// Why rows are not proven, by row; and which are about something that the gateway does not offer.
///
/// # Errors
/// The file is missing, lacks its second part, or a waiver has no reason.
pub(super) fn waivers(folder: &Path) -> Result<(BTreeMap<String, String>, BTreeMap<String, String>)> {
    let text = fs::read_to_string(folder.join(WAIVERS)).context(WAIVERS)?;
    let (waived, outside) = text
        .split_once(OUTSIDE)
        .with_context(|| format!("{WAIVERS} lacks {OUTSIDE}"))?;
    Ok((reasons(waived)?, reasons(outside)?))
}

fn reasons(text: &str) -> Result<BTreeMap<String, String>> {
    let mut waivers = BTreeMap::new();
    for cells in table(text) {
        let [ids, reason] = cells.as_slice() else {
            bail!("{WAIVERS}: not two cells: {}", cells.join(" | "));
        };
        for id in ids.split(',') {
            waivers.insert(id.trim().to_owned(), reason.clone());
        }
    }
    Ok(waivers)
}

/// Rows that are there twice.
pub(super) fn doubled(sections: &[Section]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let rows = sections.iter().flat_map(|section| &section.rows);
    rows.filter(|row| !seen.insert(&row.id))
        .map(|row| format!("{} is there twice", row.id))
        .collect()
}

fn section(folder: &Path, stem: &str) -> Result<Section> {
    let file = format!("{stem}.md");
    let text = fs::read_to_string(folder.join(&file)).with_context(|| file.clone())?;
    let title = text.lines().find_map(|line| line.strip_prefix("# "));
    let rows = table(&text).into_iter().map(|cells| row(&cells));
    Ok(Section {
        title: title.with_context(|| format!("{file} has no title"))?.to_owned(),
        rows: rows.collect::<Result<_>>().with_context(|| file.clone())?,
        file,
    })
}

fn row(cells: &[String]) -> Result<Row> {
    let [id, level, rule, _source] = cells else {
        bail!("not four cells: {}", cells.join(" | "));
    };
    let level = Level::ALL.into_iter().find(|known| known.name() == level);
    Ok(Row {
        id: id.clone(),
        level: level.with_context(|| format!("{id} has no known level"))?,
        rule: rule.clone(),
    })
}

/// The cells of all table lines below the heads.
fn table(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Option<Vec<String>> {
        let inside = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(inside.split(" | ").map(|cell| cell.trim().to_owned()).collect())
    };
    let lines = text.lines().filter_map(cells);
    lines
        .filter(|cells| {
            cells
                .first()
                .is_some_and(|first| first != "Row" && first != "Rows")
        })
        .collect()
}
