//! What each slot shall run, and what is left in it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use switchover_model::{InstanceId, ReleaseId, RevisionId, Slot, Timestamp};

/// What a slot shall run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SlotState {
    /// The revision; nothing: the slot shall be empty.
    pub revision: Option<RevisionId>,
    /// The release that put it there.
    pub release: Option<ReleaseId>,
    /// It was told to stop and not yet seen empty.
    pub stopping: Option<Stopping>,
    /// Some of its instances are to be replaced.
    pub renewal: Option<Renewal>,
}

/// Instances of a slot that are ill on the way back to it: none of them shall be part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The release that goes back.
    pub release: ReleaseId,
    /// Who is replaced.
    pub instances: BTreeSet<InstanceId>,
    /// How many of them by its wish.
    pub count: u32,
}

impl Renewal {
    /// What is wished when `release` wants `more` replaced besides those of `before`.
    pub(crate) fn after(before: Option<Self>, release: ReleaseId, more: BTreeSet<InstanceId>) -> Self {
        let of_this = before.as_ref().filter(|before| before.release == release).map_or(0, |before| before.count);
        let count = of_this.saturating_add(u32::try_from(more.len()).unwrap_or(u32::MAX));
        let mut instances = before.map(|before| before.instances).unwrap_or_default();
        instances.extend(more);
        Self { release, instances, count }
    }
}

/// A slot on its way to empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopping {
    /// Since when.
    pub since: Timestamp,
    /// What it ran.
    pub revision: Option<RevisionId>,
    /// The release that had put it there.
    pub release: Option<ReleaseId>,
}

/// Whose workers shall work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Working {
    /// The slot.
    pub slot: Slot,
    /// Since when.
    pub since: Timestamp,
    /// The release that wanted it.
    pub release: ReleaseId,
}

/// A slot that lost the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    /// The release that took it.
    pub release: ReleaseId,
    /// The slot.
    pub slot: Slot,
    /// What it runs.
    pub revision: RevisionId,
    /// The flip.
    pub since: Timestamp,
}
