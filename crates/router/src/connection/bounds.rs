//! Every bound of the byte path, by name.

use std::time::Duration;

use switchover_http1::bounds::HEAD_BYTES_MAX;

/// Bytes of a read buffer: a whole head fits, and so does a trailer section.
pub(super) const BUFFER_BYTES: usize = HEAD_BYTES_MAX;
/// Read buffers that a lane keeps for later.
pub(super) const BUFFERS_KEPT_MAX: usize = 256;
/// Workbenches (parsers and write buffers) that a lane keeps for later.
pub(super) const WORKBENCHES_KEPT_MAX: usize = 256;
/// A write buffer that grew beyond this is not kept for later (bytes).
pub(super) const WRITE_BUFFER_KEPT_BYTES_MAX: usize = 32 * 1024;

/// How often a lane calls [`LaneIo::tick`](super::LaneIo::tick): the grain of every time below.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// From the first byte of a head to its last, and from the accept to the first byte.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(15);
/// How long a client connection may be idle between two requests.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(75);
/// How long after the router began to end it may be so, or a head not be whole: a request that is on its way is answered,
/// and told that it was the last.
pub(super) const CLOSING_IDLE_TIME: Duration = Duration::from_secs(1);
/// After this time a router that ends routes no new request, whatever kept its connection open: its successor may have
/// switched. Longer than the time above by what a tick and a request on its way need.
pub(crate) const LAST_ROUTED_TIME: Duration = Duration::from_millis(1300);
/// How long one connect to an instance may take.
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(3);
/// How many instances of an arm are tried before a request goes to another arm of the split, or is answered with 502 or 504.
pub(super) const CONNECT_TRIES_MAX: usize = 3;
/// From the last byte of a request to the last byte of the answer's head.
pub(super) const ANSWER_HEAD_TIME: Duration = Duration::from_secs(60);
/// Most informational answers (1xx) before the final one.
pub(super) const INFORMATIONAL_MAX: u32 = 16;
/// How long a body may stand still, in either direction.
pub(super) const STREAM_IDLE_TIME: Duration = Duration::from_secs(300);
/// How long a tunnel may be silent in both directions.
pub(super) const TUNNEL_IDLE_TIME: Duration = Duration::from_secs(3600);
/// How long a tunnel that one side has ended may be silent before it is over: the other one may be at work on its answer.
pub(super) const TUNNEL_HALF_CLOSED_TIME: Duration = STREAM_IDLE_TIME;
/// Tunnels that must close do so spread over this time, so that their clients do not come back all at once.
pub(super) const TUNNEL_CLOSE_SPREAD: Duration = Duration::from_secs(2);
/// How long a WebSocket that must close is given to come to the end of a frame.
pub(super) const FRAME_END_TIME: Duration = Duration::from_secs(1);
/// How long a closed connection is read on, so that a reset does not destroy the answer on its way (RFC 9112 9.6).
pub(super) const LINGER_TIME: Duration = Duration::from_secs(5);
/// How much is read on then (bytes).
pub(super) const LINGER_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// How long a client that was turned away is read on, for the same reason.
pub(super) const SHED_TIME: Duration = Duration::from_secs(1);
/// How many of those a lane reads on at once; more are closed at once.
pub(crate) const SHED_MAX: usize = 16;
/// Longest time an own answer may take to be written.
pub(super) const OWN_ANSWER_TIME: Duration = Duration::from_secs(5);

/// Idle upstream connections that a lane keeps for one instance.
pub(super) const UPSTREAM_IDLE_MAX: usize = 256;
/// How long they are kept; below the 5 s after which common servers close theirs.
pub(super) const UPSTREAM_IDLE_TIME: Duration = Duration::from_secs(4);
/// The same for a request that may not be sent twice.
pub(super) const UPSTREAM_IDLE_TIME_ONCE: Duration = Duration::from_secs(1);
/// How long a connection must have been quiet before such a request goes on it: an instance that closes behind its answer
/// without saying so has been heard by then (999 of 1000 such ends came within 6 ms, on two cores with ten times the work).
pub(super) const UPSTREAM_QUIET_TIME_ONCE: Duration = Duration::from_millis(10);
/// How long such requests get connections of their own after an instance has closed one behind its answer.
pub(super) const UPSTREAM_DISTRUST_TIME: Duration = Duration::from_secs(60);

/// Longest request id that is taken over from a trusted sender (bytes).
pub(super) const REQUEST_ID_BYTES_MAX: usize = 128;
