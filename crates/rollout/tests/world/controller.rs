//! The controller of the world: observe, decide, record, act; and its ends and returns between any two steps.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use switchover_model::Span;
use switchover_model::record::{AttemptResult, Event};
use switchover_model::schema::{SchemaGoal, SchemaSeen};
use switchover_model::seam::{
    Action, Arm, ArmGoal, Endpoint, Mirror, PlatformSeen, Preview, RoutedProcess, Routes, RoutesGoal, Seen, TrafficSeen,
};
use switchover_rollout::{App, fold};

use super::fault::Fault;
use super::state::{Memory, World};

const MILLIS: u64 = 1_000;
const SECOND: u64 = 1_000_000;
/// An old answer is never older than this.
const STALE_AT_MOST: u64 = 3 * SECOND;
const REMEMBERED: usize = 4;

impl World {
    /// When the controller does something next.
    pub(crate) fn next_tick(&self) -> u64 {
        self.memory.as_ref().map_or(self.restart_at, |memory| memory.next_tick)
    }

    /// Looks again at once: something was recorded.
    pub(crate) fn wake(&mut self) {
        let soon = self.now + self.dice.between(1, 20) * MILLIS;
        if let Some(memory) = &mut self.memory {
            memory.next_tick = memory.next_tick.min(soon);
        }
    }

    /// One turn of the loop, or the return of a controller that was away.
    pub(crate) fn turn(&mut self) {
        self.ticks += 1;
        if self.memory.is_none() {
            return self.restart();
        }
        let seen = self.observe();
        if self.crash_at(Fault::CrashAfterObserve) {
            return;
        }
        let now = self.moment();
        let Some(memory) = &self.memory else { return };
        let decision = self.room.decide(&memory.app, &seen, now);
        if self.dice.chance(50) && self.room.decide(&memory.app, &seen, now) != decision {
            self.violate("decide is deterministic", || format!("{decision:?}"));
        }
        self.watch_decision(&seen, &decision);
        if self.violation.is_some() || self.crash_at(Fault::CrashAfterDecide) {
            return;
        }
        let wrote = !decision.drafts.is_empty();
        self.append(decision.drafts);
        if self.crash_at(Fault::CrashAfterAppend) {
            return;
        }
        if let (Some(memory), true) = (&mut self.memory, seen.platform.is_some()) {
            memory.last_platform = Some(Rc::clone(&seen));
        }
        self.watch_appended(&seen, &decision.actions);
        self.act(decision.actions, &seen);
        if self.memory.is_none() {
            return;
        }
        if self.dice.chance(20) {
            self.take_snapshot();
        }
        let poll = match (wrote, self.chaos) {
            (true, _) => self.dice.between(1, 100),
            (false, true) => self.dice.between(100, 1_500),
            (false, false) => self.dice.between(500, 4_000),
        };
        let mut next = self.now + poll * MILLIS;
        if let Some(wake) = decision.wake {
            next = next.min(wake.as_micros().max(self.now + MILLIS));
        }
        if let Some(memory) = &mut self.memory {
            memory.next_tick = next;
        }
    }

    // === observe ===

    fn observe(&mut self) -> Rc<Seen> {
        let seen = Rc::new(Seen {
            platform: self.observe_platform(),
            traffic: self.observe_traffic(),
            schema: self.observe_schema(),
            checks: self.observe_checks(),
        });
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(Rc::clone(&seen));
        seen
    }

    fn observe_platform(&mut self) -> Option<PlatformSeen> {
        let now = self.now;
        if now < self.knobs.platform_unknown_until {
            self.met(Fault::PlatformUnknown);
            return None;
        }
        let young = |seen: &&PlatformSeen| now - seen.at.as_micros() <= STALE_AT_MOST;
        let old = self.recent.iter().filter_map(|seen| seen.platform.as_ref()).find(young);
        let stale = old.filter(|_| now < self.knobs.platform_stale_until).cloned();
        if stale.is_some() {
            self.met(Fault::PlatformStale);
        }
        let seen = stale.unwrap_or_else(|| self.platform.observe(now));
        if seen.headroom.is_some() {
            self.met(Fault::NoHeadroom);
        }
        Some(seen)
    }

