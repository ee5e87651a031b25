//! One router after another in the same directory, without a moment in which nobody listens.
//!
//! Flow: the one that ends lets go of the control socket and of the directory's lock, and goes on accepting; its
//! successor binds beside it, serves, and writes its `pid`; seeing that, the one before closes its listeners and finishes
//! what it has. For a moment it still routes what comes on connections that are open, by its own table: so long the
//! successor puts off every switch.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::LAST_ROUTED_TIME;
use crate::identity;

/// How long a router that was told to end goes on accepting for a successor to come.
pub(crate) const HANDOVER_TIME: Duration = Duration::from_secs(3);
/// How often it looks for one.
const LOOKED_FOR_EVERY: Duration = Duration::from_millis(10);
/// How long after it serves a successor takes it that the one before may route new requests, unless that has ended: a
/// little longer than that takes to see its successor and to route its last one.
pub(crate) const BEFORE_ROUTES_TIME: Duration = Duration::from_secs(2);
const _: () =
    assert!(LOOKED_FOR_EVERY.as_millis() + LAST_ROUTED_TIME.as_millis() + 500 <= BEFORE_ROUTES_TIME.as_millis());
/// Who is ending.
const ENDING: &str = "ending";
/// Who serves.
const SERVING: &str = "pid";

/// Says that this router serves.
pub(crate) fn tell_serving(directory: &Path) -> io::Result<()> {
    write(directory, SERVING)
}

/// Says that this router ends, so that a successor may listen beside it.
pub(crate) fn tell_ending(directory: &Path) -> io::Result<()> {
    write(directory, ENDING)
}

/// True when a router of this directory that lives has said that it ends.
pub(crate) fn is_handed_over(directory: &Path) -> bool {
    read(directory, ENDING).is_some_and(|(pid, started)| identity::started_ticks(pid) == Some(started))
}

/// Waits for a successor to serve, at most [`HANDOVER_TIME`].
pub(crate) async fn wait_for_successor(directory: &Path) {
    let own = std::process::id();
    let deadline = Instant::now() + HANDOVER_TIME;
    while Instant::now() < deadline && read(directory, SERVING).is_none_or(|(pid, _)| pid == own) {
        tokio::time::sleep(LOOKED_FOR_EVERY).await;
    }
}

fn write(directory: &Path, name: &str) -> io::Result<()> {
    let pid = std::process::id();
    let started = identity::started_ticks(pid).unwrap_or(0);
    std::fs::write(directory.join(name), format!("{pid} {started}\n"))
}

fn read(directory: &Path, name: &str) -> Option<(u32, u64)> {
    let text = std::fs::read_to_string(directory.join(name)).ok()?;
    let (pid, started) = text.trim().split_once(' ')?;
    Some((pid.parse().ok()?, started.parse().ok()?))
}
