//! One app's loop, turn by turn: observe, decide, record, act.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use switchover_journal::{AppendError, ReadError, Snapshot};
use switchover_model::answer::CommandAnswer;
use switchover_model::record::{Actor, AttemptResult, Draft, Event, IdempotencyKey, Record};
use switchover_model::release::{Command, Stage};
use switchover_model::schema::{SchemaOrder, SchemaPlace};
use switchover_model::seam::{Action, ArmGoal, HookCall, PlatformSeen, Routes, SeamError, Seen};
use switchover_model::view::SCHEMA_VERSION;
use switchover_model::{AppName, Problem, ReleaseId, RevisionId, Share, Slot, Timestamp};
use switchover_rollout::{Admission, App, Decision, admit, decide, fold};
use tokio::time::timeout;

use crate::acts::{About, Acts, begins_something, is_full};
use crate::attempts::{Attempts, Build, Call};
use crate::bounds::{ACT, BUSY_BEAT, IDLE_BEAT, OBSERVE_PLATFORM, OBSERVE_SCHEMA, OBSERVE_TRAFFIC, SNAPSHOT_EVERY};
use crate::clock;
use crate::framework::Job;
use crate::routes;
use crate::schema::Databases;
use crate::shown::{Publisher, Shown};
use crate::token::PreviewToken;
use crate::values::Vault;
use crate::world::Parts;

