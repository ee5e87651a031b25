//! What must hold of a rolling release: it stays within its capacity, each slot can carry its share, and it goes back whole.

use std::collections::BTreeMap;

use switchover_model::config::{Fraction, Surge};
use switchover_model::release::Stage;
use switchover_model::seam::{Action, InstanceSeen, Phase, RoutesGoal, Seen, SlotSpec};
use switchover_model::sizes::Sizes;
use switchover_model::{ProcessName, ReleaseId, RevisionId, Share, Slot};

use super::book::{Entry, is_split, share_of};
use super::state::World;
use super::watch::Health;

/// After so long on the way back, who does not leave or does not get healthy is waited for no more, in microseconds: less than
/// the shortest bound of those waits.
const PATIENCE: u64 = 17_000_000;

impl World {
    /// The release whose slots are bound by a surge now, and that surge.
    fn rolling(&self) -> Option<(&Entry, Surge)> {
        let taken = |entry: &&Entry| entry.stages.contains(&Stage::Provision) && !entry.settled;
        let newest = self.book.releases.values().rev().find(taken)?;
        Some((newest, newest.rolls()?.surge))
    }

    /// What both slots are told to run is never more than the scale and the surge.
    pub(crate) fn watch_capacity(&mut self, actions: &[Action]) {
        let Some((entry, surge)) = self.rolling() else { return };
        let release = entry.release;
        let mut told: BTreeMap<&ProcessName, (u32, u32)> = BTreeMap::new();
        for action in actions {
            let Action::Ensure(spec) = action else { continue };
            let processes = spec.revision.processes.iter().filter(|(_, process)| process.handover.is_none());
            for name in processes.map(|(name, _)| name) {
                let scale = self.book.scale(spec.revision.id, name);
                let sum = told.entry(name).or_default();
                sum.0 += spec.processes.get(name).map_or(0, |goal| goal.count);
                sum.1 = sum.1.max(scale);
            }
        }
        let beyond = |(count, scale): &(u32, u32)| *count > scale + surge.of(*scale);
        if let Some((name, (count, scale))) = told.into_iter().find(|(_, sum)| beyond(sum)) {
            let what = format!("release {release}: {count} {name} for a scale of {scale} and a surge of {surge}");
            self.violate("a rolling release stays within its capacity", || what);
        }
    }

    /// Nobody is started beyond the scale and the surge, whoever is seen counts: who leaves or is replaced too.
    pub(crate) fn watch_room(&mut self, seen: &Seen, actions: &[Action]) {
        let (Some((entry, surge)), Some(platform), true) = (self.rolling(), &seen.platform, self.book.sized.is_some())
        else {
            return;
        };
        let specs =
            || actions.iter().filter_map(|action| if let Action::Ensure(spec) = action { Some(spec) } else { None });
        let scale = self.book.routed_scale();
        let crowded = scale.into_iter().find_map(|(name, scale)| {
            let here: Vec<_> = platform.instances.iter().filter(|seen| seen.process == name).collect();
            let is_late =
                |phase: &Phase| matches!(phase, Phase::Stopping { since } if self.now >= since.as_micros() + PATIENCE);
            let stays = |spec: &SlotSpec, seen: &InstanceSeen| {
                let is_its = (seen.slot, seen.revision) == (spec.slot, spec.revision.id);
                is_its && !matches!(seen.phase, Phase::Stopping { .. }) && !spec.without.contains(&seen.id)
            };
            let leaving =
                here.iter().filter(|seen| !specs().any(|spec| stays(spec, seen)) && !is_late(&seen.phase)).count();
            let (mut both, mut starts) = (leaving, false);
            for spec in specs() {
                let staying = here.iter().filter(|seen| stays(spec, seen)).count();
                let told = spec.processes.get(&name).map_or(0, |goal| goal.count as usize);
                both += told.max(staying);
                starts |= told > staying;
            }
            let most = (scale + surge.of(scale)) as usize;
            (starts && both > most).then(|| format!("{both} {name} of {scale} by a surge of {surge}"))
        });
        let release = entry.release;
        if let Some(crowded) = crowded {
            self.violate("nobody is started beyond the surge", || format!("release {release}: {crowded}"));
        }
    }

