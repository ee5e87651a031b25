//! Brings rows in step in small batches, block after block of the table as it lies on disk.
//!
//! A batch waits for no row: one that an application has locked is left out and comes again later. So an application waits for
//! a batch at most as long as the batch takes ([`pace::BATCH_MOST`]), and a batch is never part of a deadlock between rows.
//!
//! Where the work is, the database holds in the transaction of each batch ([`cursor`]), so that nothing is begun anew after a
//! crash. What is left to do is told by the rows themselves all the same: the cursor saves reading, and is never believed. It
//! may be wrong after `VACUUM FULL`; then what it passed over is found at the end and gone through.
//!
//! Each stretch of blocks is filled in several parts, a transaction each. The first one's rows move away, because their page
//! is full; what they leave is free for the next part's rows, which then stay on their page and touch no index (a heap-only
//! update). That writes less and grows the table less than one update of all rows does.

mod batch;
pub(crate) mod cursor;
mod gauge;
mod lag;
mod pace;

use std::time::{Duration, Instant};

use switchover_migration::plan::{Backfill, Step};
use switchover_migration::{Ident, QualifiedName};
use switchover_model::schema::RowsDone;
use tokio_postgres::Client;

use crate::error::unexpected;
use crate::migrator::{MigrateError, Progress, Settings};
use crate::notes::Place;
use crate::run::blockers;
use crate::tree::tree;
use batch::{Batch, Outcome};
use cursor::Cursor;
use gauge::Gauge;
use lag::Standbys;
use pace::{Pace, Slice};

/// Between two looks at standbys and at what else the server does.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Between two tries at rows that others have locked.
const AGAIN_EVERY: Duration = Duration::from_millis(200);
/// The most stretches with locked rows that are kept in mind; with more the whole table is gone through again.
const AGAIN_MOST: usize = 1_024;

/// One backfill on its way.
struct Fill<'a> {
    work: &'a Backfill,
    settings: &'a Settings,
    tell: &'a mut (dyn FnMut(Progress) + Send),
    deadline: Instant,
    pace: Pace,
    gauge: Gauge,
    standbys: Standbys,
    looked_at: Option<Instant>,
}

/// Blocks with rows that others had locked.
struct Stretch {
    cursor: Cursor,
    from: u64,
    to: u64,
}

/// Goes through the table until no row is left to do.
///
/// Guarantees: given again, it goes on behind the batches that were committed; a row that is in step is not written.
/// Cancellation: may be dropped at any time, with the session.
pub(crate) async fn run(
    client: &Client,
    place: Place<'_>,
    step: &Step,
    work: &Backfill,
    settings: &Settings,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), MigrateError> {
    let now = Instant::now();
    let mut fill = Fill {
        work,
        settings,
        tell,
        deadline: now + settings.backfill_timeout,
        // Where few rows are to do, there is little to gain from parts, and each part reads all.
        pace: Pace::new(if work.only.is_some() { 1 } else { pace::PARTS }, settings.backfill_rate, now),
        gauge: Gauge::default(),
        standbys: Standbys::default(),
        looked_at: None,
    };
    let mut is_first = true;
    loop {
        let mut cursors = cursor::open(client, place, step, work).await?;
        if !is_first {
            for cursor in &mut cursors {
                cursor.begin_anew(client).await?;
            }
        }
        let again = fill.pass(client, &mut cursors).await?;
        fill.again(client, again).await?;
        if is_complete(client, work).await? {
            return Ok(());
        }
        is_first = false;
        tokio::time::sleep(AGAIN_EVERY).await;
    }
}

