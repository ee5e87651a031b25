//! What the world knows from the journal by itself, read without the fold under test: the other half of the comparison.

use std::collections::{BTreeMap, BTreeSet};

use switchover_model::config::{AppConfig, Handover, ProcessKind};
use switchover_model::record::{Attempt, AttemptId, AttemptResult, Event, IdempotencyKey, Record};
use switchover_model::release::{Command, Outcome, ReleaseKind, Stage};
use switchover_model::revision::{Revision, Source};
use switchover_model::seam::RoutesGoal;
use switchover_model::sizes::Sizes;
use switchover_model::{InstanceId, ProcessName, ReleaseId, RevisionId, Share, Slot};

use super::coverage::Place;
use super::watch_shadow::Shadowed;
use super::watch_steps::Taken;

/// One release as the journal tells it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) release: ReleaseId,
    pub(crate) kind: ReleaseKind,
    pub(crate) revision: RevisionId,
    pub(crate) from: Option<RevisionId>,
    pub(crate) stage: Stage,
    pub(crate) stages: Vec<Stage>,
    pub(crate) entered_at: u64,
    pub(crate) slot: Option<Slot>,
    pub(crate) undoing: bool,
    /// When its undoing began.
    pub(crate) undone_at: Option<u64>,
    /// Routed to its slot at least once.
    pub(crate) shifted: bool,
    /// All of the traffic was.
    pub(crate) moved_all: bool,
    /// When all of the traffic was seen to be its own.
    pub(crate) all_since: Option<u64>,
    /// The steps it has taken.
    pub(crate) steps: Vec<Taken>,
    /// The copies of live requests that its slot got.
    pub(crate) shadow: Option<Shadowed>,
    /// A person sent it to all traffic.
    pub(crate) full: bool,
    /// Since when it is held.
    pub(crate) held_since: u64,
    /// It waits for a time window.
    pub(crate) at_window: bool,
    /// It waits for a person because a hook would not have its old slot stopped.
    pub(crate) at_retire_gate: bool,
    /// A person had it stopped all the same.
    pub(crate) let_go: bool,
    /// A person let it pass outside of the windows.
    pub(crate) waived: bool,
    pub(crate) switched_at: Option<u64>,
    /// What its revision had answered when it was switched, where that was known.
    pub(crate) answered_at_switch: Option<u64>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) settled: bool,
    pub(crate) paused: bool,
    /// The gate was opened by a command that meant this release at this stage.
    pub(crate) promoted: bool,
    pub(crate) hook_failed: bool,
    pub(crate) build_failed: bool,
    pub(crate) hooks_passed: BTreeSet<usize>,
    pub(crate) attempts: Vec<(Attempt, AttemptResult)>,
    /// When each of them ended.
    pub(crate) attempts_ended_at: Vec<u64>,
    /// The backup that its contract asks for.
    pub(crate) backup: Backup,
    /// Its routes were seen in force once.
    pub(crate) in_force: bool,
    /// Instances of the slot it goes back to that are to be replaced.
    pub(crate) renewed: BTreeSet<InstanceId>,
    /// A newer release was opened while it had no outcome.
    pub(crate) cut_short: bool,
    /// The file it is carried out by.
    pub(crate) config: Option<AppConfig>,
    /// That file comes into force when it begins.
    pub(crate) brings_policy: bool,
}

/// How the backup stands that a contract rests on; whatever else the release waits for makes it one of before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backup {
    None,
    Awaited,
    Made,
}

/// What a release waits for, in the words of its records.
pub(crate) const FOR_WINDOW: &str = "its time window to open";
pub(crate) const FOR_RETIRE: &str = "a person, because a hook before its retire failed";
pub(crate) const FOR_BACKUP: &str = "a fresh backup";
pub(crate) const FOR_CONTRACT: &str = "the schema to be left to the new revision";
pub(crate) const FOR_INVARIANTS: &str = "the database's invariants to be seen to hold";

