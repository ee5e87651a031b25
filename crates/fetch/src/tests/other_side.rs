//! The other side: a socket on which a test does what it likes.

use std::net::SocketAddr;
use std::time::Duration;

use switchover_model::Url;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::{Answer, Bounds, Client, FetchError, Method, Request};

/// Wide enough that no test runs into them which does not mean to.
pub(super) const WIDE: Bounds =
    Bounds { whole: Duration::from_secs(20), connect: Duration::from_secs(10), answer_bytes: 1 << 20 };

/// A socket that takes one connection and hands it to `does`; gives what that gives.
pub(super) async fn other_side<F, A, T>(does: F) -> (SocketAddr, JoinHandle<T>)
where
    F: FnOnce(TcpStream) -> A + Send + 'static,
    A: Future<Output = T> + Send,
    T: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        does(stream).await
    });
    (address, task)
}

pub(super) fn url(address: SocketAddr, rest: &str) -> Url {
    format!("http://{address}{rest}").parse().unwrap()
}

/// Reads a request to the end of its head, and as much of a body as its length says.
pub(super) async fn request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0_usize) {
                return text;
            }
        }
        let mut part = [0; 1024];
        match stream.read(&mut part).await.unwrap() {
            0 => return text,
            some => read.extend_from_slice(&part[..some]),
        }
    }
}

/// What a client makes of an other side that reads a request, then writes `answer` and ends its half of the connection.
pub(super) async fn answered(answer: impl Into<Vec<u8>>, bounds: Bounds) -> Result<Answer, FetchError> {
    let answer = answer.into();
    let (address, side) = other_side(move |mut stream: TcpStream| async move {
        request(&mut stream).await;
        // The client may have seen enough before all is written.
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let outcome = Client::new().fetch(Request::new(Method::Get, url(address, "/")), bounds).await;
    side.abort();
    outcome
}
