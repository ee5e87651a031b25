//! The small world of these tests, and how a test reads what was decided.

use std::collections::{BTreeMap, BTreeSet};

use switchover_model::config::{
    AppConfig, Asks, Drift, EvidencePolicy, Handover, Health, Hook, OnCrash, PreviewRule, Process, ProcessKind,
    ReleasePolicy, Route, Stop, StopSignal, Strategy, When, Windows,
};
use switchover_model::receipt::Ledger;
use switchover_model::record::{Actor, AttemptId, AttemptResult, Draft, Event, IdempotencyKey, Record};
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::revision::{Digest, Revision, RevisionProcess, Source};
use switchover_model::schema::{RestorePoint, SchemaSeen};
use switchover_model::seam::{
    Action, Arm, ArmGoal, InstanceSeen, Mirror, Phase, PlatformSeen, Role, Routes, Seen, SlotSpec, TrafficSeen,
};
use switchover_model::{Problem, ReleaseId, RevisionId, Share, Slot, Span, Timestamp};

use super::story::line;
use crate::{Admission, App, Decision, admit, decide, fold};

/// An app's file with one routed process, no hooks, and a second of each waiting time.
pub(super) fn file() -> AppConfig {
    let web = Process {
        command: "bin/web".into(),
        instances: 2,
        kind: ProcessKind::Routed {
            paths: vec!["/".into()],
            health: Health {
                path: "/up".into(),
                any_below_500: false,
                interval: Span::from_millis(500),
                timeout: Span::from_secs(2),
                deadline: Span::from_secs(30),
            },
        },
        stop: Stop { signal: StopSignal::Term, grace: Span::from_secs(5) },
    };
    AppConfig {
        name: "shop".parse().unwrap(),
        build: None,
        env: BTreeMap::new(),
        secrets_file: None,
        processes: BTreeMap::from([("web".parse().unwrap(), web)]),
        shared: Vec::new(),
        route: Route {
            hosts: vec!["shop.example".parse().unwrap()],
            preview: Some(PreviewRule { host: "preview.shop.example".parse().unwrap(), networks: Vec::new() }),
            drain: Span::from_secs(30),
            ..Route::default()
        },
        release: ReleasePolicy {
            strategy: Strategy::BlueGreen,
            windows: Windows::default(),
            approve: false,
            approve_timeout: Span::from_secs(3_600),
            bake: Span::from_secs(60),
            keep_warm: Span::from_secs(600),
            keep_revisions: 5,
            hooks: Vec::new(),
            evidence: EvidencePolicy::default(),
            shadow: None,
        },
        database: None,
        drift: Drift::Correct,
        notify: Vec::new(),
    }
}

/// The same with a worker that is handed over like this.
pub(super) fn file_with_worker(handover: Handover) -> AppConfig {
    let mut file = file();
    let worker = Process {
        command: "bin/work".into(),
        instances: 1,
        kind: ProcessKind::Worker { handover },
        stop: Stop { signal: StopSignal::Term, grace: Span::from_secs(20) },
    };
    file.processes.insert("mailer".parse().unwrap(), worker);
    file
}

/// A hook of the file.
pub(super) fn hook(stage: Stage, on_crash: OnCrash) -> Hook {
    let asks = Asks::Command { command: format!("./{stage}.sh") };
    let (timeout, pause) = (Span::from_secs(60), Span::from_secs(5));
    Hook { stage, when: When::After, asks, timeout, retries: 0, pause, on_crash }
}

pub(super) struct Bed {
    pub(super) app: App,
    pub(super) records: Vec<Record>,
    pub(super) now: Timestamp,
    pub(super) seen: Seen,
    pub(super) file: AppConfig,
    /// What the next build makes; the same content again when it is the same text.
    pub(super) content: String,
    /// New instances stay in their boot.
    pub(super) boots_forever: bool,
    /// Nobody answers the question for its health any more; it was not noticed yet.
    pub(super) is_mute: bool,
    /// Attempts do not end by themselves.
    pub(super) attempts_hang: bool,
    /// Hooks do not, builds do.
    pub(super) hooks_hang: bool,
    /// Workers told to stop take until `finish_stops`.
    pub(super) stops_slowly: bool,
    /// Routes are taken but not seen in force.
    pub(super) router_is_deaf: bool,
    /// What is asked of the schema does not happen.
    pub(super) schema_stays: bool,
    /// Somebody is on an older version all the time.
    pub(super) old_is_used: bool,
    /// The migrations of the next revision.
    pub(super) migrations: Vec<&'static str>,
    /// What the app's own framework has carried out.
    pub(super) carried: BTreeSet<String>,
    /// It can not say what a revision has.
    pub(super) names_nothing: bool,
    pub(super) last: Decision,
    pub(super) log: Vec<String>,
    keys: u32,
    serial: u32,
}

