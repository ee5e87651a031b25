use super::{Place, Teller, failed, tell_done};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;

/// Stop keeping the versions of the newest expanded migration in step, so that the older one goes on as if alone
///
/// For when triggers or rules of the migration are why the older version fails. Columns and values stay.
#[derive(Debug, clap::Args)]
pub(crate) struct Detach {
    /// The migration
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    place: Place,
}

impl Detach {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let mut migrator = self.place.migrator().await?;
        let mut teller = Teller::new(shared);
        let applied = migrator.detach(&self.name, &mut |progress| teller.tell(progress)).await.map_err(failed)?;
        tell_done(shared, &[applied]);
        Ok(Exit::Succeeded)
    }
}

/// Keep the versions of a detached migration in step again, after what the older one wrote meanwhile is brought in step
#[derive(Debug, clap::Args)]
pub(crate) struct Attach {
    /// The migration
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    place: Place,
}

impl Attach {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let mut migrator = self.place.migrator().await?;
        let mut teller = Teller::new(shared);
        let applied = migrator.attach(&self.name, &mut |progress| teller.tell(progress)).await.map_err(failed)?;
        tell_done(shared, &[applied]);
        Ok(Exit::Succeeded)
    }
}
