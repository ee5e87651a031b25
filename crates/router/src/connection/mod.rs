//! The byte path: one client connection, from its first byte to its last.
//!
//! Flow: an acceptor spawns [`serve`] for each connection on its lane's own runtime. It waits for a request without
//! holding a buffer, asks the lane where the request goes (`Lane::route`), gets or makes a connection to an instance, and
//! moves both bodies at once until the answer is over; then the next request, or the end.
//! Guarantees: every request whose head came whole, or that was refused, is counted once with one outcome; a request is
//! sent a second time only when nothing of it can have had an effect; nothing is buffered beyond one read.
//! Assumes: [`LaneIo::tick`] is called every [`TICK`]; one thread per lane.
//! Must never: decide where a request goes, or hold a lock.
//!
//! Begin reading at `client.rs` (the life of a connection), then `exchange.rs` (one request and its answer), `flow.rs`
//! (one body) and `tunnel.rs`.
//!
//! The border: a lane decides (`Lane::route`), a `Ticket` counts and picks the instance, a `TunnelTicket` says when a
//! tunnel must close; [`LaneIo`] is what the lane keeps for this module.
//! Lanes run on `tokio::runtime::LocalRuntime` (`Builder::new_current_thread().build_local(..)`): `spawn_local` without a
//! `LocalSet`, whose second queue costs CPU on each wake.

mod bounds;
mod buffers;
mod client;
mod client_wait;
mod connect;
mod exchange;
mod flow;
mod lane_io;
mod outgoing;
mod own_answer;
mod request_head;
mod request_id;
mod response_head;
mod roster;
mod tunnel;
mod upstream_pool;
mod websocket;
mod workbench;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use switchover_http1::RequestHead;

pub(crate) use bounds::{LAST_ROUTED_TIME, SHED_MAX, TICK};
pub(crate) use client::serve;
pub(crate) use lane_io::LaneIo;

/// A request, as the routing sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Who sent it.
    pub(crate) peer: SocketAddr,
    /// It came by HTTPS.
    pub(crate) is_https: bool,
    /// Method, host, target and fields.
    pub(crate) head: &'a RequestHead<'a>,
}
