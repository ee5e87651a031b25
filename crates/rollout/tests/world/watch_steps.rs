//! What must hold of the steps of a shift: each at its share, in its turn, after its time, with its gate opened.

use std::rc::Rc;

use switchover_model::config::Step;
use switchover_model::experiment::Decided;
use switchover_model::record::Event;
use switchover_model::release::{ReleaseKind, Stage};
use switchover_model::seam::{Routes, RoutesGoal, Seen};
use switchover_model::{ReleaseId, RevisionId, Share, Slot};
use switchover_rollout::Decision;

use super::book::{Entry, is_split, share_of, whole_arm};
use super::state::World;
use super::watch::Health;
use super::{experiments, settings};

/// One step as the journal tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) step: u32,
    pub(crate) share: Share,
    pub(crate) in_force_at: Option<u64>,
    /// How long of its time the release was held.
    pub(crate) held: u64,
    /// A person ended its wait, whatever for.
    pub(crate) promoted: bool,
    /// A person said yes at its gate.
    pub(crate) approved: bool,
    /// How the experiment ended that it is.
    pub(crate) decided: Option<Box<Decided>>,
}

impl Taken {
    pub(crate) fn new(step: u32, share: Share) -> Self {
        Self { step, share, in_force_at: None, held: 0, promoted: false, approved: false, decided: None }
    }
}

impl Entry {
    /// The steps that its file has before all traffic; of a rolling one none, as they depend on the scale.
    pub(crate) fn planned(&self) -> Vec<Step> {
        let deploys = self.kind == ReleaseKind::Deploy && !self.full;
        self.config.iter().filter(|_| deploys).flat_map(|config| config.release.strategy.steps(&[])).collect()
    }

    /// It has a part of the traffic, on its way to all of it.
    pub(crate) fn is_in_steps(&self) -> bool {
        self.stage == Stage::Shift
            && !self.steps.is_empty()
            && !self.moved_all
            && !self.undoing
            && self.outcome.is_none()
    }

    /// The step it is at, and its number.
    pub(crate) fn at_step(&self) -> Option<u32> {
        self.steps.last().filter(|_| self.is_in_steps()).map(|taken| taken.step)
    }
}

impl Entry {
    /// A person says yes to its step: at the gate that opens the gate alone, and the evidence is still asked.
    pub(crate) fn promote_step(&mut self, full: bool, at: u64) {
        let planned = self.planned();
        let Some(taken) = self.steps.last_mut() else { return };
        let rule = planned.get(taken.step as usize - 1).filter(|rule| rule.approve && !taken.approved && !full);
        let end = taken.in_force_at.zip(rule).map(|(from, rule)| from + rule.stays.as_micros() + taken.held);
        if end.is_some_and(|end| at >= end) {
            taken.approved = true;
        } else {
            taken.promoted = true;
        }
    }
}

/// Who shares the traffic, where more than one does.
fn sharers(routes: &Routes) -> Option<Vec<(Slot, RevisionId)>> {
    let with_share = routes.arms.iter().filter(|arm| arm.share > Share::NONE);
    let sharers: Vec<_> = with_share.map(|arm| (arm.slot, arm.revision)).collect();
    (sharers.len() > 1).then_some(sharers)
}

impl World {
    /// While the same ones share the traffic, what tells a client apart stays as it is, whatever files come.
    pub(crate) fn watch_dealing(&mut self, after: &Routes) {
        let Some(before) = self.router.table.as_ref().filter(|before| sharers(before).is_some()) else { return };
        if sharers(before) == sharers(after) && before.sticky != after.sticky {
            let what = format!("{:?}, then {:?}", before.sticky, after.sticky);
            self.violate("nobody is dealt anew while the traffic is split", || what);
        }
    }

    pub(crate) fn broken_by_stepping(
        &self,
        release: ReleaseId,
        step: u32,
        of: u32,
        share: Share,
    ) -> Option<(&'static str, String)> {
        let entry = self.book.releases.get(&release)?;
        if entry.undoing || entry.outcome.is_some() || entry.stage != Stage::Shift || entry.moved_all {
            return Some(("only a release in its shift takes a step", String::new()));
        }
        if entry.paused {
            return Some(("a paused release does not go on", String::new()));
        }
        if step as usize != entry.steps.len() + 1 {
            return Some(("no step is left out", format!("{step} after {}", entry.steps.len())));
        }
        if self.book.sizes_of(release).is_some() {
            return self.broken_by_batch(entry, share).or_else(|| self.broken_by_leaving(entry));
        }
        let planned = entry.planned();
        let rule = planned.get(step as usize - 1);
        if rule.map(|rule| rule.share) != Some(share) || of as usize != planned.len() {
            return Some(("a step has the share of the file", format!("{share}, not {rule:?}")));
        }
        self.broken_by_leaving(entry)
    }

