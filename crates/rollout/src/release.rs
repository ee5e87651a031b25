//! One release as its records tell it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use switchover_model::config::AppConfig;
use switchover_model::evidence::{Judged, Watch};
use switchover_model::hook_view::HookView;
use switchover_model::receipt::Ledger;
use switchover_model::record::{Attempt, AttemptId, AttemptResult};
use switchover_model::release::{Outcome, ReleaseKind, Stage};
use switchover_model::revision::Source;
use switchover_model::schema::RestorePoint;
use switchover_model::view::StageState;
use switchover_model::{Problem, ReleaseId, RevisionId, Slot, Span, Timestamp};

use crate::shadow::ShadowState;
use crate::step_state::StepState;
use crate::wait;

/// One release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Its number.
    pub id: ReleaseId,
    /// Why it exists.
    pub kind: ReleaseKind,
    /// The revision it brings.
    pub revision: RevisionId,
    /// The live revision it moves from.
    pub from: Option<RevisionId>,
    /// From where its revision is made.
    pub source: Source,
    /// Who asked for it.
    pub by: String,
    /// When.
    pub opened_at: Timestamp,
    /// Counters then.
    pub opened_ledger: Option<Box<Ledger>>,
    /// The file it was opened with; dropped when it is settled.
    pub config: Option<AppConfig>,
    /// That file comes into force when it begins: it was deployed while another release moved traffic.
    #[serde(default)]
    pub brings_policy: bool,
    /// `--env` of its deploy.
    pub env: BTreeMap<String, String>,
    /// The slot it goes to, from provision on.
    pub slot: Option<Slot>,
    /// The stages gone through.
    pub stages: Vec<StageRecord>,
    /// What it waits for.
    pub waiting: Option<WaitingFor>,
    /// Since when it is held.
    pub paused: Option<Timestamp>,
    /// When a person opened its gate.
    pub promoted: Option<Timestamp>,
    /// Being undone, and why.
    pub undoing: Option<Undoing>,
    /// The steps of its shift that were taken.
    #[serde(default)]
    pub steps: Vec<StepState>,
    /// The copies of live requests that its slot got before any traffic.
    #[serde(default)]
    pub shadow: Option<ShadowState>,
    /// When a person sent it to all traffic: the steps that were left are skipped.
    #[serde(default)]
    pub full: Option<Timestamp>,
    /// When a person let it pass outside of the app's time windows, until it has passed.
    #[serde(default)]
    pub waived: Option<Timestamp>,
    /// Its switches, forward and back.
    pub switches: Vec<Switch>,
    /// When it had all the traffic and the workers.
    pub switched_at: Option<Timestamp>,
    /// Counters then.
    pub switched_ledger: Option<Box<Ledger>>,
    /// Its attempts.
    pub attempts: Vec<AttemptState>,
    /// What its hooks have answered.
    #[serde(default)]
    pub hooks: Vec<HookView>,
    /// How often its bake saw it less than wholly healthy.
    pub dips: u32,
    /// How long its bake could not be watched.
    pub blind: Span,
    /// The restore point that was set before its switch.
    #[serde(default)]
    pub restore_point: Option<RestorePoint>,
    /// The schema was seen not to serve its revision, and not seen otherwise since.
    #[serde(default)]
    pub schema_lacks: bool,
    /// Its contract was told to go on once: some of it may be done.
    #[serde(default)]
    pub contract_begun: bool,
    /// When it last ended a wait other than a contract's for its backup and its work.
    #[serde(default)]
    pub disturbed_at: Option<Timestamp>,
    /// The codes of what people were told of it.
    #[serde(default)]
    pub noted: BTreeSet<String>,
    /// Its outcome.
    pub outcome: Option<Outcome>,
    /// When it got it.
    pub concluded_at: Option<Timestamp>,
    /// When nothing of it was left to do.
    pub settled_at: Option<Timestamp>,
    /// Counters then.
    pub settled_ledger: Option<Box<Ledger>>,
    /// Where the looks of its newest watch begin.
    #[serde(default)]
    pub looked: Option<Looked>,
    /// What its checks said when something followed from it, each watch once.
    #[serde(default)]
    pub judged: Vec<Judged>,
}

/// The looks of one watch, in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// What is looked at.
    pub watch: Watch,
    /// The sequence of the first record of them.
    pub from: u64,
}

/// One stage gone through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Which.
    pub stage: Stage,
    /// When it was entered.
    pub entered_at: Timestamp,
    /// When it was left.
    pub left_at: Option<Timestamp>,
    /// How it stands.
    pub state: StageState,
    /// A line for people.
    pub note: Option<String>,
}

/// What a release waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingFor {
    /// For what.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// Why a release is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undoing {
    /// Since when.
    pub at: Timestamp,
    /// Why; nothing when an operator asked.
    pub cause: Option<Problem>,
    /// Whether errors of the database are the reason.
    #[serde(default)]
    pub detach: bool,
}

