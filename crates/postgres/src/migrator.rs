//! Expand, contract and undo of declared migrations on one schema of a database.

use std::time::Duration;

use switchover_migration::catalog::Catalog;
use switchover_migration::change::TableChange;
use switchover_migration::plan::{Ground, Step, plan_contract, plan_expand, plan_undo, version_step};
use switchover_migration::version::Version;
use switchover_migration::{Ident, Migration};
use switchover_model::Problem;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::connection::said;
use crate::run::{self, Place};
use crate::store::{self, Applied, Phase};
use crate::{ConnectError, Database, catalog};

/// Bounds of a run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a step may try for its locks.
    pub lock_timeout: Duration,
    /// How long one table's backfill, one index or one comparison of a table may take.
    pub backfill_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lock_timeout: Duration::from_secs(60), backfill_timeout: Duration::from_secs(24 * 3600) }
    }
}

/// What goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A step began.
    Began {
        /// Its name.
        step: String,
    },
    /// A step waits for a lock.
    Waits {
        /// Its name.
        step: String,
        /// Who has it.
        blockers: Vec<String>,
    },
    /// Rows were brought in step.
    Backfilled {
        /// The table.
        table: String,
        /// So many.
        rows: u64,
        /// Of about so many.
        of: u64,
    },
}

/// Why a migration did not come to its end. What was done stays, noted; the same command goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The plan is refused; nothing was begun.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Problem>),
    /// Another migrator works on this schema.
    #[error("another migrator works on schema {0}")]
    Busy(String),
    /// A lock was not to be had in time.
    #[error("`{step}` did not get its lock within {} s: {}", waited.as_secs(), blockers.join("; "))]
    Blocked {
        /// The step.
        step: String,
        /// The time.
        waited: Duration,
        /// Who had it.
        blockers: Vec<String>,
    },
    /// A backfill took too long.
    #[error("the rows of {what} were not brought in step in time")]
    TooLong {
        /// The table.
        what: String,
    },
    /// Rows stand in the way.
    #[error("`{step}` found rows: {means}; their keys: {}", keys.join(", "))]
    Found {
        /// The step.
        step: String,
        /// What a found row means.
        means: String,
        /// The rows' keys.
        keys: Vec<String>,
    },
    /// The database refused a statement.
    #[error("`{step}` failed: {cause}")]
    Step {
        /// The step.
        step: String,
        /// What the database said.
        cause: Refusal,
    },
    /// The database said something else.
    #[error("the database refused: {0}")]
    Database(Refusal),
    /// The rows or the plan stand in the way, and the expand was taken back as a whole.
    #[error("{0}; the expand was taken back")]
    TakenBack(Box<MigrateError>),
    /// Something that should not be.
    #[error("unexpected: {0}")]
    Unexpected(String),
}

/// What the database said, and as what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    text: String,
    state: Option<SqlState>,
}

impl Refusal {
    /// Whether its class is one of these (PostgreSQL, appendix A).
    fn is_of(&self, classes: &[&str]) -> bool {
        self.state.as_ref().is_some_and(|state| classes.iter().any(|class| state.code().starts_with(class)))
    }
}

impl From<tokio_postgres::Error> for MigrateError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(Refusal { text: said(&error), state: error.code().cloned() })
    }
}

impl MigrateError {
    /// The same, with the step it happened in.
    pub(crate) fn at(self, step: &str) -> Self {
        match self {
            Self::Database(cause) => Self::Step { step: step.to_owned(), cause },
            other => other,
        }
    }

    /// Whether rows break a constraint.
    pub(crate) fn is_of_rows(&self) -> bool {
        match self {
            Self::Step { cause, .. } | Self::Database(cause) => cause.is_of(&["23"]),
            _ => false,
        }
    }

