//! `debian:bookworm-slim`, made from Debian's archive: our own engine reaches no registry, and its builds no network.
//!
//! The image holds the packages that the Dockerfiles install, as an archive of its own that apt reads.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use gateway_tests::{Context, Result, ensure, scratch::Scratch};

use super::engine::{Engine, docker};
use crate::{
    screen,
    steps::{run_loudly, run_quietly},
};

const NAME: &str = "debian:bookworm-slim";
const RELEASE: &str = "bookworm";
/// Where the image keeps the packages.
const ARCHIVE: &str = "opt/packages";
/// What an image needs no copy of.
const LEFT_OUT: &[&str] = &[
    "./proc/*",
    "./sys/*",
    "./dev/*",
    "./var/cache/apt/*",
    "./usr/share/doc/*",
    "./usr/share/man/*",
];

/// Gives the engine the image. The file system is made once and kept in the target directory, under a name that
/// changes with the packages.
///
/// # Errors
/// The archive cannot be reached, or the engine refuses.
pub(crate) fn provide(engine: &Engine, repository: &Path, target: &Path) -> Result<()> {
    let packages = packages_of(&repository.join("deploy/docker"))?;
    let name: Vec<&str> = packages.iter().map(String::as_str).collect();
    let kept = target.join(format!("compose-base-{}.tar", name.join("-")));
    if !kept.exists() {
        screen::heading(&format!("Making {NAME} with debootstrap (a few minutes, once)"));
        let started = Instant::now();
        make(&packages, &kept)?;
        println!("ok, {}", screen::seconds(started.elapsed()));
    }
    run_quietly(
        docker(engine.address())
            .args(["import", "--change", "CMD [\"bash\"]"])
            .arg(&kept)
            .arg(NAME),
    )
    .map(drop)
}

/// What the Dockerfiles install.
fn packages_of(directory: &Path) -> Result<BTreeSet<String>> {
    let mut packages = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "Dockerfile")
        {
            packages.extend(installed_by(&fs::read_to_string(path)?));
        }
    }
    ensure!(
        !packages.is_empty(),
        "no Dockerfile in {} installs anything",
        directory.display()
    );
    Ok(packages)
}

fn installed_by(dockerfile: &str) -> Vec<String> {
    dockerfile
        .lines()
        .filter_map(|line| line.split_once("apt-get install ").map(|(_, words)| words))
        .flat_map(str::split_whitespace)
        .filter(|word| !word.starts_with('-') && *word != "\\")
        .map(str::to_owned)
        .collect()
}

fn make(packages: &BTreeSet<String>, kept: &Path) -> Result<()> {
    let scratch = Scratch::new("base-image")?;
    let root = scratch.path().join("root");
    let mut debootstrap = Command::new("debootstrap");
    debootstrap
        .args(["--variant=minbase", RELEASE])
        .arg(&root)
        .args(mirror())
        .stdout(Stdio::null());
    run_loudly(&mut debootstrap)?;
    collect_packages(&root, packages)?;
    let partial = kept.with_extension("partial");
    let mut tar = Command::new("tar");
    tar.arg("--directory")
        .arg(&root)
        .args(LEFT_OUT.iter().map(|path| format!("--exclude={path}")));
    run_quietly(tar.arg("--create").arg("--file").arg(&partial).arg("."))?;
    fs::rename(partial, kept).with_context(|| kept.display().to_string())
}

/// Where this machine gets its own Debian from; debootstrap knows one itself if there is no answer.
fn mirror() -> Option<String> {
    let mut command = Command::new("apt-get");
    command
        .args(["indextargets", "--format", "$(SITE)", "Created-By: Packages"])
        .arg(format!("Codename: {RELEASE}"));
    let sites = run_quietly(&mut command).ok()?;
    sites
        .lines()
        .find(|site| site.starts_with("http") && site.ends_with("/debian"))
        .map(str::to_owned)
}

/// Downloads the packages with all that they depend on into the file system and makes them its only source.
fn collect_packages(root: &Path, packages: &BTreeSet<String>) -> Result<()> {
    let archive: PathBuf = root.join(ARCHIVE);
    fs::create_dir_all(&archive)?;
    run_quietly(Command::new("chroot").arg(root).args(["apt-get", "update", "-q"]))?;
    let mut download = Command::new("chroot");
    download
        .arg(root)
        .args([
            "apt-get",
            "install",
            "-y",
            "-q",
            "--download-only",
            "--no-install-recommends",
        ])
        .arg(format!("-oDir::Cache::archives=/{ARCHIVE}"))
        .args(packages);
    run_quietly(&mut download)?;
    let index = run_quietly(
        Command::new("apt-ftparchive")
            .args(["packages", "."])
            .current_dir(&archive),
    )?;
    fs::write(archive.join("Packages"), index)?;
    fs::write(
        root.join("etc/apt/sources.list"),
        format!("deb [trusted=yes] file:/{ARCHIVE} ./\n"),
    )?;
    fs::write(root.join("usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n")?;
    run_quietly(
        Command::new("chmod")
            .arg("755")
            .arg(root.join("usr/sbin/policy-rc.d")),
    )?;
    run_quietly(
        Command::new("chroot")
            .arg(root)
            .args(["sh", "-c", "rm -rf /var/lib/apt/lists/*"]),
    )
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::{installed_by, packages_of};

    #[test]
    fn packages_are_read_from_install_lines() {
        let dockerfile = "RUN apt-get update \\\n && apt-get install -y --no-install-recommends prosody lua-event \\\n && rm x";
        assert_eq!(installed_by(dockerfile), ["prosody", "lua-event"]);
    }

    #[test]
    fn the_deployed_dockerfiles_install_both_servers() {
        let deployed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/docker");
        let packages = packages_of(deployed.as_ref()).unwrap();
        assert!(
            packages.contains("prosody") && packages.contains("kamailio"),
            "{packages:?}"
        );
    }
}
