//! The platform whose instances are processes of this machine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use switchover_model::seam::{InstanceSeen, Platform, PlatformSeen, Role, SeamError, SlotSpec};
use switchover_model::{AppName, InstanceId, Problem, RevisionId, Slot, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::beat::Beat;
use crate::clock;
use crate::durable;
use crate::headroom;
use crate::instance::{Goal, Home, InstanceSpec, Life};
use crate::layout::{InstanceDir, Layout};
use crate::processes::{self, Identity};
use crate::role::{self, Holders};
use crate::watch::Watcher;
use crate::watched::Watched;

/// How many ended instances of an app keep their logs.
pub const ENDED_KEPT: usize = 10;

/// How many notes of an app are kept until somebody takes them; the oldest go first.
const NOTES_KEPT: usize = 32;

/// Runs instances as processes of this machine, and makes revisions.
///
/// Guarantees: dropping it ends nothing but its own tasks; another one with the same state directory finds every
/// instance again. Assumes: one at a time for a state directory (the controller holds its lock), and a tokio runtime.
pub struct ProcessPlatform {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tasks: Mutex<JoinSet<()>>,
}

/// What the platform and its tasks know together.
pub(crate) struct Shared {
    pub(crate) layout: Layout,
    pub(crate) executable: PathBuf,
    pub(crate) boot: String,
    pub(crate) home: Home,
    /// Apps whose processes without files were looked for.
    pub(crate) searched: Mutex<BTreeSet<AppName>>,
    pub(crate) watched: Mutex<BTreeMap<InstanceId, Arc<Watched>>>,
    /// The moments after which the instances of a slot are to be asked for their health.
    pub(crate) asked: Mutex<BTreeMap<(AppName, Slot), Timestamp>>,
    pub(crate) beat: Mutex<Beat>,
    /// One change at a time of an app's instances.
    changes: Mutex<BTreeMap<AppName, Arc<Mutex<()>>>>,
    /// One copy at a time into an app's revisions.
    copies: Mutex<BTreeMap<AppName, Arc<Mutex<()>>>>,
    /// Revisions in the making: those whose value somebody else holds too.
    pub(crate) building: Mutex<BTreeMap<(AppName, RevisionId), Arc<()>>>,
    /// What was not told yet.
    notes: Mutex<BTreeMap<AppName, VecDeque<Problem>>>,
    changed: watch::Sender<u64>,
}

impl ProcessPlatform {
    /// A platform whose files are in `state`; `executable` is the program whose `shim --dir DIR` is [`crate::shim_main`].
    ///
    /// # Errors
    /// The state directory cannot be made or written, or this is no Linux.
    pub fn new(state: &Path, executable: PathBuf) -> io::Result<Self> {
        durable::make_private_dir(&state.join("apps"))?;
        let shared = Shared {
            // Links and virtual environments hold this path: it must be the same from everywhere.
            layout: Layout::new(state.canonicalize()?),
            executable,
            boot: processes::boot_id()?,
            home: Home::at(state)?,
            searched: Mutex::default(),
            watched: Mutex::default(),
            asked: Mutex::default(),
            beat: Mutex::new(Beat::begin()),
            changes: Mutex::default(),
            copies: Mutex::default(),
            building: Mutex::default(),
            notes: Mutex::default(),
            changed: watch::Sender::new(0),
        };
        Ok(Self { shared: Arc::new(shared), tasks: Mutex::default() })
    }

    /// Changes whenever an instance entered another phase: wait on it instead of asking again and again.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// Starts the tasks of instances that have none or no longer, and gives all of the app.
    fn attend(&self, app: &AppName) -> io::Result<Vec<Arc<Watched>>> {
        let mut all = Vec::new();
        self.shared.find_adrift(app);
        let mut known = Vec::new();
        for dir in self.shared.instance_dirs(app)? {
            known.extend(self.shared.watched_at(dir)?);
        }
        let without_files = self.shared.without_files(app, &known);
        // A task that waits for its app to end looks now.
        without_files.iter().filter(|watched| !watched.memory().is_adrift).for_each(|watched| watched.wake());
        for watched in known.into_iter().chain(without_files) {
            let mut tasks = lock(&self.tasks);
            while let Some(ended) = tasks.try_join_next() {
                if let Err(error) = ended {
                    tracing::error!(%error, "the task of an instance ended before the instance; it is started again");
                }
            }
            if !watched.is_attended() {
                let watcher = Watcher::new(Arc::clone(&watched), Arc::clone(&self.shared));
                watched.attended_by(tasks.spawn(async move {
                    watcher.run().await;
                }));
            }
            all.push(watched);
        }
        Ok(all)
    }

    /// Runs what blocks on the disk where blocking is allowed.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Result<T, SeamError> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || work(&shared))
            .await
            .map_err(|error| SeamError::Unreachable(format!("the platform's own work ended: {error}")))
    }
}