/// Everything so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    pub(crate) releases: BTreeMap<ReleaseId, Entry>,
    pub(crate) config: Option<AppConfig>,
    /// The file of a deploy whose release will wait.
    pub(crate) deployed: Option<AppConfig>,
    pub(crate) open_attempts: BTreeMap<AttemptId, (ReleaseId, Attempt)>,
    pub(crate) known_attempts: BTreeSet<AttemptId>,
    pub(crate) routed: Option<(u64, RoutesGoal)>,
    pub(crate) routed_at: u64,
    /// The last change of where the traffic goes was going back: undoing a release, or a plain rollback's own one.
    pub(crate) moved_back: bool,
    pub(crate) in_force: Option<u64>,
    pub(crate) sealed: BTreeMap<RevisionId, Revision>,
    pub(crate) keys: BTreeMap<IdempotencyKey, Command>,
    pub(crate) sources: BTreeMap<RevisionId, Source>,
    pub(crate) last_sequence: u64,
    /// Slots that were told to stop, until one is taken again.
    pub(crate) emptying: BTreeSet<Slot>,
    /// Of these, the ones that were seen empty.
    pub(crate) emptied: BTreeSet<Slot>,
    /// How many instances each slot has, where a rolling release has said so.
    pub(crate) sized: Option<(ReleaseId, Sizes)>,
    /// When that was.
    pub(crate) sized_at: u64,
    /// The scale has changed since a share was raised.
    pub(crate) rescaled: bool,
    /// Releases of which a person was told something.
    pub(crate) noted: BTreeSet<ReleaseId>,
}

impl Book {
    pub(crate) fn write(&mut self, record: &Record) {
        self.last_sequence = record.sequence;
        let at = record.at.as_micros();
        match &record.event {
            Event::Commanded { key, command } => self.commanded(key, command, at),
            Event::Opened { release, kind, revision, from, source, .. } => {
                for entry in self.releases.values_mut().filter(|entry| entry.outcome.is_none()) {
                    entry.cut_short = true;
                }
                self.sources.insert(*revision, source.clone());
                self.releases.insert(
                    *release,
                    Entry {
                        release: *release,
                        kind: kind.clone(),
                        revision: *revision,
                        from: *from,
                        stage: Stage::Build,
                        stages: Vec::new(),
                        entered_at: at,
                        slot: None,
                        undoing: false,
                        undone_at: None,
                        shifted: false,
                        moved_all: false,
                        all_since: None,
                        steps: Vec::new(),
                        shadow: None,
                        full: false,
                        held_since: 0,
                        at_window: false,
                        at_retire_gate: false,
                        let_go: false,
                        waived: false,
                        switched_at: None,
                        answered_at_switch: None,
                        outcome: None,
                        settled: false,
                        paused: false,
                        promoted: false,
                        hook_failed: false,
                        build_failed: false,
                        hooks_passed: BTreeSet::new(),
                        attempts: Vec::new(),
                        attempts_ended_at: Vec::new(),
                        backup: Backup::None,
                        in_force: false,
                        renewed: BTreeSet::new(),
                        cut_short: false,
                        brings_policy: self.deployed.is_some(),
                        config: self.deployed.take().or_else(|| self.config.clone()),
                    },
                );
            }
            Event::Entered { release, stage, slot } => {
                if let Some(entry) = self.releases.get_mut(release).filter(|entry| entry.brings_policy) {
                    entry.brings_policy = false;
                    self.config = entry.config.clone();
                }
                self.releases.get_mut(release).into_iter().for_each(|entry| entry.enter(*stage, *slot, at));
                if let (Stage::Provision, Some(slot)) = (stage, slot) {
                    self.sized = None;
                    self.emptying.remove(slot);
                    self.emptied.remove(slot);
                }
            }
            Event::AttemptStarted { attempt, release, what } => {
                self.known_attempts.insert(*attempt);
                self.open_attempts.insert(*attempt, (*release, what.clone()));
            }
            Event::AttemptEnded { attempt, result, .. } => self.attempt_ended(*attempt, result, at),
            Event::Sealed { revision } => {
                self.sealed.insert(revision.id, (**revision).clone());
            }
            Event::Routed { version, goal, release } => {
                self.routed(*release, goal);
                self.routed = Some((*version, goal.clone()));
                self.routed_at = at;
            }
            Event::Stepped { release, step, share, .. } => {
                self.rescaled = false;
                self.releases.get_mut(release).into_iter().for_each(|entry| entry.take_step(*step, *share));
            }
            Event::Sized { release, sizes } => (self.sized, self.sized_at) = (Some((*release, *sizes)), at),
            Event::Decided { watch, decided } => self.decided(watch.release, decided),
            Event::InForce { version, flipped_at } => {
                self.come_into_force(*version, at);
                self.is_led(flipped_at.as_micros(), at);
            }
            Event::Switched { release, ledger } => {
                if let Some(entry) = self.releases.get_mut(release) {
                    entry.switched_at = Some(at);
                    entry.answered_at_switch = ledger.as_ref().map(|ledger| {
                        ledger.by_revision.get(&entry.revision).map_or(0, |counts| counts.answered[..4].iter().sum())
                    });
                }
            }
            Event::Undoing { release, .. } => {
                if let Some(entry) = self.releases.get_mut(release) {
                    entry.undoing = true;
                    entry.undone_at = Some(at);
                    entry.outcome = None;
                    entry.paused = false;
                }
            }
            Event::Concluded { release, outcome } => {
                if let Some(entry) = self.releases.get_mut(release) {
                    entry.outcome = Some(outcome.clone());
                    entry.paused = false;
                }
            }
            Event::Settled { release, .. } => {
                if let Some(entry) = self.releases.get_mut(release) {
                    entry.settled = true;
                }
            }
            Event::Stopped { slot } => self.stopped(*slot),
            Event::Emptied { slot } => {
                self.emptied.insert(*slot);
            }
            Event::Renewed { release, instances, .. } => {
                if let Some(entry) = release.and_then(|release| self.releases.get_mut(&release)) {
                    entry.renewed.extend(instances.clone());
                }
            }
            Event::Noted { release, .. } => self.noted.extend(*release),
            Event::Waiting { release, reason } => self.waiting(*release, reason),
            Event::Marked { .. }
            | Event::Looked { .. }
            | Event::Judged { .. }
            | Event::Migrated { .. }
            | Event::HandedOver { .. }
            | Event::Drained { .. }
            | Event::Drifted { .. }
            | Event::RouterRestarted { .. } => {}
        }
    }

