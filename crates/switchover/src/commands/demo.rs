use crate::demo;
use crate::failure::Done;

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
    pub(crate) async fn run(self) -> Done {
        demo::tell(self.keep).await
    }
}
