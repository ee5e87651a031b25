//! The idle slot: made free before a release takes it, seen empty before it counts as such.

use std::collections::BTreeSet;

use switchover_model::record::Event;
use switchover_model::release::{Outcome, ReleaseKind, Stage};
use switchover_model::{InstanceId, Problem, ReleaseId, RevisionId, Slot, Span};

use crate::app::{App, Renewal};
use crate::turn::{Turn, planted};
use crate::{attempts, limits, rolling, routes, wait};

/// Records what was told to stop and is seen empty by a look that is younger than the order.
pub(crate) fn confirm_empty(turn: &mut Turn<'_>) {
    for slot in Slot::BOTH {
        let Some(stopping) = turn.app.slot(slot).stopping else { continue };
        let fresh = turn.sight.platform.is_some_and(|platform| platform.at > stopping.since);
        if fresh && turn.sight.in_slot(slot).next().is_none() {
            turn.record(Event::Emptied { slot });
        }
    }
}

/// Takes the idle slot for a release: ends what older releases still keep there, waits until it is empty, checks
/// headroom, and enters provision.
pub(crate) fn claim(turn: &mut Turn<'_>, id: ReleaseId) {
    if turn.is_held(id) {
        return;
    }
    let older: Vec<(ReleaseId, Option<Stage>, bool)> = turn
        .app
        .releases
        .iter()
        .filter(|other| other.id < id && other.is_open())
        .map(|other| (other.id, other.stage(), other.is_undoing()))
        .collect();
    for (other, stage, undoing) in older {
        if !undoing && stage == Some(Stage::Bake) {
            if !attempts::may_begin(turn, id, Stage::Provision) {
                return;
            }
            end_bake(turn, other, Outcome::Succeeded { proven: false });
        } else {
            turn.waited_out(id, wait::TURN, limits::PAUSE);
            return;
        }
    }
    if !attempts::may_begin(turn, id, Stage::Provision) {
        return;
    }
    let slot = turn.app.heading().map_or(Slot::Blue, |live| live.slot.other());
    let state = turn.app.slot(slot);
    if state.revision.is_some() {
        if is_draining(turn, slot) {
            // Bounded by the drain's own bound.
            turn.waited_out(id, wait::DRAIN, limits::PAUSE);
            return;
        }
        let own = turn.release(id).map(|release| release.revision);
        if state.revision == own {
            // A way back to what is still there: it is not started anew.
            turn.record(Event::Entered { release: id, stage: Stage::Provision, slot: Some(slot) });
            rolling::begin_small(turn, id, slot);
            if let Some(revision) = own {
                let ill = turn.sight.ill(&turn.app, slot, revision);
                renew(turn, id, (slot, revision), &ill);
            }
            return;
        }
        if !routes::are_in_force(turn) {
            // A switch back that was never seen: the slot may still have the traffic.
            if turn.waited_out(id, wait::ROUTE_BACK, limits::ROUTE) {
                turn.undo(id, still_led_there(slot));
            }
            return;
        }
        turn.record(Event::Stopped { slot });
        if !planted!(turn, ReuseSlotNotEmpty) {
            return;
        }
    }
    if let (Some(stopping), false) = (turn.app.slot(slot).stopping, planted!(turn, ReuseSlotNotEmpty)) {
        let limit = empty_limit(&turn.app, stopping.revision);
        turn.waited_out(id, wait::EMPTY, limit);
        if stop_is_overdue(turn, slot, longer(limit, limits::UNKNOWN)) {
            turn.undo(id, not_empty(turn, slot));
        }
        return;
    }
    provision(turn, id, slot);
}

/// A bake is over: the release has its outcome, and what it moved from is retired.
pub(crate) fn end_bake(turn: &mut Turn<'_>, id: ReleaseId, outcome: Outcome) {
    turn.conclude(id, outcome);
    turn.record(Event::Entered { release: id, stage: Stage::Retire, slot: None });
}

/// Has ill instances of a slot that a way back leads to replaced: for one release as many as the slot has, so that what is
/// ill anew has an end.
pub(crate) fn renew(
    turn: &mut Turn<'_>,
    id: ReleaseId,
    (slot, revision): (Slot, RevisionId),
    ailing: &BTreeSet<InstanceId>,
) {
    let scale = turn.app.full_scale(revision);
    let most: u32 = scale.iter().filter(|(name, _)| turn.app.is_routed(revision, name)).map(|(_, count)| count).sum();
    let of_this = Renewal::count_of(turn.app.slot(slot).renewal.as_ref(), Some(id));
    if !planted!(turn, IllStayOnTheWayBack) {
        replace(turn, Some(id), slot, ailing, most.saturating_sub(of_this) as usize);
    }
}