    /// The routes as decided were seen in force.
    fn is_led(&mut self, flipped_at: u64, at: u64) {
        let going = self.releases.values_mut().rev().find(|entry| entry.moved_all && !entry.undoing);
        if let Some(entry) = going.filter(|entry| entry.switched_at.is_none()) {
            entry.all_since = entry.all_since.or(Some(flipped_at));
        }
        let goal = self.routed.as_ref().map(|(_, goal)| goal.clone());
        let stepping = self.releases.values_mut().rev().find(|entry| entry.is_in_steps());
        if let Some(taken) = stepping.and_then(|entry| entry.steps.last_mut()) {
            taken.in_force_at = taken.in_force_at.or(Some(at));
        }
        for entry in self.releases.values_mut().filter(|entry| entry.outcome.is_none() && entry.shifted) {
            entry.in_force |= goal.as_ref().is_some_and(|goal| {
                goal.arms.iter().any(|arm| {
                    arm.revision == entry.revision && Some(arm.slot) == entry.slot && arm.share > Share::NONE
                })
            });
        }
    }

    fn stopped(&mut self, slot: Slot) {
        self.sized = None;
        self.emptying.insert(slot);
        self.emptied.remove(&slot);
    }

    fn waiting(&mut self, release: ReleaseId, reason: &str) {
        let Some(entry) = self.releases.get_mut(&release) else { return };
        entry.at_window = reason == FOR_WINDOW;
        entry.at_retire_gate = reason == FOR_RETIRE;
        entry.backup = match (reason, entry.backup) {
            (FOR_BACKUP, Backup::None) => Backup::Awaited,
            (FOR_BACKUP | FOR_CONTRACT, backup) => backup,
            _ => Backup::None,
        };
    }

