//! Carries a goal out, one operation after the other, as the road from what is there tells.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchover_migration::road::{NoRoad, Road, Step};
use switchover_migration::{Ident, Migration, directory};
use switchover_model::revision::RevisionSchema;
use switchover_model::schema::{RestorePoint, SchemaFailure, SchemaGoal, SchemaOrder, SchemaPlace, SchemaWork};
use switchover_model::{Problem, ReleaseId};

use super::{Told, lock};
use crate::error::unexpected;
use crate::{Database, MigrateError, Migrator, Progress, Settings};

/// Between two tries of what the server or another migrator stands in the way of. The release's own patience ends it.
const AGAIN: Duration = Duration::from_secs(2);
/// The most operations of one goal: more would be a road that leads in a circle.
const MOST_STEPS: usize = 10_000;
/// How long setting a restore point may take.
const RESTORE_POINT: Duration = Duration::from_secs(5);

/// Works until the goal is reached, or can not be.
pub(super) async fn work(told: Arc<Mutex<Told>>, order: SchemaOrder) {
    let outcome = loop {
        let place = lock(&told).place.clone();
        match reach(&told, &place, &order).await {
            Err(Ended::Error(error)) if error.may_pass() => {
                tracing::warn!(app = %place.app, %error, "the schema's goal is tried again");
                tokio::time::sleep(AGAIN).await;
            }
            Err(Ended::Error(error)) => break Err(error.problem()),
            Err(Ended::Problem(problem)) => break Err(problem),
            Ok(()) => break Ok(()),
        }
    };
    let mut told = lock(&told);
    told.doing = None;
    if let Err(problem) = outcome {
        told.failed = Some(SchemaFailure { goal: order.goal, problem });
    }
}

/// Why a goal was not reached.
enum Ended {
    Error(MigrateError),
    Problem(Problem),
}

impl From<MigrateError> for Ended {
    fn from(error: MigrateError) -> Self {
        Self::Error(error)
    }
}

async fn reach(told: &Mutex<Told>, place: &SchemaPlace, order: &SchemaOrder) -> Result<(), Ended> {
    let migrations = migrations(order)?;
    let settings = Settings {
        lock_timeout: place.rules.lock_timeout.to_std(),
        backfill_timeout: place.rules.backfill_timeout.to_std(),
        backfill_rate: place.rules.backfill_rate.map(u64::from),
        backfill_lag: place.rules.backfill_lag.to_std(),
        old_rows: place.rules.old_rows,
        attic: place.rules.attic.to_std(),
        epoch: Some(place.epoch),
    };
    let schema = Ident::new(place.rules.schema.as_str()).map_err(unexpected)?;
    let mut migrator = Migrator::connect(&place.url, schema, settings).await?;
    for _ in 0..MOST_STEPS {
        let known = super::look::known(&migrator.applied().await?);
        let baseline = known.1.as_deref();
        let wanted = after(&order.wanted, baseline);
        let beside: Vec<RevisionSchema> = order.beside.iter().map(|schema| after(schema, baseline)).collect();
        let nothing = RevisionSchema { migrations: Vec::new(), ..wanted.clone() };
        let road = match &order.goal {
            SchemaGoal::Serve { .. } => Road::Serve { wanted: &wanted, beside: &beside },
            SchemaGoal::Leave { .. } => Road::Leave { wanted: &wanted },
            SchemaGoal::Detach { .. } => Road::Detach { wanted: &wanted, beside: beside.first().unwrap_or(&nothing) },
        };
        let Some(step) = road.next(&known.0).map_err(|why| Ended::Problem(no_road(&why)))? else { return Ok(()) };
        tracing::info!(app = %place.app, ?step, "the schema goes on");
        take(told, &mut migrator, &order.goal, &step, &migrations).await?;
    }
    Err(Ended::Error(unexpected("the road to the schema's goal has no end")))
}

/// What a revision needs beyond what the database was found with.
fn after(schema: &RevisionSchema, baseline: Option<&str>) -> RevisionSchema {
    RevisionSchema { migrations: schema.after(baseline).to_vec(), ..schema.clone() }
}

