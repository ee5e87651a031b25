use super::{Place, Teller, failed, tell_done};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;

/// Leave the schema to the newest version: what only older ones needed is put aside
///
/// Nobody may use an older version any more. Columns and tables that go keep their values under names of ours.
#[derive(Debug, clap::Args)]
pub(crate) struct Contract {
    #[command(flatten)]
    place: Place,
}

impl Contract {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let mut migrator = self.place.migrator().await?;
        let mut teller = Teller::new(shared);
        let applied = migrator.contract(&mut |progress| teller.tell(progress)).await.map_err(failed)?;
        tell_done(shared, &applied);
        Ok(Exit::Succeeded)
    }
}
