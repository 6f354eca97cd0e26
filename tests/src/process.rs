//! Child processes whose output is kept and which do not outlive us.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::{Context, Result, bail, scratch::User};

/// How long a process may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);
/// Lines of a log shown with a failure.
const TAIL: usize = 60;

/// Process groups to end when we are interrupted.
static LIVE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// What to start.
#[derive(Debug)]
pub struct Launch {
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    user: Option<User>,
    log: PathBuf,
    piped: bool,
}

impl Launch {
    /// `program`, called `name` in messages; standard error (and standard output, unless piped) is appended to `log`.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            user: None,
            log: log.into(),
            piped: false,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn environment(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs it as another user.
    #[must_use]
    pub fn user(mut self, user: Option<User>) -> Self {
        self.user = user;
        self
    }

    /// Gives us its standard input and output.
    #[must_use]
    pub fn piped(mut self) -> Self {
        self.piped = true;
        self
    }

    /// Starts it, in a process group of its own so that Ctrl-C reaches us first; `setpriv` has the kernel end it if we die.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(self) -> Result<Process> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig=TERM");
        if let Some(user) = &self.user {
            command
                .arg(format!("--reuid={}", user.name))
                .arg(format!("--regid={}", user.name))
                .arg("--init-groups");
        }
        command
            .arg("--")
            .arg(&self.program)
            .args(&self.arguments)
            .envs(self.environment)
            .process_group(0);
        if self.piped {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
        } else {
            command.stdin(Stdio::null()).stdout(log.try_clone()?);
        }
        let child = command
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        live().insert(child.id());
        Ok(Process {
            name: self.name,
            child,
            log: self.log,
        })
    }
}

/// A running child. Dropped, it is asked to end and, if it does not within 5 s, killed with its process group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, once, if it was started `piped`.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, once, if it was started `piped`.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Everything it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        read_log(&self.log)
    }

    /// The end of its log, headed by its name: for messages about failures.
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail_of(&self.name, &self.log)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until its log contains `text`, looking only behind the first `from` octets of it.
    ///
    /// # Errors
    /// It ended, or `limit` passed, without.
    pub fn wait_for_log(&mut self, text: &str, from: usize, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let running = self.is_running();
            if self.log().get(from..).is_some_and(|log| log.contains(text)) {
                return Ok(());
            }
            if !running {
                bail!(
                    "{} ended before it logged {text:?}\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{} did not log {text:?} within {limit:?}\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            thread::sleep(POLL);
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It has not ended within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                live().remove(&self.child.id());
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} did not end within {limit:?}\n{}", self.name, self.log_tail());
            }
            thread::sleep(POLL);
        }
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        signal(self.child.id(), Signal::TERM);
    }

    /// Stops it and its process group as if they had hung (SIGSTOP), until [`Process::resume`].
    pub fn pause(&self) {
        signal_group(self.child.id(), Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        signal_group(self.child.id(), Signal::CONT);
    }

    /// Kills it and its process group at once (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        signal_group(self.child.id(), Signal::KILL);
        self.child.wait()?;
        live().remove(&self.child.id());
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            self.terminate();
        }
        if self.wait(GRACE).is_err() {
            let _ = self.kill();
        }
        if thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
    }
}

/// Ends every process started by [`Launch::start`] that still runs, with its group: for an interrupted run, after which
/// no destructor runs.
pub fn stop_all() {
    let groups: Vec<u32> = live().iter().copied().collect();
    for id in &groups {
        signal(*id, Signal::TERM);
    }
    thread::sleep(Duration::from_millis(500));
    for id in groups {
        signal_group(id, Signal::KILL);
    }
}

/// Whether a program is on the search path, or in the directories of system programs that an ordinary user's path lacks.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

fn live() -> MutexGuard<'static, BTreeSet<u32>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

fn signal(id: u32, signal: Signal) {
    if let Some(pid) = pid(id) {
        let _ = kill_process(pid, signal);
    }
}

fn signal_group(id: u32, signal: Signal) {
    if let Some(pid) = pid(id) {
        let _ = kill_process_group(pid, signal);
    }
}

fn read_log(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn tail_of(name: &str, path: &Path) -> String {
    let log = read_log(path);
    let lines: Vec<&str> = log.lines().collect();
    let shown = lines
        .get(lines.len().saturating_sub(TAIL)..)
        .unwrap_or_default()
        .join("\n");
    format!("──── {name} ────\n{shown}\n────")
}

#[cfg(test)]
mod tests {
    use std::{
        thread,
        time::{Duration, Instant},
    };

    use super::{Launch, POLL, find_program};
    use crate::scratch::Scratch;

    fn shell(script: &str, scratch: &Scratch) -> super::Process {
        Launch::new("shell", "/bin/sh", scratch.path().join("log"))
            .arguments(["-c", script])
            .start()
            .unwrap()
    }

    #[test]
    fn output_is_kept_and_can_be_waited_for() {
        let scratch = Scratch::new("unit").unwrap();
        let mut process = shell("echo ready; exec sleep 60", &scratch);
        process.wait_for_log("ready", 0, Duration::from_secs(10)).unwrap();
        assert!(process.is_running());
        assert!(process.log_tail().contains("ready"));
    }

    #[test]
    fn a_process_that_ends_too_early_is_an_error_that_shows_its_log() {
        let scratch = Scratch::new("unit").unwrap();
        let mut process = shell("echo 'port taken' >&2; exit 3", &scratch);
        let error = process
            .wait_for_log("ready", 0, Duration::from_secs(10))
            .unwrap_err();
        assert!(error.to_string().contains("port taken"), "{error}");
    }

    #[test]
    fn killed_processes_take_their_group_with_them() {
        let scratch = Scratch::new("unit").unwrap();
        let mut process = shell("sleep 60 & echo child $!; wait", &scratch);
        process
            .wait_for_log("child ", 0, Duration::from_secs(10))
            .unwrap();
        let child = process.log().trim().trim_start_matches("child ").to_owned();
        process.kill().unwrap();
        // A child that has been sent SIGKILL may still be seen for a moment, then as a zombie until its new parent has collected it.
        let gone = || {
            let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
            status.is_empty() || status.contains("State:\tZ") || status.contains("State:\tX")
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !gone() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        assert!(gone());
    }

    #[test]
    fn programs_are_found_by_name() {
        assert!(find_program("sh").is_some());
        assert_eq!(find_program("no-such-program-anywhere"), None);
    }
}
