//! The bounds of the API.

use std::time::Duration;

/// The largest request body, in bytes: a whole `switchover.toml` and its environment fit many times.
pub(crate) const BODY_BYTES: usize = 4 << 20;
/// The longest that one answer may take, apart from streams.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(70);
/// The longest that one call of `wait` waits before it says "ask again".
pub(crate) const WAIT_LIMIT: Duration = Duration::from_secs(60);
/// Streams (events, followed logs) that may be open at the same time.
pub(crate) const STREAMS: usize = 256;
/// Connections that may be open at the same time; the next ones wait in the socket's queue until one of these ends.
pub(crate) const CONNECTIONS: usize = 512;
/// The longest that a connection may take to send a request's head, and that it may stand idle between two.
pub(crate) const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The pause after a connection that could not be taken (too many open files, for one).
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Requests that may be answered at the same time; streams that have begun count among [`STREAMS`] alone.
pub(crate) const REQUESTS: usize = 384;
/// Records that are read from the journal at once for a stream.
pub(crate) const RECORDS_AT_ONCE: usize = 256;
/// The shortest time between two statuses on one stream.
pub(crate) const STATUS_PAUSE: Duration = Duration::from_millis(100);
/// A stream that has nothing to say says so this often.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_secs(10);
/// Lines of the past that a log query may ask for, for each instance.
pub(crate) const LOG_LINES: usize = 10_000;
/// Connections that may be open to the metrics' address at the same time.
pub(crate) const METRICS_CONNECTIONS: usize = 16;
/// How long one of them lives before it has to end, and how long it may take for that.
pub(crate) const METRICS_LIFE: Duration = Duration::from_secs(30);
/// Scrapes that are answered at the same time, over whichever way they come.
pub(crate) const SCRAPES: usize = 4;
/// Apps that are asked at the same time for one scrape.
pub(crate) const APPS_AT_ONCE: usize = 8;
/// The longest that one scrape may take: Prometheus gives up after 10 s unless told otherwise.
pub(crate) const SCRAPE_LIMIT: Duration = Duration::from_secs(8);
/// What a stopping server gives open connections to finish.
pub(crate) const GOODBYE: Duration = Duration::from_secs(2);
