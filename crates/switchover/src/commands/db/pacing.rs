//! How fast rows are brought in step, and how that is told.

use std::fmt::Write as _;
use std::time::Duration;

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
pub(super) fn told(rows: u64, of: u64, rows_per_second: Option<u64>, time_left: Option<Duration>) -> String {
    let mut line = format!("  {rows} rows of about {of}");
    if let Some(rate) = rows_per_second {
        let _ = write!(line, ", {rate} a second");
    }
    if let Some(left) = time_left {
        let seconds = left.as_secs();
        let _ = match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
            (0, 0, seconds) => write!(line, ", {seconds} s left"),
            (0, minutes, seconds) => write!(line, ", {minutes} min {seconds} s left"),
            (hours, minutes, _) => write!(line, ", {hours} h {minutes} min left"),
        };
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_is_known() {
        assert_eq!(told(5, 100, None, None), "  5 rows of about 100");
        let left = |seconds| told(5, 100, Some(7), Some(Duration::from_secs(seconds)));
        assert_eq!(left(9), "  5 rows of about 100, 7 a second, 9 s left");
        assert_eq!(left(61), "  5 rows of about 100, 7 a second, 1 min 1 s left");
        assert_eq!(left(7_260), "  5 rows of about 100, 7 a second, 2 h 1 min left");
    }
}
