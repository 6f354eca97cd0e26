//! Throw-away directories.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{Context, Result};

/// A directory under the system's temporary directory, deleted with everything in it when dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new, empty directory that every user may enter, since Prosody and Kamailio run as their own users.
    ///
    /// # Errors
    /// The temporary directory is not writable.
    pub fn new(purpose: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path =
                std::env::temp_dir().join(format!("sip-xmpp-{purpose}-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => break path,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("cannot create {}", path.display())),
            }
        };
        live().insert(path.clone());
        let scratch = Self { path };
        fs::set_permissions(&scratch.path, fs::Permissions::from_mode(0o755))?;
        Ok(scratch)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A directory in it that belongs to `user`, if we may give it away.
    ///
    /// # Errors
    /// It exists already or cannot be given to the user.
    pub fn directory(&self, name: &str, user: Option<&User>) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        if let Some(user) = user {
            chown(&path, Some(user.uid), Some(user.gid))?;
        }
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        live().remove(&self.path);
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("cannot delete {}: {error}", self.path.display());
        }
    }
}

/// Deletes every directory not dropped yet: for an interrupted run, after which no destructor runs.
pub fn delete_all() {
    for path in live().iter() {
        let _ = fs::remove_dir_all(path);
    }
}

fn live() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    static LIVE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A system user to whom root hands a server and its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    uid: u32,
    gid: u32,
}

impl User {
    /// Numeric user and group.
    #[must_use]
    pub fn ids(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// The user that a server is to run as: the package's own one when we are root, ourselves (`None`) otherwise.
    ///
    /// # Errors
    /// We are root and there is no such user.
    pub fn for_server(name: &str) -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let user = users.lines().find_map(|line| Self::from_passwd(line, name));
        Ok(Some(user.with_context(|| {
            format!("there is no user {name}; {}", crate::peers::REMEDY)
        })?))
    }

    fn from_passwd(line: &str, name: &str) -> Option<Self> {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Self {
            name: name.to_owned(),
            uid,
            gid,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Scratch, User};

    #[test]
    fn scratch_directories_vanish() {
        let scratch = Scratch::new("unit").unwrap();
        let inner = scratch.directory("inner", None).unwrap();
        std::fs::write(inner.join("file"), "x").unwrap();
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn passwd_lines_are_matched_by_the_whole_name() {
        let line = "prosody:x:103:106::/var/lib/prosody:/usr/sbin/nologin";
        let user = User::from_passwd(line, "prosody").unwrap();
        assert_eq!((user.uid, user.gid), (103, 106));
        assert_eq!(User::from_passwd(line, "pros"), None);
    }
}
