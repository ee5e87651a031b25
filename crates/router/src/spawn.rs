//! Starts a router as a process of its own, or finds the one that runs.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use switchover_model::Problem;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::client::RouterClient;
use crate::identity;
use crate::log_file;
use crate::process::{LANES_MAX, RouterOptions};
use crate::wire::RouterStatus;

/// How long a router may take from its start to its first answer, and a caller waits for another one that starts it.
pub const START_TIME: Duration = Duration::from_secs(15);
/// How often it is asked meanwhile.
const ASKED_EVERY: Duration = Duration::from_millis(10);
/// How much of the log's end is looked at for the reason of a failed start (bytes).
const LOG_TAIL_BYTES: usize = 8 * 1024;
/// Set for a router that shall leave the session of whoever started it.
const DETACH: &str = "SWITCHOVER_ROUTER_DETACH";

/// Why no router is there.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The directory, its log or its lock can not be used.
    #[error("{0} can not be used for the router: {1}")]
    Directory(PathBuf, #[source] io::Error),
    /// The program can not be started.
    #[error("the router's program {0} can not be started: {1}")]
    Program(PathBuf, #[source] io::Error),
    /// It ended before it answered.
    #[error("the router ended with {status} before it answered")]
    Exited {
        /// How.
        status: ExitStatus,
        /// The end of its log.
        last_lines: Vec<String>,
        /// The log.
        log: PathBuf,
    },
    /// Neither a running router nor a new one answered within [`START_TIME`].
    #[error("the router in {0} did not answer in {seconds} s", seconds = START_TIME.as_secs())]
    Silent(PathBuf),
    /// The router that runs takes requests elsewhere.
    #[error("the router that runs takes requests on {runs}, not on {wanted}")]
    OtherAddress {
        /// Where it does.
        runs: SocketAddr,
        /// Where it should.
        wanted: SocketAddr,
    },
    /// The router that runs has another number of lanes.
    #[error("the router that runs has {runs} lanes, not {wanted}")]
    OtherLanes {
        /// How many it has.
        runs: usize,
        /// How many it should have.
        wanted: usize,
    },
}

impl SpawnError {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Exited { last_lines, log, .. } => {
                let log = format!("Look at {}.", log.display());
                // The router's own message begins with its code.
                let told = last_lines.iter().enumerate().rev().find_map(|(place, line)| {
                    let (code, end) = [
                        "PORT-TAKEN",
                        "ROUTER-LOST",
                        "LISTEN-FAILED",
                        "STATE-NOT-WRITABLE",
                        "ROUTER-RUNNING",
                        "ROUTER-START",
                    ]
                    .into_iter()
                    .find_map(|code| line.find(code).map(|at| (code, at + code.len())))?;
                    Some((place, code, line[end..].trim_start_matches(": ")))
                });
                let Some((place, code, told)) = told else {
                    return Problem::new("ROUTER-START", format!("{self}."), log).with_detail(last_lines.clone());
                };
                // It says what to do after a semicolon.
                let (cause, next) = match told.rsplit_once("; ") {
                    Some((cause, next)) => (cause, format!("{}. {log}", capitalised(next))),
                    None => (told, log),
                };
                let others = last_lines.iter().enumerate().filter(|(other, _)| *other != place);
                let others = others.map(|(_, line)| line.clone()).filter(|line| !line.contains(told)).collect();
                Problem::new(code, format!("{}.", capitalised(cause)), next).with_detail(others)
            }
            Self::Directory(..) => Problem::new(
                "STATE-NOT-WRITABLE",
                format!("{self}."),
                "Give the user of this process its own writable state directory.",
            ),
            Self::Program(..) => {
                Problem::new("ROUTER-START", format!("{self}."), "Start the daemon by the whole path of its program.")
            }
            Self::Silent(directory) => {
                let next = format!("Look at {}.", directory.join("log").display());
                Problem::new("ROUTER-START", format!("{self}."), next)
            }
            Self::OtherAddress { .. } => Problem::new(
                "ROUTER-ADDRESS",
                format!("{self}."),
                "Start the daemon with the address of the router that runs, or end that router first.",
            ),
            Self::OtherLanes { .. } => Problem::new(
                "ROUTER-LANES",
                format!("{self}."),
                "Start the daemon with the lanes of the router that runs or without --lanes, or end that router first.",
            ),
        }
    }
}

