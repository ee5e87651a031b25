//! The fold of an app's records: everything a decision rests on besides what is seen now. Also its snapshot.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use switchover_model::config::{AppConfig, ProcessKind};
use switchover_model::record::{Attempt, AttemptId, IdempotencyKey};
use switchover_model::release::Stage;
use switchover_model::revision::Revision;
use switchover_model::seam::{ArmGoal, InstanceSeen, RoutesGoal};
use switchover_model::{AppName, Problem, ProcessName, ReleaseId, RevisionId, Slot, Span, Timestamp};

use crate::limits;
use crate::release::Release;

mod sizes;
mod slot_state;
mod traffic;

pub use sizes::Sized;
pub use slot_state::{Draining, Renewal, SlotState, Stopping, Working};

/// One app as its journal tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Its name.
    pub name: AppName,
    /// Sequence of the last record in it.
    pub sequence: u64,
    /// The policy in force: the last file that was applied or deployed.
    pub config: Option<AppConfig>,
    /// Sealed revisions that are still on disk.
    pub revisions: BTreeMap<RevisionId, RevisionState>,
    /// What each slot shall run.
    pub slots: BTreeMap<Slot, SlotState>,
    /// Where the traffic shall go.
    pub routes: Option<RoutesState>,
    /// Where the traffic was last seen to go.
    pub in_force: Option<RoutesGoal>,
    /// Whose workers shall work.
    pub working: Option<Working>,
    /// A slot that lost the traffic and still has requests.
    pub draining: Option<Draining>,
    /// How many instances each slot has, where a rolling release has said so; else both are whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sized: Option<Sized>,
    /// Releases that are not settled, oldest first.
    pub releases: Vec<Release>,
    /// The last [`limits::ARCHIVED_RELEASES`] settled releases, oldest first.
    pub archive: Vec<Release>,
    /// The last [`limits::REMEMBERED_KEYS`] commands, oldest first.
    pub keys: VecDeque<KnownKey>,
    /// Changes behind our back, the last time each was recorded.
    pub drifts: Vec<KnownDrift>,
    /// The last [`limits::REMEMBERED_NOTES`] notes, oldest first.
    pub notes: VecDeque<Note>,
    /// Migrations of the app's own framework that were contracted, or begun to be, each with the revision it was for.
    pub contracted: BTreeMap<String, RevisionId>,
    /// The newest revision whose framework was run while nothing else was live: it may have carried out all it has.
    pub migrated_alone: Option<RevisionId>,
    /// Number of the next release.
    pub next_release: u32,
    /// Number of the next revision.
    pub next_revision: u32,
    /// Number of the next attempt.
    pub next_attempt: u64,
    /// `--env` of the deploy that was admitted last.
    pub(crate) deploy_env: BTreeMap<String, String>,
    /// Its file, when it comes into force later: with the release that it opens.
    #[serde(default)]
    pub(crate) deploy_file: Option<AppConfig>,
    /// Sequence of the last command's record, with the actor's name: who opened the release that follows.
    pub(crate) commanded_by: Option<String>,
}

/// A sealed revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RevisionState {
    /// What it is.
    pub revision: Revision,
    /// The file that shaped it; its path prefixes lead to it, its policy part is used only where the policy in force says nothing.
    pub config: AppConfig,
    /// How long its last provision took.
    pub boot: Option<Span>,
    /// A release of it succeeded and was not taken back.
    pub served: bool,
    /// The revision that it took the traffic from when it was switched to last.
    pub took_over_from: Option<RevisionId>,
    /// What the app's own framework did for it.
    pub migrated: Option<switchover_model::framework::Migrated>,
}

impl RevisionState {
    /// Whether requests come to its processes by the same path prefixes as to those of `other`.
    pub(crate) fn has_paths_of(&self, other: &Self) -> bool {
        let paths = |state: &Self, name| match state.config.processes.get(name).map(|process| &process.kind) {
            Some(ProcessKind::Routed { paths, .. }) => paths.clone(),
            Some(ProcessKind::Worker { .. }) | None => Vec::new(),
        };
        self.revision.processes.keys().all(|name| paths(self, name) == paths(other, name))
    }
}

/// Where the traffic shall go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutesState {
    /// Number of this setting: what `Routes::version` shall be.
    pub version: u64,
    /// The goal.
    pub goal: RoutesGoal,
    /// The release that wanted it.
    pub release: Option<ReleaseId>,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// When it came into force; nothing when not seen yet.
    pub flipped_at: Option<Timestamp>,
    /// The arm that loses the traffic by it.
    pub loser: Option<ArmGoal>,
    /// Hosts, preview or drain time changed since: it needs a new number.
    pub outdated: bool,
}

/// A command that was admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownKey {
    /// Its key.
    pub key: IdempotencyKey,
    /// Its name.
    pub command: String,
    /// SHA-256 of all of it, in hexadecimal.
    pub digest: String,
    /// Sequence of its record.
    pub sequence: u64,
    /// The release it opened or was about.
    pub release: Option<ReleaseId>,
}

