//! What can happen to an app, as it is written to the journal. An app is the fold of its records.
//!
//! Records are read for as long as a journal lives: a field is only ever added, with a default; a variant is never
//! renamed or given another meaning.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::evidence::{CheckVerdict, Look, Watch};
use crate::experiment::Decided;
use crate::framework::{Migrated, Step};
use crate::name::{AppName, InstanceId, ReleaseId, RevisionId, Share, Slot};
use crate::problem::Problem;
use crate::receipt::Ledger;
use crate::release::{Command, Outcome, ReleaseKind, Stage};
use crate::revision::{Revision, Source};
use crate::schema::RestorePoint;
use crate::seam::RoutesGoal;
use crate::sizes::{Batch, Sizes};
use crate::time::{Span, Timestamp};

/// One attempt at something that is not repeatable by nature; unique in an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(pub u64);

/// Makes a command one command however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdempotencyKey(pub String);

/// Who caused a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "actor", rename_all = "kebab-case")]
pub enum Actor {
    /// The controller, by its own decision.
    Controller,
    /// An operator, known by the user id that the socket saw.
    Operator {
        /// Unix user id.
        uid: u32,
        /// Its name, where there is one.
        name: Option<String>,
    },
}

impl Actor {
    /// It, for people: a name where there is one.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Controller => "controller".to_owned(),
            Self::Operator { name: Some(name), .. } => name.clone(),
            Self::Operator { uid, name: None } => format!("uid {uid}"),
        }
    }
}

/// One entry of an app's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 1, 2, … per app, without a gap.
    pub sequence: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// By whom.
    pub actor: Actor,
    /// What.
    pub event: Event,
}

