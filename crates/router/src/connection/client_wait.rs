//! How long a request waited for its own client: how fast that one takes and sends is no time of the app's.

use std::task::Poll;
use std::time::Duration;

use super::lane_io::LaneIo;

/// The time of one request in which nothing but its client could move it on.
///
/// Costs: the clock is read where such a wait begins and where it ends, and nowhere else.
#[derive(Debug, Default)]
pub(super) struct ClientWait {
    /// When the wait that is on began (the lane's time).
    since: Option<Duration>,
    /// Those that are over.
    total: Duration,
}

impl ClientWait {
    /// From now on its client is waited for.
    pub(super) fn begin(&mut self, io: &LaneIo) {
        self.since = Some(io.exact_now());
    }

    /// The wait is over, where there was one; gives its length.
    pub(super) fn end(&mut self, io: &LaneIo) -> Duration {
        let waited = self.since.take().map_or(Duration::ZERO, |since| io.exact_now().saturating_sub(since));
        self.total += waited;
        waited
    }

    /// So much of it was not its client's after all.
    pub(super) fn take_back(&mut self, time: Duration) {
        self.total = self.total.saturating_sub(time);
    }

    /// One step of something that waits for the client alone.
    pub(super) fn around<T>(&mut self, io: &LaneIo, step: impl FnOnce() -> Poll<T>) -> Poll<T> {
        self.end(io);
        let polled = step();
        if polled.is_pending() {
            self.begin(io);
        }
        polled
    }

    /// All of it up to now, which is told once.
    pub(super) fn take(&mut self, io: &LaneIo) -> Duration {
        self.end(io);
        std::mem::take(&mut self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(100);

    #[test]
    fn only_what_is_pending_counts_and_is_told_once() {
        let (io, mut wait) = (LaneIo::new(1, [1; 16]), ClientWait::default());
        assert_eq!(wait.around(&io, || Poll::Ready(1)), Poll::Ready(1));
        io.skip(LONG);
        assert_eq!(wait.take(&io), Duration::ZERO);
        assert_eq!(wait.around(&io, || Poll::<u8>::Pending), Poll::Pending);
        io.skip(LONG);
        assert_eq!(wait.around(&io, || Poll::<u8>::Pending), Poll::Pending);
        io.skip(LONG);
        // What is still on is over where it is told: a deadline ended it.
        let told = wait.take(&io);
        assert!((2 * LONG..3 * LONG).contains(&told), "{told:?}");
        io.skip(LONG);
        assert_eq!(wait.take(&io), Duration::ZERO);
    }

    #[test]
    fn what_is_taken_back_is_not_told() {
        let (io, mut wait) = (LaneIo::new(1, [1; 16]), ClientWait::default());
        wait.begin(&io);
        io.skip(LONG);
        let first = wait.end(&io);
        wait.begin(&io);
        io.skip(2 * LONG);
        wait.end(&io);
        wait.take_back(first);
        let told = wait.take(&io);
        assert!((2 * LONG..3 * LONG).contains(&told), "{told:?}");
    }
}
