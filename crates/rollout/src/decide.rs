//! The decision: the order in which the rules are asked.

use switchover_model::record::{Draft, Event};
use switchover_model::release::Stage;
use switchover_model::seam::{Action, Seen};
use switchover_model::{ReleaseId, Timestamp};

use crate::app::App;
use crate::turn::Turn;
use crate::{
    actions, approve, attempts, bake, build, drift, expand, limits, provision, retire, rolling, routes, schema, shadow,
    shift, slots, undo, verify, wait,
};

/// What to append, what shall be true, and when to look again.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// Records to append, all or none, before any of the actions.
    pub drafts: Vec<Draft>,
    /// What shall be true once the drafts are appended: complete, not a difference to what was asked before.
    pub actions: Vec<Action>,
    /// When time alone changes the decision; nothing when it does not.
    pub wake: Option<Timestamp>,
}

/// What to do next for `app`, given what was `seen`.
///
/// Flow: called after every observation, every command and every ended attempt, and at [`Decision::wake`]. The drafts
/// are appended first (expecting [`App::sequence`]); only then is anything done about the actions.
/// Guarantees: deterministic; the actions follow from the app as it is with the drafts applied, so a crash between any
/// two steps loses nothing: deciding again gives what is still missing. An attempt is among the actions from the
/// decision that journals its start until its end is recorded. With the platform unknown nothing is asked of it.
/// Assumes: `seen` was observed after `app`'s last action was carried out, and `seen`'s times are not after `now`.
#[must_use]
pub fn decide(app: &App, seen: &Seen, now: Timestamp) -> Decision {
    conclude(Turn::new(app, seen, now))
}

/// [`decide`] with one planted mistake.
#[cfg(feature = "planted-bugs")]
#[must_use]
pub fn decide_with(bug: Option<crate::planted::Bug>, app: &App, seen: &Seen, now: Timestamp) -> Decision {
    let mut turn = Turn::new(app, seen, now);
    turn.bug = bug;
    conclude(turn)
}

/// Asks the rules until none has anything to write, then says what shall be true.
fn conclude(mut turn: Turn<'_>) -> Decision {
    for _ in 0..limits::PASSES {
        let before = turn.drafts.len();
        turn.wake = None;
        one_pass(&mut turn);
        if turn.drafts.len() == before {
            break;
        }
    }
    let actions = actions::wanted(&turn);
    Decision { drafts: turn.drafts, actions, wake: turn.wake }
}

fn one_pass(turn: &mut Turn<'_>) {
    routes::confirm(turn);
    routes::follow_drain(turn);
    slots::confirm_empty(turn);
    drift::look(turn);
    drift::replace_ill(turn);
    rolling::finish(turn);
    let ids: Vec<ReleaseId> = turn.app.releases.iter().map(|release| release.id).collect();
    for id in ids {
        step(turn, id);
    }
    routes::drop_stale_preview(turn);
    shadow::drop_stale_mirror(turn);
}

fn step(turn: &mut Turn<'_>, id: ReleaseId) {
    let Some(release) = turn.release(id) else { return };
    if !release.is_open() {
        return retire::step(turn, id);
    }
    if release.is_undoing() {
        return undo::step(turn, id);
    }
    match release.stage() {
        None => begin(turn, id),
        Some(Stage::Build) => build::step(turn, id),
        Some(Stage::Expand) => expand::step(turn, id),
        Some(Stage::Provision) => provision::step(turn, id),
        Some(Stage::Verify) => verify::step(turn, id),
        Some(Stage::Approve) => approve::step(turn, id),
        Some(Stage::Shift) => shift::step(turn, id),
        Some(Stage::Bake) => bake::step(turn, id),
        // Entered with the outcome: an open release is never in it.
        Some(Stage::Retire | Stage::Contract) => {}
    }
}

/// A release that was opened begins as soon as no other one is in its shift or being undone.
fn begin(turn: &mut Turn<'_>, id: ReleaseId) {
    let busy = turn.app.releases.iter().any(|other| other.id < id && other.keeps_others_waiting());
    if busy {
        // Bounded by the bounds of the other release's own waits.
        turn.waited_out(id, wait::TURN, limits::PAUSE);
        return;
    }
    if turn.is_held(id) {
        return;
    }
    let builds = turn.release(id).is_some_and(|release| !turn.app.revisions.contains_key(&release.revision));
    if builds {
        if attempts::may_begin(turn, id, Stage::Build) {
            turn.record(Event::Entered { release: id, stage: Stage::Build, slot: None });
        }
    } else {
        after_build(turn, id);
    }
}

/// Its revision is there: the schema comes next, where there is one.
pub(crate) fn after_build(turn: &mut Turn<'_>, id: ReleaseId) {
    let needs_schema = turn.release(id).is_some_and(|release| schema::needs(&turn.app, release.revision).is_some());
    if !needs_schema {
        return slots::claim(turn, id);
    }
    if !turn.is_held(id) && attempts::may_begin(turn, id, Stage::Expand) {
        turn.record(Event::Entered { release: id, stage: Stage::Expand, slot: None });
    }
}