/// Has at most `most` of the ailing instances of the slot replaced that are not being so yet; says how many.
pub(crate) fn replace(
    turn: &mut Turn<'_>,
    release: Option<ReleaseId>,
    slot: Slot,
    ailing: &BTreeSet<InstanceId>,
    most: usize,
) -> usize {
    let known = turn.app.slot(slot).renewal.map(|before| before.instances).unwrap_or_default();
    let instances: BTreeSet<InstanceId> = ailing.difference(&known).take(most).cloned().collect();
    let count = instances.len();
    if count > 0 {
        let there: BTreeSet<InstanceId> = turn.sight.in_slot(slot).map(|seen| seen.id.clone()).collect();
        turn.record(Event::Renewed { release, slot, instances, still: &known & &there });
    }
    count
}

fn provision(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot) {
    let Some(platform) = turn.sight.platform else {
        if turn.waited_out(id, wait::PLATFORM, limits::UNKNOWN) {
            let cause =
                format!("the platform did not answer for {}, so the idle slot could not be prepared.", limits::UNKNOWN);
            turn.undo(id, Problem::new("PLATFORM-UNKNOWN", cause, "See the daemon's log for why, then deploy again."));
        }
        return;
    };
    let occupied = turn.sight.in_slot(slot).next().is_some();
    if occupied && !planted!(turn, ReuseSlotNotEmpty) {
        // Strangers in the slot: told to stop, then waited for like any other occupant.
        turn.record(Event::Stopped { slot });
        return;
    }
    // A return builds nothing: a full disk never forbids going back.
    let returns = turn.release(id).is_some_and(|release| matches!(release.kind, ReleaseKind::Return { .. }));
    let lack = platform.headroom.clone().filter(|lack| !(returns && lack.code == "DISK-FULL"));
    if let Some(lack) = lack {
        return turn.undo(id, lack);
    }
    turn.record(Event::Entered { release: id, stage: Stage::Provision, slot: Some(slot) });
    rolling::begin_small(turn, id, slot);
}

/// Whether requests of before the last switch may still be on this slot.
pub(crate) fn is_draining(turn: &Turn<'_>, slot: Slot) -> bool {
    !planted!(turn, SkipDrain) && turn.app.draining.is_some_and(|draining| draining.slot == slot)
}

/// Whether the slot is kept for the way back to it.
pub(crate) fn is_warm(turn: &Turn<'_>, slot: Slot) -> bool {
    let retiring = turn.app.releases.iter().any(|release| {
        matches!(release.stage(), Some(Stage::Bake | Stage::Retire | Stage::Contract))
            && release.slot == Some(slot.other())
    });
    retiring && turn.app.heading().is_some_and(|live| live.slot != slot)
}

/// How long a slot may take to be empty.
pub(crate) fn empty_limit(app: &App, revision: Option<RevisionId>) -> Span {
    let state = revision.and_then(|revision| app.revisions.get(&revision));
    let graces = state.iter().flat_map(|state| state.revision.processes.values()).map(|process| process.stop.grace);
    longer(graces.max().unwrap_or(Span::ZERO), limits::EMPTY_ALLOWANCE)
}

/// Whether what was told to stop had its whole time for it. The order may be older than its being carried out (nobody was
/// there to give it, or nobody looks): then it is given `unbegun`.
pub(crate) fn stop_is_overdue(turn: &mut Turn<'_>, slot: Slot, unbegun: Span) -> bool {
    let Some(stopping) = turn.app.slot(slot).stopping else { return false };
    let limit = empty_limit(&turn.app, stopping.revision);
    match turn.sight.stopping_since(slot) {
        _ if !turn.over(stopping.since, limit) => false,
        Some(since) => turn.over(since, limit),
        None => turn.over(stopping.since, unbegun),
    }
}

pub(crate) fn not_empty(turn: &Turn<'_>, slot: Slot) -> Problem {
    let left: Vec<String> = turn.sight.in_slot(slot).map(|seen| seen.id.to_string()).collect();
    let left = if left.is_empty() { "nobody could look".to_owned() } else { left.join(", ") };
    let cause = format!("slot {slot} was told to stop and was not seen empty in time ({left}).");
    Problem::new(
        "SLOT-NOT-EMPTY",
        cause,
        "Look at what is left with `switchover status`; end it by hand, then deploy again.",
    )
}

fn still_led_there(slot: Slot) -> Problem {
    let cause = format!(
        "slot {slot}, which it would use, may still have the traffic: the last switch was not seen in force within {}.",
        limits::ROUTE
    );
    Problem::new("SWITCH-NOT-SEEN", cause, "Look whether the router runs, then deploy again.")
}

/// Two spans together.
pub(crate) fn longer(span: Span, by: Span) -> Span {
    Span::from_micros(span.as_micros().saturating_add(by.as_micros()))
}
