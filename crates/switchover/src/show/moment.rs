//! Moments as people say them.

use std::time::{SystemTime, UNIX_EPOCH};

use switchover_model::Timestamp;

/// This moment.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// A moment by the wall clock of this machine: `14:03:07`, with the day when it is not that of `now`.
pub(crate) fn clock(at: Timestamp, now: Timestamp, zone: &jiff::tz::TimeZone) -> String {
    let Some((at, now)) = zoned(at, zone).zip(zoned(now, zone)) else { return "?".to_owned() };
    let pattern = if at.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    at.strftime(pattern).to_string()
}

fn zoned(at: Timestamp, zone: &jiff::tz::TimeZone) -> Option<jiff::Zoned> {
    let micros = i64::try_from(at.as_micros()).ok()?;
    Some(jiff::Timestamp::from_microsecond(micros).ok()?.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests {
    use switchover_model::Span;

    use super::*;

    #[test]
    fn another_day_is_said() {
        let at = Timestamp::from_micros(1_700_000_000_000_000);
        let zone = jiff::tz::TimeZone::UTC;
        assert_eq!(clock(at, at, &zone), "22:13:20");
        assert_eq!(clock(at, at + Span::from_secs(86_400), &zone), "2023-11-14 22:13:20");
    }
}
