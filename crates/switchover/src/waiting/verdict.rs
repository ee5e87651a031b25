//! Whether a release is where it should be, and what a script is told of it.

use switchover_model::Problem;
use switchover_model::release::Outcome;
use switchover_model::view::ReleaseView;

use crate::exit::Exit;

/// Where a release should come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// All traffic and workers are on the new slot, seen to be so.
    Switched,
    /// Its last stage is over.
    Settled,
    /// It is undone.
    Undone,
}

/// The end of a wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) exit: Exit,
    pub(crate) word: &'static str,
    pub(crate) problem: Option<Problem>,
}

/// What is to be told of `release`; nothing while it is to be waited for.
pub(crate) fn verdict(release: &ReleaseView, until: Until) -> Option<Verdict> {
    let end = |exit, word, problem: Option<Problem>| Some(Verdict { exit, word, problem });
    let outcome = match &release.outcome {
        Some(outcome) => outcome,
        None if until == Until::Switched && release.switched_at.is_some() && !release.undoing => {
            return end(Exit::Succeeded, "switched", None);
        }
        None => return None,
    };
    // What ended well but has a tail is waited for when the tail is asked for.
    let tail = until == Until::Settled && release.settled_at.is_none();
    let asked_for = until == Until::Undone;
    match outcome {
        Outcome::Succeeded { .. } if tail => None,
        Outcome::Succeeded { .. } if asked_for => end(Exit::Undone, "kept: it had succeeded already", None),
        Outcome::Succeeded { proven: true } => end(Exit::Succeeded, "succeeded", None),
        Outcome::Succeeded { proven: false } => end(Exit::Succeeded, "succeeded, unproven", None),
        Outcome::RolledBack { .. } if asked_for => end(Exit::Succeeded, "rolled-back", None),
        Outcome::Aborted { .. } if asked_for => end(Exit::Succeeded, "aborted", None),
        Outcome::RolledBack { cause } => end(Exit::Undone, "rolled-back", cause.clone()),
        // Found out while it was built: nothing was changed, and nothing was to be changed.
        Outcome::Aborted { cause: Some(cause) } if cause.code == "ALREADY-LIVE" => {
            end(Exit::Refused, "aborted", Some(cause.clone()))
        }
        Outcome::Aborted { cause } => end(Exit::Undone, "aborted", cause.clone()),
        Outcome::Superseded { by } => {
            let cause = format!("Release {} was superseded by release {by} before its switch.", release.release);
            let problem = Problem::new("RELEASE-SUPERSEDED", cause, "Look at the newer one with `switchover status`.");
            end(Exit::Undone, "superseded", Some(problem))
        }
        Outcome::Failed { cause } => end(Exit::NeedsPerson, "failed", Some(cause.clone())),
    }
}

#[cfg(test)]
mod tests {
    use switchover_model::release::ReleaseKind;
    use switchover_model::{ReleaseId, RevisionId, Timestamp};

    use super::*;

    fn release(outcome: Option<Outcome>, switched: bool, settled: bool) -> ReleaseView {
        let at = |yes: bool| yes.then(|| Timestamp::from_micros(5));
        ReleaseView {
            release: ReleaseId(2),
            kind: ReleaseKind::Deploy,
            revision: RevisionId(2),
            from: Some(RevisionId(1)),
            slot: None,
            by: "ann".into(),
            opened_at: Timestamp::from_micros(1),
            stages: Vec::new(),
            steps: Vec::new(),
            waiting: None,
            at_gate: false,
            waits_for_window: false,
            opens_at: None,
            paused: false,
            undoing: false,
            switched_at: at(switched),
            outcome,
            settled_at: at(settled),
            hooks: Vec::new(),
            checks: None,
            judged: Vec::new(),
            shadow: None,
        }
    }

    #[test]
    fn a_wait_ends_where_it_should_with_the_code_that_says_so() {
        let exit = |release: &ReleaseView, until| verdict(release, until).map(|verdict| verdict.exit);
        let cause = Problem::new("X", "x", "y");
        let good = Some(Outcome::Succeeded { proven: true });
        let back = Some(Outcome::RolledBack { cause: None });
        let failed = Some(Outcome::Failed { cause });

        assert_eq!(exit(&release(None, false, false), Until::Switched), None);
        assert_eq!(exit(&release(None, true, false), Until::Switched), Some(Exit::Succeeded));
        assert_eq!(exit(&ReleaseView { undoing: true, ..release(None, true, false) }, Until::Switched), None);
        assert_eq!(exit(&release(None, true, false), Until::Settled), None);
        assert_eq!(exit(&release(good.clone(), true, false), Until::Settled), None);
        assert_eq!(exit(&release(good.clone(), true, true), Until::Settled), Some(Exit::Succeeded));
        assert_eq!(exit(&release(good, true, false), Until::Undone), Some(Exit::Undone), "nothing is undone any more");
        let aborted = Some(Outcome::Aborted { cause: None });
        assert_eq!(exit(&release(aborted, false, false), Until::Undone), Some(Exit::Succeeded));
        assert_eq!(exit(&release(back.clone(), true, false), Until::Switched), Some(Exit::Undone));
        assert_eq!(exit(&release(back, true, false), Until::Undone), Some(Exit::Succeeded));
        assert_eq!(exit(&release(failed.clone(), false, false), Until::Undone), Some(Exit::NeedsPerson));
        assert_eq!(exit(&release(failed, false, false), Until::Settled), Some(Exit::NeedsPerson));
    }
}
