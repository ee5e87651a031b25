//! What the database itself knows of its migrations: the state of the schema is in the database, changed in the same
//! transaction as the schema.

use switchover_migration::Ident;
use switchover_migration::change::{FUNCTIONS, make_older_writes};
use switchover_migration::plan::{Kept, Planned, RESTORE_FUNCTIONS};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Transaction};

use crate::backfill::cursor;
use crate::error::{MigrateError, unexpected};
use crate::fence;

const TABLES: &str = "
DO $$ BEGIN IF pg_catalog.to_regnamespace('switchover') IS NULL THEN CREATE SCHEMA switchover; END IF; END $$;
CREATE TABLE IF NOT EXISTS switchover.migration (
    schema text NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    version_schema text NOT NULL,
    phase text NOT NULL,
    planned text NOT NULL,
    steps text NOT NULL,
    kept text,
    attic_seconds double precision,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema, number)
);
CREATE TABLE IF NOT EXISTS switchover.step (
    schema text NOT NULL,
    number integer NOT NULL,
    phase text NOT NULL,
    name text NOT NULL,
    done_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema, number, phase, name)
);
CREATE TABLE IF NOT EXISTS switchover.history (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schema text NOT NULL,
    name text NOT NULL,
    event text NOT NULL,
    detail text,
    by_user text NOT NULL DEFAULT session_user,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT USAGE ON SCHEMA switchover TO PUBLIC;
";

/// How far a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Expand was begun.
    Expanding,
    /// Both versions can be used.
    Expanded,
    /// Contract was begun.
    Contracting,
    /// Only the newer version is left.
    Contracted,
    /// Undo was begun.
    Undoing,
    /// It was taken back.
    Undone,
    /// Undo of a contracted one was begun; it ends expanded.
    Restoring,
    /// Detach was begun.
    Detaching,
    /// Expanded, and nothing keeps its versions in step: the older one is used alone.
    Detached,
    /// Attach was begun; it ends expanded.
    Attaching,
}

impl Phase {
    const ALL: [Self; 10] = [
        Self::Expanding,
        Self::Expanded,
        Self::Contracting,
        Self::Contracted,
        Self::Undoing,
        Self::Undone,
        Self::Restoring,
        Self::Detaching,
        Self::Detached,
        Self::Attaching,
    ];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expanding => "expanding",
            Self::Expanded => "expanded",
            Self::Contracting => "contracting",
            Self::Contracted => "contracted",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::Restoring => "restoring",
            Self::Detaching => "detaching",
            Self::Detached => "detached",
            Self::Attaching => "attaching",
        }
    }

    /// Whether no command is on its way with it.
    #[must_use]
    pub fn is_at_rest(self) -> bool {
        match self {
            Self::Expanded | Self::Contracted | Self::Undone | Self::Detached => true,
            Self::Expanding
            | Self::Contracting
            | Self::Undoing
            | Self::Restoring
            | Self::Detaching
            | Self::Attaching => false,
        }
    }
}

/// A migration that the database knows.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Digest of its file.
    pub checksum: String,
    /// The schema of its version.
    pub version_schema: Ident,
    /// How far it is.
    pub phase: Phase,
    /// What it made.
    pub planned: Planned,
    /// The steps of its running phase, as they were planned when that began.
    pub(crate) steps: String,
    /// How things were before contract or detach, for the way back; nothing once that is closed.
    pub(crate) kept: Option<Kept>,
    /// How long what contract puts aside is to stay, in seconds.
    pub(crate) attic_seconds: Option<f64>,
    /// Since when it is in its phase, in UTC (RFC 3339).
    pub since: String,
    /// Until when at least what contract put aside stays, in UTC (RFC 3339); nothing where none is there.
    pub restorable_until: Option<String>,
}

impl Applied {
    /// Whether what contract put aside is still there to come back.
    #[must_use]
    pub fn is_restorable(&self) -> bool {
        self.phase == Phase::Contracted && self.kept.is_some()
    }

