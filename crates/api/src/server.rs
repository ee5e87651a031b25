//! Serves the API on its socket.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use switchover_controller::Controller;
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;

use crate::accept::{Bounds, accept};
use crate::bounds::{CONNECTIONS, GOODBYE, HEAD_LIMIT, METRICS_CONNECTIONS, METRICS_LIFE};
use crate::metrics_address::MetricsAddress;
use crate::{metrics, routes};

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket could not be made.
    #[error("the control socket {path} cannot be made: {source}")]
    Socket {
        /// Where it was to be.
        path: PathBuf,
        /// Why it is not.
        source: io::Error,
    },
}

/// The running API, or its metrics alone. Dropped, it ends at once.
#[derive(Debug)]
pub struct Server {
    task: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
    /// The socket's file, where it has one.
    path: Option<PathBuf>,
}

/// Serves `controller` on a unix socket at `path`; it listens when this returns.
///
/// Flow: called once by `switchover serve`, which holds the state folder's lock.
/// Guarantees: only the socket's owner and root can connect (mode 0600), and only they are answered.
/// Assumes: whoever left a socket at `path` is gone, because the caller holds the lock.
///
/// # Errors
/// When the socket cannot be made.
pub async fn serve(controller: Controller, path: &Path) -> Result<Server, ServeError> {
    let failed = |source| ServeError::Socket { path: path.to_owned(), source };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let (stop, stopped) = oneshot::channel();
    let bounds = Bounds { connections: CONNECTIONS, head: HEAD_LIMIT, life: None };
    let task = tokio::spawn(accept(listener, routes::router(controller), bounds, stopped));
    Ok(Server { task, stop: Some(stop), path: Some(path.to_owned()) })
}

/// Serves the metrics of `controller`, and nothing else, to whoever reaches `address`: `GET /metrics`.
///
/// Guarantees: connections and scrapes are bounded, whatever comes is answered or closed in bounded time.
///
/// # Errors
/// The listening socket is no use to the runtime.
pub fn serve_metrics(controller: Controller, address: MetricsAddress) -> io::Result<Server> {
    let listener = address.door()?;
    let (stop, stopped) = oneshot::channel();
    let bounds = Bounds { connections: METRICS_CONNECTIONS, head: HEAD_LIMIT, life: Some(METRICS_LIFE) };
    let task = tokio::spawn(accept(listener, metrics::router(controller), bounds, stopped));
    Ok(Server { task, stop: Some(stop), path: None })
}

impl Server {
    /// Waits until the API has ended though nobody shut it down: the daemon hears no command then. Cancellation safe.
    ///
    /// # Errors
    /// How its task broke down.
    pub async fn ended(&mut self) -> Result<(), JoinError> {
        (&mut self.task).await
    }

    /// Takes no new connection, gives the open ones a bounded time to finish, and removes the socket.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        // A task whose end was told by `ended` is not asked again. Streams never finish by themselves: what is left after the goodbye is ended by the drop.
        if !self.task.is_finished() {
            let _ = timeout(GOODBYE, &mut self.task).await;
        }
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