    /// Whether going on can not help, however often it is tried: the rows (22, 23), what the plan says (0A, 2F, 42) or the
    /// app's own functions (P0) are in the way, and not the condition of the server.
    fn is_lasting(&self) -> bool {
        match self {
            Self::Found { .. } => true,
            Self::Step { cause, .. } => cause.is_of(&["0A", "22", "23", "2F", "42", "P0"]),
            Self::Connect(_)
            | Self::Refused(_)
            | Self::Busy(_)
            | Self::Blocked { .. }
            | Self::TooLong { .. }
            | Self::Database(_)
            | Self::TakenBack(_)
            | Self::Unexpected(_) => false,
        }
    }
}

/// Works on one schema of a database. Only one at a time does.
#[derive(Debug)]
pub struct Migrator {
    database: Database,
    schema: Ident,
    settings: Settings,
}

impl Migrator {
    /// Connects, makes our own tables where they are missing, and takes the place of the one migrator of the schema,
    /// which the server gives back when the session ends in any way.
    pub async fn connect(url: &str, schema: Ident, settings: Settings) -> Result<Self, MigrateError> {
        let database = Database::connect(url).await?;
        let migrator = Self { database, schema, settings };
        let client = migrator.client();
        let row = client
            .query_one(
                "SELECT pg_try_advisory_lock(hashtextextended('switchover ' || $1, 0))",
                &[&migrator.schema.as_str()],
            )
            .await?;
        if !row.get::<_, bool>(0) {
            return Err(MigrateError::Busy(migrator.schema.to_string()));
        }
        store::prepare(client).await?;
        Ok(migrator)
    }

    /// Connects to look alone: nothing is made, and a migrator may work meanwhile.
    pub async fn look(url: &str, schema: Ident) -> Result<Self, MigrateError> {
        Ok(Self { database: Database::connect(url).await?, schema, settings: Settings::default() })
    }

    fn client(&self) -> &Client {
        self.database.client()
    }

    /// The migrations that the database knows, oldest first.
    pub async fn applied(&self) -> Result<Vec<Applied>, MigrateError> {
        store::read(self.client(), &self.schema).await
    }

