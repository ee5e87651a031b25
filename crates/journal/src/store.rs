//! The tables of `STATE/journal.sqlite`, and everything that is done with them. All of it blocks: see `owner`.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use switchover_model::record::{Draft, Event, Record};
use switchover_model::{AppName, Problem, ReleaseId, Timestamp};

use crate::chain::{Broken, GENESIS, Hash, Stored, Verified};
use crate::journal::{AppendError, ReadError, Snapshot};
use crate::lock::{LockError, StateLock};
use crate::reserve::{Reserve, begins_something};

/// How long a statement waits for a reader of another process (a backup, a person with the sqlite shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The journal's name in the state directory.
const FILE: &str = "journal.sqlite";

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

/// The open journal of one state directory.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    /// The file that was opened: what is written to a file without a name would be lost.
    file: (u64, u64),
    reserve: Reserve,
    directory: PathBuf,
    _lock: StateLock,
}

impl Store {
    /// Takes the state directory and opens its journal, making both where they are missing.
    pub(crate) fn open(directory: &Path, reserve_bytes: u64) -> Result<Self, OpenError> {
        let lock = StateLock::take(directory)?;
        let reserve = Reserve::of(directory, reserve_bytes);
        let path = directory.join(FILE);
        let failed = |why: String| OpenError::Failed { path: path.clone(), why };
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed(error.to_string()))?;
        let connection = match open_tables(&path) {
            // The journal's own files need a little space to be opened; what goes back must be possible on a full disk.
            Err(error) if is_full(&error) && reserve.give_up() => open_tables(&path),
            opened => opened,
        }
        .map_err(|error| failed(error.to_string()))?;
        let found: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|error| failed(error.to_string()))?;
        if found > FORMAT {
            return Err(OpenError::Newer { path, found });
        }
        if let Err(error) = reserve.keep() {
            tracing::warn!(%error, "no space is kept in reserve for going back");
        }
        let file = identity(&path).ok_or_else(|| failed("it is gone already".to_owned()))?;
        Ok(Self { connection, file, reserve, directory: directory.to_owned(), _lock: lock })
    }

    pub(crate) fn append(
        &mut self,
        app: &AppName,
        expected: u64,
        drafts: &[Draft],
    ) -> Result<Vec<Record>, AppendError> {
        if identity(&self.directory.join(FILE)) != Some(self.file) {
            let why = "its file was removed or replaced while it was open; restart the daemon".to_owned();
            return Err(AppendError::NotWritable(why));
        }
        let full = || AppendError::DiskFull { directory: self.directory.display().to_string() };
        if begins_something(drafts) && !self.reserve.is_kept() && self.reserve.keep().is_err() {
            return Err(full());
        }
        match insert(&mut self.connection, app, expected, drafts) {
            Err(Failure::Sqlite(error)) if is_full(&error) => {
                if begins_something(drafts) || !self.reserve.give_up() {
                    return Err(full());
                }
                tracing::warn!("the disk is full; the reserve was given up so that going back stays possible");
                match insert(&mut self.connection, app, expected, drafts) {
                    Err(Failure::Sqlite(error)) if is_full(&error) => Err(full()),
                    outcome => outcome.map_err(Failure::into_append_error),
                }
            }
            outcome => {
                if outcome.is_ok() && !self.reserve.is_kept() {
                    // Given up before; taken again as soon as there is space. Where there is none, what begins is refused.
                    let _ = self.reserve.keep();
                }
                outcome.map_err(Failure::into_append_error)
            }
        }
    }

    pub(crate) fn give_space(&self) -> bool {
        let is_given = self.reserve.give_up();
        if is_given {
            tracing::warn!("the disk is full; a part of the reserve was given up so that going back stays possible");
        }
        is_given
    }

    /// At most `limit` records after `after`, each checked against the one before it.
    pub(crate) fn read(&self, app: &AppName, after: u64, limit: u64) -> Result<Vec<Record>, ReadError> {
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT sequence, at, actor, release, event, previous, hash FROM records
                 WHERE app = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
            )
            .map_err(failed_read)?;
        let mut rows = statement.query(params![app.as_str(), signed(after), signed(limit)]).map_err(failed_read)?;
        let mut last = after;
        let mut head = None;
        let mut records = Vec::new();
        while let Some(row) = rows.next().map_err(failed_read)? {
            let previous = match head {
                Some(head) => head,
                None => self.hash_of(app, after)?,
            };
            let link = link(app, row, last, &previous)
                .map_err(failed_read)?
                .map_err(|Broken { sequence, what }| ReadError::Broken { app: app.clone(), sequence, what })?;
            let unreadable = |error: serde_json::Error| ReadError::Unreadable {
                app: app.clone(),
                sequence: last + 1,
                why: error.to_string(),
            };
            records.push(Record {
                sequence: last + 1,
                at: Timestamp::from_micros(unsigned(link.at)),
                actor: serde_json::from_str(&link.actor).map_err(unreadable)?,
                event: serde_json::from_str(&link.event).map_err(unreadable)?,
            });
            head = Some(link.hash);
            last += 1;
        }
        Ok(records)
    }

    /// The stored hash of a record: what the next one is chained to.
    fn hash_of(&self, app: &AppName, sequence: u64) -> Result<Hash, ReadError> {
        if sequence == 0 {
            return Ok(GENESIS);
        }
        let stored: Option<Hash> = self
            .connection
            .prepare_cached("SELECT hash FROM records WHERE app = ?1 AND sequence = ?2")
            .and_then(|mut statement| {
                statement.query_row(params![app.as_str(), signed(sequence)], |row| row.get(0)).optional()
            })
            .map_err(failed_read)?;
        stored.ok_or_else(|| ReadError::Broken { app: app.clone(), sequence, what: "it is missing".to_owned() })
    }

    pub(crate) fn apps(&self) -> Result<Vec<AppName>, ReadError> {
        let mut statement =
            self.connection.prepare_cached("SELECT DISTINCT app FROM records ORDER BY app").map_err(failed_read)?;
        let names = statement.query_map([], |row| row.get::<_, String>(0)).map_err(failed_read)?;
        names
            .map(|name| {
                let name = name.map_err(failed_read)?;
                name.parse().map_err(|error| ReadError::Failed(format!("{error}")))
            })
            .collect()
    }

    pub(crate) fn store_snapshot(&mut self, app: &AppName, snapshot: &Snapshot) -> Result<(), AppendError> {
        let stored = self.connection.execute(
            "INSERT OR REPLACE INTO snapshots (app, program, sequence, hash, state)
             SELECT app, ?3, sequence, hash, ?4 FROM records WHERE app = ?1 AND sequence = ?2",
            params![app.as_str(), signed(snapshot.sequence), snapshot.program, snapshot.state],
        );
        match stored {
            Ok(_) => Ok(()),
            Err(error) if is_full(&error) => {
                Err(AppendError::DiskFull { directory: self.directory.display().to_string() })
            }
            Err(error) => Err(AppendError::NotWritable(error.to_string())),
        }
    }

    pub(crate) fn snapshot(&self, app: &AppName, program: &str) -> Result<Option<Snapshot>, ReadError> {
        self.connection
            .query_row(
                "SELECT s.sequence, s.state FROM snapshots s JOIN records r
                 ON r.app = s.app AND r.sequence = s.sequence AND r.hash = s.hash
                 WHERE s.app = ?1 AND s.program = ?2",
                params![app.as_str(), program],
                |row| {
                    let sequence = unsigned(row.get(0)?);
                    Ok(Snapshot { program: program.to_owned(), sequence, state: row.get(1)? })
                },
            )
            .optional()
            .map_err(failed_read)
    }

    pub(crate) fn verify(&self, app: &AppName) -> Result<Verified, ReadError> {
        let mut statement = self
            .connection
            .prepare(
                "SELECT sequence, at, actor, release, event, previous, hash FROM records WHERE app = ?1 ORDER BY sequence",
            )
            .map_err(failed_read)?;
        let mut rows = statement.query(params![app.as_str()]).map_err(failed_read)?;
        let mut head = GENESIS;
        let mut count: u64 = 0;
        while let Some(row) = rows.next().map_err(failed_read)? {
            match link(app, row, count, &head).map_err(failed_read)? {
                Ok(link) => head = link.hash,
                Err(broken) => return Ok(Verified::Broken(broken)),
            }
            count += 1;
        }
        Ok(Verified::Whole { records: count, head: hex::encode(head) })
    }
}

