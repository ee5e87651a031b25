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
//! What the rest of the crate gives, in `crate::lane`:
//! ```ignore
//! impl Lane {                                          // one per thread, behind Rc
//!     fn io(&self) -> &connection::LaneIo;             // made by LaneIo::new(connections_max, secret)
//!     fn route(self: &Rc<Self>, asked: &connection::Asked<'_>) -> Routed;   // counts the request; no await inside
//!     fn count_refused(&self, cause: OwnCause);        // refused before it could be routed: accepted + own error
//! }
//! enum Routed { Forward(Ticket), Own(OwnAnswer) }      // Own: counted already
//! struct OwnAnswer { status: u16, text: &'static str, retry_after_seconds: Option<u32>, .. }
//! #[derive(Debug, Clone, Copy, PartialEq, Eq)]
//! enum OwnCause { Refused, UnknownHost, PreviewForbidden, NoInstance, ConnectFailed, ConnectTimeout, UpstreamClosed,
//!     UpstreamTimeout, UpstreamInvalid, RequestTimeout, TooManyConnections }
//! #[derive(Debug)] struct Ticket;                      // dropped unfinished = client abort
//! impl Ticket {
//!     fn pick(&mut self, tried: &[Endpoint]) -> Option<Endpoint>;  // least in flight; called again it moves the count
//!     fn connect_failed(&mut self, endpoint: Endpoint);            // passive ejection
//!     fn finish(self, outcome: Outcome);
//!     fn open_tunnel(self) -> TunnelTicket;            // on 101: answered, tunnel counted open
//! }
//! enum Outcome { Answered { status: u16 }, Own(OwnCause), ClientAborted, Broken { status: u16 } }
//! impl TunnelTicket { fn must_close(&self) -> bool; fn finish(self, end: TunnelEnd); }   // dropped = closed
//! enum TunnelEnd { Closed, Cut }
//! #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)] struct Endpoint { address: SocketAddr, .. }  // keys the upstream pool
//! ```
//! and `crate::listener::Listener` with `scheme() -> &'static str` and `trusts_forwarded(SocketAddr) -> bool`.
//! Lanes run on `tokio::runtime::LocalRuntime` (`Builder::new_current_thread().build_local(..)`): `spawn_local` without a
//! `LocalSet`, whose second queue costs CPU on each wake.

mod bounds;
mod buffers;
mod client;
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

pub(crate) use bounds::TICK;
pub(crate) use client::serve;
pub(crate) use lane_io::LaneIo;

use crate::listener::Listener;

/// A request, as the routing sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Where it came in.
    pub(crate) listener: &'a Listener,
    /// Who sent it.
    pub(crate) peer: SocketAddr,
    /// Method, host, target and fields.
    pub(crate) head: &'a RequestHead<'a>,
}