    /// Whether the file with this digest is the one that was carried out; a baseline stands for any.
    pub(crate) fn is_of(&self, checksum: &str) -> bool {
        self.checksum == checksum || self.checksum == BASELINE
    }
}

/// The checksum of a starting point, which no file was carried out for.
pub(crate) const BASELINE: &str = "baseline";

/// Makes our tables and functions where they are missing. One at a time does, whichever schema it works on.
pub(crate) async fn prepare(client: &Client) -> Result<(), MigrateError> {
    const ALONE: &str = "SELECT pg_advisory_xact_lock(hashtextextended('switchover prepares', 0));";
    let all = [ALONE, TABLES, cursor::TABLES, FUNCTIONS, RESTORE_FUNCTIONS, fence::TABLES];
    client.batch_execute(&all.join("\n")).await?;
    Ok(())
}

/// Whether our tables are there.
pub(crate) async fn is_prepared(client: &Client) -> Result<bool, MigrateError> {
    Ok(client.query_one("SELECT to_regclass('switchover.migration') IS NOT NULL", &[]).await?.get(0))
}

/// All migrations of `schema`, oldest first.
pub(crate) async fn read(client: &Client, schema: &Ident) -> Result<Vec<Applied>, MigrateError> {
    if !is_prepared(client).await? {
        return Ok(Vec::new());
    }
    let rows = client
        .query(
            "SELECT number, name, checksum, version_schema, phase, planned, steps, kept, attic_seconds,
                    to_char(changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                    to_char((changed_at + make_interval(secs => attic_seconds)) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
               FROM switchover.migration WHERE schema = $1 ORDER BY number",
            &[&schema.as_str()],
        )
        .await?;
    rows.iter().map(applied).collect()
}

fn applied(row: &Row) -> Result<Applied, MigrateError> {
    let (number, phase): (i32, String) = (row.get(0), row.get(4));
    let (version_schema, planned): (String, String) = (row.get(3), row.get(5));
    let kept: Option<String> = row.get(7);
    let known = Phase::ALL.into_iter().find(|known| known.as_str() == phase);
    let phase = known.ok_or_else(|| unexpected(format!("phase {phase}")))?;
    let kept: Option<Kept> = kept.map(|kept| serde_json::from_str(&kept)).transpose().map_err(unexpected)?;
    let until: Option<String> = row.get(10);
    Ok(Applied {
        number: u32::try_from(number).map_err(unexpected)?,
        name: row.get(1),
        checksum: row.get(2),
        version_schema: Ident::new(version_schema).map_err(unexpected)?,
        phase,
        planned: serde_json::from_str(&planned).map_err(unexpected)?,
        steps: row.get(6),
        restorable_until: until.filter(|_| phase == Phase::Contracted && kept.is_some()),
        kept,
        attic_seconds: row.get(8),
        since: row.get(9),
    })
}

/// Writes down that a phase begins: its steps are to be done, whether or not they were once before.
pub(crate) async fn begin(client: &mut Client, schema: &Ident, applied: &Applied) -> Result<(), MigrateError> {
    let transaction = client.transaction().await?;
    forget_steps(&transaction, schema, applied.number, applied.phase.as_str()).await?;
    // Before the triggers that use it.
    transaction.batch_execute(&make_older_writes(schema, applied.number)).await?;
    write(&transaction, schema, applied).await?;
    note(&transaction, schema, &applied.name, applied.phase.as_str(), None).await?;
    transaction.commit().await?;
    Ok(())
}

/// Writes down what became of a migration, and of others with it.
pub(crate) async fn end(
    client: &mut Client,
    schema: &Ident,
    applied: &Applied,
    others: &[Applied],
) -> Result<(), MigrateError> {
    let transaction = client.transaction().await?;
    for other in others {
        write(&transaction, schema, other).await?;
    }
    write(&transaction, schema, applied).await?;
    note(&transaction, schema, &applied.name, applied.phase.as_str(), None).await?;
    transaction.commit().await?;
    Ok(())
}

/// Writes down that what a migration put aside is there no more, before it goes: a way back would find half of it.
pub(crate) async fn close(client: &mut Client, schema: &Ident, applied: &Applied) -> Result<(), MigrateError> {
    let transaction = client.transaction().await?;
    write(&transaction, schema, applied).await?;
    forget_steps(&transaction, schema, applied.number, PURGING).await?;
    transaction.commit().await?;
    Ok(())
}

/// The steps of a purge are noted as those of this, which is no phase of a migration.
pub(crate) const PURGING: &str = "purging";

async fn forget_steps(
    transaction: &Transaction<'_>,
    schema: &Ident,
    number: u32,
    phase: &str,
) -> Result<(), MigrateError> {
    let number = i32::try_from(number).map_err(unexpected)?;
    let forget = "DELETE FROM switchover.step WHERE schema = $1 AND number = $2 AND phase = $3";
    transaction.execute(forget, &[&schema.as_str(), &number, &phase]).await?;
    transaction.execute(cursor::FORGET, &[&schema.as_str(), &number, &phase]).await?;
    Ok(())
}

async fn write(transaction: &Transaction<'_>, schema: &Ident, applied: &Applied) -> Result<(), MigrateError> {
    let planned = serde_json::to_string(&applied.planned).map_err(unexpected)?;
    let kept = applied.kept.as_ref().map(serde_json::to_string).transpose().map_err(unexpected)?;
    let number = i32::try_from(applied.number).map_err(unexpected)?;
    let (schema, version_schema, phase) = (schema.as_str(), applied.version_schema.as_str(), applied.phase.as_str());
    let values: [&(dyn ToSql + Sync); 10] = [
        &schema,
        &number,
        &applied.name,
        &applied.checksum,
        &version_schema,
        &phase,
        &planned,
        &applied.steps,
        &kept,
        &applied.attic_seconds,
    ];
    transaction
        .execute(
            "INSERT INTO switchover.migration (schema, number, name, checksum, version_schema, phase, planned, steps, kept, \
             attic_seconds) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (schema, number) DO UPDATE SET phase = excluded.phase, planned = excluded.planned, \
             steps = excluded.steps, kept = excluded.kept, attic_seconds = excluded.attic_seconds, \
             changed_at = CASE WHEN migration.phase = excluded.phase THEN migration.changed_at ELSE now() END",
            &values,
        )
        .await?;
    Ok(())
}

/// What was done, when and by whom; also what failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// In UTC (RFC 3339).
    pub at: String,
    /// The migration.
    pub name: String,
    /// A phase that was reached, or `failed`, `purged`, `baseline`.
    pub event: String,
    /// What was said.
    pub detail: Option<String>,
    /// The database's user.
    pub by: String,
}

/// Adds to the history.
pub(crate) async fn note(
    client: &impl tokio_postgres::GenericClient,
    schema: &Ident,
    name: &str,
    event: &str,
    detail: Option<&str>,
) -> Result<(), MigrateError> {
    let add = "INSERT INTO switchover.history (schema, name, event, detail) VALUES ($1, $2, $3, $4)";
    client.execute(add, &[&schema.as_str(), &name, &event, &detail]).await?;
    Ok(())
}

/// The history of `schema`, oldest first.
pub(crate) async fn history(client: &Client, schema: &Ident) -> Result<Vec<Entry>, MigrateError> {
    if !is_prepared(client).await? {
        return Ok(Vec::new());
    }
    let rows = client
        .query(
            "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), name, event, detail, by_user
               FROM switchover.history WHERE schema = $1 ORDER BY entry",
            &[&schema.as_str()],
        )
        .await?;
    let entry =
        |row: &Row| Entry { at: row.get(0), name: row.get(1), event: row.get(2), detail: row.get(3), by: row.get(4) };
    Ok(rows.iter().map(entry).collect())
}
