//! One task an instance: sees what its shim says, asks the app for its health, and gives it a new shim when the old one
//! was killed.
//!
//! Flow: started for each instance directory that is made or found. Guarantees: a change of phase wakes whoever waits on
//! `ProcessPlatform::changed`; the task ends when the instance is over and its directory has been put away.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use switchover_model::seam::Phase;
use switchover_model::{InstanceId, Problem, Timestamp};

use crate::clock;
use crate::health::{self, Unhealthy};
use crate::instance::Goal;
use crate::look::Look;
use crate::process_platform::Shared;
use crate::processes::{self, Identity};
use crate::shim;
use crate::shim_start::{LONGEST_SHIM_WAIT, SHIM_START};
use crate::sockets::{self, Listener};
use crate::watched::{WORKER_SETTLED, Watched, span};

/// Time between two questions to an app that boots and does not listen yet.
const BOOT_QUESTION_EVERY: Duration = Duration::from_millis(20);

/// The longest time between two questions to an app that boots and answers, or that has been booting for long.
const SLOWEST_BOOT_QUESTION: Duration = Duration::from_millis(250);

/// How long an app is asked at the fastest pace.
const FAST_BOOT: Duration = Duration::from_secs(30);

/// Wrong or missing answers in a row until an app that was healthy no longer is.
pub const FAILURES_UNTIL_UNHEALTHY: u32 = 3;

/// Every so many questions it is looked up whose port it is that answers.
const OWNER_CHECK_EVERY: u32 = 20;

/// How soon it is looked again where a shim is about to write its status.
pub(crate) const SOON: Duration = Duration::from_millis(5);

/// How long nothing is looked at when nothing is expected.
const IDLE: Duration = Duration::from_secs(30);

/// The task of one instance.
pub(crate) struct Watcher {
    pub(crate) watched: Arc<Watched>,
    pub(crate) shared: Arc<Shared>,
    /// The process that the fields below are about.
    process: Option<Identity>,
    healthy_since: Option<Timestamp>,
    lost_since: Option<Timestamp>,
    failures: u32,
    questions: u32,
    boot_wait: Duration,
    /// Shims started in a row that did not hold.
    pub(crate) shim_starts: u32,
}

impl Watcher {
    pub(crate) fn new(watched: Arc<Watched>, shared: Arc<Shared>) -> Self {
        Self {
            watched,
            shared,
            process: None,
            healthy_since: None,
            lost_since: None,
            failures: 0,
            questions: 0,
            boot_wait: BOOT_QUESTION_EVERY,
            shim_starts: 0,
        }
    }

    /// Watches until the instance is over. Cancellation-safe: everything that matters is in the directory.
    pub(crate) async fn run(mut self) -> InstanceId {
        loop {
            match self.look() {
                Ok(Look::Over { overran }) => {
                    if overran {
                        self.shared.note(&self.watched.spec.app, self.watched.killed());
                    }
                    break;
                }
                Ok(look) => self.turn(look).await,
                Err(error) => {
                    tracing::warn!(instance = %self.watched.spec.id, %error, "an instance cannot be looked at");
                    tokio::time::sleep(LONGEST_SHIM_WAIT).await;
                }
            }
        }
        self.watched.change(|view| view.is_over = true);
        self.shared.put_away(&self.watched);
        self.watched.spec.id.clone()
    }

    async fn turn(&mut self, look: Look) {
        let is_down = match &look {
            Look::Waiting { .. } => true,
            // A shim that was killed leaves its app alone.
            Look::NoShim | Look::ShimStarts => {
                !self.watched.memory().process.is_some_and(|(process, _)| process.is_running())
            }
            Look::Over { .. } | Look::Adrift { .. } | Look::Running { .. } | Look::Stopping { .. } => false,
        };
        if is_down && self.watched.memory().leaves_at.is_some() {
            // It answers nobody any more, and is not started again.
            self.stop_it();
        }
        match look {
            Look::Over { .. } => {}
            Look::Adrift { process } if self.watched.memory().is_to_stop => {
                if !matches!(self.watched.view().phase, Phase::Stopping { .. }) {
                    self.show(Phase::Stopping { since: clock::now() });
                }
                self.end_adrift(process.map(|(process, _)| process)).await;
            }
            Look::Adrift { process: Some((process, since)) } => self.attend(process, since).await,
            Look::Adrift { process: None } => {
                self.just_ended();
                tokio::time::sleep(SOON).await;
            }
            Look::NoShim => self.start_shim().await,
            Look::ShimStarts => self.pause(SOON, None).await,
            Look::Running { process, since } => {
                self.shim_starts = 0;
                if process.is_running() {
                    self.attend(process, since).await;
                } else {
                    self.just_ended();
                    tokio::time::sleep(SOON).await;
                }
            }
            Look::Stopping { since } => {
                self.show(Phase::Stopping { since });
                self.pause(IDLE, None).await;
            }
            Look::Waiting { exit, ran_ms, last_lines, retry_at } => {
                self.shim_starts = 0;
                self.show(Phase::Crashed { cause: self.watched.exited(&exit, ran_ms, last_lines), retry_at });
                self.pause(retry_at.since(clock::now()).to_std().max(SOON), None).await;
            }
        }
    }

