//! What must hold of every action, and of what it does to instances with requests on them.

use switchover_model::framework::Step;
use switchover_model::release::{Outcome, Stage};
use switchover_model::seam::{Action, Seen, SlotSpec};
use switchover_model::{InstanceId, RevisionId, Share, Slot};

use super::platform::Told;
use super::state::World;

const MILLIS: u64 = 1_000;

impl World {
    pub(crate) fn watch_appended(&mut self, seen: &Seen, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Route(goal) => {
                    if self.book.routed.as_ref().is_none_or(|(_, decided)| *decided != **goal) {
                        self.violate("only decided routes are asked for", || format!("{goal:?}"));
                    }
                }
                Action::Stop { slot } => {
                    if self.slots_with_share().contains(slot) {
                        self.violate("a slot with a share is not stopped", || slot.to_string());
                    }
                }
                Action::Build { attempt, .. }
                | Action::Hook { attempt, .. }
                | Action::Backup { attempt, .. }
                | Action::Migrate { attempt, .. } => {
                    let of = self.book.open_attempts.get(attempt).and_then(|(of, _)| self.book.releases.get(of));
                    let given_up = of.is_some_and(|entry| {
                        let succeeded = matches!(entry.outcome, None | Some(Outcome::Succeeded { .. }));
                        entry.undoing || !succeeded
                    });
                    if given_up {
                        self.violate("an undone release attempts nothing", || format!("{attempt:?}"));
                    }
                    if let Action::Migrate { release, revision, step: Step::Contract, .. } = action {
                        self.watch_contract(seen, *release, *revision);
                    }
                }
                Action::Schema(goal) => self.watch_schema_goal(seen, goal),
                Action::Ensure(spec) => self.watch_idle(spec),
                Action::CancelAttempt { .. } | Action::MarkSchema { .. } | Action::KeepRevisions { .. } => {}
            }
        }
        self.watch_capacity(actions);
        self.watch_room(seen, actions);
        let ensured = |slot: Slot| {
            actions.iter().any(|action| match action {
                Action::Ensure(spec) => spec.slot == slot,
                _ => false,
            })
        };
        let left = self.slots_with_share().into_iter().find(|slot| !ensured(*slot));
        if let Some(slot) = left.filter(|_| seen.platform.is_some()) {
            self.violate("a slot with a share is kept running", || slot.to_string());
        }
    }

    /// Who is told to stop at once has no request, and gets none.
    fn watch_idle(&mut self, spec: &SlotSpec) {
        let table = self.router.table.as_ref().filter(|_| !self.router.edited);
        let named = |id: &InstanceId| {
            let mut endpoints = table.iter().flat_map(|table| &table.arms).flat_map(|arm| &arm.processes);
            endpoints.any(|process| process.endpoints.iter().any(|endpoint| endpoint.instance == *id))
        };
        let has_some = |id: &&InstanceId| self.router.in_flight_on(id) + self.router.upgrades_on(id) > 0 || named(id);
        if let Some(id) = spec.idle.iter().find(has_some) {
            let what = id.to_string();
            self.violate("who leaves at once has nothing to answer", || what);
        }
    }

    pub(crate) fn watch_ensure(&mut self, spec: &SlotSpec) {
        if !self.platform.sealed.contains_key(&spec.revision.id) {
            self.violate("what runs is on disk", || format!("{} was cleared", spec.revision.id));
        }
        if let Some((slot, revision)) = self.book.heading()
            && slot == spec.slot
            && revision != spec.revision.id
        {
            self.violate("the live slot keeps its revision", || format!("{} instead of {revision}", spec.revision.id));
        }
        for (name, goal) in &spec.processes {
            let wanted = self.book.count(spec.slot, spec.revision.id, name);
            let is_left = goal.count == 0 && self.book.has_nobody(spec.slot);
            // Heirs wait for their room.
            let may_wait = self.book.sized.is_some() && goal.count < wanted;
            if goal.count != wanted && !is_left && !may_wait {
                self.violate("every slot has the live scale", || {
                    format!("{} {name}: {}, not {wanted}", spec.slot, goal.count)
                });
            }
        }
        for name in spec.revision.processes.keys() {
            if !spec.processes.contains_key(name) {
                self.violate("every process of a revision is asked for", || format!("{} {name}", spec.slot));
            }
        }
    }

    /// Instances were told to stop: none with requests that may still go on.
    pub(crate) fn watch_told(&mut self, slot: Slot, told: &[Told]) {
        if self.router.edited {
            return;
        }
        let share = self.router.table.as_ref().and_then(|table| {
            table.arms.iter().find(|arm| arm.slot == slot && arm.share > Share::NONE).map(|arm| arm.revision)
        });
        let drain = self.router.table.as_ref().map_or(0, |table| table.drain_ms * MILLIS);
        let draining = self.router.lost_share_at.get(&slot).is_some_and(|at| self.now < at + drain);
        for told in told.iter().filter(|told| !told.surplus) {
            let Some(instance) = self.platform.instances.iter().find(|instance| instance.id == told.instance) else {
                continue;
            };
            let busy = self.router.in_flight_on(&told.instance) + self.router.upgrades_on(&told.instance);
            let id = told.instance.clone();
            if share == Some(instance.revision) && instance.handover.is_none() {
                self.violate("an instance with traffic is not stopped", || id.to_string());
            } else if busy > 0 && draining {
                self.violate("a slot is stopped when it is drained", || format!("{id} has {busy} requests"));
            }
        }
    }

    pub(crate) fn watch_keep(&mut self, keep: &[RevisionId]) {
        let arms = self.book.routed.iter().flat_map(|(_, goal)| &goal.arms).filter(|arm| arm.share > Share::NONE);
        let mut needed: Vec<RevisionId> = arms.map(|arm| arm.revision).collect();
        for entry in self.book.releases.values().filter(|entry| !entry.settled) {
            let warm = entry.slot.is_some_and(|slot| !self.book.emptying.contains(&slot.other()));
            let switched = entry.switched_at.is_some() && !entry.undoing;
            if switched && warm && entry.stage <= Stage::Retire {
                needed.extend(entry.from);
            }
            if self.book.sealed.contains_key(&entry.revision) && entry.outcome.is_none() && !entry.undoing {
                needed.push(entry.revision);
            }
        }
        if let Some(gone) = needed.iter().find(|revision| !keep.contains(revision)) {
            self.violate("a revision that may be needed stays on disk", || format!("{gone} not in {keep:?}"));
        }
    }
}
