//! One app's loop, turn by turn: observe, decide, record, act.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use switchover_journal::{AppendError, ReadError, Snapshot};
use switchover_model::answer::CommandAnswer;
use switchover_model::record::{Actor, AttemptResult, Draft, Event, IdempotencyKey, Record};
use switchover_model::release::{Command, Stage};
use switchover_model::seam::{PlatformSeen, Seen};
use switchover_model::view::SCHEMA_VERSION;
use switchover_model::{AppName, Problem, ReleaseId, Timestamp};
use switchover_rollout::{Admission, App, Decision, admit, decide, fold};
use tokio::time::timeout;

use crate::acts::Acts;
use crate::attempts::Attempts;
use crate::bounds::{ACT, BUSY_BEAT, IDLE_BEAT, PAGE, SNAPSHOT_EVERY};
use crate::clock;
use crate::evidence::Watcher;
use crate::schema::Databases;
use crate::shown::{Publisher, Shown};
use crate::token::PreviewToken;
use crate::values::Vault;
use crate::world::Parts;

mod act;
mod observe;

/// The program as snapshots name it: another version folds for itself.
const PROGRAM: &str = concat!(env!("CARGO_PKG_VERSION"), "+fold-11");

/// One app and what is known of it.
pub(crate) struct Turner {
    parts: Arc<Parts>,
    app: Arc<App>,
    seen: Arc<Seen>,
    /// The last platform that was seen: endpoints stay where they were while it can not be asked.
    platform: Option<PlatformSeen>,
    /// Something was done since the last look.
    seen_is_stale: bool,
    /// Records to go with the next append.
    pending: Vec<Draft>,
    pub(crate) attempts: Attempts,
    acts: Acts,
    databases: Databases,
    watcher: Watcher,
    token: PreviewToken,
    vault: Vault,
    lost_with_router: Option<u64>,
    /// Why something can not be looked at now.
    unseen: BTreeMap<&'static str, String>,
    snapshot_at: u64,
    /// The last record that may be more than a look.
    told_by: u64,
    journal_problem: Option<Problem>,
    wake: Option<Timestamp>,
    shown: Publisher,
}

/// What a turn leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    /// Nothing moves until time passes or something changes.
    AtRest,
    /// Something was written or done: look again at once.
    Moving,
}

