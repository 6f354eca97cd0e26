//! `cargo xtask sim` and `sim-defects`: the simulated world, and the proof that it can fail.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use gateway_tests::{Context, Result, bail, binaries::cargo, ensure};

use crate::{
    screen,
    steps::{cargo_command, run_loudly, run_quietly},
};

/// Seeds within which a defect is to be caught.
const SEEDS: u32 = 200;

/// Runs the world.
///
/// # Errors
/// A seed failed, or it cannot be built.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut command = cargo_command(&[
        "run",
        "--quiet",
        "--profile",
        "sim",
        "--package",
        "gateway-sim",
        "--",
    ]);
    run_loudly(command.args(arguments))
}

/// Puts each defect into a copy of the sources and looks whether the world catches it.
///
/// # Errors
/// One was not caught, or by another invariant than its name says.
pub(crate) fn defects(only: Option<&str>) -> Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()?;
    let folder = repository.join("tests/sim/defects");
    let mut patches: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("no defects in {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    patches.retain(|patch| {
        let name = patch.to_string_lossy();
        patch.extension().is_some_and(|extension| extension == "patch")
            && only.is_none_or(|only| name.contains(only))
    });
    patches.sort();
    ensure!(!patches.is_empty(), "no such defect");
    // Beside the other build results, so that what does not change is built once.
    let copy = target(&repository).join("sim-defects");
    let mut missed = Vec::new();
    for patch in &patches {
        let name = patch
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let started = Instant::now();
        match defect(&repository, &copy, patch) {
            Ok(seed) => println!(
                "{} {name}: {seed}, {}",
                screen::good("caught"),
                screen::seconds(started.elapsed())
            ),
            Err(error) => {
                println!("{} {name}: {error:#}", screen::bad("MISSED"));
                missed.push(name);
            }
        }
    }
    ensure!(missed.is_empty(), "not caught: {}", missed.join(", "));
    println!("{} defects, all caught within {SEEDS} seeds", patches.len());
    Ok(())
}

fn target(repository: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), PathBuf::from)
}

/// Returns the first line of what the world said. The file is called `INVARIANT.WHAT.patch`.
fn defect(repository: &Path, copy: &Path, patch: &Path) -> Result<String> {
    let invariant = patch
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.split('.').next())
        .context("a patch without a name")?;
    let sources = copy.join("sources");
    let list = run_quietly(
        Command::new("git")
            .arg("-C")
            .arg(repository)
            .args(["ls-files", "-z"]),
    )?;
    for name in list.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (repository.join(name), sources.join(name));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        // What is the same already keeps its time, so that it is not built again.
        if from.is_file() && fs::read(&from)? != fs::read(&to).unwrap_or_default() {
            fs::copy(&from, &to).with_context(|| format!("cannot copy {name}"))?;
        }
    }
    // The copy may lie in a repository, ours; it is none of it.
    let mut apply = Command::new("git");
    apply
        .arg("-C")
        .arg(&sources)
        .arg("apply")
        .arg(patch)
        .env("GIT_CEILING_DIRECTORIES", copy);
    run_quietly(&mut apply).context("the patch does not fit any more")?;
    let said = Command::new(cargo())
        .current_dir(&sources)
        .env("CARGO_TARGET_DIR", copy.join("target"))
        .args(["run", "--quiet", "--package", "gateway-sim", "--"])
        .args(["--seeds", &SEEDS.to_string(), "--failures", "1000000", "--brief"])
        .args(["--until", invariant])
        .output()?;
    let text = String::from_utf8_lossy(&said.stdout);
    let caught = text
        .lines()
        .find(|line| line.contains(&format!(": {invariant} broken")));
    match caught {
        Some(line) => Ok(line.chars().take(160).collect()),
        None if text.contains("broken") => {
            let other = text
                .lines()
                .find(|line| line.contains("broken"))
                .unwrap_or_default();
            bail!("caught, but not by {invariant}: {other}")
        }
        None if said.status.success() => bail!("not caught"),
        None => bail!("{}", String::from_utf8_lossy(&said.stderr)),
    }
}
