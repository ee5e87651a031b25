//! Servers for the driver: the sample app, and one that says whatever its script tells it.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use switchover_testkit::load::Plan;
use switchover_testkit::sample::{Settings, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A server that ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// The sample app of `revision`.
    pub(crate) async fn sample(revision: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let settings = Settings::of_version(revision);
        let task = tokio::spawn(async move {
            serve(settings, listener, std::future::pending()).await;
        });
        Self { address, task }
    }

    /// A server that runs `script` on each connection; it gets the connection's number, from 0.
    pub(crate) async fn scripted<F>(script: impl Fn(usize, Peer) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (mut connections, number) = (JoinSet::new(), AtomicUsize::new(0));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let peer = Peer { stream, unread: Vec::new() };
                connections.spawn(script(number.fetch_add(1, Ordering::Relaxed), peer));
            }
        });
        Self { address, task }
    }

    /// A server that answers every request with what `answer` makes of its id and its number, from 0.
    pub(crate) async fn answering(answer: impl Fn(&str, usize) -> String + Send + Sync + 'static) -> Self {
        let (answer, number) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        Self::scripted(move |_, mut peer| {
            let (answer, number) = (Arc::clone(&answer), Arc::clone(&number));
            async move {
                while let Some(id) = peer.request().await {
                    let text = answer(&id, number.fetch_add(1, Ordering::Relaxed));
                    peer.say(text.as_bytes()).await;
                }
            }
        })
        .await
    }

    /// A plan with nobody in it yet, without pauses to wait for.
    pub(crate) fn plan(&self) -> Plan {
        Plan { timeout: std::time::Duration::from_secs(10), ..Plan::nobody(self.address, "shop.example") }
    }
}

/// The driver's end of a connection, as a server sees it.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl Peer {
    /// Reads one head and gives its `X-Load-Id`; `None` when the driver has left. Bodies are not looked for.
    pub(crate) async fn request(&mut self) -> Option<String> {
        self.head().await.map(|head| field(&head, "X-Load-Id"))
    }

    /// Reads one head.
    pub(crate) async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.unread.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            match self.stream.read_buf(&mut self.unread).await {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
                    return None;
                }
            }
        }
    }

    /// Reads so many bytes of a body.
    pub(crate) async fn body(&mut self, length: usize) {
        while self.unread.len() < length {
            assert_ne!(self.stream.read_buf(&mut self.unread).await.unwrap(), 0, "the driver left");
        }
        self.unread.drain(..length);
    }

    /// Writes, if the driver is still there.
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Breaks the connection off with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Holds the connection open, and silent, until the driver leaves.
    pub(crate) async fn hold(&mut self) {
        while self.request().await.is_some() {}
    }
}

/// The value of `name` in `head`.
pub(crate) fn field(head: &str, name: &str) -> String {
    let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_default().to_owned()
}

/// An answer such as the sample app's to `/version`.
pub(crate) fn good_answer(id: &str, revision: &str) -> String {
    answer(id, revision, "", &format!("{{\"id\":\"{id}\",\"revision\":\"{revision}\"}}"))
}

/// An answer of `revision` to `id` with more fields, each ending in CRLF, and this body.
pub(crate) fn answer(id: &str, revision: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nX-Load-Id: {id}\r\nX-Sample-Revision: {revision}\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    )
}
