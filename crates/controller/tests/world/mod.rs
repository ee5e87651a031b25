//! A world in memory that outlives the controller: platform, builder and traffic, each as slow or sick as a test wants.
#![expect(clippy::unwrap_used, reason = "a test's own world")]

mod conformance;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use switchover_controller::{Controller, Parts};
use switchover_journal::{RESERVE_BYTES, SqliteJournal};
use switchover_model::answer::CommandAnswer;
use switchover_model::config::{AppConfig, parse};
use switchover_model::record::{Actor, Event, IdempotencyKey, Record};
use switchover_model::release::Command;
use switchover_model::revision::{Digest, Revision, RevisionProcess, Source};
use switchover_model::seam::{
    Abilities, Builder, Evidence, HookAnswer, HookCall, InstanceSeen, Phase, Platform, PlatformSeen, Role, Routes,
    SeamError, SlotSpec, Traffic, TrafficSeen,
};
use switchover_model::view::StatusView;
use switchover_model::{AppName, Problem, RevisionId, Slot, Timestamp};
use tokio::sync::watch;

/// How long a test waits for what must come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap())
}

pub(crate) fn shop() -> AppName {
    "shop".parse().unwrap()
}

/// What a test can see and set.
#[derive(Default)]
pub(crate) struct State {
    /// There is no space for instances, as long as the journal keeps all of its reserve.
    pub(crate) disk_is_full: bool,
    /// Something was refused for that, while the reserve was whole.
    pub(crate) refused_for_space: bool,
    /// How often lost attempts were ended.
    pub(crate) ended_lost: u32,
    pub(crate) instances: BTreeMap<AppName, Vec<InstanceSeen>>,
    made: u64,
    pub(crate) routes: BTreeMap<AppName, (Routes, Timestamp)>,
    pub(crate) flips: Vec<(Instant, Routes)>,
    pub(crate) ensured_routes: usize,
    pub(crate) builds: Vec<RevisionId>,
    /// What the last build was given of `[env]` and `--env`.
    pub(crate) built_with: [BTreeMap<String, String>; 2],
    pub(crate) hooks: Vec<HookCall>,
    pub(crate) hold_builds: bool,
    pub(crate) hold_hooks: bool,
    pub(crate) sick_revisions: Vec<RevisionId>,
    /// The platform refuses to run these.
    pub(crate) gone_revisions: Vec<RevisionId>,
    pub(crate) traffic_is_away: bool,
    pub(crate) lost_with_router: u64,
    pub(crate) observed: u64,
}