/// A change behind our back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDrift {
    /// What was found.
    pub what: String,
    /// When it was last recorded.
    pub at: Timestamp,
    /// Whether it was put right.
    pub corrected: bool,
}

/// Something a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When.
    pub at: Timestamp,
    /// The release it belongs to.
    pub release: Option<ReleaseId>,
    /// What.
    pub problem: Problem,
}

impl App {
    /// An app of which nothing is known.
    #[must_use]
    pub fn new(name: AppName) -> Self {
        Self {
            name,
            sequence: 0,
            config: None,
            revisions: BTreeMap::new(),
            slots: Slot::BOTH.into_iter().map(|slot| (slot, SlotState::default())).collect(),
            routes: None,
            in_force: None,
            working: None,
            draining: None,
            sized: None,
            releases: Vec::new(),
            archive: Vec::new(),
            keys: VecDeque::new(),
            drifts: Vec::new(),
            notes: VecDeque::new(),
            contracted: BTreeMap::new(),
            migrated_alone: None,
            next_release: 1,
            next_revision: 1,
            next_attempt: 1,
            deploy_env: BTreeMap::new(),
            deploy_file: None,
            commanded_by: None,
        }
    }

    /// The same without what no decision reads: settled releases, remembered keys, notes.
    pub(crate) fn working_copy(&self) -> Self {
        Self {
            name: self.name.clone(),
            sequence: self.sequence,
            config: self.config.clone(),
            revisions: self.revisions.clone(),
            slots: self.slots.clone(),
            routes: self.routes.clone(),
            in_force: self.in_force.clone(),
            working: self.working,
            draining: self.draining,
            sized: self.sized,
            releases: self.releases.clone(),
            archive: Vec::new(),
            keys: VecDeque::new(),
            drifts: self.drifts.clone(),
            notes: VecDeque::new(),
            contracted: self.contracted.clone(),
            migrated_alone: self.migrated_alone,
            next_release: self.next_release,
            next_revision: self.next_revision,
            next_attempt: self.next_attempt,
            deploy_env: self.deploy_env.clone(),
            deploy_file: self.deploy_file.clone(),
            commanded_by: self.commanded_by.clone(),
        }
    }

    /// What `slot` shall run.
    #[must_use]
    pub fn slot(&self, slot: Slot) -> SlotState {
        self.slots.get(&slot).cloned().unwrap_or_default()
    }

    /// A release that is not settled.
    #[must_use]
    pub fn release(&self, id: ReleaseId) -> Option<&Release> {
        self.releases.iter().find(|release| release.id == id)
    }

    /// A release, settled or not, as far back as they are remembered.
    #[must_use]
    pub fn any_release(&self, id: ReleaseId) -> Option<&Release> {
        self.all_releases().find(|release| release.id == id)
    }

    /// Every remembered release, oldest first.
    pub fn all_releases(&self) -> impl DoubleEndedIterator<Item = &Release> {
        let mut all: Vec<&Release> = self.archive.iter().chain(&self.releases).collect();
        all.sort_by_key(|release| release.id);
        all.into_iter()
    }

    /// The newest release without an outcome: the one that commands mean.
    #[must_use]
    pub fn moving(&self) -> Option<&Release> {
        self.releases.iter().rev().find(|release| release.is_open())
    }

    /// A sealed revision that is still on disk.
    #[must_use]
    pub fn revision(&self, id: RevisionId) -> Option<&Revision> {
        self.revisions.get(&id).map(|state| &state.revision)
    }

    /// The file and `--env` of a revision that is to be built: of the release that brings it.
    #[must_use]
    pub fn making(&self, revision: RevisionId) -> Option<(&AppConfig, &BTreeMap<String, String>)> {
        let release = self.releases.iter().find(|release| release.revision == revision)?;
        Some((release.config.as_ref()?, &release.env))
    }

    /// Attempts whose start was recorded and whose end was not.
    pub fn open_attempts(&self) -> impl Iterator<Item = (AttemptId, &Attempt)> {
        self.releases.iter().flat_map(Release::running_attempts).map(|state| (state.id, &state.what))
    }

    /// The release that a remembered command opened or was about; nothing inside when there was none.
    #[must_use]
    pub fn release_of(&self, key: &IdempotencyKey) -> Option<Option<ReleaseId>> {
        self.keys.iter().find(|known| known.key == *key).map(|known| known.release)
    }

    /// The file a release is carried out by: the one it was opened with. `Action::Hook` counts its hooks.
    #[must_use]
    pub fn config_of(&self, release: ReleaseId) -> Option<&AppConfig> {
        self.release(release).and_then(|release| release.config.as_ref()).or(self.config.as_ref())
    }

