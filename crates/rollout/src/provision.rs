//! Stage provision: the idle slot runs the new revision at the scale the live one has now (a rolling release: its first batch), healthy; workers stand by.

use std::collections::BTreeMap;

use switchover_model::config::Handover;
use switchover_model::record::Event;
use switchover_model::release::Stage;
use switchover_model::seam::{Phase, Role};
use switchover_model::{Problem, ProcessName, ReleaseId, RevisionId, Slot, Span, Timestamp};

use crate::app::App;
use crate::release::Release;
use crate::sight::Fitness;
use crate::slots::longer;
use crate::turn::{Turn, planted};
use crate::{ailment, attempts, limits, routes, wait};

pub(crate) fn step(turn: &mut Turn<'_>, id: ReleaseId) {
    let Some((slot, revision)) = turn.place(id) else { return };
    if !is_ready(turn, slot, revision) {
        return still_booting(turn, id, slot, revision);
    }
    let looked_at = turn.app.has_hooks(id, Stage::Provision) || turn.app.has_hooks_before(id, Stage::Verify);
    if looked_at && !routes::show_preview(turn, id) {
        return;
    }
    if attempts::hooks_passed(turn, id, Stage::Provision) && attempts::may_begin(turn, id, Stage::Verify) {
        turn.record(Event::Entered { release: id, stage: Stage::Verify, slot: Some(slot) });
    }
}

/// Every routed instance is healthy, and so is every worker that stands by running.
pub(crate) fn is_ready(turn: &Turn<'_>, slot: Slot, revision: RevisionId) -> bool {
    if planted!(turn, RouteBeforeHealthy) {
        return true;
    }
    let fitness = turn.fitness(slot, revision);
    if fitness == Fitness::Partial && planted!(turn, HalfScale) {
        return true;
    }
    let leased = leased_workers(&turn.app, slot, revision);
    fitness == Fitness::Whole
        && (turn.sight.has_healthy(slot, revision, Role::Standby, &leased)
            || turn.sight.has_healthy(slot, revision, Role::Active, &leased))
}

fn still_booting(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot, revision: RevisionId) {
    if let Some(seen) = turn.sight.crash_loop(slot, revision) {
        let (why, lines) = turn.sight.ailments(&turn.app, slot, revision);
        let cause = format!(
            "{} of {revision} in {slot} ended by itself again and again before it was healthy: {why}",
            seen.process
        );
        let problem = match turn.sight.known_reason(slot, revision) {
            Some(reason) => Problem::new(&reason.code, cause, format!("{} Then deploy again.", reason.next)),
            None => Problem::new("INSTANCE-EXITED", cause, ailment::next_step(&lines)),
        };
        return turn.undo(id, problem.with_detail(lines));
    }
    let limit = boot_limit(&turn.app, revision);
    let entered_at = turn.release(id).map(Release::entered_at).unwrap_or_default();
    let over = turn.over(entered_at, limit) || has_overrun(turn, slot, revision, entered_at);
    if over && !planted!(turn, NoProvisionDeadline) {
        let (why, lines) = turn.sight.ailments(&turn.app, slot, revision);
        let problem = if turn.sight.platform.is_none() {
            let cause = format!("whether {revision} in {slot} is healthy could not be seen within {limit}.");
            Problem::new("PLATFORM-UNKNOWN", cause, "See the daemon's log for why, then deploy again.")
        } else {
            let took = turn.now.since(entered_at).rounded();
            let cause =
                format!("{revision} in {slot} was not healthy within its deadline, {took} after its start: {why}");
            let remedy = turn.sight.remedy(slot, revision).unwrap_or(if lines.is_empty() {
                "Check `health` in the file (path, deadline)."
            } else {
                "Read the app's last lines; check `health` in the file (path, deadline)."
            });
            let next = format!("{remedy} Then deploy again.");
            Problem::new("HEALTH-NEVER-GREEN", cause, next).with_detail(lines)
        };
        return turn.undo(id, problem);
    }
    turn.waited_out(id, wait::HEALTHY, limit);
}

/// An instance was seen to be not healthy for the whole of its own deadline (one that fell ill: counted from the
/// stage's begin).
fn has_overrun(turn: &mut Turn<'_>, slot: Slot, revision: RevisionId, entered_at: Timestamp) -> bool {
    let Some(state) = turn.app.revisions.get(&revision) else { return false };
    let deadline =
        |name| state.revision.processes.get(name).and_then(|process| Some(process.health.as_ref()?.deadline));
    let of = turn.sight.in_slot(slot).filter(|seen| seen.revision == revision);
    let ends: Vec<_> = of
        .filter_map(|seen| match &seen.phase {
            // The platform says so itself, with the last lines, when it is given the time to.
            Phase::Starting { since, .. } => Some((*since + limits::NOTICED, deadline(&seen.process)?)),
            Phase::Unhealthy { .. } => Some((entered_at, deadline(&seen.process)?)),
            Phase::Healthy { .. } | Phase::Stopping { .. } | Phase::Crashed { .. } => None,
        })
        .collect();
    ends.into_iter().any(|(since, deadline)| turn.over(since, deadline))
}

/// How long a slot may take to be healthy: the longest deadline in it, and what starting and noticing take.
pub(crate) fn boot_limit(app: &App, revision: RevisionId) -> Span {
    let state = app.revisions.get(&revision);
    let deadlines = state
        .iter()
        .flat_map(|state| state.revision.processes.values())
        .map(|process| process.health.as_ref().map_or(limits::WORKER_DEADLINE, |health| health.deadline));
    longer(deadlines.max().unwrap_or(limits::WORKER_DEADLINE), limits::PROVISION_ALLOWANCE)
}

/// How long a question for the health of an instance of the revision may take.
pub(crate) fn question(app: &App, revision: RevisionId) -> Span {
    let processes = app.revisions.get(&revision).into_iter().flat_map(|state| state.revision.processes.values());
    processes.filter_map(|process| process.health.as_ref()).map(|health| health.timeout).max().unwrap_or(Span::ZERO)
}

/// How many instances of each process type it starts and waits for: what takes requests, and what stands by running. The
/// other workers start at the shift.
pub(crate) fn waited_for(app: &App, slot: Slot, revision: RevisionId) -> BTreeMap<ProcessName, u32> {
    let Some(state) = app.revisions.get(&revision) else { return BTreeMap::new() };
    let mut scale = app.scale(slot, revision);
    scale.retain(|name, _| match state.revision.processes.get(name).map(|process| process.handover) {
        Some(None | Some(Handover::Lease)) => true,
        Some(Some(Handover::StopFirst | Handover::StartFirst | Handover::Drain)) | None => false,
    });
    scale
}

fn leased_workers(app: &App, slot: Slot, revision: RevisionId) -> BTreeMap<ProcessName, u32> {
    let Some(state) = app.revisions.get(&revision) else { return BTreeMap::new() };
    let mut scale = app.scale(slot, revision);
    scale.retain(|name, _| {
        state.revision.processes.get(name).is_some_and(|process| process.handover == Some(Handover::Lease))
    });
    scale
}
