//! How a release would go in time: part of a plan.

use serde::{Deserialize, Serialize};

use crate::name::Share;
use crate::sizes::Batch;
use crate::time::Span;

/// How the traffic would move, what runs meanwhile, and the way back at each point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// From the first change of the traffic to the end of the old slot, in order.
    pub points: Vec<TimelinePoint>,
    /// What runs beside the scale of one slot until the old slot is stopped, in instances times minutes, rounded.
    pub extra_instance_minutes: u64,
    /// The same if all traffic moved at once.
    pub extra_at_once: u64,
}

/// One point in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelinePoint {
    /// What begins then: `shadow`, `step 1`, `batch 1` or `experiment`, `all traffic` (`if it is won: all traffic` after an
    /// experiment), `warm`, `retired` or `old slot empty`.
    pub what: String,
    /// How long after the first of them began at the earliest: people, boots and the seeing of each share come on top.
    pub after: Span,
    /// The share of the new slot from then on.
    pub share: Share,
    /// Instances of both slots from then on.
    pub instances: u32,
    /// Of a rolling release: those that take requests, in the new slot and in the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<Batch>,
    /// What ends it.
    pub waits_for: Vec<String>,
    /// How a rollback would go from then on.
    pub way_back: String,
}

impl TimelinePoint {
    /// `what` of an experiment. Its share is 0 where matches alone say who gets the new revision.
    pub const EXPERIMENT: &'static str = "experiment";
}
