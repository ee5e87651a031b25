//! What is left to do once a release has its outcome: keep the old slot warm for a while, then stop it; or clear the
//! slot of what was undone. Then the release is settled and its receipt closed.

use switchover_model::record::Event;
use switchover_model::release::{Outcome, Stage};
use switchover_model::{Problem, ReleaseId, Slot};

use crate::attempts::{self, Progress};
use crate::contract::{self, Contract};
use crate::release::Release;
use crate::turn::{Turn, planted};
use crate::{checks, limits, routes, schema, slots, wait};

pub(crate) fn step(turn: &mut Turn<'_>, id: ReleaseId) {
    let Some(release) = turn.release(id) else { return };
    let succeeded = matches!(release.outcome, Some(Outcome::Succeeded { .. }));
    if checks::are_breached(turn, id) {
        return;
    }
    let Some(release) = turn.release(id) else { return };
    if release.stage() == Some(Stage::Contract) && succeeded {
        return contracted(turn, id);
    }
    let has_traffic = turn.app.heading().is_some_and(|live| release.slot == Some(live.slot));
    let left = match release.outcome {
        Some(Outcome::Succeeded { .. }) => retired(turn, id),
        Some(Outcome::RolledBack { .. } | Outcome::Aborted { .. } | Outcome::Superseded { .. }) => cleared(turn, id),
        // What a failure leaves is kept for a person as long as any old slot, then stopped.
        Some(Outcome::Failed { .. }) if has_traffic => retired(turn, id),
        Some(Outcome::Failed { .. }) if routes::are_in_force(turn) => cleared(turn, id),
        // Where the traffic goes is not known, also after a while: nothing is stopped, the next release clears the slot.
        Some(Outcome::Failed { .. }) => {
            if turn.waited_out(id, wait::ROUTE_BACK, limits::ROUTE) {
                Left::Nothing
            } else {
                Left::Work
            }
        }
        None => Left::Work,
    };
    let mut problem = match left {
        Left::Work => return,
        Left::Nothing => None,
        Left::Problem(problem) => Some(problem),
    };
    let contracts = turn
        .release(id)
        .is_some_and(|release| schema::contracts(release) && schema::needs(&turn.app, release.revision).is_some());
    if contracts {
        problem = problem.or_else(|| refused(turn, id)).map(left_pending);
    }
    if problem.is_none() && contracts {
        if turn.is_held(id) {
            return;
        }
        match attempts::run_hooks_before(turn, id, Stage::Contract) {
            Progress::Running => return,
            Progress::Failed(failed) => problem = Some(left_pending(failed)),
            Progress::Passed => {
                if !turn.is_held(id) {
                    turn.record(Event::Entered { release: id, stage: Stage::Contract, slot: None });
                }
                return;
            }
        }
    }
    if attempts_ended(turn, id) {
        settle(turn, id, problem);
    }
}

fn contracted(turn: &mut Turn<'_>, id: ReleaseId) {
    let problem = match contract::step(turn, id) {
        Contract::Work => return,
        Contract::Done => None,
        Contract::Pending(problem) => Some(problem),
    };
    if attempts_ended(turn, id) {
        settle(turn, id, problem);
    }
}

/// What a release with an outcome has still to do.
enum Left {
    /// Something, and it goes on.
    Work,
    /// Nothing.
    Nothing,
    /// Nothing that would help; a person should know why.
    Problem(Problem),
}

/// Stops the slot that the release moved from, once its warm time is over.
fn retired(turn: &mut Turn<'_>, id: ReleaseId) -> Left {
    let Some((slot, _)) = turn.place(id) else { return Left::Nothing };
    let old = slot.other();
    let state = turn.app.slot(old);
    let is_newer = |owner: Option<ReleaseId>| owner.is_some_and(|owner| owner > id);
    let succeeded = turn.release(id).is_some_and(|release| matches!(release.outcome, Some(Outcome::Succeeded { .. })));
    if state.revision.is_some() && !is_newer(state.release) {
        // What a rolling release has emptied is not warm.
        let is_kept = !turn.app.has_nobody(old);
        let keep_warm = turn.app.config.as_ref().map(|config| config.release.keep_warm);
        let warm = keep_warm.filter(|_| is_kept).unwrap_or_default();
        let concluded_at = turn.release(id).and_then(|release| release.concluded_at).unwrap_or_default();
        // A newer release needs the contract of this one first.
        let hurried = turn.app.releases.iter().any(|other| other.id > id && waits_for_contract(turn, other));
        if !hurried && !turn.over(concluded_at, warm) {
            turn.waited_out(id, wait::KEEP_WARM, warm);
            return Left::Work;
        }
        if turn.app.leads_to(old) {
            // A split that could not go back and was gathered: the old slot has its share until that is seen.
            return if turn.waited_out(id, wait::ROUTE, limits::ROUTE) { Left::Nothing } else { Left::Work };
        }
        if slots::is_draining(turn, old) || turn.is_held(id) {
            return Left::Work;
        }
        if planted!(turn, ForgetToStop) {
            return Left::Nothing;
        }
        // What failed asks nobody: its attempts are given up.
        if succeeded && !may_be_stopped(turn, id, old, hurried) {
            return Left::Work;
        }
        turn.record(Event::Stopped { slot: old });
    }
    if turn.app.slot(old).stopping.is_some_and(|stopping| !is_newer(stopping.release)) {
        match emptied(turn, id, old) {
            Left::Nothing => {}
            unfinished @ (Left::Work | Left::Problem(_)) => return unfinished,
        }
    }
    if !succeeded {
        return Left::Nothing;
    }
    match attempts::run_hooks(turn, id, Stage::Retire) {
        Progress::Passed => Left::Nothing,
        Progress::Running => Left::Work,
        Progress::Failed(problem) => Left::Problem(problem),
    }
}

