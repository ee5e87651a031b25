//! A platform without processes: instances are rows that age by a clock of its own.
//!
//! Guarantees: keeps the seam's promises (the conformance suite runs on it). The world outlives the platform: make
//! another [`SimulatedPlatform`] of the same [`World`] and it is a controller's second start. The clock stands still
//! until [`World::advance`] moves it, or runs with tokio's time when the world was made with [`World::on_tokio_time`].
//!
//! An app's behaviour is its command: words such as `boots-in=500` (milliseconds), `never-healthy`, `exits`,
//! `ignores-stop`; other words mean nothing.

mod instance;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use switchover_model::config::{AppConfig, Handover, ProcessKind};
use switchover_model::revision::{Digest, Revision, RevisionProcess, Source};
use switchover_model::seam::{
    Builder, HookAnswer, HookCall, Platform, PlatformSeen, ProcessGoal, Role, SeamError, SlotSpec,
};
use switchover_model::{AppName, InstanceId, Problem, ProcessName, RevisionId, Slot, Span, Timestamp};

use self::instance::{CRASH, Instance};

/// When a simulated world begins.
const BEGIN: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// The first port.
const FIRST_PORT: u16 = 20_000;

/// Processes, sealed revisions and time.
#[derive(Debug, Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    began: Option<tokio::time::Instant>,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    made: u64,
    instances: Vec<Instance>,
    sealed: BTreeMap<(AppName, RevisionId), Revision>,
    hooks: Vec<HookCall>,
}

/// The platform; cheap to make again over the same world.
#[derive(Debug, Clone)]
pub struct SimulatedPlatform {
    world: World,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world whose clock stands until it is moved.
    #[must_use]
    pub fn new() -> Self {
        let state = State { now: BEGIN, made: 0, instances: Vec::new(), sealed: BTreeMap::new(), hooks: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)), began: None }
    }

    /// A world whose clock is tokio's (which a test may pause).
    #[must_use]
    pub fn on_tokio_time() -> Self {
        Self { began: Some(tokio::time::Instant::now()), ..Self::new() }
    }

    /// Moves the clock.
    pub fn advance(&self, span: Span) {
        let mut state = self.lock();
        state.now = state.now + span;
    }

    /// What the clock says.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.lock().now
    }

    /// Kills an instance's app.
    pub fn kill(&self, id: &InstanceId) {
        let mut state = self.lock();
        let now = state.now;
        if let Some(instance) = state.instances.iter_mut().find(|instance| instance.id == *id) {
            instance.crashed = true;
            instance.started = now;
        }
    }

    /// Every hook that was called.
    #[must_use]
    pub fn hooks(&self) -> Vec<HookCall> {
        self.lock().hooks.clone()
    }

    /// Puts a revision where builds put theirs.
    pub fn seal(&self, app: &AppName, revision: Revision) {
        self.lock().sealed.insert((app.clone(), revision.id), revision);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(began) = self.began {
            let passed = Span::from_micros(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
            state.now = state.now.max(BEGIN + passed);
        }
        state.age();
        state
    }
}

impl State {
    /// Lets everything happen that happens until now.
    fn age(&mut self) {
        let now = self.now;
        self.instances.retain(|instance| instance.ends_at().is_none_or(|end| now < end));
        for instance in &mut self.instances {
            if instance.stopping.is_some() {
                continue;
            }
            loop {
                if instance.crashed {
                    let retry = instance.started + instance.back_off();
                    if retry > now {
                        break;
                    }
                    instance.crashed = false;
                    instance.restarts += 1;
                    instance.started = retry;
                } else if instance.says("exits") && instance.started + CRASH <= now {
                    instance.crashed = true;
                    instance.started = instance.started + CRASH;
                } else {
                    break;
                }
            }
        }
    }

    fn ensure(&mut self, spec: &SlotSpec) {
        let now = self.now;
        for instance in &mut self.instances {
            if instance.app != spec.app || instance.slot != spec.slot || instance.stopping.is_some() {
                continue;
            }
            let goal = spec.processes.get(&instance.process).copied();
            let goal = goal.filter(|_| instance.revision == spec.revision.id && !spec.without.contains(&instance.id));
            match goal {
                Some(goal) if instance.place < count(&instance.kind, goal) => {
                    instance.tell(goal.role, now);
                    instance.asked_since = instance.asked_since.max(spec.asked_since);
                }
                Some(_) | None => instance.stopping = Some(now),
            }
        }
        for (process, goal) in &spec.processes {
            let Some(kind) = spec.revision.processes.get(process) else { continue };
            let of_process = |instance: &&Instance| {
                instance.app == spec.app && instance.slot == spec.slot && instance.process == *process
            };
            let one_stops = self.instances.iter().filter(of_process).any(|instance| instance.stopping.is_some());
            if one_stops && kind.handover == Some(Handover::StopFirst) {
                continue;
            }
            for place in 0..count(kind, *goal) {
                let has = |instance: &Instance| instance.place == place && instance.stopping.is_none();
                if !self.instances.iter().filter(of_process).any(has) {
                    let instance = self.start(spec, process, kind, place, goal.role);
                    self.instances.push(instance);
                }
            }
        }
    }

