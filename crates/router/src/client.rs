//! The router as the controller sees it: a [`Traffic`] behind the control socket.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use switchover_model::AppName;
use switchover_model::seam::{Abilities, Evidence, Routes, SeamError, Traffic, TrafficSeen};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use crate::control::SocketPath;
use crate::wire::{Answer, Command, LINE_BYTES_MAX, Request, RouterStatus, Setting, WIRE_VERSION};

/// How long one call may take, the way there and back included.
pub const CALL_TIME: Duration = Duration::from_secs(5);
/// Connections that wait for the next call.
const IDLE_MAX: usize = 8;

/// Speaks to one router. Calls may be made at the same time; each has a connection of its own, kept for later ones.
///
/// Guarantees: a router that was started anew is found again by the next call; a call whose future is dropped leaves
/// nothing behind that a later one could read; a call that was repeated on the way never undoes a later one.
#[derive(Debug)]
pub struct RouterClient {
    directory: PathBuf,
    number: u64,
    serial: AtomicU64,
    idle: Mutex<Vec<Connection>>,
}

type Connection = BufReader<UnixStream>;

impl RouterClient {
    /// A client of the router whose directory this is. Nothing is connected before the first call.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        // Without randomness from the kernel the time tells clients apart well enough.
        let mut number = [0; 8];
        let fallback = crate::lane::Lane::exact_now().as_micros();
        let number = getrandom::fill(&mut number).map_or(fallback, |()| u64::from_ne_bytes(number));
        Self { directory: directory.into(), number, serial: AtomicU64::new(0), idle: Mutex::default() }
    }

    /// The router's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How the router is.
    ///
    /// # Errors
    /// It can not be reached or does not answer in [`CALL_TIME`].
    pub async fn status(&self) -> Result<RouterStatus, SeamError> {
        match self.call(Command::Status).await? {
            Answer::Status(status) => Ok(*status),
            other => Err(unexpected(&other)),
        }
    }

    /// What is seen of every app that is routed or was.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn observe_all(&self) -> Result<BTreeMap<AppName, TrafficSeen>, SeamError> {
        match self.call(Command::ObserveAll).await? {
            Answer::All { apps } => Ok(apps.into_iter().collect()),
            other => Err(unexpected(&other)),
        }
    }

    /// Tells the router to end: it accepts nothing more and finishes what is on. Returns when that has begun.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn shutdown(&self) -> Result<(), SeamError> {
        self.done(Command::Shutdown).await
    }

    async fn done(&self, command: Command) -> Result<(), SeamError> {
        match self.call(command).await? {
            Answer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    async fn call(&self, command: Command) -> Result<Answer, SeamError> {
        let mut line = serde_json::to_vec(&Request { version: WIRE_VERSION, command })
            .map_err(|error| SeamError::Unreachable(format!("the router can not be asked: {error}")))?;
        line.push(b'\n');
        let answer = match tokio::time::timeout(CALL_TIME, self.exchange(&line)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let at = self.directory.display();
                return Err(SeamError::Unreachable(format!("the router in {at} can not be reached: {error}")));
            }
            Err(_) => {
                let seconds = CALL_TIME.as_secs();
                return Err(SeamError::Unreachable(format!("the router did not answer in {seconds} s")));
            }
        };
        match answer {
            Answer::Refused(problem) => Err(SeamError::Refused(problem)),
            Answer::Failed { cause } => Err(SeamError::Unreachable(cause)),
            Answer::Status(_) | Answer::Done | Answer::Seen(_) | Answer::All { .. } => Ok(answer),
        }
    }

    async fn exchange(&self, line: &[u8]) -> io::Result<Answer> {
        // A connection from before a restart of the router is of no use: every call may be repeated, so it is.
        let kept = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
        if let Some(connection) = kept
            && let Ok(answer) = self.exchange_on(connection, line).await
        {
            return Ok(answer);
        }
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
        let path = SocketPath::in_directory(&self.directory)?;
        let stream = UnixStream::connect(path.as_path()).await?;
        self.exchange_on(BufReader::new(stream), line).await
    }

    async fn exchange_on(&self, mut connection: Connection, line: &[u8]) -> io::Result<Answer> {
        connection.get_mut().write_all(line).await?;
        let mut answer = Vec::new();
        let mut bounded = (&mut connection).take(LINE_BYTES_MAX as u64);
        bounded.read_until(b'\n', &mut answer).await?;
        if answer.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let answer = Answer::read(&answer)?;
        let mut idle = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        Ok(answer)
    }
}

fn unexpected(answer: &Answer) -> SeamError {
    SeamError::Unreachable(format!("the router's answer is no answer to what was asked: {answer:?}"))
}

#[async_trait]
impl Traffic for RouterClient {
    async fn observe(&self, app: &AppName) -> Result<TrafficSeen, SeamError> {
        match self.call(Command::Observe { app: app.clone(), in_short: true }).await? {
            Answer::Seen(seen) => Ok(*seen),
            other => Err(unexpected(&other)),
        }
    }

    async fn ensure(&self, routes: &Routes) -> Result<(), SeamError> {
        let setting = Setting { client: self.number, serial: self.serial.fetch_add(1, Ordering::Relaxed) };
        // A call that had to be sent twice has one number: the second is taken for late when the first was carried out.
        let sent = self.done(Command::Ensure { routes: Box::new(routes.clone()), setting }).await;
        match sent {
            Err(SeamError::Refused(problem)) if problem.code == "ROUTES-STALE" => {
                // Stale or already done: what is in force decides.
                let seen = self.observe(&routes.app).await?;
                if seen.routes.as_ref() == Some(routes) { Ok(()) } else { Err(SeamError::Refused(problem)) }
            }
            other => other,
        }
    }

    async fn remove(&self, app: &AppName) -> Result<(), SeamError> {
        self.done(Command::Remove { app: app.clone() }).await
    }

    fn evidence(&self) -> Evidence {
        Evidence::EveryRequest
    }

    fn abilities(&self) -> Abilities {
        Abilities::built_in()
    }
}