    fn attempt_ended(&mut self, attempt: AttemptId, result: &AttemptResult, at: u64) {
        let Some((release, what)) = self.open_attempts.remove(&attempt) else { return };
        let Some(entry) = self.releases.get_mut(&release) else { return };
        entry.attempts.push((what.clone(), result.clone()));
        entry.attempts_ended_at.push(at);
        match (result, what.clone()) {
            (AttemptResult::Failed { .. }, Attempt::Hook { .. }) => entry.hook_failed |= !entry.may_try_again(&what),
            (AttemptResult::Failed { .. }, Attempt::Build { .. }) => entry.build_failed = true,
            (AttemptResult::Passed { .. }, Attempt::Hook { hook, .. }) => {
                entry.hooks_passed.insert(hook);
            }
            (AttemptResult::Passed { .. }, Attempt::Backup { .. }) if entry.backup == Backup::Awaited => {
                entry.backup = Backup::Made;
            }
            (
                AttemptResult::Failed { .. } | AttemptResult::Passed { .. },
                Attempt::Backup { .. } | Attempt::Migrate { .. },
            )
            | (AttemptResult::Passed { .. }, Attempt::Build { .. })
            | (AttemptResult::Cancelled | AttemptResult::Lost | AttemptResult::NotYet { .. }, _) => {}
        }
    }

    /// No release is open, and what moved the traffic last was going back.
    pub(crate) fn went_back(&self) -> bool {
        self.releases.values().all(|entry| entry.outcome.is_some()) && self.moved_back
    }

    /// The newest release that is not settled and has begun.
    pub(crate) fn moving(&self) -> Option<&Entry> {
        let begun = |entry: &&Entry| !entry.settled && (!entry.stages.is_empty() || entry.undoing);
        let open = |entry: &&Entry| !entry.settled;
        self.releases.values().rev().find(begun).or_else(|| self.releases.values().rev().find(open))
    }

    /// Where the newest release stands.
    pub(crate) fn place(&self) -> (u32, Place) {
        match self.moving() {
            None => (0, Place::Idle),
            Some(entry) => {
                let cleared = entry.outcome.is_some() && entry.stage < Stage::Retire;
                let place = if entry.undoing || cleared { Place::Undoing } else { Place::At(entry.stage) };
                (entry.release.0, place)
            }
        }
    }

    /// The revision that was started in the slot last, unless it was told to stop since.
    pub(crate) fn occupant(&self, slot: Slot) -> Option<RevisionId> {
        let took = |entry: &&Entry| entry.slot == Some(slot) && entry.stages.contains(&Stage::Provision);
        let taken = self.releases.values().rev().find(took).map(|entry| entry.revision);
        taken.filter(|_| !self.emptying.contains(&slot))
    }

    /// The routed process types of a revision with their paths, by the present file.
    pub(crate) fn routed_processes(&self, revision: RevisionId) -> Vec<(ProcessName, Vec<String>)> {
        let Some(config) = &self.config else { return Vec::new() };
        let Some(sealed) = self.sealed.get(&revision) else { return Vec::new() };
        config
            .processes
            .iter()
            .filter(|(name, _)| sealed.processes.contains_key(*name))
            .filter_map(|(name, process)| match &process.kind {
                ProcessKind::Routed { paths, .. } => Some((name.clone(), paths.clone())),
                ProcessKind::Worker { .. } => None,
            })
            .collect()
    }

    /// The workers of a revision that must never work in two slots at once.
    pub(crate) fn exclusive(handover: Option<Handover>) -> bool {
        match handover {
            Some(Handover::StopFirst | Handover::Lease) => true,
            Some(Handover::StartFirst | Handover::Drain) | None => false,
        }
    }
}

/// The slot and revision that have all the traffic, or from which a step takes some.
pub(crate) fn whole_arm(goal: &RoutesGoal) -> Option<(Slot, RevisionId)> {
    goal.arms.iter().rfind(|arm| arm.share > Share::NONE).map(|arm| (arm.slot, arm.revision))
}

/// Whether more than one slot has a share.
pub(crate) fn is_split(goal: &RoutesGoal) -> bool {
    goal.arms.iter().filter(|arm| arm.share > Share::NONE).count() > 1
}

/// The share of a slot.
pub(crate) fn share_of(goal: &RoutesGoal, slot: Slot) -> Share {
    goal.arms.iter().find(|arm| arm.slot == slot).map_or(Share::NONE, |arm| arm.share)
}
