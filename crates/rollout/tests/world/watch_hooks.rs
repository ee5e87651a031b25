//! What must hold of hooks: what they keep from beginning does not begin, and each is asked as often as the file lets it.

use switchover_model::Slot;
use switchover_model::config::{Hook, When};
use switchover_model::record::{Attempt, AttemptResult};
use switchover_model::release::{Outcome, Stage};

use super::book::Entry;
use super::state::World;

impl Entry {
    fn hook(&self, what: &Attempt) -> Option<&Hook> {
        match what {
            Attempt::Hook { hook, .. } => self.config.as_ref()?.release.hooks.get(*hook),
            Attempt::Build { .. } | Attempt::Backup { .. } | Attempt::Migrate { .. } => None,
        }
    }

    /// Whether a hook has tries left, by what ended so far.
    pub(crate) fn may_try_again(&self, what: &Attempt) -> bool {
        let failed = |(tried, result): &&(Attempt, AttemptResult)| {
            tried == what && matches!(result, AttemptResult::Failed { .. })
        };
        let failures = self.attempts.iter().filter(failed).count();
        self.hook(what).is_some_and(|hook| failures <= hook.retries as usize)
    }

    /// A hook that is asked before the stage and has not passed.
    fn unasked(&self, stage: Stage) -> Option<usize> {
        let hooks = &self.config.as_ref()?.release.hooks;
        let due = |(index, hook): &(usize, &Hook)| {
            hook.stage == stage && hook.when == When::Before && !self.hooks_passed.contains(index)
        };
        hooks.iter().enumerate().find(due).map(|(index, _)| index)
    }
}

impl World {
    /// A stage is entered whose hooks before it have not passed. What is before retire is asked later, before the old slot is
    /// stopped.
    pub(crate) fn broken_by_beginning(&self, entry: &Entry, stage: Stage) -> Option<(&'static str, String)> {
        let unasked = entry.unasked(stage).filter(|_| stage != Stage::Retire)?;
        Some(("a stage begins when the hooks before it have passed", format!("hook {unasked}")))
    }

    /// A hook is asked once more than it may be, or sooner.
    pub(crate) fn broken_by_asking(&self, entry: &Entry, what: &Attempt) -> Option<(&'static str, String)> {
        let hook = entry.hook(what)?;
        let ended = entry.attempts.iter().zip(&entry.attempts_ended_at);
        let ((_, last), ended_at) = ended.rev().find(|((tried, _), _)| tried == what)?;
        let again = matches!(last, AttemptResult::Failed { .. } | AttemptResult::NotYet { .. });
        if matches!(last, AttemptResult::Failed { .. }) && !entry.may_try_again(what) {
            return Some(("a hook is tried as often as the file says", format!("{what:?}")));
        }
        let too_soon = again && self.now < ended_at + hook.pause.as_micros();
        too_soon.then(|| ("a hook is asked again after its pause", format!("{what:?}")))
    }

    /// The old slot of a release that nobody follows is stopped before its hooks let it be.
    pub(crate) fn broken_by_stopping(&self, slot: Slot) -> Option<(&'static str, String)> {
        let newest = self.book.releases.keys().next_back()?;
        let entry = self.book.releases.get(newest).filter(|entry| entry.stage == Stage::Retire && !entry.settled)?;
        let old = entry.slot.map(Slot::other) == Some(slot) && entry.outcome.as_ref().is_some_and(is_success);
        // Who is there that nobody put there goes at once.
        let theirs = self.platform.instances.iter().any(|one| one.slot == slot && Some(one.revision) == entry.from);
        let unasked = entry.unasked(Stage::Retire).filter(|_| old && theirs && !entry.let_go)?;
        Some(("the old slot is stopped when the hooks before that have passed", format!("hook {unasked}")))
    }
}

fn is_success(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Succeeded { .. })
}