    fn observe_schema(&mut self) -> Option<SchemaSeen> {
        let rules = self.book.config.as_ref()?.database.clone()?;
        if self.now < self.knobs.schema_unknown_until {
            self.met(Fault::SchemaUnknown);
            return None;
        }
        if self.now < self.schema.trouble.used_until {
            self.schema.used_at = self.now;
            self.met(Fault::OldSession);
        }
        if self.now < self.schema.trouble.broken_until && !rules.invariants.is_empty() {
            self.met(Fault::InvariantBroken);
        }
        Some(self.schema.observe(&rules, self.now))
    }

    fn observe_traffic(&mut self) -> Option<TrafficSeen> {
        let now = self.now;
        if now < self.knobs.traffic_unknown_until {
            self.met(Fault::TrafficUnknown);
            return None;
        }
        let young = |seen: &&TrafficSeen| now - seen.at.as_micros() <= STALE_AT_MOST;
        let old = self.recent.iter().filter_map(|seen| seen.traffic.as_ref()).find(young);
        if let Some(stale) = old.filter(|_| now < self.knobs.traffic_stale_until).cloned() {
            self.met(Fault::TrafficStale);
            return Some(stale);
        }
        let truth = self.router.observe(now)?;
        let recorded = self.memory.as_ref().map_or(0, |memory| memory.lost_recorded);
        if truth.ledger.lost_with_router > recorded {
            let draft = self.draft(Event::RouterRestarted { lost: BTreeMap::new() });
            self.append(vec![draft]);
            if let Some(memory) = &mut self.memory {
                memory.lost_recorded = truth.ledger.lost_with_router;
            }
        }
        Some(truth)
    }

    // === act ===

    fn act(&mut self, mut actions: Vec<Action>, seen: &Seen) {
        let mut whole = true;
        if self.now < self.knobs.reorder_actions_until && actions.len() > 1 {
            self.met(Fault::ActionsReordered);
            self.dice.shuffle(&mut actions);
        }
        let crash_before = self.dice.index(actions.len().max(1));
        let several = actions.len() > 1;
        let repeat_all = self.dice.chance(30) || (self.now < self.knobs.repeat_actions_until && self.dice.chance(500));
        for (place, action) in actions.iter().enumerate() {
            if several && place == crash_before.max(1) && self.crash_at(Fault::CrashBetweenActions) {
                return;
            }
            if self.now < self.knobs.lose_actions_until && self.dice.chance(600) {
                self.met(Fault::ActionLost);
                whole = false;
                continue;
            }
            if self.now < self.knobs.slow_actions_until && self.dice.chance(500) {
                self.met(Fault::ActionSlow);
                let until = self.now + self.dice.between(50, 2_000) * MILLIS;
                self.advance(until);
            }
            whole &= self.carry_out(action, seen);
            if self.violation.is_some() {
                return;
            }
        }
        if !actions.iter().any(|action| matches!(action, Action::Schema(_))) {
            self.schema.rest();
        }
        if repeat_all && whole {
            self.repeat(&actions, seen);
        }
    }

    /// Everything once more, at once: nothing may change by it.
    fn repeat(&mut self, actions: &[Action], seen: &Seen) {
        if self.now < self.knobs.repeat_actions_until && !actions.is_empty() {
            self.met(Fault::ActionRepeated);
        }
        let records = self.book.last_sequence;
        let before = self.signature();
        for action in actions {
            self.carry_out(action, seen);
        }
        if records == self.book.last_sequence && self.signature() != before {
            self.violate("a repeated action changes nothing", || format!("{actions:?}"));
        }
    }

    fn signature(&self) -> String {
        let instances: Vec<_> = self
            .platform
            .instances
            .iter()
            .map(|instance| (instance.id.as_str(), instance.is_stopping(), instance.role))
            .collect();
        let goal = self.schema.work.as_ref().map(|work| &work.goal);
        format!("{instances:?} {:?} {goal:?} {:?}", self.router.table, self.schema.points)
    }

