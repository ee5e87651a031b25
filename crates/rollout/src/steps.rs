//! The steps of a shift: a growing share of the traffic on the new slot before all of it. Canary and linear are both a list
//! of steps, rolling makes them of its batches; each is taken once the one before was seen in force and has had its time with the new slot well.

use switchover_model::config::{Fraction, Step, Strategy};
use switchover_model::record::Event;
use switchover_model::release::ReleaseKind;
use switchover_model::{Problem, ReleaseId, RevisionId, Share, Slot, Timestamp};

use crate::app::App;
use crate::release::Release;
use crate::sight::Fitness;
use crate::slots::longer;
use crate::step_state::StepState;
use crate::turn::{Turn, planted};
use crate::{checks, experiment, limits, rolling, routes, shift, wait, well, windows};

/// What the new slot has in a step.
const WITH: &str = "a part of the traffic";

/// The steps that `release` goes through before all traffic: those of the file it was opened with. A way back has none, and
/// neither has a release that a person has sent to all traffic.
pub(crate) fn planned(app: &App, release: &Release) -> Vec<Step> {
    let is_way_back = matches!(release.kind, ReleaseKind::Return { .. });
    let Some(config) = app.config_of(release.id) else { return Vec::new() };
    match &config.release.strategy {
        Strategy::Rolling(rolling) => rolling::planned(app, release, *rolling),
        Strategy::BlueGreen | Strategy::Canary(_) | Strategy::Linear { .. } | Strategy::Ab(_)
            if is_way_back || release.full.is_some() =>
        {
            Vec::new()
        }
        strategy @ (Strategy::BlueGreen | Strategy::Canary(_) | Strategy::Linear { .. } | Strategy::Ab(_)) => {
            strategy.steps(&[])
        }
    }
}

/// Whether the slot beside `slot` has the traffic and would share it.
pub(crate) fn shares(turn: &Turn<'_>, slot: Slot) -> bool {
    turn.app.heading().is_some_and(|live| turn.old_place(slot) == Some((live.slot, live.revision)))
}

/// Begins to move the traffic: by the first step, or all of it where there is none, or nobody to share it with.
pub(crate) fn begin(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot, revision: RevisionId) {
    let shares = shares(turn, slot);
    let planned = turn.release(id).map(|release| planned(&turn.app, release)).unwrap_or_default();
    match planned.first() {
        Some(first) if shares => take(turn, id, (slot, revision), 1, planned.len(), first.share),
        Some(_) | None => routes::switch_to(turn, id, Some((slot, revision))),
    }
}

/// Goes on from the step that the release is at.
pub(crate) fn step(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot, revision: RevisionId) {
    if checks::are_breached(turn, id) {
        return;
    }
    checks::tell_split_off(turn, id);
    let Some(release) = turn.release(id) else { return };
    let Some(state) = release.steps.last().cloned() else { return };
    let is_sent = release.full.is_some();
    let planned = planned(&turn.app, release);
    let Some(in_force_at) = state.in_force_at.filter(|_| routes::are_in_force(turn)) else {
        return shift::await_switch(turn, id, slot, revision);
    };
    let fitness = rolling::fitness(turn, id, slot, revision);
    if !well::is_well(turn, id, (slot, revision), fitness, WITH) || turn.is_held(id) {
        return;
    }
    experiment::note_promotion(turn, id);
    let number = state.step as usize;
    let current =
        number.checked_sub(1).and_then(|place| planned.get(place)).filter(|_| state.promoted.is_none() && !is_sent);
    if let Some(current) = current
        && !may_be_left(turn, id, current, (in_force_at, &state))
    {
        return;
    }
    if current.is_none() {
        checks::record_verdicts(turn, id);
    }
    if let Some(sizes) = turn.app.sizes_of(id) {
        return rolling::go_on(turn, id, (slot, revision), sizes);
    }
    if turn.sure_fitness(slot, revision) != Fitness::Whole {
        return await_health(turn, id, slot, revision);
    }
    if !windows::let_pass(turn, id) {
        return;
    }
    let jump = usize::from(planted!(turn, ShareJumps));
    match planned.get(number + jump) {
        Some(next) => take(turn, id, (slot, revision), number + 1 + jump, planned.len(), next.share),
        None => routes::switch_to(turn, id, Some((slot, revision))),
    }
}

