//! One decision being made: a working copy of the app to which each draft is applied as it is written, so that the next
//! rule sees it, and several stages are gone through in one turn when there is nothing to wait for.

use switchover_model::config::Fraction;
use switchover_model::receipt::Ledger;
use switchover_model::record::{Actor, Draft, Event, IdempotencyKey, Record};
use switchover_model::release::{Command, Outcome};
use switchover_model::seam::Seen;
use switchover_model::{Problem, ReleaseId, RevisionId, Slot, Span, Timestamp};

use crate::app::App;
use crate::limits;
use crate::receipt::trimmed;
use crate::release::Release;
use crate::sight::{Fitness, Sight};

pub(crate) struct Turn<'a> {
    pub(crate) app: App,
    /// The releases that were settled before this decision.
    pub(crate) archive: &'a [Release],
    pub(crate) sight: Sight<'a>,
    pub(crate) now: Timestamp,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) wake: Option<Timestamp>,
    #[cfg(feature = "planted-bugs")]
    pub(crate) bug: Option<crate::planted::Bug>,
}

/// Whether the named mistake is planted; always false without the feature.
macro_rules! planted {
    ($holder:expr, $bug:ident) => {{
        #[cfg(feature = "planted-bugs")]
        let planted = $holder.bug == Some(crate::planted::Bug::$bug);
        #[cfg(not(feature = "planted-bugs"))]
        let planted = {
            let _ = &$holder;
            false
        };
        planted
    }};
}
pub(crate) use planted;

impl<'a> Turn<'a> {
    pub(crate) fn new(app: &'a App, seen: &'a Seen, now: Timestamp) -> Self {
        Self {
            app: app.working_copy(),
            archive: &app.archive,
            sight: Sight::new(seen, now),
            now,
            drafts: Vec::new(),
            wake: None,
            #[cfg(feature = "planted-bugs")]
            bug: None,
        }
    }

    /// Writes a draft, and applies it.
    pub(crate) fn record(&mut self, event: Event) {
        let draft = Draft { at: self.now, actor: Actor::Controller, event };
        self.app.apply(&Record {
            sequence: self.app.sequence + 1,
            at: draft.at,
            actor: draft.actor.clone(),
            event: draft.event.clone(),
        });
        self.drafts.push(draft);
    }

    /// Looks again at `at`, or earlier.
    pub(crate) fn wake_at(&mut self, at: Timestamp) {
        if at > self.now {
            self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
        }
    }

    pub(crate) fn release(&self, id: ReleaseId) -> Option<&Release> {
        self.app.release(id)
    }

    /// Every remembered release, settled or not, in no order.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = &Release> {
        self.archive.iter().chain(&self.app.archive).chain(&self.app.releases)
    }

    /// The slot and revision of a release that has entered provision.
    pub(crate) fn place(&self, id: ReleaseId) -> Option<(Slot, RevisionId)> {
        self.release(id).and_then(|release| release.slot.map(|slot| (slot, release.revision)))
    }

    /// What runs in `slot`, when it shall run something.
    pub(crate) fn occupant(&self, slot: Slot) -> Option<RevisionId> {
        self.app.slot(slot).revision
    }

    /// How the slot is, as far as its routed processes go.
    pub(crate) fn fitness(&self, slot: Slot, revision: RevisionId) -> Fitness {
        self.believed(self.sight.fitness(&self.app, slot, revision))
    }

    /// The same, were this part of its scale all that is wanted of it.
    pub(crate) fn fitness_of_part(&self, slot: Slot, revision: RevisionId, part: Fraction) -> Fitness {
        self.believed(self.sight.fitness_of_part(&self.app, slot, revision, part))
    }

    /// The same by those alone who have answered since their slot was last asked, and are not silent.
    pub(crate) fn sure_fitness(&self, slot: Slot, revision: RevisionId) -> Fitness {
        if planted!(self, DoubtIsTrust) {
            return self.fitness(slot, revision);
        }
        if planted!(self, LastAnswerIsEnough) && self.sight.silent(&self.app, slot, revision).is_empty() {
            return self.fitness(slot, revision);
        }
        self.believed(self.sight.sure_fitness(&self.app, slot, revision))
    }

    fn believed(&self, fitness: Fitness) -> Fitness {
        if fitness == Fitness::Unknown && planted!(self, UnknownIsHealthy) { Fitness::Whole } else { fitness }
    }

    /// Whether the slot that `release` moves from could take the traffic, and what is in it.
    pub(crate) fn old_place(&self, slot: Slot) -> Option<(Slot, RevisionId)> {
        let old = slot.other();
        self.occupant(old).map(|revision| (old, revision))
    }

    /// Waits, and says whether `limit` is over since the wait began.
    pub(crate) fn waited_out(&mut self, id: ReleaseId, reason: &str, limit: Span) -> bool {
        let waiting = self.release(id).and_then(|release| release.waiting.clone());
        let since = match waiting {
            Some(waiting) if waiting.reason == reason => waiting.since,
            Some(_) | None => {
                self.record(Event::Waiting { release: id, reason: reason.to_owned() });
                self.now
            }
        };
        self.over(since, limit)
    }

    /// Whether it is this that the release waits for.
    pub(crate) fn waits_for(&self, id: ReleaseId, reason: &str) -> bool {
        let waiting = self.release(id).and_then(|release| release.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason == reason)
    }

    /// Whether `limit` is over since `since`; looks again when it will be.
    pub(crate) fn over(&mut self, since: Timestamp, limit: Span) -> bool {
        let end = since + limit;
        self.wake_at(end);
        self.now >= end
    }

    /// Begins to undo a release by our own decision.
    pub(crate) fn undo(&mut self, id: ReleaseId, cause: Problem) {
        self.record(Event::Undoing { release: id, cause: Some(cause), detach: false });
    }

    pub(crate) fn conclude(&mut self, id: ReleaseId, outcome: Outcome) {
        self.record(Event::Concluded { release: id, outcome });
    }

    /// The router's counters, read at `moment` or later.
    pub(crate) fn ledger_since(&self, moment: Timestamp) -> Option<Box<Ledger>> {
        let traffic = self.sight.traffic.filter(|traffic| traffic.at >= moment);
        traffic.map(|traffic| Box::new(trimmed(&traffic.ledger, &self.app, self.archive.iter())))
    }

    /// Whether a person holds the release. A hold has an end: before the switch the release is undone, later it goes on.
    pub(crate) fn is_held(&mut self, id: ReleaseId) -> bool {
        if planted!(self, PausedGoesOn) {
            return false;
        }
        let Some(release) = self.release(id) else { return false };
        let Some(since) = release.paused else { return false };
        let switched = release.switched_at.is_some();
        if !self.over(since, limits::PAUSE) {
            return true;
        }
        if switched {
            let key = IdempotencyKey(format!("end-of-pause-{id}-{}", since.as_micros()));
            self.record(Event::Commanded { key, command: Command::Resume { release: id } });
            return false;
        }
        let cause = format!("release {id} was paused for {}.", limits::PAUSE);
        self.undo(id, Problem::new("PAUSED-TOO-LONG", cause, "Deploy again when it may go on."));
        true
    }
}
