use super::{Place, Teller, failed, tell_done};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;

/// Take the newest migration back that is not contracted, whole or half done
#[derive(Debug, clap::Args)]
pub(crate) struct Undo {
    #[command(flatten)]
    place: Place,
}

impl Undo {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let mut migrator = self.place.migrator().await?;
        let mut teller = Teller::new(shared);
        let applied = migrator.undo(&mut |progress| teller.tell(progress)).await.map_err(failed)?;
        tell_done(shared, &applied);
        Ok(Exit::Succeeded)
    }
}
