//! Giving an instance a shim, and a new one where the old one was killed.

use std::process::Stdio;
use std::time::Duration;

use switchover_model::Problem;
use switchover_model::seam::Phase;
use tokio::time::Instant;

use crate::clock;
use crate::environment;
use crate::output;
use crate::processes;
use crate::watch::{SOON, Watcher};

/// How long a shim may take until it holds its lock.
pub(crate) const SHIM_START: Duration = Duration::from_secs(10);

/// The longest wait before a shim that does not start is started again.
pub(crate) const LONGEST_SHIM_WAIT: Duration = Duration::from_secs(10);

impl Watcher {
    /// Starts a shim and waits until it holds its lock.
    pub(crate) async fn start_shim(&mut self) {
        if self.shim_starts > 0 {
            let wait = Duration::from_millis(50).saturating_mul(1 << self.shim_starts.min(10));
            tokio::time::sleep(wait.min(LONGEST_SHIM_WAIT)).await;
        }
        self.shim_starts = self.shim_starts.saturating_add(1);
        let until = Instant::now() + SHIM_START;
        let ended = match self.spawn_shim() {
            Ok(mut child) => loop {
                if self.watched.dir.shim().is_ok_and(|shim| shim.is_some()) {
                    return;
                }
                match child.try_wait() {
                    Ok(None) if Instant::now() < until => tokio::time::sleep(SOON).await,
                    Ok(None) => break "it did not take its lock in time".to_owned(),
                    // Another shim was faster, or it found nothing left to do.
                    Ok(Some(status)) if status.success() => return,
                    Ok(Some(status)) => break status.to_string(),
                    Err(error) => break error.to_string(),
                }
            },
            Err(error) => error.to_string(),
        };
        let cause = Problem::new(
            "SHIM-FAILED",
            format!("the shim of {} could not be started: {ended}.", self.watched.spec.id),
            "Look whether the switchover binary is still where the daemon was started from, and at the disk.",
        )
        .with_detail(output::last_lines(&self.watched.dir.trouble(), Problem::DETAIL_LINES).unwrap_or_default());
        self.show(Phase::Unhealthy { since: clock::now(), cause });
    }

    /// The child is not waited for to its end: it outlives this process. The runtime takes its exit status meanwhile.
    fn spawn_shim(&self) -> std::io::Result<tokio::process::Child> {
        let dir = &self.watched.dir.root;
        tokio::process::Command::new(&self.shared.executable)
            .args(["shim", "--dir"])
            .arg(dir)
            .env_clear()
            .envs(environment::inherited())
            .env(processes::SHIM_VARIABLE, self.watched.spec.mark().1)
            .env(processes::SPEC_VARIABLE, serde_json::to_string(&self.watched.spec)?)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    }
}
