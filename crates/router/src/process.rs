//! The body of `switchover router`: from the lock on its directory to its graceful end.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::accept::{self, CONNECTIONS_MAX, LaneCommand};
use crate::connection::{LaneIo, SHED_MAX};
use crate::control;
use crate::generation::Generation;
use crate::handover;
use crate::incarnations::{Claim, Claims};
use crate::kept::Kept;
use crate::lane::Lane;
use crate::ledger::LaneLedger;
use crate::listener;
use crate::log_file;
use crate::spawn::detach_if_told;
use crate::split_key::SplitKey;
use crate::switchboard::{Begin, Switchboard};
use crate::table::Table;
use crate::{identity, wire};

/// How long requests in flight may go on when the router is told to end.
pub const STOP_TIME: Duration = Duration::from_secs(30);
/// How long the directory's lock is waited for.
const LOCK_TIME: Duration = Duration::from_millis(300);
/// How often it is tried meanwhile.
const LOCK_ASKED_EVERY: Duration = Duration::from_millis(5);
/// How long answers that are on their way have before the control socket is closed.
const FAREWELL_TIME: Duration = Duration::from_millis(50);
/// How often it is looked whether a lane has ended.
const LANES_LOOKED_AT: Duration = Duration::from_millis(50);
/// How often it is looked whether the log is too long, and a table that could not be kept is written again.
const LOG_LOOKED_AT: Duration = Duration::from_secs(1);
/// Open files that no user's connection takes: the control socket's clients, the table, the log, and what the kernel is
/// asked for by name.
const FILES_IN_RESERVE: usize = control::CLIENTS_MAX + 24;
/// Open files of a lane besides its connections: its listener, its reactor, and the clients that it turns away.
const FILES_OF_LANE: usize = SHED_MAX + 8;
/// Fewer connections than this in a lane are told of at the start.
const SEATS_FEW: usize = 256;
/// Most lanes; more than that is taken as this.
pub(crate) const LANES_MAX: usize = 256;

/// How a router is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterOptions {
    /// Its directory: control socket, kept table, counters, log. Made with 0700 when it is not there.
    pub directory: PathBuf,
    /// Where it takes users' requests; port 0: the kernel chooses, and the file `address` in the directory says which.
    pub http: SocketAddr,
    /// Lanes; nothing: one for each CPU.
    pub lanes: Option<NonZeroUsize>,
}

