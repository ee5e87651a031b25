//! A migration's failure as a person sees it.

use switchover_model::Problem;

use crate::MigrateError;

const AGAIN: &str = "What was done stays; the same command or deploy goes on from there. An expand, and a contract that has changed no table yet, is taken back by `switchover db undo`.";

impl MigrateError {
    /// The same as a user sees it, at the command line as in the state of a release.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let told = |code: &str, next: String| Problem::new(code, format!("{self}."), next);
        match self {
            Self::Connect(error) => error.problem(),
            Self::Refused(problems) => refusal(problems),
            Self::Busy(_) => told("MIGRATOR-BUSY", "Wait for it; one works at a time.".to_owned()),
            Self::Blocked { blockers, .. } => {
                let next =
                    format!("End these sessions, or raise --lock-timeout (`lock_timeout` of a release). {AGAIN}");
                told("LOCK-NOT-HAD", next).with_detail(blockers.clone())
            }
            Self::TooLong { .. } => told("BACKFILL-TOO-LONG", AGAIN.to_owned()),
            Self::TakenBack { why, kept } => {
                let (code, what) = match **why {
                    Self::Found { .. } => ("ROWS-IN-THE-WAY", "these rows"),
                    Self::Connect(_)
                    | Self::Refused(_)
                    | Self::Busy(_)
                    | Self::Blocked { .. }
                    | Self::TooLong { .. }
                    | Self::TakenBack { .. }
                    | Self::NotChanged(_)
                    | Self::Step { .. }
                    | Self::Database(_)
                    | Self::Replaced(_)
                    | Self::Unexpected(_) => ("STEP-FAILED", "the cause"),
                };
                let left = match kept {
                    None => "nothing of it is left.".to_owned(),
                    Some(kept) => format!(
                        "what it had filled is in the attic ({kept}), until `switchover db purge --all` drops it."
                    ),
                };
                let next = format!(
                    "The expand was taken back; {left} Mend {what}, then give the same command or deploy again."
                );
                Problem::new(code, format!("{why}."), next)
            }
            Self::NotChanged(within) => {
                let within = within.problem();
                let next = "Nothing was changed. Mend these rows, then give the same command again.";
                Problem::new(&within.code, format!("{self}."), next).with_detail(within.detail)
            }
            Self::Found { keys, .. } => {
                told("ROWS-IN-THE-WAY", format!("Mend these rows. {AGAIN}")).with_detail(keys.clone())
            }
            Self::Step { .. } => told("STEP-FAILED", AGAIN.to_owned()),
            Self::Database(_) => {
                told("DATABASE-REFUSED", "Mend what the database says, then give the same command again.".to_owned())
            }
            Self::Replaced(_) => {
                let next = "Look with `switchover db status` what became of it; give the same again only if nobody else \
                            goes on with it.";
                told("MIGRATOR-REPLACED", next.to_owned())
            }
            Self::Unexpected(_) => told("DATABASE-UNEXPECTED", AGAIN.to_owned()),
        }
    }

    /// Whether the condition of the server or another migrator is in the way: trying again later may help.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Busy(_) | Self::Database(_) => true,
            Self::Step { .. } => !self.is_lasting(),
            Self::Refused(_)
            | Self::Blocked { .. }
            | Self::TooLong { .. }
            | Self::Found { .. }
            | Self::TakenBack { .. }
            | Self::NotChanged(_)
            | Self::Replaced(_)
            | Self::Unexpected(_) => false,
        }
    }
}

/// The first finding, with what it shows and then every further one with what that shows.
fn refusal(problems: &[Problem]) -> Problem {
    let Some((first, more)) = problems.split_first() else {
        return Problem::new(
            "PLAN-REFUSED",
            "the plan was refused.",
            "Nothing was begun; `switchover db plan` shows what would be done.",
        );
    };
    let mut detail = first.detail.clone();
    for problem in more {
        detail.push(problem.to_string());
        detail.extend(problem.detail.iter().cloned());
    }
    // What is found first is read first; `with_detail` alone would keep the end.
    detail.truncate(Problem::DETAIL_LINES);
    first.clone().with_detail(detail)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn finding(code: &str, detail: &[&str]) -> Problem {
        let detail = detail.iter().map(ToString::to_string).collect();
        Problem::new(code, "it can not be done.", "Do it otherwise.").with_detail(detail)
    }

    fn check(error: &MigrateError, expected: &Expect) {
        let Problem { code, cause, next, detail } = error.problem();
        expected.assert_eq(&format!("{code}: {cause}\nnext: {next}\n{}", detail.join("\n")));
    }

    #[test]
    fn a_refusal_shows_what_every_finding_shows() {
        let found = vec![finding("SQL-REFUSED", &["line 1", "line 2"]), finding("INDEX-EXISTS", &["line 3"])];
        check(
            &MigrateError::Refused(found),
            &expect![[r"
                SQL-REFUSED: it can not be done.
                next: Do it otherwise.
                line 1
                line 2
                INDEX-EXISTS: it can not be done. Do it otherwise.
                line 3"]],
        );
    }

    #[test]
    fn of_too_many_findings_the_first_are_shown() {
        let found: Vec<Problem> = (0..100).map(|count| finding(&format!("CODE-{count}"), &[])).collect();
        let detail = MigrateError::Refused(found).problem().detail;
        assert_eq!(detail.len(), Problem::DETAIL_LINES);
        assert!(detail[0].starts_with("CODE-1:"), "{detail:?}");
    }

    #[test]
    fn a_refusal_without_a_finding_has_a_cause_and_a_next_step() {
        check(
            &MigrateError::Refused(Vec::new()),
            &expect![[r"
                PLAN-REFUSED: the plan was refused.
                next: Nothing was begun; `switchover db plan` shows what would be done.
            "]],
        );
    }

    #[test]
    fn what_stays_and_what_was_taken_back_is_said_with_the_way_on() {
        let found = || MigrateError::Found {
            step: "add a check".to_owned(),
            means: "the price is negative".to_owned(),
            keys: vec!["1".to_owned(), "2".to_owned()],
        };
        check(
            &found(),
            &expect![[r#"
                ROWS-IN-THE-WAY: `add a check` found rows: the price is negative; their keys: 1, 2.
                next: Mend these rows. What was done stays; the same command or deploy goes on from there. An expand, and a contract that has changed no table yet, is taken back by `switchover db undo`.
                1
                2"#]],
        );
        check(
            &MigrateError::TakenBack { why: Box::new(found()), kept: None },
            &expect![[r"
                ROWS-IN-THE-WAY: `add a check` found rows: the price is negative; their keys: 1, 2.
                next: The expand was taken back; nothing of it is left. Mend these rows, then give the same command or deploy again.
            "]],
        );
    }
}
