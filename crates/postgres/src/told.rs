//! A migration's failure as a person sees it.

use switchover_model::Problem;

use crate::MigrateError;

const AGAIN: &str = "What was done stays, and the same goal goes on from there.";
const BACK: &str = "The expand was taken back; nothing of it is left.";

impl MigrateError {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let told = |code: &str, next: String| Problem::new(code, format!("{self}."), next);
        match self {
            Self::Connect(error) => error.problem(),
            Self::Refused(problems) => {
                let mut problems = problems.iter();
                let first = problems.next().cloned();
                let more: Vec<String> = problems.map(ToString::to_string).collect();
                first.map_or_else(|| told("PLAN-REFUSED", String::new()), |first| first.with_detail(more))
            }
            Self::Busy(_) => told("MIGRATOR-BUSY", "Wait for it; one works at a time.".to_owned()),
            Self::Blocked { blockers, .. } => {
                let next = format!("End these sessions, or raise the lock timeout. {AGAIN}");
                told("LOCK-NOT-HAD", next).with_detail(blockers.clone())
            }
            Self::TooLong { .. } => told("BACKFILL-TOO-LONG", AGAIN.to_owned()),
            Self::TakenBack(within) => {
                let (code, what) = match **within {
                    Self::Found { .. } => ("ROWS-IN-THE-WAY", "these rows"),
                    Self::Connect(_)
                    | Self::Refused(_)
                    | Self::Busy(_)
                    | Self::Blocked { .. }
                    | Self::TooLong { .. }
                    | Self::TakenBack(_)
                    | Self::Step { .. }
                    | Self::Database(_)
                    | Self::Replaced(_)
                    | Self::Unexpected(_) => ("STEP-FAILED", "the cause"),
                };
                Problem::new(code, format!("{within}."), format!("{BACK} Mend {what}, then expand again."))
            }
            Self::Found { keys, .. } => {
                told("ROWS-IN-THE-WAY", format!("Mend these rows. {AGAIN}")).with_detail(keys.clone())
            }
            Self::Step { .. } => told("STEP-FAILED", AGAIN.to_owned()),
            Self::Database(_) => told("DATABASE-REFUSED", AGAIN.to_owned()),
            Self::Replaced(_) => {
                told("MIGRATOR-REPLACED", "Look with `switchover db status` how far the other one is.".to_owned())
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
            | Self::TakenBack(_)
            | Self::Replaced(_)
            | Self::Unexpected(_) => false,
        }
    }
}
