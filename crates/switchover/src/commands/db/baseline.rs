use super::{Place, failed, tell_done};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;

/// Adopt a database as it is: migrations begin after this point, and `SCHEMA_base` shows it
#[derive(Debug, clap::Args)]
pub(crate) struct Baseline {
    /// What the starting point is called: the last migration whose work is in the database already, such as 0007_letters, or
    /// 0000_start before all of them
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    place: Place,
}

impl Baseline {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let mut migrator = self.place.migrator().await?;
        let applied = migrator.baseline(&self.name).await.map_err(failed)?;
        tell_done(shared, &[applied]);
        Ok(Exit::Succeeded)
    }
}
