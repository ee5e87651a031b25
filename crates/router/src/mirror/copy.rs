//! One copy: a request to an instance over a connection that no user's request goes over, and its answer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use switchover_http1::{ChunkedDecoder, Framing, Method, Progress, ResponseParser};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::COPY_TIME;
use super::answer::Answer;

/// Idle connections to one instance.
const IDLE_MAX: usize = 8;
/// How long they are kept.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(2);
/// Informational answers before the final one.
const INFORMATIONAL_MAX: usize = 16;
/// Bytes that are read at once, at least.
const READ_BYTES: usize = 4 * 1024;

/// A connection with what reading from it needs: used again and again, a copy takes no new memory for it.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    parser: ResponseParser,
    /// What was read and not used yet.
    bytes: Vec<u8>,
    /// A byte of the answer has come.
    has_begun: bool,
}

/// Connections that wait for the next copy, with the moment of their last one.
#[derive(Debug, Default)]
pub(super) struct Connections(RefCell<HashMap<SocketAddr, Vec<(Connection, Instant)>>>);

impl Connections {
    /// Closes what was not used for a while.
    pub(super) fn sweep(&self) {
        self.0.borrow_mut().retain(|_, idle| {
            idle.retain(|(_, since)| since.elapsed() < IDLE_TIME);
            !idle.is_empty()
        });
    }

    fn take(&self, address: SocketAddr) -> Option<Connection> {
        let mut all = self.0.borrow_mut();
        let idle = all.get_mut(&address)?;
        while let Some((connection, since)) = idle.pop() {
            if connection.is_quiet() && since.elapsed() < IDLE_TIME {
                return Some(connection);
            }
        }
        None
    }

    fn give(&self, address: SocketAddr, connection: Connection) {
        let mut all = self.0.borrow_mut();
        let idle = all.entry(address).or_default();
        if idle.len() < IDLE_MAX {
            idle.push((connection, Instant::now()));
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// None came, not whole, not in time, or no HTTP.
    Unanswered,
    /// It is larger than is kept.
    TooLarge,
    /// It was not asked for: its mirror is not in the table any more.
    Ended,
}

/// What is sent, and what is kept of the answer.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// Up to the framing.
    pub(super) head: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) method: Method,
    /// Headers of the answer that are compared.
    pub(super) headers: &'a [String],
    /// Most bytes of its body.
    pub(super) most: usize,
}

/// Sends a copy and waits for its answer, for [`COPY_TIME`] at most.
pub(super) async fn send(connections: &Connections, to: SocketAddr, request: &Request<'_>) -> Result<Answer, Failed> {
    tokio::time::timeout(COPY_TIME, exchange(connections, to, request)).await.unwrap_or(Err(Failed::Unanswered))
}

async fn exchange(connections: &Connections, to: SocketAddr, request: &Request<'_>) -> Result<Answer, Failed> {
    let mut message = Vec::with_capacity(request.head.len() + request.body.len() + 32);
    message.extend_from_slice(request.head);
    // RFC 9110 8.6: methods that have a body by their nature say so when it is empty.
    if !request.body.is_empty() || !request.method.is_idempotent() {
        message.extend_from_slice(format!("Content-Length: {}\r\n", request.body.len()).as_bytes());
    }
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(request.body);
    if let Some(mut connection) = connections.take(to) {
        // The instance may close an idle connection at any time (RFC 9112 9.3.1): nothing came, so nothing was done twice.
        match connection.exchange(&message, request).await {
            Err(Failed::Unanswered) if !connection.has_begun && request.method.is_idempotent() => {}
            ended => return keep(connections, to, connection, ended),
        }
    }
    let mut connection = Connection::open(to).await?;
    let ended = connection.exchange(&message, request).await;
    keep(connections, to, connection, ended)
}

/// Keeps the connection where another request may follow.
fn keep(
    connections: &Connections,
    to: SocketAddr,
    connection: Connection,
    ended: Result<(Answer, bool), Failed>,
) -> Result<Answer, Failed> {
    let (answer, stays) = ended?;
    if stays {
        connections.give(to, connection);
    }
    Ok(answer)
}

impl Connection {
    async fn open(to: SocketAddr) -> Result<Self, Failed> {
        let stream = TcpStream::connect(to).await.map_err(|_| Failed::Unanswered)?;
        // Without it the copy is slower, not wrong.
        let _ = stream.set_nodelay(true);
        Ok(Self { stream, parser: ResponseParser::new(), bytes: Vec::new(), has_begun: false })
    }

    /// True when nothing came that nobody asked for, and no end.
    fn is_quiet(&self) -> bool {
        matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads once; false at the end.
    async fn fill(&mut self) -> Result<bool, Failed> {
        self.bytes.reserve(READ_BYTES);
        let count = self.stream.read_buf(&mut self.bytes).await.map_err(|_| Failed::Unanswered)?;
        self.has_begun |= count > 0;
        Ok(count > 0)
    }

    /// The answer to `message`, and whether another may follow on the connection.
    async fn exchange(&mut self, message: &[u8], request: &Request<'_>) -> Result<(Answer, bool), Failed> {
        self.has_begun = false;
        self.stream.write_all(message).await.map_err(|_| Failed::Unanswered)?;
        for _ in 0..=INFORMATIONAL_MAX {
            self.parser.reset();
            let head_bytes = loop {
                match self.parser.parse(&self.bytes) {
                    Ok(Progress::Complete { head_bytes }) => break head_bytes,
                    Ok(Progress::Partial) if self.fill().await? => {}
                    Ok(Progress::Partial) | Err(_) => return Err(Failed::Unanswered),
                }
            };
            let head = self.parser.head(&self.bytes);
            if head.status() == 101 {
                return Err(Failed::Unanswered);
            }
            if head.status() >= 200 {
                let framing = head.framing(request.method);
                let stays = head.is_persistent() && framing != Framing::UntilClose;
                let mut answer = Answer::of(&head, request.headers);
                self.bytes.drain(..head_bytes);
                answer.body = self.body(framing, request.most).await?;
                return Ok((answer, stays && self.bytes.is_empty()));
            }
            self.bytes.drain(..head_bytes);
        }
        Err(Failed::Unanswered)
    }

    /// The whole body; what is behind it stays.
    async fn body(&mut self, framing: Framing, most: usize) -> Result<Vec<u8>, Failed> {
        match framing {
            Framing::Empty => Ok(Vec::new()),
            Framing::Tunnel => Err(Failed::Unanswered),
            Framing::Length(length) => {
                let length = usize::try_from(length).ok().filter(|length| *length <= most).ok_or(Failed::TooLarge)?;
                while self.bytes.len() < length {
                    if !self.fill().await? {
                        return Err(Failed::Unanswered);
                    }
                }
                Ok(self.bytes.drain(..length).collect())
            }
            Framing::UntilClose => {
                while self.fill().await? {
                    if self.bytes.len() > most {
                        return Err(Failed::TooLarge);
                    }
                }
                Ok(std::mem::take(&mut self.bytes))
            }
            Framing::Chunked => {
                let (mut decoder, mut body) = (ChunkedDecoder::new(), Vec::new());
                loop {
                    let gathered = decoder.gather(&mut self.bytes).map_err(|_| Failed::Unanswered)?;
                    body.extend_from_slice(&self.bytes[..gathered.content]);
                    self.bytes.drain(..gathered.consumed);
                    if body.len() > most {
                        return Err(Failed::TooLarge);
                    }
                    if gathered.over.is_some() {
                        return Ok(body);
                    }
                    if !self.fill().await? {
                        return Err(Failed::Unanswered);
                    }
                }
            }
        }
    }
}
