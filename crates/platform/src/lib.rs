//! Runs the two slots of an app as processes of this machine, and makes the revisions they run.
//!
//! What it is: [`ProcessPlatform`], which is a `Platform` (instances) and a `Builder` (revisions, hooks), and
//! [`shim_main`], the small process beside each instance that outlives the controller.
//! Promises: an instance is who it was (found by lock, start time and environment, never by pid alone) and healthy only
//! when its own processes answered on its port; a sealed revision never changes unnoticed; what is told to stop ends,
//! with all its children, within its grace; output, waits and retries are bounded.
//! Must never: put a secret into an argument, a log of ours or a problem; signal a process it does not know; decide
//! about a release; know another room than model and, for what a revision's files say, migration.
//! Assumes: whoever ends the controller ends it alone. The shims are its children until it ends, so a systemd unit for
//! `switchover serve` needs `KillMode=process`: the default kills the whole control group, the apps with it.
//! Begin reading at `layout` (what lies where), `instance` (what shim and platform tell each other), `shim`, `watch`;
//! for revisions at `builder`.

mod adrift;
mod archive;
mod asked;
mod beat;
mod builder;
mod clock;
mod copy;
mod digest;
mod durable;
mod environment;
mod framework;
mod git;
mod group_run;
mod headroom;
mod health;
mod hook;
mod instance;
mod layout;
mod logs;
mod look;
mod output;
mod port;
mod process_platform;
mod processes;
mod role;
mod schema;
mod seal;
mod shell;
mod shim;
mod shim_start;
mod slot;
mod sock_diag;
mod sockets;
mod source;
mod steady;
mod tell;
mod verdict;
mod watch;
mod watched;

pub use archive::UNPACKED_BYTES;
pub use environment::INHERITED;
pub use headroom::{FREE_DISK_BYTES, FREE_FILES, FREE_MEMORY_BYTES, FREE_PROCESSES};
pub use logs::{LogQuery, MOST_LINES};
pub use output::{LINE_BYTES, LOG_FILE_BYTES};
pub use process_platform::{ENDED_KEPT, ProcessPlatform};
pub use shim::shim_main;
pub use watch::FAILURES_UNTIL_UNHEALTHY;
pub use watched::WORKER_SETTLED;