    /// The scale of each process type of `revision`: the policy in force, else its own file.
    #[must_use]
    pub fn full_scale(&self, revision: RevisionId) -> BTreeMap<ProcessName, u32> {
        let Some(state) = self.revisions.get(&revision) else { return BTreeMap::new() };
        let instances = |config: &AppConfig, name| config.processes.get(name).map(|process| process.instances);
        let counts = state.revision.processes.keys().map(|name| {
            let policy = self.config.as_ref().and_then(|config| instances(config, name));
            (name.clone(), policy.or_else(|| instances(&state.config, name)).unwrap_or(1))
        });
        counts.collect()
    }

    /// The revisions that stay on disk: in a slot, of a release that is not settled, sealed and remembered.
    #[must_use]
    pub fn kept_revisions(&self) -> Vec<RevisionId> {
        let mut keep: Vec<RevisionId> = self.revisions.keys().copied().collect();
        keep.extend(self.releases.iter().map(|release| release.revision));
        keep.sort_unstable();
        keep.dedup();
        keep
    }

    /// Forgets sealed revisions beyond the policy's number that nothing needs any more. Revisions that served well come
    /// first, so that releases that fail one after the other never take the way back away; of the others the newest
    /// one stays, to be looked into.
    pub(crate) fn forget_old_revisions(&mut self) {
        let number = self.config.as_ref().map_or(limits::KEEP_REVISIONS, |config| config.release.keep_revisions);
        let newest = |served: bool| {
            let is_such = move |(_, state): &(&RevisionId, &RevisionState)| state.served == served;
            self.revisions.iter().rev().filter(is_such).map(|(id, _)| *id)
        };
        // What is on its way is needed anyway, and is none of the others.
        let other = newest(false).find(|id| self.releases.iter().all(|release| release.revision != *id));
        let mut needed: Vec<RevisionId> = newest(true).take(number as usize).chain(other).collect();
        let live = self.heading().and_then(|live| self.revisions.get(&live.revision));
        needed.extend(live.and_then(|live| live.took_over_from));
        for slot in self.slots.values() {
            needed.extend(slot.revision);
            needed.extend(slot.stopping.and_then(|stopping| stopping.revision));
        }
        for release in &self.releases {
            needed.push(release.revision);
            needed.extend(release.from);
        }
        needed.extend(self.live().map(|arm| arm.revision));
        needed.extend(self.draining.map(|draining| draining.revision));
        self.revisions.retain(|id, _| needed.contains(id));
    }

    /// Whether an instance has answered well since its slot was last asked.
    #[must_use]
    pub fn has_answered(&self, seen: &InstanceSeen) -> bool {
        seen.answered_since >= self.slot(seen.slot).asked_since
    }

    /// The slot that `release` moved from, where it still runs what it ran then. Whatever else may run there is no way back.
    pub(crate) fn origin_of(&self, release: &Release) -> Option<(Slot, RevisionId)> {
        let origin = release.slot.map(Slot::other).zip(release.from);
        origin.filter(|(slot, from)| self.slot(*slot).revision == Some(*from))
    }

    /// Whether a release that is undone goes back to the slot.
    pub(crate) fn is_gone_back_to(&self, slot: Slot) -> bool {
        let mut undone = self.releases.iter().filter(|release| release.is_undoing() && release.has_shifted());
        undone.any(|release| self.origin_of(release).is_some_and(|(origin, _)| origin == slot))
    }

    /// The slot that `release`, which is undone, goes back to is asked for its health anew.
    pub(crate) fn ask_old_slot(&mut self, release: ReleaseId, at: Timestamp) {
        let shifted = self.release(release).filter(|release| release.has_shifted());
        if let Some((slot, _)) = shifted.and_then(|release| self.origin_of(release)) {
            self.slots.entry(slot).or_default().asked_since = Some(at);
        }
    }

    /// Whether a process type of the revision takes requests.
    pub(crate) fn is_routed(&self, revision: RevisionId, process: &ProcessName) -> bool {
        let process = self.revision(revision).and_then(|revision| revision.processes.get(process));
        process.is_some_and(|process| process.handover.is_none())
    }

    /// The release that brought the live revision, in one piece.
    pub(crate) fn brought_by(&self) -> Option<&Release> {
        let live = self.heading()?;
        let brought = |release: &&Release| {
            release.revision == live.revision && release.has_shifted() && release.undoing.is_none()
        };
        self.all_releases().rfind(brought)
    }

    /// The revision that was live before the live one.
    pub(crate) fn before_live(&self) -> Option<RevisionId> {
        let took_over_from = || self.revisions.get(&self.heading()?.revision)?.took_over_from;
        self.brought_by().and_then(|release| release.from).or_else(took_over_from)
    }

    /// Whether a stage's hooks in the file of `release` ask for anything.
    pub(crate) fn has_hooks(&self, release: ReleaseId, stage: Stage) -> bool {
        self.config_of(release).is_some_and(|config| config.release.hooks.iter().any(|hook| hook.stage == stage))
    }
}
