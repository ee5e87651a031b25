use std::net::SocketAddr;

use switchover_model::Problem;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::place;
use crate::say;

/// Run the daemon
///
/// It keeps the journal, drives releases, and starts the router or finds it again. When it is stopped with SIGTERM or
/// Ctrl-C, router and instances go on serving, and the next daemon takes over from there.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Where requests are taken
    #[arg(long, value_name = "ADDR", env = "SWITCHOVER_HTTP", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Where requests over TLS are taken (not carried out yet)
    #[arg(long, value_name = "ADDR", env = "SWITCHOVER_HTTPS")]
    https: Option<SocketAddr>,
}