/// What is appended: the journal gives the sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// When it was decided.
    pub at: Timestamp,
    /// By whom.
    pub actor: Actor,
    /// What.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// An operator's command was admitted. The fold applies what follows from it (a deploy opens its release by
    /// [`Event::Opened`], written in the same append).
    Commanded {
        /// Makes a retry the same command.
        key: IdempotencyKey,
        /// What was asked.
        command: Command,
    },
    /// A release was opened.
    Opened {
        /// Its number.
        release: ReleaseId,
        /// Why it exists.
        kind: ReleaseKind,
        /// The revision it brings (made by its build stage, or existing already).
        revision: RevisionId,
        /// The live revision it moves from; nothing for the first.
        from: Option<RevisionId>,
        /// From where the revision is made.
        source: Source,
        /// Counters when it was opened: where its receipt begins; nothing when the traffic could not be asked.
        ledger: Option<Box<Ledger>>,
    },
    /// A release entered a stage; the one before is over.
    Entered {
        /// The release.
        release: ReleaseId,
        /// The stage.
        stage: Stage,
        /// The slot that the release goes to, known from provision on.
        slot: Option<Slot>,
    },
    /// A release waits, and for what; shown to people. Written when the reason changes, not each time it is looked at.
    Waiting {
        /// The release.
        release: ReleaseId,
        /// For what.
        reason: String,
    },
    /// An attempt begins: written before it starts.
    AttemptStarted {
        /// The attempt.
        attempt: AttemptId,
        /// The release.
        release: ReleaseId,
        /// What is attempted.
        what: Attempt,
    },
    /// An attempt ended. Written by the controller.
    AttemptEnded {
        /// The attempt.
        attempt: AttemptId,
        /// How.
        result: AttemptResult,
        /// How long it took.
        took: Span,
    },
    /// A revision was sealed. Written by the controller with the end of its build.
    Sealed {
        /// The revision.
        revision: Box<Revision>,
    },
    /// The app's own framework has carried out what was pending for a release before it serves. Written by the controller
    /// with the end of that attempt.
    Migrated {
        /// The release.
        release: ReleaseId,
        /// What was done, and what is left.
        migrated: Box<Migrated>,
    },
    /// The traffic shall go like this from now on. Written before the flip, with the version it gets.
    Routed {
        /// The release that wanted it; nothing for a change of hosts or scale.
        release: Option<ReleaseId>,
        /// Its number; rises.
        version: u64,
        /// The goal.
        goal: RoutesGoal,
    },
    /// A release takes a step of its shift: its slot gets this share. Written with the routes that say so.
    Stepped {
        /// The release.
        release: ReleaseId,
        /// Which step, counted from 1.
        step: u32,
        /// Of how many before all traffic.
        of: u32,
        /// The share of its slot.
        share: Share,
        /// Of a rolling release: the instances that take requests once its batch is whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch: Option<Batch>,
    },
    /// A rolling release says how many instances each slot shall have from now on.
    Sized {
        /// The release.
        release: ReleaseId,
        /// How many.
        sizes: Sizes,
    },
    /// The routes of this version were seen in force. Written once each.
    InForce {
        /// The version.
        version: u64,
        /// When they came into force, by the router's clock.
        flipped_at: Timestamp,
    },
    /// The workers of this slot were told to work (or to let go), as part of a shift.
    HandedOver {
        /// The release.
        release: ReleaseId,
        /// The slot whose workers work now.
        to: Slot,
    },
    /// A named restore point was set before the release's switch, or could not be.
    Marked {
        /// The release.
        release: ReleaseId,
        /// The point.
        point: RestorePoint,
    },
    /// A release has all the traffic and the workers, seen to be so.
    Switched {
        /// The release.
        release: ReleaseId,
        /// Counters at that moment.
        ledger: Option<Box<Ledger>>,
    },
    /// What the checks of a release have to go on. Written by the controller before anything is made of it.
    Looked {
        /// What they are looked at for.
        watch: Watch,
        /// What was seen.
        look: Box<Look>,
    },
    /// What the checks of a release said at the moment at which something followed from it: a step was left, a bake ended,
    /// or the release is undone.
    Judged {
        /// What they were looked at for.
        watch: Watch,
        /// What they said.
        verdicts: Vec<CheckVerdict>,
    },
    /// An experiment ended by what was seen of it, or a person ended it.
    Decided {
        /// Where it was watched.
        watch: Watch,
        /// How it ended, and what it said.
        decided: Box<Decided>,
    },
    /// A release is being undone.
    Undoing {
        /// The release.
        release: ReleaseId,
        /// Why; nothing when an operator asked.
        cause: Option<Problem>,
        /// Whether errors of the database are the reason: then what keeps the schema's versions in step is detached first.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        detach: bool,
    },
    /// The old slot's requests have ended or its drain deadline has passed.
    Drained {
        /// The release.
        release: ReleaseId,
        /// The slot that lost the traffic.
        slot: Slot,
        /// Requests and upgrades that were still there at the deadline.
        left: u64,
        /// The counter of the old revision's upgrades that the router cut, as read then; nothing when it was not read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        upgrades_cut: Option<u64>,
    },
    /// A slot shall run nothing: its instances are told to stop.
    Stopped {
        /// The slot.
        slot: Slot,
    },
    /// Instances of a slot are ill or silent: each is to be replaced by a new one.
    Renewed {
        /// The release that is being undone, or that leads back, to this slot; nothing when they were ill for long.
        release: Option<ReleaseId>,
        /// The slot.
        slot: Slot,
        /// Who is replaced.
        instances: BTreeSet<InstanceId>,
        /// Who was to be replaced before, and is not seen gone.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        still: BTreeSet<InstanceId>,
    },
    /// A slot that was told to stop was seen with no instance left.
    Emptied {
        /// The slot.
        slot: Slot,
    },
    /// A release has its outcome: it is settled when nothing of it is left to do.
    Concluded {
        /// The release.
        release: ReleaseId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Nothing of the release is left to do; its receipt is closed.
    Settled {
        /// The release.
        release: ReleaseId,
        /// Counters at that moment.
        ledger: Option<Box<Ledger>>,
    },
    /// A change behind our back was seen (and put right, when the app says so).
    Drifted {
        /// What was found.
        what: String,
        /// Whether it is put right.
        corrected: bool,
    },
    /// Something a person should know that changes nothing by itself.
    Noted {
        /// The release it belongs to, if any.
        release: Option<ReleaseId>,
        /// What.
        problem: Problem,
    },
    /// The router was found to have been started anew; what its predecessor had in flight is counted as lost.
    RouterRestarted {
        /// Requests that were in flight when it ended, by revision.
        lost: BTreeMap<RevisionId, u64>,
    },
}

/// What an attempt is at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "attempt", rename_all = "kebab-case")]
pub enum Attempt {
    /// Making a revision.
    Build {
        /// Which.
        revision: RevisionId,
    },
    /// Running a hook.
    Hook {
        /// At which stage.
        stage: Stage,
        /// Index in `AppConfig::release.hooks`.
        hook: usize,
    },
    /// Making, or looking for, the backup that contract waits for.
    Backup {
        /// How often it was begun before, as a backup that failed is tried again.
        round: u32,
    },
    /// Running the app's own migration framework.
    Migrate {
        /// In which part of the release.
        step: Step,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum AttemptResult {
    /// It did what it should.
    Passed {
        /// The last lines of its output.
        output: Vec<String>,
    },
    /// It did not.
    Failed {
        /// Why, with the last lines of its output.
        cause: Problem,
    },
    /// A hook can not say yet: it is asked again.
    NotYet {
        /// The last lines of its output.
        output: Vec<String>,
    },
    /// It was stopped because nobody needed it any more.
    Cancelled,
    /// The controller that started it ended before it did; nobody knows how it ended.
    Lost,
}

/// An app's records in order, with the app's name: what a fold reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The app.
    pub app: AppName,
    /// Its records, by sequence.
    pub records: Vec<Record>,
}
