//! What must hold of copies of live requests: made for a release in its comparison alone, for its time, and left on a verdict.

use switchover_model::config::{During, Shadow};
use switchover_model::evidence::{SHADOW_CHECK, Verdict};
use switchover_model::record::Event;
use switchover_model::release::{ReleaseKind, Stage};
use switchover_model::seam::{MirrorRules, RoutesGoal};
use switchover_model::{ReleaseId, Share, Span};

use switchover_rollout::Decision;

use super::book::{Book, Entry, share_of};
use super::dice::Dice;
use super::state::World;

/// The copies of a release as the journal tells of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shadowed {
    pub(crate) in_force_at: Option<u64>,
    /// How long of their time the release was held.
    pub(crate) held: u64,
    pub(crate) promoted: bool,
    /// Ended by the release itself, as a part of its way forward.
    pub(crate) is_over: bool,
}

/// What some files ask to be compared. By dice of its own, so that every other world stays as it is.
pub(crate) fn rules(dice: &Dice) -> Option<Shadow> {
    let mut dice = Dice::new(dice.clone().throw());
    dice.chance(300).then(|| Shadow {
        rules: MirrorRules::of(Share::from_basis_points(10_00).expect("a share")),
        stays: Span::from_millis(dice.pick(&[500, 2_000, 6_000])),
        enough: 500,
        tolerate: Share::NONE,
    })
}

impl Entry {
    /// What its file wants to be compared.
    fn shadow_rule(&self) -> Option<&Shadow> {
        let config = self.config.as_ref().filter(|_| self.kind == ReleaseKind::Deploy)?;
        config.release.shadow.as_ref()
    }

    /// Its slot gets copies, or shall get them.
    pub(crate) fn is_in_shadow(&self) -> bool {
        let is_on = self.shadow.as_ref().is_some_and(|shadow| !shadow.is_over);
        is_on && self.stage == Stage::Verify && !self.undoing && self.outcome.is_none()
    }
}

impl Book {
    /// What routes make of the copies of the releases.
    pub(super) fn shadow_routed(&mut self, release: Option<ReleaseId>, goal: &RoutesGoal) {
        for entry in self.releases.values_mut() {
            let is_on = goal.mirror.as_ref().is_some_and(|mirror| mirror.arm.revision == entry.revision);
            let is_own = release == Some(entry.release);
            match &mut entry.shadow {
                None if is_on && is_own => entry.shadow = Some(Shadowed::default()),
                Some(shadow) if !is_on && is_own => shadow.is_over = true,
                Some(shadow) if !is_on && !shadow.is_over => entry.shadow = None,
                None | Some(_) => {}
            }
        }
    }

    /// The routes of this version were seen in force: copies that they have are made from then on.
    pub(super) fn come_into_force(&mut self, version: u64, at: u64) {
        self.in_force = Some(version);
        let goal = self.routed.as_ref().map(|(_, goal)| goal);
        let Some(revision) = goal.and_then(|goal| goal.mirror.as_ref()).map(|mirror| mirror.arm.revision) else {
            return;
        };
        for entry in self.releases.values_mut().filter(|entry| entry.revision == revision) {
            if let Some(shadow) = &mut entry.shadow {
                shadow.in_force_at = shadow.in_force_at.or(Some(at));
            }
        }
    }
}

impl World {
    /// Why the routes may not have, or lose, their copies like this.
    pub(crate) fn broken_by_mirror(
        &self,
        release: Option<ReleaseId>,
        goal: &RoutesGoal,
    ) -> Option<(&'static str, String)> {
        let before = self.book.routed.as_ref().and_then(|(_, before)| before.mirror.as_ref());
        let Some(mirror) = &goal.mirror else {
            let entry = release.and_then(|release| self.book.releases.get(&release));
            let ends = entry.filter(|entry| before.is_some() && entry.is_in_shadow())?;
            return self.broken_by_ending_shadow(ends);
        };
        let slot = mirror.arm.slot;
        if share_of(goal, slot) != Share::NONE {
            return Some(("who gets copies answers no user", format!("{slot}")));
        }
        if before == Some(mirror) {
            return None;
        }
        let rule = "copies are made for a release in verify whose file asks for them";
        let Some(entry) = release.and_then(|release| self.book.releases.get(&release)) else {
            return Some((rule, format!("{release:?}")));
        };
        let is_meant = (entry.slot, entry.revision) == (Some(slot), mirror.arm.revision)
            && entry.shadow_rule().is_some_and(|shadow| shadow.rules == mirror.rules);
        let may = entry.stage == Stage::Verify && !entry.undoing && entry.outcome.is_none() && !entry.paused;
        (!is_meant || !may).then(|| (rule, format!("{entry:?}")))
    }

    /// Why the comparison of a release may not be over now.
    fn broken_by_ending_shadow(&self, entry: &Entry) -> Option<(&'static str, String)> {
        if entry.paused {
            return Some(("a paused release does not go on", String::new()));
        }
        let shadow = entry.shadow.as_ref()?;
        let Some(in_force_at) = shadow.in_force_at else {
            return Some(("copies are seen to be made before they are enough", format!("{shadow:?}")));
        };
        let said = self.said_of(entry.release, During::Shadow, None, in_force_at);
        let said = said.and_then(|seen| seen.verdicts.iter().find(|said| said.check == SHADOW_CHECK));
        let verdict = said.map_or(Verdict::Inconclusive, |said| said.verdict);
        if verdict == Verdict::Fail {
            return Some(("what differs gets no traffic", format!("{said:?}")));
        }
        let end = in_force_at + entry.shadow_rule()?.stays.as_micros() + shadow.held;
        if !shadow.promoted && self.now < end {
            return Some(("a comparison has its time", format!("{} us too early", end - self.now)));
        }
        let may = shadow.promoted || verdict == Verdict::Pass;
        (!may).then(|| ("a comparison is left on a pass, or by a person", format!("{said:?}")))
    }

    /// Why a release may not leave verify, as far as its comparison goes.
    pub(crate) fn broken_by_missing_shadow(&self, entry: &Entry, stage: Stage) -> Option<(&'static str, String)> {
        let leaves = entry.stage == Stage::Verify && matches!(stage, Stage::Approve | Stage::Shift);
        let has_live = self.book.heading().is_some_and(|(live, _)| entry.slot == Some(live.other()));
        let is_due = leaves && has_live && entry.shadow_rule().is_some();
        let is_over = entry.shadow.as_ref().is_some_and(|shadow| shadow.is_over);
        (is_due && !is_over).then(|| ("no traffic moves before answers were compared", format!("{:?}", entry.shadow)))
    }

    /// Copies are made as long as a release is in its comparison: the next decision after it ends them.
    pub(crate) fn watch_mirror(&mut self, decision: &Decision) {
        let mirror = self.book.routed.as_ref().and_then(|(_, goal)| goal.mirror.as_ref());
        let Some((slot, revision)) = mirror.map(|mirror| (mirror.arm.slot, mirror.arm.revision)) else { return };
        let is_its = |entry: &Entry| entry.is_in_shadow() && (entry.slot, entry.revision) == (Some(slot), revision);
        let is_taken_off = decision.drafts.iter().any(|draft| match &draft.event {
            Event::Routed { goal, .. } => goal.mirror.is_none(),
            _ => false,
        });
        if !self.book.releases.values().any(is_its) && !is_taken_off {
            self.violate("no copies are made after their comparison", || format!("{slot} {revision}"));
        }
    }
}
