//! An experiment on the users: the only step of its shift. It goes on to all clients, or back, by what its goals say.
//!
//! What is said of it comes with what is seen. Nothing seen is no evidence; a split that is not as it was set is none either.

use switchover_model::config::{Experiment, Undecided};
use switchover_model::evidence::{ChecksSeen, Verdict, Watch};
use switchover_model::experiment::{Decided, Ending, ExperimentSaid, GoalSaid, GoalVerdict};
use switchover_model::record::Event;
use switchover_model::release::ReleaseKind;
use switchover_model::seam::{Goals, Match};
use switchover_model::{Problem, ReleaseId, RevisionId, Slot, Span, Timestamp};

use crate::app::App;
use crate::release::Release;
use crate::slots::longer;
use crate::turn::{Turn, planted};
use crate::{checks, limits, wait};

/// The experiment that a release is, by the file that it was opened with; a way back is none.
#[must_use]
pub fn experiment<'a>(app: &'a App, release: &Release) -> Option<&'a Experiment> {
    let is_way_back = matches!(release.kind, ReleaseKind::Return { .. });
    app.config_of(release.id).filter(|_| !is_way_back)?.release.strategy.experiment()
}

/// Who is led to the new revision whatever the share, and what is counted from this version of the routes on.
pub(crate) fn routes(
    turn: &Turn<'_>,
    id: ReleaseId,
    (slot, revision): (Slot, RevisionId),
    version: u64,
) -> (Vec<Match>, Option<Goals>) {
    let Some(experiment) = turn.release(id).and_then(|release| experiment(&turn.app, release)) else {
        return (Vec::new(), None);
    };
    let matches = experiment.matches.iter().map(|condition| Match { slot, revision, when: vec![condition.clone()] });
    let requests = experiment.requests().cloned().collect();
    (matches.collect(), Some(Goals { experiment: version, requests }))
}

/// How a release's experiment ended, when that was recorded.
fn ending(release: &Release) -> Option<Ending> {
    release.judged.iter().find_map(|judged| judged.experiment.as_ref()).map(|decided| decided.ending)
}

/// What is seen of it now: of this very watch, or nothing.
fn standing<'a>(turn: &Turn<'a>, watch: &Watch) -> Option<&'a ExperimentSaid> {
    let is_of = |seen: &&ChecksSeen| seen.watch == *watch || planted!(turn, OldEvidenceCounts);
    turn.sight.checks.filter(is_of)?.experiment.as_deref()
}

/// A person has sent it on: what it said is kept.
pub(crate) fn note_promotion(turn: &mut Turn<'_>, id: ReleaseId) {
    let Some(release) = turn.release(id) else { return };
    let is_promoted = release.full.is_some() || release.at_step().is_some_and(|step| step.promoted.is_some());
    if is_promoted && ending(release).is_none() && experiment(&turn.app, release).is_some() {
        record(turn, id, Ending::Promoted);
    }
}

/// Whether the release may go on to all clients. `since` is when its split was in force, `held` how long a person held it.
pub(crate) fn lets_go_on(turn: &mut Turn<'_>, id: ReleaseId, (since, held): (Timestamp, Span)) -> bool {
    let Some(release) = turn.release(id) else { return false };
    let Some(experiment) = experiment(&turn.app, release).cloned() else { return false };
    let Some(watch) = checks::watched(&turn.app, release) else { return false };
    let ended = ending(release);
    let said = standing(turn, &watch);
    let is_off = said.is_some_and(is_off) && !planted!(turn, SplitOffDecides);
    if is_off && ended.is_none() {
        tell_off_once(turn, id, said);
    }
    match ended {
        Some(Ending::Won | Ending::Promoted) => return checks_let_it_on(turn, id),
        Some(Ending::Lost) => return false,
        Some(Ending::TimeOver) => return after_its_time(turn, id, &experiment),
        None => {}
    }
    if turn.over(since, longer(experiment.at_least, held)) && !is_off {
        let goal = said.and_then(|said| said.goals.get(experiment.primary()));
        match goal.filter(|goal| !goal.is_blind || planted!(turn, BlindDecides)) {
            Some(goal) if goal.verdict == GoalVerdict::Won => {
                record(turn, id, Ending::Won);
                return checks_let_it_on(turn, id);
            }
            Some(goal) if goal.verdict == GoalVerdict::Lost && !planted!(turn, LostGoesOn) => {
                let problem = lost(id, goal);
                record(turn, id, Ending::Lost);
                turn.undo(id, problem);
                return false;
            }
            Some(_) | None => {}
        }
    }
    if !turn.over(since, longer(experiment.lasts, held)) {
        turn.waited_out(id, wait::EXPERIMENT, limits::PAUSE);
        return false;
    }
    record(turn, id, Ending::TimeOver);
    after_its_time(turn, id, &experiment)
}

