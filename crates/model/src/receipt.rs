//! The evidence of a release: counters, and what follows from two readings of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::Judged;
use crate::hook_view::HookView;
use crate::name::{ReleaseId, RevisionId, Share, Slot};
use crate::schema::RestorePoint;
use crate::seam::Evidence;
use crate::sizes::Batch;
use crate::time::{Span, Timestamp};

/// Counters of one app in the router, rising since the app was first routed; they outlive the router's process.
///
/// Invariant of each reading: `accepted = answered + own + aborted + lost + in_flight`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Requests whose head was read and that were taken on for this app.
    pub accepted: u64,
    /// Requests that have no end yet.
    pub in_flight: u64,
    /// By the revision that answered.
    pub by_revision: BTreeMap<RevisionId, RevisionLedger>,
    /// Answers that the router made itself, by cause (`no-healthy-instance`, `connect-failed`, `upstream-closed`, `upstream-timeout`, …).
    pub own: BTreeMap<String, OwnLedger>,
    /// Requests whose client went away before the end of the answer.
    pub aborted: u64,
    /// Requests that were in flight when a router process was killed.
    pub lost_with_router: u64,
}

/// Counters of one revision of an app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RevisionLedger {
    /// The slot it answered from, in a receipt; nothing in a reading of counters, and in receipts made before slots were
    /// named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// Complete answers by status class: index 0 is 1xx (101: upgrades), 4 is 5xx.
    pub answered: [u64; 5],
    /// Upgraded connections that were closed by the router at the end of a drain.
    pub upgrades_cut: u64,
    /// First request sent to it since it last came into traffic: a rollback begins anew.
    pub first_request: Option<Timestamp>,
    /// Last request sent to it.
    pub last_request: Option<Timestamp>,
}

/// Answers of the router's own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OwnLedger {
    /// How many.
    pub count: u64,
    /// Of these, how many were a 5xx while a healthy instance existed: lost requests.
    pub lost: u64,
}

/// A release's receipt. The numbers are differences of two ledger readings, so the sum closes:
/// `in_flight_before + accepted = answered + own + aborted + lost_with_router + in_flight_after`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The release.
    pub release: ReleaseId,
    /// The window's begin: the release was opened.
    pub from: Timestamp,
    /// The window's end: the release was settled or the next one opened; now, when neither has happened.
    pub to: Timestamp,
    /// Whether the window is closed.
    pub closed: bool,
    /// What the numbers rest on.
    pub evidence: Evidence,
    /// Accepted after the window of the release before had ended and before this one began: no release was under way.
    #[serde(default)]
    pub accepted_since_last: u64,
    /// Of these, how many were lost.
    #[serde(default)]
    pub lost_since_last: u64,
    /// How the requests ended that ended in that time.
    #[serde(default, skip_serializing_if = "Between::is_empty")]
    pub since_last: Between,
    /// In flight when the window began.
    pub in_flight_before: u64,
    /// Accepted in the window.
    pub accepted: u64,
    /// Answered in the window, by revision.
    pub by_revision: BTreeMap<RevisionId, RevisionLedger>,
    /// The router's own answers in the window, by cause.
    pub own: BTreeMap<String, OwnLedger>,
    /// Client aborts in the window.
    pub aborted: u64,
    /// Lost with a killed router in the window.
    pub lost_with_router: u64,
    /// In flight when the window ended.
    pub in_flight_after: u64,
    /// Whether the sum closes; a receipt that does not close says so instead of hiding it.
    pub balanced: bool,
    /// Requests lost: router-made 5xx while a healthy instance existed, and those lost with a killed router.
    pub lost: u64,
    /// The switches of this release.
    pub switches: Vec<SwitchReceipt>,
    /// The steps by which its slot got its share before all traffic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepReceipt>,
    /// The restore point that was set in the database before its switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_point: Option<RestorePoint>,
    /// What its hooks have answered, in the order in which they were asked first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookView>,
    /// What its checks said whenever something followed from it: a step was left, the bake ended, or it is undone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
}

/// How requests ended between two windows. Added to the windows' own numbers, every request since the app was first routed
/// is told once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Between {
    /// Answered, by revision.
    pub by_revision: BTreeMap<RevisionId, RevisionLedger>,
    /// The router's own answers, by cause.
    pub own: BTreeMap<String, OwnLedger>,
    /// Client aborts.
    pub aborted: u64,
    /// Lost with a killed router.
    pub lost_with_router: u64,
}

impl Between {
    /// Nothing ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One switch: forward, or back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchReceipt {
    /// The routes' version.
    pub version: u64,
    /// From which revision; nothing for the first.
    pub from: Option<RevisionId>,
    /// To which.
    pub to: RevisionId,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// When the generation was flipped; nothing when not seen yet.
    pub flipped_at: Option<Timestamp>,
    /// From decision to flip.
    pub decision_to_flip: Option<Span>,
    /// From flip to the old slot's drain.
    pub drain: Option<Span>,
    /// Upgrades cut at the drain's deadline.
    pub upgrades_cut: u64,
    /// Requests and upgrades that were still there when the drain's time was over: the stop of the old slot ends them.
    #[serde(default)]
    pub left: u64,
    /// First request on the new revision after the decision.
    pub first_on_new: Option<Timestamp>,
    /// Last request on the old one.
    pub last_on_old: Option<Timestamp>,
}

/// One step of a shift that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReceipt {
    /// Counted from 1.
    pub step: u32,
    /// The share of the new slot.
    pub share: Share,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// When its share was seen in force; nothing when it never was.
    pub in_force_at: Option<Timestamp>,
    /// When the next share, all traffic, or the way back was decided.
    pub left_at: Option<Timestamp>,
    /// Whether a person ended it before its time.
    pub promoted: bool,
    /// Of a rolling release: the instances of both slots once the batch was whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_from_before_slots_were_named_are_read_and_written_as_they_were() {
        let old = r#"{"answered":[0,7,0,1,0],"upgrades_cut":2,"first_request":5,"last_request":9}"#;
        let ledger: RevisionLedger = serde_json::from_str(old).unwrap();
        assert_eq!((ledger.slot, ledger.answered[1]), (None, 7));
        assert_eq!(serde_json::to_string(&ledger).unwrap(), old);
    }
}
