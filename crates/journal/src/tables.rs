//! The file of the journal: its tables, their format, and how it is opened.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};
use switchover_model::Problem;

use crate::lock::LockError;
use crate::reserve::Reserve;

/// How long a statement waits for a reader of another process (a backup, a person with the sqlite shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The journal's name in the state directory.
pub(crate) const FILE: &str = "journal.sqlite";

/// The format of the tables, kept in `PRAGMA user_version`.
const FORMAT: i64 = 1;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS records (
    app      TEXT    NOT NULL,
    sequence INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    actor    TEXT    NOT NULL,
    release  INTEGER,
    event    TEXT    NOT NULL,
    previous BLOB    NOT NULL,
    hash     BLOB    NOT NULL,
    PRIMARY KEY (app, sequence)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS records_are_not_changed BEFORE UPDATE ON records
BEGIN SELECT RAISE(ABORT, 'a journal record is never changed'); END;
CREATE TRIGGER IF NOT EXISTS records_are_not_removed BEFORE DELETE ON records
BEGIN SELECT RAISE(ABORT, 'a journal record is never removed'); END;
CREATE TRIGGER IF NOT EXISTS records_have_no_gap BEFORE INSERT ON records
WHEN NEW.sequence <> 1 + coalesce((SELECT max(sequence) FROM records WHERE app = NEW.app), 0)
BEGIN SELECT RAISE(ABORT, 'a journal record comes after the last one'); END;
CREATE TABLE IF NOT EXISTS snapshots (
    app      TEXT    NOT NULL PRIMARY KEY,
    program  TEXT    NOT NULL,
    sequence INTEGER NOT NULL,
    hash     BLOB    NOT NULL,
    state    TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Why the journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state directory could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It was written by a newer version in a format that this one does not know.
    #[error("{} has format {found}, this version knows {FORMAT}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// The file can not be opened.
    #[error("{}: {why}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl OpenError {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Lock(error) => error.problem(),
            Self::Newer { .. } => Problem::new(
                "JOURNAL-NEWER",
                format!("The journal was written by a newer version: {self}."),
                "Start that version again, or give this one another folder with --state.",
            ),
            Self::Failed { .. } => Problem::new(
                "STATE-NOT-WRITABLE",
                format!("The journal can not be opened: {self}."),
                "Make the state directory writable for this user, or give another folder with --state.",
            ),
        }
    }
}

/// Opens the journal at `path`, made where it is missing. On a full disk the reserve is given up for it.
pub(crate) fn open(path: &Path, reserve: &Reserve) -> Result<Connection, OpenError> {
    let failed = |why: String| OpenError::Failed { path: path.to_owned(), why };
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| failed(error.to_string()))?;
    let connection = match open_tables(path) {
        // The journal's own files need a little space to be opened; what goes back must be possible on a full disk.
        Err(error) if is_full(&error) && reserve.give_up() => open_tables(path),
        opened => opened,
    }
    .map_err(|error| failed(error.to_string()))?;
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| failed(error.to_string()))?;
    if found > FORMAT {
        return Err(OpenError::Newer { path: path.to_owned(), found });
    }
    Ok(connection)
}

fn open_tables(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A kept statement is not planned anew for each value that it is given: there is one way to a record, by its key.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format == 0 {
        connection.execute_batch(TABLES)?;
        connection.pragma_update(None, "user_version", FORMAT)?;
    }
    Ok(connection)
}

/// Device and number of the file at `path`.
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}
