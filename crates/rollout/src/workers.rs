//! Workers move with the switch, both ways, each by its handover.

use std::collections::BTreeMap;

use switchover_model::config::Handover;
use switchover_model::seam::{InstanceSeen, ProcessGoal, Role};
use switchover_model::{ProcessName, RevisionId, Slot, Span};

use crate::app::App;
use crate::sight::{is_healthy, is_stopping};
use crate::slots::longer;
use crate::turn::{Turn, planted};
use crate::{limits, provision};

/// Whether the workers of `slot` were told to work.
pub(crate) fn are_told(turn: &Turn<'_>, slot: Slot) -> bool {
    turn.app.working.is_some_and(|working| working.slot == slot)
}

/// What the process types of `slot`, which runs `revision`, shall be now.
pub(crate) fn goals(turn: &Turn<'_>, slot: Slot, revision: RevisionId) -> BTreeMap<ProcessName, ProcessGoal> {
    let app = &turn.app;
    let told = are_told(turn, slot);
    let moving = is_moving(app);
    let goals = app.scale(slot, revision).into_iter().map(|(name, count)| {
        let role = match handover_of(app, &name, revision) {
            None => Role::Active,
            Some(_) => worker_role(turn, slot, revision, &name, told, moving),
        };
        (name, ProcessGoal { count, role })
    });
    goals.collect()
}

fn worker_role(
    turn: &Turn<'_>,
    slot: Slot,
    revision: RevisionId,
    name: &ProcessName,
    told: bool,
    moving: bool,
) -> Role {
    let other = slot.other();
    let way = agreed(&turn.app, name, revision, other);
    if told {
        return match way {
            Handover::StartFirst | Handover::Drain => Role::Active,
            Handover::StopFirst | Handover::Lease => {
                if has_let_go(turn, other, name, way) {
                    Role::Active
                } else {
                    Role::Standby
                }
            }
        };
    }
    match way {
        Handover::StopFirst | Handover::Drain | Handover::Lease => Role::Standby,
        Handover::StartFirst => {
            let successor = turn.occupant(other);
            let relieved = successor.is_none_or(|successor| has_taken_up(turn, other, successor, name));
            if moving && !relieved && turn.app.working.is_some() { Role::Active } else { Role::Standby }
        }
    }
}

/// Whether the workers of `slot` work, and those of the other slot do no more (or only finish, where they may).
pub(crate) fn have_moved(turn: &Turn<'_>, slot: Slot, revision: RevisionId) -> bool {
    if turn.sight.platform.is_none() {
        return false;
    }
    let taken_up = workers(&turn.app, revision).all(|(name, _)| has_taken_up(turn, slot, revision, &name));
    let other = slot.other();
    let left = turn.occupant(other).is_none_or(|old| {
        workers(&turn.app, old)
            .all(|(name, _)| has_let_go(turn, other, &name, agreed(&turn.app, &name, revision, other)))
    });
    taken_up && left
}

/// How long a handover may take: the old ones' grace, then the new ones' start.
pub(crate) fn limit(turn: &Turn<'_>, slot: Slot, revision: RevisionId) -> Span {
    let old = turn.occupant(slot.other()).and_then(|old| turn.app.revisions.get(&old));
    let graces = old.iter().flat_map(|state| state.revision.processes.values()).map(|process| process.stop.grace);
    let grace = longer(graces.max().unwrap_or(Span::ZERO), limits::HANDOVER_ALLOWANCE);
    longer(provision::boot_limit(&turn.app, revision), grace)
}

/// A handover is under way: told, and not yet seen done.
pub(crate) fn is_moving(app: &App) -> bool {
    let release = app.working.and_then(|working| app.release(working.release));
    release.is_some_and(|release| release.is_open() && (release.switched_at.is_none() || release.is_undoing()))
}

fn has_taken_up(turn: &Turn<'_>, slot: Slot, revision: RevisionId, name: &ProcessName) -> bool {
    let wanted = turn.app.scale(slot, revision).get(name).copied().unwrap_or(0);
    let works = |seen: &&InstanceSeen| {
        seen.revision == revision && seen.process == *name && seen.role == Role::Active && is_healthy(seen)
    };
    turn.sight.in_slot(slot).filter(works).count() >= wanted as usize
}

/// Whether no worker `name` of `slot` works any more, as a look younger than the order shows.
fn has_let_go(turn: &Turn<'_>, slot: Slot, name: &ProcessName, way: Handover) -> bool {
    let Some(platform) = turn.sight.platform else { return false };
    let ordered = turn.app.working.filter(|_| is_moving(&turn.app) && turn.occupant(slot).is_some());
    let stale = ordered.is_some_and(|working| platform.at <= working.since);
    let mut of_it = turn.sight.in_slot(slot).filter(|seen| seen.process == *name);
    // One by lease runs on and does nothing: where the handover is another one from now on, that is as good as gone.
    let stands_by = |seen: &InstanceSeen| {
        seen.role == Role::Standby && handover_of(&turn.app, name, seen.revision) == Some(Handover::Lease)
    };
    match way {
        Handover::StopFirst => planted!(turn, BothWorkersInStopFirst) || (!stale && of_it.all(stands_by)),
        Handover::StartFirst => !stale && of_it.next().is_none(),
        Handover::Drain => !stale && of_it.all(is_stopping),
        Handover::Lease => planted!(turn, LeaseGivenEarly) || (!stale && of_it.all(|seen| seen.role == Role::Standby)),
    }
}

/// How a worker moves between the revision that gets it and the one in `other`: the stricter of the two ways, because
/// what one of them must not bear, both must keep.
fn agreed(app: &App, name: &ProcessName, revision: RevisionId, other: Slot) -> Handover {
    let mine = handover_of(app, name, revision);
    let theirs = app.slot(other).revision.and_then(|other| handover_of(app, name, other));
    match (mine, theirs) {
        (Some(Handover::Lease), Some(Handover::Lease) | None) | (None, Some(Handover::Lease)) => Handover::Lease,
        (Some(Handover::StopFirst | Handover::Lease), _) | (_, Some(Handover::StopFirst | Handover::Lease)) => {
            Handover::StopFirst
        }
        (Some(mine), _) => mine,
        (None, theirs) => theirs.unwrap_or(Handover::StopFirst),
    }
}

fn handover_of(app: &App, name: &ProcessName, revision: RevisionId) -> Option<Handover> {
    app.revisions.get(&revision)?.revision.processes.get(name)?.handover
}

fn workers(app: &App, revision: RevisionId) -> impl Iterator<Item = (ProcessName, u32)> {
    app.full_scale(revision).into_iter().filter(move |(name, _)| handover_of(app, name, revision).is_some())
}
