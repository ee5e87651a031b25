//! What the book tells of the sizes of both slots in a rolling release.

use std::collections::BTreeMap;

use switchover_model::config::{Rolling, Step, Strategy};
use switchover_model::release::ReleaseKind;
use switchover_model::sizes::Sizes;
use switchover_model::{ProcessName, ReleaseId, RevisionId, Slot};

use super::book::{Book, Entry};

impl Entry {
    /// How its file has it roll.
    pub(crate) fn rolls(&self) -> Option<Rolling> {
        match self.config.as_ref().map(|config| &config.release.strategy) {
            Some(Strategy::Rolling(rolling)) => Some(*rolling),
            Some(Strategy::BlueGreen | Strategy::Canary(_) | Strategy::Linear { .. } | Strategy::Ab(_)) | None => None,
        }
    }

    /// What each of its batches is held by.
    pub(crate) fn batches(&self) -> Option<Step> {
        let rolling = self.rolls()?;
        Some(Step { share: switchover_model::Share::NONE, stays: rolling.every, approve: false })
    }

    /// It is held at none of its batches.
    pub(crate) fn goes_through(&self) -> bool {
        self.full || matches!(self.kind, ReleaseKind::Return { .. })
    }
}

impl Book {
    /// The sizes that `release` has decided, while they hold.
    pub(crate) fn sizes_of(&self, release: ReleaseId) -> Option<Sizes> {
        self.sized.filter(|(owner, _)| *owner == release).map(|(_, sizes)| sizes)
    }

    /// The scale of each process that takes requests in one of the slots.
    pub(crate) fn routed_scale(&self) -> BTreeMap<ProcessName, u32> {
        let mut scale: BTreeMap<ProcessName, u32> = BTreeMap::new();
        for revision in Slot::BOTH.into_iter().filter_map(|slot| self.occupant(slot)) {
            let processes = self.sealed.get(&revision).into_iter().flat_map(|sealed| &sealed.processes);
            for (name, _) in processes.filter(|(_, process)| process.handover.is_none()) {
                let wanted = self.scale(revision, name);
                let most = scale.entry(name.clone()).or_default();
                *most = wanted.max(*most);
            }
        }
        scale
    }

    fn scales(&self) -> Vec<u32> {
        self.routed_scale().into_values().collect()
    }

    /// How many instances of a process type `slot` shall have now.
    pub(crate) fn count(&self, slot: Slot, revision: RevisionId, name: &ProcessName) -> u32 {
        let scale = self.scale(revision, name);
        let process = self.sealed.get(&revision).and_then(|sealed| sealed.processes.get(name));
        let is_routed = process.is_some_and(|process| process.handover.is_none());
        match self.sized.filter(|_| is_routed) {
            Some((_, sizes)) => sizes.part(slot, &self.scales()).count(scale),
            None => scale,
        }
    }

    /// A rolling release leaves nobody in `slot`.
    pub(crate) fn has_nobody(&self, slot: Slot) -> bool {
        self.sized.is_some_and(|(_, sizes)| sizes.part(slot, &self.scales()).is_none())
    }

    /// What the slot that grows shall have.
    pub(crate) fn target(&self, sizes: &Sizes) -> switchover_model::config::Fraction {
        sizes.target(&self.scales())
    }
}
