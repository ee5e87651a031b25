//! Whether a new slot is well while it has a part of what the live one has: judged as in a bake, so that one that is ill for a
//! while, or again and again, is undone.

use switchover_model::{Problem, ReleaseId, RevisionId, Slot};

use crate::sight::Fitness;
use crate::turn::Turn;
use crate::{ailment, bake, limits, wait};

/// Whether it is wholly healthy by its `fitness`; undoes the release where that is lost. `with`: what it has, for people.
pub(crate) fn is_well(
    turn: &mut Turn<'_>,
    id: ReleaseId,
    (slot, revision): (Slot, RevisionId),
    fitness: Fitness,
    with: &str,
) -> bool {
    match fitness {
        Fitness::Whole => !bake::crashes(turn, id, slot, revision),
        Fitness::Unknown => {
            if turn.waited_out(id, wait::PLATFORM, limits::UNKNOWN) {
                let cause = format!(
                    "whether {revision} in {slot} is healthy with {with} could not be seen for {}.",
                    limits::UNKNOWN
                );
                let next = "See the daemon's log for why, then deploy again.";
                turn.undo(id, Problem::new("PLATFORM-UNKNOWN", cause, next));
            }
            false
        }
        Fitness::Partial | Fitness::Down => {
            if !bake::crashes(turn, id, slot, revision) && bake::recovery_is_over(turn, id, slot, revision) {
                health_lost(turn, id, (slot, revision), with);
            }
            false
        }
    }
}

/// Undoes a release whose slot is not wholly healthy with what it has.
pub(crate) fn health_lost(turn: &mut Turn<'_>, id: ReleaseId, (slot, revision): (Slot, RevisionId), with: &str) {
    let (why, lines) = turn.sight.ailments(&turn.app, slot, revision);
    let cause = format!("{revision} in {slot} is not wholly healthy with {with}: {why}");
    let next = ailment::next_step(&lines);
    turn.undo(id, Problem::new("HEALTH-LOST", cause, next).with_detail(lines));
}
