//! The way back: before any traffic moved, the idle slot is stopped; afterwards traffic and workers go back to the old
//! slot, as soon as that is seen healthy. What can not be undone ends `failed`, with what is known and what to do.

use switchover_model::record::Event;
use switchover_model::release::Outcome;
use switchover_model::{Problem, ReleaseId, RevisionId, Slot};

use crate::sight::{Fitness, is_healthy};
use crate::turn::{Turn, planted};
use crate::{limits, provision, rolling_back, routes, schema, slots, wait, workers};

pub(crate) fn step(turn: &mut Turn<'_>, id: ReleaseId) {
    let Some(release) = turn.release(id) else { return };
    let cause = release.undoing.as_ref().and_then(|undoing| undoing.cause.clone());
    let Some((slot, revision)) = turn.place(id).filter(|_| release.has_shifted()) else {
        if let (Some((slot, _)), true) = (turn.place(id), planted!(turn, StopLiveSlot)) {
            turn.record(Event::Stopped { slot: slot.other() });
        }
        return turn.conclude(id, Outcome::Aborted { cause });
    };
    if !schema::is_detached(turn, id) {
        return;
    }
    let Some(release) = turn.release(id) else { return };
    let (from, origin) = (release.from, turn.app.origin_of(release));
    let old = if planted!(turn, RollbackToWrongSlot) { Some((slot, revision)) } else { origin };
    if let (Some(from), None, Some(live)) = (from, old, turn.app.heading()) {
        // Only a first release is undone by leading the traffic nowhere.
        let cause = format!(
            "{from} is no longer in the slot that the traffic came from. It was left on {} in {}.",
            live.revision, live.slot
        );
        return stay(turn, id, slot, cause, Vec::new());
    }
    let is_back = match (old, turn.app.sizes_of(id)) {
        (Some(old), Some(sizes)) => rolling_back::traffic_is_back(turn, id, (slot, revision), old, sizes),
        (Some(_) | None, _) => traffic_is_back(turn, id, (slot, revision), old),
    };
    if !is_back {
        return;
    }
    if let Some((old_slot, old_revision)) = old
        && !planted!(turn, WorkersStayBehind)
        && !workers_are_back(turn, id, old_slot, old_revision)
    {
        return;
    }
    turn.conclude(id, Outcome::RolledBack { cause });
}

/// Leads the traffic back, and says whether that is seen in force.
fn traffic_is_back(
    turn: &mut Turn<'_>,
    id: ReleaseId,
    new: (Slot, RevisionId),
    old: Option<(Slot, RevisionId)>,
) -> bool {
    let heading = turn.app.heading().map(|arm| (arm.slot, arm.revision));
    if heading != old || (routes::are_split(turn) && !planted!(turn, SplitStays)) {
        if let Some(old) = old
            && !can_take_it_back(turn, id, new, old)
        {
            if may_answer_yet(turn, old) {
                return false;
            }
            if schema::forbids(turn, old.1).is_none() {
                let mut ailing = turn.sight.ill(&turn.app, old.0, old.1);
                ailing.extend(turn.sight.silent(&turn.app, old.0, old.1));
                slots::renew(turn, id, old, &ailing);
            }
            let limit = provision::boot_limit(&turn.app, old.1);
            if turn.waited_out(id, wait::OLD_SLOT, limit) {
                fail_without_old_slot(turn, id, new, old, limit);
            }
            return false;
        }
        routes::switch_to(turn, id, old);
        if let Some(old) = old {
            // Who is silent has the traffic now, and may answer it; who is ill has none.
            let ill = turn.sight.ill(&turn.app, old.0, old.1);
            slots::renew(turn, id, old, &ill);
        }
    }
    is_in_force_back(turn, id, new, old)
}

/// Whether what was led back is seen in force; gives up after a bounded time.
pub(crate) fn is_in_force_back(
    turn: &mut Turn<'_>,
    id: ReleaseId,
    new: (Slot, RevisionId),
    old: Option<(Slot, RevisionId)>,
) -> bool {
    if routes::are_in_force(turn) {
        return true;
    }
    if turn.waited_out(id, wait::ROUTE_BACK, limits::ROUTE) {
        if old.is_some() && routes::are_split(turn) && turn.app.sizes_of(id).is_some() {
            routes::switch_to(turn, id, old);
        }
        if let Some((old, _)) = old.filter(|(old, _)| !workers::are_told(turn, *old)) {
            turn.record(Event::HandedOver { release: id, to: old });
        }
        let (revision, slot) = (new.1, new.0);
        let cause = format!(
            "the switch back from {revision} in {slot} was decided and is asked for, but was not seen in force within {}.",
            limits::ROUTE
        );
        let next = "Look whether the router runs; once it does, it is told again by itself.";
        fail(turn, id, Problem::new("SWITCH-NOT-SEEN", cause, next));
    }
    false
}

/// Somebody in the old slot counts as healthy, and may still answer the question of the way back.
pub(crate) fn may_answer_yet(turn: &mut Turn<'_>, old: (Slot, RevisionId)) -> bool {
    let asked = turn.app.slot(old.0).asked_since;
    let looks_since = turn.sight.platform.map(|platform| platform.since);
    // Whoever looks anew has asked nobody yet.
    let is_open = turn.sure_fitness(old.0, old.1) != turn.fitness(old.0, old.1) || looks_since > asked;
    let question = provision::question(&turn.app, old.1);
    is_open && !turn.over(asked.max(looks_since).unwrap_or_default(), question)
}