impl Shared {
    pub(crate) fn tell_change(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Keeps a note until it is taken.
    pub(crate) fn note(&self, app: &AppName, problem: Problem) {
        let mut notes = lock(&self.notes);
        let notes = notes.entry(app.clone()).or_default();
        notes.push_back(problem);
        while notes.len() > NOTES_KEPT {
            notes.pop_front();
        }
    }

    fn instance_dirs(&self, app: &AppName) -> io::Result<Vec<InstanceDir>> {
        let entries = match fs::read_dir(self.layout.instances(app)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut dirs = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            // Half-made ones begin with a dot, which no id does.
            if let Some(id) = name.to_str().and_then(|name| name.parse::<InstanceId>().ok()) {
                dirs.push(self.layout.instance(app, &id));
            }
        }
        dirs.sort_by(|one, other| one.root.cmp(&other.root));
        Ok(dirs)
    }

    /// The instance of a directory; nothing when the directory went away.
    fn watched_at(&self, dir: InstanceDir) -> io::Result<Option<Arc<Watched>>> {
        let mut watched = lock(&self.watched);
        let known = dir.root.file_name().and_then(|name| name.to_str()?.parse::<InstanceId>().ok());
        if let Some(known) = known.and_then(|id| watched.get(&id)) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(spec) = dir.read_spec()? else { return Ok(None) };
        let (id, is_current) = (spec.id.clone(), self.is_current(&spec));
        let asked_since = lock(&self.asked).get(&(spec.app.clone(), spec.slot)).copied();
        let found = Arc::new(Watched::found(dir, spec, is_current));
        found.ask(asked_since);
        watched.insert(id, Arc::clone(&found));
        Ok(Some(found))
    }

    /// Whether an instance is of this boot and of this state directory; its files tell nothing otherwise.
    pub(crate) fn is_current(&self, spec: &InstanceSpec) -> bool {
        spec.boot == self.boot && spec.is_of(&self.home)
    }

    /// Keeps the log of an instance that is over and clears the rest.
    pub(crate) fn put_away(&self, watched: &Watched) {
        let ended = self.layout.ended(&watched.spec.app);
        let moved = durable::make_private_dir(&ended)
            .and_then(|()| fs::rename(&watched.dir.root, ended.join(watched.spec.id.as_str())));
        if moved.is_err()
            && let Err(error) = durable::remove_tree(&watched.dir.root)
        {
            tracing::warn!(instance = %watched.spec.id, %error, "an ended instance cannot be cleared");
        }
        let mut old: Vec<_> = fs::read_dir(&ended)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
            })
            .collect();
        old.sort();
        let surplus = old.len().saturating_sub(ENDED_KEPT);
        for (_, path) in old.into_iter().take(surplus) {
            if let Err(error) = durable::remove_tree(&path) {
                tracing::warn!(path = %path.display(), %error, "an old log cannot be removed");
            }
        }
        lock(&self.watched).remove(&watched.spec.id);
        self.tell_change();
    }

    /// Every instance of the app, by its directory.
    pub(crate) fn instances(&self, app: &AppName) -> io::Result<Vec<(InstanceDir, InstanceSpec, Goal)>> {
        self.find_adrift(app);
        let mut instances = Vec::new();
        for dir in self.instance_dirs(app)? {
            if let Some(spec) = dir.read_spec()? {
                let known = lock(&self.watched).get(&spec.id).map(|watched| watched.goal());
                let goal = known.map_or_else(|| dir.read_goal(), Ok)?;
                instances.push((dir, spec, goal));
            }
        }
        // A directory that is gone tells nothing of the processes.
        for watched in lock(&self.watched).values() {
            let is_listed = instances.iter().any(|(_, spec, _)| spec.id == watched.spec.id);
            if watched.spec.app == *app && !watched.view().is_over && !is_listed {
                instances.push((watched.dir.clone(), watched.spec.clone(), watched.goal()));
            }
        }
        Ok(instances)
    }

    pub(crate) fn order(&self, dir: &InstanceDir, spec: &InstanceSpec, goal: Goal) -> io::Result<()> {
        let watched = lock(&self.watched).get(&spec.id).cloned();
        let ordered = match watched {
            Some(watched) => watched.order(goal),
            None => dir.order(goal),
        };
        match ordered {
            // It has ended and was put away meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !dir.root.exists() => Ok(()),
            Ok(()) | Err(_) => ordered,
        }
    }

    /// The lock of copies into an app's revisions.
    pub(crate) fn copies_of(&self, app: &AppName) -> Arc<Mutex<()>> {
        Arc::clone(lock(&self.copies).entry(app.clone()).or_default())
    }

    pub(crate) fn change_of(&self, app: &AppName) -> Arc<Mutex<()>> {
        Arc::clone(lock(&self.changes).entry(app.clone()).or_default())
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The recorded main processes of the instances that work by `lease`.
fn mains(all: &[Arc<Watched>], lease: &Path) -> BTreeMap<Identity, String> {
    let by_lease = all.iter().filter(|watched| watched.spec.lease.as_deref() == Some(lease));
    let mains = by_lease.filter_map(|watched| match watched.dir.read_status().ok()??.life {
        Life::Running { process, .. } | Life::Stopping { process, .. } => Some((process, watched.spec.id.to_string())),
        Life::Starting { .. } | Life::Waiting { .. } | Life::Ended { .. } => None,
    });
    mains.collect()
}

pub(crate) fn unreachable(error: &io::Error) -> SeamError {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return SeamError::Refused(headroom::state_problem("writing the state directory", error));
    }
    SeamError::Unreachable(format!("the state directory: {error}"))
}

