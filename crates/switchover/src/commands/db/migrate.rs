use std::path::PathBuf;

use serde::Serialize;
use switchover_migration::{Migration, directory};
use switchover_model::view::SCHEMA_VERSION;
use switchover_postgres::{Applied, Phase};

use super::{OldRowsChoice, Pacing, Place, Teller, failed, failed_in, lint};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
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
    old_rows: OldRowsChoice,
    #[command(flatten)]
    pacing: Pacing,
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
        let mut migrator = self.place.migrator_with(self.pacing.settings()).await?.with_old_rows(self.old_rows.into());
        let known = migrator.applied().await.map_err(failed)?;
        let pending = |known: &&Applied| known.phase == Phase::Expanded && !known.is_baseline();
        let is_given = |name: &str| migrations.iter().any(|migration| migration.name.as_str() == name);
        if let Some(missing) = known.iter().filter(pending).find(|known| !is_given(&known.name)) {
            return Err(Failure::wrong(
                "MIGRATION-MISSING",
                format!("{} is expanded, and not in {}.", missing.name, self.directory.display()),
                "Name the directory that it is from; or undo it first, with `switchover db undo`.",
            ));
        }
        let migrations = after_baseline(migrations, &known)?;
        let mut teller = Teller::new(shared);
        migrator.undo_edited(&migrations, &mut |progress| teller.tell(progress)).await.map_err(failed)?;
        let mut view = MigrateView { schema_version: SCHEMA_VERSION, expanded: Vec::new(), version: None };
        for migration in &migrations {
            let known = migrator.applied().await.map_err(failed)?;
            let is_there = known.iter().any(|applied| {
                applied.name == migration.name.as_str()
                    && applied.checksum == migration.checksum
                    && matches!(applied.phase, Phase::Expanded | Phase::Contracted)
            });
            let mut teller = Teller::new(shared);
            let applied = migrator
                .expand(migration, &mut |progress| teller.tell(progress))
                .await
                .map_err(|error| failed_in(migration.name.as_str(), &error))?;
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

/// The migrations that come after the starting point of a database that was adopted.
pub(super) fn after_baseline(migrations: Vec<Migration>, known: &[Applied]) -> Result<Vec<Migration>, Failure> {
    let starts = |applied: &&Applied| applied.is_baseline() && applied.phase != Phase::Undone;
    let Some(baseline) = known.iter().find(starts).map(|applied| applied.name.as_str()) else { return Ok(migrations) };
    let name = |migration: &Migration| migration.name.as_str().to_owned();
    if let Some(place) = migrations.iter().position(|migration| name(migration) == baseline) {
        return Ok(migrations.into_iter().skip(place + 1).collect());
    }
    let Some(number) = directory::number(baseline) else {
        return Err(Failure::wrong(
            "BASELINE-UNKNOWN",
            format!("the database was adopted as {baseline}, which is not in the directory and has no number."),
            "Which migrations come after it can not be told: expand these by name with `switchover db expand FILE...`.",
        ));
    };
    Ok(migrations.into_iter().filter(|migration| directory::number(&name(migration)) > Some(number)).collect())
}
