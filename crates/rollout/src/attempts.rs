//! What is not repeatable by nature: builds and hooks, journaled before they start and after they end.

use switchover_model::config::{Hook, OnCrash, When};
use switchover_model::record::{Attempt, AttemptId, AttemptResult, Event};
use switchover_model::release::Stage;
use switchover_model::{Problem, ReleaseId, Span, Timestamp};

use crate::app::App;
use crate::limits;
use crate::release::{AttemptState, Release};
use crate::turn::{Turn, planted};

/// How an attempt stands.
pub(crate) enum Progress {
    /// It did what it should.
    Passed,
    /// It runs, is to be tried again, or is held.
    Running,
    /// It did not.
    Failed(Problem),
}

/// How long and how often something is attempted.
#[derive(Clone, Copy)]
struct Patience {
    /// The time-out of one try, with all its questions.
    limit: Span,
    on_crash: OnCrash,
    /// Tries after the first one.
    retries: u32,
    /// Before another try, or another question.
    pause: Span,
}

/// Makes sure that `what` is attempted, and says how it stands. `limit` is its own time-out.
pub(crate) fn attempt(turn: &mut Turn<'_>, id: ReleaseId, what: &Attempt, limit: Span, on_crash: OnCrash) -> Progress {
    pursue(turn, id, what, Patience { limit, on_crash, retries: 0, pause: Span::ZERO })
}

fn pursue(turn: &mut Turn<'_>, id: ReleaseId, what: &Attempt, patience: Patience) -> Progress {
    let Patience { limit, on_crash, retries, pause } = patience;
    let Some(release) = turn.release(id) else { return Progress::Running };
    let asked_since = current_try(release, what).since;
    let (lost, failed) = (count(release, what, is_lost), count(release, what, is_failed));
    let last = tries(release, what).next_back().cloned();
    let name = describe(turn, id, what);
    let Some(last) = last else { return start(turn, id, what) };
    let ended_at = last.ended_at.unwrap_or(last.started_at);
    match last.result {
        None => {
            let whole = Span::from_micros(limit.as_micros().saturating_add(limits::ATTEMPT_ALLOWANCE.as_micros()));
            if !turn.over(asked_since, whole) {
                return Progress::Running;
            }
            let cause = format!("the {name} did not end within {limit}.");
            Progress::Failed(Problem::new("ATTEMPT-TIMED-OUT", cause, "Make it faster, or raise its timeout."))
        }
        Some(AttemptResult::Passed { .. }) => Progress::Passed,
        Some(AttemptResult::NotYet { .. }) => {
            if turn.over(asked_since, limit) {
                let cause = format!("the {name} still said not yet after {limit}.");
                let next = "See what it waits for; give it a longer timeout, or deploy again when it can say more.";
                return Progress::Failed(Problem::new("HOOK-NOT-YET", cause, next));
            }
            start_after(turn, id, what, ended_at + question_pause(limit, pause))
        }
        Some(AttemptResult::Failed { .. }) if planted!(turn, FailedHookPasses) => Progress::Passed,
        Some(AttemptResult::Failed { .. }) if failed <= retries => start_after(turn, id, what, ended_at + pause),
        Some(AttemptResult::Failed { cause }) => Progress::Failed(cause),
        Some(AttemptResult::Cancelled) => {
            let cause = format!("the {name} was stopped before it ended.");
            Progress::Failed(Problem::new("ATTEMPT-CANCELLED", cause, "Deploy again."))
        }
        Some(AttemptResult::Lost) => {
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

/// The try that the newest attempt at something belongs to. One try may ask several times, as long as it hears "not yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Try {
    /// Which one, from 1: those before have failed.
    pub number: u32,
    /// When its first question was asked, or asked anew after one was lost.
    pub since: Timestamp,
}

/// The try that the newest attempt of `release` at `what` belongs to.
#[must_use]
pub fn current_try(release: &Release, what: &Attempt) -> Try {
    let mut since = release.opened_at;
    let mut goes_on = false;
    for state in tries(release, what) {
        if !goes_on {
            since = state.started_at;
        }
        goes_on = matches!(state.result, Some(AttemptResult::NotYet { .. }));
    }
    let ended = tries(release, what).next_back().is_some_and(|state| state.result.as_ref().is_some_and(is_failed));
    Try { number: count(release, what, is_failed) + u32::from(!ended), since }
}

/// The pause before a question is asked again: long enough that a try has no more than [`limits::QUESTIONS`].
fn question_pause(limit: Span, pause: Span) -> Span {
    pause.max(Span::from_micros(limit.as_micros() / limits::QUESTIONS))
}

fn tries<'a>(release: &'a Release, what: &'a Attempt) -> impl DoubleEndedIterator<Item = &'a AttemptState> {
    release.attempts.iter().filter(move |state| state.what == *what)
}

fn count(release: &Release, what: &Attempt, is: fn(&AttemptResult) -> bool) -> u32 {
    let found = tries(release, what).filter(|state| state.result.as_ref().is_some_and(is)).count();
    u32::try_from(found).unwrap_or(u32::MAX)
}

fn is_lost(result: &AttemptResult) -> bool {
    matches!(result, AttemptResult::Lost)
}

fn is_failed(result: &AttemptResult) -> bool {
    matches!(result, AttemptResult::Failed { .. })
}

// === Hooks ===

impl App {
    /// Whether anything is asked before the stage begins.
    pub(crate) fn has_hooks_before(&self, release: ReleaseId, stage: Stage) -> bool {
        let is_due = |hook: &Hook| hook.stage == stage && hook.when == When::Before;
        self.config_of(release).is_some_and(|config| config.release.hooks.iter().any(is_due))
    }
}

/// Runs the hooks of a stage one after the other, and says whether the release may go on. A hook that fails undoes it.
pub(crate) fn hooks_passed(turn: &mut Turn<'_>, id: ReleaseId, stage: Stage) -> bool {
    let progress = run_hooks(turn, id, stage);
    goes_on(turn, id, progress)
}

/// The same for the hooks that keep a stage from beginning.
pub(crate) fn may_begin(turn: &mut Turn<'_>, id: ReleaseId, stage: Stage) -> bool {
    let progress = run_hooks_before(turn, id, stage);
    goes_on(turn, id, progress)
}

fn goes_on(turn: &mut Turn<'_>, id: ReleaseId, progress: Progress) -> bool {
    match progress {
        Progress::Passed => !turn.is_held(id),
        Progress::Running => false,
        Progress::Failed(cause) => {
            turn.undo(id, cause);
            false
        }
    }
}

/// Why a hook of the stage is recorded to have failed, with no try left. Starts nothing.
pub(crate) fn failed_hook(turn: &Turn<'_>, id: ReleaseId, stage: Stage) -> Option<Problem> {
    if planted!(turn, FailedHookPasses) {
        return None;
    }
    let release = turn.release(id)?;
    let hooks = &turn.app.config_of(id)?.release.hooks;
    hooks.iter().enumerate().filter(|(_, hook)| hook.stage == stage).find_map(|(index, hook)| {
        let what = Attempt::Hook { stage, hook: index };
        match &tries(release, &what).next_back()?.result {
            Some(AttemptResult::Failed { cause }) if count(release, &what, is_failed) > hook.retries => {
                Some(cause.clone())
            }
            Some(_) | None => None,
        }
    })
}

/// A hook before the stage that was asked and has not passed. Starts nothing.
pub(crate) fn unpassed_before<'a>(app: &'a App, release: &Release, stage: Stage) -> Option<&'a Hook> {
    let hooks = &app.config_of(release.id)?.release.hooks;
    let due = hooks.iter().enumerate().filter(|(_, hook)| hook.stage == stage && hook.when == When::Before);
    let mut due = due.map(|(index, hook)| (Attempt::Hook { stage, hook: index }, hook));
    let is_unpassed = |what: &Attempt| {
        let last = tries(release, what).next_back();
        last.is_some_and(|last| !matches!(last.result, Some(AttemptResult::Passed { .. })))
    };
    due.find(|(what, _)| is_unpassed(what)).map(|(_, hook)| hook)
}

