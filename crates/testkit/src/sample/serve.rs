//! The web process: accepts, answers, and leaves cleanly.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::routes::App;
use super::settings::Settings;

/// How long requests that are on may take to finish once the app was asked to stop.
const FINISH_LIMIT: Duration = Duration::from_secs(60);
/// WebSockets that wait to be taken over by the accept loop.
const UPGRADES_WAITING: usize = 64;
/// Rest after a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_REST: Duration = Duration::from_millis(20);

/// Why [`serve`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Asked to, and every request that was on has been answered.
    Finished,
    /// Asked to, but requests were still on at the end of the limit and have been cut.
    Cut,
    /// It fell ill ([`super::Sickness::crashes_after`]): every connection was dropped at once.
    Crashed,
}

/// Work that outlives the request that began it (an upgraded connection).
pub(super) type Upgrade = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves on `listener` until `stop` completes.
///
/// Flow: accepts, one task a connection, all owned here; at `stop` it closes the listener, lets requests finish and
/// closes WebSockets with 1001.
/// Guarantees: no task outlives it.
/// Assumes: the sicknesses that belong to the start (exits, floods, boots-in) and to signals were seen to by the caller.
pub async fn serve(settings: Settings, listener: TcpListener, stop: impl Future<Output = ()>) -> Ending {
    let (stopping, stopped) = watch::channel(false);
    let (upgrades, mut upgraded) = mpsc::channel::<Upgrade>(UPGRADES_WAITING);
    let (crash, mut crashed) = mpsc::channel::<()>(1);
    let app = Arc::new(App::new(settings, upgrades, stopped.clone(), crash));
    let mut tasks = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(()) = crashed.recv() => return Ending::Crashed,
            Some(upgrade) = upgraded.recv() => { tasks.spawn(upgrade); }
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { tasks.spawn(serve_connection(stream, Arc::clone(&app), stopped.clone())); }
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => tokio::time::sleep(ACCEPT_REST).await,
            },
        }
    }
    drop(listener);
    stopping.send_replace(true);
    drop(app);
    let finish = async {
        loop {
            tokio::select! {
                Some(()) = crashed.recv() => return Ending::Crashed,
                Some(upgrade) = upgraded.recv() => { tasks.spawn(upgrade); }
                joined = tasks.join_next() => if joined.is_none() { return Ending::Finished },
            }
        }
    };
    tokio::time::timeout(FINISH_LIMIT, finish).await.unwrap_or(Ending::Cut)
}

async fn serve_connection(stream: TcpStream, app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    // Answers are small and final: waiting for more bytes to send along would only add latency.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let app = Arc::clone(&app);
        async move { app.answer(request).await }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = asked_to_stop(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A connection that its client broke off is the client's affair.
    drop(ended);
}

/// Completes once the app was asked to stop.
pub(super) async fn asked_to_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopping| *stopping).await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
