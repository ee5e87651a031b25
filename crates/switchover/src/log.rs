//! The log of the long-running parts: lines on standard error.

use tracing_subscriber::EnvFilter;

/// What is logged, in the syntax of `tracing_subscriber::EnvFilter`.
const VARIABLE: &str = "SWITCHOVER_LOG";
const DEFAULT: &str = "warn";

/// Begins to log; `SWITCHOVER_LOG` says how much (`debug`, `switchover_router=trace`).
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // Fails only when a log was begun already.
    let _ = lines.try_init();
}
