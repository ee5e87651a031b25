//! Works on one schema of a database: what it knows, and how a phase is begun and ended.

mod attach;
mod baseline;
mod contract;
mod expand;
mod observe;
mod purge;
mod undo;

use std::time::Duration;

use switchover_migration::catalog::Catalog;
use switchover_migration::change::TableChange;
use switchover_migration::plan::{Meaning, Planned, Step, meaning, plan_contract, plan_undo, standing};
use switchover_migration::{Ident, Migration};
use switchover_model::config::{BACKFILL_LAG, OldRows};
use switchover_model::schema::RowsDone;
use tokio_postgres::Client;

pub use crate::error::{MigrateError, Refusal};
pub use observe::{InTheWay, Observation, Session, Use, application_name};
pub use purge::Purge;

use crate::error::{refused, unexpected};
use crate::notes::Place;
use crate::rights::Needs;
use crate::run;
use crate::store::{self, Applied, Entry, Phase};
use crate::{Database, catalog, fence, rights, statements};

/// Bounds of a run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a step may try for its locks.
    pub lock_timeout: Duration,
    /// How long one table's backfill, one index or one comparison of a table may take.
    pub backfill_timeout: Duration,
    /// How many rows a second are brought in step at most; nothing where that is not bounded.
    pub backfill_rate: Option<u64>,
    /// How far a standby may be behind before rows are brought in step.
    pub backfill_lag: Duration,
    /// What becomes of an older version's value that only a rule of the newer one forbids.
    pub old_rows: OldRows,
    /// How long what contract puts aside is to stay.
    pub attic: Duration,
    /// Which lease of a controller this is done under: one with an older epoch is refused from then on.
    pub epoch: Option<u64>,
}

impl Settings {
    /// How long what contract puts aside stays where nothing else is said.
    pub const ATTIC: Duration = Duration::from_secs(30 * 24 * 3600);
    /// How far a standby may be behind where nothing else is said.
    pub const BACKFILL_LAG: Duration = BACKFILL_LAG.to_std();
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_secs(60),
            backfill_timeout: Duration::from_secs(24 * 3600),
            backfill_rate: None,
            backfill_lag: Self::BACKFILL_LAG,
            old_rows: OldRows::default(),
            attic: Self::ATTIC,
            epoch: None,
        }
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
        /// So many, of about how many.
        done: RowsDone,
        /// How many a second of late; nothing as long as that can not be told.
        rows_per_second: Option<u64>,
        /// How long it takes to the end at that rate.
        time_left: Option<Duration>,
    },
    /// Rows wait to be brought in step.
    HeldUp {
        /// The table.
        table: String,
        /// For what.
        by: String,
    },
    /// A migration's file was edited after its expand: that one is undone first.
    Edited {
        /// The migration.
        name: String,
    },
    /// Rows that differ between both sides, about to be brought in step.
    Differ {
        /// The table.
        table: String,
        /// So many.
        rows: u64,
        /// The keys of the first ones.
        keys: Vec<String>,
    },
}

