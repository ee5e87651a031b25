//! Keeps the router's process up: it outlives the controller, but somebody has to start it anew when it died.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use switchover_model::Problem;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Time between two looks at a router that runs.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long it may take to be up.
const UP: Duration = Duration::from_secs(15);
/// Pause after a start that failed.
const RETRY: Duration = Duration::from_secs(1);

/// What keeps a router's process up.
#[async_trait]
pub trait Keeper: Send + Sync {
    /// Makes sure that the router runs and answers. Returns whether it had to be started.
    ///
    /// Guarantees: repeating it changes nothing while one runs. Errors: why it can not be started, or what the one that
    /// runs lacks.
    async fn ensure_running(&self) -> Result<bool, Problem>;

    /// The controller could not be started whole: ends the router when it was started for this controller, and leaves one
    /// that ran before. Returns when it has ended, or has had its time to.
    async fn take_back(&self);
}

/// Keeps it up until `stop` says so; `problem` tells what stands in the way, `restarted` counts the starts.
pub(crate) async fn keep_up(
    keeper: Arc<dyn Keeper>,
    mut stop: watch::Receiver<bool>,
    problem: watch::Sender<Option<Problem>>,
) {
    loop {
        let pause = match timeout(UP, keeper.ensure_running()).await {
            Ok(Ok(was_started)) => {
                if was_started {
                    tracing::warn!("the router was not running and was started");
                }
                problem.send_if_modified(|known| known.take().is_some());
                LOOK_EVERY
            }
            Ok(Err(cause)) => {
                problem.send_if_modified(|known| {
                    let is_new = known.as_ref() != Some(&cause);
                    if is_new {
                        tracing::error!(%cause, "the router is not as it should be");
                        *known = Some(cause);
                    }
                    is_new
                });
                RETRY
            }
            Err(_) => {
                let cause = format!("The router was not up within {} s.", UP.as_secs());
                problem.send_replace(Some(Problem::new("ROUTER-UNREACHABLE", cause, "Look into STATE/router/log.")));
                RETRY
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

/// Waits until `stop` says so, or nobody is left to say it. Cancellation safe.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}
