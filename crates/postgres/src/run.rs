//! Runs the steps of a phase: each once, whatever breaks a run off.

use std::time::{Duration, Instant};

use switchover_migration::plan::{Evaluate, Finding, Lock, SESSION_PATH, Step, Work};
use switchover_migration::{IndexBuild, Literal, QualifiedName};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::backfill;
use crate::migrator::{MigrateError, Progress, Settings};
use crate::notes::{self, Place, begin_index, is_done, note, noted};
use crate::parts;
use crate::tree::tree;

/// How long one try waits for a lock: as long as everybody behind it in the queue waits, too.
pub(crate) const LOCK_TRY: Duration = Duration::from_millis(40);
/// How long one try at the locks of a table and its partitions takes at most: the first ones are held meanwhile.
const LOCK_TRY_WHOLE: Duration = Duration::from_millis(80);
/// The shortest and the longest pause between two tries; what is between is drawn.
const PAUSE: (Duration, Duration) = (Duration::from_millis(60), Duration::from_millis(700));

/// How many rows are named whose values can not be computed.
const FAILING_MOST: u32 = 20;
/// How long such rows are looked for.
const FAILING_SOUGHT: Duration = Duration::from_secs(10);

/// Runs the steps that are not noted as done.
pub(crate) async fn steps(
    client: &mut Client,
    place: Place<'_>,
    steps: &[Step],
    settings: &Settings,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), MigrateError> {
    for step in steps {
        if is_done(client, place, step).await? {
            continue;
        }
        tell(Progress::Began { step: step.name.clone() });
        match &step.work {
            Work::Together(statements) => {
                together(client, place, statements, &mut Try { step, settings, tell }).await?;
            }
            Work::BuildIndex { .. } | Work::DropIndex { .. } | Work::ForeignKey { .. } | Work::Evaluate(_) => {
                note_begun(client, place, step).await?;
                bound(client, settings).await?;
                let done = alone(client, &mut Try { step, settings, tell }).await;
                client.batch_execute("RESET statement_timeout").await?;
                done?;
                note(client, place, step).await?;
            }
            Work::Alone { sql, schema } => {
                notes::begin(client, place, step).await?;
                bound(client, settings).await?;
                let path = format!(
                    "SELECT set_config('search_path', {} || {SESSION_PATH}, false)",
                    Literal(&format!("{schema}, "))
                );
                let own: String = client.query_one("SELECT current_setting('search_path')", &[]).await?.get(0);
                client.batch_execute(&path).await?;
                let done = client.batch_execute(sql).await;
                client.execute("SELECT set_config('search_path', $1, false)", &[&own]).await?;
                client.batch_execute("RESET statement_timeout").await?;
                done.map_err(|error| MigrateError::from(error).at(&step.name))?;
                note(client, place, step).await?;
            }
            Work::Validate { sql, breaks } => {
                bound(client, settings).await?;
                let seen = together(client, place, std::slice::from_ref(sql), &mut Try { step, settings, tell }).await;
                let seen = with_rows(client, step, seen, breaks.as_ref()).await;
                client.batch_execute("RESET statement_timeout").await?;
                seen?;
            }
            Work::Backfill(work) => {
                bound(client, settings).await?;
                let filled = backfill::run(client, place, step, work, settings, tell).await;
                let filled = with_failing(client, step, filled, work.values.as_ref()).await;
                // What failed may be the connection itself.
                let _ = client.batch_execute("RESET statement_timeout").await;
                filled.map_err(|error| error.at(&step.name))?;
                note(client, place, step).await?;
            }
            Work::Check(finding) => {
                bound(client, settings).await?;
                let found = check(client, step, finding).await;
                client.batch_execute("RESET statement_timeout").await?;
                found?;
                note(client, place, step).await?;
            }
        }
    }
    Ok(())
}

/// Notes that an index is ours, or begins to go, before it does.
async fn note_begun(client: &Client, place: Place<'_>, step: &Step) -> Result<(), MigrateError> {
    match &step.work {
        Work::BuildIndex { build, .. } => begin_index(client, place, &step.name, build).await,
        // It is invalid from the first moment on.
        Work::DropIndex { .. } => notes::begin(client, place, step).await,
        _ => Ok(()),
    }
}

/// For what locks are tried, how long, and who is told.
pub(crate) struct Try<'a> {
    pub(crate) step: &'a Step,
    pub(crate) settings: &'a Settings,
    pub(crate) tell: &'a mut (dyn FnMut(Progress) + Send),
}

