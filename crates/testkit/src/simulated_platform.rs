//! A platform without processes: instances are rows that age by a clock of its own.
//!
//! Guarantees: keeps the seam's promises (the conformance suite runs on it). The world outlives the platform: make
//! another [`SimulatedPlatform`] of the same [`World`] and it is a controller's second start. The clock stands still
//! until [`World::advance`] moves it, or runs with tokio's time when the world was made with [`World::on_tokio_time`].
//!
//! An app's behaviour is its command: words such as `boots-in=500` (milliseconds), `never-healthy`, `exits`,
//! `ignores-stop`; other words mean nothing.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use switchover_model::config::{AppConfig, Handover, ProcessKind};
use switchover_model::revision::{Digest, Revision, RevisionProcess, Source};
use switchover_model::seam::{
    Builder, HookCall, InstanceSeen, Phase, Platform, PlatformSeen, ProcessGoal, Role, SeamError, SlotSpec,
};
use switchover_model::{AppName, InstanceId, Problem, ProcessName, RevisionId, Slot, Span, Timestamp};

/// When a simulated world begins.
const BEGIN: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// How long an app needs to be healthy when its command says nothing.
const BOOT: Span = Span::from_millis(50);

/// How long an app needs to end when told to.
const END: Span = Span::from_millis(20);

/// How long an app that ends by itself runs, and the wait before its first restart.
const CRASH: Span = Span::from_millis(10);

/// How long a worker by lease goes on with its job when told to stand by.
const LET_GO: Span = Span::from_millis(100);

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
    headroom: Option<Problem>,
    out_of_reach: bool,
    build_failure: Option<Problem>,
    hook_failure: Option<Problem>,
    hooks: Vec<HookCall>,
}

#[derive(Debug, Clone)]
struct Instance {
    app: AppName,
    slot: Slot,
    revision: RevisionId,
    process: ProcessName,
    place: u32,
    id: InstanceId,
    kind: RevisionProcess,
    port: u16,
    created: Timestamp,
    started: Timestamp,
    restarts: u32,
    crashed: bool,
    stopping: Option<Timestamp>,
    role: Role,
    told_standby: Option<Timestamp>,
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
        let state = State {
            now: BEGIN,
            made: 0,
            instances: Vec::new(),
            sealed: BTreeMap::new(),
            headroom: None,
            out_of_reach: false,
            build_failure: None,
            hook_failure: None,
            hooks: Vec::new(),
        };
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

    /// What stands in the way of a second environment from now on.
    pub fn set_headroom(&self, problem: Option<Problem>) {
        self.lock().headroom = problem;
    }

    /// Whether the platform cannot be reached from now on.
    pub fn set_out_of_reach(&self, out_of_reach: bool) {
        self.lock().out_of_reach = out_of_reach;
    }

    /// How builds end from now on; nothing is well.
    pub fn set_build_failure(&self, problem: Option<Problem>) {
        self.lock().build_failure = problem;
    }

    /// How hooks end from now on; nothing is well.
    pub fn set_hook_failure(&self, problem: Option<Problem>) {
        self.lock().hook_failure = problem;
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

    fn reached(&self) -> Result<MutexGuard<'_, State>, SeamError> {
        let state = self.lock();
        if state.out_of_reach {
            return Err(SeamError::Unreachable("the simulated platform is out of reach".to_owned()));
        }
        Ok(state)
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
            let goal = goal.filter(|_| instance.revision == spec.revision.id);
            match goal {
                Some(goal) if instance.place < count(&instance.kind, goal) => instance.tell(goal.role, now),
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
        }
    }
}

fn count(kind: &RevisionProcess, goal: ProcessGoal) -> u32 {
    match (goal.role, kind.handover) {
        (Role::Active, _) | (Role::Standby, None | Some(Handover::Lease)) => goal.count,
        (Role::Standby, Some(Handover::StopFirst | Handover::StartFirst | Handover::Drain)) => 0,
    }
}

impl Instance {
    fn says(&self, word: &str) -> bool {
        self.kind.command.split_ascii_whitespace().any(|said| said == word)
    }

