//! The one place in this room that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use switchover_model::Timestamp;

/// Now. A clock before 1970 reads as 1970.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
