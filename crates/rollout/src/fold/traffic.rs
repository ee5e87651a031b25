//! What records of the routes and of sizes make of an app: switches and steps, a slot that lost its share, and one that is emptied.

use switchover_model::seam::{ArmGoal, RoutesGoal};
use switchover_model::sizes::{Batch, Sizes};
use switchover_model::{ReleaseId, RevisionId, Share, Slot, Timestamp};

use crate::app::{App, Draining, RoutesState, Sized, SlotState, Stopping};
use crate::release::Switch;
use crate::routes;

impl App {
    pub(super) fn take_step(
        &mut self,
        id: ReleaseId,
        (step, of): (u32, u32),
        to: (Share, Option<Batch>),
        at: Timestamp,
    ) {
        let from = self.heading().map(|arm| arm.revision);
        self.with(id, |release| {
            release.from = from;
            release.take_step(step, of, to, at);
        });
    }

    /// A rolling release has said how many instances each slot has.
    pub(super) fn size(&mut self, release: ReleaseId, sizes: Sizes, at: Timestamp) {
        self.sized = Some(Sized { release, sizes });
        self.with(release, |release| release.wait_for(None, at));
    }

    /// A slot shall run nothing: the other one is whole.
    pub(super) fn stop(&mut self, slot: Slot, at: Timestamp) {
        let state = self.slot(slot);
        let stopping = Stopping { since: at, revision: state.revision, release: state.release };
        self.slots.insert(slot, SlotState { stopping: Some(stopping), ..SlotState::default() });
        self.sized = None;
    }

    pub(super) fn drain(&mut self, id: ReleaseId, slot: Slot, (left, upgrades_cut): (u64, Option<u64>), at: Timestamp) {
        if self.draining.is_some_and(|draining| draining.slot == slot) {
            self.draining = None;
        }
        self.with(id, |release| {
            if let Some(switch) = release.switches.iter_mut().rev().find(|switch| switch.flipped_at.is_some()) {
                switch.drained_at = Some(at);
                switch.left = left;
                switch.upgrades_cut = upgrades_cut;
            }
        });
    }

    pub(super) fn route(&mut self, id: Option<ReleaseId>, version: u64, goal: &RoutesGoal, at: Timestamp) {
        let before = self.heading();
        let after = routes::main_arm(goal);
        let was_split = self.routes.as_ref().is_some_and(|routes| routes::is_split(&routes.goal));
        let is_whole = !routes::is_split(goal);
        // The first batch of a way back splits what was whole, and is no switch yet.
        let is_switch = is_whole && (was_split || before.map(arm_place) != after.map(arm_place));
        let lost = self.routes.as_ref().and_then(|routes| routes::loser(&routes.goal, goal));
        let carried = self.routes.as_ref().and_then(|routes| routes.loser);
        self.routes = Some(RoutesState {
            version,
            goal: goal.clone(),
            release: id,
            decided_at: at,
            flipped_at: None,
            loser: if is_switch { lost } else { carried },
            outdated: false,
        });
        self.shadow_routed(id, goal, at);
        if let Some(id) = id {
            self.with(id, |release| {
                if release.undoing.is_some() {
                    release.leave_step(at);
                }
            });
        }
        if let (Some(id), true) = (id, is_switch) {
            self.with(id, |release| {
                // What is undone and has no way back may be left with all the traffic.
                let back = release.undoing.is_some() && after.is_none_or(|arm| Some(arm.slot) != release.slot);
                if !back {
                    release.from = before.map(|arm| arm.revision);
                }
                release.leave_step(at);
                release.waived = None;
                release.switches.push(Switch {
                    version,
                    from: lost.map(|arm| arm.revision),
                    to: after.map(|arm| arm.revision),
                    slot: after.map(|arm| arm.slot),
                    back,
                    decided_at: at,
                    flipped_at: None,
                    drained_at: None,
                    left: 0,
                    upgrades_cut: None,
                });
                release.wait_for(None, at);
            });
        }
    }

    pub(super) fn come_into_force(&mut self, version: u64, flipped_at: Timestamp, at: Timestamp) {
        let Some(routes) = self.routes.as_mut().filter(|routes| routes.version == version) else { return };
        routes.flipped_at = Some(flipped_at);
        let loser = routes.loser.take();
        let goal = routes.goal.clone();
        let to = routes::main_arm(&goal).map(arm_place);
        self.shadow_in_force(&goal, at);
        for release in self.releases.iter_mut().filter(|release| release.is_in_steps()) {
            release.step_in_force(release.slot.map_or(Share::NONE, |slot| routes::share_of(&goal, slot)), at);
        }
        // Who has a share again drains no more.
        self.draining = self.draining.filter(|draining| routes::share_of(&goal, draining.slot) == Share::NONE);
        self.in_force = Some(goal);
        for release in &mut self.releases {
            let Some(switch) = release.switches.last_mut() else { continue };
            if switch.flipped_at.is_none() && switch.slot.zip(switch.to) == to {
                switch.flipped_at = Some(flipped_at);
                if let Some(loser) = loser {
                    self.draining = Some(Draining {
                        release: release.id,
                        slot: loser.slot,
                        revision: loser.revision,
                        since: flipped_at,
                    });
                }
                release.wait_for(None, flipped_at);
            }
        }
    }
}

fn arm_place(arm: ArmGoal) -> (Slot, RevisionId) {
    (arm.slot, arm.revision)
}
