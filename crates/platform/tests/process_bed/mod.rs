//! A platform on real processes, in a directory of its own, of which nothing is left after a test.

#![allow(dead_code, reason = "each test file uses its own part of the bed")]
#![expect(clippy::unwrap_used, reason = "a bed that cannot be made is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use switchover_model::config::{AppConfig, Handover, parse};
use switchover_model::revision::{Revision, Source};
use switchover_model::seam::{Builder, InstanceSeen, Phase, Platform, PlatformSeen, ProcessGoal, Role, SlotSpec};
use switchover_model::{AppName, InstanceId, Problem, ProcessName, RevisionId, Slot, Span, Timestamp};
use switchover_platform::ProcessPlatform;
use switchover_testkit::conformance_platform::{Behaviour, GRACE, HEALTH_DEADLINE, Plan, PlatformBed};

/// The program that is shim and app of the tests.
pub(crate) const EXECUTABLE: &str = env!("CARGO_BIN_EXE_platform-test-bed");

/// How long a condition is waited for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// How long a test waits between two looks.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

static BEDS: AtomicU32 = AtomicU32::new(0);

/// One test's app, platform and files.
pub(crate) struct ProcessBed {
    pub(crate) app: AppName,
    pub(crate) platform: Arc<ProcessPlatform>,
    pub(crate) dir: tempfile::TempDir,
    /// How long an instance that is too many may go on answering.
    pub(crate) drain: Span,
    /// Who is known to have nothing to answer any more.
    pub(crate) idle: BTreeSet<InstanceId>,
    /// Who shall be none of the slot.
    pub(crate) without: BTreeSet<InstanceId>,
    /// The moment after which everybody shall be asked for its health.
    pub(crate) asked_since: Option<Timestamp>,
}

pub(crate) async fn bed() -> ProcessBed {
    let dir = tempfile::tempdir().unwrap();
    let number = BEDS.fetch_add(1, Ordering::Relaxed);
    // Unlike the app of every other test, also of those in other programs: it is how what is left over is found.
    let app = format!("bed-{}-{number}", std::process::id()).parse().unwrap();
    let platform = platform_at(&dir.path().join("state"));
    ProcessBed {
        app,
        platform,
        dir,
        drain: Span::ZERO,
        idle: BTreeSet::new(),
        without: BTreeSet::new(),
        asked_since: None,
    }
}

pub(crate) fn platform_at(state: &Path) -> Arc<ProcessPlatform> {
    Arc::new(ProcessPlatform::new(state, EXECUTABLE.into()).unwrap())
}

/// A command line that runs the tests' app with these faults.
pub(crate) fn app_command(faults: &str) -> String {
    format!("{EXECUTABLE} app {faults}")
}

