//! What the clients saw, counted whole and told in part.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::plan::{Side, Write};

/// Errors and differences told in full; all are counted.
const MOST_TOLD: usize = 1000;
/// How many of the slowest operations are told.
const MOST_SLOWEST: usize = 20;

/// What a client was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Connecting.
    Connect,
    /// Inserting one row.
    Insert,
    /// Updating one row.
    Update,
    /// Updating several rows in one transaction, in any order.
    UpdateSeveral,
    /// Deleting one row.
    Delete,
    /// Reading one row.
    Select,
}

/// An operation that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    /// When, since the clients began.
    pub at: Duration,
    /// In which version.
    pub by: Side,
    /// Doing what.
    pub operation: Operation,
    /// The statement.
    pub statement: String,
    /// The server's code; nothing where the connection was lost.
    pub sqlstate: Option<String>,
    /// What was said.
    pub message: String,
}

impl ClientError {
    /// Whether it tells only that the server went away or was not there, as in a crash that the test made.
    #[must_use]
    pub fn is_lost_connection(&self) -> bool {
        self.sqlstate.as_deref().is_none_or(|code| code.starts_with("08") || code.starts_with("57P"))
    }
}

/// A row that is not what was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// When, since the clients began.
    pub at: Duration,
    /// The version that read it, or whose statement did not find it.
    pub by: Side,
    /// The row's key.
    pub key: i64,
    /// What it may hold; nothing for a row that is not there. More than one where an answer was lost.
    pub expected: Vec<Option<Write>>,
    /// What was found.
    pub found: String,
}

/// A slow operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// How long the answer took.
    pub took: Duration,
    /// When it came, since the clients began.
    pub at: Duration,
    /// In which version.
    pub by: Side,
    /// Doing what.
    pub operation: Operation,
}

/// What became of a load.
#[derive(Debug, Clone)]
pub struct ClientReport {
    /// How long it lasted.
    pub lasted: Duration,
    /// Operations that ended, well or not; reading back is not one.
    pub operations: u64,
    /// Of these by the old and by the new version.
    pub operations_by: [u64; 2],
    /// Writes that the server acknowledged, each row of a transaction.
    pub acknowledged: u64,
    /// Rows that were read and compared.
    pub checks: u64,
    /// The first of the errors.
    pub errors: Vec<ClientError>,
    /// How many there were.
    pub error_count: u64,
    /// The first of the rows that were not as acknowledged.
    pub differences: Vec<Difference>,
    /// How many there were.
    pub difference_count: u64,
    /// The longest that an answer took, also one of reading back; connecting is not counted.
    pub longest: Duration,
    /// The slowest answers, slowest first.
    pub slowest: Vec<Stall>,
    /// Half of the answers came sooner.
    pub median: Duration,
    /// 99 of 100 answers came sooner.
    pub percentile_99: Duration,
}

impl ClientReport {
    /// Fails the test with what happened, unless clients worked and saw neither an error nor a difference.
    #[track_caller]
    pub fn assert_unharmed(&self) {
        let is_unharmed = self.error_count == 0 && self.difference_count == 0;
        assert!(is_unharmed && self.acknowledged > 0 && self.checks > 0, "{self:#?}");
    }
}

/// All counts of one load.
#[derive(Default)]
pub(super) struct Ledger {
    totals: Mutex<Totals>,
}

#[derive(Default)]
struct Totals {
    operations_by: [u64; 2],
    acknowledged: u64,
    checks: u64,
    errors: Vec<ClientError>,
    error_count: u64,
    differences: Vec<Difference>,
    difference_count: u64,
    slowest: Vec<Stall>,
    latencies: Option<Histogram<u64>>,
}

impl Ledger {
    pub(super) fn operations(&self) -> u64 {
        self.totals().operations_by.iter().sum()
    }

    pub(super) fn ended(&self, by: Side) {
        self.totals().operations_by[by.place()] += 1;
    }

    pub(super) fn acknowledged(&self, rows: u64) {
        self.totals().acknowledged += rows;
    }

    pub(super) fn checked(&self) {
        self.totals().checks += 1;
    }

    pub(super) fn failed(&self, error: ClientError) {
        let mut totals = self.totals();
        totals.error_count += 1;
        if totals.errors.len() < MOST_TOLD {
            totals.errors.push(error);
        }
    }

    pub(super) fn differs(&self, difference: Difference) {
        let mut totals = self.totals();
        totals.difference_count += 1;
        if totals.differences.len() < MOST_TOLD {
            totals.differences.push(difference);
        }
    }

    pub(super) fn took(&self, stall: Stall) {
        let mut totals = self.totals();
        let micros = u64::try_from(stall.took.as_micros()).unwrap_or(u64::MAX);
        totals
            .latencies
            .get_or_insert_with(|| Histogram::new(3).expect("three digits are allowed"))
            .saturating_record(micros);
        let place = totals.slowest.partition_point(|one| one.took >= stall.took);
        if place < MOST_SLOWEST {
            totals.slowest.insert(place, stall);
            totals.slowest.truncate(MOST_SLOWEST);
        }
    }

    pub(super) fn report(&self, lasted: Duration) -> ClientReport {
        let totals = self.totals();
        let quantile = |part| {
            let micros = totals.latencies.as_ref().map_or(0, |latencies| latencies.value_at_quantile(part));
            Duration::from_micros(micros)
        };
        ClientReport {
            lasted,
            operations: totals.operations_by.iter().sum(),
            operations_by: totals.operations_by,
            acknowledged: totals.acknowledged,
            checks: totals.checks,
            errors: totals.errors.clone(),
            error_count: totals.error_count,
            differences: totals.differences.clone(),
            difference_count: totals.difference_count,
            longest: totals.slowest.first().map_or(Duration::ZERO, |stall| stall.took),
            slowest: totals.slowest.clone(),
            median: quantile(0.5),
            percentile_99: quantile(0.99),
        }
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        // Counts are whole after each statement; a panic elsewhere makes them no less true.
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
