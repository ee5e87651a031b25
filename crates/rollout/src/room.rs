//! Room within the surge of a rolling release. Whoever is still there takes some of it, those who leave too.

use std::collections::{BTreeMap, BTreeSet};

use switchover_model::config::Fraction;
use switchover_model::seam::{InstanceSeen, Phase, ProcessGoal};
use switchover_model::sizes::Sizes;
use switchover_model::{InstanceId, ProcessName, RevisionId, Slot, Span};

use crate::app::Sized;
use crate::limits;
use crate::sight::is_stopping;
use crate::slots::{empty_limit, longer};
use crate::turn::{Turn, planted};

/// Whether `slot` may grow to `part`: what is seen of the other one, and of its own that leaves, makes room for it.
pub(crate) fn has_room(turn: &Turn<'_>, slot: Slot, revision: RevisionId, part: Fraction, sizes: Sizes) -> bool {
    if turn.sight.platform.is_none() {
        return false;
    }
    let replaced = replaced(turn, slot);
    let scale = turn.app.full_scale(revision);
    let mut routed = scale.into_iter().filter(|(name, _)| turn.app.is_routed(revision, name));
    routed.all(|(name, scale)| {
        let own_leaving = count(turn, slot, &name, |seen| leaves(seen, &replaced));
        let others = count(turn, slot.other(), &name, |_| true).saturating_add(own_leaving);
        others.saturating_add(part.count(scale)) <= scale.saturating_add(sizes.surge.of(scale))
    })
}

/// Has nobody started in `slot` beyond the surge while a rolling release is under way: where who is ill is replaced without room for both, the ill one is seen gone
/// before its heir comes. Who has had all the time to leave takes no room.
pub(crate) fn keep_within(
    turn: &Turn<'_>,
    slot: Slot,
    revision: RevisionId,
    goals: &mut BTreeMap<ProcessName, ProcessGoal>,
) {
    let is_under_way =
        |sized: &Sized| turn.app.release(sized.release).is_some_and(|release| release.settled_at.is_none());
    let sized = turn.app.sized.filter(is_under_way);
    let Some(sized) = sized.filter(|_| !planted!(turn, HeirsBeyondTheSurge)) else { return };
    let (replaced, other) = (replaced(turn, slot), slot.other());
    let scale = turn.app.full_scale(revision);
    let told = turn.occupant(other).map(|revision| turn.app.scale(other, revision)).unwrap_or_default();
    let limits = Slot::BOTH.map(|slot| (slot, leaving_limit(turn, slot)));
    let is_overdue = |seen: &InstanceSeen| match seen.phase {
        Phase::Stopping { since } => {
            limits.iter().any(|(slot, limit)| *slot == seen.slot && turn.now.since(since) > *limit)
        }
        Phase::Starting { .. } | Phase::Healthy { .. } | Phase::Unhealthy { .. } | Phase::Crashed { .. } => false,
    };
    for (name, goal) in goals.iter_mut().filter(|(name, _)| turn.app.is_routed(revision, name)) {
        let scale = scale.get(name).copied().unwrap_or(0);
        let stays = |seen: &InstanceSeen| seen.revision == revision && !leaves(seen, &replaced);
        let staying = count(turn, slot, name, stays);
        let leaving = count(turn, slot, name, |seen| !stays(seen) && !is_overdue(seen));
        // What the other slot was told and is not seen yet comes.
        let others = count(turn, other, name, |seen| !is_overdue(seen)).max(told.get(name).copied().unwrap_or(0));
        let most = scale.saturating_add(sized.sizes.surge.of(scale));
        let room = most.saturating_sub(others.saturating_add(leaving));
        goal.count = goal.count.min(room.max(staying));
    }
}

/// Those who leave `slot` and are seen to have no request, by a look at routes in force that name them no more.
pub(crate) fn idle(turn: &Turn<'_>, slot: Slot) -> BTreeSet<InstanceId> {
    let Some(traffic) = turn.sight.traffic else { return BTreeSet::new() };
    let (Some(routes), Some(busy)) = (&traffic.routes, &traffic.busy) else { return BTreeSet::new() };
    let shown = routes.preview.iter().map(|preview| &preview.arm).chain(routes.mirror.iter().map(|mirror| &mirror.arm));
    let arms: Vec<_> = routes.arms.iter().chain(shown).collect();
    let is_named = |id: &InstanceId| {
        let mut endpoints = arms.iter().flat_map(|arm| &arm.processes).flat_map(|process| &process.endpoints);
        endpoints.any(|endpoint| endpoint.instance == *id)
    };
    let has_nothing = |id: &InstanceId| busy.get(id).is_none_or(|count| *count == 0) || planted!(turn, BusyOnesAreIdle);
    // An older look may be one of before it came.
    let leaving = turn.sight.in_slot(slot).filter(|seen| match seen.phase {
        Phase::Stopping { since } => traffic.at > since,
        Phase::Starting { .. } | Phase::Healthy { .. } | Phase::Unhealthy { .. } | Phase::Crashed { .. } => false,
    });
    leaving.map(|seen| &seen.id).filter(|id| !is_named(id) && has_nothing(id)).cloned().collect()
}

/// How long those who leave a slot may take at most: their requests have the time of a drain, they themselves their grace.
pub(crate) fn leaving_limit(turn: &Turn<'_>, slot: Slot) -> Span {
    let drain = longer(turn.app.drain_limit(), limits::DRAIN_ALLOWANCE);
    longer(drain, empty_limit(&turn.app, turn.occupant(slot)))
}

/// Instances of a process type that are seen in `slot`, those alone that `counts`.
fn count(turn: &Turn<'_>, slot: Slot, name: &ProcessName, counts: impl Fn(&InstanceSeen) -> bool) -> u32 {
    let seen = turn.sight.in_slot(slot).filter(|seen| seen.process == *name && counts(seen)).count();
    u32::try_from(seen).unwrap_or(u32::MAX)
}

/// Who of `slot` is to be replaced.
fn replaced(turn: &Turn<'_>, slot: Slot) -> BTreeSet<InstanceId> {
    turn.app.slot(slot).renewal.map(|renewal| renewal.instances).unwrap_or_default()
}

/// It leaves, or was told to.
fn leaves(seen: &InstanceSeen, replaced: &BTreeSet<InstanceId>) -> bool {
    is_stopping(seen) || replaced.contains(&seen.id)
}