    /// Ends an instance whose files are gone: by its shim, which takes SIGTERM for the goal that it cannot read, or itself
    /// where there is no shim either.
    async fn end_adrift(&self, process: Option<Identity>) {
        let spec = &self.watched.spec;
        if let Some(shim) = self.watched.memory().shim.filter(|shim| shim.is_running()) {
            if let Err(error) = shim.signal(Signal::TERM) {
                tracing::warn!(instance = %spec.id, %error, "its shim cannot be told to stop it");
            }
            let grace = spec.stop.grace.to_std() + SHIM_START;
            // Told again when it is late; a second signal changes nothing.
            drop(tokio::time::timeout(grace, shim.ended()).await);
            return;
        }
        if let Some(process) = process {
            if let Err(error) = process.signal(shim::number(spec.stop.signal)) {
                tracing::warn!(instance = %spec.id, %error, "it cannot be told to stop");
            }
            drop(tokio::time::timeout(spec.stop.grace.to_std(), process.ended()).await);
        }
        let (name, value) = spec.mark();
        if !processes::kill_all(|| processes::members(process, Some((name, &value)))).await {
            tracing::warn!(instance = %spec.id, "it was killed and is still there");
        }
    }

    /// The app is gone and its shim is about to say how: nobody shall be sent there meanwhile.
    fn just_ended(&self) {
        if matches!(self.watched.view().phase, Phase::Healthy { .. } | Phase::Unhealthy { .. }) {
            let cause = Problem::new(
                "INSTANCE-EXITED",
                format!("{} of {} ended by itself just now.", self.watched.spec.id, self.watched.spec.revision),
                "Look at `switchover logs`.",
            );
            self.show(Phase::Crashed { cause, retry_at: clock::now() });
        }
    }

