//! How many instances a slot shall have: the app's scale, or in a rolling release a part of it.

use std::collections::BTreeMap;

use switchover_model::sizes::{Batch, Sizes};
use switchover_model::{ProcessName, ReleaseId, RevisionId, Slot};

use super::App;
use crate::workers;

/// The sizes that a rolling release has decided: they hold until one of the slots is stopped, or taken anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sized {
    /// The release that decided them.
    pub release: ReleaseId,
    /// How many each slot has.
    pub sizes: Sizes,
}

impl App {
    /// How many instances of each process type `slot`, which runs `revision`, shall have now.
    #[must_use]
    pub fn scale(&self, slot: Slot, revision: RevisionId) -> BTreeMap<ProcessName, u32> {
        let mut scale = self.full_scale(revision);
        let Some(Sized { sizes, .. }) = self.sized else { return scale };
        let part = sizes.part(slot, &self.routed_scale(None));
        // Its workers leave with the last of it, once the others have taken over.
        let has_nobody = part.is_none() && !self.works_in(slot);
        for (name, count) in &mut scale {
            if self.is_routed(revision, name) {
                *count = part.count(*count);
            } else if has_nobody {
                *count = 0;
            }
        }
        scale
    }

    /// The scale of each process that takes requests in one of the slots, or in `more`.
    pub(crate) fn routed_scale(&self, more: Option<RevisionId>) -> Vec<u32> {
        let mut scale: BTreeMap<ProcessName, u32> = BTreeMap::new();
        for revision in self.slots.values().filter_map(|slot| slot.revision).chain(more) {
            let routed = self.full_scale(revision).into_iter().filter(|(name, _)| self.is_routed(revision, name));
            for (name, count) in routed {
                let most = scale.entry(name).or_default();
                *most = count.max(*most);
            }
        }
        scale.into_values().collect()
    }

    /// Whether a rolling release has left nobody who takes requests in `slot`.
    pub(crate) fn has_nobody(&self, slot: Slot) -> bool {
        self.sized.is_some_and(|sized| sized.sizes.part(slot, &self.routed_scale(None)).is_none())
    }

    /// The sizes that `release` has decided.
    pub(crate) fn sizes_of(&self, release: ReleaseId) -> Option<Sizes> {
        self.sized.filter(|sized| sized.release == release).map(|sized| sized.sizes)
    }

    /// The instances of both slots once what `release` grows to is whole and the other slot has made room.
    pub(crate) fn batch_of(&self, release: ReleaseId) -> Option<Batch> {
        let sizes = self.sizes_of(release)?;
        let scale = self.routed_scale(None);
        let part = sizes.target(&scale);
        let sum = |count: &dyn Fn(u32) -> u32| scale.iter().map(|scale| count(*scale)).sum();
        Some(Batch { new: sum(&|scale| part.count(scale)), old: sum(&|scale| part.rest().count(scale)) })
    }

    /// Whether the workers of `slot` work, or may have to while a handover is under way.
    fn works_in(&self, slot: Slot) -> bool {
        self.working.is_some_and(|working| working.slot == slot) || workers::is_moving(self)
    }
}
