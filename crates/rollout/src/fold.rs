//! What each record makes of an app. Total: a record that does not fit (which only a foreign hand could have written)
//! changes as little as it can, and never fails.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};
use switchover_model::record::{AttemptId, AttemptResult, Event, Record};
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::view::StageState;
use switchover_model::{AppName, Problem, ReleaseId, RevisionId, Slot, Span, Timestamp};

use crate::app::{App, KnownDrift, KnownKey, Note, RevisionState, SlotState, Working};
use crate::release::{AttemptState, Release, StageRecord, Undoing};
use crate::{limits, step_state};

mod evidence;
mod note;
mod policy;
mod traffic;

use note::attempt_note;
pub(crate) use note::shortened;

/// The app `name` after `records`, from the first on.
#[must_use]
pub fn fold(name: &AppName, records: &[Record]) -> App {
    let mut app = App::new(name.clone());
    for record in records {
        app.apply(record);
    }
    app
}

impl App {
    /// The app after one more record.
    ///
    /// Guarantees: the same records in the same order give the same app, whether folded at once, one by one or on from
    /// a snapshot. Assumes: `record.sequence` follows [`App::sequence`].
    pub fn apply(&mut self, record: &Record) {
        self.sequence = record.sequence;
        let at = record.at;
        match &record.event {
            Event::Commanded { key, command } => {
                let known = KnownKey {
                    key: key.clone(),
                    command: command.as_str().to_owned(),
                    digest: command_digest(command),
                    sequence: record.sequence,
                    release: command_release(command),
                };
                self.keys.push_back(known);
                while self.keys.len() > limits::REMEMBERED_KEYS {
                    self.keys.pop_front();
                }
                self.commanded_by = Some(record.actor.told());
                self.apply_command(command, at);
            }
            Event::Opened { release, kind, revision, from, source, ledger } => {
                self.next_release = self.next_release.max(release.0 + 1);
                self.next_revision = self.next_revision.max(revision.0 + 1);
                if let Some(known) = self.keys.back_mut() {
                    known.release = Some(*release);
                }
                let file = self.deploy_file.take();
                self.releases.push(Release {
                    id: *release,
                    kind: kind.clone(),
                    revision: *revision,
                    from: *from,
                    source: source.clone(),
                    by: self.commanded_by.clone().unwrap_or_else(|| record.actor.told()),
                    opened_at: at,
                    opened_ledger: ledger.clone(),
                    brings_policy: file.is_some(),
                    config: file.or_else(|| self.config.clone()),
                    env: std::mem::take(&mut self.deploy_env),
                    slot: None,
                    stages: Vec::new(),
                    waiting: None,
                    paused: None,
                    promoted: None,
                    undoing: None,
                    steps: Vec::new(),
                    shadow: None,
                    full: None,
                    waived: None,
                    switches: Vec::new(),
                    switched_at: None,
                    switched_ledger: None,
                    attempts: Vec::new(),
                    hooks: Vec::new(),
                    dips: 0,
                    blind: Span::ZERO,
                    restore_point: None,
                    schema_lacks: false,
                    contract_begun: false,
                    disturbed_at: None,
                    noted: BTreeSet::new(),
                    outcome: None,
                    concluded_at: None,
                    settled_at: None,
                    settled_ledger: None,
                    looked: None,
                    judged: Vec::new(),
                });
            }
            Event::Entered { release, stage, slot } => self.enter(*release, *stage, *slot, at),
            Event::Waiting { release, reason } => {
                let reason = reason.clone();
                self.with(*release, |release| release.wait_for(Some(reason), at));
            }
            Event::AttemptStarted { attempt, release, what } => {
                self.next_attempt = self.next_attempt.max(attempt.0 + 1);
                let state =
                    AttemptState { id: *attempt, what: what.clone(), started_at: at, ended_at: None, result: None };
                self.start_attempt(*release, state);
                self.begin_expand(*release, what);
                self.begin_contract(*release, what);
            }
            Event::AttemptEnded { attempt, result, took } => {
                self.end_contract(*attempt, result);
                self.end_attempt(*attempt, result, *took, at);
            }
            Event::Sealed { revision } => {
                let opened = self.releases.iter().find(|release| release.revision == revision.id);
                if let Some(config) = opened.and_then(|release| release.config.clone()).or_else(|| self.config.clone())
                {
                    let state = RevisionState {
                        revision: (**revision).clone(),
                        config,
                        boot: None,
                        served: false,
                        took_over_from: None,
                        migrated: None,
                    };
                    self.revisions.insert(revision.id, state);
                }
            }
            Event::Migrated { release, migrated } => {
                if let Some((_, state)) = self.revision_of(*release) {
                    state.migrated = Some((**migrated).clone());
                }
            }
            Event::Routed { release, version, goal } => self.route(*release, *version, goal, at),
            Event::Stepped { release, step, of, share, batch } => {
                self.take_step(*release, (*step, *of), (*share, *batch), at);
            }
            Event::Sized { release, sizes } => self.size(*release, *sizes, at),
            Event::InForce { version, flipped_at } => self.come_into_force(*version, *flipped_at, at),
            Event::HandedOver { release, to } => {
                self.working = Some(Working { slot: *to, since: at, release: *release });
                self.with(*release, |release| release.wait_for(None, at));
            }
            Event::Switched { release, ledger } => {
                let ledger = ledger.clone();
                if let Some((from, state)) = self.revision_of(*release) {
                    state.took_over_from = from;
                }
                self.with(*release, |release| {
                    release.switched_at = Some(at);
                    release.switched_ledger = ledger;
                    release.wait_for(None, at);
                });
            }
            Event::Marked { release, point } => {
                let point = point.clone();
                self.with(*release, |release| {
                    release.restore_point = Some(point);
                    release.wait_for(None, at);
                });
            }
            Event::Looked { watch, look: _ } => self.looked(*watch),
            Event::Judged { watch, verdicts } => self.judged(*watch, verdicts, at),
            Event::Decided { watch, decided } => self.decided(*watch, decided, at),
            Event::Undoing { release, cause, detach } => {
                let (cause, detach) = (cause.clone(), *detach);
                if let Some((_, state)) = self.revision_of(*release) {
                    state.served = false;
                }
                self.with(*release, |release| {
                    let note = cause.as_ref().map(|problem| problem.cause.clone());
                    let ended = if cause.is_some() { StageState::Failed } else { StageState::Undone };
                    release.leave(at, ended, note);
                    release.outcome = None;
                    release.concluded_at = None;
                    release.undoing = Some(Undoing { at, cause, detach });
                    release.paused = None;
                    release.wait_for(None, at);
                });
                self.ask_old_slot(*release, at);
            }
            Event::Drained { release, slot, left, upgrades_cut } => {
                self.drain(*release, *slot, (*left, *upgrades_cut), at);
            }
            Event::Stopped { slot } => self.stop(*slot, at),
            Event::Renewed { release, slot, instances, still } => {
                self.slots.entry(*slot).or_default().renew(*release, instances, still, at);
                release.iter().for_each(|id| self.with(*id, |release| release.wait_for(None, at)));
            }
            Event::Emptied { slot } => self.slots.entry(*slot).or_default().stopping = None,
            Event::Concluded { release, outcome } => {
                let outcome = outcome.clone();
                if let (Some((_, state)), Outcome::Succeeded { .. }) = (self.revision_of(*release), &outcome) {
                    state.served = true;
                }
                self.with(*release, |release| release.conclude(at, outcome));
            }
            Event::Settled { release, ledger } => self.settle(*release, ledger.clone(), at),
            Event::Drifted { what, corrected } => {
                self.drifts.retain(|drift| drift.what != *what);
                self.drifts.push(KnownDrift { what: what.clone(), at, corrected: *corrected });
                let surplus = self.drifts.len().saturating_sub(limits::REMEMBERED_DRIFTS);
                self.drifts.drain(..surplus);
            }
            Event::Noted { release, problem } => self.note(*release, problem, at),
            Event::RouterRestarted { .. } => {}
        }
    }