    fn start(
        &mut self,
        spec: &SlotSpec,
        process: &ProcessName,
        kind: &RevisionProcess,
        place: u32,
        role: Role,
    ) -> Instance {
        self.made += 1;
        let id = format!("{}-{}-{process}-{place}.{:06}", spec.app, spec.slot, self.made);
        let port = FIRST_PORT + u16::try_from(self.made % 40_000).unwrap_or(0);
        Instance {
            app: spec.app.clone(),
            slot: spec.slot,
            revision: spec.revision.id,
            process: process.clone(),
            place,
            id: id.parse().expect("made of names"),
            kind: kind.clone(),
            port,
            created: self.now,
            started: self.now,
            restarts: 0,
            crashed: false,
            stopping: None,
            role,
            told_standby: None,
            asked_since: spec.asked_since,
        }
    }
}

fn count(kind: &RevisionProcess, goal: ProcessGoal) -> u32 {
    match (goal.role, kind.handover) {
        (Role::Active, _) | (Role::Standby, None | Some(Handover::Lease)) => goal.count,
        (Role::Standby, Some(Handover::StopFirst | Handover::StartFirst | Handover::Drain)) => 0,
    }
}

impl SimulatedPlatform {
    /// A platform over `world`.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self { world }
    }
}

#[async_trait]
impl Platform for SimulatedPlatform {
    async fn observe(&self, app: &AppName) -> Result<PlatformSeen, SeamError> {
        let state = self.world.lock();
        let mut instances: Vec<_> = state.instances.iter().filter(|instance| instance.app == *app).collect();
        instances.sort_by_key(|instance| (instance.created, &instance.id));
        let instances = instances.into_iter().map(|instance| instance.seen(state.now)).collect();
        Ok(PlatformSeen { at: state.now, instances, ..PlatformSeen::default() })
    }

    async fn ensure(&self, spec: &SlotSpec) -> Result<(), SeamError> {
        self.world.lock().ensure(spec);
        Ok(())
    }

    async fn stop(&self, app: &AppName, slot: Slot) -> Result<(), SeamError> {
        let mut state = self.world.lock();
        let now = state.now;
        for instance in &mut state.instances {
            if instance.app == *app && instance.slot == slot {
                instance.stopping.get_or_insert(now);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Builder for SimulatedPlatform {
    async fn build(
        &self,
        config: &AppConfig,
        id: RevisionId,
        source: &Source,
        env: &BTreeMap<String, String>,
    ) -> Result<Revision, Problem> {
        let mut state = self.world.lock();
        if let Source::Revision { id } = source {
            let missing = || Problem::new("REVISION-MISSING", format!("{id} is not there."), "Deploy again.");
            return state.sealed.get(&(config.name.clone(), *id)).cloned().ok_or_else(missing);
        }
        let processes = config.processes.iter().map(|(name, process)| {
            let (health, handover) = match &process.kind {
                ProcessKind::Routed { health, .. } => (Some(health.clone()), None),
                ProcessKind::Worker { handover } => (None, Some(*handover)),
            };
            let (command, stop) = (process.command.clone(), process.stop.clone());
            (name.clone(), RevisionProcess { command, health, stop, handover })
        });
        let revision = Revision {
            id,
            artifact: Digest(format!("{id}")),
            env: Digest(format!("{:?}", (&config.env, env))),
            secrets: None,
            processes: processes.collect(),
            probe_host: config.route.hosts.first().cloned(),
            shared: config.shared.clone(),
            schema: None,
            source: source.clone(),
            sealed_at: state.now,
        };
        state.sealed.insert((config.name.clone(), id), revision.clone());
        Ok(revision)
    }

    async fn hook(&self, _config: &AppConfig, _revision: &Revision, call: &HookCall) -> Result<HookAnswer, Problem> {
        self.world.lock().hooks.push(call.clone());
        Ok(HookAnswer::Passed(vec!["passed".to_owned()]))
    }

    async fn keep(&self, app: &AppName, keep: &[RevisionId]) -> Result<(), SeamError> {
        let mut state = self.world.lock();
        let used: Vec<RevisionId> = state.instances.iter().map(|instance| instance.revision).collect();
        state.sealed.retain(|(owner, id), _| owner != app || keep.contains(id) || used.contains(id));
        Ok(())
    }
}