/// The statements of a step, which is noted in their transaction.
async fn together(
    client: &mut Client,
    place: Place<'_>,
    statements: &[String],
    tried: &mut Try<'_>,
) -> Result<(), MigrateError> {
    let noted = noted(place, &tried.step.name);
    let statements: Vec<String> = statements.iter().cloned().chain([noted]).collect();
    let lock = tried.step.lock.clone();
    locked(client, lock.as_ref(), &statements, tried).await
}

/// One transaction, tried until its locks are had or the deadline is over.
pub(crate) async fn locked(
    client: &mut Client,
    lock: Option<&(Lock, QualifiedName)>,
    statements: &[String],
    Try { step, settings, tell }: &mut Try<'_>,
) -> Result<(), MigrateError> {
    let deadline = Instant::now() + settings.lock_timeout;
    let own: String = client.query_one("SELECT current_setting('statement_timeout')", &[]).await?.get(0);
    let bound = format!(
        "SET LOCAL lock_timeout = '{}ms'; SET LOCAL statement_timeout = '{}ms'",
        LOCK_TRY.as_millis(),
        LOCK_TRY_WHOLE.as_millis()
    );
    loop {
        let transaction = client.transaction().await?;
        transaction.batch_execute(&bound).await?;
        // The strongest lock first: a lock that is raised in the middle of a transaction can deadlock.
        let lock_all = lock.map(|(lock, table)| format!("LOCK TABLE {table} IN {} MODE; ", lock.as_str()));
        let first = format!("{}SET LOCAL statement_timeout = '{own}'", lock_all.unwrap_or_default());
        let mut result = transaction.batch_execute(&first).await;
        let was_locked = result.is_ok();
        for statement in statements {
            if result.is_err() {
                break;
            }
            result = transaction.batch_execute(statement).await;
        }
        match result {
            Ok(()) => {
                transaction.commit().await?;
                return Ok(());
            }
            Err(error) if is_contended(&error) || (!was_locked && is_over(&error)) => {
                transaction.rollback().await?;
                let blockers = match lock {
                    Some((_, table)) => blockers(client, table).await?,
                    None => Vec::new(),
                };
                if Instant::now() >= deadline {
                    return Err(MigrateError::Blocked {
                        step: step.name.clone(),
                        waited: settings.lock_timeout,
                        blockers,
                    });
                }
                tell(Progress::Waits { step: step.name.clone(), blockers });
                tokio::time::sleep(drawn_pause().min(deadline.saturating_duration_since(Instant::now()))).await;
            }
            Err(error) => {
                return Err(MigrateError::from(error).at(&step.name));
            }
        }
    }
}

/// Another session had a lock, or would have been made to wait for ours in turn.
pub(crate) fn is_contended(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| *code == SqlState::LOCK_NOT_AVAILABLE || *code == SqlState::T_R_DEADLOCK_DETECTED)
}

/// The statement took longer than it may.
fn is_over(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| *code == SqlState::QUERY_CANCELED)
}

fn drawn_pause() -> Duration {
    let mut byte = [0_u8; 1];
    let share = getrandom::fill(&mut byte).map_or(0.5, |()| f64::from(byte[0]) / 255.0);
    PAUSE.0 + (PAUSE.1 - PAUSE.0).mul_f64(share)
}