    fn end_attempt(&mut self, attempt: AttemptId, result: &AttemptResult, took: Span, at: Timestamp) {
        let policy = self.config.as_ref();
        for release in &mut self.releases {
            if let Some(state) = release.attempts.iter_mut().find(|state| state.id == attempt)
                && state.result.is_none()
            {
                state.ended_at = Some(at);
                state.result = Some(without_output(result));
                let note = attempt_note(&state.what, release.config.as_ref().or(policy), result, took);
                let what = state.what.clone();
                release.note(note);
                release.hear(&what, result);
            }
        }
    }

    fn note(&mut self, release: Option<ReleaseId>, problem: &Problem, at: Timestamp) {
        if let Some(release) = self.releases.iter_mut().find(|known| Some(known.id) == release) {
            release.noted.insert(problem.code.clone());
        }
        self.notes.push_back(Note { at, release, problem: problem.clone() });
        while self.notes.len() > limits::REMEMBERED_NOTES {
            self.notes.pop_front();
        }
    }

    fn apply_command(&mut self, command: &Command, at: Timestamp) {
        match command {
            Command::Apply { config } => self.apply_file(config),
            Command::Deploy { config, env, .. } => {
                self.deploy_env = env.clone();
                self.deploy_by(config);
            }
            Command::Promote { release: id, stage, full, step: _ } => {
                let at_gate = self.release(*id).is_some_and(|known| step_state::is_at_gate(self, known, at));
                self.with(*id, |release| {
                    let at_window = release.waits_for_window();
                    let in_steps = *stage == Stage::Shift && !release.steps.is_empty();
                    let in_shadow = release.is_in_shadow();
                    match in_steps {
                        _ if at_window => release.waived = Some(at),
                        _ if in_shadow => release.shadow.iter_mut().for_each(|shadow| shadow.promoted = Some(at)),
                        true => release.promote_step(at_gate && !*full, at),
                        false => release.promoted = Some(at),
                    }
                    release.full = release.full.or(full.then_some(at));
                    // Held as well, it waits for no promotion any more.
                    release.wait_for(None, at);
                });
            }
            Command::Pause { release } => self.with(*release, |release| {
                release.end_hold(at);
                release.paused = Some(at);
            }),
            Command::Resume { release } => self.with(*release, |release| release.end_hold(at)),
            // What these start is written beside them: `Undoing`, `Opened`.
            Command::Abort { .. } | Command::Rollback { .. } => {}
        }
    }

