//! Stage bake: full traffic on the new slot, watched. A breach rolls back by itself while the old slot can serve;
//! unknown evidence keeps serving and ends unproven.

use switchover_model::release::{Outcome, Stage};
use switchover_model::{Problem, ReleaseId, RevisionId, Slot, Span};

use crate::sight::Fitness;
use crate::turn::{Turn, planted};
use crate::{ailment, attempts, checks, limits, rolling, schema, shift, slots, wait};

pub(crate) fn step(turn: &mut Turn<'_>, id: ReleaseId) {
    let Some((slot, revision)) = turn.place(id) else { return };
    if schema::is_broken(turn, id) || shift::breaks_down(turn, id, slot, revision) {
        return;
    }
    if checks::are_breached(turn, id) {
        return;
    }
    // Asked before its health: a slot that is ill in this moment must not keep a failed hook from being heard.
    if let Some(cause) = attempts::failed_hook(turn, id, Stage::Bake) {
        return turn.undo(id, cause);
    }
    let length = turn.app.config.as_ref().map_or(Span::ZERO, |config| config.release.bake);
    let entered_at = turn.release(id).map(crate::release::Release::entered_at).unwrap_or_default();
    let over = turn.over(entered_at, length);
    match turn.fitness(slot, revision) {
        Fitness::Whole => {
            if crashes(turn, id, slot, revision) {
                return;
            }
            if !over {
                turn.waited_out(id, wait::BAKE, length);
                return;
            }
        }
        Fitness::Unknown => {
            turn.waited_out(id, wait::EVIDENCE, length);
            if !over {
                return;
            }
        }
        Fitness::Partial | Fitness::Down => {
            if crashes(turn, id, slot, revision) || !recovery_is_over(turn, id, slot, revision) {
                return;
            }
            return fail(turn, id, slot, revision);
        }
    }
    if attempts::hooks_passed(turn, id, Stage::Bake) {
        if let Some(cause) = checks::standing_breach(turn, id) {
            return turn.conclude(id, Outcome::Failed { cause });
        }
        let is_judged_well = checks::have_proven(turn, id);
        let proven = is_judged_well && is_proven(turn, id, slot, revision, length);
        slots::end_bake(turn, id, Outcome::Succeeded { proven });
    }
}

/// Rolls back when an instance of the new slot, a worker too, ends by itself again and again.
pub(crate) fn crashes(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot, revision: RevisionId) -> bool {
    let Some(seen) = turn.sight.crash_loop(slot, revision) else { return false };
    if !old_can_serve(turn, slot) {
        return false;
    }
    let (why, lines) = turn.sight.ailments(&turn.app, slot, revision);
    let cause = format!("{} of {revision} in {slot} ends by itself again and again: {why}", seen.process);
    roll_back(turn, id, "INSTANCE-EXITED", cause, lines)
}

/// Rolls back when the slot stays less than whole, or is so again and again; says whether waiting for it has no end
/// that would help because there is no way back.
pub(crate) fn recovery_is_over(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot, revision: RevisionId) -> bool {
    let over = turn.waited_out(id, wait::RECOVERY, limits::DIP);
    let dips = turn.release(id).map_or(0, |release| release.dips);
    if old_can_serve(turn, slot) && !shift::comes_back(turn, slot, revision) {
        if over || dips > limits::DIPS {
            let (why, lines) = turn.sight.ailments(&turn.app, slot, revision);
            let cause = format!("{revision} in {slot} is not wholly healthy under full traffic: {why}");
            roll_back(turn, id, "HEALTH-LOST", cause, lines);
        }
        return false;
    }
    turn.waited_out(id, wait::RECOVERY, limits::RECOVERY)
}

fn roll_back(turn: &mut Turn<'_>, id: ReleaseId, code: &str, cause: String, lines: Vec<String>) -> bool {
    if planted!(turn, BakeLooksAway) {
        return false;
    }
    let next = ailment::next_step(&lines);
    turn.undo(id, Problem::new(code, cause, next).with_detail(lines));
    true
}

fn fail(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot, revision: RevisionId) {
    let (why, lines) = turn.sight.ailments(&turn.app, slot, revision);
    let cause = format!(
        "{revision} in {slot} has all the traffic and is not wholly healthy: {why} The old slot can not serve, so it was \
         waited {} for a recovery and the traffic left where it is.",
        limits::RECOVERY
    );
    let next = "Mend the app and deploy again, or `switchover rollback --to` a revision that is known to be good.";
    let cause = Problem::new("NO-HEALTHY-SLOT", cause, next).with_detail(lines);
    turn.conclude(id, Outcome::Failed { cause });
}

/// Whether the old slot can take the traffic back: as it is, or started again where a rolling release has emptied it.
pub(crate) fn old_can_serve(turn: &Turn<'_>, slot: Slot) -> bool {
    let serves = turn.old_place(slot).is_some_and(|(slot, revision)| turn.fitness(slot, revision).can_serve());
    serves || rolling::can_start_again(turn, slot.other())
}

/// Whether the bake was watched and the new revision was seen to answer.
fn is_proven(turn: &Turn<'_>, id: ReleaseId, slot: Slot, revision: RevisionId, length: Span) -> bool {
    if planted!(turn, UnprovenIsProven) {
        return true;
    }
    let Some(release) = turn.release(id) else { return false };
    let blind = release.blind.as_micros();
    let holds = schema::unknown_invariant(turn).or_else(|| schema::broken_invariant(turn)).is_none();
    if !holds || turn.fitness(slot, revision) != Fitness::Whole || blind > length.as_micros() / limits::BLIND_PART {
        return false;
    }
    let routed = turn
        .app
        .revisions
        .get(&revision)
        .is_some_and(|state| state.revision.processes.values().any(|process| process.handover.is_none()));
    let answered = |ledger: &switchover_model::receipt::Ledger| {
        // An answer of 5xx says nothing for it.
        ledger.by_revision.get(&revision).map_or(0, |counted| counted.answered[..4].iter().sum::<u64>())
    };
    let before = release.switched_ledger.as_deref().map(answered);
    let after = turn.sight.traffic.map(|traffic| answered(&traffic.ledger));
    !routed || before.zip(after).is_some_and(|(before, after)| after > before)
}
