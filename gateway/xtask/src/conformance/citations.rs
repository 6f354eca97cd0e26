//! Which tests cite which rows.
//!
//! A test says it in a comment among its attributes, `// Rows: B7702-12, F41`; a transcript in a line `Rows: F35..F43`. Two dots stand for all rows
//! from one to the other. A test that is ignored proves nothing.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use gateway_tests::{Context, Result, bail, ensure};

/// Where tests are.
const FOLDERS: &[&str] = &["gateway", "tests", "examples"];
const MARK: &str = "Rows:";

/// A test that proves a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Citation {
    /// In the repository.
    pub(super) file: String,
    pub(super) test: String,
}

impl fmt::Display for Citation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.test, self.file)
    }
}

/// All citations, in the order of files and lines.
///
/// # Errors
/// A file cannot be read, or a citation belongs to no test.
pub(super) fn of_repository(repository: &Path) -> Result<Vec<(String, Citation)>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        find_files(&repository.join(folder), &mut files)?;
    }
    files.sort();
    let mut all = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let file = path.strip_prefix(repository)?.display().to_string();
        let cited = if path.extension().is_some_and(|extension| extension == "rs") {
            of_tests(&text)
        } else {
            of_transcript(&path, &text)
        };
        let cited = cited.with_context(|| file.clone())?;
        all.extend(cited.into_iter().map(|(row, test)| {
            let file = file.clone();
            (row, Citation { file, test })
        }));
    }
    Ok(all)
}

/// Sources, and the texts in folders called `transcripts`.
fn find_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let kind = path.extension().and_then(|extension| extension.to_str());
        let transcript = folder.file_name().is_some_and(|name| name == "transcripts");
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                find_files(&path, found)?;
            }
        } else if kind == Some("rs") || (kind == Some("txt") && transcript) {
            found.push(path);
        }
    }
    Ok(())
}

/// Pairs of row and test.
fn of_tests(source: &str) -> Result<Vec<(String, String)>> {
    let mut cited = Vec::new();
    let mut rows: Vec<String> = Vec::new();
    let (mut is_test, mut ignored) = (false, false);
    for (line, number) in source.lines().map(str::trim).zip(1_usize..) {
        if let Some(list) = line.strip_prefix("// ").and_then(|line| line.strip_prefix(MARK)) {
            rows.extend(listed(list).with_context(|| format!("line {number}"))?);
        } else if line.starts_with("#[") {
            is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
            ignored |= line.starts_with("#[ignore");
        } else if let Some(test) = name_of_function(line) {
            ensure!(
                rows.is_empty() || (is_test && !ignored),
                "line {number}: rows are cited by {test}, which is no test that runs"
            );
            cited.extend(rows.drain(..).map(|row| (row, test.to_owned())));
            (is_test, ignored) = (false, false);
        } else if line.is_empty() || line.ends_with('}') {
            ensure!(rows.is_empty(), "line {number}: rows are cited above no test");
        }
    }
    Ok(cited)
}

fn of_transcript(path: &Path, text: &str) -> Result<Vec<(String, String)>> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut cited = Vec::new();
    for list in text.lines().filter_map(|line| line.strip_prefix(MARK)) {
        cited.extend(listed(list)?.into_iter().map(|row| (row, name.to_string())));
    }
    Ok(cited)
}

fn name_of_function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

fn listed(list: &str) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    for item in list.split(',').map(str::trim) {
        match item.split_once("..") {
            None => rows.push(item.to_owned()),
            Some((first, last)) => rows.extend(range(first, last)?),
        }
    }
    Ok(rows)
}

fn range(first: &str, last: &str) -> Result<Vec<String>> {
    let split = |id: &str| -> Option<(String, u32, usize)> {
        let name = id.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = id.strip_prefix(name)?;
        Some((name.to_owned(), number.parse().ok()?, number.len()))
    };
    let (Some((name, from, width)), Some((other, to, _))) = (split(first), split(last)) else {
        bail!("{first}..{last} is no range of rows");
    };
    ensure!(name == other && from < to, "{first}..{last} is no range of rows");
    // Flows count without leading zeros, the others with two digits.
    let width = if name.ends_with('-') { width } else { 0 };
    Ok((from..=to)
        .map(|number| format!("{name}{number:0width$}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{listed, of_tests};

    #[test]
    fn a_citation_belongs_to_the_test_below() {
        let source = "/// Words.\n// Rows: F9..F11, A7702-02\n#[test]\n#[expect(\n    x,\n)]\nfn rule() {\n}\n\nfn other() {}\n";
        let cited = of_tests(source).unwrap();
        let rows: Vec<_> = cited.iter().map(|(row, _)| row.as_str()).collect();
        assert_eq!(rows, ["F9", "F10", "F11", "A7702-02"]);
        assert!(cited.iter().all(|(_, test)| test == "rule"));
    }

    #[test]
    fn rows_cited_by_what_is_no_running_test_are_a_fault() {
        for source in [
            "// Rows: F1\nfn helper() {\n",
            "// Rows: F1\n\n#[test]\nfn far() {\n",
            "// Rows: F1\n#[test]\n#[ignore = \"slow\"]\nfn ignored() {\n",
        ] {
            assert!(of_tests(source).is_err(), "{source}");
        }
    }

    #[test]
    fn a_range_is_of_one_kind_and_rises() {
        assert_eq!(listed(" X2S-08..X2S-10").unwrap(), ["X2S-08", "X2S-09", "X2S-10"]);
        for list in ["F3..F1", "F1..E-02", "F1..", "..F2"] {
            assert!(listed(list).is_err(), "{list}");
        }
    }
}
