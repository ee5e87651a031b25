//! The byte path against real sockets: upstream servers that are scripts, clients that write raw bytes.

mod bed;
mod failures;
mod forwarding;
mod framing;
mod latency;
mod mixed;
mod panics;
mod streaming;
mod tunnels;
