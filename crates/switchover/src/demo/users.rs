//! The demo's users, on a thread of their own so that drawing does not slow them down.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use switchover_testkit::load::{self, Plan, Report};
use tokio::sync::oneshot;

use super::house::failed;
use crate::failure::Failure;

/// Users at work.
pub(super) struct Users {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<std::io::Result<Report>>>,
}

impl Users {
    /// Quick and slow requests, streams, uploads and WebSockets from now on.
    pub(super) fn come(address: SocketAddr) -> Result<Self, Failure> {
        let (stop, stopped) = oneshot::channel();
        let mut plan = Plan::nobody(address, "localhost");
        plan.quick = 16;
        plan.slow = 4;
        plan.slow_takes = Duration::from_millis(1200);
        plan.streams = 2;
        plan.uploads = 2;
        plan.upload_bytes = 256 << 10;
        plan.websockets = 8;
        let thread = std::thread::Builder::new()
            .name("users".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                Ok(runtime.block_on(async {
                    let running = load::start(plan);
                    // A demo that is gone is a reason to stop, too.
                    let _ = stopped.await;
                    running.stop().await
                }))
            })
            .map_err(|error| failed("start its users", &error))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Their account. They finish the requests they have begun.
    pub(super) async fn leave(mut self) -> Result<Report, Failure> {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return Err(no_account()) };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(report)) => report.map_err(|error| failed("start its users", &error)),
            Ok(Err(_)) | Err(_) => Err(no_account()),
        }
    }
}

fn no_account() -> Failure {
    failed("hear its users' account", &std::io::ErrorKind::Other.into())
}