/// One change of where the traffic goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// The routes' version.
    pub version: u64,
    /// From which revision.
    pub from: Option<RevisionId>,
    /// To which; nothing when a first release is undone.
    pub to: Option<RevisionId>,
    /// The slot that gets the traffic.
    pub slot: Option<Slot>,
    /// Whether it undoes.
    pub back: bool,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// The flip, when it was seen.
    pub flipped_at: Option<Timestamp>,
    /// When the slot that lost was drained.
    pub drained_at: Option<Timestamp>,
    /// What was left there at the drain's deadline.
    pub left: u64,
    /// The counter of the old revision's upgrades that were cut, as read when it was drained.
    #[serde(default)]
    pub upgrades_cut: Option<u64>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptState {
    /// Its number.
    pub id: AttemptId,
    /// At what.
    pub what: Attempt,
    /// When it was journaled, before it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How.
    pub result: Option<AttemptResult>,
}

impl Release {
    /// The stage it is in, or was in when its undoing began; nothing before the first.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        self.stages.last().map(|stage| stage.stage)
    }

    /// When it entered the stage it is in.
    #[must_use]
    pub fn entered_at(&self) -> Timestamp {
        self.stages.last().map_or(self.opened_at, |stage| stage.entered_at)
    }

    /// It has no outcome yet.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    /// It is being undone.
    #[must_use]
    pub fn is_undoing(&self) -> bool {
        self.undoing.is_some() && self.is_open()
    }

    /// Some of its traffic was told to move (seen to be so or not).
    #[must_use]
    pub fn has_shifted(&self) -> bool {
        self.has_switched() || !self.steps.is_empty()
    }

    /// All of its traffic was told to move (seen to be so or not).
    #[must_use]
    pub fn has_switched(&self) -> bool {
        self.switches.iter().any(|switch| !switch.back)
    }

    /// It has a part of the traffic, on its way to all of it.
    #[must_use]
    pub fn is_in_steps(&self) -> bool {
        self.is_open() && self.undoing.is_none() && self.at_step().is_some() && !self.has_switched()
    }

    /// A person opened the gate of the stage it is in.
    pub(crate) fn is_promoted(&self) -> bool {
        self.promoted.is_some_and(|at| at >= self.entered_at())
    }

    /// It waits to stop the slot that it moved from, which a hook would not have stopped.
    #[must_use]
    pub fn waits_to_retire(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.reason == wait::RETIRE_GATE)
    }

    /// Nothing but its backup and its contract was waited for after `at`.
    pub(crate) fn is_undisturbed_since(&self, at: Timestamp) -> bool {
        let waits = self.waiting.as_ref().is_some_and(|waiting| !is_of_contract(&waiting.reason));
        !waits && self.disturbed_at.is_none_or(|disturbed| disturbed <= at)
    }

    /// Attempts whose end was not recorded.
    pub fn running_attempts(&self) -> impl Iterator<Item = &AttemptState> {
        self.attempts.iter().filter(|attempt| attempt.result.is_none())
    }
}

// === What records make of a release ===

impl Release {
    pub(crate) fn leave(&mut self, at: Timestamp, state: StageState, note: Option<String>) {
        if let Some(stage) = self.stages.last_mut().filter(|stage| stage.left_at.is_none()) {
            stage.left_at = Some(at);
            stage.state = state;
            stage.note = note.or_else(|| stage.note.take());
        }
    }

    pub(crate) fn note(&mut self, note: String) {
        if let Some(stage) = self.stages.last_mut() {
            stage.note = Some(note);
        }
    }

    pub(crate) fn wait_for(&mut self, reason: Option<String>, at: Timestamp) {
        let before = self.waiting.take();
        if before.as_ref().is_some_and(|before| !is_of_contract(&before.reason)) {
            self.disturbed_at = Some(at);
        }
        if let Some(before) = before.filter(|before| before.reason == wait::EVIDENCE) {
            self.blind = Span::from_micros(self.blind.as_micros().saturating_add(at.since(before.since).as_micros()));
        }
        match reason.as_deref() {
            Some(wait::RECOVERY) => self.dips += 1,
            Some(wait::EXPAND | wait::CONTRACT_FIRST | wait::SCHEMA_SERVES) => self.schema_lacks = true,
            Some(wait::CONTRACT) => self.contract_begun = true,
            Some(_) | None => {}
        }
        self.waiting = reason.map(|reason| WaitingFor { reason, since: at });
    }

    pub(crate) fn conclude(&mut self, at: Timestamp, outcome: Outcome) {
        let (ended, note) = match &outcome {
            Outcome::Succeeded { .. } => (StageState::Done, None),
            Outcome::RolledBack { cause: None } | Outcome::Aborted { cause: None } => (StageState::Undone, None),
            Outcome::RolledBack { cause: Some(cause) } | Outcome::Aborted { cause: Some(cause) } => {
                (StageState::Failed, Some(cause.cause.clone()))
            }
            Outcome::Superseded { by } => (StageState::Failed, Some(format!("release {by} took its place"))),
            Outcome::Failed { cause } => (StageState::Failed, Some(cause.cause.clone())),
        };
        self.leave(at, ended, note);
        if matches!(outcome, Outcome::RolledBack { .. }) {
            for stage in &mut self.stages {
                if stage.stage >= Stage::Shift && stage.state == StageState::Done {
                    stage.state = StageState::Undone;
                }
            }
        }
        self.outcome = Some(outcome);
        self.concluded_at = Some(at);
        self.paused = None;
        self.wait_for(None, at);
    }
}

/// Whether a wait for this is part of a contract that nothing holds up.
fn is_of_contract(reason: &str) -> bool {
    matches!(reason, wait::BACKUP | wait::CONTRACT)
}
