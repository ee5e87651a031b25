//! Notices that this process was held, by a signal or with its whole machine: nobody was asked meanwhile, so nobody was silent
//! or ill for that time.

use switchover_model::{Span, Timestamp};

use crate::clock;
use crate::process_platform::{Shared, lock};

/// Whoever looks is busy or held when so long lies between two looks; an app is looked at every second.
const HELD: Span = Span::from_secs(3);

/// When it looked last, and since when it looks without having been held.
#[derive(Debug)]
pub(crate) struct Beat {
    last: Timestamp,
    since: Timestamp,
}

impl Beat {
    pub(crate) fn begin() -> Self {
        let now = clock::now();
        Self { last: now, since: now }
    }
}

impl Shared {
    /// Since when this platform looks. After it was held everybody's time begins anew.
    pub(crate) fn looks_since(&self) -> Timestamp {
        let now = clock::now();
        let mut beat = lock(&self.beat);
        if now.since(std::mem::replace(&mut beat.last, now)) > HELD {
            beat.since = now;
            lock(&self.watched).values().for_each(|watched| watched.seen_anew(now));
        }
        beat.since
    }
}
