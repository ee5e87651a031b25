//! How much a batch takes, and how long is rested after it: decided from what the last ones took, from what else the server
//! does, and from the rate that is allowed.

use std::time::{Duration, Instant};

/// How long a batch shall take while nobody else is active, and while somebody is.
const BATCH_TIME: (Duration, Duration) = (Duration::from_millis(45), Duration::from_millis(20));
/// When a batch is ended and a smaller one is tried: an application waits no longer for its rows.
pub(super) const BATCH_MOST: Duration = Duration::from_millis(80);
/// How long a batch waits for what is no row, such as the table itself.
pub(super) const LOCK_WAIT: Duration = Duration::from_millis(10);
/// Into how many parts a stretch is divided where all of its rows are to do: see [`super`]. With four of them a million rows
/// took a tenth more of the log, with sixteen a fifth more of the processor.
pub(super) const PARTS: u32 = 8;
/// The most parts: so many that one holds single rows.
const PARTS_MOST: u32 = 256;
/// The longest stretch, 4 MB.
const BLOCKS_MOST: u64 = 512;
/// So few rows take their time for another reason than their number, such as a machine with too much to do: fewer are no help.
const ROWS_FEW: u64 = 250;
/// How fast the size may change from one stretch to the next.
const CHANGE: (f64, f64) = (0.5, 2.0);
/// From which average number of active sessions on batches are short.
const IS_ACTIVE: f64 = 0.2;
/// What the newest look at active sessions counts against those before.
const NEWEST: f64 = 0.25;
/// The longest rest after a batch for others' sake, in the time that the batch took.
const REST_MOST: f64 = 4.0;
/// The time whose rows a batch may take of a rate that is allowed.
const RATE_STEP: Duration = Duration::from_millis(200);

/// What the next stretch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    /// So many blocks.
    pub(super) blocks: u64,
    /// In so many parts, a power of two.
    pub(super) parts: u32,
    /// Whether a part is ended at [`BATCH_MOST`]. A single row is not: it would never come to its end.
    pub(super) bound: bool,
}

/// What was learned so far.
#[derive(Debug)]
pub(super) struct Pace {
    blocks: u64,
    parts: u32,
    usual_parts: u32,
    /// How many other sessions are active on average.
    active: f64,
    rows_per_second: Option<u64>,
    /// When the rate allows the next batch.
    allowed_at: Instant,
}

impl Pace {
    pub(super) fn new(parts: u32, rows_per_second: Option<u64>, now: Instant) -> Self {
        Self { blocks: 1, parts, usual_parts: parts, active: 0.0, rows_per_second, allowed_at: now }
    }

    pub(super) fn slice(&self) -> Slice {
        let is_smallest = self.blocks == 1 && self.parts == PARTS_MOST;
        Slice { blocks: self.blocks, parts: self.parts, bound: !is_smallest }
    }

    /// The longest batch of a stretch took this long, and the largest one wrote so many rows.
    pub(super) fn took(&mut self, longest: Duration, rows: u64) {
        let wanted = if self.active >= IS_ACTIVE { BATCH_TIME.1 } else { BATCH_TIME.0 };
        let is_in_time = longest <= BATCH_MOST / 2;
        let mut change = wanted.as_secs_f64() / longest.as_secs_f64().max(f64::EPSILON);
        if rows < ROWS_FEW && is_in_time {
            change = change.max(CHANGE.1);
        }
        if let Some(rate) = self.rows_per_second {
            change = change.min(rate as f64 * RATE_STEP.as_secs_f64() / rows.max(1) as f64);
        }
        if self.parts > self.usual_parts {
            self.parts = if is_in_time { self.parts / 2 } else { self.parts };
        } else {
            let blocks = self.blocks as f64 * change.clamp(CHANGE.0, CHANGE.1);
            self.blocks = (blocks as u64).clamp(1, BLOCKS_MOST);
        }
    }

