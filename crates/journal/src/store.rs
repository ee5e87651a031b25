//! Everything that is done with the tables of `STATE/journal.sqlite`. All of it blocks: see `owner`.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, params};
use switchover_model::record::{Draft, Record};
use switchover_model::{AppName, Timestamp};

use crate::chain::{Broken, GENESIS, Hash, Verified};
use crate::event;
use crate::insert::{Failure, insert};
use crate::journal::{AppendError, ReadError, Snapshot};
use crate::link::link;
use crate::lock::StateLock;
use crate::reserve::{Reserve, begins_something};
use crate::signs::{signed, unsigned};
use crate::tables::{self, FILE, OpenError, identity, is_full};

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
        let connection = tables::open(&path, &reserve)?;
        if let Err(error) = reserve.keep() {
            tracing::warn!(%error, "no space is kept in reserve for going back");
        }
        let gone = || OpenError::Failed { path: path.clone(), why: "it is gone already".to_owned() };
        let file = identity(&path).ok_or_else(gone)?;
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
                event: event::read(&link.event).map_err(unreadable)?,
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

#[expect(clippy::needless_pass_by_value, reason = "given to map_err by name")]
fn failed_read(error: rusqlite::Error) -> ReadError {
    ReadError::Failed(error.to_string())
}
