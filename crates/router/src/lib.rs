//! The data plane: the process that holds the listening sockets and moves the bytes of users' requests.
//!
//! What it is: `switchover router`, one single-threaded runtime (a *lane*) a core, each with its own listener, tables,
//! upstream connections and counters; plus a control thread on a unix socket, and the client of that socket.
//! Promises: no client sees a new table and then an old one; a request is counted before anything is awaited and ends in
//! exactly one outcome; counters and the last table outlive the process; a drained revision has nothing in flight.
//! Must never: take a lock on a request's way, cut a plain request that still moves, decide what a release does, or
//! answer for a port whose owner it is not sure of.
//! Begin reading at `lane` (one request's way), then `generation` (the switch), `switchboard` (what the control thread
//! does for each command), `ledger` (the counters), `meter` (how well each arm does), `mirror` (copies for a
//! slot that answers nobody) and `client` (what the controller calls).

mod accept;
mod came;
mod causes;
mod change;
pub mod client;
mod connection;
mod control;
mod endpoint;
mod generation;
mod goals;
mod handover;
mod identity;
mod incarnations;
mod kept;
mod lane;
mod lane_table;
mod ledger;
mod ledger_file;
mod listener;
mod log_file;
mod measured;
mod meter;
mod mirror;
mod networks;
mod preview;
mod process;
mod rules;
mod short;
pub mod spawn;
mod split;
mod split_key;
mod switchboard;
mod table;
mod ticket;
mod tunnel_ticket;
pub mod wire;

pub use process::{RouterError, RouterOptions, STOP_TIME, run};