    fn carry_out(&mut self, action: &Action, seen: &Seen) -> bool {
        match action {
            Action::Build { attempt, .. }
            | Action::Hook { attempt, .. }
            | Action::Backup { attempt, .. }
            | Action::Migrate { attempt, .. } => self.run_attempt(*attempt),
            Action::Schema(goal) => self.ensure_schema(goal),
            Action::MarkSchema { release } => self.schema.mark(*release),
            Action::CancelAttempt { attempt } => self.cancel_attempt(*attempt),
            Action::Ensure(spec) => {
                self.watch_ensure(spec);
                let count = self.platform.instances.len();
                let told = self.platform.ensure(spec, self.now, &mut self.dice);
                if !told.is_empty() || count != self.platform.instances.len() {
                    self.tell(|| {
                        let goals: Vec<_> = spec.processes.iter().map(|(name, goal)| (name.as_str(), goal)).collect();
                        format!("ensure {} runs {} {goals:?}; told to stop: {told:?}", spec.slot, spec.revision.id)
                    });
                }
                self.watch_told(spec.slot, &told);
            }
            Action::Stop { slot } => {
                let told = self.platform.stop(*slot, self.now, &mut self.dice);
                if !told.is_empty() {
                    self.tell(|| format!("stop {slot}: {told:?}"));
                }
                self.watch_told(*slot, &told);
            }
            Action::Route(goal) => return self.route(goal, seen),
            Action::KeepRevisions { keep } => {
                self.watch_keep(keep);
                self.platform.keep(&keep.iter().copied().collect::<BTreeSet<_>>());
            }
        }
        true
    }

    fn ensure_schema(&mut self, goal: &SchemaGoal) {
        let (revision, beside) = match goal {
            SchemaGoal::Serve { revision, beside, .. } => (*revision, beside.clone()),
            SchemaGoal::Leave { revision, .. } => (*revision, Vec::new()),
            SchemaGoal::Detach { revision, beside, .. } => (*revision, vec![*beside]),
        };
        let Some(wanted) = self.schema_of(revision) else { return };
        let beside: Vec<_> = beside.into_iter().filter_map(|beside| self.schema_of(beside)).collect();
        let before = self.schema.work.as_ref().map(|work| work.goal.clone());
        self.schema.ensure(goal, &wanted, &beside, self.now, &mut self.dice);
        if before.as_ref() != Some(goal) {
            self.tell(|| format!("schema {goal:?}"));
        }
        if std::mem::take(&mut self.schema.has_failed) {
            self.met(Fault::SchemaFails);
        }
    }

    fn route(&mut self, goal: &RoutesGoal, seen: &Seen) -> bool {
        let Some(routes) = self.fill_in(goal, seen) else { return false };
        if self.now < self.knobs.late_routes_until && self.dice.chance(500) {
            self.met(Fault::RouteLate);
            let at = self.now + self.dice.between(100, 3_000) * MILLIS;
            self.late_routes.push((at, routes));
            return false;
        }
        let before = self.router.table.as_ref().map(|table| table.version);
        self.watch_dealing(&routes);
        let taken = self.router.ensure(&routes, self.now);
        if before != Some(routes.version) {
            self.tell(|| {
                let arms: Vec<_> = routes.arms.iter().map(arm_brief).collect();
                format!("routes {} {arms:?} taken: {taken}", routes.version)
            });
        }
        taken
    }

    /// The goal with the healthy endpoints, hosts and preview of the present.
    fn fill_in(&self, goal: &RoutesGoal, seen: &Seen) -> Option<Routes> {
        let memory = self.memory.as_ref()?;
        let (version, _) = self.book.routed.as_ref().filter(|(_, decided)| decided == goal)?;
        let platform = seen.platform.as_ref().or_else(|| memory.last_platform.as_ref()?.platform.as_ref())?;
        let config = self.book.config.as_ref()?;
        let fill = |arm: &ArmGoal| {
            let processes = self.book.routed_processes(arm.revision).into_iter().map(|(process, paths)| {
                let endpoints = platform.instances.iter().filter(|instance| {
                    instance.slot == arm.slot
                        && instance.revision == arm.revision
                        && instance.process == process
                        && matches!(instance.phase, switchover_model::seam::Phase::Healthy { .. })
                });
                let endpoints = endpoints
                    .filter_map(|instance| Some(Endpoint { instance: instance.id.clone(), address: instance.address? }))
                    .collect();
                RoutedProcess { process, paths, endpoints }
            });
            Arm { slot: arm.slot, revision: arm.revision, share: arm.share, processes: processes.collect() }
        };
        let preview = config.route.preview.as_ref().zip(goal.preview.as_ref()).map(|(rule, arm)| Preview {
            host: rule.host.clone(),
            arm: fill(arm),
            token_digest: "t".repeat(64),
            networks: rule.networks.clone(),
        });
        Some(Routes {
            hosts: config.route.hosts.clone(),
            arms: goal.arms.iter().map(fill).collect(),
            matches: goal.matches.clone(),
            goals: goal.goals.clone(),
            baseline: goal.baseline,
            mirror: goal.mirror.as_ref().map(|to| Mirror { arm: fill(&to.arm), rules: to.rules.clone() }),
            preview,
            preview_host: config.route.preview.as_ref().map(|rule| rule.host.clone()),
            drain_ms: config.route.drain.as_micros() / MILLIS,
            sticky: memory.app.sticky(),
            ..Routes::nowhere(config.name.clone(), *version)
        })
    }