// === The chain ===

/// A record's columns, found to be as they were written.
struct Link {
    at: i64,
    actor: String,
    event: String,
    hash: Hash,
}

/// The record of `row` (sequence, at, actor, release, event, previous, hash), which must follow number `last` with `head`.
fn link(app: &AppName, row: &Row<'_>, last: u64, head: &Hash) -> rusqlite::Result<Result<Link, Broken>> {
    let sequence: i64 = row.get(0)?;
    let broken = |what: &str| Ok(Err(Broken { sequence: unsigned(sequence), what: what.to_owned() }));
    if unsigned(sequence) != last + 1 {
        return broken("the records before it are missing");
    }
    let (Ok(at), Ok(actor), Ok(release), Ok(event), Ok(previous), Ok(hash)) = (
        row.get::<_, i64>(1),
        row.get::<_, String>(2),
        row.get::<_, Option<i64>>(3),
        row.get::<_, String>(4),
        row.get::<_, Hash>(5),
        row.get::<_, Hash>(6),
    ) else {
        return broken("a column does not hold what it should");
    };
    if previous != *head {
        return broken("it is not chained to the record before it");
    }
    let stored = Stored { app: app.as_str(), sequence, at, actor: &actor, release, event: &event };
    if stored.hash(head) != hash {
        return broken("its content is not what was written");
    }
    Ok(Ok(Link { at, actor, event, hash }))
}

