//! How a command fails, and how that is told.

use serde::Serialize;
use switchover_model::Problem;
use switchover_model::config::Mistake;
use switchover_model::view::SCHEMA_VERSION;

use crate::exit::Exit;
use crate::say;

/// What a command's `run` answers.
pub(crate) type Done = Result<Exit, Failure>;

/// A command that could not do what it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Said by a problem, with the exit code that goes with it.
    Problem(Exit, Problem),
    /// `switchover.toml` is wrong.
    Mistakes(Vec<Mistake>),
}

impl Failure {
    /// A problem with the exit code for failures that have no code of their own.
    pub(crate) fn other(code: &str, cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Problem(Exit::Other, Problem::new(code, cause, next))
    }

    /// The command line asks for something that cannot be.
    pub(crate) fn wrong(code: &str, cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Problem(Exit::Wrong, Problem::new(code, cause, next))
    }

    /// The one problem that stands for this failure.
    fn problem(&self) -> Problem {
        match self {
            Self::Problem(_, problem) => problem.clone(),
            Self::Mistakes(mistakes) => {
                let file = mistakes.first().map_or("the file", |mistake| mistake.file.as_str());
                let count = match mistakes.len() {
                    1 => "1 mistake".to_owned(),
                    many => format!("{many} mistakes"),
                };
                Problem::new(
                    "CONFIG-WRONG",
                    format!("{file} has {count}."),
                    "Correct the lines shown; nothing was changed.",
                )
            }
        }
    }

    /// Tells it, and answers with its exit code.
    pub(crate) fn tell(&self, json: bool) -> Exit {
        let problem = self.problem();
        let (exit, mistakes) = match self {
            Self::Problem(exit, _) => (*exit, &[][..]),
            Self::Mistakes(mistakes) => (Exit::Wrong, mistakes.as_slice()),
        };
        if json {
            say::json(&FailureView { schema_version: SCHEMA_VERSION, error: &problem, mistakes });
            return exit;
        }
        for mistake in mistakes {
            say::error(format_args!("{mistake}\n"));
        }
        say::problem(&problem);
        exit
    }
}

impl From<Vec<Mistake>> for Failure {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self::Mistakes(mistakes)
    }
}

/// What `--json` prints of a failure.
#[derive(Debug, Serialize)]
struct FailureView<'a> {
    schema_version: u32,
    error: &'a Problem,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mistakes: &'a [Mistake],
}
