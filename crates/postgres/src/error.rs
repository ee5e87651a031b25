//! Why a migration did not come to its end.

use std::time::Duration;

use switchover_model::Problem;
use tokio_postgres::error::SqlState;

use crate::ConnectError;
use crate::connection::said;
use crate::fence::REPLACED;

/// Why a migration did not come to its end. What was done stays, noted; the same command goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The plan is refused; nothing was begun.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Problem>),
    /// Another migrator works on this schema.
    #[error("another migrator works on schema {0}")]
    Busy(String),
    /// A lock was not to be had in time.
    #[error("`{step}` did not get its lock within {} s: {}", waited.as_secs(), blockers.join("; "))]
    Blocked {
        /// The step.
        step: String,
        /// The time.
        waited: Duration,
        /// Who had it.
        blockers: Vec<String>,
    },
    /// A backfill took too long.
    #[error("the rows of {what} were not brought in step in time")]
    TooLong {
        /// The table.
        what: String,
    },
    /// Rows stand in the way.
    #[error("`{step}` found rows: {means}; their keys: {}", keys.join(", "))]
    Found {
        /// The step.
        step: String,
        /// What a found row means.
        means: String,
        /// The rows' keys.
        keys: Vec<String>,
    },
    /// The database refused a statement.
    #[error("`{step}` failed: {cause}")]
    Step {
        /// The step.
        step: String,
        /// What the database said.
        cause: Refusal,
    },
    /// The database said something else.
    #[error("the database refused: {0}")]
    Database(Refusal),
    /// The rows or the plan stand in the way, and the expand was taken back as a whole.
    #[error("{why}; the expand was taken back")]
    TakenBack {
        /// What stood in the way.
        why: Box<MigrateError>,
        /// Why what it had filled is still in the attic, where it is: nobody has used it, so it should have gone with the rest.
        kept: Option<Box<MigrateError>>,
    },
    /// What was to come back can not; nothing was changed.
    #[error("{0}; nothing was changed")]
    NotChanged(Box<MigrateError>),
    /// Another migrator, or a newer controller, has the schema now.
    #[error("another migrator took schema {0} over; this one does nothing more")]
    Replaced(String),
    /// Something that should not be.
    #[error("unexpected: {0}")]
    Unexpected(String),
}

/// What the database said, and as what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    text: String,
    state: Option<SqlState>,
}

impl Refusal {
    /// Whether its class is one of these (PostgreSQL, appendix A).
    pub(crate) fn is_of(&self, classes: &[&str]) -> bool {
        self.state.as_ref().is_some_and(|state| classes.iter().any(|class| state.code().starts_with(class)))
    }
}

impl From<tokio_postgres::Error> for MigrateError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(server) = error.as_db_error().filter(|server| server.code().code() == REPLACED) {
            return Self::Replaced(server.detail().unwrap_or_default().to_owned());
        }
        Self::Database(Refusal { text: said(&error), state: error.code().cloned() })
    }
}

impl MigrateError {
    /// The same, with the step it happened in.
    pub(crate) fn at(self, step: &str) -> Self {
        match self {
            Self::Database(cause) => Self::Step { step: step.to_owned(), cause },
            other => other,
        }
    }

    /// An index can not be had. Its cause has the state that the database gives its own refusals of this kind.
    pub(crate) fn of_index(step: &str, index: &str, means: &str, state: SqlState) -> Self {
        Self::Step { step: step.to_owned(), cause: Refusal { text: format!("{index}: {means}"), state: Some(state) } }
    }

    /// Whether rows break a constraint.
    pub(crate) fn is_of_rows(&self) -> bool {
        match self {
            Self::Step { cause, .. } | Self::Database(cause) => cause.is_of(&["23"]),
            _ => false,
        }
    }

    /// Whether a value could not be computed.
    pub(crate) fn is_of_values(&self) -> bool {
        match self {
            Self::Step { cause, .. } | Self::Database(cause) => cause.is_of(&["22", "P0"]),
            _ => false,
        }
    }

    /// Whether going on can not help, however often it is tried: the rows (22, 23), what stands on it (2B), what the plan says (0A, 2F, 42, 55000) or the
    /// app's own functions (P0) are in the way, and not the condition of the server.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::Found { .. } => true,
            Self::Step { cause, .. } => cause.is_of(&["0A", "22", "23", "2B", "2F", "42", "55000", "P0"]),
            Self::Connect(_)
            | Self::Refused(_)
            | Self::Busy(_)
            | Self::Blocked { .. }
            | Self::TooLong { .. }
            | Self::Database(_)
            | Self::TakenBack { .. }
            | Self::NotChanged(_)
            | Self::Replaced(_)
            | Self::Unexpected(_) => false,
        }
    }
}

/// Refuses for all of these at once, where there are any.
pub(crate) fn refuse_for(problems: Vec<Problem>) -> Result<(), MigrateError> {
    if problems.is_empty() { Ok(()) } else { Err(MigrateError::Refused(problems)) }
}

pub(crate) fn refused(code: &str, cause: impl Into<String>, next: impl Into<String>) -> MigrateError {
    MigrateError::Refused(vec![Problem::new(code, cause, next)])
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
pub(crate) fn unexpected(error: impl ToString) -> MigrateError {
    MigrateError::Unexpected(error.to_string())
}