    /// Each slot of a split has as many instances as its share needs.
    pub(crate) fn watch_sizes(&mut self) {
        let (Some(_), false, Some((_, goal))) = (self.book.sized, self.book.rescaled, &self.book.routed) else {
            return;
        };
        if !is_split(goal) {
            return;
        }
        let mut short = None;
        for slot in Slot::BOTH {
            let Some(revision) = self.book.occupant(slot) else { continue };
            for name in self.routed_of(revision) {
                let (count, scale) = (self.book.count(slot, revision, &name), self.book.scale(revision, &name));
                if !carries(count, scale, share_of(goal, slot)) {
                    short = Some(format!("{count} of {scale} {name} in {slot} for {}", share_of(goal, slot)));
                }
            }
        }
        if let Some(short) = short {
            self.violate("a slot is as large as its share needs", || short);
        }
    }

    fn routed_of(&self, revision: RevisionId) -> Vec<ProcessName> {
        let processes = self.book.sealed.get(&revision).into_iter().flat_map(|sealed| &sealed.processes);
        processes.filter(|(_, process)| process.handover.is_none()).map(|(name, _)| name.clone()).collect()
    }

    /// Instances of a process type in a slot that are seen, those alone that `counts`.
    fn seen(&self, slot: Slot, name: &ProcessName, counts: impl Fn(&Phase) -> bool) -> u32 {
        let platform = self.watch.seen.platform.iter().flat_map(|platform| &platform.instances);
        let here = platform.filter(|seen| seen.slot == slot && seen.process == *name && counts(&seen.phase));
        u32::try_from(here.count()).unwrap_or(u32::MAX)
    }

    /// Why the slots may not get these sizes.
    pub(crate) fn broken_by_sizing(&self, release: ReleaseId, sizes: &Sizes) -> Option<(&'static str, String)> {
        let entry = self.book.releases.get(&release)?;
        if entry.paused && !entry.undoing && entry.stage == Stage::Shift && entry.switched_at.is_none() {
            return Some(("a paused release does not go on", String::new()));
        }
        self.broken_by_growing(entry, sizes).or_else(|| self.broken_by_shrinking(entry, sizes))
    }

    /// The slot that grows has room for it: who has left is seen gone.
    fn broken_by_growing(&self, entry: &Entry, sizes: &Sizes) -> Option<(&'static str, String)> {
        let revision = self.book.occupant(sizes.to)?;
        let before = self.book.sized.filter(|(_, before)| before.to == sizes.to);
        let before = before.map_or(sizes.held, |(_, before)| self.book.target(&before));
        let after = self.book.target(sizes);
        let began = self.book.sized_at.max(entry.undone_at.unwrap_or(0));
        let is_late = entry.undoing && self.now >= began + PATIENCE;
        if after <= before || is_late || entry.outcome.is_some() || entry.stage < Stage::Shift {
            return None;
        }
        if self.watch.seen.platform.is_none() {
            return Some(("a slot grows when there is seen to be room", "unseen".to_owned()));
        }
        let beyond = self.routed_of(revision).into_iter().find_map(|name| {
            let scale = self.book.scale(revision, &name);
            let others = self.seen(sizes.to.other(), &name, |_| true);
            let both = others + after.count(scale);
            (both > scale + sizes.surge.of(scale)).then(|| format!("{others} {name} are there, of {scale}: to {after}"))
        });
        beyond.map(|beyond| ("a slot grows when there is seen to be room", beyond))
    }

    /// The slot that shrinks has a share in force that what is left of it can carry.
    fn broken_by_shrinking(&self, entry: &Entry, sizes: &Sizes) -> Option<(&'static str, String)> {
        let other = sizes.to.other();
        let scales: Vec<u32> = self.book.routed_scale().into_values().collect();
        let before = self.book.sized.map_or(Fraction::ALL, |(_, before)| before.part(other, &scales));
        let after = sizes.part(other, &scales);
        if after >= before {
            return None;
        }
        let rule = "a slot shrinks when the share it has left is in force";
        let (version, goal) = self.book.routed.as_ref()?;
        if self.book.in_force != Some(*version) {
            return Some((rule, format!("{} at {}", other, entry.stage)));
        }
        let left = share_of(goal, other);
        // A share is rounded down to a hundredth of a percent.
        let can_carry = u32::from(after.share().basis_points()) + 1 >= u32::from(left.basis_points());
        let table = self.router.table.as_ref().filter(|table| !self.router.edited && table.version == *version);
        let real = table.and_then(|table| table.arms.iter().find(|arm| arm.slot == other)).map(|arm| arm.share);
        let is_real = real.is_none_or(|real| real == left);
        (!can_carry || !is_real).then(|| (rule, format!("{other} to {after} with {left}, {real:?} in the table")))
    }