    /// Why the step that the release is at may not be left yet.
    pub(crate) fn broken_by_leaving(&self, entry: &Entry) -> Option<(&'static str, String)> {
        let last = entry.steps.last()?;
        let Some(in_force_at) = last.in_force_at else {
            return Some(("a step is seen in force before the next", format!("{last:?}")));
        };
        if let Some(broken) = self.broken_by_window(entry) {
            return Some(broken);
        }
        let slot = entry.slot?;
        if self.book.health(self.watch.seen.platform.as_ref(), slot, entry.revision) != Health::Whole {
            return Some(("a step is taken when all of the new slot is seen healthy", format!("{last:?}")));
        }
        if experiments::tried(entry).is_some() {
            if last.promoted {
                return None;
            }
            return self.broken_by_proving_nothing(entry, last).or_else(|| self.broken_by_missing_evidence(entry));
        }
        let rule = match entry.batches() {
            Some(batch) => Some(batch).filter(|_| !last.promoted && !entry.goes_through())?,
            None => *entry.planned().get(last.step as usize - 1).filter(|_| !last.promoted)?,
        };
        let watched_since = self.watch.seen.platform.as_ref().map_or(0, |platform| platform.since.as_micros());
        let end = in_force_at.max(watched_since) + rule.stays.as_micros() + last.held;
        if self.now < end {
            return Some(("a step has its time", format!("{} us too early", end - self.now)));
        }
        if rule.approve && !last.approved {
            return Some(("the gate of a step is opened by a person", format!("{last:?}")));
        }
        self.broken_by_missing_evidence(entry)
    }

    /// Why the release may not move traffic forward at this moment.
    pub(crate) fn broken_by_window(&self, entry: &Entry) -> Option<(&'static str, String)> {
        let has_windows = self.book.config.as_ref().is_some_and(|config| !config.release.windows.is_empty());
        let asks = has_windows && entry.kind == ReleaseKind::Deploy && !entry.waived;
        (asks && !settings::are_open(self.now)).then(|| ("no step in a closed window", String::new()))
    }

    /// Why the share of the release's slot may not become that of `goal`.
    pub(crate) fn broken_by_share(&self, entry: &Entry, goal: &RoutesGoal) -> Option<(&'static str, String)> {
        let slot = entry.slot?;
        let before = self.book.routed.as_ref().map_or(Share::NONE, |(_, before)| share_of(before, slot));
        let after = share_of(goal, slot);
        if self.book.sizes_of(entry.release).is_some() {
            return self.broken_by_batch_share(entry, goal, (before, after));
        }
        if entry.undoing {
            return is_split(goal).then(|| ("what is undone is split no more", format!("{after}")));
        }
        if after < before {
            return Some(("a share shrinks on the way back alone", format!("{before} to {after}")));
        }
        if is_split(goal) {
            let taken = entry.steps.last().map(|last| last.share);
            return (taken != Some(after)).then(|| ("a split is the one of a step", format!("{after}, not {taken:?}")));
        }
        if after == before {
            return None;
        }
        let planned = entry.planned();
        if entry.steps.is_empty() {
            let old = self.book.heading().filter(|(live, revision)| self.book.occupant(*live) == Some(*revision));
            let shares = old.is_some_and(|(live, _)| live == slot.other());
            return (shares && !planned.is_empty())
                .then(|| ("all traffic comes after the last step", "there was none".to_owned()));
        }
        if !planned.is_empty() && entry.steps.len() != planned.len() {
            let what = format!("{} of {}", entry.steps.len(), planned.len());
            return Some(("all traffic comes after the last step", what));
        }
        self.broken_by_leaving(entry)
    }

    /// A split whose release is undone goes back with the first decision that sees all of the old slot answer.
    pub(crate) fn watch_split(&mut self, seen: &Rc<Seen>, decision: &Decision) {
        let Some((_, goal)) = self.book.routed.clone().filter(|(_, goal)| is_split(goal)) else { return };
        let Some((old, revision)) = whole_arm(&goal) else { return };
        let has_schema = self.book.sealed.get(&revision).is_some_and(|sealed| sealed.schema.is_some());
        let is_undone = |entry: &&Entry| entry.undoing && entry.outcome.is_none() && !entry.steps.is_empty();
        let undone = self.book.releases.values().find(is_undone);
        let undone = undone.filter(|entry| self.book.sizes_of(entry.release).is_none());
        let Some((release, since)) = undone.filter(|_| !has_schema).map(|entry| (entry.release, entry.undone_at))
        else {
            return;
        };
        let is_whole = self.is_surely_whole(seen.platform.as_ref(), old, revision);
        let has_answered = self.has_answered(seen.platform.as_ref(), old, since.unwrap_or_default());
        let goes = decision.drafts.iter().any(|draft| match &draft.event {
            Event::Routed { goal, .. } => !is_split(goal),
            _ => false,
        });
        if is_whole && has_answered && !goes {
            self.violate("a split goes back with the decision that sees its answer", || {
                format!("release {release}, {old}")
            });
        }
    }

    /// The slots that have a share of the traffic, as decided.
    pub(crate) fn slots_with_share(&self) -> Vec<Slot> {
        let goal = self.book.routed.as_ref().map(|(_, goal)| goal);
        Slot::BOTH.into_iter().filter(|slot| goal.is_some_and(|goal| share_of(goal, *slot) > Share::NONE)).collect()
    }
}