/// A plain rollback.
pub(super) const BACK: Command = Command::Rollback { to: None, release: None, detach: false };

impl Bed {
    pub(super) fn new(file: AppConfig) -> Self {
        let now = Timestamp::from_micros(1_000_000_000);
        let seen = Seen {
            platform: Some(PlatformSeen { at: now, ..PlatformSeen::default() }),
            traffic: Some(TrafficSeen { at: now, ..TrafficSeen::default() }),
            schema: file.database.is_some().then(SchemaSeen::default),
            checks: None,
        };
        Self {
            app: App::new(file.name.clone()),
            records: Vec::new(),
            now,
            seen,
            file,
            content: "v1".into(),
            boots_forever: false,
            is_mute: false,
            attempts_hang: false,
            hooks_hang: false,
            stops_slowly: false,
            router_is_deaf: false,
            schema_stays: false,
            old_is_used: false,
            migrations: Vec::new(),
            carried: BTreeSet::new(),
            names_nothing: false,
            last: Decision::default(),
            log: Vec::new(),
            keys: 0,
            serial: 0,
        }
    }

    /// A bed with `v1` live in blue and settled.
    pub(super) fn with_v1_live(file: AppConfig) -> Self {
        let mut bed = Self::new(file);
        bed.deploy("v1");
        bed.pass(Span::from_secs(3_600));
        assert!(bed.app.releases.is_empty(), "{:?}", bed.log);
        bed.log.clear();
        bed
    }

    /// The same for a file whose releases wait for a person.
    pub(super) fn with_v1_live_approving(file: AppConfig) -> Self {
        let mut bed = Self::new(file);
        let release = bed.deploy("v1");
        bed.command(Command::Promote { release, stage: Stage::Approve, step: None, full: false }).unwrap();
        bed.pass(Span::from_secs(3_600));
        bed.log.clear();
        bed
    }

    /// A bed with `v1` warm in blue, `v2` live in green and in its bake.
    pub(super) fn with_v2_baking(file: AppConfig) -> Self {
        let mut bed = Self::with_v1_live(file);
        bed.deploy("v2");
        bed.log.clear();
        bed
    }

    pub(super) fn deploy(&mut self, content: &str) -> ReleaseId {
        self.content = content.into();
        self.command(self.deploy_command(false)).unwrap().expect("a deploy opens a release")
    }

    pub(super) fn deploy_command(&self, replace: bool) -> Command {
        Command::Deploy {
            config: Box::new(self.file.clone()),
            source: Source::Directory { path: "/src".into() },
            env: BTreeMap::new(),
            replace,
        }
    }

    /// Gives a command with a key of its own, and lets things happen.
    #[expect(clippy::needless_pass_by_value, reason = "a command is made where it is given")]
    pub(super) fn command(&mut self, command: Command) -> Result<Option<ReleaseId>, Problem> {
        self.keys += 1;
        self.command_with_key(&command, &format!("key-{}", self.keys))
    }

    pub(super) fn command_with_key(&mut self, command: &Command, key: &str) -> Result<Option<ReleaseId>, Problem> {
        let actor = Actor::Operator { uid: 1000, name: Some("ann".into()) };
        let admission = admit(&self.app, command, &IdempotencyKey(key.into()), &actor, self.now)?;
        let admission = admission.with_ledger(&self.app, self.seen.traffic.as_ref().map(|traffic| &traffic.ledger));
        let release = match admission {
            Admission::New { drafts, release, notices: _ } => {
                self.append(drafts);
                release
            }
            Admission::Repeated { release, .. } => release,
        };
        self.run();
        Ok(release)
    }

    /// Decides and acts until nothing changes any more.
    pub(super) fn run(&mut self) {
        for _ in 0..200 {
            self.tick(Span::from_millis(1));
            let before = (self.records.len(), self.instances(), self.routes_version());
            self.turn();
            if before == (self.records.len(), self.instances(), self.routes_version()) {
                return;
            }
        }
        panic!("it never comes to rest: {:?}", self.log.split_off(self.log.len().saturating_sub(20)));
    }

    /// One decision, recorded and acted upon.
    pub(super) fn turn(&mut self) {
        let decision = decide(&self.app, &self.seen, self.now);
        assert_eq!(decision, decide(&self.app, &self.seen, self.now), "the same values give the same decision");
        self.append(decision.drafts.clone());
        for action in &decision.actions {
            self.act(action);
        }
        self.last = decision;
    }

    /// Lets `span` pass, waking when a decision asked for it.
    pub(super) fn pass(&mut self, span: Span) {
        let end = self.now + span;
        self.run();
        for _ in 0..100_000 {
            let wake = self.last.wake.filter(|wake| *wake <= end);
            self.set_now(wake.unwrap_or(end).max(self.now));
            self.run();
            if self.now >= end {
                return;
            }
        }
        panic!("it wakes without end: {:?}", self.log.split_off(self.log.len().saturating_sub(20)));
    }