    /// A batch has the share of what the new slot has, and more than the one before.
    pub(crate) fn broken_by_batch(&self, entry: &Entry, share: Share) -> Option<(&'static str, String)> {
        let sizes = self.book.sizes_of(entry.release)?;
        let before = entry.steps.last().map_or(Share::NONE, |last| last.share);
        let target = self.book.target(&sizes);
        let fits = sizes.to == entry.slot? && share == target.share() && share > before;
        (!fits).then(|| ("a batch has the share of its instances", format!("{share} after {before}, has {target}")))
    }

    /// Why the share of a rolling release may not become that of `goal`.
    pub(crate) fn broken_by_batch_share(
        &self,
        entry: &Entry,
        goal: &RoutesGoal,
        (before, after): (Share, Share),
    ) -> Option<(&'static str, String)> {
        let slot = entry.slot?;
        if entry.undoing && after < before {
            return self.broken_by_giving_back(entry, after);
        }
        if entry.undoing || after < before {
            let is_gathered = entry.undoing && !is_split(goal);
            let what = format!("{before} to {after}");
            return (after != before && !is_gathered).then_some(("a share shrinks on the way back alone", what));
        }
        if after == before {
            return None;
        }
        let platform = self.watch.seen.platform.as_ref();
        let short = self.routed_of(entry.revision).into_iter().find_map(|name| {
            let scale = self.book.scale(entry.revision, &name);
            let healthy = self.seen(slot, &name, |phase| matches!(phase, Phase::Healthy { .. }));
            (!carries(healthy, scale, after)).then(|| format!("{healthy} of {scale} {name} for {after}"))
        });
        if let Some(short) = short.filter(|_| platform.is_some()) {
            return Some(("a share rises to what is healthy", short));
        }
        if is_split(goal) {
            let taken = entry.steps.last().map(|last| last.share);
            return (taken != Some(after)).then(|| ("a split is the one of a step", format!("{after}, not {taken:?}")));
        }
        let is_last = self.book.sizes_of(entry.release).is_some_and(|sizes| self.book.target(&sizes).is_all());
        if !is_last {
            return Some(("all traffic comes after the last step", "there is more to come".to_owned()));
        }
        self.broken_by_leaving(entry)
    }

    /// What goes back is what the old slot is seen to carry, but where nobody else answers, or it was waited for.
    fn broken_by_giving_back(&self, entry: &Entry, after: Share) -> Option<(&'static str, String)> {
        let slot = entry.slot?;
        let platform = self.watch.seen.platform.as_ref()?;
        let sizes = self.book.sizes_of(entry.release)?;
        let began = self.book.sized_at.max(entry.undone_at.unwrap_or(0));
        let new_is_down = self.book.health(Some(platform), slot, entry.revision) == Health::None;
        // What it has been left with when it turns round is led to it as it is.
        let turns_round = sizes.to == slot && after == sizes.held.share();
        if new_is_down || turns_round || self.now >= began + PATIENCE {
            return None;
        }
        let from = entry.from?;
        let short = self.routed_of(from).into_iter().find_map(|name| {
            let scale = self.book.scale(from, &name);
            let healthy = self.seen(slot.other(), &name, |phase| matches!(phase, Phase::Healthy { .. }));
            (!carries(healthy, scale, after.rest()))
                .then(|| format!("{healthy} of {scale} {name} for {}", after.rest()))
        });
        short.map(|short| ("a share goes back to what is healthy", short))
    }

    /// A rolling release is rolled back when the old slot was told to be whole, and the new one has nobody.
    pub(crate) fn broken_by_small_way_back(&self, entry: &Entry) -> Option<(&'static str, String)> {
        let sizes = self.book.sizes_of(entry.release)?;
        let is_whole = Some(sizes.to.other()) == entry.slot && sizes.held.is_all();
        (!is_whole).then(|| ("a way back ends with the old slot whole", format!("{sizes:?}")))
    }
}

/// Whether `count` of `scale` instances are enough for a share, which may have been rounded by a hundredth of a percent.
fn carries(count: u32, scale: u32, share: Share) -> bool {
    u64::from(count) * 10_000 + u64::from(scale) >= u64::from(scale) * u64::from(share.basis_points())
}
