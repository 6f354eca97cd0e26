//! The binary: exit codes, what it prints, and how it ends.

#![expect(clippy::unwrap_used, reason = "tests: a failed assumption is a failed test")]

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal};

fn gateway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sip-xmpp-gateway"));
    command
        .env_remove("GATEWAY_CONFIG")
        .arg("--config")
        .arg(deployed());
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

/// A gateway that has said `ready`, and the rest of its log.
/// A gateway that does not outlive its test, whatever becomes of that.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _it_has_ended_by_itself = self.0.kill();
    }
}

fn running() -> (Running, impl Iterator<Item = String>) {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = gateway()
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