impl Fill<'_> {
    /// Goes through all parts of the table once; gives the stretches with rows that were locked.
    async fn pass(&mut self, client: &Client, cursors: &mut [Cursor]) -> Result<Vec<Stretch>, MigrateError> {
        let mut again = Vec::new();
        let mut left: u64 = cursors.iter().map(Cursor::blocks_left).sum();
        let before: u64 = cursors.iter().map(|cursor| cursor.rows).sum();
        self.gauge.begin(before, left);
        for cursor in cursors {
            while cursor.blocks_left() > 0 {
                let from = cursor.at;
                let to = cursor.until.min(from + self.pace.slice().blocks);
                let Some(is_whole) = self.stretch(client, cursor, from, to).await? else { continue };
                if !is_whole && again.len() < AGAIN_MOST {
                    again.push(Stretch { cursor: cursor.clone(), from, to });
                }
                left -= to - from;
                self.gauge.left(left);
            }
        }
        Ok(again)
    }

    /// Comes back to rows that were locked, until none of them is.
    async fn again(&mut self, client: &Client, mut again: Vec<Stretch>) -> Result<(), MigrateError> {
        while !again.is_empty() {
            let who = blockers(client, &self.work.table).await?;
            let who = if who.is_empty() { "another session".to_owned() } else { who.join("; ") };
            self.hold(&format!("rows that others have locked: {who}"));
            self.sleep(AGAIN_EVERY).await?;
            let mut still = Vec::new();
            for mut stretch in again {
                match self.stretch(client, &mut stretch.cursor, stretch.from, stretch.to).await? {
                    Some(true) => {}
                    Some(false) | None => still.push(stretch),
                }
            }
            again = still;
        }
        Ok(())
    }

    /// Fills the blocks `from..to`; says whether no row in them is left to do. Nothing when the stretch was too long to be
    /// filled at once, and is to be tried again with a smaller slice.
    async fn stretch(
        &mut self,
        client: &Client,
        cursor: &mut Cursor,
        from: u64,
        to: u64,
    ) -> Result<Option<bool>, MigrateError> {
        let Slice { parts, bound, .. } = self.pace.slice();
        let (mut longest, mut most) = (Duration::ZERO, 0);
        let mut is_whole = true;
        for part in 0..parts {
            self.yield_to_others(client).await?;
            let batch = Batch { work: self.work, cursor, from, to, part, parts, bound };
            let begun = Instant::now();
            match batch.run(client).await? {
                Outcome::Filled { rows, is_left } => {
                    let took = begun.elapsed();
                    (longest, most) = (longest.max(took), most.max(rows));
                    is_whole = !is_left;
                    cursor.rows += rows;
                    self.told(rows);
                    let rest = self.pace.rest(rows, took, Instant::now());
                    self.sleep(rest).await?;
                }
                Outcome::TooLong => {
                    self.pace.overran();
                    return Ok(None);
                }
                Outcome::Locked => {
                    is_whole = false;
                    self.sleep(AGAIN_EVERY).await?;
                }
            }
        }
        // A stretch that is gone back to lies before where the cursor is.
        cursor.at = cursor.at.max(to);
        self.pace.took(longest, most);
        Ok(Some(is_whole))
    }

    fn told(&mut self, rows: u64) {
        self.gauge.filled(rows, Instant::now());
        let (done, table) = (self.gauge.rows(), self.work.table.to_string());
        (self.tell)(Progress::Backfilled {
            table,
            done: RowsDone { rows: done, of: self.work.rows.map(|rows| rows.max(done)) },
            rows_per_second: self.gauge.rows_per_second(),
            time_left: self.gauge.time_left(),
        });
    }

    fn hold(&mut self, by: &str) {
        (self.tell)(Progress::HeldUp { table: self.work.table.to_string(), by: by.to_owned() });
    }

    /// Looks at what else the server does, and waits as long as a standby is too far behind.
    async fn yield_to_others(&mut self, client: &Client) -> Result<(), MigrateError> {
        self.refuse_late()?;
        while self.looked_at.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            let seen = self.standbys.look(client).await?;
            self.looked_at = Some(Instant::now());
            self.pace.seen_active(seen.active);
            let Some(behind) = seen.furthest.filter(|behind| behind.by > self.settings.backfill_lag) else { break };
            self.hold(&format!("{behind}, at most {:.1} s is allowed", self.settings.backfill_lag.as_secs_f64()));
            self.sleep(LOOK_EVERY).await?;
        }
        Ok(())
    }

    async fn sleep(&mut self, length: Duration) -> Result<(), MigrateError> {
        self.refuse_late()?;
        if !length.is_zero() {
            tokio::time::sleep(length.min(self.deadline.saturating_duration_since(Instant::now()))).await;
        }
        Ok(())
    }

    fn refuse_late(&self) -> Result<(), MigrateError> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(MigrateError::TooLong { what: self.work.table.to_string() })
    }
}

/// Whether the rows themselves say that none is left.
async fn is_complete(client: &Client, work: &Backfill) -> Result<bool, MigrateError> {
    let query = format!("SELECT NOT EXISTS (SELECT FROM {} WHERE {})", work.table, work.is_to_do());
    Ok(client.query_one(&query, &[]).await?.get(0))
}

/// What holds the table's rows, with its length in blocks: itself, or its partitions.
async fn leaves(client: &Client, table: &QualifiedName) -> Result<Vec<(QualifiedName, u64)>, MigrateError> {
    let rows = client
        .query(
            tree!(
                "$1::text::regclass::oid",
                "SELECT namespace.nspname, class.relname,
                    pg_catalog.pg_relation_size(class.oid) / current_setting('block_size')::int8
               FROM pg_catalog.pg_class AS class
               JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
              WHERE class.relkind = 'r' AND class.oid IN (SELECT oid FROM tree) ORDER BY class.oid"
            ),
            &[&table.to_string()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let name = |place: usize| Ident::new(row.get::<_, String>(place)).map_err(unexpected);
            let blocks: i64 = row.get(2);
            Ok((QualifiedName::new(&name(0)?, &name(1)?), u64::try_from(blocks).unwrap_or(0)))
        })
        .collect()
}
