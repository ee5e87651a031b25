use std::path::PathBuf;

use super::{Place, Teller, failed, migration, tell_done};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;

/// Make the version of a migration beside the ones in use; given again it goes on where it was
#[derive(Debug, clap::Args)]
pub(crate) struct Expand {
    /// Files of declared operations, in order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
}

impl Expand {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let migrations = self.files.iter().map(|file| migration(file)).collect::<Result<Vec<_>, _>>()?;
        let mut migrator = self.place.migrator().await?;
        for migration in &migrations {
            let mut teller = Teller::new(shared);
            let applied = migrator.expand(migration, &mut |progress| teller.tell(progress)).await.map_err(failed)?;
            tell_done(shared, &applied);
        }
        Ok(Exit::Succeeded)
    }
}