#[async_trait]
impl Platform for ProcessPlatform {
    async fn observe(&self, app: &AppName) -> Result<PlatformSeen, SeamError> {
        let since = self.shared.looks_since();
        let all = self.attend(app).map_err(|error| unreachable(&error))?;
        let mut leases: BTreeMap<PathBuf, Holders> = BTreeMap::new();
        let mut instances = Vec::new();
        for watched in &all {
            let view = watched.view();
            if view.is_over {
                continue;
            }
            let spec = &watched.spec;
            let role = match &spec.lease {
                None => Role::Active,
                Some(lease) => {
                    if !leases.contains_key(lease) {
                        let holders = role::holders(lease, &mains(&all, lease)).map_err(|error| unreachable(&error))?;
                        leases.insert(lease.clone(), holders);
                    }
                    match watched.role_told() {
                        Role::Active => Role::Active,
                        Role::Standby if leases[lease].may_include(spec.id.as_str()) => Role::Active,
                        Role::Standby => Role::Standby,
                    }
                }
            };
            instances.push(InstanceSeen {
                id: spec.id.clone(),
                slot: spec.slot,
                revision: spec.revision,
                process: spec.process.clone(),
                role,
                address: view.address,
                phase: view.phase,
                restarts: view.restarts,
                unanswered_since: watched.silent_since(),
                answered_since: view.answered_since,
            });
        }
        let headroom = headroom::measure(self.shared.layout.state());
        Ok(PlatformSeen { at: clock::now(), since, instances, headroom })
    }

    async fn ensure(&self, spec: &SlotSpec) -> Result<(), SeamError> {
        let wanted = spec.clone();
        let ensured = self.blocking(move |shared| shared.ensure(&wanted)).await?;
        self.attend(&spec.app).map_err(|error| unreachable(&error))?;
        ensured
    }

    async fn stop(&self, app: &AppName, slot: Slot) -> Result<(), SeamError> {
        let name = app.clone();
        let stopped = self.blocking(move |shared| shared.stop(&name, slot)).await?;
        self.attend(app).map_err(|error| unreachable(&error))?;
        stopped.map_err(|error| unreachable(&error))
    }

    async fn take_notes(&self, app: &AppName) -> Vec<Problem> {
        lock(&self.shared.notes).remove(app).unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use switchover_model::Span;
    use switchover_model::config::{Stop, StopSignal};
    use switchover_model::seam::Phase;

    use super::*;

    #[tokio::test]
    async fn an_instance_whose_task_has_ended_is_watched_anew() {
        let state = tempfile::tempdir().unwrap();
        let platform = ProcessPlatform::new(state.path(), state.path().join("no-such-program")).unwrap();
        let app: AppName = "shop".parse().unwrap();
        let shared = &platform.shared;
        let id: InstanceId = "shop-blue-web-0.1".parse().unwrap();
        let dir = shared.layout.instance(&app, &id);
        let spec = InstanceSpec {
            id,
            app: app.clone(),
            slot: Slot::Blue,
            process: "web".parse().unwrap(),
            place: 0,
            revision: RevisionId(1),
            revision_dir: state.path().join("r1"),
            ports: shared.layout.ports(),
            command: "true".to_owned(),
            health: None,
            probe_host: None,
            stop: Stop { signal: StopSignal::Term, grace: Span::from_micros(1_000_000) },
            handover: None,
            lease: None,
            artifact: None,
            home: Some(shared.home.clone()),
            boot: shared.boot.clone(),
            created_at: clock::now(),
        };
        dir.create(&spec, Role::Active).unwrap();
        let phase = async || platform.observe(&app).await.unwrap().instances[0].phase.clone();
        assert!(matches!(phase().await, Phase::Starting { .. }));
        // As a panic would: it is over before it has seen anything.
        lock(&platform.tasks).abort_all();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !matches!(phase().await, Phase::Unhealthy { .. }) {
            assert!(Instant::now() < deadline, "nobody watches it");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
