//! What is known of an instance: what its files say, and what its task has seen.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchover_model::config::StopSignal;
use switchover_model::seam::{Phase, Role};
use switchover_model::{Problem, Span, Timestamp};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::clock;
use crate::environment::Sealed;
use crate::instance::{Exit, Goal, HEALTHY_BYTES, InstanceSpec, Life, Status};
use crate::layout::{InstanceDir, RevisionDir};
use crate::output;
use crate::processes::Identity;
use crate::role;
use crate::shell;
use crate::steady;

/// A worker that is up for so long is healthy.
pub const WORKER_SETTLED: Duration = Duration::from_millis(500);

/// An exit code of "not found" counts as such only so soon after the start.
const NOT_FOUND_WITHIN_MS: u64 = 5_000;

/// An instance that has not answered for so long is shown as silent.
const SLOW_ANSWER: Span = Span::from_millis(250);

/// What is known of an instance.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) phase: Phase,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) restarts: u32,
    /// Since when it is asked for its health without a good answer.
    pub(crate) unanswered_since: Option<Timestamp>,
    /// The moment after which it was to be asked, was, and has answered well.
    pub(crate) answered_since: Option<Timestamp>,
    /// Whether it has ended and only its directory is left.
    pub(crate) is_over: bool,
}

/// An instance that is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) dir: InstanceDir,
    pub(crate) spec: InstanceSpec,
    view: Mutex<View>,
    memory: Mutex<Memory>,
    poke: Notify,
    task: Mutex<Option<AbortHandle>>,
}

/// What was seen while its files were there, for when somebody removes them: its processes live on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Its files are gone, and something of it lives.
    pub(crate) is_adrift: bool,
    /// It was told to stop after that.
    pub(crate) is_to_stop: bool,
    /// It is too many: it takes no more requests, and is told to stop at this moment.
    pub(crate) leaves_at: Option<Timestamp>,
    /// It is to be asked for its health after this moment.
    pub(crate) asked_since: Option<Timestamp>,
    pub(crate) shim: Option<Identity>,
    pub(crate) process: Option<(Identity, Timestamp)>,
    role: Option<Role>,
}

/// Which process was seen healthy, for the platform after this one.
#[derive(Debug, Serialize, Deserialize)]
struct HealthySince {
    process: Identity,
    since: Timestamp,
}

impl Watched {
    /// An instance as far as its directory tells; its task is to be started by the caller.
    pub(crate) fn found(dir: InstanceDir, spec: InstanceSpec, is_current: bool) -> Self {
        let view = View {
            phase: Phase::Starting { since: spec.created_at, last: None },
            address: None,
            restarts: 0,
            unanswered_since: None,
            answered_since: None,
            is_over: false,
        };
        let (view, memory) = (Mutex::new(view), Mutex::default());
        let watched = Self { dir, spec, view, memory, poke: Notify::new(), task: Mutex::default() };
        watched.begin(is_current);
        watched
    }

    /// One whose directory is gone, known by its living shim. `is_to_stop`: nobody wants it.
    pub(crate) fn adrift(dir: InstanceDir, spec: InstanceSpec, shim: Identity, is_to_stop: bool) -> Self {
        let found = Self::found(dir, spec, true);
        found.remember(|memory| {
            *memory = Memory { is_adrift: true, is_to_stop, shim: Some(shim), ..Memory::default() };
        });
        found
    }