    fn enter(&mut self, id: ReleaseId, stage: Stage, slot: Option<Slot>, at: Timestamp) {
        let mut revision = None;
        let mut boot = None;
        self.bring_policy(id);
        self.with(id, |release| {
            if release.stage() == Some(Stage::Provision) && stage > Stage::Provision {
                boot = Some(at.since(release.entered_at()));
            }
            release.leave(at, StageState::Done, None);
            release.stages.push(StageRecord {
                stage,
                entered_at: at,
                left_at: None,
                state: StageState::Running,
                note: None,
            });
            release.slot = slot.or(release.slot);
            release.waived = release.waived.filter(|_| stage < Stage::Shift);
            release.schema_lacks = false;
            release.wait_for(None, at);
            revision = Some(release.revision);
        });
        if let (Stage::Provision, Some(slot)) = (stage, slot) {
            let before = self.slot(slot);
            let renewal = before.renewal.filter(|_| before.revision == revision);
            let asked_since = Some(at);
            self.slots.insert(slot, SlotState { revision, release: Some(id), stopping: None, renewal, asked_since });
            self.sized = None;
        }
        if let (Some(boot), Some(state)) = (boot, revision.and_then(|revision| self.revisions.get_mut(&revision))) {
            state.boot = Some(boot);
        }
    }

    fn settle(&mut self, id: ReleaseId, ledger: Option<Box<switchover_model::receipt::Ledger>>, at: Timestamp) {
        let Some(place) = self.releases.iter().position(|release| release.id == id) else { return };
        let mut release = self.releases.remove(place);
        release.leave(at, StageState::Done, None);
        release.settled_at = Some(at);
        release.settled_ledger = ledger;
        release.waiting = None;
        release.config = None;
        release.env.clear();
        release.attempts.clear();
        self.archive.push(release);
        let surplus = self.archive.len().saturating_sub(limits::ARCHIVED_RELEASES);
        self.archive.drain(..surplus);
        self.forget_old_revisions();
    }

    /// The state of the revision that a release brings, and the one that the release moves from.
    fn revision_of(&mut self, id: ReleaseId) -> Option<(Option<RevisionId>, &mut RevisionState)> {
        let release = self.releases.iter().find(|release| release.id == id)?;
        let (revision, from) = (release.revision, release.from);
        self.revisions.get_mut(&revision).map(|state| (from, state))
    }

    fn with(&mut self, id: ReleaseId, change: impl FnOnce(&mut Release)) {
        if let Some(release) = self.releases.iter_mut().find(|release| release.id == id) {
            change(release);
        }
    }
}

/// What tells a command from another one of the same name.
pub(crate) fn command_digest(command: &Command) -> String {
    // A command is made of maps with texts as keys: it can always be written.
    hex::encode(Sha256::digest(serde_json::to_vec(command).unwrap_or_default()))
}

fn command_release(command: &Command) -> Option<ReleaseId> {
    match command {
        Command::Apply { .. } | Command::Deploy { .. } | Command::Rollback { .. } => None,
        Command::Promote { release, .. }
        | Command::Pause { release }
        | Command::Resume { release }
        | Command::Abort { release } => Some(*release),
    }
}

/// Output is in the journal; the fold keeps only how it ended and, for a failure, why.
fn without_output(result: &AttemptResult) -> AttemptResult {
    match result {
        AttemptResult::Passed { .. } => AttemptResult::Passed { output: Vec::new() },
        AttemptResult::Failed { cause } => AttemptResult::Failed { cause: cause.clone() },
        AttemptResult::NotYet { .. } => AttemptResult::NotYet { output: Vec::new() },
        AttemptResult::Cancelled => AttemptResult::Cancelled,
        AttemptResult::Lost => AttemptResult::Lost,
    }
}
