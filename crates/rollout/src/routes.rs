//! Where the traffic shall go: decided with a rising number, in force only when seen so.

use switchover_model::config::Drift;
use switchover_model::record::Event;
use switchover_model::seam::{ArmGoal, Routes, RoutesGoal};
use switchover_model::{Problem, ReleaseId, RevisionId, Share, Slot};

use crate::slots::longer;
use crate::turn::{Turn, planted};
use crate::{checks, drift, experiment, limits, wait};

/// Leads all traffic to `to` (to nobody when a first release is undone).
pub(crate) fn switch_to(turn: &mut Turn<'_>, id: ReleaseId, to: Option<(Slot, RevisionId)>) {
    let mut arms = Vec::new();
    if let Some((slot, revision)) = to {
        arms.push(ArmGoal { slot, revision, share: Share::ALL });
        if let Some((slot, revision)) = turn.old_place(slot) {
            arms.push(ArmGoal { slot, revision, share: Share::NONE });
        }
    }
    let back = turn.release(id).is_some_and(|release| release.undoing.is_some());
    let version = if back && planted!(turn, VersionNotRaised) { turn.app.routes_version() } else { next_version(turn) };
    let goal = RoutesGoal { arms, ..RoutesGoal::default() };
    turn.record(Event::Routed { release: Some(id), version, goal });
}

/// Leads `share` of the traffic to `to`, and the rest to where all of it came from.
pub(crate) fn split(turn: &mut Turn<'_>, id: ReleaseId, (slot, revision): (Slot, RevisionId), share: Share) {
    let mut arms = vec![ArmGoal { slot, revision, share }];
    if let Some((slot, revision)) = turn.old_place(slot) {
        arms.push(ArmGoal { slot, revision, share: share.rest() });
    }
    let version = next_version(turn);
    let back = turn.release(id).is_some_and(|release| release.undoing.is_some());
    let baseline = (!back && checks::compare(turn, id)).then(|| slot.other());
    let (matches, goals) =
        if back { (Vec::new(), None) } else { experiment::routes(turn, id, (slot, revision), version) };
    let goal = RoutesGoal { arms, baseline, matches, goals, ..RoutesGoal::default() };
    turn.record(Event::Routed { release: Some(id), version, goal });
}

/// Decides these routes, under the next number.
pub(crate) fn set(turn: &mut Turn<'_>, id: Option<ReleaseId>, goal: RoutesGoal) {
    let version = next_version(turn);
    turn.record(Event::Routed { release: id, version, goal });
}

/// Whether more than one slot shall have a share.
pub(crate) fn are_split(turn: &Turn<'_>) -> bool {
    turn.app.routes.as_ref().is_some_and(|routes| is_split(&routes.goal))
}

/// Whether the routes as decided were seen in force.
pub(crate) fn are_in_force(turn: &Turn<'_>) -> bool {
    turn.app.routes.as_ref().is_some_and(|routes| routes.flipped_at.is_some())
}

/// Whether this very look shows the routes as decided in force: not only that they once were.
pub(crate) fn are_seen_in_force(turn: &Turn<'_>) -> bool {
    let seen = turn.sight.traffic.and_then(|traffic| traffic.routes.as_ref());
    let ours = turn.app.routes.as_ref().filter(|routes| routes.flipped_at.is_some());
    ours.zip(seen).is_some_and(|(ours, seen)| seen.version == ours.version && leads_alike(seen, &ours.goal))
}

/// Shows the release's slot at the preview address; says whether it is seen to be shown (or there is no such address).
pub(crate) fn show_preview(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some((slot, revision)) = turn.place(id) else { return false };
    if turn.app.config.as_ref().is_none_or(|config| config.route.preview.is_none()) {
        return true;
    }
    let wanted = Some(ArmGoal { slot, revision, share: Share::ALL });
    let known = turn.app.routes.as_ref().map(|routes| routes.goal.clone()).unwrap_or_default();
    if turn.app.routes.as_ref().and_then(|routes| routes.goal.preview) != wanted {
        let version = next_version(turn);
        let goal = RoutesGoal { preview: wanted, ..known };
        turn.record(Event::Routed { release: Some(id), version, goal });
    }
    if are_in_force(turn) {
        return true;
    }
    if turn.waited_out(id, wait::PREVIEW, limits::PREVIEW) {
        let cause = format!("the preview address was not seen in force within {}.", limits::PREVIEW);
        turn.undo(id, Problem::new("PREVIEW-NOT-SEEN", cause, "Look whether the router runs, then deploy again."));
    }
    false
}

/// Takes a slot off the preview address when it no longer runs what was shown there.
pub(crate) fn drop_stale_preview(turn: &mut Turn<'_>) {
    let Some(routes) = &turn.app.routes else { return };
    let Some(shown) = routes.goal.preview else { return };
    if turn.occupant(shown.slot) != Some(shown.revision) {
        let goal = RoutesGoal { preview: None, ..routes.goal.clone() };
        let version = next_version(turn);
        turn.record(Event::Routed { release: None, version, goal });
    }
}

