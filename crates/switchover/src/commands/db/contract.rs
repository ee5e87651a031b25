use std::time::Duration;

use switchover_postgres::Settings;

use super::{Place, Teller, failed, length, tell_done};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;

/// How long a write of an older version is seen as use of it.
const QUIET: Duration = Duration::from_secs(2);
/// How long contract waits for the last use of an older version to be over.
const PATIENCE: Duration = Duration::from_secs(5);

/// Leave the schema to the oldest expanded version and newer ones: what only older ones needed is put aside
///
/// Nobody may use an older version any more; where use of one is seen, nothing is begun. Columns and tables that go keep their
/// values under names of ours, and `undo` brings them back.
#[derive(Debug, clap::Args)]
pub(crate) struct Contract {
    /// Contract all expanded migrations up to this one, oldest first
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// Go on although an older version is seen to be in use: its statements will fail
    #[arg(long)]
    force: bool,
    /// How long what is put aside is to stay before `purge` takes it
    #[arg(long, default_value = "30d", value_name = "D", value_parser = length)]
    attic: Duration,
    #[command(flatten)]
    place: Place,
}

impl Contract {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let settings = Settings { attic: self.attic, ..Settings::default() };
        let mut migrator = self.place.migrator_with(settings).await?;
        if !self.force {
            migrator.wait_until_unused(self.to.as_deref(), QUIET, PATIENCE).await.map_err(failed)?;
        }
        let mut teller = Teller::new(shared);
        let mut tell = |progress| teller.tell(progress);
        let done = match &self.to {
            Some(to) => migrator.contract_to(to, &mut tell).await.map_err(failed)?,
            None => vec![migrator.contract(&mut tell).await.map_err(failed)?],
        };
        tell_done(shared, &done);
        Ok(Exit::Succeeded)
    }
}
