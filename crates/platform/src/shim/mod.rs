//! The shim: one small process an instance, which starts the app, holds its output, knows how it ended, starts it again
//! when it ended by itself, and stops it when told to. It outlives the controller.
//!
//! Flow: the platform makes the instance's directory and starts `switchover shim --dir DIR`; from then on the two talk
//! through files alone (see `instance`). A shim that was killed is replaced by another one, which finds the app by its
//! identity and goes on with it.

mod main_process;
pub(crate) use main_process::number;
mod pipes;

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use switchover_model::Problem;
use tokio::net::unix::pipe::Receiver;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use self::main_process::MainProcess;
use self::pipes::Pumped;
use crate::clock;
use crate::environment::Sealed;
use crate::instance::{Exit, Goal, Home, InstanceSpec, Life, Status};
use crate::layout::{InstanceDir, RevisionDir};
use crate::output::{self, RotatingLog};
use crate::port::{self, Reserved};
use crate::processes::{self, Identity, cannot_be_killed};
use crate::watched::span;

/// Wait before the first restart; doubled with each one that follows soon.
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);

/// The longest wait before a restart.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

/// An app that ran so long is not in a crash loop: its next restart is the first of a new row.
const CALM: Duration = Duration::from_secs(60);

/// How often a status that the disk did not take is written again.
const SAY_AGAIN: Duration = Duration::from_secs(1);

/// How long the last output of an ended app is read at most.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// Runs the shim of the instance whose directory is `dir` until the instance has ended: the body of `switchover shim`.
///
/// Guarantees: one shim an instance; a second one ends at once. Never prints: what goes wrong is in `shim.log` of `dir`.
#[must_use]
pub fn shim_main(dir: &Path) -> ExitCode {
    // Fails only for a group's leader, whose group is its own already.
    let _ = rustix::process::setsid();
    let dir = InstanceDir { root: dir.to_path_buf() };
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(async { run(&dir).await }));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&dir, &error);
            ExitCode::FAILURE
        }
    }
}

/// Notes in `shim.log` what this shim could not do.
fn note(dir: &InstanceDir, error: &io::Error) {
    let trouble = OpenOptions::new().append(true).create(true).mode(0o600).open(dir.trouble());
    if let Ok(mut trouble) = trouble {
        // There is nowhere left to tell it.
        let _ = writeln!(trouble, "{} {error}", clock::now().as_micros());
    }
}

async fn run(dir: &InstanceDir) -> io::Result<()> {
    rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1))?;
    // A POSIX lock: the kernel tells everybody who holds it, and drops it when this process ends. It would be dropped too
    // if this process closed any other handle of the file; it is opened here alone.
    let lock = OpenOptions::new().read(true).write(true).open(dir.lock())?;
    match rustix::fs::fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::AGAIN | Errno::ACCESS) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let shim = Shim::open(dir.clone())?;
    let ended = shim.serve().await;
    drop(lock);
    ended
}

/// What the app does.
#[derive(Debug)]
enum Now {
    /// It shall be started.
    ToStart,
    /// It runs.
    Running { main: MainProcess, since: Instant },
    /// It was told to stop; what runs at `kill_at` is killed.
    Stopping { main: MainProcess, kill_at: Instant, told: Vec<Identity>, overran: bool },
    /// It ended by itself and is started again.
    Waiting { until: Instant },
}

struct Shim {
    dir: InstanceDir,
    spec: InstanceSpec,
    control: Receiver,
    output: Receiver,
    log: RotatingLog,
    port: Option<Reserved>,
    last_port: Option<u16>,
    restarts: u32,
    /// Restarts in a row, soon after each other.
    row: u32,
    /// What the disk did not take, and when it is tried again.
    unsaid: Option<(Life, Instant)>,
}