/// How soon the server notices in the middle of a statement that we are gone, and gives the place of the one migrator back.
const GONE_NOTICED: Duration = Duration::from_secs(2);

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
        migrator.see_names_as_triggers_do().await?;
        let client = migrator.client();
        let read_only = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean";
        if client.query_one(read_only, &[]).await?.get(0) {
            return Err(refused(
                "DATABASE-READ-ONLY",
                "the database takes no writes: it is a standby, or read-only by its settings.",
                "Name the primary server.",
            ));
        }
        migrator.refuse_unknown_schema().await?;
        let client = migrator.client();
        // Where the server can not look whether we are gone, it notices at the end of the statement.
        let look = format!("SET client_connection_check_interval = '{}ms'", GONE_NOTICED.as_millis());
        let _ = client.batch_execute(&look).await;
        // A policy that binds the owner, too, would hide rows from what has to see each: it is told instead.
        client.batch_execute("SET row_security = off").await?;
        rights::of_ours(client).await?;
        store::prepare(client).await?;
        fence::raise(client, &migrator.schema, settings.epoch).await?;
        fence::take(client, &migrator.schema).await?;
        Ok(migrator)
    }

    /// Connects to look alone: nothing is made, and a migrator may work meanwhile.
    pub async fn look(url: &str, schema: Ident) -> Result<Self, MigrateError> {
        let migrator = Self { database: Database::connect(url).await?, schema, settings: Settings::default() };
        migrator.see_names_as_triggers_do().await?;
        Ok(migrator)
    }

    /// Plans with this choice.
    #[must_use]
    pub fn with_old_rows(mut self, old_rows: OldRows) -> Self {
        self.settings.old_rows = old_rows;
        self
    }

    /// Types and expressions are read and written with the names that the triggers' functions find.
    async fn see_names_as_triggers_do(&self) -> Result<(), MigrateError> {
        self.client().batch_execute(&format!("SET search_path = {}, pg_temp", self.schema)).await?;
        Ok(())
    }

    /// Refuses where the database has no schema of that name, or the role may not use it.
    pub async fn refuse_unknown_schema(&self) -> Result<(), MigrateError> {
        if self.is_there(&self.schema).await? {
            return rights::of_use(self.client(), &self.schema).await;
        }
        let cause = format!("the database has no schema {}.", self.schema);
        Err(refused("SCHEMA-UNKNOWN", cause, "Name it with --schema, as it is in the database."))
    }

    fn client(&self) -> &Client {
        self.database.client()
    }

    /// The migrations that the database knows, oldest first.
    pub async fn applied(&self) -> Result<Vec<Applied>, MigrateError> {
        store::read(self.client(), &self.schema).await
    }

    /// The schema as the database has it now.
    pub async fn catalog(&self) -> Result<Catalog, MigrateError> {
        self.catalog_of(&self.applied().await?).await
    }

    /// The app's own statements, as far as the database counts them (`pg_stat_statements`); nothing where it does not.
    pub async fn statements(&self) -> Result<Option<Vec<String>>, MigrateError> {
        statements::read(self.client()).await
    }

    /// The server's version, such as 17.
    pub async fn server_major(&self) -> Result<u32, MigrateError> {
        let row = self.client().query_one("SELECT current_setting('server_version_num')::int4", &[]).await?;
        Ok(u32::try_from(row.get::<_, i32>(0)).unwrap_or(0) / 10_000)
    }

    /// What was done to the schema, oldest first.
    pub async fn history(&self) -> Result<Vec<Entry>, MigrateError> {
        store::history(self.client(), &self.schema).await
    }

    /// The schemas through which the database can be used now, the oldest version first.
    pub async fn versions(&self) -> Result<Vec<Ident>, MigrateError> {
        let mut there = Vec::new();
        let mut names = vec![self.named("base")?];
        let known = self.applied().await?;
        names.extend(known.into_iter().filter(|known| known.phase != Phase::Undone).map(|known| known.version_schema));
        for name in names {
            if !there.contains(&name) && self.is_there(&name).await? {
                there.push(name);
            }
        }
        Ok(there)
    }

    async fn is_there(&self, schema: &Ident) -> Result<bool, MigrateError> {
        let row = self.client().query_one("SELECT to_regnamespace($1) IS NOT NULL", &[&schema.to_string()]).await?;
        Ok(row.get(0))
    }

    /// What expand, contract and undo of `migration` would do. Changes nothing.
    pub async fn plan(&self, migration: &Migration) -> Result<(Vec<Step>, Vec<Step>, Vec<Step>), MigrateError> {
        let known = self.applied().await?;
        let (catalog, applied, expand) = self.planned(&known, migration).await?;
        let older: Vec<Ident> = self.versions().await?;
        let active = active(&known);
        let standing = standing(&catalog, &[(&applied.version_schema, &applied.planned)]);
        let contract = plan_contract(&catalog, &applied.planned, &active, &older, &standing);
        // As if all of it had been made.
        let undo = plan_undo(&applied.planned.made_in(&catalog), &applied.planned, &active, &applied.version_schema);
        Ok((expand, contract, undo))
    }

    /// What undoing each phase of `migration` means. Changes nothing.
    pub async fn meaning(&self, migration: &Migration) -> Result<Meaning, MigrateError> {
        let known = self.applied().await?;
        let (_, applied, _) = self.planned(&known, migration).await?;
        Ok(meaning(&applied.planned))
    }

    /// The schema now, our own versions' views left out of what stands on its columns.
    async fn catalog_of(&self, known: &[Applied]) -> Result<Catalog, MigrateError> {
        let mut versions: Vec<Ident> = known.iter().map(|applied| applied.version_schema.clone()).collect();
        versions.push(self.named("base")?);
        catalog::read(self.client(), &self.schema, &versions).await
    }

    /// The schema of the version before `applied`.
    fn earlier(&self, known: &[Applied], applied: &Applied) -> Result<Ident, MigrateError> {
        let mut before = known.iter().filter(|other| other.number < applied.number && other.phase != Phase::Undone);
        before.next_back().map_or_else(|| self.named("base"), |other| Ok(other.version_schema.clone()))
    }

    /// Runs the steps that are left of the phase `applied` is in, then writes down that it is `reached`.
    async fn run(&mut self, applied: &Applied, tell: &mut (dyn FnMut(Progress) + Send)) -> Result<(), MigrateError> {
        let steps: Vec<Step> = serde_json::from_str(&applied.steps).map_err(unexpected)?;
        let place = Place { schema: &self.schema, number: applied.number, phase: applied.phase.as_str() };
        let done = run::steps(self.database.client_mut(), place, &steps, &self.settings, tell).await;
        if let Err(error) = &done {
            // What failed may be the connection itself.
            let detail = error.to_string();
            let _ = store::note(self.client(), &self.schema, &applied.name, "failed", Some(&detail)).await;
        }
        done
    }

    async fn begin(&mut self, applied: Applied, phase: Phase, steps: &[Step]) -> Result<Applied, MigrateError> {
        let needs = Needs::of(&applied.planned, steps);
        self.begin_with(applied, phase, steps, needs).await
    }

    /// Errors: the role may not do what the phase `needs`; nothing was begun.
    async fn begin_with(
        &mut self,
        applied: Applied,
        phase: Phase,
        steps: &[Step],
        needs: Needs,
    ) -> Result<Applied, MigrateError> {
        let makes_again = phase == Phase::Contracting && applied.planned.settles_for_good();
        let makes_version = makes_again || matches!(phase, Phase::Expanding | Phase::Restoring);
        let needs = Needs { makes_version, ..needs };
        needs.look(self.client(), &self.schema).await?;
        let steps = serde_json::to_string(steps).map_err(unexpected)?;
        let applied = Applied { phase, steps, ..applied };
        store::begin(self.database.client_mut(), &self.schema, &applied).await?;
        Ok(applied)
    }

    async fn end(&mut self, applied: Applied, phase: Phase, others: &[Applied]) -> Result<Applied, MigrateError> {
        let applied = Applied { phase, steps: "[]".to_owned(), ..applied };
        store::end(self.database.client_mut(), &self.schema, &applied, others).await?;
        let known = self.applied().await?;
        let written = known.into_iter().find(|known| known.number == applied.number);
        Ok(written.unwrap_or(applied))
    }

    async fn finish(
        &mut self,
        applied: Applied,
        phase: Phase,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Applied, MigrateError> {
        self.run(&applied, tell).await?;
        self.end(applied, phase, &[]).await
    }

    /// `SCHEMA_NAME`.
    fn named(&self, name: &str) -> Result<Ident, MigrateError> {
        Ident::new(format!("{}_{name}", self.schema.as_str())).map_err(|error| {
            let cause = format!("the schema of version {name} can not be named: {error}.");
            refused("SCHEMA-NAME", cause, "Give the file a shorter name.")
        })
    }
}