/// From when on the time of a step counts: nobody watched it before this platform began to look, so a daemon that was away
/// for a while gives it its whole time.
pub(crate) fn watched_since(turn: &Turn<'_>, in_force_at: Timestamp) -> Timestamp {
    if planted!(turn, UnwatchedTimeCounts) {
        return in_force_at;
    }
    turn.sight.platform.map_or(in_force_at, |platform| platform.since.max(in_force_at))
}

/// Whether everything that the step waits for is there, but for the health of the new slot. An experiment's time goes on while nobody
/// watches: what it is decided by is counted by the traffic all the while.
fn may_be_left(turn: &mut Turn<'_>, id: ReleaseId, step: &Step, (since, state): (Timestamp, &StepState)) -> bool {
    let tries = turn.release(id).is_some_and(|release| experiment(&turn.app, release).is_some());
    if tries {
        return experiment::lets_go_on(turn, id, (since, state.held));
    }
    let since = watched_since(turn, since);
    has_had_its_time(turn, id, step, (since, state))
        && checks::let_go_on(turn, id, verdicts_due_since(step, since, state))
}

/// Whether the step was in force for its time, and a person has said yes where one has to.
fn has_had_its_time(turn: &mut Turn<'_>, id: ReleaseId, step: &Step, (since, state): (Timestamp, &StepState)) -> bool {
    let time = longer(step.stays, state.held);
    if !turn.over(since, time) && !planted!(turn, StepCutShort) {
        turn.waited_out(id, wait::STEP, limits::PAUSE);
        return false;
    }
    if !step.approve || state.approved.is_some() || planted!(turn, StepGateIgnored) {
        return true;
    }
    let limit = turn.app.config.as_ref().map_or(limits::APPROVE, |config| config.release.approve_timeout);
    turn.waited_out(id, wait::PROMOTE_STEP, limit);
    if turn.over(since, longer(time, limit)) {
        let share = step.share;
        let cause = format!("nobody promoted release {id} from its step at {share} within {limit}.");
        let next = "Deploy again, and run `switchover promote` in time.";
        turn.undo(id, Problem::new("APPROVAL-TIMED-OUT", cause, next));
    }
    false
}

/// From when on the verdicts of its checks are waited for: the end of its own time, or when a person said yes after it.
fn verdicts_due_since(step: &Step, in_force_at: Timestamp, state: &StepState) -> Timestamp {
    (in_force_at + longer(step.stays, state.held)).max(state.approved.unwrap_or_default())
}

fn await_health(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot, revision: RevisionId) {
    if turn.waited_out(id, wait::STEP_READY, limits::READY) {
        well::health_lost(turn, id, (slot, revision), WITH);
    }
}

/// Gives the new slot the share of its next batch, all traffic with the last one.
pub(crate) fn take_batch(turn: &mut Turn<'_>, id: ReleaseId, to: (Slot, RevisionId), part: Fraction) {
    if part.is_all() {
        return routes::switch_to(turn, id, Some(to));
    }
    let Some(release) = turn.release(id) else { return };
    let (number, of) = (release.steps.len() + 1, planned(&turn.app, release).len());
    take(turn, id, to, number, of, part.share());
    if planted!(turn, ShrinksUnseen)
        && let Some(sizes) = turn.app.sizes_of(id)
    {
        rolling::size(turn, id, switchover_model::sizes::Sizes { held: part, grows: false, ..sizes });
    }
}

/// Gives the new slot the share of a step.
fn take(turn: &mut Turn<'_>, id: ReleaseId, to: (Slot, RevisionId), number: usize, of: usize, share: Share) {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let batch = turn.app.batch_of(id);
    turn.record(Event::Stepped { release: id, step: count(number), of: count(of), share, batch });
    routes::split(turn, id, to, share);
}
