//! What else the server does: how far its standbys are behind, and how many sessions are active.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use crate::migrator::MigrateError;

/// The most positions of the log that are kept with their times. With more, every second one is forgotten.
const KEPT_MOST: usize = 1_024;

/// What a look shows.
#[derive(Debug)]
pub(super) struct Seen {
    /// Other sessions that are active, as far as they can be seen.
    pub(super) active: u64,
    /// The standby or subscriber that is the furthest behind.
    pub(super) furthest: Option<Behind>,
}

/// A standby that is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Behind {
    /// What it calls itself.
    pub(super) name: String,
    /// By how much time.
    pub(super) by: Duration,
    /// By how much of the log.
    pub(super) bytes: u64,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.bytes as f64 / 1e6;
        write!(f, "standby {} is {:.1} s and {megabytes:.1} MB behind", self.name, self.by.as_secs_f64())
    }
}

/// Where the log was when: so a standby that replays nothing and tells nothing is known to fall behind all the same.
#[derive(Debug, Default)]
pub(super) struct Standbys {
    written: VecDeque<(u64, Instant)>,
}

const LOOK: &str = "
SELECT here.position, here.active, coalesce(nullif(standby.application_name, ''), '?'),
       pg_catalog.pg_wal_lsn_diff(standby.replay_lsn, '0/0')::int8, extract(epoch FROM standby.replay_lag)::float8
  FROM (SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::int8 AS position,
               (SELECT count(*) FROM pg_catalog.pg_stat_activity
                 WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()) AS active) AS here
  LEFT JOIN pg_catalog.pg_stat_replication AS standby ON standby.replay_lsn IS NOT NULL";

impl Standbys {
    pub(super) async fn look(&mut self, client: &Client) -> Result<Seen, MigrateError> {
        let rows = client.query(LOOK, &[]).await?;
        let now = Instant::now();
        let whole = |number: i64| u64::try_from(number).unwrap_or(0);
        let mut seen = Seen { active: 0, furthest: None };
        for row in &rows {
            let position = whole(row.get(0));
            seen.active = whole(row.get(1));
            self.note(position, now);
            let Some(replayed) = row.get::<_, Option<i64>>(3).map(whole) else { continue };
            let told = row.get::<_, Option<f64>>(4).and_then(|told| Duration::try_from_secs_f64(told).ok());
            let by = self.behind(replayed, told, now);
            if seen.furthest.as_ref().is_none_or(|furthest| by > furthest.by) {
                seen.furthest = Some(Behind { name: row.get(2), by, bytes: position.saturating_sub(replayed) });
            }
        }
        Ok(seen)
    }

    fn note(&mut self, position: u64, now: Instant) {
        if self.written.back().is_some_and(|(last, _)| *last >= position) {
            return;
        }
        self.written.push_back((position, now));
        if self.written.len() > KEPT_MOST {
            let mut place = 0_usize;
            self.written.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
    }

    /// How long ago the first thing was written that is not replayed; what the standby itself told, where that is more.
    fn behind(&self, replayed: u64, told: Option<Duration>, now: Instant) -> Duration {
        let missing = self.written.iter().find(|(position, _)| *position > replayed);
        let Some((_, written_at)) = missing else { return Duration::ZERO };
        now.saturating_duration_since(*written_at).max(told.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_standby_is_as_far_behind_as_what_it_lacks_is_old() {
        let (mut standbys, now) = (Standbys::default(), Instant::now());
        for second in 0..20 {
            standbys.note(100 * u64::from(second), now + S * second);
        }
        assert_eq!(standbys.behind(1_900, Some(9 * S), now + 20 * S), Duration::ZERO, "it has all");
        assert_eq!(standbys.behind(1_000, None, now + 20 * S), 9 * S);
        assert_eq!(standbys.behind(1_850, Some(7 * S), now + 20 * S), 7 * S);
        assert_eq!(standbys.behind(0, None, now + 500 * S), 499 * S, "also when nothing is written any more");
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_stays() {
        let (mut standbys, now) = (Standbys::default(), Instant::now());
        for second in 0..100_000 {
            standbys.note(u64::from(second) + 1, now + S * second);
        }
        assert!(standbys.written.len() <= KEPT_MOST);
        assert_eq!(standbys.behind(0, None, now + 100_000 * S), 100_000 * S);
    }
}