    pub(crate) fn memory(&self) -> Memory {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn remember(&self, change: impl FnOnce(&mut Memory)) {
        change(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What it was told; by memory where its files are gone.
    pub(crate) fn role_told(&self) -> Role {
        let memory = self.memory();
        match memory.role {
            Some(role) if memory.is_adrift || !self.dir.role().exists() => role,
            Some(_) | None => {
                let role = role::told(&self.dir.role());
                self.remember(|memory| memory.role = Some(role));
                role
            }
        }
    }

    /// What it shall be.
    pub(crate) fn goal(&self) -> Goal {
        match self.dir.read_goal() {
            _ if self.memory().is_to_stop => Goal::Stop,
            Ok(goal) => goal,
            Err(_) => Goal::Run,
        }
    }

    /// The first view, without asking the app: a restart of the controller shall not make a healthy instance look ill.
    fn begin(&self, is_current: bool) {
        let status = self.dir.read_status().ok().flatten();
        let mut view = self.view();
        view.restarts = status.as_ref().map_or(0, |status| status.restarts);
        view.address = self.address(status.as_ref());
        view.is_over = !is_current;
        match status.map(|status| status.life) {
            Some(Life::Running { process, since }) => {
                let settled = since + span(WORKER_SETTLED);
                let healthy = match &self.spec.health {
                    Some(_) => self.healthy_since(process),
                    None => (clock::now() >= settled).then_some(settled),
                };
                view.phase = match healthy.filter(|_| process.is_running()) {
                    Some(healthy) => Phase::Healthy { since: healthy },
                    None => Phase::Starting { since, last: None },
                };
            }
            Some(Life::Stopping { since, .. }) => view.phase = Phase::Stopping { since },
            Some(Life::Waiting { exit, ran_ms, last_lines, retry_at }) => {
                view.phase = Phase::Crashed { cause: self.exited(&exit, ran_ms, last_lines), retry_at };
            }
            Some(Life::Ended { .. } | Life::Starting { .. }) | None => {}
        }
        self.change(|shown| *shown = view);
    }

    /// It is asked for its health: from now on it is silent, unless it was before.
    pub(crate) fn begin_question(&self) {
        self.change(|view| view.unanswered_since = view.unanswered_since.or_else(|| Some(clock::now())));
    }

    /// It answered a question well that was asked after `asked_since`; says whether somebody waits to hear that.
    pub(crate) fn answered(&self, asked_since: Option<Timestamp>) -> bool {
        let was_silent = self.silent_since().is_some();
        let mut was_asked = false;
        self.change(|view| {
            was_asked = view.answered_since < asked_since;
            view.unanswered_since = None;
            view.answered_since = asked_since;
        });
        was_silent || was_asked
    }

    /// Has it asked for its health at once, unless that was wished of it before.
    pub(crate) fn ask(&self, since: Option<Timestamp>) {
        if since > self.memory().asked_since {
            self.remember(|memory| memory.asked_since = since);
            self.wake();
        }
    }

    /// Nobody could ask it until now: it is neither silent nor ill for the time before.
    pub(crate) fn seen_anew(&self, now: Timestamp) {
        self.change(|view| {
            view.unanswered_since = None;
            if let Phase::Unhealthy { since, .. } = &mut view.phase {
                *since = now;
            }
        });
    }

    /// Since when it has not answered well, where that is longer than answers take.
    pub(crate) fn silent_since(&self) -> Option<Timestamp> {
        self.view().unanswered_since.filter(|since| clock::now().since(*since) > SLOW_ANSWER)
    }

    pub(crate) fn view(&self) -> View {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the view in place.
    pub(crate) fn change(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.view.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether its task runs: none was started yet, or it has ended, by a panic for one.
    pub(crate) fn is_attended(&self) -> bool {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|task| !task.is_finished())
    }

    /// Notes the task that watches it from now on.
    pub(crate) fn attended_by(&self, task: AbortHandle) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Waits until somebody has set a goal.
    pub(crate) async fn poked(&self) {
        self.poke.notified().await;
    }

    /// Has its task look now.
    pub(crate) fn wake(&self) {
        self.poke.notify_one();
    }

    /// Notes, for the platform after this one, that this process is healthy.
    pub(crate) fn note_healthy(&self, process: Identity, since: Timestamp) {
        let seen = HealthySince { process, since };
        if let Err(error) = steady::write_json(&self.dir.healthy(), HEALTHY_BYTES, &seen) {
            tracing::warn!(instance = %self.spec.id, %error, "its health cannot be noted");
        }
    }

    /// Takes that note back: it is ill.
    pub(crate) fn note_ill(&self) {
        match std::fs::remove_file(self.dir.healthy()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(instance = %self.spec.id, %error, "its illness cannot be noted");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Whether requests are, or were until it began to leave, sent to it.
    pub(crate) fn takes_requests(&self) -> bool {
        let is_in_service = match self.view().phase {
            Phase::Healthy { .. } | Phase::Unhealthy { .. } => true,
            // It is leaving, or was a moment ago.
            Phase::Stopping { .. } => self.goal() == Goal::Run,
            Phase::Starting { .. } | Phase::Crashed { .. } => false,
        };
        self.spec.health.is_some() && is_in_service
    }

    /// It takes no more requests from now on, and is told to stop at `then`; of several such moments the first one counts.
    /// Says whether that is new.
    pub(crate) fn leave(&self, then: Timestamp) -> bool {
        let before = self.memory().leaves_at;
        if before.is_some_and(|before| before <= then) {
            return false;
        }
        self.remember(|memory| memory.leaves_at = Some(then));
        if before.is_none() {
            self.change(|view| view.phase = Phase::Stopping { since: clock::now() });
        }
        self.poke.notify_one();
        before.is_none()
    }

    /// It is wanted after all.
    pub(crate) fn stay(&self) {
        if self.memory().leaves_at.is_some() {
            self.remember(|memory| memory.leaves_at = None);
            self.poke.notify_one();
        }
    }

    /// Sets what the instance shall be and wakes its shim and its task.
    pub(crate) fn order(&self, goal: Goal) -> std::io::Result<()> {
        match self.dir.order(goal) {
            // Its files are gone; its task finds another way.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && goal == Goal::Stop => {
                self.remember(|memory| memory.is_to_stop = true);
            }
            Ok(()) if self.memory().is_adrift && goal == Goal::Stop => {
                self.remember(|memory| memory.is_to_stop = true);
            }
            ordered => ordered?,
        }
        self.poke.notify_one();
        Ok(())
    }

    pub(crate) fn address(&self, status: Option<&Status>) -> Option<SocketAddr> {
        self.address_at(status?.port?)
    }

    pub(crate) fn address_at(&self, port: u16) -> Option<SocketAddr> {
        self.spec.health.as_ref()?;
        Some((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Since when this process is healthy, by whoever saw it first.
    pub(crate) fn healthy_since(&self, process: Identity) -> Option<Timestamp> {
        let seen: HealthySince = steady::read_json(&self.dir.healthy()).ok()??;
        (seen.process == process).then_some(seen.since)
    }

    /// The app's last lines, without its secrets.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        let sealed = Sealed::read(&RevisionDir { root: self.spec.revision_dir.clone() }).unwrap_or_default();
        sealed.blot_out(output::last_lines(&self.dir.log(), Problem::DETAIL_LINES).unwrap_or_default())
    }

    /// The problem of an app that ended by itself.
    pub(crate) fn exited(&self, exit: &Exit, ran_ms: u64, last_lines: Vec<String>) -> Problem {
        let (process, command) = (&self.spec.process, &self.spec.command);
        match exit {
            Exit::Code(code) if shell::is_not_found(*code) && ran_ms < NOT_FOUND_WITHIN_MS => {
                shell::not_found(&format!("process.{process}.command"), command, *code)
            }
            Exit::Code(_) | Exit::Signal(_) | Exit::NotStarted(_) | Exit::Unseen => Problem::new(
                "INSTANCE-EXITED",
                format!("{} of {} ended by itself with {exit} after {ran_ms} ms.", self.spec.id, self.spec.revision),
                "Look at what the app prints: `switchover logs`.",
            ),
        }
        .with_detail(last_lines)
    }

    /// What is to be known of an instance whose files were removed.
    pub(crate) fn lost_its_files(&self) -> Problem {
        let InstanceSpec { id, revision, .. } = &self.spec;
        Problem::new(
            "INSTANCE-ADRIFT",
            format!(
                "the files of {id} of {revision} in {} are gone, but its processes live. It stays in service and is asked \
                 for its health; when it ends, another one takes its place.",
                self.dir.root.display()
            ),
            "See to it that nothing clears the state folder, and deploy again: the new instances have their files.",
        )
    }

    /// What is to be known of files that came with a copy of another state directory.
    pub(crate) fn foreign(&self) -> Problem {
        let made_in = self.spec.home.as_ref().map(|home| home.path.display().to_string()).unwrap_or_default();
        Problem::new(
            "INSTANCE-FOREIGN",
            format!(
                "{} was made in the state folder {made_in}, and this one is a copy of it: its processes are left alone.",
                self.spec.id
            ),
            "Serve one of the two folders alone: with both, two live copies of the app run, its workers too.",
        )
    }

    /// What is to be known of an app that was told to stop and was there still when its grace was over.
    pub(crate) fn killed(&self) -> Problem {
        let InstanceSpec { id, process, revision, stop, .. } = &self.spec;
        let (signal, grace) = (word(stop.signal), stop.grace);
        Problem::new(
            "INSTANCE-KILLED",
            format!("{id} of {revision} was told to stop with {signal}, did not end within {grace}, and was killed."),
            format!(
                "Let it end on {signal}, or set process.{process}.stop: the signal it obeys, or a longer grace. What it was \
                 doing was broken off."
            ),
        )
        .with_detail(self.last_lines())
    }
}

/// A stop signal as it is written in the file.
fn word(signal: StopSignal) -> &'static str {
    match signal {
        StopSignal::Term => "SIGTERM",
        StopSignal::Int => "SIGINT",
        StopSignal::Quit => "SIGQUIT",
        StopSignal::Usr1 => "SIGUSR1",
        StopSignal::Usr2 => "SIGUSR2",
        StopSignal::Hup => "SIGHUP",
    }
}

/// A length of time in the model's words.
pub(crate) fn span(duration: Duration) -> Span {
    Span::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
