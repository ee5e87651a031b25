//! `switchover judge ...`: verdicts on numbers, and those of releases reached again.

mod replay;
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
    Replay(replay::Replay),
    Score(score::Score),
}

impl Judge {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        match self.verb {
            Verb::Replay(replay) => replay.run(shared).await,
            Verb::Score(score) => score.run(shared),
        }
    }
}