    /// Asks a running app for its health once and waits until it is asked again.
    async fn attend(&mut self, process: Identity, since: Timestamp) {
        if self.process != Some(process) {
            self.process = Some(process);
            self.healthy_since = self.watched.healthy_since(process);
            self.lost_since = None;
            (self.failures, self.questions) = (0, 0);
            self.boot_wait = BOOT_QUESTION_EVERY;
        }
        if let Some(wait) = self.goes_away() {
            if !matches!(self.watched.view().phase, Phase::Stopping { .. }) {
                self.show(Phase::Stopping { since: clock::now() });
            }
            return self.pause(wait, Some(process)).await;
        }
        let watched = Arc::clone(&self.watched);
        let Some(health) = &watched.spec.health else {
            let up = clock::now().since(since).to_std();
            if let Some(rest) = WORKER_SETTLED.checked_sub(up).filter(|rest| !rest.is_zero()) {
                self.show(Phase::Starting { since, last: None });
                return self.pause(rest, Some(process)).await;
            }
            self.show(Phase::Healthy { since: since + span(WORKER_SETTLED) });
            return self.pause(IDLE, Some(process)).await;
        };
        let asked_since = self.watched.memory().asked_since;
        self.watched.begin_question();
        let verdict = tokio::select! {
            verdict = self.question(process) => verdict,
            _ = process.ended() => return,
        };
        if self.goes_away().is_some() {
            // It was told meanwhile: what it answered is no longer asked.
            return;
        }
        self.questions += 1;
        let now = clock::now();
        let wait = match verdict {
            Ok(()) => {
                self.is_well(process, asked_since, now);
                health.interval.to_std()
            }
            Err(unhealthy) if self.healthy_since.is_some() => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= FAILURES_UNTIL_UNHEALTHY {
                    if self.lost_since.is_none() {
                        self.watched.note_ill();
                    }
                    let lost = self.lost_since.unwrap_or(now).max(self.shared.looks_since());
                    self.lost_since = Some(lost);
                    self.show(Phase::Unhealthy { since: lost, cause: self.lost(&unhealthy) });
                }
                health.interval.to_std()
            }
            Err(unhealthy) => {
                let deadline = since + health.deadline;
                if now >= deadline {
                    self.show(Phase::Unhealthy { since: deadline, cause: self.never_green(&unhealthy) });
                } else {
                    self.show(Phase::Starting { since, last: Some(unhealthy.to_string()) });
                }
                self.boot_wait(&unhealthy, now.since(since).to_std())
                    .min(if now < deadline { deadline.since(now).to_std() } else { IDLE })
                    .max(SOON)
            }
        };
        self.pause(wait, Some(process)).await;
    }

    /// It has answered well: whoever waited for that, because it was silent, looks again.
    fn is_well(&mut self, process: Identity, asked_since: Option<Timestamp>, now: Timestamp) {
        self.failures = 0;
        let was_ill = self.lost_since.take().is_some();
        if self.watched.answered(asked_since) {
            self.shared.tell_change();
        }
        let is_new = self.healthy_since.is_none();
        let healthy = *self.healthy_since.get_or_insert(now);
        if is_new || was_ill {
            self.watched.note_healthy(process, healthy);
        }
        self.show(Phase::Healthy { since: healthy });
    }

    /// How soon to look again at one that was told to stop or is about to be; nothing when it shall go on.
    fn goes_away(&self) -> Option<Duration> {
        if self.watched.goal() == Goal::Stop {
            // The shim has been told and is about to say so.
            return Some(SOON);
        }
        let drain = self.watched.memory().leaves_at?.since(clock::now()).to_std();
        if drain.is_zero() && !self.stop_it() {
            return Some(LONGEST_SHIM_WAIT);
        }
        Some(drain.max(SOON))
    }

    /// Has it stopped; says whether it could be told so.
    fn stop_it(&self) -> bool {
        let told = self.watched.order(Goal::Stop);
        if let Err(error) = &told {
            tracing::warn!(instance = %self.watched.spec.id, %error, "it cannot be told to stop, which is tried again");
        }
        told.is_ok()
    }

    async fn question(&self, process: Identity) -> Result<(), Unhealthy> {
        let spec = &self.watched.spec;
        let (Some(health), Some(address)) = (&spec.health, self.watched.view().address) else { return Ok(()) };
        health::ask(address, spec.probe_host.as_ref(), health).await?;
        if self.healthy_since.is_some() && !self.questions.is_multiple_of(OWNER_CHECK_EVERY) && self.failures == 0 {
            return Ok(());
        }
        let (port, mark) = (address.port(), spec.mark());
        let owner = tokio::task::spawn_blocking(move || owner(port, process, &mark)).await;
        // Where the kernel does not tell, the answer alone must do.
        match owner {
            Ok(Ok(Listener::Ours) | Err(_)) | Err(_) => Ok(()),
            Ok(Ok(Listener::None)) => Err(Unhealthy::NotListening { port }),
            Ok(Ok(Listener::Stranger)) => Err(Unhealthy::Stranger { port }),
        }
    }

    fn boot_wait(&mut self, unhealthy: &Unhealthy, up: Duration) -> Duration {
        if unhealthy.is_answer() || up > FAST_BOOT {
            self.boot_wait = self.boot_wait.mul_f64(1.2).min(SLOWEST_BOOT_QUESTION);
        }
        self.boot_wait
    }

    fn never_green(&self, unhealthy: &Unhealthy) -> Problem {
        let deadline = self.watched.spec.health.as_ref().map(|health| health.deadline).unwrap_or_default();
        Problem::new(
            "HEALTH-NEVER-GREEN",
            format!("{} was not healthy within {deadline}: {unhealthy}.", self.watched.spec.id),
            unhealthy.next_step(),
        )
        .with_detail(self.watched.last_lines())
    }

    fn lost(&self, unhealthy: &Unhealthy) -> Problem {
        Problem::new(
            "HEALTH-LOST",
            format!("{} was healthy and is no longer: {unhealthy}.", self.watched.spec.id),
            unhealthy.next_step(),
        )
        .with_detail(self.watched.last_lines())
    }

    /// Shows a phase to whoever observes, and wakes them when it is another kind of phase than before.
    pub(crate) fn show(&self, phase: Phase) {
        let mut is_news = false;
        self.watched.change(|view| {
            is_news = std::mem::discriminant(&view.phase) != std::mem::discriminant(&phase);
            view.phase = phase;
        });
        if is_news {
            self.shared.tell_change();
        }
    }

    /// Waits for `duration`, or until the shim or the app ends or a goal is set, whatever comes first.
    async fn pause(&self, duration: Duration, process: Option<Identity>) {
        let memory = self.watched.memory();
        let shim = if memory.is_adrift {
            // Where only the app is left, its end is what is waited for.
            memory.shim.filter(|shim| shim.is_running()).or(process)
        } else {
            self.watched.dir.shim().ok().flatten().and_then(Identity::of)
        };
        // Where it has ended since the last look, there is nothing to wait for.
        let duration = if shim.is_some() { duration } else { duration.min(SOON) };
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = self.watched.poked() => {}
            () = end_of(shim) => {}
            () = end_of(process) => {}
        }
    }
}

/// Whose port it is. The main process is looked at first: most often it listens itself, and the rest costs a look at every
/// process of the machine.
fn owner(port: u16, main: Identity, mark: &(&str, String)) -> std::io::Result<Listener> {
    match sockets::listener(port, &[main].into())? {
        Listener::Stranger => {}
        known @ (Listener::Ours | Listener::None) => return Ok(known),
    }
    sockets::listener(port, &processes::members(Some(main), Some((mark.0, &mark.1))))
}

/// The end of a process; never, when there is none to wait for or it cannot be waited for.
async fn end_of(process: Option<Identity>) {
    match process {
        Some(process) if process.ended().await.is_ok() => {}
        Some(_) | None => std::future::pending().await,
    }
}
