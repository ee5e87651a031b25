//! Moments and lengths of time as people say them.

use std::time::{SystemTime, UNIX_EPOCH};

use switchover_model::{Span, Timestamp};

/// This moment.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// A length of time with two or three telling digits: `3 ms`, `1.2 s`, `4m 3s`.
pub(crate) fn length(span: Span) -> String {
    let micros = span.as_micros();
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..60_000_000 => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
        60_000_000..3_600_000_000 => format!("{}m {}s", micros / 60_000_000, micros % 60_000_000 / 1_000_000),
        3_600_000_000..86_400_000_000 => {
            format!("{}h {}m", micros / 3_600_000_000, micros % 3_600_000_000 / 60_000_000)
        }
        _ => format!("{}d {}h", micros / 86_400_000_000, micros % 86_400_000_000 / 3_600_000_000),
    }
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
    use super::*;

    #[test]
    fn lengths_have_the_unit_that_fits() {
        let shown: Vec<String> = [0, 17, 3_400, 38_000, 1_250_000, 63_000_000, 3_600_000_000, 90_000_000_000]
            .map(Span::from_micros)
            .map(length)
            .into();
        assert_eq!(shown, ["0 us", "17 us", "3.4 ms", "38 ms", "1.2 s", "1m 3s", "1h 0m", "1d 1h"]);
    }

    #[test]
    fn another_day_is_said() {
        let at = Timestamp::from_micros(1_700_000_000_000_000);
        let zone = jiff::tz::TimeZone::UTC;
        assert_eq!(clock(at, at, &zone), "22:13:20");
        assert_eq!(clock(at, at + Span::from_secs(86_400), &zone), "2023-11-14 22:13:20");
    }
}
