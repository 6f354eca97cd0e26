//! Debian packages that the chores need.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use gateway_tests::{Context, Result, bail, ensure, peers::slixmpp, process::find_program};

use crate::screen;

/// A package, told to be installed by a program of it, or by any other file.
#[derive(Debug)]
pub(crate) struct Package {
    name: &'static str,
    /// Its name on the search path, or its absolute path.
    program: &'static str,
    /// Services that it brings. They must not run afterwards unless they ran before.
    services: &'static [&'static str],
}

/// What demo and tests need.
pub(crate) const SERVERS: &[Package] = &[
    Package {
        name: "prosody",
        program: "prosody",
        services: &["prosody"],
    },
    Package {
        name: "kamailio",
        program: "kamailio",
        services: &["kamailio"],
    },
];

/// What the tests need besides.
pub(crate) const TESTS: &[Package] = &[
    Package {
        name: "ejabberd",
        program: "ejabberdctl",
        services: &["ejabberd", "epmd"],
    },
    Package {
        name: "sip-tester",
        program: "sipp",
        services: &[],
    },
    Package {
        name: "python3-slixmpp",
        program: slixmpp::LIBRARY,
        services: &[],
    },
    Package {
        name: "profanity-light",
        program: "profanity",
        services: &[],
    },
];

/// What the compose test needs besides.
pub(crate) const COMPOSE: &[Package] = &[
    Package {
        name: "docker.io",
        program: "dockerd",
        services: &["docker.service", "docker.socket", "containerd.service"],
    },
    Package {
        name: "docker-compose",
        program: "docker-compose",
        services: &[],
    },
    Package {
        name: "debootstrap",
        program: "debootstrap",
        services: &[],
    },
    Package {
        name: "apt-utils",
        program: "apt-ftparchive",
        services: &[],
    },
];

const INSTALL: &str = include_str!("install.sh");

/// Installs those that are missing. No service of theirs is started, now or at the next boot; services that are
/// installed already, running or not, are left alone.
///
/// # Errors
/// They cannot be installed; not being root, the message is the command to run.
pub(crate) fn install(packages: &[Package]) -> Result<()> {
    let missing: Vec<&Package> = packages
        .iter()
        .filter(|package| find_program(package.program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let services: Vec<&str> = missing
        .iter()
        .flat_map(|package| package.services)
        .copied()
        .collect();
    ensure!(
        find_program("apt-get").is_some(),
        "not installed: {}, and there is no apt-get",
        names.join(", ")
    );
    if !rustix::process::geteuid().is_root() {
        bail!(
            "not installed: {}. Run this, then come back:\n\n    {}\n",
            names.join(", "),
            by_hand(&names, &services)
        );
    }
    screen::heading(&format!("Installing {}", names.join(", ")));
    let before = running(&services)?;
    let status = Command::new("sh")
        .args(["-c", INSTALL, "install.sh"])
        .args(&names)
        .stdin(Stdio::null())
        .status()
        .context("cannot start sh")?;
    ensure!(status.success(), "apt-get could not install {}", names.join(", "));
    for service in &services {
        disable(service);
    }
    let started: Vec<&str> = running(&services)?.difference(&before).copied().collect();
    ensure!(
        started.is_empty(),
        "installing has started {}; stop it",
        started.join(", ")
    );
    let absent: Vec<&str> = missing
        .iter()
        .filter(|package| find_program(package.program).is_none())
        .map(|package| package.name)
        .collect();
    ensure!(
        absent.is_empty(),
        "installed, but without their programs: {}",
        absent.join(", ")
    );
    Ok(())
}

/// The command for a user who is not root.
fn by_hand(names: &[&str], services: &[&str]) -> String {
    let install = format!(
        "sudo apt-get install -y --no-install-recommends {}",
        names.join(" ")
    );
    if services.is_empty() {
        return install;
    }
    format!("{install} && sudo systemctl disable --now {}", services.join(" "))
}

/// Keeps a service that we installed from starting at the next boot. It runs in no container without systemd, where
/// there is nothing to disable either.
fn disable(service: &str) {
    let (program, arguments) = if find_program("systemctl").is_some() {
        ("systemctl", vec!["--quiet", "disable", service])
    } else {
        (
            "update-rc.d",
            vec![service.trim_end_matches(".service"), "disable"],
        )
    };
    let _ = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Which of these services have a process now.
fn running<'a>(services: &[&'a str]) -> Result<BTreeSet<&'a str>> {
    let commands: Vec<String> = fs::read_dir("/proc")?
        .flatten()
        .filter(|entry| is_daemon(&entry.path()))
        .filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok())
        .collect();
    let runs = |service: &str| {
        let name = service.split('.').next().unwrap_or(service);
        let program = match name {
            "docker" => "dockerd",
            // The Erlang machine, which is all that shows of a program in Erlang.
            "ejabberd" => "beam.smp",
            name => name,
        };
        commands.iter().any(|command| {
            command
                .split('\0')
                .take(2)
                .any(|argument| argument.rsplit('/').next() == Some(program))
        })
    };
    Ok(services.iter().copied().filter(|service| runs(service)).collect())
}

/// Whether a process belongs to the system and not to somebody's shell or test: its parent is the first process.
fn is_daemon(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    status.lines().any(|line| {
        line.strip_prefix("PPid:")
            .is_some_and(|parent| parent.trim() == "1")
    })
}

#[cfg(test)]
mod tests {
    use super::by_hand;

    #[test]
    fn who_is_not_root_gets_a_command_that_leaves_no_server_running() {
        assert_eq!(
            by_hand(&["prosody"], &["prosody"]),
            "sudo apt-get install -y --no-install-recommends prosody && sudo systemctl disable --now prosody"
        );
        assert_eq!(
            by_hand(&["debootstrap"], &[]),
            "sudo apt-get install -y --no-install-recommends debootstrap"
        );
    }
}
