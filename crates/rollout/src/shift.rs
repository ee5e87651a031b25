//! Stage shift: traffic and workers move to the new slot, all at once or the traffic by steps first, and are seen to have
//! moved.

use switchover_model::record::Event;
use switchover_model::release::Stage;
use switchover_model::seam::{InstanceSeen, Phase};
use switchover_model::{Problem, ReleaseId, RevisionId, Slot};

use crate::release::Release;
use crate::sight::Fitness;
use crate::slots::longer;
use crate::turn::{Turn, planted};
use crate::{
    ailment, attempts, bake, checks, limits, provision, rolling, routes, schema, steps, wait, windows, workers,
};

/// Enters the shift, when the new slot is seen healthy at this very moment.
pub(crate) fn enter(turn: &mut Turn<'_>, id: ReleaseId) {
    let Some((slot, revision)) = turn.place(id) else { return };
    if turn.is_held(id) {
        return;
    }
    // Asked first: what was seen healthy is looked at again when it has passed.
    if !attempts::may_begin(turn, id, Stage::Shift) {
        return;
    }
    rolling::grow_alone(turn, id, slot);
    let is_sure = turn.sure_fitness(slot, revision) == turn.fitness(slot, revision);
    if !is_sure || !provision::is_ready(turn, slot, revision) {
        if turn.waited_out(id, wait::READY, limits::READY) {
            let (why, lines) = turn.sight.ailments(&turn.app, slot, revision);
            let cause =
                format!("{revision} in {slot} was healthy once, but was not seen so again before its shift: {why}");
            let next = ailment::next_step(&lines);
            turn.undo(id, Problem::new("HEALTH-LOST", cause, next).with_detail(lines));
        }
        return;
    }
    // A window is asked when nothing else is in the way, so that what never ends otherwise is not waited for from window to
    // window; the restore point is set right before the traffic moves.
    if !schema::lets_shift(turn, id) || !windows::let_pass(turn, id) || !schema::restore_point_is_set(turn, id) {
        return;
    }
    turn.record(Event::Entered { release: id, stage: Stage::Shift, slot: Some(slot) });
    steps::begin(turn, id, slot, revision);
}

pub(crate) fn step(turn: &mut Turn<'_>, id: ReleaseId) {
    let Some((slot, revision)) = turn.place(id) else { return };
    if schema::is_broken(turn, id) {
        return;
    }
    // In its steps they are asked by the step.
    if !turn.release(id).is_some_and(Release::is_in_steps) && checks::are_breached(turn, id) {
        return;
    }
    if turn.release(id).is_some_and(|release| release.switched_at.is_some()) {
        if !breaks_down(turn, id, slot, revision)
            && attempts::hooks_passed(turn, id, Stage::Shift)
            && attempts::may_begin(turn, id, Stage::Bake)
        {
            turn.record(Event::Entered { release: id, stage: Stage::Bake, slot: None });
        }
        return;
    }
    if breaks_down(turn, id, slot, revision) {
        return;
    }
    if turn.release(id).is_some_and(Release::is_in_steps) {
        return steps::step(turn, id, slot, revision);
    }
    if !routes::are_in_force(turn) && !planted!(turn, SwitchedBeforeInForce) {
        return await_switch(turn, id, slot, revision);
    }
    if !workers::are_told(turn, slot) {
        turn.record(Event::HandedOver { release: id, to: slot });
    }
    if !workers::have_moved(turn, slot, revision) {
        if let Some(seen) = turn.sight.crash_loop(slot, revision) {
            let (why, lines) = turn.sight.ailments(&turn.app, slot, revision);
            let cause = format!("{} of {revision} in {slot} ends by itself again and again: {why}", seen.process);
            let next = "Read the app's last lines, mend it, then deploy again.";
            return turn.undo(id, Problem::new("INSTANCE-EXITED", cause, next).with_detail(lines));
        }
        let limit = workers::limit(turn, slot, revision);
        if turn.waited_out(id, wait::HANDOVER, limit) {
            let (why, lines) = turn.sight.ailments(&turn.app, slot, revision);
            let cause = format!("the workers were not handed over to {revision} in {slot} within {limit}: {why}");
            let next = ailment::next_step(&lines);
            turn.undo(id, Problem::new("WORKERS-NOT-HANDED-OVER", cause, next).with_detail(lines));
        }
        return;
    }
    if !routes::are_seen_in_force(turn) && !planted!(turn, SwitchedBeforeInForce) {
        return await_switch(turn, id, slot, revision);
    }
    let ledger = turn.ledger_since(turn.release(id).map(|release| release.opened_at).unwrap_or_default());
    turn.record(Event::Switched { release: id, ledger });
}

/// Waits for the switch, or the step, to be seen, for a bounded time.
pub(crate) fn await_switch(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot, revision: RevisionId) {
    if turn.waited_out(id, wait::ROUTE, limits::ROUTE) {
        let cause = format!("the switch to {revision} in {slot} was not seen in force within {}.", limits::ROUTE);
        turn.undo(id, Problem::new("SWITCH-NOT-SEEN", cause, "Look whether the router runs, then deploy again."));
    }
}

/// Undoes the release when its slot can answer nothing while the old one can.
pub(crate) fn breaks_down(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot, revision: RevisionId) -> bool {
    let down = turn.fitness(slot, revision) == Fitness::Down;
    if planted!(turn, BakeLooksAway) || !(down && bake::old_can_serve(turn, slot)) || comes_back(turn, slot, revision) {
        return false;
    }
    let (why, lines) = turn.sight.ailments(&turn.app, slot, revision);
    let cause = format!("{revision} in {slot} has no healthy instance left: {why}");
    let next = ailment::next_step(&lines);
    turn.undo(id, Problem::new("HEALTH-LOST", cause, next).with_detail(lines));
    true
}

/// Everything was gone when this platform began to look, as after a reboot, and the slot is being started again: that is no
/// fault of its revision for as long as its start may take.
pub(crate) fn comes_back(turn: &mut Turn<'_>, slot: Slot, revision: RevisionId) -> bool {
    let Some(since) = turn.sight.platform.map(|platform| platform.since) else { return false };
    let starts = |seen: &InstanceSeen| {
        matches!(seen.phase, Phase::Starting { .. } | Phase::Healthy { .. }) && seen.restarts == 0
    };
    let all_start = turn.sight.in_slot(slot).all(starts);
    let boot = turn.app.revisions.get(&revision).and_then(|state| state.boot).unwrap_or_default();
    all_start && !turn.over(since, longer(boot, limits::PROVISION_ALLOWANCE))
}