/// The program as snapshots name it: another version folds for itself.
const PROGRAM: &str = concat!(env!("CARGO_PKG_VERSION"), "+fold-5");

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
    token: PreviewToken,
    vault: Vault,
    lost_with_router: Option<u64>,
    snapshot_at: u64,
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
        let running = app.releases.iter().flat_map(switchover_rollout::Release::running_attempts);
        let pending = running.map(|state| {
            let took = now.since(state.started_at);
            draft(now, Event::AttemptEnded { attempt: state.id, result: AttemptResult::Lost, took })
        });
        let pending: Vec<Draft> = pending.collect();
        if !pending.is_empty() {
            // Nothing of an attempt goes on when the journal says that it is lost.
            let ended = timeout(ACT, parts.builder.end_lost(name)).await;
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(app = %name, %error, "a lost attempt could not be ended"),
                Err(_) => tracing::warn!(app = %name, "a lost attempt was not ended in time"),
            }
        }
        Ok(Self {
            parts,
            app: Arc::new(app),
            seen: Arc::new(Seen::default()),
            platform: None,
            seen_is_stale: true,
            pending,
            attempts: Attempts::default(),
            acts: Acts::default(),
            databases: Databases::default(),
            token,
            vault,
            lost_with_router: None,
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

    /// Takes a command: decided on what was seen last, so that a rollback flips at once. `answer` is called as soon as
    /// it is journaled, before anything is done about it.
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
        let admission = admit(&self.app, &command, &key, &actor, now).map(|admitted| admitted.with_ledger(ledger));
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

    // === Observe ===

    async fn observe(&mut self) {
        let place = self.databases.place(&self.app, &self.parts.builder).await;
        let name = &self.app.name;
        let schema = async {
            match &place {
                Some(place) => Some(timeout(OBSERVE_SCHEMA, self.parts.schema.observe(place)).await),
                None => None,
            }
        };
        let (platform, traffic, schema) = tokio::join!(
            timeout(OBSERVE_PLATFORM, self.parts.platform.observe(name)),
            timeout(OBSERVE_TRAFFIC, self.parts.traffic.observe(name)),
            schema,
        );
        let mut seen = Seen {
            platform: known(platform, "platform", name),
            traffic: known(traffic, "traffic", name),
            schema: schema.and_then(|schema| known(schema, "database", name)),
        };
        if seen.platform.is_some() {
            self.platform.clone_from(&seen.platform);
        }
        if let Some(platform) = &mut seen.platform {
            self.acts.show_refused(platform);
        }
        self.seen = Arc::new(seen);
        self.seen_is_stale = false;
        self.note_lost_requests();
        self.note_what_the_platform_tells().await;
    }

    /// What ended meanwhile otherwise than it should, for the release that is on its way or was the last.
    async fn note_what_the_platform_tells(&mut self) {
        let release = self.app.all_releases().next_back().map(|release| release.id);
        for problem in self.parts.platform.take_notes(&self.app.name).await {
            tracing::warn!(app = %self.app.name, %problem, "the platform tells");
            self.pending.push(draft(clock::now(), Event::Noted { release, problem }));
        }
    }

    /// The router counts what a killed predecessor had in flight; the journal says so once.
    fn note_lost_requests(&mut self) {
        let Some(traffic) = &self.seen.traffic else { return };
        let lost = traffic.ledger.lost_with_router;
        let before = self.lost_with_router.replace(lost).unwrap_or(lost);
        if lost > before {
            let revision = self.app.live().map_or(RevisionId(0), |arm| arm.revision);
            let lost = [(revision, lost - before)].into();
            self.pending.push(draft(clock::now(), Event::RouterRestarted { lost }));
        }
    }

    // === Decide and record ===

    /// Decides with `drafts` applied, and appends them with what was decided in one batch. Returns whether there was any.
    async fn record(&mut self, drafts: Vec<Draft>) -> Result<(Decision, bool), AppendError> {
        let mut batch = self.pending.clone();
        batch.extend(drafts);
        let now = clock::now();
        let mut decision = if batch.is_empty() {
            decide(&self.app, &self.seen, now)
        } else {
            let mut after = App::clone(&self.app);
            for (sequence, draft) in (after.sequence + 1..).zip(&batch) {
                after.apply(&provisional(sequence, draft));
            }
            decide(&after, &self.seen, now)
        };
        batch.append(&mut decision.drafts);
        self.wake = decision.wake;
        if batch.is_empty() {
            self.journal_problem = None;
            return Ok((decision, false));
        }
        match self.parts.journal.append(&self.app.name, self.app.sequence, &batch).await {
            Ok(records) => {
                let app = Arc::make_mut(&mut self.app);
                records.iter().for_each(|record| app.apply(record));
                self.pending.clear();
                self.journal_problem = None;
                Ok((decision, true))
            }
            Err(error) => {
                tracing::error!(app = %self.app.name, %error, "nothing could be recorded, so nothing was done");
                if let AppendError::Conflict { .. } = error
                    && let Ok((app, _)) = read_app(&self.app.name, &self.parts).await
                {
                    self.app = Arc::new(app);
                }
                self.journal_problem = Some(error.problem());
                Err(error)
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

    // === Act ===

    /// Makes true what is not yet. Returns whether anything was asked of the world that changes what is to be decided.
    async fn act(&mut self, actions: Vec<Action>) -> bool {
        let mut about = Vec::new();
        let mut asked = Vec::new();
        for action in actions {
            match &action {
                Action::Build { .. } | Action::Hook { .. } | Action::Backup { .. } | Action::Migrate { .. } => {
                    self.attempt(&action);
                }
                Action::Schema(_) => {
                    about.push(About::Schema);
                    asked.push((About::Schema, action));
                }
                Action::MarkSchema { .. } => {
                    about.push(About::RestorePoint);
                    asked.push((About::RestorePoint, action));
                }
                Action::CancelAttempt { attempt } => self.attempts.cancel(*attempt),
                Action::Route(_) => {
                    about.push(About::Routes);
                    asked.push((About::Routes, action));
                }
                Action::Ensure(spec) => {
                    about.push(About::Slot(spec.slot));
                    asked.push((About::Slot(spec.slot), action));
                }
                Action::Stop { slot } => {
                    about.push(About::Slot(*slot));
                    asked.push((About::Slot(*slot), action));
                }
                Action::KeepRevisions { .. } => {
                    about.push(About::Revisions);
                    asked.push((About::Revisions, action));
                }
            }
        }
        if let Some(goal) = routes::before_the_first(&self.app) {
            about.push(About::Routes);
            asked.push((About::Routes, Action::Route(Box::new(goal))));
        }
        self.acts.keep_only(&about);
        if self.databases.works && !about.contains(&About::Schema) {
            self.databases.works = self.parts.schema.rest(&self.app.name).await.is_err();
        }
        self.ask(asked).await
    }

    /// Asks for what is due, all at once, each within its bound.
    async fn ask(&mut self, wanted: Vec<(About, Action)>) -> bool {
        let instances = self.platform.as_ref().map(|seen| seen.instances.clone()).unwrap_or_default();
        let mut due = Vec::new();
        for (about, action) in wanted {
            let routes = match &action {
                Action::Route(goal) => match self.routes_to_set(goal) {
                    Some(routes) => Some(routes),
                    None => continue,
                },
                Action::Ensure(_)
                | Action::Stop { .. }
                | Action::KeepRevisions { .. }
                | Action::Schema(_)
                | Action::MarkSchema { .. } => None,
                Action::Build { .. }
                | Action::Hook { .. }
                | Action::Backup { .. }
                | Action::Migrate { .. }
                | Action::CancelAttempt { .. } => continue,
            };
            let is_new_route = routes.as_ref().is_some_and(|routes| !self.is_in_force_but_for_its_preview_host(routes));
            if self.acts.is_due(about, &action, &instances) || (is_new_route && !self.acts.fails(about)) {
                due.push((about, action, routes));
            }
        }
        if due.is_empty() {
            return false;
        }
        self.seen_is_stale = true;
        let place = self.databases.place(&self.app, &self.parts.builder).await;
        let mut orders = BTreeMap::new();
        for (about, action, _) in &due {
            if let Action::Schema(goal) = action {
                self.databases.works = true;
                orders.insert(*about, self.databases.order(&self.app, goal, &self.parts.builder).await);
            }
        }
        let (place, orders) = (&place, &orders);
        let parts = &self.parts;
        let app = &self.app;
        let done = join_all(due.into_iter().map(async |(about, action, routes)| {
            let asked = Asked { routes: routes.as_ref(), place: place.as_ref(), order: orders.get(&about) };
            let bounded = async || {
                timeout(ACT, perform(parts, &app.name, &action, asked)).await.unwrap_or_else(|_| {
                    Err(SeamError::Unreachable(format!("there was no answer within {} s", ACT.as_secs())))
                })
            };
            let mut outcome = bounded().await;
            if is_full(&outcome) && !begins_something(app, &action) && parts.journal.give_space().await {
                outcome = bounded().await;
            }
            (about, action, outcome)
        }))
        .await;
        let mut moved = false;
        for (about, action, outcome) in done {
            if let Err(error) = &outcome {
                tracing::warn!(app = %self.app.name, ?about, %error, "an action failed");
            }
            moved |= outcome.is_ok() && about == About::Routes;
            if let Some(problem) = self.acts.done(about, action, &instances, outcome) {
                let release = self.app.moving().map(|release| release.id);
                self.pending.push(draft(clock::now(), Event::Noted { release, problem }));
            }
        }
        moved
    }

    /// The routes for `goal`, unless they are what is seen in force, or the platform was never seen.
    fn routes_to_set(&self, goal: &switchover_model::seam::RoutesGoal) -> Option<Routes> {
        let in_force = self.seen.traffic.as_ref().and_then(|traffic| traffic.routes.as_ref());
        let routes = routes::fill(&self.app, goal, self.platform.as_ref()?, in_force, &self.token);
        // Routes that no decision of ours made are a decision's matter.
        let is_foreign = self.app.routes.is_none() && in_force.is_some_and(|known| known.version > 0);
        (in_force != Some(&routes) && !is_foreign).then_some(routes)
    }

    /// A router of an older version does not keep the preview's host: it is told now and then, not at every turn.
    fn is_in_force_but_for_its_preview_host(&self, routes: &Routes) -> bool {
        let in_force = self.seen.traffic.as_ref().and_then(|traffic| traffic.routes.as_ref());
        in_force.is_some_and(|known| *known == Routes { preview_host: known.preview_host.clone(), ..routes.clone() })
    }

    /// While nothing can be recorded, what was decided before still holds: dead instances leave the table.
    async fn keep_routes_healthy(&mut self) {
        let Some((_, goal)) = self.app.routes() else { return };
        let action = Action::Route(Box::new(goal.clone()));
        self.ask(vec![(About::Routes, action)]).await;
    }

    fn attempt(&mut self, action: &Action) {
        let builder = Arc::clone(&self.parts.builder);
        match action {
            Action::Build { attempt, revision, source } if !self.attempts.runs(*attempt) => {
                let Some((config, env)) = self.app.making(*revision) else {
                    return self.attempts.fail(*attempt, no_config(*revision));
                };
                let (config, env) = (config.clone(), env.clone());
                let build =
                    Build { config, revision: *revision, source: source.clone(), env, vault: self.vault.clone() };
                self.attempts.build(*attempt, builder, build);
            }
            Action::Hook { attempt, release, hook, slot, revision, .. } if !self.attempts.runs(*attempt) => {
                let (Some(config), Some(sealed)) = (self.app.config_of(*release), self.app.revision(*revision)) else {
                    return self.attempts.fail(*attempt, no_config(*revision));
                };
                let call = Call {
                    config: config.clone(),
                    revision: sealed.clone(),
                    call: self.hook_call(*release, *hook, *slot, *revision),
                };
                self.attempts.hook(*attempt, builder, call);
            }
            Action::Backup { attempt, release, revision } if !self.attempts.runs(*attempt) => {
                let (Some(config), Some(sealed)) = (self.app.config.clone(), self.app.revision(*revision)) else {
                    return self.attempts.fail(*attempt, no_config(*revision));
                };
                self.attempts.backup(*attempt, builder, config, sealed.clone(), *release);
            }
            Action::Migrate { attempt, release, revision, step } if !self.attempts.runs(*attempt) => {
                match Job::of(&self.app, *release, *revision, *step) {
                    Some(job) => self.attempts.migrate(*attempt, builder, Arc::clone(&self.parts.schema), job),
                    None => self.attempts.fail(*attempt, no_config(*revision)),
                }
            }
            // It runs already, or is no attempt.
            Action::Build { .. }
            | Action::Hook { .. }
            | Action::Backup { .. }
            | Action::Migrate { .. }
            | Action::CancelAttempt { .. }
            | Action::Ensure(_)
            | Action::Stop { .. }
            | Action::Route(_)
            | Action::Schema(_)
            | Action::MarkSchema { .. }
            | Action::KeepRevisions { .. } => {}
        }
    }

    /// `SWITCHOVER_URL` is the instance itself where one routed process answers for everything, so that a plain `curl`
    /// reaches the slot under test; with several it is the router, which asks for the preview's host and token.
    fn hook_call(&self, release: ReleaseId, hook: usize, slot: Slot, revision: RevisionId) -> HookCall {
        let arm = ArmGoal { slot, revision, share: Share::NONE };
        let processes =
            self.platform.as_ref().map(|seen| routes::healthy_endpoints(&self.app, &arm, seen)).unwrap_or_default();
        let direct = match processes.as_slice() {
            [only] => only.endpoints.first().map(|endpoint| format!("http://{}", endpoint.address)),
            _ => None,
        };
        let preview = self.app.config.as_ref().and_then(|config| config.route.preview.as_ref());
        HookCall {
            hook,
            release,
            slot,
            url: direct.or_else(|| self.parts.http.clone()).unwrap_or_default(),
            preview_token: self.token.secret().to_owned(),
            preview_host: preview.map(|rule| rule.host.clone()),
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
            notes: notices.iter().map(|notice| format!("{} {}", notice.cause, notice.next)).collect(),
        }
    }

    pub(crate) fn publish(&self) {
        self.shown.show(Shown {
            app: Arc::clone(&self.app),
            seen: Arc::clone(&self.seen),
            problems: self.acts.problems().chain(&self.journal_problem).cloned().collect(),
            token: Some(self.token.clone()),
            is_loaded: true,
        });
    }
}

/// What an action takes beside itself.
#[derive(Clone, Copy)]
struct Asked<'a> {
    routes: Option<&'a Routes>,
    place: Option<&'a SchemaPlace>,
    order: Option<&'a Result<SchemaOrder, SeamError>>,
}

async fn perform(parts: &Parts, app: &AppName, action: &Action, asked: Asked<'_>) -> Result<(), SeamError> {
    let placed = || {
        asked.place.ok_or_else(|| SeamError::Unreachable("where the app's database is could not be read".to_owned()))
    };
    match action {
        Action::Schema(_) => match asked.order {
            Some(Ok(order)) => parts.schema.ensure(placed()?, order).await,
            Some(Err(error)) => Err(error.clone()),
            None => Ok(()),
        },
        Action::MarkSchema { release } => parts.schema.mark(placed()?, *release).await,
        Action::Route(_) => match asked.routes {
            Some(routes) => {
                if routes.version == 0 {
                    // Before the first decision the hosts may change under the same number; nobody is led by them.
                    parts.traffic.remove(app).await?;
                }
                parts.traffic.ensure(routes).await
            }
            None => Ok(()),
        },
        Action::Ensure(spec) => parts.platform.ensure(spec).await,
        Action::Stop { slot } => parts.platform.stop(app, *slot).await,
        Action::KeepRevisions { keep } => parts.builder.keep(app, keep).await,
        // Attempts are tasks of their own.
        Action::Build { .. }
        | Action::Hook { .. }
        | Action::Backup { .. }
        | Action::Migrate { .. }
        | Action::CancelAttempt { .. } => Ok(()),
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

fn known<T>(asked: Result<Result<T, SeamError>, tokio::time::error::Elapsed>, what: &str, app: &AppName) -> Option<T> {
    match asked {
        Ok(Ok(seen)) => Some(seen),
        Ok(Err(error)) => {
            tracing::warn!(%app, %error, "the {what} could not be asked");
            None
        }
        Err(_) => {
            tracing::warn!(%app, "the {what} did not answer in time");
            None
        }
    }
}

fn draft(at: Timestamp, event: Event) -> Draft {
    Draft { at, actor: Actor::Controller, event }
}

fn provisional(sequence: u64, draft: &Draft) -> Record {
    Record { sequence, at: draft.at, actor: draft.actor.clone(), event: draft.event.clone() }
}

fn no_config(revision: RevisionId) -> Problem {
    let cause = format!("Nothing is known of how {revision} is made.");
    Problem::new("REVISION-UNKNOWN", cause, "Deploy again.")
}
