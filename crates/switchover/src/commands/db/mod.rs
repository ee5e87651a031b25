//! `switchover db ...`: schema changes by hand, without a release or a daemon.

mod attach;
mod baseline;
mod contract;
mod expand;
mod failed;
mod history;
mod lint;
mod migrate;
mod pacing;
mod plan;
mod purge;
mod status;
mod undo;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use switchover_migration::{Ident, Migration};
use switchover_model::config::OldRows;
use switchover_model::view::SCHEMA_VERSION;
use switchover_postgres::{Applied, Migrator, Phase, Progress, Settings};

use failed::{failed, failed_in};
use pacing::Pacing;

use super::deploy::length;
use crate::cli::Shared;
use crate::failure::{Done, Failure};
use crate::say;

/// Change a database's schema so that two versions of an app can use it at once
#[derive(Debug, clap::Args)]
pub(crate) struct Db {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Plan(plan::Plan),
    Expand(expand::Expand),
    Lint(lint::Lint),
    Migrate(migrate::Migrate),
    Contract(contract::Contract),
    Undo(undo::Undo),
    Status(status::Status),
    History(history::History),
    Purge(purge::Purge),
    Baseline(baseline::Baseline),
    Detach(attach::Detach),
    Attach(attach::Attach),
}

impl Db {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        match self.verb {
            Verb::Plan(plan) => plan.run(shared).await,
            Verb::Expand(expand) => expand.run(shared).await,
            Verb::Lint(lint) => lint.run(shared).await,
            Verb::Migrate(migrate) => migrate.run(shared).await,
            Verb::Contract(contract) => contract.run(shared).await,
            Verb::Undo(undo) => undo.run(shared).await,
            Verb::Status(status) => status.run(shared).await,
            Verb::History(history) => history.run(shared).await,
            Verb::Purge(purge) => purge.run(shared).await,
            Verb::Baseline(baseline) => baseline.run(shared).await,
            Verb::Detach(detach) => detach.run(shared).await,
            Verb::Attach(attach) => attach.run(shared).await,
        }
    }
}

/// Which database, and how patiently.
#[derive(Debug, clap::Args)]
struct Place {
    /// The database, such as postgres://app@localhost/shop; others can read it in the process list, so prefer the variable
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    url: String,
    /// The schema whose tables change
    #[arg(long, default_value = "public", value_name = "NAME")]
    schema: String,
    /// How long one step may try for its locks, 40 ms at a time
    #[arg(long, default_value = "60s", value_name = "D", value_parser = length)]
    lock_timeout: Duration,
}

/// The same where a database is looked at only when it is asked for.
#[derive(Debug, clap::Args)]
struct MaybePlace {
    /// The database, such as postgres://app@localhost/shop; others can read it in the process list, so prefer the variable
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    url: Option<String>,
    /// The schema whose tables change
    #[arg(long, default_value = "public", value_name = "NAME")]
    schema: String,
}

impl MaybePlace {
    fn given(&self) -> Result<Place, Failure> {
        let url = self.url.clone().ok_or_else(|| {
            Failure::wrong("DATABASE-URL", "no database is named.", "Give --url, or set DATABASE_URL.")
        })?;
        Ok(Place { url, schema: self.schema.clone(), lock_timeout: Settings::default().lock_timeout })
    }
}

/// What a new rule means for the older version.
#[derive(Debug, clap::Args)]
struct OldRowsChoice {
    /// What becomes of an older version's value that only a rule of the newer one forbids: `accept` lets it in, and its row
    /// holds contract up until it is mended
    #[arg(long, default_value = "refuse", value_name = "refuse|accept", value_parser = ["refuse", "accept"])]
    old_rows: String,
}

impl From<OldRowsChoice> for OldRows {
    fn from(choice: OldRowsChoice) -> Self {
        if choice.old_rows == "accept" { Self::Accept } else { Self::Refuse }
    }
}

impl Place {
    /// To look alone: also while a migrator works, and where nothing may be written.
    async fn looker(&self) -> Result<Migrator, Failure> {
        let looker = Migrator::look(&self.url, self.schema()?).await.map_err(failed)?;
        looker.refuse_unknown_schema().await.map_err(failed)?;
        Ok(looker)
    }

    fn schema(&self) -> Result<Ident, Failure> {
        Ident::new(self.schema.as_str()).map_err(|error| {
            Failure::wrong("SCHEMA-NAME", format!("--schema: {error}."), "Name it as it is in the database.")
        })
    }

    async fn migrator(&self) -> Result<Migrator, Failure> {
        self.migrator_with(Settings::default()).await
    }

    async fn migrator_with(&self, settings: Settings) -> Result<Migrator, Failure> {
        let schema = self.schema()?;
        let settings = Settings { lock_timeout: self.lock_timeout, ..settings };
        Migrator::connect(&self.url, schema, settings).await.map_err(failed)
    }
}

