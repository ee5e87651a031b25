use std::time::Duration;

use super::{Place, Teller, failed, length, tell_done};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;

/// Drop for good what contract and undo put aside, where its time is over
///
/// A migration whose attic is empty can not be restored any more.
#[derive(Debug, clap::Args)]
pub(crate) struct Purge {
    /// What was put aside longer ago than this, whatever contract asked for
    #[arg(long, value_name = "D", value_parser = length, conflicts_with = "all")]
    older_than: Option<Duration>,
    /// Everything
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: Place,
}

impl Purge {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let what = match self.older_than {
            Some(age) => switchover_postgres::Purge::OlderThan(age),
            None if self.all => switchover_postgres::Purge::All,
            None => switchover_postgres::Purge::Due,
        };
        let mut migrator = self.place.migrator().await?;
        let mut teller = Teller::new(shared);
        let purged = migrator.purge(what, &mut |progress| teller.tell(progress)).await.map_err(failed)?;
        if purged.is_empty() && !shared.json {
            say::line("nothing to purge");
            return Ok(Exit::Succeeded);
        }
        tell_done(shared, &purged);
        Ok(Exit::Succeeded)
    }
}