impl ProcessBed {
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The app's configuration from the file's own text, `name` left out.
    pub(crate) fn config(&self, text: &str) -> AppConfig {
        let text = format!("name = \"{}\"\n{text}", self.app);
        let base = self.dir.path().canonicalize().unwrap();
        parse(&text, "switchover.toml", &base).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes:?}"))
    }

    /// A configuration whose only process is `web`.
    pub(crate) fn web_config(&self, command: &str) -> AppConfig {
        self.config(&format!(
            "[process.web]\ncommand = {command:?}\nhealth = {{ path = \"/up\", interval = \"100ms\", timeout = \"1s\", \
             deadline = \"20s\" }}\nstop = {{ grace = \"2s\" }}\n"
        ))
    }

    /// Builds from a directory with these files (a name that ends in `.sh` is executable).
    pub(crate) async fn build(&self, config: &AppConfig, id: u32, files: &[(&str, &str)]) -> Result<Revision, Problem> {
        let source = self.dir.path().join(format!("source-{id}"));
        write_files(&source, files);
        self.build_from(config, id, &Source::Directory { path: source }).await
    }

    pub(crate) async fn build_from(&self, config: &AppConfig, id: u32, source: &Source) -> Result<Revision, Problem> {
        self.platform.build(config, RevisionId(id), source, &BTreeMap::new()).await
    }

    /// A sealed revision of this configuration, without files.
    pub(crate) async fn sealed(&self, config: &AppConfig, id: u32) -> Revision {
        self.build(config, id, &[("README", "nothing")]).await.unwrap()
    }

    pub(crate) async fn ensure(&self, revision: &Revision, slot: Slot, count: u32) {
        self.ensure_as(revision, slot, count, Role::Active).await;
    }

    /// Every process type of the revision, so many each, in this role.
    pub(crate) async fn ensure_as(&self, revision: &Revision, slot: Slot, count: u32, role: Role) {
        let goals = revision.processes.keys().map(|name| (name.clone(), ProcessGoal { count, role }));
        let spec = SlotSpec {
            app: self.app.clone(),
            slot,
            revision: revision.clone(),
            processes: goals.collect(),
            drain: self.drain,
            without: self.without.clone(),
            idle: self.idle.clone(),
            asked_since: self.asked_since,
        };
        self.platform.ensure(&spec).await.unwrap();
    }

    pub(crate) async fn observe(&self) -> PlatformSeen {
        self.platform.observe(&self.app).await.unwrap()
    }

    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&[InstanceSeen]) -> bool) -> Vec<InstanceSeen> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let seen = self.observe().await.instances;
            if condition(&seen) {
                return seen;
            }
            assert!(Instant::now() < deadline, "{what}: still {seen:#?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn until_healthy(&self, count: usize) -> Vec<InstanceSeen> {
        self.until("all are healthy", |seen| {
            seen.len() == count && seen.iter().all(|seen| matches!(seen.phase, Phase::Healthy { .. }))
        })
        .await
    }

    pub(crate) async fn stop_all(&self) {
        for slot in Slot::BOTH {
            self.platform.stop(&self.app, slot).await.unwrap();
        }
        self.until("nothing runs", <[InstanceSeen]>::is_empty).await;
    }

    pub(crate) fn instance_dir(&self, instance: &InstanceSeen) -> PathBuf {
        self.state().join("apps").join(self.app.as_str()).join("instances").join(instance.id.as_str())
    }

    pub(crate) fn log_of(&self, instance: &InstanceSeen) -> String {
        std::fs::read_to_string(self.instance_dir(instance).join("log")).unwrap()
    }

    /// The processes of an instance's app, its main process first.
    pub(crate) fn app_pids(&self, instance: &InstanceSeen) -> Vec<i32> {
        let mut pids = pids_where(|pid| has_variable(pid, "SWITCHOVER_INSTANCE", instance.id.as_str()));
        pids.sort_by_key(|pid| group_of(*pid) != Some(*pid));
        pids
    }

    /// The shim of an instance.
    pub(crate) fn shim_pid(&self, instance: &InstanceSeen) -> Option<i32> {
        let dir = self.instance_dir(instance).canonicalize().unwrap().to_string_lossy().into_owned();
        let found = pids_where(|pid| {
            let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let arguments: Vec<_> = arguments.split(|byte| *byte == 0).collect();
            arguments.get(1) == Some(&b"shim".as_slice()) && arguments.get(3) == Some(&dir.as_bytes())
        });
        found.first().copied()
    }

    /// Every process that this bed has caused: apps, their children, shims.
    fn left_over(&self) -> BTreeSet<i32> {
        let state = self.dir.path().to_string_lossy().into_owned();
        pids_where(|pid| {
            let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            has_variable(pid, "SWITCHOVER_APP", self.app.as_str())
                || String::from_utf8_lossy(&arguments).contains(&state)
        })
        .into_iter()
        .collect()
    }

    /// Stops everything and checks that nothing is left.
    pub(crate) async fn end(self) {
        self.stop_all().await;
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.left_over().is_empty() {
            assert!(Instant::now() < deadline, "left over: {:?}", self.left_over());
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for ProcessBed {
    fn drop(&mut self) {
        // Only where a test failed is anything left.
        for _ in 0..20 {
            for pid in self.left_over() {
                kill(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

pub(crate) fn write_files(directory: &Path, files: &[(&str, &str)]) {
    use std::os::unix::fs::PermissionsExt;
    for (name, content) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        let mode = if name.ends_with(".sh") { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

pub(crate) fn kill(pid: i32, signal: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn pids_where(condition: impl Fn(i32) -> bool) -> Vec<i32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| is_alive(*pid) && condition(*pid))
        .collect()
}

pub(crate) fn has_variable(pid: i32, name: &str, value: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|pair| pair == format!("{name}={value}").as_bytes())
}

fn group_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split_ascii_whitespace().nth(2)?.parse().ok()
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(LOOK).await;
    }
}

#[async_trait]
impl PlatformBed for ProcessBed {
    fn app(&self) -> AppName {
        self.app.clone()
    }

    fn platform(&self) -> Arc<dyn Platform> {
        self.platform.clone()
    }

    async fn restart(&mut self) {
        self.platform = platform_at(&self.state());
    }

    async fn seal(&mut self, id: RevisionId, processes: &BTreeMap<ProcessName, Plan>) -> Revision {
        let mut text = String::new();
        for (name, plan) in processes {
            let command = match (plan.behaviour, plan.handover) {
                (Behaviour::Well, None) => app_command(""),
                (Behaviour::Well, Some(Handover::Lease)) => app_command("leased"),
                (Behaviour::Well, Some(_)) => app_command("worker"),
                (Behaviour::NeverHealthy, _) => app_command("status=500"),
                (Behaviour::ExitsAtOnce, _) => app_command("says=hello exits=3"),
                (Behaviour::IgnoresStop, None) => format!("trap '' TERM; exec {}", app_command("")),
                (Behaviour::IgnoresStop, Some(_)) => format!("trap '' TERM; exec {}", app_command("worker")),
            };
            let kind = match plan.handover {
                None => format!(
                    "health = {{ path = \"/up\", interval = \"100ms\", timeout = \"1s\", deadline = \"{HEALTH_DEADLINE}\" }}"
                ),
                Some(Handover::StopFirst) => "handover = \"stop-first\"".to_owned(),
                Some(Handover::StartFirst) => "handover = \"start-first\"".to_owned(),
                Some(Handover::Drain) => "handover = \"drain\"".to_owned(),
                Some(Handover::Lease) => "handover = \"lease\"".to_owned(),
            };
            text += &format!("[process.{name}]\ncommand = {command:?}\n{kind}\nstop = {{ grace = \"{GRACE}\" }}\n");
        }
        self.sealed(&self.config(&text), id.0).await
    }

    async fn kill_app(&mut self, instance: &InstanceSeen) {
        kill(self.app_pids(instance)[0], rustix::process::Signal::KILL);
    }

    async fn pause(&mut self) {
        tokio::time::sleep(LOOK).await;
    }

    async fn finish(self) {
        self.end().await;
    }
}