/// Runs what is to be asked as the last step of a stage.
pub(crate) fn run_hooks(turn: &mut Turn<'_>, id: ReleaseId, stage: Stage) -> Progress {
    run(turn, id, stage, When::After)
}

/// Runs what is to be asked before a stage begins.
pub(crate) fn run_hooks_before(turn: &mut Turn<'_>, id: ReleaseId, stage: Stage) -> Progress {
    if planted!(turn, BeginsUnasked) { Progress::Passed } else { run(turn, id, stage, When::Before) }
}

fn run(turn: &mut Turn<'_>, id: ReleaseId, stage: Stage, when: When) -> Progress {
    let hooks = turn.app.config_of(id).map(|config| config.release.hooks.clone()).unwrap_or_default();
    let due = |hook: &Hook| hook.stage == stage && hook.when == when;
    for (index, hook) in hooks.iter().enumerate().filter(|(_, hook)| due(hook)) {
        let retries = if planted!(turn, RetriesWithoutEnd) { u32::MAX } else { hook.retries };
        let patience = Patience { limit: hook.timeout, on_crash: hook.on_crash, retries, pause: hook.pause };
        match pursue(turn, id, &Attempt::Hook { stage, hook: index }, patience) {
            Progress::Passed => {}
            unfinished @ (Progress::Running | Progress::Failed(_)) => return unfinished,
        }
    }
    Progress::Passed
}

/// Starts it when its pause is over; looks again then.
fn start_after(turn: &mut Turn<'_>, id: ReleaseId, what: &Attempt, at: Timestamp) -> Progress {
    if turn.over(at, Span::ZERO) { start(turn, id, what) } else { Progress::Running }
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
            let hook = turn.app.config_of(id).and_then(|config| config.release.hooks.get(*hook));
            format!("{stage} hook `{}`", hook.map_or_else(|| "?".to_owned(), |hook| hook.asks.to_string()))
        }
    }
}
