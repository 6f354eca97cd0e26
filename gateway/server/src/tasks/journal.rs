//! The journal task: it writes what the core wants to be told after a crash, and nobody waits for it.

use std::{thread, time::Duration};

use ::mapping::Occupancy;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::journal::{Changes, Journal};

/// Changes that may wait for the disk; a further one is lost, see [`JournalHandle::note`].
const WAITING: usize = 64 * 1024;
/// Changes written together.
const BATCH: usize = 1024;
/// How long to wait before a disk that takes nothing is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Whether somebody is an occupant from now on.
type Change = (Occupancy, bool);

/// Where changes go. Without a journal they go nowhere.
#[derive(Default)]
pub(crate) struct JournalHandle {
    changes: Option<mpsc::Sender<Change>>,
    behind: bool,
}

impl JournalHandle {
    /// A journal, and the thread that writes it until the handle is dropped.
    pub(crate) fn open(journal: Journal) -> (Self, JoinHandle<()>) {
        let (changes, waiting) = mpsc::channel(WAITING);
        let task = tokio::task::spawn_blocking(move || write(journal, waiting));
        let handle = Self {
            changes: Some(changes),
            behind: false,
        };
        (handle, task)
    }

    /// Hands a change on. One that is lost costs a ghost that is found later, or a leave that is said in vain.
    pub(crate) fn note(&mut self, occupancy: Occupancy, is_in: bool) {
        let Some(changes) = &self.changes else {
            return;
        };
        let is_lost = changes.try_send((occupancy, is_in)).is_err();
        if is_lost && !self.behind {
            tracing::warn!(
                "the journal of occupants does not keep up: what it misses is not known after a crash"
            );
        }
        self.behind = is_lost;
    }
}

fn write(mut journal: Journal, mut waiting: mpsc::Receiver<Change>) {
    let mut changes = Changes::new();
    let mut failing = false;
    loop {
        if changes.is_empty() {
            match waiting.blocking_recv() {
                Some((occupancy, is_in)) => changes.insert(occupancy, is_in),
                None => return,
            };
        }
        while changes.len() < BATCH
            && let Ok((occupancy, is_in)) = waiting.try_recv()
        {
            changes.insert(occupancy, is_in);
        }
        match journal.write(&changes) {
            Ok(()) => {
                tracing::debug!(changes = changes.len(), "occupants written");
                changes.clear();
                if std::mem::take(&mut failing) {
                    tracing::info!("the journal of occupants is written again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(%error, "the journal of occupants cannot be written; is the disk full?");
                }
                if waiting.is_closed() {
                    return;
                }
                thread::sleep(RETRY);
            }
        }
    }
}
