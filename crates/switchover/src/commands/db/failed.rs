//! How a schema change that did not come to its end is told.

use switchover_model::Problem;
use switchover_postgres::MigrateError;

use crate::exit::Exit;
use crate::failure::Failure;

/// The same of one of several migrations.
pub(super) fn failed_in(name: &str, error: MigrateError) -> Failure {
    match failed(error) {
        Failure::Problem(exit, problem) => {
            Failure::Problem(exit, Problem { cause: format!("{name}: {}", problem.cause), ..problem })
        }
        mistakes @ Failure::Mistakes(_) => mistakes,
    }
}

pub(super) fn failed(error: MigrateError) -> Failure {
    let refused = |problem: Problem| Failure::Problem(Exit::Refused, problem);
    let again = "What was done stays; give the same command again to go on, or `switchover db undo` to take it back.";
    let back = "The expand was taken back; nothing of it is left.";
    match error {
        MigrateError::Connect(error) => Failure::Problem(Exit::Unreachable, error.problem()),
        MigrateError::Refused(mut problems) => {
            let more = problems.split_off(problems.len().min(1));
            let first = problems.pop().unwrap_or_else(|| Problem::new("PLAN-REFUSED", "The plan was refused.", ""));
            let mut detail = first.detail.clone();
            detail.extend(more.iter().map(ToString::to_string));
            refused(first.with_detail(detail))
        }
        MigrateError::Busy(_) => {
            refused(Problem::new("MIGRATOR-BUSY", format!("{error}."), "Wait for it; one works at a time."))
        }
        MigrateError::Blocked { .. } => Failure::other(
            "LOCK-NOT-HAD",
            format!("{error}."),
            format!("End these sessions, or raise --lock-timeout. {again}"),
        ),
        MigrateError::TooLong { .. } => Failure::other("BACKFILL-TOO-LONG", format!("{error}."), again),
        MigrateError::TakenBack(within) => match *within {
            MigrateError::Found { .. } => Failure::other(
                "ROWS-IN-THE-WAY",
                format!("{within}."),
                format!("{back} Mend these rows, then expand again."),
            ),
            within => Failure::other(
                "STEP-FAILED",
                format!("{within}."),
                format!("{back} Mend the cause, then expand again."),
            ),
        },
        MigrateError::Found { .. } => {
            Failure::other("ROWS-IN-THE-WAY", format!("{error}."), format!("Mend these rows. {again}"))
        }
        MigrateError::Step { .. } => Failure::other("STEP-FAILED", format!("{error}."), again),
        MigrateError::Database(_) => Failure::other("DATABASE-REFUSED", format!("{error}."), again),
        MigrateError::Replaced(_) => refused(Problem::new(
            "MIGRATOR-REPLACED",
            format!("{error}."),
            "Look with `switchover db status` what became of it; give the command again only if nobody else goes on with it.",
        )),
        MigrateError::Unexpected(_) => Failure::other("DATABASE-UNEXPECTED", format!("{error}."), again),
    }
}
