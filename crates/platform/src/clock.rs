//! The one place of this room that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use switchover_model::Timestamp;

/// Now; the epoch itself when the machine's clock stands before it.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}
