//! Takes connections and serves each, within bounds.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::bounds::ACCEPT_PAUSE;
use crate::peer::Peer;

/// Where connections come in.
pub(crate) trait Door: Send + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one. Cancellation safe.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// `routes` as they are for this connection, with what they must know of its other end.
    fn routes(routes: Router, stream: &Self::Stream) -> Router;
}

impl Door for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }

    fn routes(routes: Router, stream: &UnixStream) -> Router {
        routes.layer(Extension(ConnectInfo(Peer::of(stream))))
    }
}

/// What connections are held to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How many may be open at the same time.
    pub(crate) connections: usize,
    /// The longest that one may take to send a head, and stand idle before it.
    pub(crate) head: Duration,
    /// The longest that one may live, where no answer goes on for longer: then it may finish what it is at, within the
    /// same time once more. So one that takes no answer holds its place for a while only.
    pub(crate) life: Option<Duration>,
}

/// A time that never comes.
const FOR_EVER: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// Serves `routes` on `listener` until `stopped` says so, or nobody is left to say it; then until the open connections have
/// finished what they are at. Dropped, it ends all of them.
///
/// Guarantees: never more connections than the bound; one beyond it waits unanswered in the socket's queue. One that
/// sends no head in time is closed.
pub(crate) async fn accept<D: Door + Sync>(
    listener: D,
    routes: Router,
    bounds: Bounds,
    mut stopped: oneshot::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let (closing, closes) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            (stream, place) = next(&listener, &places) => {
                let routes = D::routes(routes.clone(), &stream);
                connections.spawn(serve(stream, routes, bounds, closes.clone(), place));
            }
        }
    }
    drop(listener);
    closing.send_replace(true);
    while connections.join_next().await.is_some() {}
}

/// The next connection, once there is a place for it. Cancellation safe.
async fn next<D: Door>(listener: &D, places: &Arc<Semaphore>) -> (D::Stream, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("it is never closed");
    loop {
        match listener.next().await {
            Ok(stream) => return (stream, place),
            // The next one may do better: what is in the way (too many open files) goes away with other connections.
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Router,
    bounds: Bounds,
    mut closes: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(bounds.head);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::pin!(connection);
    // How a connection ended is its other end's matter.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = told_to_close(&mut closes) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
        () = sleep(bounds.life.unwrap_or(FOR_EVER)) => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(bounds.life.unwrap_or(FOR_EVER), connection).await;
        }
    }
    drop(place);
}

/// Waits until the connections shall end, or nobody is left to say so. Cancellation safe.
async fn told_to_close(closes: &mut watch::Receiver<bool>) {
    drop(closes.wait_for(|closing| *closing).await);
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    /// How long a test waits for what must come.
    const PATIENCE: Duration = Duration::from_secs(20);
    const ASKED: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    struct Bed {
        directory: tempfile::TempDir,
        stop: Option<oneshot::Sender<()>>,
        task: tokio::task::JoinHandle<()>,
    }

    impl Bed {
        fn start(bounds: Bounds) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
            let (stop, stopped) = oneshot::channel();
            let endless = || std::iter::repeat_n("much ", 10 << 20).collect::<String>();
            let routes = Router::new().route("/", get(async || "here")).route("/much", get(async move || endless()));
            Self { directory, stop: Some(stop), task: tokio::spawn(accept(listener, routes, bounds, stopped)) }
        }

        async fn connect(&self) -> UnixStream {
            UnixStream::connect(self.directory.path().join("socket")).await.unwrap()
        }
    }

    /// Reads one answer; the connection stays open.
    async fn answer(stream: &mut UnixStream) -> String {
        let mut told = Vec::new();
        while !told.ends_with(b"here") {
            assert!(stream.read_buf(&mut told).await.unwrap() > 0, "{}", String::from_utf8_lossy(&told));
        }
        String::from_utf8(told).unwrap()
    }

    #[tokio::test]
    async fn a_connection_beyond_the_bound_is_served_when_another_ends() {
        let bed = Bed::start(Bounds { connections: 2, head: PATIENCE, life: None });
        let (mut one, mut two, mut three) = (bed.connect().await, bed.connect().await, bed.connect().await);
        for stream in [&mut one, &mut two] {
            stream.write_all(ASKED).await.unwrap();
            timeout(PATIENCE, answer(stream)).await.unwrap();
        }
        three.write_all(ASKED).await.unwrap();
        // The other two are served again and again, and it is not.
        for _ in 0..20 {
            one.write_all(ASKED).await.unwrap();
            timeout(PATIENCE, answer(&mut one)).await.unwrap();
        }
        let mut byte = [0; 1];
        assert!(three.try_read(&mut byte).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
        drop(two);
        assert!(timeout(PATIENCE, answer(&mut three)).await.unwrap().starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_ends_its_connection() {
        let bed = Bed::start(Bounds { connections: 8, head: Duration::from_millis(300), life: None });
        for begun in [&b""[..], b"GET / HTTP/1.1\r\nhost: "] {
            let mut stream = bed.connect().await;
            stream.write_all(begun).await.unwrap();
            let mut rest = Vec::new();
            // It is told so or not; it is closed.
            timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is closed").unwrap();
            assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
        }
    }

    #[tokio::test]
    async fn one_that_takes_no_answer_gives_its_place_to_the_next() {
        let life = Some(Duration::from_millis(200));
        let bed = Bed::start(Bounds { connections: 1, head: PATIENCE, life });
        let mut deaf = bed.connect().await;
        deaf.write_all(b"GET /much HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut next = bed.connect().await;
        next.write_all(ASKED).await.unwrap();
        assert!(timeout(PATIENCE, answer(&mut next)).await.expect("its turn comes").starts_with("HTTP/1.1 200 "));
        drop(deaf);
    }

    #[tokio::test]
    async fn an_idle_connection_does_not_hold_up_the_end() {
        let mut bed = Bed::start(Bounds { connections: 8, head: PATIENCE * 10, life: None });
        let mut idle = bed.connect().await;
        idle.write_all(ASKED).await.unwrap();
        timeout(PATIENCE, answer(&mut idle)).await.unwrap();
        let begun = Instant::now();
        bed.stop.take().unwrap().send(()).unwrap();
        timeout(PATIENCE, &mut bed.task).await.expect("it ends").unwrap();
        assert!(begun.elapsed() < PATIENCE);
        assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0, "it is closed");
    }
}