/// The file of a migration, named after it. Of one in SQL all parts are read that stand beside it.
fn migration(path: &Path) -> Result<Migration, Failure> {
    if path.extension().is_some_and(|ending| ending == "sql") {
        return lint::migration_in_sql(path);
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        let cause = format!("{} can not be read: {error}.", path.display());
        Failure::wrong("MIGRATION-FILE", cause, "Name a file of declared operations (YAML or JSON), or of SQL.")
    })?;
    switchover_migration::parse(&text, &path.display().to_string()).map_err(Failure::Mistakes)
}

/// Tells what goes on, one line a step and at most one a second of a backfill.
struct Teller {
    json: bool,
    rows_told: Option<std::time::Instant>,
    /// The newest line of a backfill, where it came too soon to be told: the last one of a table is.
    untold: Option<String>,
}

impl Teller {
    /// The shortest time between two lines of a backfill.
    const BETWEEN: Duration = Duration::from_secs(1);

    fn new(shared: &Shared) -> Self {
        Self { json: shared.json, rows_told: None, untold: None }
    }

    /// Whether the last line of a backfill is long enough ago.
    fn is_time(&mut self) -> bool {
        let is_time = self.rows_told.is_none_or(|told| told.elapsed() >= Self::BETWEEN);
        if is_time {
            self.rows_told = Some(std::time::Instant::now());
        }
        is_time
    }

    fn tell(&mut self, progress: Progress) {
        if self.json {
            return;
        }
        if let (Some(untold), false) = (self.untold.take(), matches!(progress, Progress::Backfilled { .. })) {
            say::line(untold);
            self.rows_told = None;
        }
        match progress {
            Progress::Began { step } => say::line(step),
            Progress::Waits { blockers, .. } => {
                let who = if blockers.is_empty() { "another session".to_owned() } else { blockers.join("; ") };
                say::line(format_args!("  waits for its lock: {who}"));
            }
            Progress::Backfilled { done, rows_per_second, time_left, .. } => {
                let told = pacing::told(done, rows_per_second, time_left);
                if self.is_time() {
                    say::line(told);
                } else {
                    self.untold = Some(told);
                }
            }
            Progress::HeldUp { by, .. } => {
                if self.is_time() {
                    say::line(format_args!("  waits: {by}"));
                }
            }
            Progress::Edited { name } => {
                say::line(format_args!("{name} was edited after its expand: that is undone, then expanded anew"));
            }
            Progress::Differ { rows: 0, table, .. } => say::line(format_args!("no row of {table} differs")),
            Progress::Differ { table, rows, keys } => {
                say::line(format_args!(
                    "{rows} rows of {table} differ, such as those with the keys {}",
                    keys.join("; ")
                ));
            }
        }
    }
}

/// A migration as `--json` prints it.
#[derive(Debug, Serialize)]
struct AppliedView {
    name: String,
    phase: &'static str,
    /// The schema of its version.
    version: String,
    /// Since when it is in its phase.
    since: String,
    /// Until when at least undo brings back what its contract put aside; nothing where none is there.
    restorable_until: Option<String>,
}

impl AppliedView {
    fn of(applied: &Applied) -> Self {
        Self {
            name: applied.name.clone(),
            phase: applied.phase.as_str(),
            version: applied.version_schema.as_str().to_owned(),
            since: applied.since.clone(),
            restorable_until: applied.restorable_until.clone(),
        }
    }
}

/// What a command that changed migrations prints with `--json`: the last one's fields, and all that were gone through.
#[derive(Debug, Serialize)]
struct DoneView {
    schema_version: u32,
    #[serde(flatten)]
    last: Option<AppliedView>,
    migrations: Vec<AppliedView>,
}

/// Tells what became of migrations, in the order in which they were gone through.
fn tell_done(shared: &Shared, done: &[Applied]) {
    if shared.json {
        say::json(&DoneView {
            schema_version: SCHEMA_VERSION,
            last: done.last().map(AppliedView::of),
            migrations: done.iter().map(AppliedView::of).collect(),
        });
        return;
    }
    for (at, applied) in done.iter().enumerate() {
        let version = applied.version_schema.as_str();
        // Contracted one after the other, each took the version of the one before away.
        if applied.phase == Phase::Contracted && at + 1 < done.len() {
            say::line(format_args!("{} is contracted", applied.name));
            continue;
        }
        match &applied.restorable_until {
            _ if applied.phase == Phase::Undone => {
                say::line(format_args!("{} is undone; its version, schema {version}, is gone", applied.name));
            }
            Some(until) => say::line(format_args!(
                "{} is {}; its version is schema {version}; what was put aside can be restored until {until} at least",
                applied.name,
                applied.phase.as_str()
            )),
            None => say::line(format_args!(
                "{} is {}; its version is schema {version}",
                applied.name,
                applied.phase.as_str()
            )),
        }
    }
}