fn expanded(known: &[Applied]) -> impl DoubleEndedIterator<Item = &Applied> {
    known.iter().filter(|applied| applied.phase == Phase::Expanded)
}

/// What all expanded migrations make, by their versions' schemas.
fn planned_ones(known: &[Applied]) -> Vec<(&Ident, &Planned)> {
    expanded(known).map(|applied| (&applied.version_schema, &applied.planned)).collect()
}

/// What all expanded migrations keep in step.
fn active(known: &[Applied]) -> Vec<TableChange> {
    expanded(known).flat_map(|applied| applied.planned.changes.clone()).collect()
}

fn busy_with(applied: &Applied) -> MigrateError {
    refused(
        "MIGRATION-UNFINISHED",
        format!("migration {} is {} and was broken off.", applied.name, applied.phase.as_str()),
        "Give that command again to go on with it, or undo it.",
    )
}

/// Refuses where a migration is on its way, or is detached.
fn refuse_what_is_open(known: &[Applied]) -> Result<(), MigrateError> {
    if let Some(unfinished) = known.iter().find(|applied| !applied.phase.is_at_rest()) {
        return Err(busy_with(unfinished));
    }
    if let Some(detached) = known.iter().find(|applied| applied.phase == Phase::Detached) {
        return Err(refused(
            "MIGRATION-DETACHED",
            format!("migration {} is detached: nothing keeps its versions in step.", detached.name),
            "Attach it again with `switchover db attach`, or undo it.",
        ));
    }
    Ok(())
}