    // === crash and return ===

    fn crash_at(&mut self, point: Fault) -> bool {
        if self.knobs.crash != Some(point) {
            return false;
        }
        self.knobs.crash = None;
        self.met(point);
        self.crash();
        true
    }

    /// The controller ends: its memory and its attempts are gone.
    pub(crate) fn crash(&mut self) {
        let Some(memory) = self.memory.take() else { return };
        if !self.book.open_attempts.is_empty() {
            self.met(Fault::AttemptLost);
        }
        memory.running.values().for_each(|running| self.break_framework(running.release, &running.what));
        self.watch.before_crash = Some(memory.app);
        self.schema.rest();
        let away = if std::mem::take(&mut self.knobs.stay_down) {
            self.met(Fault::ControllerDown);
            self.dice.between(5_000, 30_000)
        } else {
            self.dice.between(10, 2_000)
        };
        self.restart_at = self.now + away * MILLIS;
        self.tell(|| format!("the controller ends, comes back in {away} ms"));
    }

    fn restart(&mut self) {
        self.platform.looks_anew(self.now);
        let app = self.refold();
        self.memory = Some(Memory {
            app,
            next_tick: self.now,
            running: BTreeMap::new(),
            last_platform: None,
            lost_recorded: self.router.ledger.lost_with_router,
        });
        self.tell(|| "the controller is back".to_owned());
        let lost: Vec<_> = self.book.open_attempts.keys().copied().collect();
        let drafts = lost
            .into_iter()
            .map(|attempt| self.draft(Event::AttemptEnded { attempt, result: AttemptResult::Lost, took: Span::ZERO }));
        let drafts = drafts.collect();
        self.append(drafts);
    }

    /// The app from the journal, by both ways, compared with what was in memory.
    pub(crate) fn refold(&mut self) -> App {
        let name = self.app_name();
        let whole = fold(&name, &self.journal.records);
        if let Some((sequence, text)) = &self.journal.snapshot {
            match serde_json::from_str::<App>(text) {
                Ok(mut app) => {
                    for record in self.journal.after(*sequence) {
                        app.apply(record);
                    }
                    if app != whole {
                        self.violate("a snapshot and its tail fold to the same app", || format!("{app:?}\n{whole:?}"));
                    }
                }
                Err(error) => self.violate("a snapshot reads back", || error.to_string()),
            }
        }
        let before = self.watch.before_crash.take();
        if before.is_some_and(|before| before != whole) {
            self.violate("the journal replays to the same app", || format!("{whole:?}"));
        }
        whole
    }

    pub(crate) fn app_name(&self) -> switchover_model::AppName {
        "shop".parse().expect("a label")
    }

    pub(crate) fn take_snapshot(&mut self) {
        let Some(app) = self.memory.as_ref().map(|memory| &memory.app) else { return };
        self.journal.snapshot = serde_json::to_string(app).ok().map(|text| (app.sequence, text));
    }
}

fn arm_brief(arm: &Arm) -> String {
    let endpoints: usize = arm.processes.iter().map(|process| process.endpoints.len()).sum();
    format!("{}={} {} of {endpoints} endpoints", arm.slot, arm.revision, arm.share)
}
