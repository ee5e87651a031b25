//! What shall be true now, all of it, computed from the app as the decision leaves it.

use switchover_model::record::Attempt;
use switchover_model::release::Outcome;
use switchover_model::seam::{Action, ProcessGoal, SlotSpec};
use switchover_model::{RevisionId, Slot, Span};

use crate::release::{AttemptState, Release};
use crate::turn::{Turn, planted};
use crate::{contract, drift, expand, room, routes, schema, slots, workers};

/// Every action that holds. The traffic comes first: a switch waits for nothing else.
pub(crate) fn wanted(turn: &Turn<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    if let Some(ours) = &turn.app.routes
        && !routes::are_left_to_others(turn)
    {
        actions.push(Action::Route(Box::new(ours.goal.clone())));
    }
    actions.extend(schema_action(turn));
    for release in &turn.app.releases {
        let unwanted = is_given_up(release) && !planted!(turn, AttemptRunsOn);
        for state in release.running_attempts() {
            if unwanted {
                actions.push(Action::CancelAttempt { attempt: state.id });
            } else {
                actions.push(attempt(turn, release, state));
            }
        }
    }
    if turn.sight.platform.is_some() {
        for slot in Slot::BOTH {
            actions.extend(slot_action(turn, slot));
        }
    }
    if turn.app.config.is_some() {
        actions.push(Action::KeepRevisions { keep: kept(turn) });
    }
    actions
}

/// What the schema shall serve. The newest release that asks is heard; what stands in the way of a way back comes first.
fn schema_action(turn: &Turn<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    let releases = || turn.app.releases.iter().rev();
    let goal = releases().find_map(|release| schema::detach(turn, release));
    let goal = goal.or_else(|| releases().find_map(|release| expand::goal(turn, release)));
    let goal = goal.or_else(|| releases().find_map(|release| contract::goal(turn, release)));
    actions.extend(goal.map(Action::Schema));
    let marks = releases().filter(|release| schema::awaits_restore_point(release));
    actions.extend(marks.map(|release| Action::MarkSchema { release: release.id }));
    actions
}

fn slot_action(turn: &Turn<'_>, slot: Slot) -> Option<Action> {
    let state = turn.app.slot(slot);
    if let Some(revision) = state.revision {
        let sealed = turn.app.revisions.get(&revision)?;
        let mut processes = workers::goals(turn, slot, revision);
        if planted!(turn, WarmSlotShrinks) && slots::is_warm(turn, slot) {
            processes.values_mut().for_each(|goal: &mut ProcessGoal| goal.count = goal.count.min(1));
        }
        room::keep_within(turn, slot, revision, &mut processes);
        // Of a slot that a rolling release leaves nobody in, the requests were waited for before.
        let drains = !turn.app.has_nobody(slot);
        let drain = turn.app.config.as_ref().filter(|_| drains).map_or(Span::ZERO, |config| config.route.drain);
        let without = state.renewal.map(|renewal| renewal.instances).unwrap_or_default();
        let (app, revision) = (turn.app.name.clone(), sealed.revision.clone());
        let asked_since = state.asked_since;
        let idle = room::idle(turn, slot);
        let spec = SlotSpec { app, slot, revision, processes, drain, without, idle, asked_since };
        return Some(Action::Ensure(Box::new(spec)));
    }
    (state.stopping.is_some() || drift::is_to_be_cleared(turn, slot)).then_some(Action::Stop { slot })
}

fn attempt(turn: &Turn<'_>, release: &Release, state: &AttemptState) -> Action {
    match &state.what {
        Attempt::Build { revision } => {
            Action::Build { attempt: state.id, revision: *revision, source: release.source.clone() }
        }
        Attempt::Backup { .. } => Action::Backup { attempt: state.id, release: release.id, revision: release.revision },
        Attempt::Migrate { step } => {
            Action::Migrate { attempt: state.id, release: release.id, revision: release.revision, step: *step }
        }
        Attempt::Hook { stage, hook } => {
            let idle = turn.app.heading().map_or(Slot::Blue, |live| live.slot.other());
            Action::Hook {
                attempt: state.id,
                release: release.id,
                stage: *stage,
                hook: *hook,
                slot: release.slot.unwrap_or(idle),
                revision: release.revision,
            }
        }
    }
}

/// Nobody needs its attempts any more.
fn is_given_up(release: &Release) -> bool {
    match &release.outcome {
        None => release.is_undoing(),
        Some(Outcome::Succeeded { .. }) => false,
        Some(
            Outcome::RolledBack { .. } | Outcome::Aborted { .. } | Outcome::Superseded { .. } | Outcome::Failed { .. },
        ) => true,
    }
}

fn kept(turn: &Turn<'_>) -> Vec<RevisionId> {
    let mut keep = turn.app.kept_revisions();
    if planted!(turn, WarmRevisionCleared) {
        let warm = Slot::BOTH.into_iter().find(|slot| slots::is_warm(turn, *slot)).and_then(|slot| turn.occupant(slot));
        keep.retain(|revision| Some(*revision) != warm);
    }
    keep
}
