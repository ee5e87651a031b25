use super::{Place, Teller, failed, tell_done};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;

/// Take the newest migration one phase back, whole or half done: an expanded one is undone, a contracted one expanded again
///
/// What a newer version wrote is kept under names of ours. A contracted one comes back as long as what it put aside is there.
#[derive(Debug, clap::Args)]
pub(crate) struct Undo {
    /// Undo all expanded migrations that are newer than this one, newest first; `base` for all
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl Undo {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let mut migrator = self.place.migrator().await?;
        let mut teller = Teller::new(shared);
        let mut tell = |progress| teller.tell(progress);
        let done = match &self.to {
            Some(to) => migrator.undo_to(to, &mut tell).await.map_err(failed)?,
            None => vec![migrator.undo(&mut tell).await.map_err(failed)?],
        };
        tell_done(shared, &done);
        Ok(Exit::Succeeded)
    }
}
