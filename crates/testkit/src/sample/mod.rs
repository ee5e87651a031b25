//! The sample app: a web process and a worker, small, quick to boot, and sick on order.
//!
//! As a program (`sample-app`, or a subcommand of another binary through [`command`]):
//!
//! ```text
//! sample-app [--version V] [--sick LIST] [--port N]          serves 127.0.0.1:$PORT until SIGTERM
//! sample-app work NAME --log FILE --spool DIR [--version V] [--sick LIST]
//! ```
//!
//! The version comes from `--version`, else `SAMPLE_VERSION`, else the file `VERSION` in the working directory; what is
//! wrong with it from `--sick`, else `SAMPLE_SICK`, else the file `SICK` (see [`Sickness`]). Slot, revision and instance
//! come from the `SWITCHOVER_*` variables that an instance is started with.
//! In a test, [`serve`] runs the same app inside the caller's runtime.

mod command;
mod lease;
mod routes;
mod serve;
mod settings;
mod spool;
mod websocket;
mod worker;

pub use command::{USAGE, command};
pub use serve::{Ending, serve};
pub use settings::{Health, Settings, SettingsError, Sickness};
pub use spool::{Entry, Spool, read_log};
pub use worker::{Work, work};
