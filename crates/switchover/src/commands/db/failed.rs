//! How a schema change that did not come to its end is told.

use switchover_model::Problem;
use switchover_postgres::MigrateError;

use crate::exit::Exit;
use crate::failure::Failure;

/// The same of one of several migrations.
pub(super) fn failed_in(name: &str, error: &MigrateError) -> Failure {
    let problem = error.problem();
    Failure::Problem(exit(error), Problem { cause: format!("{name}: {}", problem.cause), ..problem })
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
pub(super) fn failed(error: MigrateError) -> Failure {
    Failure::Problem(exit(&error), error.problem())
}

fn exit(error: &MigrateError) -> Exit {
    match error {
        MigrateError::Connect(_) => Exit::Unreachable,
        MigrateError::Refused(_) | MigrateError::Busy(_) | MigrateError::Replaced(_) => Exit::Refused,
        MigrateError::Blocked { .. }
        | MigrateError::TooLong { .. }
        | MigrateError::Found { .. }
        | MigrateError::Step { .. }
        | MigrateError::Database(_)
        | MigrateError::TakenBack { .. }
        | MigrateError::NotChanged(_)
        | MigrateError::Unexpected(_) => Exit::Other,
    }
}
