//! What is left to do once a release has its outcome: keep the old slot warm for a while, then stop it; or clear the
//! slot of what was undone. Then the release is settled and its receipt closed.

use switchover_model::record::Event;
use switchover_model::release::{Outcome, Stage};
use switchover_model::{ReleaseId, Slot, Span};

use crate::attempts::{self, Progress};
use crate::turn::{Turn, planted};
use crate::{limits, slots, wait};

pub(crate) fn step(turn: &mut Turn<'_>, id: ReleaseId) {
    let Some(release) = turn.release(id) else { return };
    let cleared = match release.outcome {
        Some(Outcome::Succeeded { .. }) => retired(turn, id),
        Some(Outcome::RolledBack { .. } | Outcome::Aborted { .. } | Outcome::Superseded { .. }) => left(turn, id),
        Some(Outcome::Failed { .. }) => true,
        None => false,
    };
    if cleared && attempts_ended(turn, id) {
        settle(turn, id);
    }
}

/// Whether the slot that the release moved from is stopped and empty, its warm time being over.
fn retired(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some((slot, _)) = turn.place(id) else { return true };
    let old = slot.other();
    let state = turn.app.slot(old);
    let is_newer = |owner: Option<ReleaseId>| owner.is_some_and(|owner| owner > id);
    if state.revision.is_some() && !is_newer(state.release) {
        let warm = turn.app.config.as_ref().map_or(Span::ZERO, |config| config.release.keep_warm);
        let entered_at = turn.release(id).map(crate::release::Release::entered_at).unwrap_or_default();
        if !turn.over(entered_at, warm) {
            turn.waited_out(id, wait::KEEP_WARM, warm);
            return false;
        }
        if slots::is_draining(turn, old) || turn.is_held(id) {
            return false;
        }
        if planted!(turn, ForgetToStop) {
            return true;
        }
        turn.record(Event::Stopped { slot: old });
    }
    let stopping = turn.app.slot(old).stopping.filter(|stopping| !is_newer(stopping.release));
    if stopping.is_some() && !is_emptied(turn, id, old) {
        return false;
    }
    match attempts::run_hooks(turn, id, Stage::Retire) {
        Progress::Passed => true,
        Progress::Running => false,
        Progress::Failed(problem) => {
            turn.record(Event::Noted { release: Some(id), problem });
            true
        }
    }
}

/// Whether the slot of a release that was undone is drained, stopped and empty.
fn left(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some((slot, _)) = turn.place(id) else { return true };
    let leads_there = turn.app.heading().is_some_and(|live| live.slot == slot);
    if turn.app.slot(slot).release == Some(id) && !leads_there {
        if slots::is_draining(turn, slot) {
            return false;
        }
        turn.record(Event::Stopped { slot });
    }
    let ours = turn.app.slot(slot).stopping.is_some_and(|stopping| stopping.release == Some(id));
    !ours || is_emptied(turn, id, slot)
}

/// Waits for a slot to be empty. What does not end in time is noted; the order to stop stays.
fn is_emptied(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot) -> bool {
    if planted!(turn, SettledEarly) {
        return true;
    }
    let Some(stopping) = turn.app.slot(slot).stopping else { return true };
    let limit = slots::empty_limit(&turn.app, stopping.revision);
    if !turn.over(stopping.since, limit) {
        turn.waited_out(id, wait::CLEARED, limit);
        return false;
    }
    let problem = slots::not_empty(turn, slot);
    turn.record(Event::Noted { release: Some(id), problem });
    true
}

fn attempts_ended(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some(release) = turn.release(id) else { return false };
    if release.running_attempts().next().is_none() {
        return true;
    }
    turn.waited_out(id, wait::ATTEMPTS, limits::CANCEL)
}

fn settle(turn: &mut Turn<'_>, id: ReleaseId) {
    let ledger = turn.ledger();
    if ledger.is_none() && !turn.waited_out(id, wait::COUNTERS, limits::UNKNOWN) {
        return;
    }
    turn.record(Event::Settled { release: id, ledger });
}
