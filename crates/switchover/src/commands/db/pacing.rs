//! How fast rows are brought in step, and how that is told.

use std::time::Duration;

use switchover_model::Span;
use switchover_model::schema::RowsDone;
use switchover_postgres::Settings;

use super::length;

/// How much of the server the rows may take that are brought in step.
#[derive(Debug, clap::Args)]
pub(super) struct Pacing {
    /// How many rows a second are brought in step at most; without it as many as the other sessions leave room for
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    backfill_rate: Option<u64>,
    /// How far a standby or subscriber may be behind before rows wait for it
    #[arg(long, default_value = "10s", value_name = "D", value_parser = length)]
    backfill_lag: Duration,
}

impl Pacing {
    /// The settings with this pace.
    pub(super) fn settings(&self) -> Settings {
        Settings { backfill_rate: self.backfill_rate, backfill_lag: self.backfill_lag, ..Settings::default() }
    }
}

/// A line about a backfill.
pub(super) fn told(done: RowsDone, rows_per_second: Option<u64>, time_left: Option<Duration>) -> String {
    let rate = rows_per_second.map(|rate| format!(", {rate} a second")).unwrap_or_default();
    let left = time_left.map(|left| Span::from_secs(left.as_secs()).rounded());
    let left = left.map(|left| format!(", {left} left")).unwrap_or_default();
    format!("  {done}{rate}{left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_is_known() {
        let done = |of| RowsDone { rows: 5, of };
        assert_eq!(told(done(None), None, None), "  5 rows");
        assert_eq!(told(done(Some(100)), None, None), "  5 rows of about 100");
        let left = told(done(Some(100)), Some(7), Some(Duration::from_secs(61)));
        assert_eq!(left, "  5 rows of about 100, 7 a second, 1m 1s left");
    }
}