/// Why a router can not run.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// Somebody listens there.
    #[error("PORT-TAKEN: another program listens on {0}; stop it, or choose another address with --http")]
    PortTaken(SocketAddr),
    /// A router of this very directory listens there, whose files somebody has removed.
    #[error(
        "ROUTER-LOST: the router of {directory}, process {pid}, still takes requests on {http}, but its files were \
         removed, so that nobody can find it; end it with `kill {pid}`, which lets the requests in flight finish, then \
         start again"
    )]
    Lost {
        /// Its process.
        pid: u32,
        /// Its directory.
        directory: PathBuf,
        /// Where it listens.
        http: SocketAddr,
    },
    /// The address is none of this machine's, or needs more rights.
    #[error("LISTEN-FAILED: {0} can not be listened on: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// A router works in this directory already.
    #[error("ROUTER-RUNNING: a router works in {0} already; one directory belongs to one router")]
    AlreadyRunning(PathBuf),
    /// The directory can not be used.
    #[error("STATE-NOT-WRITABLE: {0} can not be used: {1}; give the user of this process its own writable directory")]
    Directory(PathBuf, #[source] io::Error),
    /// The kernel refuses a thread, a reactor or randomness.
    #[error("ROUTER-START: the system refuses what a router needs: {0}")]
    System(#[source] io::Error),
    /// A lane ended without being told to.
    #[error("ROUTER-LANE: lane {0} of the router ended by itself")]
    LaneEnded(usize),
}

/// Runs a router until SIGTERM, SIGINT or the control socket's `shutdown`; returns when it has ended gracefully.
///
/// Flow: lock, kept table, listeners, lanes, then the control thread, which is the caller's.
/// Guarantees: users are served before any controller is there, by the kept table; nothing listens when an error returns.
///
/// # Errors
/// See [`RouterError`].
pub fn run(options: &RouterOptions) -> Result<(), RouterError> {
    detach_if_told();
    let directory = options.directory.as_path();
    let in_directory = |error| RouterError::Directory(directory.to_owned(), error);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(in_directory)?;
    let mut lock = Some(lock(directory)?);
    let files = allow_many_files();
    let count =
        options.lanes.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get).min(LANES_MAX);
    let listeners = listener::bind(options.http, count, handover::is_handed_over(directory)).map_err(|error| {
        match error.kind() {
            io::ErrorKind::AddrInUse => match identity::router_of(directory) {
                Some(pid) => RouterError::Lost { pid, directory: directory.to_owned(), http: options.http },
                None => RouterError::PortTaken(options.http),
            },
            _ => RouterError::Listen(options.http, error),
        }
    })?;
    let seats = seats(files, count);
    if seats < SEATS_FEW {
        tracing::warn!(
            files,
            seats,
            lanes = count,
            "few connections can be served at once: raise the limit of open files"
        );
    }
    let http = listeners[0].local_addr().map_err(RouterError::System)?;
    let (kept, found) = Kept::open(directory.join("table.json"));
    if let Some(problem) = &found.problem {
        tracing::error!(problem, "the kept table can not be read: 503 until a controller sets the routes");
    }
    let routes = found.apps.values().map(|app| &app.routes);
    let (mut table, problem) = match Table::compile(found.generation, routes, found.is_incomplete) {
        Ok(table) => (table, found.problem),
        // Written by another version: nothing of it can be served.
        Err(problem) => (Table::unreadable(found.generation), Some(problem.to_string())),
    };
    let is_incomplete = table.is_incomplete;
    let apps = if problem.is_some() { crate::kept::Apps::new() } else { found.apps };
    let goals = crate::goals::Kept::of(&mut table, |app| apps.get(app)?.routes.goals.as_ref());
    let generation = Generation::default();
    generation.flip(found.generation);
    let claims = Claims::make(directory, count);
    let split = SplitKey::open(directory, !apps.is_empty()).map_err(RouterError::System)?;
    let lanes = start_lanes(listeners, claims.own, seats, &split, &generation, &Arc::new(table))?;
    let begin = Begin {
        directory: directory.to_owned(),
        http,
        generation,
        lanes: lanes.iter().map(|lane| lane.commands.clone()).collect(),
        left_over: claims.left_over,
        living: claims.living,
        kept,
        apps,
        goals,
        split_key: split.fingerprint(),
        kept_problem: problem,
        is_incomplete,
    };
    let ended = runtime().map_err(RouterError::System)?.block_on(govern(begin, &lanes, &mut lock));
    let failed = match ended {
        Ok(()) => join(lanes),
        Err(error) => Err(error),
    };
    if lock.is_some() {
        let_go(directory, &mut lock);
    }
    failed
}

/// From now on the directory is a successor's. Leftovers of these files mislead nobody: a client asks the socket, and the
/// lock tells who is alive.
fn let_go(directory: &Path, lock: &mut Option<File>) {
    let _ = control::remove(directory);
    let _ = std::fs::remove_file(directory.join("address"));
    *lock = None;
}

/// One router a directory: held as long as the file is open.
fn lock(directory: &Path) -> Result<File, RouterError> {
    let fault = |error| RouterError::Directory(directory.to_owned(), error);
    let file = File::options().write(true).create(true).truncate(false).open(directory.join("lock")).map_err(fault)?;
    // Whoever looks whether the directory is free holds the lock for an instant.
    let deadline = Instant::now() + LOCK_TIME;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => std::thread::sleep(LOCK_ASKED_EVERY),
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(RouterError::AlreadyRunning(directory.to_owned())),
            Err(error) => return Err(fault(error.into())),
        }
    }
}

/// Takes as many open files as the system allows this process at most, and says how many that are.
fn allow_many_files() -> u64 {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, ..before };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!(%error, "the number of open files stays as it was");
            before.current.unwrap_or(u64::MAX)
        }
    }
}

/// Client connections that each lane may serve: each is a file descriptor, and one more to its instance.
fn seats(files: u64, lanes: usize) -> usize {
    let reserve = (FILES_IN_RESERVE + FILES_OF_LANE * lanes) as u64;
    let seats = files.saturating_sub(reserve) / 2 / lanes as u64;
    usize::try_from(seats).unwrap_or(usize::MAX).clamp(1, CONNECTIONS_MAX)
}

fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
}

// === Lanes ===

struct RunningLane {
    thread: JoinHandle<io::Result<()>>,
    commands: mpsc::Sender<LaneCommand>,
}

