//! Stage expand: the schema serves the new revision beside the live one. What was made stays when the release is undone: it
//! is compatible, and the mended release goes on with it.

use switchover_model::release::{Outcome, Stage};
use switchover_model::schema::SchemaGoal;
use switchover_model::{Problem, ReleaseId};

use crate::release::Release;
use crate::turn::Turn;
use crate::{attempts, framework, limits, schema, slots, unseen, wait};

pub(crate) fn step(turn: &mut Turn<'_>, id: ReleaseId) {
    let Some(release) = turn.release(id).cloned() else { return };
    let Some(wanted) = schema::needs(&turn.app, release.revision).cloned() else { return slots::claim(turn, id) };
    let Some(seen) = turn.sight.schema else {
        if unseen::may_be_passed(turn, &release) {
            if unseen::is_passed(turn, id) {
                leave(turn, id);
            }
            return;
        }
        if turn.waited_out(id, wait::SCHEMA, limits::UNKNOWN) {
            let cause = format!("the database could not be asked for {}.", limits::UNKNOWN);
            let next = "See the daemon's log and `switchover db status` for why, then deploy again.";
            turn.undo(id, Problem::new("DATABASE-UNKNOWN", cause, next));
        }
        return;
    };
    if schema::obstacle(turn, release.revision).is_none() {
        return leave(turn, id);
    }
    if turn.is_held(id) {
        return;
    }
    if schema::contract_comes_first(turn, id) {
        end_bakes(turn, id);
        // Bounded by the bounds of the other release's own waits.
        turn.waited_out(id, wait::CONTRACT_FIRST, limits::PAUSE);
        return;
    }
    if turn.app.has_framework(release.revision) {
        return framework::expand(turn, id, release.revision);
    }
    if let Some(problem) = schema::failure(seen, &schema::serve(turn, &release)) {
        return turn.undo(id, problem);
    }
    let limit = schema::rules(&turn.app).map_or(limits::EXPAND, |rules| limits::expand(rules.backfill_timeout));
    if turn.waited_out(id, wait::EXPAND, limit) {
        let why = schema::in_the_way(seen, &wanted).unwrap_or_default();
        let cause = format!("the schema did not come to serve {} within {limit}: {why}.", release.revision);
        let next =
            "Look with `switchover db status` what holds it up; what was done stays, and the next deploy goes on.";
        turn.undo(id, Problem::new("EXPAND-TIMED-OUT", cause, next));
    }
}

/// The schema is no obstacle: its hooks, then its slot.
fn leave(turn: &mut Turn<'_>, id: ReleaseId) {
    if attempts::hooks_passed(turn, id, Stage::Expand) {
        slots::claim(turn, id);
    }
}

/// What the schema shall serve for a release in this stage; nothing while it waits for something else.
pub(crate) fn goal(turn: &Turn<'_>, release: &Release) -> Option<SchemaGoal> {
    let here = release.is_open() && !release.is_undoing() && release.stage() == Some(Stage::Expand);
    let wanted = schema::needs(&turn.app, release.revision)?;
    // Where it can run already nothing is touched: what others still stand on goes in contract.
    let missing = schema::in_the_way(turn.sight.schema?, wanted).is_some();
    if turn.app.has_framework(release.revision)
        || !here
        || !missing
        || release.paused.is_some()
        || schema::contract_comes_first(turn, release.id)
    {
        return None;
    }
    Some(schema::serve(turn, release))
}

/// The bake of the live revision ends: its way back closes for the contract that comes first.
fn end_bakes(turn: &mut Turn<'_>, id: ReleaseId) {
    let baking = turn.app.releases.iter().filter(|other| other.id < id && other.is_open() && !other.is_undoing());
    let baking: Vec<ReleaseId> =
        baking.filter(|other| other.stage() == Some(Stage::Bake)).map(|other| other.id).collect();
    for other in baking {
        slots::end_bake(turn, other, Outcome::Succeeded { proven: false });
    }
}
