use serde::Serialize;
use switchover_model::view::SCHEMA_VERSION;
use switchover_postgres::Phase;

use super::{Place, failed};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::Done;
use crate::say;

/// Show which migrations the database knows, and which versions can be used
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    place: Place,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct StatusView {
    schema_version: u32,
    /// Schemas that an app can use now, oldest first.
    versions: Vec<String>,
    /// Of the newest migration; nothing before the first.
    phase: Option<&'static str>,
    /// Expanded and not contracted, oldest first.
    pending: Vec<String>,
    migrations: Vec<MigrationView>,
}

#[derive(Debug, Serialize)]
struct MigrationView {
    name: String,
    phase: &'static str,
    version: String,
}

impl Status {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let database = self.place.looker().await?;
        let known = database.applied().await.map_err(failed)?;
        let versions = database.versions().await.map_err(failed)?;
        let view = StatusView {
            schema_version: SCHEMA_VERSION,
            versions: versions.iter().map(|version| version.as_str().to_owned()).collect(),
            phase: known.last().map(|applied| applied.phase.as_str()),
            pending: known
                .iter()
                .filter(|applied| applied.phase == Phase::Expanded)
                .map(|applied| applied.name.clone())
                .collect(),
            migrations: known
                .iter()
                .map(|applied| MigrationView {
                    name: applied.name.clone(),
                    phase: applied.phase.as_str(),
                    version: applied.version_schema.as_str().to_owned(),
                })
                .collect(),
        };
        if shared.json {
            say::json(&view);
            return Ok(Exit::Succeeded);
        }
        if view.migrations.is_empty() {
            say::line("no migration yet");
        }
        for migration in &view.migrations {
            say::line(format_args!("{:<12} {}", migration.phase, migration.name));
        }
        if !view.versions.is_empty() {
            say::line(format_args!("versions to use: {}", view.versions.join(", ")));
        }
        Ok(Exit::Succeeded)
    }
}