fn start_lanes(
    listeners: Vec<TcpListener>,
    claims: Vec<Claim>,
    seats: usize,
    split: &SplitKey,
    generation: &Generation,
    table: &Arc<Table>,
) -> Result<Vec<RunningLane>, RouterError> {
    let mut lanes = Vec::with_capacity(listeners.len());
    for (number, (listener, claim)) in listeners.into_iter().zip(claims).enumerate() {
        let (commands, inbox) = mpsc::channel(accept::COMMANDS_MAX);
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|error| RouterError::System(io::Error::other(error)))?;
        let (split, generation, table) = (split.clone(), generation.clone(), Arc::clone(table));
        let body = move || {
            let ledger = LaneLedger::open(&claim.path);
            let lane = Lane::new(LaneIo::new(seats, secret), ledger, split, generation, table);
            let ended = runtime()?.block_on(accept::run(Rc::new(lane), listener, inbox));
            drop(claim);
            ended
        };
        let thread =
            std::thread::Builder::new().name(format!("lane-{number}")).spawn(body).map_err(RouterError::System)?;
        lanes.push(RunningLane { thread, commands });
    }
    Ok(lanes)
}

fn join(lanes: Vec<RunningLane>) -> Result<(), RouterError> {
    let threads: Vec<_> = lanes.into_iter().map(|lane| lane.thread).collect();
    for (number, thread) in threads.into_iter().enumerate() {
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(RouterError::System(error)),
            Err(_) => return Err(RouterError::LaneEnded(number)),
        }
    }
    Ok(())
}

// === The control thread ===

async fn govern(begin: Begin, lanes: &[RunningLane], lock: &mut Option<File>) -> Result<(), RouterError> {
    let directory = begin.directory.clone();
    let in_directory = |error| RouterError::Directory(directory.clone(), error);
    let mut terminate = signal(SignalKind::terminate()).map_err(RouterError::System)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RouterError::System)?;
    let socket = control::listen(&directory).map_err(in_directory)?;
    std::fs::write(directory.join("address"), format!("{}\n", begin.http)).map_err(in_directory)?;
    handover::tell_serving(&directory).map_err(in_directory)?;
    tracing::info!(http = %begin.http, lanes = lanes.len(), wire = wire::WIRE_VERSION, "the router serves");

    let (commands, mut inbox) = mpsc::channel::<control::Asked>(control::COMMANDS_MAX);
    let mut switchboard = Switchboard::new(begin);
    let mut clients = Box::pin(control::serve(socket, commands));
    let mut waits = true;
    let mut look = tokio::time::interval(LANES_LOOKED_AT);
    let mut look_at_log = tokio::time::interval(LOG_LOOKED_AT);
    loop {
        if let Some(number) = lanes.iter().position(|lane| lane.thread.is_finished()) {
            return Err(RouterError::LaneEnded(number));
        }
        tokio::select! {
            () = &mut clients => {}
            Some(asked) = inbox.recv() => {
                switchboard.take(asked).await;
                // Whoever asks for the end does not want the port any more.
                waits = !switchboard.is_stopping();
            }
            _ = terminate.recv() => switchboard.begin_stopping(),
            _ = interrupt.recv() => switchboard.begin_stopping(),
            _ = look.tick() => {
                switchboard.confirm().await;
                switchboard.look_at_those_before().await;
            }
            _ = look_at_log.tick() => {
                switchboard.keep().await;
                // Tried again in a second; there is no better place to say so than the log itself.
                let _ = log_file::bound(&directory);
            }
        }
        if switchboard.is_stopping() {
            break;
        }
    }
    // Whoever asked for the end gets the answer.
    inbox.close();
    let _ = tokio::time::timeout(FAREWELL_TIME, &mut clients).await;
    drop(clients);
    let mut switchboard = switchboard;
    switchboard.finish_writing().await;
    if let Err(error) = handover::tell_ending(&directory) {
        tracing::warn!(%error, "no successor can listen before this router has closed");
    }
    let_go(&directory, lock);
    if waits {
        tracing::info!("the router ends: it accepts until a successor does");
        handover::wait_for_successor(&directory).await;
    }
    tracing::info!("the router accepts nothing more and finishes what is on");
    switchboard.stop_lanes(STOP_TIME).await.await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_leave_room_for_everything_else() {
        assert_eq!(seats(u64::MAX, 2), CONNECTIONS_MAX);
        assert_eq!(seats(1_048_576, 4), CONNECTIONS_MAX);
        for (files, lanes) in [(256, 2), (1024, 4), (4096, 8), (65_536, 64)] {
            let seats = seats(files, lanes);
            let used = 2 * seats * lanes + FILES_IN_RESERVE + FILES_OF_LANE * lanes;
            assert!(seats > 1 && used as u64 <= files, "{files} {lanes}: {seats}");
        }
        assert_eq!(seats(16, 8), 1);
    }
}
