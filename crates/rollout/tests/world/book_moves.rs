//! What stages, routes and commands make of a release in the book.

use switchover_model::experiment::Decided;
use switchover_model::record::IdempotencyKey;
use switchover_model::release::{Command, ReleaseKind, Stage};
use switchover_model::seam::RoutesGoal;
use switchover_model::{ReleaseId, Share, Slot};

use super::book::{Book, Entry, is_split, share_of, whole_arm};
use super::watch_steps::Taken;

impl Entry {
    pub(super) fn enter(&mut self, stage: Stage, slot: Option<Slot>, at: u64) {
        self.stage = stage;
        self.stages.push(stage);
        self.at_window = false;
        self.waived &= stage < Stage::Shift;
        self.entered_at = at;
        self.slot = slot.or(self.slot);
    }

    pub(super) fn take_step(&mut self, step: u32, share: Share) {
        self.steps.push(Taken::new(step, share));
        (self.at_window, self.waived) = (false, false);
    }
}

impl Book {
    /// The experiment that a release is has ended.
    pub(super) fn decided(&mut self, release: ReleaseId, decided: &Decided) {
        if let Some(taken) = self.releases.get_mut(&release).and_then(|entry| entry.steps.last_mut()) {
            taken.decided = Some(Box::new(decided.clone()));
        }
    }

    /// What routes make of the release that wanted them.
    pub(super) fn routed(&mut self, release: Option<ReleaseId>, goal: &RoutesGoal) {
        self.shadow_routed(release, goal);
        let before = self.routed.as_ref().map(|(_, before)| before);
        let was = before.and_then(whole_arm);
        let is_gathered = before.is_some_and(is_split) && !is_split(goal);
        let Some(entry) = release.and_then(|release| self.releases.get_mut(&release)) else { return };
        let gains = entry
            .slot
            .is_some_and(|slot| share_of(goal, slot) > before.map_or(Share::NONE, |before| share_of(before, slot)));
        let to_it = gains && goal.arms.iter().any(|arm| arm.revision == entry.revision && arm.share > Share::NONE);
        // Where another one's undoing leads there already, it moves nothing.
        entry.shifted |= to_it && !entry.undoing;
        if to_it {
            entry.moved_all |= !is_split(goal);
            entry.waived &= is_split(goal);
            if !entry.undoing || !is_split(goal) {
                entry.from = was.map(|(_, revision)| revision);
            }
        }
        if was != whole_arm(goal) || is_gathered {
            let plain_return = matches!(entry.kind, ReleaseKind::Return { plain: true, .. });
            let back = entry.undoing && whole_arm(goal).map(|(slot, _)| slot) != entry.slot;
            self.moved_back = back != plain_return;
        }
    }

    pub(super) fn commanded(&mut self, key: &IdempotencyKey, command: &Command, at: u64) {
        self.keys.insert(key.clone(), command.clone());
        match command {
            Command::Apply { config } => {
                self.rescaled = true;
                self.config = Some((**config).clone());
                self.releases.values_mut().for_each(|entry| entry.brings_policy = false);
            }
            Command::Deploy { config, .. } => {
                self.rescaled = true;
                let shifts = |entry: &Entry| entry.undoing || entry.stages.last() == Some(&Stage::Shift);
                let waits = self.releases.values().any(|entry| entry.outcome.is_none() && shifts(entry));
                let file = Some((**config).clone());
                if waits { self.deployed = file } else { self.config = file }
            }
            Command::Promote { release, stage, full, step: _ } => {
                if let Some(entry) = self.releases.get_mut(release) {
                    let in_steps = entry.is_in_steps() && !entry.at_window;
                    let is_meant = entry.stage == *stage && !entry.undoing && entry.outcome.is_none();
                    if entry.at_window {
                        entry.full |= *full;
                        entry.waived |= is_meant;
                        entry.at_window = false;
                        return;
                    }
                    if let (true, true, Some(shadow)) = (entry.is_in_shadow(), is_meant, &mut entry.shadow) {
                        shadow.promoted = true;
                        entry.full |= *full;
                        return;
                    }
                    if in_steps && *stage == Stage::Shift {
                        entry.promote_step(*full, at);
                    }
                    entry.full |= *full;
                    entry.let_go |= entry.at_retire_gate && *stage == Stage::Retire;
                    entry.at_retire_gate &= !entry.let_go;
                    entry.promoted |= entry.stage == *stage && !entry.undoing && entry.outcome.is_none();
                }
            }
            Command::Pause { release } => self.pause(*release, true, at),
            Command::Resume { release } => self.pause(*release, false, at),
            Command::Abort { .. } | Command::Rollback { .. } => {}
        }
    }

    fn pause(&mut self, release: ReleaseId, paused: bool, at: u64) {
        if let Some(entry) = self.releases.get_mut(&release) {
            let was_held = entry.paused.then_some(entry.held_since);
            if let Some((taken, since)) = entry.steps.last_mut().zip(was_held) {
                taken.held += taken.in_force_at.map_or(0, |in_force_at| at.saturating_sub(since.max(in_force_at)));
            }
            if let Some((shadow, since)) = entry.shadow.as_mut().filter(|shadow| !shadow.is_over).zip(was_held) {
                shadow.held += shadow.in_force_at.map_or(0, |in_force_at| at.saturating_sub(since.max(in_force_at)));
            }
            entry.held_since = at;
            entry.paused = paused;
        }
    }
}
