//! What the users do.

use std::net::SocketAddr;
use std::time::Duration;

/// How many users of which kind, against whom, for how long.
///
/// Every user is one connection that sends one request after another and reuses the connection as far as the server
/// lets it. With neither `lasts` nor `requests` it goes on until it is stopped.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to connect.
    pub address: SocketAddr,
    /// The Host field of every request.
    pub host: String,
    /// What answers must hold.
    pub expects: Expect,

    /// Users of small requests on a connection kept alive.
    pub quick: usize,
    /// What they ask for.
    pub quick_path: String,
    /// Their pause after each answer, on average; zero asks again at once.
    pub think: Duration,
    /// Users that open a connection for every request, with `Connection: close`, with the same pause.
    pub single: usize,
    /// Users of `/slow`.
    pub slow: usize,
    /// How long each of those takes.
    pub slow_takes: Duration,
    /// Readers of `/stream`.
    pub streams: usize,
    /// Readers of `/sse`.
    pub events: usize,
    /// How long each stream takes.
    pub stream_takes: Duration,
    /// The pause between the parts of a stream.
    pub stream_every: Duration,
    /// Users that send bodies to `/upload`, by turns with a length and chunked.
    pub uploads: usize,
    /// The size of those bodies, at least 16.
    pub upload_bytes: usize,
    /// The pause of all others between two requests, on average.
    pub rest: Duration,
    /// WebSocket sessions on `/ws`.
    pub websockets: usize,
    /// How often each says something that must come back.
    pub websocket_every: Duration,
    /// The most that a session waits before it connects again.
    pub reconnect_within: Duration,
    /// Users that ask for `/slow` and leave before the answer.
    pub aborts: usize,
    /// How soon they leave.
    pub abort_after: Duration,

    /// How long a request may take, the connect included, before it has failed.
    pub timeout: Duration,
    /// Ends by itself after so long.
    pub lasts: Option<Duration>,
    /// Ends by itself after so many requests of all kinds together.
    pub requests: Option<u64>,
}

/// What an answer must hold to count as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The sample app's own answers: status 200 (101 for a WebSocket), the request's own id, the whole sequence of a
    /// stream, the digest of an upload.
    Sample,
    /// Any complete answer below 500: for apps that are not the sample app.
    AnyApp,
}

impl Plan {
    /// Nobody yet, against the sample app at `address`.
    #[must_use]
    pub fn nobody(address: SocketAddr, host: &str) -> Self {
        Self {
            address,
            host: host.to_owned(),
            expects: Expect::Sample,
            quick: 0,
            quick_path: "/version".to_owned(),
            think: Duration::from_millis(10),
            single: 0,
            slow: 0,
            slow_takes: Duration::from_millis(1500),
            streams: 0,
            events: 0,
            stream_takes: Duration::from_secs(2),
            stream_every: Duration::from_millis(50),
            uploads: 0,
            upload_bytes: 1 << 20,
            rest: Duration::from_millis(100),
            websockets: 0,
            websocket_every: Duration::from_millis(250),
            reconnect_within: Duration::from_millis(300),
            aborts: 0,
            abort_after: Duration::from_millis(200),
            timeout: Duration::from_secs(30),
            lasts: None,
            requests: None,
        }
    }

    /// A busy day: 32 quick users, 8 slow ones, 4 streams, 4 uploads of 1 MiB, 20 WebSockets.
    #[must_use]
    pub fn of_every_kind(address: SocketAddr, host: &str) -> Self {
        Self { quick: 32, slow: 8, streams: 4, uploads: 4, websockets: 20, ..Self::nobody(address, host) }
    }
}
