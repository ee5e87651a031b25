//! `switchover db ...`: schema changes by hand, without a release or a daemon.

mod contract;
mod expand;
mod plan;
mod status;
mod undo;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use switchover_migration::{Ident, Migration};
use switchover_model::Problem;
use switchover_model::view::SCHEMA_VERSION;
use switchover_postgres::{Applied, MigrateError, Migrator, Progress, Settings};

use super::deploy::length;
use crate::cli::Shared;
use crate::exit::Exit;
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
    Contract(contract::Contract),
    Undo(undo::Undo),
    Status(status::Status),
}

impl Db {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        match self.verb {
            Verb::Plan(plan) => plan.run(shared).await,
            Verb::Expand(expand) => expand.run(shared).await,
            Verb::Contract(contract) => contract.run(shared).await,
            Verb::Undo(undo) => undo.run(shared).await,
            Verb::Status(status) => status.run(shared).await,
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

impl Place {
    /// To look alone: also while a migrator works, and where nothing may be written.
    async fn looker(&self) -> Result<Migrator, Failure> {
        Migrator::look(&self.url, self.schema()?).await.map_err(failed)
    }

    fn schema(&self) -> Result<Ident, Failure> {
        Ident::new(self.schema.as_str()).map_err(|error| {
            Failure::wrong("SCHEMA-NAME", format!("--schema: {error}."), "Name it as it is in the database.")
        })
    }

    async fn migrator(&self) -> Result<Migrator, Failure> {
        let schema = self.schema()?;
        let settings = Settings { lock_timeout: self.lock_timeout, ..Settings::default() };
        Migrator::connect(&self.url, schema, settings).await.map_err(failed)
    }
}

/// The file of a migration, named after it.
fn migration(path: &Path) -> Result<Migration, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let cause = format!("{} can not be read: {error}.", path.display());
        Failure::wrong("MIGRATION-FILE", cause, "Name a file of declared operations, in YAML or JSON.")
    })?;
    switchover_migration::parse(&text, &path.display().to_string()).map_err(Failure::Mistakes)
}

fn failed(error: MigrateError) -> Failure {
    let refused = |problem: Problem| Failure::Problem(Exit::Refused, problem);
    let again = "What was done stays; give the same command again to go on, or `switchover db undo` to take it back.";
    let back = "The expand was taken back; nothing of it is left.";
    match error {
        MigrateError::Connect(error) => Failure::Problem(Exit::Unreachable, error.problem()),
        MigrateError::Refused(mut problems) => {
            let more = problems.split_off(problems.len().min(1));
            let first = problems.pop().unwrap_or_else(|| Problem::new("PLAN-REFUSED", "The plan was refused.", ""));
            refused(first.with_detail(more.iter().map(ToString::to_string).collect()))
        }
        MigrateError::Busy(_) => {
            refused(Problem::new("MIGRATOR-BUSY", format!("{error}."), "Wait for it; one works at a time."))
        }
        MigrateError::Blocked { .. } => Failure::other(
            "LOCK-NOT-HAD",
            format!("{error}."),
            format!("End these sessions, or raise --lock-timeout. {again}"),
        ),
        MigrateError::TooLong { .. } => Failure::other("BACKFILL-TOO-LONG", format!("{error}."), again),
        MigrateError::TakenBack(within) => match *within {
            MigrateError::Found { .. } => Failure::other(
                "ROWS-IN-THE-WAY",
                format!("{within}."),
                format!("{back} Mend these rows, then expand again."),
            ),
            within => Failure::other(
                "STEP-FAILED",
                format!("{within}."),
                format!("{back} Mend the cause, then expand again."),
            ),
        },
        MigrateError::Found { .. } => {
            Failure::other("ROWS-IN-THE-WAY", format!("{error}."), format!("Mend these rows. {again}"))
        }
        MigrateError::Step { .. } => Failure::other("STEP-FAILED", format!("{error}."), again),
        MigrateError::Database(_) => Failure::other("DATABASE-REFUSED", format!("{error}."), again),
        MigrateError::Unexpected(_) => Failure::other("DATABASE-UNEXPECTED", format!("{error}."), again),
    }
}

/// Tells what goes on, one line a step and at most one a second of a backfill.
struct Teller {
    json: bool,
    rows_told: Option<std::time::Instant>,
}

impl Teller {
    /// The shortest time between two lines of a backfill.
    const BETWEEN: Duration = Duration::from_secs(1);

    fn new(shared: &Shared) -> Self {
        Self { json: shared.json, rows_told: None }
    }

    fn tell(&mut self, progress: Progress) {
        if self.json {
            return;
        }
        match progress {
            Progress::Began { step } => say::line(step),
            Progress::Waits { blockers, .. } => {
                let who = if blockers.is_empty() { "another session".to_owned() } else { blockers.join("; ") };
                say::line(format_args!("  waits for its lock: {who}"));
            }
            Progress::Backfilled { rows, of, .. } => {
                if self.rows_told.is_none_or(|told| told.elapsed() >= Self::BETWEEN) {
                    self.rows_told = Some(std::time::Instant::now());
                    say::line(format_args!("  {rows} rows of about {of}"));
                }
            }
        }
    }
}

/// A migration as `--json` prints it.
#[derive(Debug, Serialize)]
struct AppliedView {
    schema_version: u32,
    name: String,
    phase: &'static str,
    version: String,
}

fn tell_done(shared: &Shared, applied: &Applied) {
    let version = applied.version_schema.as_str().to_owned();
    if shared.json {
        say::json(&AppliedView {
            schema_version: SCHEMA_VERSION,
            name: applied.name.clone(),
            phase: applied.phase.as_str(),
            version,
        });
    } else {
        say::line(format_args!("{} is {}; its version is schema {version}", applied.name, applied.phase.as_str()));
    }
}