/// Who holds a lock on the table or a partition of it: at most five, the longest transaction first.
pub(crate) async fn blockers(client: &Client, table: &QualifiedName) -> Result<Vec<String>, MigrateError> {
    let rows = client
        .query(
            tree!(
                "$1::text::regclass::oid",
                "SELECT DISTINCT activity.pid, coalesce(activity.usename, '?'), coalesce(nullif(activity.application_name, ''), '?'),
                    coalesce(activity.state, '?'), activity.xact_start,
                    coalesce(extract(epoch FROM statement_timestamp() - activity.xact_start), 0)::float8
               FROM pg_catalog.pg_locks AS held JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = held.pid
              WHERE held.granted AND held.pid <> pg_backend_pid() AND held.relation IN (SELECT oid FROM tree)
              ORDER BY activity.xact_start NULLS LAST LIMIT 5"
            ),
            &[&table.to_string()],
        )
        .await?;
    let told = rows.iter().map(|row| {
        let (pid, user, application, state): (i32, String, String, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let seconds: f64 = row.get(5);
        format!("session {pid} of {user} ({application}), {state}, its transaction open for {seconds:.1} s")
    });
    Ok(told.collect())
}

/// Ends a statement that goes through a whole table, or waits for old transactions, when it takes too long.
async fn bound(client: &Client, settings: &Settings) -> Result<(), MigrateError> {
    let bound = format!("SET statement_timeout = '{}ms'", settings.backfill_timeout.as_millis());
    client.batch_execute(&bound).await?;
    Ok(())
}

/// A step that is no single transaction and finds for itself what of it is done.
async fn alone(client: &mut Client, tried: &mut Try<'_>) -> Result<(), MigrateError> {
    let step = tried.step;
    match &step.work {
        Work::BuildIndex { build, breaks } => {
            let built = if build.partitioned {
                parts::build(client, build, tried).await
            } else {
                concurrently(client, build).await
            };
            with_rows(client, step, built.map_err(|error| error.at(&step.name)), breaks.as_ref()).await
        }
        Work::ForeignKey { on, name, clause, breaks } => {
            let made = parts::foreign_key(client, on, name, clause, tried).await;
            with_rows(client, step, made.map_err(|error| error.at(&step.name)), breaks.as_ref()).await
        }
        Work::Evaluate(work) => {
            let Evaluate { table, values, rows, .. } = work;
            let all = format!("SELECT count(*) FROM {table} WHERE {rows} AND octet_length(ROW({values})::text) < 0");
            let computed = client.query_one(&all, &[]).await.map(|_| ()).map_err(MigrateError::from);
            let computed = with_failing(client, step, computed, Some(work)).await;
            computed.map_err(|error| error.at(&step.name))
        }
        Work::DropIndex { index, of } => {
            let dropped = match of {
                Some(on) => parts::drop_index(client, index, on, tried).await,
                None => {
                    let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
                    client.batch_execute(&drop).await.map_err(MigrateError::from)
                }
            };
            dropped.map_err(|error| error.at(&step.name))
        }
        Work::Together(_) | Work::Alone { .. } | Work::Validate { .. } | Work::Backfill(_) | Work::Check(_) => Ok(()),
    }
}

/// Builds an index beside running writes. What an earlier try left half done is dropped first.
///
/// Errors: another table has an index of this name.
pub(crate) async fn concurrently(client: &Client, build: &IndexBuild) -> Result<(), MigrateError> {
    let (index, on) = (build.index.to_string(), build.on.to_string());
    let row = client
        .query_opt(
            "SELECT index.indisvalid, index.indrelid = $2::text::regclass FROM pg_catalog.pg_index AS index
              WHERE index.indexrelid = to_regclass($1::text)",
            &[&index, &on],
        )
        .await?;
    match row.map(|row| (row.get::<_, bool>(0), row.get::<_, bool>(1))) {
        Some((_, false)) => {
            let means = format!("the name is taken, by an index that is not one of {on}");
            let step = format!("build index {index}");
            return Err(MigrateError::of_index(&step, &index, &means, SqlState::DUPLICATE_TABLE));
        }
        Some((true, true)) => return Ok(()),
        Some((false, true)) => {
            client.batch_execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await?;
        }
        None => {}
    }
    client.batch_execute(&build.sql()).await?;
    Ok(())
}

/// `result`; where rows broke a constraint, which ones they are.
async fn with_rows(
    client: &Client,
    step: &Step,
    result: Result<(), MigrateError>,
    breaks: Option<&Finding>,
) -> Result<(), MigrateError> {
    match (result, breaks) {
        (Err(error), Some(finding)) if error.is_of_rows() => {
            check(client, step, finding).await?;
            Err(error)
        }
        (result, _) => result,
    }
}

/// `result`; where values can not be computed, for which rows, as far as these are found in a moment.
async fn with_failing(
    client: &Client,
    step: &Step,
    result: Result<(), MigrateError>,
    values: Option<&Evaluate>,
) -> Result<(), MigrateError> {
    let (Err(error), Some(Evaluate { table, values, rows, key })) = (&result, values) else { return result };
    if !error.is_of_values() {
        return result;
    }
    let find = format!(
        "SELECT switchover.rows_that_fail($1, $2, $3, $4, {FAILING_MOST}, '{} ms')",
        FAILING_SOUGHT.as_millis()
    );
    // What went wrong is told even where the rows can not be looked for.
    let found = client.query(&find, &[&table.to_string(), key, values, rows]).await.unwrap_or_default();
    let keys: Vec<String> = found.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()).collect();
    if keys.is_empty() {
        return result;
    }
    Err(MigrateError::Found { step: step.name.clone(), means: error.to_string(), keys })
}

async fn check(client: &Client, step: &Step, finding: &Finding) -> Result<(), MigrateError> {
    let rows = client.query(&finding.query, &[]).await?;
    let keys: Vec<String> = rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()).collect();
    if keys.is_empty() {
        return Ok(());
    }
    Err(MigrateError::Found { step: step.name.clone(), means: finding.means.clone(), keys })
}
