//! What outlives the gateway: which occupants it has in which rooms, in a file that one gateway at a time holds open.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use mapping::Occupancy;
use redb::{Database, DatabaseError, ReadableTable, StorageError, TableDefinition};

/// The file, in the state directory.
const FILE: &str = "occupants.redb";
/// Occupants and their rooms.
const OCCUPANTS: TableDefinition<'_, (&str, &str), ()> = TableDefinition::new("occupants");

/// Octets of it that are kept in memory: a change touches a few pages of 4 KiB.
const CACHE: usize = 1024 * 1024;

/// Changes that are written together: whether each of these is an occupant.
pub(crate) type Changes = BTreeMap<Occupancy, bool>;

/// The open file.
pub(crate) struct Journal {
    path: PathBuf,
    /// None after a failure: a store that has seen one takes nothing more until it is opened again.
    database: Option<Database>,
}

impl Journal {
    /// Opens the file of this directory, or begins it, and says who is in it.
    ///
    /// # Errors
    /// When the file cannot be had, or another gateway has it.
    pub(crate) fn open(directory: &Path) -> Result<(Self, Vec<Occupancy>), JournalError> {
        let path = directory.join(FILE);
        let database = open(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => JournalError::InUse,
            // Invalid data are a file that is none of ours.
            DatabaseError::Storage(StorageError::Io(error)) if error.kind() != ErrorKind::InvalidData => {
                JournalError::Unavailable(error)
            }
            error => JournalError::Unreadable(error.into()),
        })?;
        let occupants = read(&database).map_err(JournalError::Unreadable)?;
        let database = Some(database);
        Ok((Self { path, database }, occupants))
    }

    /// Writes changes; they are on the disk when this returns.
    ///
    /// # Errors
    /// When they are not; they may be written again.
    pub(crate) fn write(&mut self, changes: &Changes) -> Result<(), redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open(&self.path)?,
        };
        write(&database, changes)?;
        self.database = Some(database);
        Ok(())
    }
}

fn open(path: &Path) -> Result<Database, DatabaseError> {
    Database::builder().set_cache_size(CACHE).create(path)
}

fn read(database: &Database) -> Result<Vec<Occupancy>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut occupants = Vec::new();
    for entry in transaction.open_table(OCCUPANTS)?.iter()? {
        let (key, _) = entry?;
        let (occupant, room) = key.value();
        match (occupant.parse(), room.parse()) {
            (Ok(occupant), Ok(room)) => occupants.push(Occupancy { occupant, room }),
            _ => tracing::warn!(occupant, room, "an occupant in the journal has no address"),
        }
    }
    transaction.commit()?;
    Ok(occupants)
}

fn write(database: &Database, changes: &Changes) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(OCCUPANTS)?;
        for (Occupancy { occupant, room }, is_in) in changes {
            let key = (occupant.as_str(), room.as_str());
            if *is_in {
                table.insert(key, ())?;
            } else {
                table.remove(key)?;
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system has none for us.
    #[error("{0}; does the directory exist, and may the gateway write there?")]
    Unavailable(io::Error),
    /// Another process has it open.
    #[error("another gateway uses it; give each a directory of its own")]
    InUse,
    /// The file is damaged, or of another version.
    #[error(
        "{FILE} cannot be read: {0}; move it away to start without it: occupants left behind then leave when their room next has anything for them"
    )]
    Unreadable(redb::Error),
}

#[cfg(test)]
mod tests {
    use gateway_tests::scratch::Scratch;

    use super::*;

    fn occupancy(resource: &str) -> Occupancy {
        Occupancy {
            occupant: format!("romeo@example.org/{resource}").parse().unwrap(),
            room: "capulet@rooms.example.com".parse().unwrap(),
        }
    }

    #[test]
    fn what_was_written_is_there_again_and_what_was_taken_back_is_not() {
        let directory = Scratch::new("journal").unwrap();
        let (mut journal, found) = Journal::open(directory.path()).unwrap();
        assert_eq!(found, []);
        // A resource may hold whatever separates fields elsewhere.
        let odd = occupancy("a b/c@d,\"\u{e9}");
        journal
            .write(&[(odd.clone(), true), (occupancy("2"), true)].into())
            .unwrap();
        // As after a failure.
        journal.database = None;
        journal
            .write(&[(occupancy("2"), false), (occupancy("3"), false)].into())
            .unwrap();
        drop(journal);
        assert_eq!(Journal::open(directory.path()).unwrap().1, [odd]);
    }

    #[test]
    fn the_file_is_one_gateway_s_at_a_time() {
        let directory = Scratch::new("journal").unwrap();
        let _first = Journal::open(directory.path()).unwrap();
        assert!(matches!(
            Journal::open(directory.path()),
            Err(JournalError::InUse)
        ));
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_not_overwritten() {
        let directory = Scratch::new("journal").unwrap();
        std::fs::write(directory.path().join(FILE), "somebody's letters").unwrap();
        assert!(matches!(
            Journal::open(directory.path()),
            Err(JournalError::Unreadable(_))
        ));
        let kept = std::fs::read(directory.path().join(FILE)).unwrap();
        assert_eq!(kept, b"somebody's letters");
    }

    #[test]
    fn a_directory_that_is_not_there_is_said_to_be_missing() {
        let directory = Scratch::new("journal").unwrap();
        let missing = Journal::open(&directory.path().join("missing"));
        assert!(matches!(missing, Err(JournalError::Unavailable(_))));
    }
}