fn migrations(order: &SchemaOrder) -> Result<Vec<Migration>, Ended> {
    let files: Vec<directory::File> = order.files.iter().map(|file| (file.name.clone(), file.text.clone())).collect();
    directory::read(&files).map_err(|mistakes| {
        let told = mistakes.iter().map(ToString::to_string).collect();
        let problem = Problem::new(
            "MIGRATIONS-WRONG",
            "the revision's migrations are not right.",
            "Mend these files, then deploy again.",
        );
        Ended::Problem(problem.with_detail(told))
    })
}

fn no_road(why: &NoRoad) -> Problem {
    let (code, next) = match why {
        NoRoad::Edited(_) => ("MIGRATION-EDITED", "Put the file back as it was, and make the change in a new one."),
        NoRoad::InUse(_) => (
            "MIGRATION-IN-USE",
            "Put the file back as it was, and make the change in a new one; or wait until nothing stands on it.",
        ),
        NoRoad::StandsOn { .. } => {
            ("MIGRATION-IN-USE", "Keep it in the next revision too, or leave both out in a release of their own.")
        }
    };
    Problem::new(code, format!("{why}."), next)
}

async fn take(
    told: &Mutex<Told>,
    migrator: &mut Migrator,
    goal: &SchemaGoal,
    step: &Step,
    migrations: &[Migration],
) -> Result<(), Ended> {
    let about = name_of(step).to_owned();
    let mut doing = SchemaWork { goal: goal.clone(), step: about.clone(), rows: None, blockers: Vec::new() };
    let mut tell = |progress: Progress| {
        match progress {
            Progress::Began { step } => {
                doing = SchemaWork {
                    goal: goal.clone(),
                    step: format!("{about}: {step}"),
                    rows: None,
                    blockers: Vec::new(),
                };
            }
            Progress::Waits { blockers, .. } => doing.blockers = blockers,
            Progress::Backfilled { done, .. } => {
                doing.rows = Some(done);
                doing.blockers.clear();
            }
            Progress::HeldUp { by, .. } => doing.blockers = vec![by],
            Progress::Edited { .. } => {}
            Progress::Differ { table, rows, .. } => {
                doing.step = format!("{about}: {rows} rows of {table} differ and are brought in step");
            }
        }
        lock(told).doing = Some(doing.clone());
    };
    match step {
        Step::Expand(id) => {
            let migration = migrations.iter().find(|migration| migration.name.as_str() == id.name);
            let migration = migration.ok_or_else(|| {
                let cause = format!("the file of migration {} is not in the revision.", id.name);
                Ended::Problem(Problem::new("MIGRATIONS-WRONG", cause, "Deploy again."))
            })?;
            migrator.expand(migration, &mut tell).await?;
        }
        Step::Attach(name) => {
            migrator.attach(name, &mut tell).await?;
        }
        Step::Contract(_) => {
            migrator.contract(&mut tell).await?;
        }
        Step::Undo(_) | Step::Restore(_) => {
            migrator.undo(&mut tell).await?;
        }
        Step::Detach(name) => {
            migrator.detach(name, &mut tell).await?;
        }
    }
    Ok(())
}

fn name_of(step: &Step) -> &str {
    match step {
        Step::Expand(id) => &id.name,
        Step::Attach(name) | Step::Contract(name) | Step::Undo(name) | Step::Restore(name) | Step::Detach(name) => name,
    }
}

/// Sets the named restore point of a release; what stands in its way is in it.
pub(super) async fn restore_point(place: &SchemaPlace, release: ReleaseId) -> RestorePoint {
    let name = format!("switchover_{}_release_{release}", place.app);
    let set = async {
        let database = Database::connect(&place.url).await?;
        let row = database.client().query_one("SELECT pg_create_restore_point($1)::text", &[&name]).await?;
        Ok::<String, MigrateError>(row.get(0))
    };
    match tokio::time::timeout(RESTORE_POINT, set).await {
        Ok(Ok(lsn)) => RestorePoint { name, lsn: Some(lsn), why_not: None },
        Ok(Err(error)) => RestorePoint { name, lsn: None, why_not: Some(error.to_string()) },
        Err(_) => RestorePoint { name, lsn: None, why_not: Some("the server did not answer in time".to_owned()) },
    }
}
