//! New records behind the last one, all or none.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use switchover_model::evidence::Watch;
use switchover_model::record::{Draft, Event, Record};
use switchover_model::{AppName, ReleaseId};

use crate::chain::{GENESIS, Hash, Stored};
use crate::journal::AppendError;
use crate::signs::{signed, unsigned};

/// Why nothing was written.
pub(crate) enum Failure {
    Sqlite(rusqlite::Error),
    Append(AppendError),
}

impl Failure {
    pub(crate) fn into_append_error(self) -> AppendError {
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

/// Writes `drafts` behind record number `expected`, which must be the last one.
pub(crate) fn insert(
    connection: &mut Connection,
    app: &AppName,
    expected: u64,
    drafts: &[Draft],
) -> Result<Vec<Record>, Failure> {
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
        | Event::Stepped { release, .. }
        | Event::Sized { release, .. }
        | Event::Marked { release, .. }
        | Event::Looked { watch: Watch { release, .. }, .. }
        | Event::Judged { watch: Watch { release, .. }, .. }
        | Event::Decided { watch: Watch { release, .. }, .. }
        | Event::Migrated { release, .. }
        | Event::HandedOver { release, .. }
        | Event::Switched { release, .. }
        | Event::Undoing { release, .. }
        | Event::Drained { release, .. }
        | Event::Concluded { release, .. }
        | Event::Settled { release, .. } => Some(*release),
        Event::Routed { release, .. } | Event::Noted { release, .. } | Event::Renewed { release, .. } => *release,
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