/// A router that answers.
#[derive(Debug)]
pub struct Running {
    /// The way to it.
    pub client: RouterClient,
    /// Whether this call started it; otherwise it ran already.
    pub is_new: bool,
}

/// The router of `options.directory`: the one that runs, or else `executable router …`, started now as a detached process
/// whose output goes to the file `log` in its directory.
///
/// Guarantees: two callers at once start one; a router is recognised by its answer on a socket that only this user can
/// have made and by its process's start time, never by a pid alone; a router that is ending is waited for.
///
/// # Errors
/// See [`SpawnError`].
pub async fn ensure_running(executable: &Path, options: &RouterOptions) -> Result<Running, SpawnError> {
    let directory = options.directory.as_path();
    let in_directory = |error| SpawnError::Directory(directory.to_owned(), error);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(in_directory)?;
    // The program is started in its directory: both must be found from there.
    let directory = directory.canonicalize().map_err(in_directory)?;
    let client = RouterClient::new(&directory);
    let deadline = Instant::now() + START_TIME;
    let _turn = turn(&directory, deadline).await?;
    let mut started: Option<Child> = None;
    while Instant::now() < deadline {
        if let Ok(status) = client.status().await
            && is_alive(&status)
            && !status.is_stopping
        {
            let wanted = options.http;
            if wanted.port() != 0 && status.http != wanted {
                return Err(SpawnError::OtherAddress { runs: status.http, wanted });
            }
            if let Some(wanted) = options.lanes.map(|lanes| lanes.get().min(LANES_MAX))
                && status.lanes != wanted
            {
                return Err(SpawnError::OtherLanes { runs: status.lanes, wanted });
            }
            return Ok(Running { client, is_new: started.is_some() });
        }
        match &mut started {
            None if is_free(&directory).map_err(in_directory)? => {
                started = Some(start(executable, &directory, options)?);
            }
            // Somebody holds the directory: a router that begins, or ends.
            None => {}
            Some(child) => {
                if let Some(status) = child.try_wait().map_err(in_directory)? {
                    return Err(SpawnError::Exited {
                        status,
                        last_lines: last_lines(&directory),
                        log: directory.join("log"),
                    });
                }
            }
        }
        tokio::time::sleep(ASKED_EVERY).await;
    }
    Err(SpawnError::Silent(directory))
}

/// Leaves the session of whoever started this process, when it was started by [`ensure_running`]: a terminal that is closed
/// takes nothing with it.
pub(crate) fn detach_if_told() {
    if std::env::var_os(DETACH).is_some() {
        // Fails only for the first of a process group, which a process just started by us is not.
        let _ = rustix::process::setsid();
    }
}

fn is_alive(status: &RouterStatus) -> bool {
    identity::started_ticks(status.pid) == Some(status.started_ticks) && status.boot_id == identity::boot_id()
}

/// True when no router holds the directory's lock.
fn is_free(directory: &Path) -> io::Result<bool> {
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(directory.join("lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// One caller at a time.
async fn turn(directory: &Path, deadline: Instant) -> Result<File, SpawnError> {
    let fault = |error| SpawnError::Directory(directory.to_owned(), error);
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(directory.join("start.lock"))
        .map_err(fault)?;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => tokio::time::sleep(ASKED_EVERY).await,
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(SpawnError::Silent(directory.to_owned())),
            Err(error) => return Err(fault(error.into())),
        }
    }
}

fn start(executable: &Path, directory: &Path, options: &RouterOptions) -> Result<Child, SpawnError> {
    let in_directory = |error| SpawnError::Directory(directory.to_owned(), error);
    let log = log_file::open(directory).map_err(in_directory)?;
    let mut command = Command::new(executable);
    command.arg("router").arg("--state").arg(directory).arg("--http").arg(options.http.to_string());
    if let Some(lanes) = options.lanes {
        command.arg("--lanes").arg(lanes.to_string());
    }
    command
        .env(DETACH, "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(in_directory)?)
        .stderr(log)
        .current_dir(directory)
        .kill_on_drop(false);
    command.spawn().map_err(|error| SpawnError::Program(executable.to_owned(), error))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn last_lines(directory: &Path) -> Vec<String> {
    let log = std::fs::read(directory.join("log")).unwrap_or_default();
    let tail = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
    let lines: Vec<_> = String::from_utf8_lossy(tail).lines().map(ToOwned::to_owned).collect();
    lines[lines.len().saturating_sub(Problem::DETAIL_LINES)..].to_vec()
}
