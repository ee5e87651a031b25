//! The control API: HTTP/JSON on a unix socket that admits by peer credentials.
//!
//! What it is: a thin translation between HTTP and the controller; every answer is a type of the model.
//! Promises: whoever is neither root nor the daemon's own user is refused; every error is a problem with code, cause and
//! next step; no event of a stream is skipped; connections, heads, bodies, streams and waits are bounded; over TCP, where it is told to listen there, nothing but metrics is to be had.
//! Must never: decide anything, touch the journal, the platform or the router, or print.
//! Begin reading at `routes` (what can be asked), then `server` (how it is served), `events` (the stream) and `scrape`
//! (what Prometheus reads).

mod accept;
mod bounds;
mod events;
mod logs;
mod metrics;
mod metrics_address;
mod openapi;
mod peer;
mod refusal;
mod request;
mod routes;
mod scrape;
mod scrape_goals;
mod scrape_shadow;
mod server;

pub use metrics_address::MetricsAddress;
pub use server::{ServeError, Server, serve, serve_metrics};