/// Everything outside the controller.
pub(crate) struct World {
    pub(crate) state: Mutex<State>,
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) directory: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        Arc::new(Self { state: Mutex::default(), changed: watch::Sender::new(0), directory })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn state_directory(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// A controller over this world; the journal's lock is free again when the last clone is gone.
    pub(crate) async fn controller(self: &Arc<Self>) -> Controller {
        let deadline = Instant::now() + DEADLINE;
        let journal = loop {
            match SqliteJournal::open(&self.state_directory()) {
                Ok(journal) => break journal,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let seams = Arc::new(Seams(Arc::clone(self)));
        let parts = Parts {
            journal: Arc::new(journal),
            platform: seams.clone(),
            builder: seams.clone(),
            traffic: seams,
            schema: Arc::new(switchover_postgres::PostgresSchema::default()),
            keeper: None,
            changed: Some(self.changed.subscribe()),
            logs: None,
            state: self.state_directory(),
            http: Some("http://127.0.0.1:1".to_owned()),
            lanes: None,
        };
        Controller::with(parts).await.unwrap()
    }

    pub(crate) fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

/// The seams over a world.
struct Seams(Arc<World>);

#[async_trait]
impl Platform for Seams {
    async fn observe(&self, app: &AppName) -> Result<PlatformSeen, SeamError> {
        let mut state = self.0.lock();
        state.observed += 1;
        let instances = state.instances.get(app).cloned().unwrap_or_default();
        Ok(PlatformSeen { at: now(), instances, ..PlatformSeen::default() })
    }

    async fn ensure(&self, spec: &SlotSpec) -> Result<(), SeamError> {
        let mut state = self.0.lock();
        if state.gone_revisions.contains(&spec.revision.id) {
            return Err(SeamError::Refused(Problem::new("GONE", "Its files are gone.", "Deploy again.")));
        }
        let reserve = std::fs::metadata(self.0.state_directory().join("reserve")).map_or(0, |file| file.len());
        if state.disk_is_full && reserve >= RESERVE_BYTES {
            state.refused_for_space = true;
            return Err(SeamError::Refused(Problem::new("DISK-FULL", "The disk is full.", "Free some space.")));
        }
        let sick = state.sick_revisions.contains(&spec.revision.id);
        let mut instances = state.instances.remove(&spec.app).unwrap_or_default();
        instances.retain(|seen| seen.slot != spec.slot || seen.revision == spec.revision.id);
        let before = instances.clone();
        for seen in instances.iter_mut().filter(|seen| seen.slot == spec.slot) {
            seen.answered_since = spec.asked_since;
        }
        for (process, goal) in &spec.processes {
            let have = instances.iter().filter(|seen| seen.slot == spec.slot && seen.process == *process).count();
            for _ in have..goal.count as usize {
                state.made += 1;
                let made = state.made;
                let cause = Problem::new("SICK", "It is sick.", "Wait.");
                instances.push(InstanceSeen {
                    id: format!("{}-{}-{made}", spec.app, spec.slot).parse().unwrap(),
                    slot: spec.slot,
                    revision: spec.revision.id,
                    process: process.clone(),
                    role: Role::Active,
                    address: Some(([127, 0, 0, 1], u16::try_from(20_000 + made).unwrap()).into()),
                    phase: if sick {
                        Phase::Unhealthy { since: now(), cause }
                    } else {
                        Phase::Healthy { since: now() }
                    },
                    restarts: 0,
                    unanswered_since: None,
                    answered_since: spec.asked_since,
                });
            }
        }
        let changed = instances != before;
        state.instances.insert(spec.app.clone(), instances);
        drop(state);
        if changed {
            self.0.tell();
        }
        Ok(())
    }

    async fn stop(&self, app: &AppName, slot: Slot) -> Result<(), SeamError> {
        if let Some(instances) = self.0.lock().instances.get_mut(app) {
            instances.retain(|seen| seen.slot != slot);
        }
        self.0.tell();
        Ok(())
    }
}

#[async_trait]
impl Traffic for Seams {
    async fn observe(&self, app: &AppName) -> Result<TrafficSeen, SeamError> {
        let state = self.0.lock();
        if state.traffic_is_away {
            return Err(SeamError::Unreachable("away".to_owned()));
        }
        let known = state.routes.get(app).cloned();
        let mut seen = TrafficSeen { at: now(), ..TrafficSeen::default() };
        seen.ledger.lost_with_router = state.lost_with_router;
        seen.ledger.accepted = state.lost_with_router;
        if let Some((routes, since)) = known {
            seen.routes = Some(routes);
            seen.in_force_since = Some(since);
        }
        Ok(seen)
    }

    async fn ensure(&self, routes: &Routes) -> Result<(), SeamError> {
        let mut state = self.0.lock();
        if state.traffic_is_away {
            return Err(SeamError::Unreachable("away".to_owned()));
        }
        state.ensured_routes += 1;
        let known = state.routes.get(&routes.app).cloned();
        let since = match &known {
            Some((known, _))
                if known.version > routes.version
                    || (known.version == routes.version
                        && known.preview_host.is_some()
                        && known.preview_host != routes.preview_host) =>
            {
                return Err(SeamError::Refused(Problem::new("OLD", "It is old.", "Nothing.")));
            }
            Some((known, since)) if known.version == routes.version => *since,
            Some(_) | None => now(),
        };
        if known.is_none_or(|(known, _)| known != *routes) {
            state.flips.push((Instant::now(), routes.clone()));
        }
        state.routes.insert(routes.app.clone(), (routes.clone(), since));
        Ok(())
    }

    async fn remove(&self, app: &AppName) -> Result<(), SeamError> {
        self.0.lock().routes.remove(app);
        Ok(())
    }

    fn evidence(&self) -> Evidence {
        Evidence::EveryRequest
    }

    fn abilities(&self) -> Abilities {
        Abilities::built_in()
    }
}

#[async_trait]
impl Builder for Seams {
    async fn build(
        &self,
        config: &AppConfig,
        id: RevisionId,
        source: &Source,
        env: &BTreeMap<String, String>,
    ) -> Result<Revision, Problem> {
        self.0.lock().builds.push(id);
        self.0.lock().built_with = [config.env.clone(), env.clone()];
        while self.0.lock().hold_builds {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let processes = config.processes.iter().map(|(name, process)| {
            let (health, handover) = match &process.kind {
                switchover_model::config::ProcessKind::Routed { health, .. } => (Some(health.clone()), None),
                switchover_model::config::ProcessKind::Worker { handover } => (None, Some(*handover)),
            };
            let command = process.command.clone();
            (name.clone(), RevisionProcess { command, health, stop: process.stop.clone(), handover })
        });
        Ok(Revision {
            id,
            artifact: Digest(format!("{:064}", id.0)),
            env: Digest("0".repeat(64)),
            secrets: None,
            processes: processes.collect(),
            probe_host: None,
            shared: Vec::new(),
            schema: None,
            source: source.clone(),
            sealed_at: now(),
        })
    }

    async fn hook(&self, _config: &AppConfig, _revision: &Revision, call: &HookCall) -> Result<HookAnswer, Problem> {
        self.0.lock().hooks.push(call.clone());
        while self.0.lock().hold_hooks {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(HookAnswer::Passed(vec!["fine".to_owned()]))
    }

    async fn end_lost(&self, _app: &AppName) -> Result<(), SeamError> {
        self.0.lock().ended_lost += 1;
        Ok(())
    }

    async fn keep(&self, _app: &AppName, _keep: &[RevisionId]) -> Result<(), SeamError> {
        Ok(())
    }
}

// === What tests ask for ===

/// The file of the app `name`, with `more` of it.
pub(crate) fn config(name: &str, more: &str) -> AppConfig {
    let text = format!("name = \"{name}\"\n[process.web]\ncommand = \"serve --port $PORT\"\n{more}");
    parse(&text, "switchover.toml", Path::new("/srv/app")).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

pub(crate) fn deploy(config: AppConfig) -> Command {
    let source = Source::Directory { path: "/srv/app".into() };
    Command::Deploy { config: Box::new(config), source, env: BTreeMap::new(), replace: false }
}

/// Gives `command` under `key`.
pub(crate) async fn give(
    controller: &Controller,
    app: &AppName,
    key: &str,
    command: Command,
) -> Result<CommandAnswer, Problem> {
    let actor = Actor::Operator { uid: 1000, name: Some("ada".to_owned()) };
    controller.command(app, command, IdempotencyKey(key.to_owned()), actor).await
}

/// Waits until the status is as `wanted`.
pub(crate) async fn until(
    controller: &Controller,
    app: &AppName,
    what: &str,
    wanted: impl Fn(&StatusView) -> bool,
) -> StatusView {
    let deadline = Instant::now() + DEADLINE;
    let mut changes = controller.changes(app).unwrap();
    loop {
        let status = controller.status(app).await.unwrap();
        if wanted(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "never: {what}\n{status:#?}");
        let _ = tokio::time::timeout(Duration::from_millis(500), changes.changed()).await;
    }
}

pub(crate) fn live_revision(status: &StatusView) -> Option<RevisionId> {
    status.slots.get(&status.live?)?.revision
}

/// Whether a record of the app is as `wanted`.
pub(crate) async fn has_record(controller: &Controller, app: &AppName, wanted: impl Fn(&Event) -> bool) -> bool {
    records(controller, app).await.iter().any(|record| wanted(&record.event))
}

pub(crate) async fn records(controller: &Controller, app: &AppName) -> Vec<Record> {
    controller.records(app, 0, usize::MAX).await.unwrap()
}
