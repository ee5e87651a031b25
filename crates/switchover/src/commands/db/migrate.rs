use std::path::PathBuf;

use serde::Serialize;
use switchover_migration::directory;
use switchover_model::view::SCHEMA_VERSION;
use switchover_postgres::Phase;

use super::{Place, Teller, failed, lint};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;

/// Expand every migration of a directory that the database does not have yet, in order
///
/// Nothing is contracted: the live version's schema stays through all of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    /// A directory of migrations, such as 0001_name.yaml or 0002_name.expand.sql
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct MigrateView {
    schema_version: u32,
    /// Expanded by this command, in order.
    expanded: Vec<String>,
    /// The schema of the newest version; nothing in an empty directory.
    version: Option<String>,
}

impl Migrate {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let migrations = directory::read(&lint::files(&self.directory)?)?;
        let mut migrator = self.place.migrator().await?;
        let mut view = MigrateView { schema_version: SCHEMA_VERSION, expanded: Vec::new(), version: None };
        for migration in &migrations {
            let known = migrator.applied().await.map_err(failed)?;
            let is_there = known.iter().any(|applied| {
                applied.name == migration.name.as_str()
                    && applied.checksum == migration.checksum
                    && matches!(applied.phase, Phase::Expanded | Phase::Contracted)
            });
            let mut teller = Teller::new(shared);
            let applied = migrator.expand(migration, &mut |progress| teller.tell(progress)).await.map_err(failed)?;
            if !is_there {
                view.expanded.push(applied.name.clone());
                if !shared.json {
                    say::line(format_args!("{} is {}", applied.name, applied.phase.as_str()));
                }
            }
            view.version = Some(applied.version_schema.as_str().to_owned());
        }
        if shared.json {
            say::json(&view);
        } else if view.expanded.is_empty() {
            say::line("nothing is pending");
        } else if let Some(version) = &view.version {
            say::line(format_args!("the newest version is schema {version}"));
        }
        Ok(Exit::Succeeded)
    }
}