    fn tick(&mut self, span: Span) {
        self.set_now(self.now + span);
    }

    pub(super) fn set_now(&mut self, now: Timestamp) {
        self.now = now;
        if let Some(platform) = &mut self.seen.platform {
            platform.at = now;
        }
        if let Some(traffic) = &mut self.seen.traffic {
            traffic.at = now;
        }
        if let Some(schema) = &mut self.seen.schema {
            schema.at = now;
            schema.invariants.iter_mut().for_each(|invariant| invariant.at = now);
            if self.old_is_used {
                schema.used.insert("older".to_owned(), now);
            }
        }
    }

    pub(super) fn append(&mut self, drafts: Vec<Draft>) {
        for draft in drafts {
            let sequence = self.app.sequence + 1;
            let record = Record { sequence, at: draft.at, actor: draft.actor, event: draft.event };
            self.log.extend(line(&record.event));
            self.app.apply(&record);
            self.records.push(record);
        }
        assert_eq!(fold(&self.app.name, &self.records), self.app, "the journal replays to the same app");
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Build { attempt, revision, source } => {
                if !self.attempts_hang {
                    let sealed = self.revision(*revision, source.clone());
                    self.note(Event::Sealed { revision: Box::new(sealed) });
                    self.end(*attempt, AttemptResult::Passed { output: Vec::new() });
                }
            }
            Action::Schema(goal) => self.reach(goal),
            Action::MarkSchema { release } => {
                let point = RestorePoint { name: format!("release-{release}"), lsn: Some("0/1".into()), why_not: None };
                if let Some(schema) = &mut self.seen.schema {
                    schema.restore_points.insert(*release, point);
                }
            }
            Action::Hook { attempt, .. } | Action::Backup { attempt, .. } => {
                if !self.attempts_hang && !self.hooks_hang {
                    self.end(*attempt, AttemptResult::Passed { output: Vec::new() });
                }
            }
            Action::Migrate { attempt, release, revision, step } => self.migrate(*attempt, *release, *revision, *step),
            Action::CancelAttempt { attempt } => self.end(*attempt, AttemptResult::Cancelled),
            Action::Ensure(spec) => self.ensure(spec),
            Action::Stop { slot } => {
                let slow = self.stops_slowly;
                let now = self.now;
                self.instances_mut().retain_mut(|seen| {
                    if seen.slot == *slot {
                        begin_to_stop(seen, now);
                    }
                    slow || seen.slot != *slot
                });
            }
            Action::Route(goal) => {
                let version = self.app.routes_version();
                if self.router_is_deaf || version <= self.routes_version() {
                    return;
                }
                let fill = |arm: &ArmGoal| Arm {
                    slot: arm.slot,
                    revision: arm.revision,
                    share: arm.share,
                    processes: Vec::new(),
                };
                let mirror = goal.mirror.as_ref().map(|to| Mirror { arm: fill(&to.arm), rules: to.rules.clone() });
                let routes = Routes {
                    arms: goal.arms.iter().map(fill).collect(),
                    matches: goal.matches.clone(),
                    goals: goal.goals.clone(),
                    baseline: goal.baseline,
                    mirror,
                    drain_ms: 30_000,
                    ..Routes::nowhere(self.app.name.clone(), version)
                };
                let now = self.now;
                if let Some(traffic) = &mut self.seen.traffic {
                    traffic.routes = Some(routes);
                    traffic.in_force_since = Some(now);
                }
            }
            Action::KeepRevisions { keep } => {
                for slot in Slot::BOTH {
                    assert!(self.app.slot(slot).revision.is_none_or(|revision| keep.contains(&revision)));
                }
            }
        }
    }

    fn ensure(&mut self, spec: &SlotSpec) {
        let (now, slow, forever, mute) = (self.now, self.stops_slowly, self.boots_forever, self.is_mute);
        for (name, goal) in &spec.processes {
            let process = &spec.revision.processes[name];
            let runs = process.handover.is_none_or(|handover| goal.role == Role::Active || handover == Handover::Lease);
            let is_it = |seen: &InstanceSeen| seen.slot == spec.slot && seen.process == *name;
            let wanted = if runs { goal.count as usize } else { 0 };
            let mut kept = 0;
            self.instances_mut().retain_mut(|seen| {
                if !is_it(seen) {
                    return true;
                }
                if spec.without.contains(&seen.id) {
                    begin_to_stop(seen, now);
                    return slow;
                }
                kept += 1;
                if kept <= wanted {
                    seen.role = goal.role;
                    if matches!(seen.phase, Phase::Healthy { .. }) && seen.unanswered_since.is_none() && !mute {
                        seen.answered_since = seen.answered_since.max(spec.asked_since);
                    }
                    return true;
                }
                begin_to_stop(seen, now);
                slow
            });
            while kept < wanted {
                kept += 1;
                self.serial += 1;
                let phase =
                    if forever { Phase::Starting { since: now, last: None } } else { Phase::Healthy { since: now } };
                let seen = InstanceSeen {
                    id: format!("i{}", self.serial).parse().unwrap(),
                    slot: spec.slot,
                    revision: spec.revision.id,
                    process: name.clone(),
                    role: goal.role,
                    address: process.health.is_some().then_some(([127, 0, 0, 1], 20_000).into()),
                    phase,
                    restarts: 0,
                    unanswered_since: None,
                    answered_since: spec.asked_since.filter(|_| !forever),
                };
                self.instances_mut().push(seen);
            }
        }
    }

    pub(super) fn revision(&self, id: RevisionId, source: Source) -> Revision {
        let processes = self.file.processes.iter().map(|(name, process)| {
            let (health, handover) = match &process.kind {
                ProcessKind::Routed { health, .. } => (Some(health.clone()), None),
                ProcessKind::Worker { handover } => (None, Some(*handover)),
            };
            let run =
                RevisionProcess { command: process.command.clone(), health, stop: process.stop.clone(), handover };
            (name.clone(), run)
        });
        Revision {
            id,
            artifact: Digest(self.content.clone()),
            env: Digest("env".into()),
            secrets: None,
            processes: processes.collect(),
            probe_host: None,
            shared: Vec::new(),
            schema: self.file.database.as_ref().map(|_| self.schema_of_files()),
            source,
            sealed_at: self.now,
        }
    }

    /// Appends what the controller writes by itself.
    pub(super) fn note(&mut self, event: Event) {
        self.append(vec![Draft { at: self.now, actor: Actor::Controller, event }]);
    }

    pub(super) fn end(&mut self, attempt: AttemptId, result: AttemptResult) {
        self.note(Event::AttemptEnded { attempt, result, took: Span::from_millis(5) });
    }

    /// The attempt that runs.
    pub(super) fn running(&self) -> AttemptId {
        self.app.open_attempts().next().expect("an attempt runs").0
    }

    fn instances(&self) -> Vec<InstanceSeen> {
        self.seen.platform.iter().flat_map(|platform| platform.instances.clone()).collect()
    }

    pub(super) fn instances_mut(&mut self) -> &mut Vec<InstanceSeen> {
        &mut self.seen.platform.as_mut().expect("the platform can be asked").instances
    }

    /// Gives every instance of `slot` this phase.
    pub(super) fn make(&mut self, slot: Slot, phase: &Phase) {
        let asked = self.app.slot(slot).asked_since;
        for seen in self.instances_mut().iter_mut().filter(|seen| seen.slot == slot) {
            seen.phase = phase.clone();
            if matches!(phase, Phase::Healthy { .. }) {
                seen.answered_since = asked;
            }
        }
    }

    pub(super) fn ledger(&mut self) -> &mut Ledger {
        &mut self.seen.traffic.as_mut().expect("the traffic can be asked").ledger
    }

    fn routes_version(&self) -> u64 {
        let routes = self.seen.traffic.as_ref().and_then(|traffic| traffic.routes.as_ref());
        routes.map_or(0, |routes| routes.version)
    }

    /// The slot and revision with all the traffic, in the world.
    pub(super) fn served(&self) -> Option<(Slot, RevisionId)> {
        let routes = self.seen.traffic.as_ref()?.routes.as_ref()?;
        routes.arms.iter().find(|arm| arm.share == Share::ALL).map(|arm| (arm.slot, arm.revision))
    }

    pub(super) fn outcome(&self, id: ReleaseId) -> Option<Outcome> {
        self.app.any_release(id).and_then(|release| release.outcome.clone())
    }

    pub(super) fn stage(&self) -> Option<Stage> {
        self.app.releases.last().and_then(crate::Release::stage)
    }

    /// What was recorded since the last question, a line each.
    pub(super) fn story(&mut self) -> String {
        let mut story = self.log.join("\n");
        self.log.clear();
        story.push('\n');
        story
    }
}

fn begin_to_stop(seen: &mut InstanceSeen, now: Timestamp) {
    if !matches!(seen.phase, Phase::Stopping { .. }) {
        seen.phase = Phase::Stopping { since: now };
    }
}

pub(super) fn sick() -> Phase {
    ill_since(Timestamp::from_micros(1))
}

pub(super) fn ill_since(since: Timestamp) -> Phase {
    let cause = Problem::new("HEALTH", "answers 500.", "").with_detail(vec!["boom".into()]);
    Phase::Unhealthy { since, cause }
}
