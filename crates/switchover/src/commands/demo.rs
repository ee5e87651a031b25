use crate::cli::Shared;
use crate::demo;
use crate::failure::{Done, Failure};

/// See it at work: releases, a failed one, a rollback, under load, in a temporary directory
///
/// Ends with a failure when any request was lost.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Leave everything running at the end, and say how to go on
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        if shared.json {
            return Err(Failure::wrong(
                "NO-JSON",
                "The demo is a story for a person: there is no --json of it.",
                "Run it without --json; with --keep its daemon stays, and every other command answers in JSON.",
            ));
        }
        demo::tell(self.keep).await
    }
}