/// Whether the hooks before retire let the old slot be stopped. Where one has said no, the release waits for a person as long
/// as for one who holds it; nobody is waited for where a newer release needs the slot.
fn may_be_stopped(turn: &mut Turn<'_>, id: ReleaseId, old: Slot, hurried: bool) -> bool {
    let problem = match attempts::run_hooks_before(turn, id, Stage::Retire) {
        Progress::Passed => return !turn.is_held(id),
        Progress::Running => return false,
        Progress::Failed(problem) => problem,
    };
    if hurried || turn.release(id).is_some_and(Release::is_promoted) {
        return true;
    }
    if !turn.release(id).is_some_and(|release| release.noted.contains(&problem.code)) {
        turn.record(Event::Noted { release: Some(id), problem: runs_on(problem, id, old) });
    }
    turn.waited_out(id, wait::RETIRE_GATE, limits::PAUSE)
}

/// How the cause ends that people are told at the gate of retire. The text is also the identity of that note.
fn not_stopped(old: Slot) -> String {
    format!(" So slot {old} was not stopped.")
}

/// Whether people were told by it that a release waits for them to stop its old slot.
pub(crate) fn tells_of_its_gate(problem: &Problem) -> bool {
    Slot::BOTH.into_iter().any(|old| problem.cause.ends_with(&not_stopped(old)))
}

fn runs_on(problem: Problem, id: ReleaseId, old: Slot) -> Problem {
    let cause = format!("{}{}", problem.cause, not_stopped(old));
    let next = format!(
        "Look at what the hook said, then `switchover promote --release {id}` to stop the slot. The next release takes it in \
         any case, and after {} it is stopped.",
        limits::PAUSE
    );
    Problem { cause, next, ..problem }
}

/// A hook before retire has not passed and nobody has promoted the release all the same: then nothing is taken away either.
fn refused(turn: &Turn<'_>, id: ReleaseId) -> Option<Problem> {
    let release = turn.release(id).filter(|release| !release.is_promoted())?;
    let hook = attempts::unpassed_before(&turn.app, release, Stage::Retire)?;
    let cause = format!("the retire hook `{}` of release {id} did not pass.", hook.asks);
    Some(Problem::new("HOOK-FAILED", cause, "Look at what the hook said."))
}

/// Why a contract is not begun: what it would take away stays pending.
fn left_pending(problem: Problem) -> Problem {
    let cause = format!("{} So the contract was not begun.", problem.cause);
    Problem { cause, next: format!("{} {}", problem.next, contract::PENDING), ..problem }
}

fn waits_for_contract(turn: &Turn<'_>, release: &Release) -> bool {
    let here = release.is_open() && !release.is_undoing() && release.stage() == Some(Stage::Expand);
    here && schema::contract_comes_first(turn, release.id)
}

/// Stops the slot of a release that was undone, once it is drained.
fn cleared(turn: &mut Turn<'_>, id: ReleaseId) -> Left {
    let Some((slot, _)) = turn.place(id) else { return Left::Nothing };
    if turn.app.slot(slot).release == Some(id) && !turn.app.leads_to(slot) {
        // An older release that is undone may need what this one has started: bounded by the bounds of its waits.
        if slots::is_draining(turn, slot) || turn.app.is_gone_back_to(slot) {
            return Left::Work;
        }
        turn.record(Event::Stopped { slot });
    }
    if turn.app.slot(slot).stopping.is_some_and(|stopping| stopping.release == Some(id)) {
        return emptied(turn, id, slot);
    }
    Left::Nothing
}

/// Waits for a slot to be empty. Where that does not end in time, the order to stop stays.
fn emptied(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot) -> Left {
    if planted!(turn, SettledEarly) {
        return Left::Nothing;
    }
    let Some(stopping) = turn.app.slot(slot).stopping else { return Left::Nothing };
    let limit = slots::empty_limit(&turn.app, stopping.revision);
    if slots::stop_is_overdue(turn, slot, limits::STOP_BEGUN) {
        return Left::Problem(slots::not_empty(turn, slot));
    }
    turn.waited_out(id, wait::CLEARED, limit);
    Left::Work
}

fn attempts_ended(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some(release) = turn.release(id) else { return false };
    if release.running_attempts().next().is_none() {
        return true;
    }
    turn.waited_out(id, wait::ATTEMPTS, limits::CANCEL)
}

/// Closes the release with a reading that is not older than the one it was opened with.
fn settle(turn: &mut Turn<'_>, id: ReleaseId, problem: Option<Problem>) {
    let opened_at = turn.release(id).map(|release| release.opened_at).unwrap_or_default();
    let ledger = turn.ledger_since(opened_at);
    if ledger.is_none() && !turn.waited_out(id, wait::COUNTERS, limits::UNKNOWN) {
        return;
    }
    if let Some(problem) = problem {
        turn.record(Event::Noted { release: Some(id), problem });
    }
    turn.record(Event::Settled { release: id, ledger });
}
