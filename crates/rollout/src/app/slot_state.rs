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
    /// Its instances are asked for their health after this moment: who has not answered since takes over no traffic.
    pub asked_since: Option<Timestamp>,
}

impl SlotState {
    /// `new` ones are to be replaced besides those that `still` are.
    pub(crate) fn renew(
        &mut self,
        release: Option<ReleaseId>,
        new: &BTreeSet<InstanceId>,
        still: &BTreeSet<InstanceId>,
        at: Timestamp,
    ) {
        let before = Renewal::count_of(self.renewal.as_ref(), release);
        let known = self.renewal.take().map(|before| before.instances).unwrap_or_default();
        let count = before.saturating_add(u32::try_from(new.difference(&known).count()).unwrap_or(u32::MAX));
        self.renewal = Some(Renewal { release, instances: new | still, count, at });
    }
}

/// Instances of a slot that are ill: none of them shall be part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The release that goes back to the slot; nothing when they were ill for long.
    pub release: Option<ReleaseId>,
    /// Who is replaced.
    pub instances: BTreeSet<InstanceId>,
    /// How many by its wish until now.
    pub count: u32,
    /// When that was wished last.
    pub at: Timestamp,
}

impl Renewal {
    /// How many were replaced by the wish of `release` until now.
    pub(crate) fn count_of(before: Option<&Self>, release: Option<ReleaseId>) -> u32 {
        before.filter(|before| before.release == release).map_or(0, |before| before.count)
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
