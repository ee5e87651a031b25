//! The daemon as a command sees it: HTTP/1.1 over the unix socket in the state folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use switchover_model::answer::CommandAnswer;
use switchover_model::release::Command;
use switchover_model::{AppName, Problem};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::exit::Exit;
use crate::failure::Failure;

/// The socket's name in the state folder.
pub(crate) const SOCKET: &str = "control.sock";
/// How long the daemon may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a deploy looks for a daemon that is just being started, as after `switchover serve &`.
const START_LIMIT: Duration = Duration::from_secs(5);
/// The pause before it looks again.
const START_PAUSE: Duration = Duration::from_millis(100);
/// How long it may take to begin an answer. The longest one is a wait, which it ends after 60 s by itself.
const ANSWER_LIMIT: Duration = Duration::from_secs(75);
/// The longest answer that is read whole, in bytes.
const ANSWER_BYTES: usize = 64 << 20;
/// How often a command whose connection broke is sent again, with the same key.
const COMMAND_TRIES: u32 = 20;
/// The pause before it is.
const COMMAND_PAUSE: Duration = Duration::from_millis(250);
/// The longest path of a unix socket, in bytes (unix(7): `sun_path` and its closing zero).
pub(crate) const SOCKET_PATH_BYTES: usize = 107;

/// Finds the daemon by its state folder.
#[derive(Debug, Clone)]
pub(crate) struct Daemon {
    socket: PathBuf,
    state: PathBuf,
}

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Nobody listens.
    Unreachable(String),
    /// It listens, but the connection ended or the answer made no sense.
    Broken(String),
    /// It answered with a problem.
    Answered(StatusCode, Problem),
}

/// An answer that is read as it comes.
#[derive(Debug)]
pub(crate) struct Stream {
    body: Incoming,
    connection: JoinHandle<()>,
}

impl Daemon {
    pub(crate) fn new(state: &Path) -> Self {
        Self { socket: state.join(SOCKET), state: state.to_owned() }
    }

    /// Waits for a moment while nobody listens, as a daemon may be on its way. Whether one is there is what the next question tells.
    pub(crate) async fn await_start(&self) {
        let is_away = |why: &std::io::Error| {
            matches!(why.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused)
        };
        let comes = async {
            while UnixStream::connect(&self.socket).await.is_err_and(|why| is_away(&why)) {
                sleep(START_PAUSE).await;
            }
        };
        let _ = timeout(START_LIMIT, comes).await;
    }

