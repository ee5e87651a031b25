//! How fast rows are filled, and how long it takes until none is left.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The time over which rates are told.
const WINDOW: Duration = Duration::from_secs(10);
/// Between two marks within it.
const BETWEEN: Duration = Duration::from_millis(250);
/// The shortest time that tells a rate.
const TELLS: Duration = Duration::from_millis(500);

/// What was filled, at a time.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    rows: u64,
    blocks_left: u64,
}

/// Rows and blocks over the last seconds.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    rows: u64,
    blocks_left: u64,
    marks: VecDeque<Mark>,
    newest: Option<Mark>,
}

impl Gauge {
    /// A pass begins behind `rows`, with so many blocks before it.
    pub(super) fn begin(&mut self, rows: u64, blocks_left: u64) {
        *self = Self { rows: rows.max(self.rows), blocks_left, ..Self::default() };
    }

    /// So many blocks are left from now on.
    pub(super) fn left(&mut self, blocks: u64) {
        self.blocks_left = blocks;
    }

    /// So many more rows are filled.
    pub(super) fn filled(&mut self, rows: u64, now: Instant) {
        self.rows += rows;
        let mark = Mark { at: now, rows: self.rows, blocks_left: self.blocks_left };
        self.newest = Some(mark);
        if self.marks.back().is_none_or(|last| now.saturating_duration_since(last.at) >= BETWEEN) {
            self.marks.push_back(mark);
        }
        while self.marks.len() > 2 && self.marks.front().is_some_and(|first| now - first.at > WINDOW) {
            self.marks.pop_front();
        }
    }

    /// All that were filled, also by runs before.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows a second; nothing as long as that can not be told.
    pub(super) fn rows_per_second(&self) -> Option<u64> {
        let (first, newest, seconds) = self.span()?;
        Some(((newest.rows - first.rows) as f64 / seconds) as u64)
    }

    /// How long it takes to the end of the table, as far as the last seconds tell.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let (first, newest, seconds) = self.span()?;
        let passed = first.blocks_left.checked_sub(newest.blocks_left).filter(|passed| *passed > 0)?;
        Duration::try_from_secs_f64(newest.blocks_left as f64 / passed as f64 * seconds).ok()
    }

    fn span(&self) -> Option<(Mark, Mark, f64)> {
        let (first, newest) = (*self.marks.front()?, self.newest?);
        let span = newest.at.saturating_duration_since(first.at);
        (span >= TELLS).then_some((first, newest, span.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_time_left_are_those_of_the_last_seconds() {
        let (mut gauge, now) = (Gauge::default(), Instant::now());
        gauge.begin(500, 1_000);
        gauge.filled(100, now);
        assert_eq!((gauge.rows(), gauge.rows_per_second(), gauge.time_left()), (600, None, None));
        for second in 1..=100 {
            gauge.left(1_000 - second);
            gauge.filled(if second <= 50 { 10 } else { 200 }, now + Duration::from_secs(second));
        }
        assert_eq!(gauge.rows(), 600 + 500 + 10_000);
        assert_eq!(gauge.rows_per_second(), Some(200));
        assert_eq!(gauge.time_left(), Some(Duration::from_secs(900)));
    }
}
