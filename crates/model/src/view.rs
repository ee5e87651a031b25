//! What is shown of an app: the answers of the control API, computed from the journal and what is seen now.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::{ChecksSeen, Judged};
use crate::hook_view::HookView;
use crate::name::{AppName, Host, ReleaseId, RevisionId, Share, Slot};
use crate::problem::Problem;
use crate::release::{Outcome, ReleaseKind, Stage};
use crate::revision::Digest;
use crate::schema::SchemaSeen;
use crate::seam::InstanceSeen;
use crate::sizes::Batch;
use crate::time::{Span, Timestamp};

/// Version of the field names in every `--json` output and API answer.
pub const SCHEMA_VERSION: u32 = 1;

/// `switchover status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The app.
    pub app: AppName,
    /// Last sequence of its journal that this view knows.
    pub sequence: u64,
    /// The slot with the traffic.
    pub live: Option<Slot>,
    /// Both slots.
    pub slots: BTreeMap<Slot, SlotView>,
    /// The releases that are not settled, oldest first.
    pub releases: Vec<ReleaseView>,
    /// What a rollback would do right now.
    pub way_back: WayBack,
    /// Hosts it answers for.
    pub hosts: Vec<Host>,
    /// Where requests are taken, such as `http://127.0.0.1:8080`.
    pub url: Option<String>,
    /// The preview address and its token.
    pub preview: Option<PreviewView>,
    /// The database's schema; nothing when the app has none or it could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaSeen>,
    /// Problems that are there now.
    pub problems: Vec<Problem>,
    /// What could not be asked: unknown, neither good nor bad.
    pub unknown: Vec<String>,
    /// What a person should know of the newest release and what changed nothing by itself: an instance that had to be
    /// killed, a drain that nobody saw; and what was put right a short while ago.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Problem>,
}

/// One slot in a status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SlotView {
    /// What it runs.
    pub revision: Option<RevisionId>,
    /// Digest of that revision.
    pub artifact: Option<Digest>,
    /// Its share of the requests, as seen in force.
    pub share: Option<Share>,
    /// Its instances.
    pub instances: Vec<InstanceSeen>,
    /// Requests in flight.
    pub in_flight: u64,
    /// Upgrades open.
    pub upgrades: u64,
}

/// One release, in a status or the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseView {
    /// Its number.
    pub release: ReleaseId,
    /// Why it exists.
    pub kind: ReleaseKind,
    /// The revision it brings.
    pub revision: RevisionId,
    /// The revision it moves from.
    pub from: Option<RevisionId>,
    /// The slot it goes to.
    pub slot: Option<Slot>,
    /// Who asked for it.
    pub by: String,
    /// When it was asked for.
    pub opened_at: Timestamp,
    /// The stages gone through, in order.
    pub stages: Vec<StageView>,
    /// The steps of its shift before all traffic, in order: those gone through, and while it goes on those to come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepView>,
    /// The comparison of answers before any traffic moves: gone through, going on, or to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowView>,
    /// What it waits for now.
    pub waiting: Option<String>,
    /// Whether it waits at its gate for a person, or for a time window that a person may let it pass.
    #[serde(default)]
    pub at_gate: bool,
    /// Whether it waits for its time window; in a status alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits_for_window: bool,
    /// When that one opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Timestamp>,
    /// Whether it is held.
    pub paused: bool,
    /// Whether it is being undone.
    pub undoing: bool,
    /// When it had all the traffic and workers.
    pub switched_at: Option<Timestamp>,
    /// Its outcome.
    pub outcome: Option<Outcome>,
    /// When nothing of it was left to do.
    pub settled_at: Option<Timestamp>,
    /// What its hooks have answered, in the order in which they were asked first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookView>,
    /// What its checks say now, while they are looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<ChecksSeen>,
    /// What its checks said whenever something followed from it, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
}

/// One stage of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageView {
    /// Which.
    pub stage: Stage,
    /// When it was entered.
    pub entered_at: Timestamp,
    /// When it was left.
    pub left_at: Option<Timestamp>,
    /// How it stands.
    pub state: StageState,
    /// A line about it for people: `2/2 web healthy`, `hook ./smoke.sh passed in 1.2 s`.
    pub note: Option<String>,
}

/// One step of a shift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// Counted from 1.
    pub step: u32,
    /// The share of the new slot.
    pub share: Share,
    /// When it was decided; nothing for one to come.
    pub decided_at: Option<Timestamp>,
    /// When its share was seen in force.
    pub in_force_at: Option<Timestamp>,
    /// Until when it stays at least; nothing while that is not known: not in force yet, or held.
    pub until: Option<Timestamp>,
    /// Whether a person has to say yes after that.
    pub approve: bool,
    /// When the next share, or all traffic, was decided.
    pub left_at: Option<Timestamp>,
    /// Of a rolling release: the instances of both slots once the batch is whole; nothing for one to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// The comparison of answers to copies of live requests, in stage verify. What it says is in [`ReleaseView::checks`] meanwhile and
/// in [`ReleaseView::judged`] afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowView {
    /// The share of the requests that is copied; nothing where the release's file is not kept any more.
    pub share: Option<Share>,
    /// When it was decided; nothing for one to come.
    pub decided_at: Option<Timestamp>,
    /// When the copies were seen to be made.
    pub in_force_at: Option<Timestamp>,
    /// Until when they are made at least; nothing while that is not known, or while the release is held.
    pub until: Option<Timestamp>,
    /// When they were ended.
    pub left_at: Option<Timestamp>,
}

/// How a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageState {
    /// Going on.
    Running,
    /// Done.
    Done,
    /// Failed, or broken off.
    Failed,
    /// Undone after it was done, or broken off by an operator.
    Undone,
}

/// What a rollback would do, right now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "kebab-case")]
pub enum WayBack {
    /// One switch: the old slot is warm and healthy.
    Instant {
        /// To which revision.
        to: RevisionId,
        /// Until when the old slot is kept warm; nothing while the release is still in its bake.
        until: Option<Timestamp>,
        /// What ails some of its instances; nothing when all of them are healthy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ailing: Option<String>,
    },
    /// The old revision has to be started first.
    Start {
        /// To which revision.
        to: RevisionId,
        /// How long its last boot took; nothing when never measured.
        estimate: Option<Span>,
        /// Why it is not instant.
        why: String,
        /// In how many batches a rolling release goes back; nothing: in one switch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batches: Option<u32>,
    },
    /// A release is on its way and no traffic has moved: a rollback takes it back, and the live revision stays.
    Abort {
        /// The release.
        release: ReleaseId,
    },
    /// There is nothing to go back to.
    None {
        /// Why.
        why: String,
    },
}

/// The preview address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewView {
    /// The host that leads to it.
    pub host: Host,
    /// The token it asks for.
    pub token: String,
    /// The slot it shows.
    pub slot: Option<Slot>,
}