impl Shim {
    fn open(dir: InstanceDir) -> io::Result<Self> {
        let spec = dir.read_spec()?.ok_or(ErrorKind::NotFound)?;
        if spec.boot != processes::boot_id()? {
            return Err(io::Error::other("made before the last reboot"));
        }
        let home = Home::at(dir.state().ok_or(ErrorKind::InvalidInput)?)?;
        if !spec.is_of(&home) {
            return Err(io::Error::other("made in another state directory, of which this one is a copy"));
        }
        let before = dir.read_status()?;
        let log = RotatingLog::open(dir.log())?;
        Ok(Self {
            control: pipes::open(&dir.control())?,
            output: pipes::open(&dir.output())?,
            log,
            port: None,
            last_port: before.as_ref().and_then(|status| status.port),
            restarts: before.as_ref().map_or(0, |status| status.restarts),
            row: 0,
            unsaid: None,
            spec,
            dir,
        })
    }

    /// The shim's whole life.
    async fn serve(mut self) -> io::Result<()> {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut child_ended = signal(SignalKind::child())?;
        let mut now = self.find_survivor().await?;
        let mut goal = self.dir.read_goal()?;
        loop {
            if self.is_homeless() && matches!(now, Now::ToStart | Now::Waiting { .. }) {
                return Ok(());
            }
            now = match (now, goal) {
                (Now::ToStart | Now::Waiting { .. }, Goal::Stop) => {
                    return self.write_status(Life::Ended { exit: None, at: clock::now(), overran: false });
                }
                (Now::ToStart, Goal::Run) => self.start()?,
                (Now::Waiting { until }, Goal::Run) if until <= Instant::now() => {
                    self.restarts += 1;
                    self.start()?
                }
                (Now::Running { main, .. }, Goal::Stop) => self.begin_stop(main)?,
                (now @ (Now::Waiting { .. } | Now::Running { .. } | Now::Stopping { .. }), Goal::Run | Goal::Stop) => {
                    now
                }
            };
            let deadline = match &now {
                Now::Waiting { until } => Some(*until),
                Now::Stopping { kill_at, .. } => Some(*kill_at),
                Now::Running { .. } | Now::ToStart => None,
            };
            let say_again = self.unsaid.as_ref().map(|(_, at)| *at);
            tokio::select! {
                biased;
                ready = self.control.readable() => {
                    ready?;
                    pipes::drain(&self.control);
                    // Once it shall stop, it stops: the file may be gone meanwhile.
                    goal = if goal == Goal::Stop { goal } else { self.dir.read_goal()? };
                }
                _ = terminated.recv() => goal = Goal::Stop,
                exit = ended(&mut now) => {
                    let exit = exit?;
                    match self.app_ended(now, exit, goal).await? {
                        Some(next) => now = next,
                        None => return Ok(()),
                    }
                }
                () = sleep_until(deadline) => {
                    if let Now::Stopping { main, overran, .. } = &mut now {
                        *overran = true;
                        self.kill_everything(main.identity, false).await;
                    }
                }
                () = sleep_until(say_again) => {
                    if let Some((life, _)) = self.unsaid.take() {
                        self.say(life);
                    }
                }
                ready = self.output.readable() => {
                    ready?;
                    pipes::pump(|chunk| self.output.try_read(chunk), &mut self.log);
                }
                _ = child_ended.recv() => main_process::reap_orphans(&now.main()),
            }
        }
    }