    /// Makes `migration`'s version beside the others, or goes on with making it.
    ///
    /// Errors: where rows or the plan itself stand in the way, nothing of it is left; where the server does, what was done
    /// stays.
    pub async fn expand(
        &mut self,
        migration: &Migration,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Applied, MigrateError> {
        let known = self.applied().await?;
        let same =
            known.iter().find(|applied| applied.name == migration.name.as_str() && applied.phase != Phase::Undone);
        let applied = match same {
            Some(applied) if applied.checksum != migration.checksum => {
                return Err(refused(
                    "MIGRATION-EDITED",
                    format!("{} was edited after its expand.", applied.name),
                    "Undo it first, then expand it anew.",
                ));
            }
            Some(applied) => match applied.phase {
                Phase::Expanding => applied.clone(),
                Phase::Expanded | Phase::Contracted => return Ok(applied.clone()),
                Phase::Contracting | Phase::Undoing | Phase::Undone => return Err(busy_with(applied)),
            },
            None => self.begin_expand(&known, migration).await?,
        };
        match self.finish(applied, Phase::Expanded, tell).await {
            Err(error) if error.is_lasting() => {
                self.undo(tell).await?;
                Err(MigrateError::TakenBack(Box::new(error)))
            }
            finished => finished,
        }
    }

    /// The schemas through which the database can be used now, the oldest version first.
    pub async fn versions(&self) -> Result<Vec<Ident>, MigrateError> {
        let mut there = Vec::new();
        let mut names = vec![self.named("base")?];
        names.extend(self.applied().await?.into_iter().map(|applied| applied.version_schema));
        names.dedup();
        for name in names {
            let row = self.client().query_one("SELECT to_regnamespace($1) IS NOT NULL", &[&name.to_string()]).await?;
            if row.get(0) && !there.contains(&name) {
                there.push(name);
            }
        }
        Ok(there)
    }

    /// What expand, contract and undo of `migration` would do. Changes nothing.
    pub async fn plan(&self, migration: &Migration) -> Result<(Vec<Step>, Vec<Step>, Vec<Step>), MigrateError> {
        let known = self.applied().await?;
        let (catalog, applied, expand) = self.planned(&known, migration).await?;
        let older: Vec<Ident> = self.versions().await?;
        let active: Vec<TableChange> = expanded(&known).flat_map(|applied| applied.planned.changes.clone()).collect();
        let contract = plan_contract(&catalog, &applied.planned, &active, &older);
        // As if all of it had been made.
        let undo = plan_undo(&applied.planned.made_in(&catalog), &applied.planned, &active, &applied.version_schema);
        Ok((expand, contract, undo))
    }

    async fn begin_expand(&mut self, known: &[Applied], migration: &Migration) -> Result<Applied, MigrateError> {
        let (_, applied, steps) = self.planned(known, migration).await?;
        let applied = Applied { steps: written(&steps)?, ..applied };
        store::write(self.client(), &self.schema, &applied).await?;
        Ok(applied)
    }

    async fn planned(
        &self,
        known: &[Applied],
        migration: &Migration,
    ) -> Result<(Catalog, Applied, Vec<Step>), MigrateError> {
        if let Some(unfinished) = known.iter().find(|applied| !is_at_rest(applied.phase)) {
            return Err(busy_with(unfinished));
        }
        let versions = self.version_schemas(known);
        let catalog = catalog::read(self.client(), &self.schema, &versions).await?;
        let active: Vec<TableChange> = expanded(known).flat_map(|applied| applied.planned.changes.clone()).collect();
        let base = Version::base(&catalog);
        let version = expanded(known).next_back().map_or(base, |applied| applied.planned.version.clone());
        let version_schema = self.named(migration.name.as_str())?;
        let number = known.last().map_or(1, |applied| applied.number + 1);
        let ground =
            Ground { catalog: &catalog, version: &version, active: &active, number, version_schema: &version_schema };
        let (planned, mut steps) = plan_expand(ground, migration).map_err(MigrateError::Refused)?;
        let base = self.named("base")?;
        let row = self.client().query_one("SELECT to_regnamespace($1) IS NULL", &[&base.to_string()]).await?;
        if row.get(0)
            && expanded(known).next().is_none()
            && !known.iter().any(|applied| applied.phase == Phase::Contracted)
        {
            steps.insert(0, version_step(&catalog, &base, &version));
        }
        let applied = Applied {
            number,
            name: migration.name.as_str().to_owned(),
            checksum: migration.checksum.clone(),
            version_schema,
            phase: Phase::Expanding,
            planned,
            steps: "[]".to_owned(),
        };
        Ok((catalog, applied, steps))
    }

    /// Leaves the oldest expanded version as the only one before the newer ones.
    pub async fn contract(&mut self, tell: &mut dyn FnMut(Progress)) -> Result<Applied, MigrateError> {
        let known = self.applied().await?;
        let unfinished = known.iter().find(|applied| !is_at_rest(applied.phase));
        let applied = match unfinished {
            Some(applied) if applied.phase == Phase::Contracting => applied.clone(),
            Some(applied) => return Err(busy_with(applied)),
            None => {
                let mut open = expanded(&known);
                let Some(oldest) = open.next().cloned() else {
                    return Err(refused(
                        "NOTHING-TO-CONTRACT",
                        "no migration is expanded.".to_owned(),
                        "Look with `switchover db status`.",
                    ));
                };
                if open.next().is_some() {
                    return Err(refused(
                        "NOT-CARRIED-OUT-YET",
                        "several migrations are expanded; contract of one after the other is not carried out yet."
                            .to_owned(),
                        "Undo the newer ones first.",
                    ));
                }
                let older = self.version_schemas(&known);
                let older: Vec<Ident> = older.into_iter().filter(|schema| *schema != oldest.version_schema).collect();
                let catalog = catalog::read(self.client(), &self.schema, &self.version_schemas(&known)).await?;
                let active: Vec<TableChange> = oldest.planned.changes.clone();
                let steps = plan_contract(&catalog, &oldest.planned, &active, &older);
                let applied = Applied { phase: Phase::Contracting, steps: written(&steps)?, ..oldest };
                store::write(self.client(), &self.schema, &applied).await?;
                applied
            }
        };
        self.finish(applied, Phase::Contracted, tell).await
    }

    /// Takes the newest migration back that is expanded or half expanded.
    pub async fn undo(&mut self, tell: &mut dyn FnMut(Progress)) -> Result<Applied, MigrateError> {
        let known = self.applied().await?;
        let newest = known.iter().rev().find(|applied| !matches!(applied.phase, Phase::Contracted | Phase::Undone));
        let applied = match newest {
            Some(applied) if applied.phase == Phase::Undoing => applied.clone(),
            Some(applied) if applied.phase == Phase::Contracting => return Err(busy_with(applied)),
            Some(applied) => {
                let catalog = catalog::read(self.client(), &self.schema, &self.version_schemas(&known)).await?;
                let active: Vec<TableChange> =
                    expanded(&known).flat_map(|applied| applied.planned.changes.clone()).collect();
                let steps = plan_undo(&catalog, &applied.planned, &active, &applied.version_schema);
                let applied = Applied { phase: Phase::Undoing, steps: written(&steps)?, ..applied.clone() };
                store::write(self.client(), &self.schema, &applied).await?;
                applied
            }
            None => {
                return Err(refused(
                    "NOTHING-TO-UNDO",
                    "no migration is expanded.".to_owned(),
                    "Look with `switchover db status`.",
                ));
            }
        };
        self.finish(applied, Phase::Undone, tell).await
    }

    async fn finish(
        &mut self,
        mut applied: Applied,
        phase: Phase,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Applied, MigrateError> {
        let steps: Vec<Step> =
            serde_json::from_str(&applied.steps).map_err(|error| MigrateError::Unexpected(error.to_string()))?;
        let place = Place { schema: &self.schema, number: applied.number, phase: applied.phase.as_str() };
        run::steps(self.database.client_mut(), place, &steps, &self.settings, tell).await?;
        applied.phase = phase;
        applied.steps = "[]".to_owned();
        store::write(self.client(), &self.schema, &applied).await?;
        Ok(applied)
    }

    /// `SCHEMA_NAME`.
    fn named(&self, name: &str) -> Result<Ident, MigrateError> {
        let whole = format!("{}_{name}", self.schema.as_str());
        Ident::new(whole).map_err(|error| MigrateError::Unexpected(error.to_string()))
    }

    fn version_schemas(&self, known: &[Applied]) -> Vec<Ident> {
        let mut schemas: Vec<Ident> = known.iter().map(|applied| applied.version_schema.clone()).collect();
        schemas.extend(self.named("base"));
        schemas
    }
}

fn expanded(known: &[Applied]) -> impl DoubleEndedIterator<Item = &Applied> {
    known.iter().filter(|applied| applied.phase == Phase::Expanded)
}

fn is_at_rest(phase: Phase) -> bool {
    match phase {
        Phase::Expanded | Phase::Contracted | Phase::Undone => true,
        Phase::Expanding | Phase::Contracting | Phase::Undoing => false,
    }
}

fn busy_with(applied: &Applied) -> MigrateError {
    refused(
        "MIGRATION-UNFINISHED",
        format!("migration {} is {} and was broken off.", applied.name, applied.phase.as_str()),
        "Give that command again to go on with it, or undo it.",
    )
}

fn refused(code: &str, cause: String, next: &str) -> MigrateError {
    MigrateError::Refused(vec![Problem::new(code, cause, next)])
}

fn written(steps: &[Step]) -> Result<String, MigrateError> {
    serde_json::to_string(steps).map_err(|error| MigrateError::Unexpected(error.to_string()))
}