// === Inserting ===

enum Failure {
    Sqlite(rusqlite::Error),
    Append(AppendError),
}

impl Failure {
    fn into_append_error(self) -> AppendError {
        match self {
            Self::Sqlite(error) => AppendError::NotWritable(error.to_string()),
            Self::Append(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn insert(connection: &mut Connection, app: &AppName, expected: u64, drafts: &[Draft]) -> Result<Vec<Record>, Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (found, mut head) = head_of(&transaction, app)?;
    if unsigned(found) != expected {
        return Err(Failure::Append(AppendError::Conflict { expected, found: unsigned(found) }));
    }
    let mut records = Vec::with_capacity(drafts.len());
    {
        let mut statement = transaction.prepare_cached(
            "INSERT INTO records (app, sequence, at, actor, release, event, previous, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for (sequence, draft) in (found + 1..).zip(drafts) {
            let json = |error: serde_json::Error| Failure::Append(AppendError::NotWritable(error.to_string()));
            let actor = serde_json::to_string(&draft.actor).map_err(json)?;
            let event = serde_json::to_string(&draft.event).map_err(json)?;
            let at = signed(draft.at.as_micros());
            let release = release_of(&draft.event).map(|release| i64::from(release.0));
            let stored = Stored { app: app.as_str(), sequence, at, actor: &actor, release, event: &event };
            let hash = stored.hash(&head);
            statement.execute(params![app.as_str(), sequence, at, actor, release, event, head, hash])?;
            head = hash;
            records.push(Record {
                sequence: unsigned(sequence),
                at: draft.at,
                actor: draft.actor.clone(),
                event: draft.event.clone(),
            });
        }
    }
    transaction.commit()?;
    Ok(records)
}

fn head_of(transaction: &Transaction<'_>, app: &AppName) -> rusqlite::Result<(i64, Hash)> {
    let head = transaction
        .prepare_cached("SELECT sequence, hash FROM records WHERE app = ?1 ORDER BY sequence DESC LIMIT 1")?
        .query_row(params![app.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(head.unwrap_or((0, GENESIS)))
}

/// The release a record belongs to, for people who look into the file.
fn release_of(event: &Event) -> Option<ReleaseId> {
    match event {
        Event::Opened { release, .. }
        | Event::Entered { release, .. }
        | Event::Waiting { release, .. }
        | Event::AttemptStarted { release, .. }
        | Event::Marked { release, .. }
        | Event::HandedOver { release, .. }
        | Event::Switched { release, .. }
        | Event::Undoing { release, .. }
        | Event::Drained { release, .. }
        | Event::Concluded { release, .. }
        | Event::Settled { release, .. } => Some(*release),
        Event::Routed { release, .. } | Event::Noted { release, .. } => *release,
        Event::Commanded { .. }
        | Event::AttemptEnded { .. }
        | Event::Sealed { .. }
        | Event::InForce { .. }
        | Event::Stopped { .. }
        | Event::Emptied { .. }
        | Event::Drifted { .. }
        | Event::RouterRestarted { .. } => None,
    }
}

// === The file ===

fn open_tables(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format == 0 {
        connection.execute_batch(TABLES)?;
        connection.pragma_update(None, "user_version", FORMAT)?;
    }
    Ok(connection)
}

/// Device and number of the file at `path`.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

#[expect(clippy::needless_pass_by_value, reason = "given to map_err by name")]
fn failed_read(error: rusqlite::Error) -> ReadError {
    ReadError::Failed(error.to_string())
}

/// SQLite's integers are signed; sequences and times stay far below the limit.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