    fn boot(&self) -> Span {
        let word = self.kind.command.split_ascii_whitespace().find_map(|word| word.strip_prefix("boots-in="));
        word.and_then(|millis| millis.parse().ok()).map_or(BOOT, Span::from_millis)
    }

    fn back_off(&self) -> Span {
        Span::from_micros(CRASH.as_micros() << self.restarts.min(12))
    }

    fn ends_at(&self) -> Option<Timestamp> {
        let needs = if self.says("ignores-stop") { self.kind.stop.grace } else { END.min(self.kind.stop.grace) };
        self.stopping.map(|since| since + needs)
    }

    fn tell(&mut self, role: Role, now: Timestamp) {
        if self.role == Role::Active && role == Role::Standby {
            self.told_standby = Some(now);
        }
        self.role = role;
    }

    fn role_seen(&self, now: Timestamp) -> Role {
        let holds = self.told_standby.is_some_and(|told| now < told + LET_GO);
        if self.role == Role::Active || holds { Role::Active } else { Role::Standby }
    }

    fn phase(&self, now: Timestamp) -> Phase {
        if let Some(since) = self.stopping {
            return Phase::Stopping { since };
        }
        if self.crashed {
            let cause =
                Problem::new("INSTANCE-EXITED", format!("{} ended by itself.", self.id), "Look at its last lines.")
                    .with_detail(vec!["exiting".to_owned()]);
            return Phase::Crashed { cause, retry_at: self.started + self.back_off() };
        }
        let healthy = self.started + self.boot();
        let deadline = self.kind.health.as_ref().map(|health| self.started + health.deadline);
        if !self.says("never-healthy") && !self.says("exits") && now >= healthy {
            return Phase::Healthy { since: healthy };
        }
        match deadline {
            Some(deadline) if now >= deadline => Phase::Unhealthy {
                since: deadline,
                cause: Problem::new(
                    "HEALTH-NEVER-GREEN",
                    format!("{} was never healthy.", self.id),
                    "Look at its logs.",
                ),
            },
            Some(_) | None => Phase::Starting { since: self.started, last: None },
        }
    }

    fn seen(&self, now: Timestamp) -> InstanceSeen {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        InstanceSeen {
            id: self.id.clone(),
            slot: self.slot,
            revision: self.revision,
            process: self.process.clone(),
            role: self.role_seen(now),
            address: self.kind.health.is_some().then_some(address),
            phase: self.phase(now),
            restarts: self.restarts,
        }
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
        let state = self.world.reached()?;
        let mut instances: Vec<_> = state.instances.iter().filter(|instance| instance.app == *app).collect();
        instances.sort_by_key(|instance| (instance.created, &instance.id));
        let instances = instances.into_iter().map(|instance| instance.seen(state.now)).collect();
        Ok(PlatformSeen { at: state.now, instances, headroom: state.headroom.clone() })
    }

    async fn ensure(&self, spec: &SlotSpec) -> Result<(), SeamError> {
        self.world.reached()?.ensure(spec);
        Ok(())
    }

    async fn stop(&self, app: &AppName, slot: Slot) -> Result<(), SeamError> {
        let mut state = self.world.reached()?;
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
        if let Some(problem) = &state.build_failure {
            return Err(problem.clone());
        }
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

    async fn hook(&self, _config: &AppConfig, _revision: &Revision, call: &HookCall) -> Result<Vec<String>, Problem> {
        let mut state = self.world.lock();
        state.hooks.push(call.clone());
        match &state.hook_failure {
            Some(problem) => Err(problem.clone()),
            None => Ok(vec!["passed".to_owned()]),
        }
    }

    async fn keep(&self, app: &AppName, keep: &[RevisionId]) -> Result<(), SeamError> {
        let mut state = self.world.reached()?;
        let used: Vec<RevisionId> = state.instances.iter().map(|instance| instance.revision).collect();
        state.sealed.retain(|(owner, id), _| owner != app || keep.contains(id) || used.contains(id));
        Ok(())
    }
}
