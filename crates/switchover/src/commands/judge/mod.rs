//! `switchover judge ...`: verdicts on numbers, without a release or a daemon.

mod score;

use crate::cli::Shared;
use crate::failure::Done;

/// Judge a new version by its numbers
#[derive(Debug, clap::Args)]
pub(crate) struct Judge {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Score(score::Score),
}

impl Judge {
    pub(crate) fn run(self, shared: &Shared) -> Done {
        match self.verb {
            Verb::Score(score) => score.run(shared),
        }
    }
}