/// What follows when it ends and nothing is proven.
fn after_its_time(turn: &mut Turn<'_>, id: ReleaseId, experiment: &Experiment) -> bool {
    let said = decided(turn, id).map(|decided| decided.said.clone());
    let is_off = said.as_ref().is_some_and(is_off);
    let has_clients = said.as_ref().is_some_and(|said| said.new > 0 && said.old > 0) || planted!(turn, NobodyIsEnough);
    let goal = said.as_ref().and_then(|said| said.goals.get(experiment.primary()));
    let is_known = goal.is_some_and(|goal| !goal.is_blind) || planted!(turn, BlindDecides);
    match experiment.undecided {
        Undecided::Promote if has_clients && is_known && !is_off => checks_let_it_on(turn, id),
        Undecided::Ask => {
            let limit = turn.app.config.as_ref().map_or(limits::APPROVE, |config| config.release.approve_timeout);
            if turn.waited_out(id, wait::EXPERIMENT_ENDED, limit) {
                undo_undecided(turn, id, experiment, said.as_ref());
            }
            false
        }
        Undecided::Promote | Undecided::Drop => {
            undo_undecided(turn, id, experiment, said.as_ref());
            false
        }
    }
}

fn undo_undecided(turn: &mut Turn<'_>, id: ReleaseId, experiment: &Experiment, said: Option<&ExperimentSaid>) {
    let goal = said.and_then(|said| said.goals.get(experiment.primary()));
    let goal = goal.map_or_else(
        || "its goal: nothing was counted".to_owned(),
        |goal| format!("its goal \"{}\": {}", goal.name, goal.why),
    );
    let split = said.and_then(|said| said.split.as_ref()).filter(|split| split.verdict == Verdict::Fail);
    let came_of_it = match split {
        None => format!("proved nothing of {goal}"),
        Some(split) => {
            format!("nothing could be decided by it, as its split was not as it was set: {}. Of {goal}", split.why)
        }
    };
    let cause = format!("the experiment of release {id} ended after {} and {came_of_it}.", experiment.lasts);
    let next = "Read `switchover experiment`. Deploy it again, and let it run longer; `switchover promote` takes it to all clients \
                while it runs, and `undecided = \"ask\"` waits for that.";
    turn.undo(id, Problem::new("EXPERIMENT-UNDECIDED", cause, next));
}

fn lost(id: ReleaseId, goal: &GoalSaid) -> Problem {
    let cause = format!("the experiment of release {id} is lost by its goal \"{}\": {}.", goal.name, goal.why);
    let next = "Read `switchover experiment` for what was counted; all clients are back on the old revision.";
    Problem::new("EXPERIMENT-LOST", cause, next)
}

/// Whether its split is proven to be another one than was set.
fn is_off(said: &ExperimentSaid) -> bool {
    said.split.as_ref().is_some_and(|split| split.verdict == Verdict::Fail)
}

fn tell_off_once(turn: &mut Turn<'_>, id: ReleaseId, said: Option<&ExperimentSaid>) {
    let code = checks::SPLIT_OFF;
    if turn.release(id).is_some_and(|release| release.noted.contains(code)) {
        return;
    }
    let why = said.and_then(|said| said.split.as_ref()).map(|split| split.why.clone()).unwrap_or_default();
    let cause =
        format!("the split of release {id}'s experiment is not as it was set: {why}. It is not decided by itself.");
    let next = "Look who was on both sides, or whether one had nobody to answer (`sticky`, a rule that is met now and then, \
                instances); then `switchover promote` or `abort`.";
    turn.record(Event::Noted { release: Some(id), problem: Problem::new(code, cause, next) });
}

fn record(turn: &mut Turn<'_>, id: ReleaseId, ending: Ending) {
    let Some(watch) = turn.release(id).and_then(|release| checks::watched(&turn.app, release)) else { return };
    let said = standing(turn, &watch).cloned().unwrap_or_else(nothing);
    turn.record(Event::Decided { watch, decided: Box::new(Decided { ending, at: turn.now, said }) });
}

fn nothing() -> ExperimentSaid {
    ExperimentSaid { new: 0, old: 0, goals: Vec::new(), split: None, anew: 0 }
}

fn decided<'a>(turn: &'a Turn<'_>, id: ReleaseId) -> Option<&'a Decided> {
    turn.release(id)?.judged.iter().find_map(|judged| judged.experiment.as_deref())
}

/// Whether its checks let it go on: they are waited for from the moment on at which it was decided.
fn checks_let_it_on(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some(since) = decided(turn, id).map(|decided| decided.at) else { return false };
    checks::let_go_on(turn, id, since)
}
