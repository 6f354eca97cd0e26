//! `cargo xtask compose-test`: the demo's conversation through the unmodified `deploy/docker-compose.yml`.

mod base_image;
mod engine;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use gateway_tests::{
    Context, Result, bail,
    binaries::Binaries,
    conversation::{Keeper, Place, converse},
    ensure,
    peers::{SipChatSettings, XmppUser},
    process::find_program,
    scratch::Scratch,
    world::{ROOM, ROOM_URI},
};

use self::engine::Engine;
use crate::{
    demo, packages, screen,
    steps::{cargo_command, run_loudly, run_quietly},
};

/// Where the file puts XMPP and SIP users.
const XMPP_USERS: ([u8; 4], u16) = ([172, 28, 57, 2], 5222);
const SIP_USERS: ([u8; 4], u16) = ([172, 28, 57, 3], 5060);
const PROJECT: &str = "sip-xmpp-compose-test";
const HEALTHY: Duration = Duration::from_secs(90);

/// What an interrupted run has to take down.
static RUNNING: Mutex<Option<Deployment>> = Mutex::new(None);

/// Builds, starts, talks, and takes everything down again.
///
/// # Errors
/// No engine can be started, something does not build or start, or a message was lost or doubled.
pub(crate) fn run() -> Result<()> {
    let repository = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize()?;
    screen::heading("Building the gateway (release) and sip-chat");
    run_loudly(&mut cargo_command(&[
        "build",
        "--release",
        "--package",
        "sip-xmpp-gateway",
    ]))?;
    let binaries = Binaries::build()?;
    let target = binaries
        .gateway
        .ancestors()
        .nth(2)
        .context("the gateway is in no target directory")?
        .to_owned();

    let scratch = Scratch::new("compose")?;
    let stage = stage(&repository, &target, &scratch)?;
    let engine = if rustix::process::geteuid().is_root() {
        packages::install(packages::COMPOSE)?;
        screen::heading("Starting a Docker engine of our own");
        let engine = Engine::start(&scratch)?;
        base_image::provide(&engine, &repository, &target)?;
        engine
    } else {
        Engine::existing()?
    };
    screen::heading("Building and starting deploy/docker-compose.yml");
    let deployment = Deployment {
        engine_address: engine.address().to_owned(),
        file: stage,
    };
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Some(deployment.clone());
    let outcome = deployment.up().and_then(|()| talk(&deployment));
    if outcome.is_err() {
        let _ = run_loudly(&mut deployment.compose(&["logs", "--tail", "80"]));
    }
    let taken_down = take_down();
    engine.stop()?;
    outcome.and(taken_down)
}

/// Takes down what an interrupted run has started. Does nothing if there is nothing.
///
/// # Errors
/// The engine refuses.
pub(crate) fn take_down() -> Result<()> {
    let deployment = RUNNING.lock().unwrap_or_else(PoisonError::into_inner).take();
    match deployment {
        Some(deployment) => {
            run_quietly(&mut deployment.compose(&["down", "--volumes", "--remove-orphans", "--timeout", "5"]))
                .map(drop)
        }
        None => Ok(()),
    }
}

/// Copies what the file builds from into a directory of its own, so that a build context of many gigabytes is not sent
/// to the engine and the target directory may be anywhere. Returns the copy of the file.
fn stage(repository: &Path, target: &Path, scratch: &Scratch) -> Result<PathBuf> {
    let stage = scratch.directory("repository", None)?;
    copy_directory(&repository.join("deploy"), &stage.join("deploy"))?;
    fs::copy(repository.join(".dockerignore"), stage.join(".dockerignore"))?;
    fs::create_dir_all(stage.join("target/release"))?;
    fs::copy(
        target.join("release/sip-xmpp-gateway"),
        stage.join("target/release/sip-xmpp-gateway"),
    )?;
    Ok(stage.join("deploy/docker-compose.yml"))
}

fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &copy)?;
        } else {
            fs::copy(entry.path(), copy)?;
        }
    }
    Ok(())
}

fn talk(deployment: &Deployment) -> Result<()> {
    deployment.run(&[
        "exec",
        "-T",
        "prosody",
        "prosodyctl",
        "register",
        "juliet",
        "example.com",
        "juliet",
    ])?;
    let juliet = XmppUser::connect(SocketAddr::from(XMPP_USERS), "juliet", "juliet")?;
    let sip = |name: &str, nickname: &str| SipChatSettings {
        from: format!("sip:{name}@example.org"),
        room: ROOM_URI.to_owned(),
        proxy: SocketAddr::from(SIP_USERS),
        nickname: nickname.to_owned(),
        msrp_tls: false,
    };
    let place = Place {
        room: ROOM.to_owned(),
        romeo: sip("romeo", "Romeo"),
        nurse: sip("nurse", "Nurse"),
        keeper: Keeper::Juliet,
    };
    screen::heading(&format!("One room: {ROOM} is {ROOM_URI}"));
    let tally = converse(juliet, &place, &mut screen::tell)?;
    demo::close(&tally)
}

/// The services of the compose file on some engine.
#[derive(Debug, Clone)]
struct Deployment {
    engine_address: String,
    file: PathBuf,
}

impl Deployment {
    /// Builds the images, starts the services and waits until all are healthy.
    fn up(&self) -> Result<()> {
        run_loudly(&mut self.compose(&["up", "--build", "--detach"]))?;
        let containers = self.run(&["ps", "--quiet"])?;
        let containers: Vec<&str> = containers.lines().collect();
        ensure!(
            containers.len() == 3,
            "three services are due, {} run",
            containers.len()
        );
        let started = Instant::now();
        while !self.are_healthy(&containers)? {
            ensure!(started.elapsed() < HEALTHY, "not healthy within {HEALTHY:?}");
            thread::sleep(Duration::from_millis(500));
        }
        println!("all healthy after {}", screen::seconds(started.elapsed()));
        Ok(())
    }

    fn are_healthy(&self, containers: &[&str]) -> Result<bool> {
        let format = "{{.Name}} {{.State.Status}} {{.State.Health.Status}}";
        let mut inspect = engine::docker(&self.engine_address);
        let states = run_quietly(inspect.args(["inspect", "--format", format]).args(containers))?;
        if let Some(ended) = states.lines().find(|state| !state.contains(" running ")) {
            bail!("a service does not run: {ended}");
        }
        Ok(states.lines().all(|state| state.ends_with(" healthy")))
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        run_quietly(&mut self.compose(arguments))
    }

    fn compose(&self, arguments: &[&str]) -> Command {
        let mut command = if find_program("docker-compose").is_some() {
            Command::new("docker-compose")
        } else {
            let mut docker = Command::new("docker");
            docker.arg("compose");
            docker
        };
        command
            .env("DOCKER_HOST", &self.engine_address)
            // The engine's own builder takes the base image from the engine; others would look for a registry.
            .env("DOCKER_BUILDKIT", "0")
            .args(["--project-name", PROJECT, "--file"])
            .arg(&self.file)
            .args(arguments);
        command
    }
}
