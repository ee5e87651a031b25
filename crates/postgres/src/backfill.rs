//! Brings rows in step in small batches, in the order of the primary key.
//!
//! A batch waits for no row for longer than [`LOCK_WAIT`]: where an application has one locked, the batch gives up what it
//! has and goes on without the locked rows, which come again in the next round. So an application waits for a batch at most as
//! long as the batch takes, and the batch is never part of a deadlock. Where it is, is told by the rows themselves: those
//! without a mark are left to do, so nothing is begun anew after a crash.

use std::time::{Duration, Instant};

use switchover_migration::Ident;
use switchover_migration::change::BACKFILL_SETTING;
use switchover_migration::plan::Backfill;
use tokio_postgres::Client;

use crate::migrator::{MigrateError, Progress, Settings};
use crate::run::is_contended;

/// How long a batch shall take: half of what an application may be made to wait for it.
const BATCH_TIME: Duration = Duration::from_millis(50);
/// How long a batch waits for a row.
const LOCK_WAIT: Duration = Duration::from_millis(10);
/// Rows of the first batch, of the smallest and of the largest.
const ROWS: (i64, i64, i64) = (500, 50, 10_000);
/// How often the whole table is gone through for rows that were locked every time.
const ROUNDS: u32 = 1_000;
/// Between two rounds.
const ROUND_PAUSE: Duration = Duration::from_millis(200);

pub(crate) async fn run(
    client: &mut Client,
    work: &Backfill,
    settings: &Settings,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), MigrateError> {
    let deadline = Instant::now() + settings.backfill_timeout;
    let mut done = 0_u64;
    for _ in 0..ROUNDS {
        let skipped = round(client, work, &mut done, deadline, tell).await?;
        if !skipped && is_complete(client, work).await? {
            return Ok(());
        }
        tokio::time::sleep(ROUND_PAUSE).await;
    }
    Err(MigrateError::Unexpected(format!("rows of {} were locked in each of {ROUNDS} rounds", work.table)))
}

/// Goes through the table once; says whether a row was left out because it was locked.
async fn round(
    client: &mut Client,
    work: &Backfill,
    done: &mut u64,
    deadline: Instant,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<bool, MigrateError> {
    let mut rows = ROWS.0;
    let mut after: Option<String> = None;
    let mut skipped = false;
    while let Some(until) = batch_end(client, work, after.as_deref(), rows).await? {
        if Instant::now() >= deadline {
            return Err(MigrateError::TooLong { what: work.table.to_string() });
        }
        let begun = Instant::now();
        let within = range(work, after.as_deref(), &until);
        match batch(client, work, &within, false).await {
            Ok(count) => *done += count,
            Err(error) if is_contended(&error) => {
                skipped = true;
                *done += batch(client, work, &within, true).await?;
            }
            Err(error) => return Err(error.into()),
        }
        let took = begun.elapsed();
        let fitting = BATCH_TIME.as_secs_f64() / took.as_secs_f64().max(0.001);
        rows = ((rows as f64 * fitting.clamp(0.5, 2.0)) as i64).clamp(ROWS.1, ROWS.2);
        after = Some(until);
        tell(Progress::Backfilled { table: work.table.to_string(), rows: *done, of: work.rows });
    }
    Ok(skipped)
}

fn key_list(key: &[Ident]) -> String {
    key.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A key's values as a row that SQL can read back.
fn key_text(key: &[Ident]) -> String {
    let each: Vec<String> = key.iter().map(|column| format!("quote_literal({column})")).collect();
    format!("concat_ws(', ', {})", each.join(", "))
}

/// The key of the last row of the next batch; nothing when none is left.
async fn batch_end(
    client: &Client,
    work: &Backfill,
    after: Option<&str>,
    rows: i64,
) -> Result<Option<String>, MigrateError> {
    let (keys, table) = (key_list(&work.key), &work.table);
    let beyond = after.map(|after| format!(" AND ({keys}) > ({after})")).unwrap_or_default();
    let query = format!(
        "SELECT {} FROM (SELECT {keys} FROM {table} WHERE {}{beyond} ORDER BY {keys} LIMIT {rows}) AS batch \
         ORDER BY {} LIMIT 1",
        key_text(&work.key),
        work.is_to_do(),
        work.key.iter().map(|column| format!("{column} DESC")).collect::<Vec<_>>().join(", ")
    );
    Ok(client.query_opt(&query, &[]).await?.map(|row| row.get(0)))
}

fn range(work: &Backfill, after: Option<&str>, until: &str) -> String {
    let keys = key_list(&work.key);
    let from = after.map(|after| format!("({keys}) > ({after}) AND ")).unwrap_or_default();
    format!("{from}({keys}) <= ({until}) AND {}", work.is_to_do())
}

async fn batch(
    client: &mut Client,
    work: &Backfill,
    within: &str,
    skip_locked: bool,
) -> Result<u64, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction
        .batch_execute(&format!(
            "SET LOCAL lock_timeout = '{}ms'; SET LOCAL {BACKFILL_SETTING} = 'on'; SET LOCAL synchronous_commit = off",
            LOCK_WAIT.as_millis()
        ))
        .await?;
    let (keys, table) = (key_list(&work.key), &work.table);
    let update = if skip_locked {
        format!(
            "UPDATE {table} SET {} WHERE ({keys}) IN (SELECT {keys} FROM {table} WHERE {within} FOR NO KEY UPDATE SKIP LOCKED)",
            work.set
        )
    } else {
        format!("UPDATE {table} SET {} WHERE {within}", work.set)
    };
    let count = transaction.execute(&update, &[]).await?;
    transaction.commit().await?;
    Ok(count)
}

async fn is_complete(client: &Client, work: &Backfill) -> Result<bool, MigrateError> {
    let query = format!("SELECT NOT EXISTS (SELECT FROM {} WHERE {})", work.table, work.is_to_do());
    Ok(client.query_one(&query, &[]).await?.get(0))
}
