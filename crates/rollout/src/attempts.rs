//! What is not repeatable by nature: builds and hooks, journaled before they start and after they end.

use switchover_model::config::OnCrash;
use switchover_model::record::{Attempt, AttemptId, AttemptResult, Event};
use switchover_model::release::Stage;
use switchover_model::{Problem, ReleaseId, Span};

use crate::limits;
use crate::turn::{Turn, planted};

/// How an attempt stands.
pub(crate) enum Progress {
    /// It did what it should.
    Passed,
    /// It runs, or is held.
    Running,
    /// It did not.
    Failed(Problem),
}

/// Makes sure that `what` is attempted, and says how it stands. `limit` is its own time-out.
pub(crate) fn attempt(turn: &mut Turn<'_>, id: ReleaseId, what: &Attempt, limit: Span, on_crash: OnCrash) -> Progress {
    let Some(release) = turn.release(id) else { return Progress::Running };
    let mut same = release.attempts.iter().filter(|state| state.what == *what);
    let lost = same.clone().filter(|state| state.result == Some(AttemptResult::Lost)).count();
    let last = same.next_back().cloned();
    let name = describe(turn, id, what);
    match last.as_ref().map(|state| (state.started_at, state.result.as_ref())) {
        None => start(turn, id, what),
        Some((started_at, None)) => {
            let whole = Span::from_micros(limit.as_micros().saturating_add(limits::ATTEMPT_ALLOWANCE.as_micros()));
            if !turn.over(started_at, whole) {
                return Progress::Running;
            }
            let cause = format!("the {name} did not end within {limit}.");
            Progress::Failed(Problem::new("ATTEMPT-TIMED-OUT", cause, "Make it faster, or raise its timeout."))
        }
        Some((_, Some(AttemptResult::Passed { .. }))) => Progress::Passed,
        Some((_, Some(AttemptResult::Failed { .. }))) if planted!(turn, FailedHookPasses) => Progress::Passed,
        Some((_, Some(AttemptResult::Failed { cause }))) => Progress::Failed(cause.clone()),
        Some((_, Some(AttemptResult::Cancelled))) => {
            let cause = format!("the {name} was stopped before it ended.");
            Progress::Failed(Problem::new("ATTEMPT-CANCELLED", cause, "Deploy again."))
        }
        Some((_, Some(AttemptResult::Lost))) => {
            let again = match on_crash {
                OnCrash::Rerun => lost <= limits::RERUNS,
                OnCrash::Fail => planted!(turn, RerunDespiteFail),
            };
            if again {
                return start(turn, id, what);
            }
            let cause = format!("the controller ended while the {name} ran, so nobody knows how it ended.");
            let next = "Look whether it took effect, then deploy again; on_crash = \"rerun\" runs a lost one again.";
            Progress::Failed(Problem::new("ATTEMPT-LOST", cause, next))
        }
    }
}

/// Runs the hooks of a stage one after the other, and says whether the release may go on. A hook that fails undoes it.
pub(crate) fn hooks_passed(turn: &mut Turn<'_>, id: ReleaseId, stage: Stage) -> bool {
    match run_hooks(turn, id, stage) {
        Progress::Passed => !turn.is_held(id),
        Progress::Running => false,
        Progress::Failed(cause) => {
            turn.undo(id, cause);
            false
        }
    }
}

/// Why a hook of the stage is recorded to have failed. Starts nothing.
pub(crate) fn failed_hook(turn: &Turn<'_>, id: ReleaseId, stage: Stage) -> Option<Problem> {
    if planted!(turn, FailedHookPasses) {
        return None;
    }
    turn.release(id)?.attempts.iter().find_map(|attempt| match (&attempt.what, &attempt.result) {
        (Attempt::Hook { stage: of, .. }, Some(AttemptResult::Failed { cause })) if *of == stage => Some(cause.clone()),
        _ => None,
    })
}

pub(crate) fn run_hooks(turn: &mut Turn<'_>, id: ReleaseId, stage: Stage) -> Progress {
    let hooks = turn.app.config_of(id).map(|config| config.release.hooks.clone()).unwrap_or_default();
    for (index, hook) in hooks.iter().enumerate().filter(|(_, hook)| hook.stage == stage) {
        match attempt(turn, id, &Attempt::Hook { stage, hook: index }, hook.timeout, hook.on_crash) {
            Progress::Passed => {}
            unfinished @ (Progress::Running | Progress::Failed(_)) => return unfinished,
        }
    }
    Progress::Passed
}

fn start(turn: &mut Turn<'_>, id: ReleaseId, what: &Attempt) -> Progress {
    if !turn.is_held(id) {
        let attempt = AttemptId(turn.app.next_attempt);
        turn.record(Event::AttemptStarted { attempt, release: id, what: what.clone() });
    }
    Progress::Running
}

fn describe(turn: &Turn<'_>, id: ReleaseId, what: &Attempt) -> String {
    match what {
        Attempt::Build { revision } => format!("build of {revision}"),
        Attempt::Backup { .. } => "backup".to_owned(),
        Attempt::Migrate { step } => format!("run of the framework's migrations ({step})"),
        Attempt::Hook { stage, hook } => {
            let command = turn.app.config_of(id).and_then(|config| config.release.hooks.get(*hook));
            format!("{stage} hook `{}`", command.map_or("?", |hook| hook.command.as_str()))
        }
    }
}