/// Records that the routes are seen in force; puts right, or reports, what another hand changed; gives changed hosts
/// their number.
pub(crate) fn confirm(turn: &mut Turn<'_>) {
    let Some(ours) = turn.app.routes.clone() else { return };
    if let Some(traffic) = turn.sight.traffic
        && let Some(seen) = &traffic.routes
    {
        if seen.version == ours.version && leads_alike(seen, &ours.goal) {
            if ours.flipped_at.is_none() {
                let flipped_at = traffic.in_force_since.unwrap_or(traffic.at);
                turn.record(Event::InForce { version: ours.version, flipped_at });
            }
        } else if seen.version >= ours.version {
            let corrected = drift::policy(turn) == Drift::Correct;
            let what = format!("the routes in force are number {}, which no decision made.", seen.version);
            drift::report(turn, what, corrected);
            if corrected {
                let version = next_version(turn);
                turn.record(Event::Routed { release: None, version, goal: ours.goal });
                return;
            }
        }
    }
    if ours.outdated {
        let version = next_version(turn);
        turn.record(Event::Routed { release: None, version, goal: ours.goal });
    }
}

/// Whether the routes seen are another hand's, which the app's `drift` says to leave.
pub(crate) fn are_left_to_others(turn: &Turn<'_>) -> bool {
    let Some(ours) = &turn.app.routes else { return false };
    let Some(seen) = turn.sight.traffic.and_then(|traffic| traffic.routes.as_ref()) else { return false };
    let foreign = seen.version > ours.version || (seen.version == ours.version && !leads_alike(seen, &ours.goal));
    foreign && drift::policy(turn) == Drift::Report
}

/// Follows the slot that lost the traffic until its last request is over, or its time.
pub(crate) fn follow_drain(turn: &mut Turn<'_>) {
    let Some(draining) = turn.app.draining else { return };
    let end = longer(turn.app.drain_limit(), limits::DRAIN_ALLOWANCE);
    let over = turn.over(draining.since, end);
    let version = turn.app.routes_version();
    let counted = turn.sight.traffic.filter(|traffic| {
        traffic.at >= draining.since && traffic.routes.as_ref().is_some_and(|routes| routes.version >= version)
    });
    let left = match counted {
        Some(traffic) => {
            let of = |counts: &std::collections::BTreeMap<RevisionId, u64>| counts.get(&draining.revision).copied();
            of(&traffic.in_flight).unwrap_or(0) + of(&traffic.upgrades).unwrap_or(0)
        }
        None if over && turn.over(draining.since, longer(end, limits::DRAIN_UNSEEN)) => {
            let cause =
                format!("whether requests on {} in {} ended could not be seen.", draining.revision, draining.slot);
            let next = "Look whether the router runs; the receipt of this release rests on later readings.";
            turn.record(Event::Noted {
                release: Some(draining.release),
                problem: Problem::new("DRAIN-NOT-SEEN", cause, next),
            });
            0
        }
        None => return,
    };
    if left == 0 || over {
        let cut = counted.map(|traffic| traffic.ledger.by_revision.get(&draining.revision));
        let upgrades_cut = cut.map(|counted| counted.map_or(0, |counted| counted.upgrades_cut));
        turn.record(Event::Drained { release: draining.release, slot: draining.slot, left, upgrades_cut });
    }
}

fn next_version(turn: &Turn<'_>) -> u64 {
    let seen = turn.sight.traffic.and_then(|traffic| traffic.routes.as_ref()).map_or(0, |routes| routes.version);
    turn.app.routes_version().max(seen) + 1
}

/// Whether both lead the same requests to the same revisions in the same slots.
fn leads_alike(seen: &Routes, goal: &RoutesGoal) -> bool {
    let mut theirs: Vec<_> = seen
        .arms
        .iter()
        .filter(|arm| arm.share != Share::NONE)
        .map(|arm| (arm.slot, arm.revision, arm.share))
        .collect();
    let mut ours: Vec<_> = goal
        .arms
        .iter()
        .filter(|arm| arm.share != Share::NONE)
        .map(|arm| (arm.slot, arm.revision, arm.share))
        .collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    let mirrored = seen.mirror.as_ref().map(|mirror| (mirror.arm.slot, mirror.arm.revision, &mirror.rules));
    theirs == ours
        && (&seen.matches, seen.baseline, &seen.goals) == (&goal.matches, goal.baseline, &goal.goals)
        && mirrored == goal.mirror.as_ref().map(|mirror| (mirror.arm.slot, mirror.arm.revision, &mirror.rules))
}

/// The arm with all the traffic; in a split the one that the other takes from, which stands last.
pub(crate) fn main_arm(goal: &RoutesGoal) -> Option<ArmGoal> {
    goal.arms.iter().rfind(|arm| arm.share != Share::NONE).copied()
}

/// Whether more than one arm gets requests.
pub(crate) fn is_split(goal: &RoutesGoal) -> bool {
    goal.arms.iter().filter(|arm| gets_requests(goal, arm)).count() > 1
}

/// By its share, or by a rule.
fn gets_requests(goal: &RoutesGoal, arm: &ArmGoal) -> bool {
    let is_matched = || goal.matches.iter().any(|rule| (rule.slot, rule.revision) == (arm.slot, arm.revision));
    arm.share != Share::NONE || is_matched()
}

/// The share of `slot`.
pub(crate) fn share_of(goal: &RoutesGoal, slot: Slot) -> Share {
    goal.arms.iter().find(|arm| arm.slot == slot).map_or(Share::NONE, |arm| arm.share)
}

/// The arm that gets requests by `before` and none by `after`.
pub(crate) fn loser(before: &RoutesGoal, after: &RoutesGoal) -> Option<ArmGoal> {
    let keeps = |arm: &ArmGoal| {
        after
            .arms
            .iter()
            .any(|kept| (kept.slot, kept.revision) == (arm.slot, arm.revision) && gets_requests(after, kept))
    };
    before.arms.iter().find(|arm| gets_requests(before, arm) && !keeps(arm)).copied()
}