/// The old slot takes the traffic when it is whole; or when it can serve, and the new one can not or an operator asked:
/// who asks for a way back has seen more than the health of instances. The others of it are given a moment to answer too.
pub(crate) fn can_take_it_back(
    turn: &mut Turn<'_>,
    id: ReleaseId,
    new: (Slot, RevisionId),
    old: (Slot, RevisionId),
) -> bool {
    if planted!(turn, RollbackToDeadSlot) {
        return true;
    }
    if schema::forbids(turn, old.1).is_some() {
        return false;
    }
    if routes::are_split(turn) && turn.fitness(old.0, old.1) == Fitness::Unknown {
        // Nobody can say more of it than that it has a part of the traffic as it is.
        return true;
    }
    let new_is_down = turn.fitness(new.0, new.1) == Fitness::Down;
    let will_do = match turn.sure_fitness(old.0, old.1) {
        Fitness::Whole => return true,
        Fitness::Partial => {
            let undoing = turn.release(id).and_then(|release| release.undoing.as_ref());
            undoing.is_some_and(|undoing| undoing.cause.is_none()) || new_is_down
        }
        // Who is silent may answer; the new slot does not.
        Fitness::Down | Fitness::Unknown => new_is_down && turn.fitness(old.0, old.1).can_serve(),
    };
    let asked = turn.app.slot(old.0).asked_since.unwrap_or_default();
    will_do && turn.over(asked, limits::ANSWERS)
}

/// Hands the workers back, and says whether they work there.
fn workers_are_back(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot, revision: RevisionId) -> bool {
    if !workers::are_told(turn, slot) {
        turn.record(Event::HandedOver { release: id, to: slot });
    }
    let ours = turn.app.working.is_some_and(|working| working.release == id);
    if !ours || workers::have_moved(turn, slot, revision) {
        return true;
    }
    let limit = workers::limit(turn, slot, revision);
    if turn.waited_out(id, wait::HANDOVER_BACK, limit) {
        let (why, lines) = turn.sight.ailments(&turn.app, slot, revision);
        let cause = format!(
            "the traffic is back on {revision} in {slot}, but its workers were not seen to work within {limit}: {why}"
        );
        let next = "Look at the workers with `switchover status` and their logs; they are started again by themselves.";
        fail(turn, id, Problem::new("WORKERS-NOT-HANDED-OVER", cause, next).with_detail(lines));
    }
    false
}

pub(crate) fn fail_without_old_slot(
    turn: &mut Turn<'_>,
    id: ReleaseId,
    new: (Slot, RevisionId),
    old: (Slot, RevisionId),
    limit: switchover_model::Span,
) {
    let (mut why, lines) = turn.sight.ailments(&turn.app, old.0, old.1);
    if let Some(schema) = schema::forbids(turn, old.1) {
        why = format!("It can not run on the schema: {schema}.");
    }
    let kept = gather(turn, id, new, old);
    let cause = format!(
        "{} in {} was to take the traffic back and was not seen healthy within {limit}: {why} The traffic was left on {} in {}.",
        old.1, old.0, kept.1, kept.0
    );
    stay(turn, id, new.0, cause, lines);
}

/// Where the traffic stays: of a split all of it goes to where somebody answers.
fn gather(turn: &mut Turn<'_>, id: ReleaseId, new: (Slot, RevisionId), old: (Slot, RevisionId)) -> (Slot, RevisionId) {
    if !routes::are_split(turn) {
        return new;
    }
    let to = if turn.app.sizes_of(id).is_some() {
        // Each has only a part of its instances: to where more of them can carry it. Where they are as many, the old slot is not
        // the one that can be made whole: it did not come up.
        if healthy(turn, new) > 0 && healthy(turn, new) >= healthy(turn, old) { new } else { old }
    } else if turn.sure_fitness(old.0, old.1).can_serve() || !turn.fitness(new.0, new.1).can_serve() {
        // What is undone keeps the traffic only where the old slot answers nothing.
        old
    } else {
        new
    };
    routes::switch_to(turn, id, Some(to));
    to
}

/// How many instances that take requests are healthy there.
fn healthy(turn: &Turn<'_>, (slot, revision): (Slot, RevisionId)) -> usize {
    let routed = turn.sight.in_slot(slot).filter(|seen| seen.revision == revision);
    routed.filter(|seen| is_healthy(seen) && turn.app.is_routed(revision, &seen.process)).count()
}

/// Ends the undoing with the traffic where it is. The work stays with it: a rollback in the middle of a shift finds the
/// workers still in the old slot.
fn stay(turn: &mut Turn<'_>, id: ReleaseId, new: Slot, cause: String, lines: Vec<String>) {
    if turn.app.heading().is_some_and(|arm| arm.slot == new) && !workers::are_told(turn, new) {
        turn.record(Event::HandedOver { release: id, to: new });
    }
    let next = "Deploy a good revision, or `switchover rollback --to` an older one.";
    fail(turn, id, Problem::new("NO-HEALTHY-WAY-BACK", cause, next).with_detail(lines));
}

/// Ends the undoing without its goal: the story says why the release was undone and what came of it.
fn fail(turn: &mut Turn<'_>, id: ReleaseId, mut problem: Problem) {
    let cause = turn.release(id).and_then(|release| release.undoing.clone()).and_then(|undoing| undoing.cause);
    if let Some(cause) = cause {
        problem.cause = format!("{} It was undone because {}", problem.cause, cause.cause);
    }
    turn.conclude(id, Outcome::Failed { cause: problem });
}