    /// The app of a shim that was killed, if it still runs.
    async fn find_survivor(&mut self) -> io::Result<Now> {
        let status = self.dir.read_status()?;
        let recorded = status.as_ref().and_then(|status| match &status.life {
            Life::Running { process, .. } | Life::Stopping { process, .. } => Some(*process),
            Life::Starting { .. } | Life::Waiting { .. } | Life::Ended { .. } => None,
        });
        // Its group is its own as long as nobody else has its pid.
        let group = recorded.filter(|known| Identity::of(known.pid).is_none_or(|now| now == *known));
        let survivors = self.members(group);
        let leads = |process: &Identity| processes::entry(process.pid).is_some_and(|it| it.group == process.pid);
        // The recorded process is known by its start time within this boot: it may have written over its environment. The
        // mark finds what was started and not yet recorded.
        let main = recorded.filter(|process| process.is_running()).or_else(|| {
            let oldest = survivors.iter().filter(|process| leads(process)).min_by_key(|it| it.start_ticks);
            oldest.copied().filter(|_| recorded.is_none())
        });
        let Some(main) = main else {
            if !survivors.is_empty() {
                processes::kill_until_gone(|| self.members(group), |left| note(&self.dir, &cannot_be_killed(left)))
                    .await;
            }
            if let Some(Status { life: Life::Running { .. } | Life::Stopping { .. }, .. }) = status {
                // It ended while nobody was there to see how.
                self.restarts += 1;
            }
            return Ok(Now::ToStart);
        };
        let port = processes::variable(main.pid, "PORT").and_then(|port| port.parse().ok());
        self.last_port = port.or(self.last_port);
        self.say(Life::Running { process: main, since: clock::now() });
        Ok(Now::Running { main: MainProcess::found(main), since: Instant::now() })
    }

    fn start(&mut self) -> io::Result<Now> {
        self.reserve_port()?;
        let since = clock::now();
        self.say(Life::Starting { since });
        let revision = RevisionDir { root: self.spec.revision_dir.clone() };
        match main_process::start(&self.spec, &self.dir, &revision, self.last_port) {
            Ok(main) => {
                self.say(Life::Running { process: main.identity, since });
                Ok(Now::Running { main, since: Instant::now() })
            }
            Err(why) => Ok(self.wait_to_restart(Exit::NotStarted(why), Duration::ZERO)),
        }
    }

    /// The port of before, when nobody took it meanwhile; else another one.
    fn reserve_port(&mut self) -> io::Result<()> {
        if let Some(reserved) = &self.port
            && port::is_free(reserved.port)
        {
            return Ok(());
        }
        self.port = None;
        let again = match self.last_port {
            Some(last) => port::reserve_one(&self.spec.ports, last)?,
            None => None,
        };
        let reserved = match again {
            Some(reserved) => reserved,
            None => port::reserve(&self.spec.ports)?,
        };
        self.last_port = Some(reserved.port);
        self.port = Some(reserved);
        Ok(())
    }

    /// Sends the stop signal: to the main process, and where that is only the shell around the app, to the shell's
    /// children too.
    fn begin_stop(&mut self, main: MainProcess) -> io::Result<Now> {
        let mut told = vec![main.identity];
        if main.is_shell(&self.spec.command) {
            told.extend(processes::children(main.identity.pid));
        }
        self.say(Life::Stopping { process: main.identity, since: clock::now() });
        for process in &told {
            process.signal(number(self.spec.stop.signal))?;
        }
        let kill_at = Instant::now() + self.spec.stop.grace.to_std();
        Ok(Now::Stopping { main, kill_at, told, overran: false })
    }

