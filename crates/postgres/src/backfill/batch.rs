//! One batch: a transaction that fills a part of the rows in a stretch of blocks and moves the cursor, sent as one message, so
//! that no row stays locked for the way to the server and back.

use switchover_migration::change::BACKFILL_SETTING;
use switchover_migration::plan::Backfill;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::cursor::Cursor;
use super::pace::{BATCH_MOST, LOCK_WAIT};
use crate::migrator::MigrateError;
use crate::run::is_contended;

/// What one transaction fills.
pub(super) struct Batch<'a> {
    pub(super) work: &'a Backfill,
    pub(super) cursor: &'a Cursor,
    /// The first block.
    pub(super) from: u64,
    /// The block behind the last one.
    pub(super) to: u64,
    /// Which part of their rows, below `parts`; the last one takes whatever the others left.
    pub(super) part: u32,
    /// A power of two.
    pub(super) parts: u32,
    /// Whether it is ended at [`BATCH_MOST`].
    pub(super) bound: bool,
}

/// What became of it.
pub(super) enum Outcome {
    /// It was committed.
    Filled {
        /// So many rows were written.
        rows: u64,
        /// Whether rows of the stretch are left to do, as far as this was the last part.
        is_left: bool,
    },
    /// It was ended at its bound, and left nothing.
    TooLong,
    /// Something other than a row was locked, and it left nothing.
    Locked,
}

impl Batch<'_> {
    pub(super) async fn run(&self, client: &Client) -> Result<Outcome, MigrateError> {
        match client.simple_query(&self.text()).await {
            Ok(messages) => {
                let mut values = messages.iter().filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => row.get(0),
                    _ => None,
                });
                let rows = values.next().and_then(|rows| rows.parse().ok()).unwrap_or(0);
                Ok(Outcome::Filled { rows, is_left: values.next() == Some("t") })
            }
            Err(error) => {
                // Where the connection is gone, the server has taken it back by itself.
                let _ = client.batch_execute("ROLLBACK").await;
                if is_contended(&error) {
                    return Ok(Outcome::Locked);
                }
                if self.bound && error.code() == Some(&SqlState::QUERY_CANCELED) {
                    return Ok(Outcome::TooLong);
                }
                Err(error.into())
            }
        }
    }

    fn text(&self) -> String {
        let Backfill { table, set, .. } = self.work;
        let Cursor { relation, .. } = self.cursor;
        let bound = if self.bound { BATCH_MOST.as_millis() } else { 0 };
        // In the names of the table, whichever of its partitions this is.
        let rows = format!("{relation} AS {}", table.name);
        let is_last = self.part + 1 == self.parts;
        let moved = self.cursor.moved("(SELECT count FROM filled)", if is_last { self.to } else { self.from });
        let mut text = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '{}ms'; SET LOCAL statement_timeout = '{bound}ms'; \
             SET LOCAL {BACKFILL_SETTING} = 'on'; SET LOCAL synchronous_commit = off; \
             WITH done AS (UPDATE ONLY {rows} SET {set} WHERE ctid = ANY (ARRAY( \
             SELECT ctid FROM ONLY {rows} WHERE {} FOR NO KEY UPDATE SKIP LOCKED)) RETURNING 1), \
             filled AS (SELECT count(*) FROM done) {moved}; COMMIT;",
            LOCK_WAIT.as_millis(),
            self.within(self.part)
        );
        if is_last {
            text.push_str(&format!(" SELECT EXISTS (SELECT FROM ONLY {rows} WHERE {})", self.within(self.part)));
        }
        text
    }

    /// Holds for rows of a part that are to do. Which part one is of, its place tells.
    fn within(&self, part: u32) -> String {
        let blocks = format!("ctid >= '({},0)'::tid AND ctid < '({},0)'::tid", self.from, self.to);
        let of_part = if part + 1 == self.parts {
            String::new()
        } else {
            format!(" AND (pg_catalog.hashtid(ctid) & {}) = {part}", self.parts - 1)
        };
        format!("{blocks}{of_part} AND {}", self.work.is_to_do())
    }
}