    /// A batch was ended at its bound.
    pub(super) fn overran(&mut self) {
        if self.blocks == 1 {
            self.parts = (self.parts * 4).min(PARTS_MOST);
        } else {
            self.blocks = (self.blocks / 4).max(1);
        }
    }

    /// So many other sessions are active now.
    pub(super) fn seen_active(&mut self, sessions: u64) {
        self.active = self.active * (1.0 - NEWEST) + sessions as f64 * NEWEST;
    }

    /// How long to rest after a batch: one session among those that are active, and no faster than is allowed.
    pub(super) fn rest(&mut self, rows: u64, took: Duration, now: Instant) -> Duration {
        let for_others = took.mul_f64(self.active.min(REST_MOST));
        let Some(rate) = self.rows_per_second else { return for_others };
        let worth = Duration::from_secs_f64(rows as f64 / rate.max(1) as f64);
        // What was not used is not saved up.
        self.allowed_at = self.allowed_at.max(now.checked_sub(took).unwrap_or(now)) + worth;
        for_others.max(self.allowed_at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pace(rate: Option<u64>) -> (Pace, Instant) {
        let now = Instant::now();
        (Pace::new(PARTS, rate, now), now)
    }

    #[test]
    fn a_stretch_grows_until_its_longest_batch_takes_its_time_and_shrinks_when_one_takes_longer() {
        let (mut pace, _) = pace(None);
        for _ in 0..20 {
            pace.took(MS * u32::try_from(pace.slice().blocks).unwrap(), 1_000);
        }
        assert_eq!(pace.slice().blocks, 45);
        pace.took(90 * MS, 1_000);
        assert_eq!(pace.slice().blocks, 22);
        pace.overran();
        assert_eq!(pace.slice().blocks, 5);
        for _ in 0..30 {
            pace.took(MS / 100, 1_000);
        }
        assert_eq!(pace.slice().blocks, BLOCKS_MOST);
    }

    #[test]
    fn batches_are_short_and_rests_long_while_others_are_active() {
        let (mut pace, now) = pace(None);
        assert_eq!(pace.rest(100, 40 * MS, now), Duration::ZERO);
        for _ in 0..40 {
            pace.seen_active(2);
            pace.took(MS * u32::try_from(pace.slice().blocks).unwrap(), 1_000);
        }
        assert_eq!(pace.slice().blocks, 20);
        assert_eq!(pace.rest(100, 20 * MS, now).as_millis(), 39);
        (0..40).for_each(|_| pace.seen_active(100));
        assert_eq!(pace.rest(100, 20 * MS, now), 80 * MS);
    }

    #[test]
    fn what_is_slow_however_few_rows_it_has_is_not_made_ever_smaller() {
        let (mut pace, _) = pace(None);
        (0..40).for_each(|_| pace.seen_active(4));
        for _ in 0..20 {
            let blocks = pace.slice().blocks;
            pace.took(30 * MS, blocks * 10);
        }
        assert!((13..=50).contains(&pace.slice().blocks), "{:?}", pace.slice());
    }

    #[test]
    fn a_rate_is_kept_on_average_and_unused_time_is_not_saved_up() {
        let (mut pace, now) = pace(Some(1_000));
        assert_eq!(pace.rest(100, 10 * MS, now + 10 * MS), 90 * MS);
        assert_eq!(pace.rest(100, 10 * MS, now + 110 * MS), 90 * MS);
        assert_eq!(pace.rest(100, 10 * MS, now + 9_000 * MS), 90 * MS);
        pace.took(MS, 1_000);
        assert_eq!(pace.slice().blocks, 1, "a batch has no more rows than a step of the rate");
    }

    #[test]
    fn what_is_slow_for_single_rows_is_filled_row_by_row_and_without_a_bound() {
        let (mut pace, _) = pace(None);
        (0..10).for_each(|_| pace.overran());
        assert_eq!(pace.slice(), Slice { blocks: 1, parts: PARTS_MOST, bound: false });
        (0..10).for_each(|_| pace.took(MS, 1));
        assert_eq!(pace.slice().parts, PARTS);
    }
}