impl Turner {
    /// Reads the app's journal. Attempts that an earlier controller started are lost.
    pub(crate) async fn load(name: &AppName, parts: Arc<Parts>, shown: Publisher) -> Result<Self, Problem> {
        let (app, snapshot_at) = read_app(name, &parts).await.map_err(|error| error.problem())?;
        let vault = Vault::of(&parts.state, name);
        let (state, app_name, values) = (parts.state.clone(), name.clone(), vault.clone());
        let needed = serde_json::to_string(&app).unwrap_or_default();
        let token = tokio::task::spawn_blocking(move || {
            if let Err(error) = values.forget(|id| needed.contains(id)) {
                tracing::warn!(app = %app_name, %error, "values that nothing needs any more could not be removed");
            }
            PreviewToken::of(&state, &app_name)
        })
        .await;
        let token = token.map_err(std::io::Error::other).flatten().map_err(|error| {
            let cause = format!("The preview token of {name} can not be read or made: {error}.");
            Problem::new("STATE-NOT-WRITABLE", cause, "Check the disk and the permissions of the state directory.")
        })?;
        let now = clock::now();
        let mut watcher = Watcher::default();
        if let Some(first) = app.looked_from() {
            watcher.resume(&app, now);
            let mut after = first.saturating_sub(1);
            loop {
                let records = parts.journal.read(name, after, PAGE).await.map_err(|error| error.problem())?;
                let Some(last) = records.last().map(|record| record.sequence) else { break };
                watcher.take(&records);
                after = last;
            }
        }
        let running = app.releases.iter().flat_map(switchover_rollout::Release::running_attempts);
        let pending = running.map(|state| {
            let took = now.since(state.started_at);
            draft(now, Event::AttemptEnded { attempt: state.id, result: AttemptResult::Lost, took })
        });
        let pending: Vec<Draft> = pending.collect();
        if !pending.is_empty() {
            // As far as it can be ended, nothing of an attempt goes on when the journal says that it is lost.
            let ended = timeout(ACT, parts.builder.end_lost(name)).await;
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(app = %name, %error, "a lost attempt could not be ended"),
                Err(_) => tracing::warn!(app = %name, "a lost attempt was not ended in time"),
            }
        }
        Ok(Self {
            parts,
            told_by: app.sequence,
            app: Arc::new(app),
            seen: Arc::new(Seen::default()),
            platform: None,
            seen_is_stale: true,
            pending,
            attempts: Attempts::default(),
            acts: Acts::default(),
            databases: Databases::default(),
            watcher,
            token,
            vault,
            lost_with_router: None,
            unseen: BTreeMap::new(),
            snapshot_at,
            journal_problem: None,
            wake: None,
            shown,
        })
    }

    /// Looks at the world, decides, writes it down and acts.
    pub(crate) async fn look_and_turn(&mut self) -> Turned {
        self.observe().await;
        self.turn().await
    }

    /// An attempt has ended: its records go with the next append.
    pub(crate) fn note_end(&mut self, drafts: Vec<Draft>) {
        self.pending.extend(drafts);
    }

    /// Decides on what was seen last, writes it down and acts.
    async fn turn(&mut self) -> Turned {
        match self.record(Vec::new()).await {
            Ok((decision, wrote)) => {
                let acted = self.act(decision.actions).await;
                self.publish();
                self.keep_snapshot(SNAPSHOT_EVERY).await;
                if wrote || acted { Turned::Moving } else { Turned::AtRest }
            }
            Err(_) => {
                self.keep_routes_healthy().await;
                self.publish();
                Turned::AtRest
            }
        }
    }

    /// Takes a command: a way back is decided on what was seen last, so that the old slot is asked at once. `answer` is called
    /// as soon as it is journaled, before anything is done about it.
    pub(crate) async fn command(
        &mut self,
        mut command: Command,
        key: IdempotencyKey,
        actor: Actor,
        answer: impl FnOnce(Result<CommandAnswer, Problem>),
    ) -> Turned {
        match self.seal(command).await {
            Ok(sealed) => command = sealed,
            Err(problem) => {
                answer(Err(problem));
                return Turned::AtRest;
            }
        }
        let goes_back = matches!(command, Command::Rollback { .. } | Command::Abort { .. });
        if self.seen_is_stale || !goes_back {
            self.observe().await;
        }
        let now = clock::now();
        let ledger = self.seen.traffic.as_ref().map(|traffic| &traffic.ledger);
        let admission =
            admit(&self.app, &command, &key, &actor, now).map(|admitted| admitted.with_ledger(&self.app, ledger));
        let (drafts, release, notices) = match admission {
            Err(problem) => {
                answer(Err(problem));
                return Turned::AtRest;
            }
            Ok(Admission::Repeated { sequence, release }) => {
                answer(Ok(self.answer(key, sequence, release, true, &[])));
                return Turned::AtRest;
            }
            Ok(Admission::New { drafts, release, notices }) => (drafts, release, notices),
        };
        let sequence = self.app.sequence + self.pending.len() as u64 + 1;
        match self.record(drafts).await {
            Ok((decision, _)) => {
                self.publish();
                answer(Ok(self.answer(key, sequence, release, false, &notices)));
                self.act(decision.actions).await;
                self.publish();
                self.keep_snapshot(SNAPSHOT_EVERY).await;
                Turned::Moving
            }
            Err(error) => {
                answer(Err(error.problem()));
                self.keep_routes_healthy().await;
                self.publish();
                Turned::AtRest
            }
        }
    }

    /// The same command without the values of its environment, which are kept beside the journal.
    async fn seal(&self, mut command: Command) -> Result<Command, Problem> {
        match command {
            Command::Apply { .. } | Command::Deploy { .. } => {}
            Command::Promote { .. }
            | Command::Pause { .. }
            | Command::Resume { .. }
            | Command::Abort { .. }
            | Command::Rollback { .. } => return Ok(command),
        }
        let vault = self.vault.clone();
        let sealed = tokio::task::spawn_blocking(move || vault.seal(&mut command).map(|()| command)).await;
        sealed.map_err(std::io::Error::other).flatten().map_err(|error| {
            let cause = format!("The values of {} can not be kept: {error}.", self.app.name);
            Problem::new("STATE-NOT-WRITABLE", cause, "Check the disk and the permissions of the state directory.")
        })
    }

    /// When to look again, though nothing calls.
    pub(crate) fn pause(&self) -> Duration {
        let busy = self.app.draining.is_some()
            || self.app.slots.values().any(|slot| slot.stopping.is_some())
            || self
                .app
                .releases
                .iter()
                .any(|release| release.is_undoing() || (release.is_open() && release.stage() != Some(Stage::Bake)));
        let waits_for_routes = self.app.routes.as_ref().is_some_and(|routes| routes.flipped_at.is_none());
        let beat = if busy || waits_for_routes { BUSY_BEAT } else { IDLE_BEAT };
        self.wake.map_or(beat, |wake| wake.since(clock::now()).to_std().min(beat))
    }

    /// Ends what must not go on without us, and keeps a snapshot. Instances and the router go on.
    pub(crate) async fn shut_down(mut self) {
        self.attempts.shut_down().await;
        self.keep_snapshot(0).await;
    }

    // === Decide and record ===

    /// Decides with `drafts` applied, and appends them with what was decided in one batch. Returns whether more may follow from it.
    async fn record(&mut self, drafts: Vec<Draft>) -> Result<(Decision, bool), AppendError> {
        let mut batch = self.pending.clone();
        batch.extend(drafts);
        let (now, given) = (clock::now(), batch.len());
        let mut after = Arc::clone(&self.app);
        for (sequence, draft) in (self.app.sequence + 1..).zip(&batch) {
            Arc::make_mut(&mut after).apply(&provisional(sequence, draft));
        }
        let mut decision = decide(&after, &self.seen, now);
        for draft in &mut decision.drafts {
            if let Event::Judged { watch, verdicts } = &mut draft.event {
                self.watcher.in_full(*watch, verdicts);
            }
            if let Event::Decided { watch, decided } = &mut draft.event
                && let Some(said) = self.watcher.tried(*watch)
            {
                decided.said = said;
            }
        }
        batch.append(&mut decision.drafts);
        self.wake = decision.wake;
        if batch.is_empty() {
            self.journal_problem = None;
            return Ok((decision, false));
        }
        let only_looks = batch.iter().all(|draft| matches!(draft.event, Event::Looked { .. }));
        match self.parts.journal.append(&self.app.name, self.app.sequence, &batch).await {
            Ok(records) => {
                // What was given is in it already, as it was written.
                records.iter().skip(given).for_each(|record| Arc::make_mut(&mut after).apply(record));
                self.app = after;
                self.pending.clear();
                self.journal_problem = None;
                if !only_looks {
                    self.told_by = self.app.sequence;
                }
                // Looks were decided on as they were taken: nothing follows from them any more.
                Ok((decision, !only_looks))
            }
            Err(error) => {
                tracing::error!(app = %self.app.name, %error, "nothing could be recorded, so nothing was done");
                if let AppendError::Conflict { .. } = error
                    && let Ok((app, _)) = read_app(&self.app.name, &self.parts).await
                {
                    self.told_by = app.sequence;
                    self.app = Arc::new(app);
                }
                self.journal_problem = Some(error.problem());
                // A look that can not be kept (it never draws on the reserve) waits for its turn, and holds up nothing that was
                // decided before.
                match error {
                    AppendError::Conflict { .. } => Err(error),
                    _ if only_looks => Ok((decision, false)),
                    _ => Err(error),
                }
            }
        }
    }

    async fn keep_snapshot(&mut self, after_records: u64) {
        if self.app.sequence <= self.snapshot_at.saturating_add(after_records) {
            return;
        }
        let Ok(state) = serde_json::to_string(&*self.app) else { return };
        let snapshot = Snapshot { program: PROGRAM.to_owned(), sequence: self.app.sequence, state };
        match self.parts.journal.store_snapshot(&self.app.name, snapshot).await {
            Ok(()) => self.snapshot_at = self.app.sequence,
            Err(error) => tracing::warn!(app = %self.app.name, %error, "no snapshot was kept"),
        }
    }

    // === Show ===

    fn answer(
        &self,
        key: IdempotencyKey,
        sequence: u64,
        release: Option<ReleaseId>,
        repeated: bool,
        notices: &[Problem],
    ) -> CommandAnswer {
        CommandAnswer {
            schema_version: SCHEMA_VERSION,
            app: self.app.name.clone(),
            key,
            sequence,
            release,
            repeated,
            notes: notices.to_vec(),
        }
    }

    pub(crate) fn publish(&self) {
        self.shown.show(Shown {
            app: Arc::clone(&self.app),
            told_by: self.told_by,
            seen: Arc::clone(&self.seen),
            problems: self
                .acts
                .problems()
                .cloned()
                .chain(self.unseen_database())
                .chain(self.journal_problem.clone())
                .collect(),
            token: Some(self.token.clone()),
            is_loaded: true,
        });
    }
}

/// The app from its snapshot and what came after it, or from its first record on.
async fn read_app(name: &AppName, parts: &Parts) -> Result<(App, u64), ReadError> {
    let snapshot = parts.journal.snapshot(name, PROGRAM).await.unwrap_or_else(|error| {
        tracing::warn!(app = %name, %error, "the snapshot is not used");
        None
    });
    let folded = snapshot.and_then(|snapshot| {
        let app: App = serde_json::from_str(&snapshot.state).ok()?;
        (app.sequence == snapshot.sequence && app.name == *name).then_some(app)
    });
    if let Some(mut app) = folded {
        let snapshot_at = app.sequence;
        for record in parts.journal.read(name, app.sequence, usize::MAX).await? {
            app.apply(&record);
        }
        return Ok((app, snapshot_at));
    }
    Ok((fold(name, &parts.journal.read(name, 0, usize::MAX).await?), 0))
}

fn draft(at: Timestamp, event: Event) -> Draft {
    Draft { at, actor: Actor::Controller, event }
}

fn provisional(sequence: u64, draft: &Draft) -> Record {
    Record { sequence, at: draft.at, actor: draft.actor.clone(), event: draft.event.clone() }
}