    /// What follows when the main process has ended; nothing when the instance has.
    async fn app_ended(&mut self, now: Now, exit: Exit, goal: Goal) -> io::Result<Option<Now>> {
        let (main, ran, overran) = match now {
            Now::Running { main, since } => (main, since.elapsed(), false),
            Now::Stopping { main, kill_at, told, overran } => {
                // A shell does not wait for the app when it is told to stop; its grace is the app's.
                let goes_on = || told.iter().any(|process| process.is_running());
                while goes_on() && Instant::now() < kill_at {
                    self.take_last_output();
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                (main, Duration::ZERO, overran || goes_on())
            }
            Now::ToStart | Now::Waiting { .. } => return Ok(Some(now)),
        };
        // What an app leaves behind becomes a child of this process, and who else carries its mark is seen at one look.
        main_process::reap_orphans(&None);
        if !main.is_child || main_process::has_children() || !self.members(None).is_empty() {
            self.kill_everything(main.identity, true).await;
        }
        let until = Instant::now() + LAST_OUTPUT;
        while self.take_last_output() == Pumped::Full && Instant::now() < until {}
        if self.is_homeless() {
            return Ok(None);
        }
        if goal == Goal::Stop {
            self.write_status(Life::Ended { exit: Some(exit), at: clock::now(), overran })?;
            return Ok(None);
        }
        Ok(Some(self.wait_to_restart(exit, ran)))
    }

    fn wait_to_restart(&mut self, exit: Exit, ran: Duration) -> Now {
        self.row = if ran >= CALM { 0 } else { self.row };
        let wait = FIRST_BACK_OFF.saturating_mul(1 << self.row.min(16)).min(LONGEST_BACK_OFF);
        self.row += 1;
        let sealed = Sealed::read(&RevisionDir { root: self.spec.revision_dir.clone() }).unwrap_or_default();
        let last_lines = output::last_lines(&self.dir.log(), Problem::DETAIL_LINES).unwrap_or_default();
        let retry_at = clock::now() + span(wait);
        let ran_ms = u64::try_from(ran.as_millis()).unwrap_or(u64::MAX);
        self.say(Life::Waiting { exit, ran_ms, last_lines: sealed.blot_out(last_lines), retry_at });
        Now::Waiting { until: Instant::now() + wait }
    }

    /// Kills the app's group, its descendants wherever they went, and whoever carries the instance's name.
    ///
    /// Guarantees: nothing of it lives when this returns, so an instance is never said to have ended, and never started
    /// anew, beside a process of its own. One that the kernel holds back is waited for; `shim.log` names it.
    /// `is_reaped`: the main process's exit status was taken.
    async fn kill_everything(&self, main: Identity, is_reaped: bool) {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let left = |main_too: bool| {
            main_process::reap_orphans(&Some(main).filter(|_| !main_too));
            let mut members = self.members(Some(main));
            members.extend(processes::children(own));
            members
        };
        let mut is_told = false;
        let mut tell = |left: &BTreeSet<Identity>| {
            if !std::mem::replace(&mut is_told, true) {
                note(&self.dir, &cannot_be_killed(left));
            }
        };
        processes::kill_until_gone(|| left(false), &mut tell).await;
        if !main.is_running() && is_reaped {
            // A process that forks and ends is in no list for long; but as long as it lives, this one has a child.
            while main_process::has_children() {
                processes::kill_until_gone(|| left(true), &mut tell).await;
            }
        }
    }

    /// The processes of the group of `root`, its descendants, and whoever carries the instance's mark.
    fn members(&self, root: Option<Identity>) -> BTreeSet<Identity> {
        let (name, value) = self.spec.mark();
        processes::members(root, Some((name, &value)))
    }

    /// Reads the pipe itself, not what the runtime has heard of it: an app's last words come with its end.
    fn take_last_output(&mut self) -> Pumped {
        pipes::pump(|chunk| Ok(rustix::io::read(&self.output, chunk)?), &mut self.log)
    }

    /// Tells what is. On a full disk it is told later: an app shall be stopped and started again all the same.
    fn say(&mut self, life: Life) {
        self.unsaid = None;
        if let Err(error) = self.write_status(life.clone()) {
            note(&self.dir, &error);
            self.unsaid = Some((life, Instant::now() + SAY_AGAIN));
        }
    }

    /// Whether somebody has removed its directory: nothing can be started then, nor anything said.
    fn is_homeless(&self) -> bool {
        !self.dir.root.exists()
    }

    fn write_status(&self, life: Life) -> io::Result<()> {
        let status = Status { life, port: self.last_port, restarts: self.restarts };
        self.dir.write_status(&status)
    }
}

impl Now {
    fn main(&self) -> Option<Identity> {
        match self {
            Self::Running { main, .. } | Self::Stopping { main, .. } => Some(main.identity),
            Self::ToStart | Self::Waiting { .. } => None,
        }
    }
}

/// The end of the main process; never, when none runs.
async fn ended(now: &mut Now) -> io::Result<Exit> {
    match now {
        Now::Running { main, .. } | Now::Stopping { main, .. } => main.ended().await,
        Now::ToStart | Now::Waiting { .. } => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
