//! What the database itself knows of its migrations: the state of the schema is in the database, changed in the same
//! transaction as the schema.

use switchover_migration::Ident;
use switchover_migration::change::FUNCTIONS;
use switchover_migration::plan::Planned;
use tokio_postgres::Client;

use crate::migrator::MigrateError;

const TABLES: &str = "
CREATE SCHEMA IF NOT EXISTS switchover;
CREATE TABLE IF NOT EXISTS switchover.migration (
    schema text NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    version_schema text NOT NULL,
    phase text NOT NULL CHECK (phase IN ('expanding', 'expanded', 'contracting', 'contracted', 'undoing', 'undone')),
    planned text NOT NULL,
    steps text NOT NULL,
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
}

impl Phase {
    const ALL: [Self; 6] =
        [Self::Expanding, Self::Expanded, Self::Contracting, Self::Contracted, Self::Undoing, Self::Undone];

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
}

/// Makes our tables and functions where they are missing.
pub(crate) async fn prepare(client: &Client) -> Result<(), MigrateError> {
    client.batch_execute(TABLES).await?;
    client.batch_execute(FUNCTIONS).await?;
    Ok(())
}

/// All migrations of `schema`, oldest first.
pub(crate) async fn read(client: &Client, schema: &Ident) -> Result<Vec<Applied>, MigrateError> {
    let there = client.query_one("SELECT to_regclass('switchover.migration') IS NOT NULL", &[]).await?;
    if !there.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = client
        .query(
            "SELECT number, name, checksum, version_schema, phase, planned, steps FROM switchover.migration \
             WHERE schema = $1 ORDER BY number",
            &[&schema.as_str()],
        )
        .await?;
    let unexpected = |what: String| MigrateError::Unexpected(what);
    rows.iter()
        .map(|row| {
            let (number, phase): (i32, String) = (row.get(0), row.get(4));
            let (version_schema, planned): (String, String) = (row.get(3), row.get(5));
            Ok(Applied {
                number: u32::try_from(number).map_err(|error| unexpected(error.to_string()))?,
                name: row.get(1),
                checksum: row.get(2),
                version_schema: Ident::new(version_schema).map_err(|error| unexpected(error.to_string()))?,
                phase: Phase::ALL
                    .into_iter()
                    .find(|known| known.as_str() == phase)
                    .ok_or_else(|| unexpected(format!("phase {phase}")))?,
                planned: serde_json::from_str(&planned).map_err(|error| unexpected(error.to_string()))?,
                steps: row.get(6),
            })
        })
        .collect()
}

/// Writes a migration down, or what became of it.
pub(crate) async fn write(client: &Client, schema: &Ident, applied: &Applied) -> Result<(), MigrateError> {
    let planned =
        serde_json::to_string(&applied.planned).map_err(|error| MigrateError::Unexpected(error.to_string()))?;
    let number = i32::try_from(applied.number).map_err(|error| MigrateError::Unexpected(error.to_string()))?;
    client
        .execute(
            "INSERT INTO switchover.migration (schema, number, name, checksum, version_schema, phase, planned, steps) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (schema, number) DO UPDATE SET phase = excluded.phase, planned = excluded.planned, \
             steps = excluded.steps, changed_at = now()",
            &[
                &schema.as_str(),
                &number,
                &applied.name,
                &applied.checksum,
                &applied.version_schema.as_str(),
                &applied.phase.as_str(),
                &planned,
                &applied.steps,
            ],
        )
        .await?;
    Ok(())
}