    /// What is at `path`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.try_get(path).await.map_err(|trouble| self.failure(trouble))
    }

    /// The same, for callers that know what to do about a daemon that is away.
    pub(crate) async fn try_get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        self.ask(Method::GET, path, None, Bytes::new()).await
    }

    /// What would come of `body` at `path`; changes nothing.
    pub(crate) async fn question<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        let body = encoded(body)?;
        self.ask(Method::POST, path, None, body).await.map_err(|trouble| self.failure(trouble))
    }

    /// Gives a command. A broken connection is no answer, so it is given again under the same key: still one command.
    pub(crate) async fn command(&self, app: &AppName, command: &Command) -> Result<CommandAnswer, Failure> {
        let key = new_key()?;
        let body = encoded(command)?;
        let path = format!("/v1/apps/{app}/commands");
        let mut broken = false;
        for _ in 1..COMMAND_TRIES {
            match self.ask(Method::POST, &path, Some(&key), body.clone()).await {
                Err(Trouble::Broken(_)) => broken = true,
                // Away at first asking: nobody has seen the command. Away later: it is being restarted.
                Err(Trouble::Unreachable(_)) if broken => {}
                answer => return answer.map_err(|trouble| self.failure(trouble)),
            }
            sleep(COMMAND_PAUSE).await;
        }
        self.ask(Method::POST, &path, Some(&key), body).await.map_err(|trouble| self.failure(trouble))
    }

    /// An answer that goes on.
    pub(crate) async fn stream(&self, path: &str) -> Result<Stream, Trouble> {
        let (answer, connection) = self.send(Method::GET, path, None, Bytes::new()).await?;
        if answer.status() == StatusCode::OK {
            return Ok(Stream { body: answer.into_body(), connection });
        }
        let trouble = refusal(answer).await;
        connection.abort();
        Err(trouble)
    }

    /// What a person is told of `trouble`.
    pub(crate) fn failure(&self, trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Unreachable(why) => Failure::Problem(
                Exit::Unreachable,
                Problem::new(
                    "DAEMON-UNREACHABLE",
                    format!("No daemon answers at {}: {why}.", self.socket.display()),
                    format!(
                        "Start it with `switchover serve --state {}`, or name another state folder with --state.",
                        self.state.display()
                    ),
                ),
            ),
            Trouble::Broken(why) => Failure::Problem(
                Exit::Unreachable,
                Problem::new(
                    "DAEMON-BROKE-OFF",
                    format!("The daemon at {} did not finish its answer: {why}.", self.socket.display()),
                    "Ask again; if it stays so, look at the daemon's own log.",
                ),
            ),
            Trouble::Answered(status, problem) => {
                let exit = match status {
                    StatusCode::CONFLICT | StatusCode::FORBIDDEN => Exit::Refused,
                    _ => Exit::Other,
                };
                Failure::Problem(exit, problem)
            }
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<T, Trouble> {
        let (answer, connection) = self.send(method, path, key, body).await?;
        let read = if answer.status().is_success() {
            let whole = whole(answer).await;
            whole.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| Trouble::Broken(error.to_string())))
        } else {
            Err(refusal(answer).await)
        };
        connection.abort();
        read
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<(Response<Incoming>, JoinHandle<()>), Trouble> {
        let (mut sender, connection) = self.connect().await?;
        let mut request = Request::builder().method(method).uri(path).header(HOST, "switchover");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::new(body)).map_err(|error| Trouble::Broken(error.to_string()))?;
        match timeout(ANSWER_LIMIT, sender.send_request(request)).await {
            Ok(Ok(answer)) => Ok((answer, connection)),
            Ok(Err(error)) => {
                connection.abort();
                Err(Trouble::Broken(error.to_string()))
            }
            Err(_) => {
                connection.abort();
                Err(Trouble::Broken(format!("no answer within {} s", ANSWER_LIMIT.as_secs())))
            }
        }
    }

    async fn connect(&self) -> Result<(SendRequest<Full<Bytes>>, JoinHandle<()>), Trouble> {
        if self.socket.as_os_str().len() > SOCKET_PATH_BYTES {
            return Err(Trouble::Unreachable(format!(
                "the path is longer than the {SOCKET_PATH_BYTES} bytes that a socket may have"
            )));
        }
        let stream = match timeout(CONNECT_LIMIT, UnixStream::connect(&self.socket)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Trouble::Unreachable(reason(&error))),
            Err(_) => return Err(Trouble::Unreachable(format!("not within {} s", CONNECT_LIMIT.as_secs()))),
        };
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Trouble::Broken(error.to_string()))?;
        // Whoever reads the answer holds the handle and aborts it; how the connection ended shows in the answer.
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok((sender, connection))
    }
}

impl Stream {
    /// The next bytes; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Trouble::Broken(error.to_string())),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn encoded<B: Serialize>(body: &B) -> Result<Bytes, Failure> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|error| {
        Failure::other(
            "BODY-MALFORMED",
            format!("The question could not be written: {error}."),
            "Report this as a bug.",
        )
    })
}

async fn whole(answer: Response<Incoming>) -> Result<Bytes, Trouble> {
    match timeout(ANSWER_LIMIT, Limited::new(answer.into_body(), ANSWER_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) => Err(Trouble::Broken(error.to_string())),
        Err(_) => Err(Trouble::Broken(format!("the answer did not end within {} s", ANSWER_LIMIT.as_secs()))),
    }
}

async fn refusal(answer: Response<Incoming>) -> Trouble {
    let status = answer.status();
    match whole(answer).await {
        Ok(bytes) => match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => Trouble::Answered(status, problem),
            Err(_) => Trouble::Broken(format!("it answered {status} without saying why")),
        },
        Err(trouble) => trouble,
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        std::io::ErrorKind::ConnectionRefused => "nobody listens there any more".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not open it".to_owned(),
        _ => error.to_string(),
    }
}

/// A key that no other command has.
fn new_key() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::other("NO-RANDOMNESS", format!("The system gives no random bytes: {error}."), "Try again.")
    })?;
    Ok(hex::encode(bytes))
}
