//! The binary: exit codes, what it prints, and how it ends.

#![expect(clippy::unwrap_used, reason = "tests: a failed assumption is a failed test")]

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal};

fn gateway() -> Command {
    gateway_of(&deployed())
}

fn gateway_of(configuration: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sip-xmpp-gateway"));
    command
        .env_remove("GATEWAY_CONFIG")
        .arg("--config")
        .arg(configuration);
    command
}

fn deployed() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/gateway.toml")
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// A gateway that does not outlive its test, whatever becomes of that.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _it_has_ended_by_itself = self.0.kill();
    }
}

/// A gateway that has said `ready`, and the rest of its log.
fn running() -> (Running, impl Iterator<Item = String>) {
    running_with(&deployed())
}

fn running_with(configuration: &Path) -> (Running, impl Iterator<Item = String> + use<>) {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = gateway_of(configuration)
        .arg("run")
        .env("GATEWAY__XMPP__SERVER", nobody.to_string())
        .env("GATEWAY__SIP__LISTEN", "udp:127.0.0.1:0,tcp:127.0.0.1:0")
        .env("GATEWAY__MSRP__LISTEN", "127.0.0.1:0")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let ready = log.by_ref().any(|line| line.contains("ready"));
    assert!(ready, "it never said `ready`");
    (Running(child), log)
}

fn signal(gateway: &Running, signal: Signal) {
    rustix::process::kill_process(Pid::from_child(&gateway.0), signal).unwrap();
}

#[test]
fn check_says_ok_of_a_configuration_without_faults() {
    let output = output(gateway().arg("check"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("OK"));
}

#[test]
fn a_configuration_with_faults_exits_with_2_and_one_line_for_each() {
    for command in ["check", "run", "print-config"] {
        let output = output(
            gateway()
                .arg(command)
                .env("GATEWAY__XMPP__SERVRE", "a")
                .env("GATEWAY__MSRP__LISTEN", "0.0.0.0:2855"),
        );
        assert_eq!(output.status.code(), Some(2));
        let lines: Vec<String> = text(&output.stderr).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("did you mean `server`?"), "{lines:?}");
        assert!(lines[1].contains("msrp.advertise"), "{lines:?}");
    }
}

#[test]
fn print_config_shows_the_environment_and_no_secret() {
    let output = output(
        gateway()
            .arg("print-config")
            .env("GATEWAY__XMPP__SECRET", "Tybalt")
            .env("GATEWAY__LOG__LEVEL", "debug"),
    );
    assert_eq!(output.status.code(), Some(0));
    let printed = text(&output.stdout);
    assert!(printed.contains("level = \"debug\""), "{printed}");
    assert!(!printed.contains("Tybalt") && !text(&output.stderr).contains("Tybalt"));
}

#[test]
fn an_address_in_use_is_named_and_exits_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = output(
        gateway()
            .arg("run")
            .env("GATEWAY__SIP__LISTEN", "udp:127.0.0.1:0")
            .env("GATEWAY__MSRP__LISTEN", &address),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains(&address),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn sigterm_and_sigint_end_it_with_0() {
    for how in [Signal::TERM, Signal::INT] {
        let (mut gateway, log) = running();
        signal(&gateway, how);
        let rest: Vec<String> = log.collect();
        assert_eq!(gateway.0.wait().unwrap().code(), Some(0), "{rest:?}");
        assert!(rest.iter().any(|line| line.contains("stopped")), "{rest:?}");
    }
}

#[test]
fn sighup_reads_the_configuration_again_says_what_changed_and_ends_nothing() {
    let file = std::env::temp_dir().join(format!("gateway-sighup-{}.toml", std::process::id()));
    let deployed = std::fs::read_to_string(deployed()).unwrap();
    std::fs::write(&file, &deployed).unwrap();
    let (mut gateway, mut log) = running_with(&file);
    // One line of the answer; the file must not be written while it is being read.
    let mut hangup = |configuration: &str, wanted: &str| {
        std::fs::write(&file, configuration).unwrap();
        signal(&gateway, Signal::HUP);
        log.by_ref().find(|line| line.contains(wanted)).unwrap()
    };
    let at_once = deployed
        .replace("#level = \"info\"", "level = \"debug\"")
        .replace("#peers = []", "peers = [\"192.0.2.1\"]");
    let line = hangup(&at_once, "configuration reloaded");
    assert!(
        line.contains("log.level, sip.trust.peers") && line.contains("trusted=1"),
        "{line}"
    );
    let faulty = deployed.replace("[msrp]\n", "[msrp]\nlisten_on = 5\n");
    let line = hangup(&faulty, "configuration not reloaded");
    assert!(line.contains("msrp.listen_on: unknown key"), "{line}");
    let line = hangup(&deployed, "configuration reloaded");
    assert!(line.contains("trusted=0"), "{line}");
    std::fs::write(&file, deployed.replace("#history = 0", "history = 5")).unwrap();
    signal(&gateway, Signal::HUP);
    let line = log
        .by_ref()
        .find(|line| line.contains("only after a restart"))
        .unwrap();
    assert!(line.contains("entering.history"), "{line}");
    signal(&gateway, Signal::TERM);
    let _rest: Vec<String> = log.collect();
    assert_eq!(gateway.0.wait().unwrap().code(), Some(0));
    std::fs::remove_file(&file).unwrap();
}
