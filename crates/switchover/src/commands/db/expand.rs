use std::path::PathBuf;

use switchover_migration::{Migration, directory};

use super::{OldRowsChoice, Pacing, Place, Teller, failed, failed_in, migration, tell_done};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::{Done, Failure};

/// Make the version of a migration beside the ones in use; given again it goes on where it was
///
/// A file that was edited after its expand is undone and done anew.
#[derive(Debug, clap::Args)]
pub(crate) struct Expand {
    /// Files of declared operations or of SQL, in order; of SQL all parts of a migration are read, whichever is named
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    old_rows: OldRowsChoice,
    #[command(flatten)]
    pacing: Pacing,
    #[command(flatten)]
    place: Place,
}

impl Expand {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let mut migrations = self.files.iter().map(|file| migration(file)).collect::<Result<Vec<_>, _>>()?;
        // Several parts of one migration in SQL.
        let mut places = self.files.iter();
        let mut seen = Vec::new();
        migrations.retain(|migration| {
            let is_sql = places.next().is_some_and(|file| file.extension().is_some_and(|ending| ending == "sql"));
            let key = (migration.name.clone(), migration.checksum.clone());
            let is_part = is_sql && seen.contains(&key);
            seen.push(key);
            !is_part
        });
        refuse_same_names(&migrations)?;
        let mut migrator = self.place.migrator_with(self.pacing.settings()).await?.with_old_rows(self.old_rows.into());
        let mut teller = Teller::new(shared);
        // Later ones that stand on an edited one are expanded anew with it.
        migrator.undo_edited(&migrations, &mut |progress| teller.tell(progress)).await.map_err(failed)?;
        let mut done = Vec::new();
        for migration in &migrations {
            let mut teller = Teller::new(shared);
            done.push(
                migrator
                    .expand(migration, &mut |progress| teller.tell(progress))
                    .await
                    .map_err(|error| failed_in(migration.name.as_str(), &error))?,
            );
        }
        tell_done(shared, &done);
        Ok(Exit::Succeeded)
    }
}

/// Two files of one name, or of one number, are two answers to what comes next.
fn refuse_same_names(migrations: &[Migration]) -> Result<(), Failure> {
    let number = |migration: &Migration| directory::number(migration.name.as_str());
    for (place, one) in migrations.iter().enumerate() {
        let is_same = |other: &&Migration| {
            other.name == one.name || number(one).is_some_and(|digits| number(other) == Some(digits))
        };
        if let Some(other) = migrations[place + 1..].iter().find(is_same) {
            return Err(Failure::wrong(
                "MIGRATION-TWICE",
                format!("{} and {} have the same number or name.", one.name.as_str(), other.name.as_str()),
                "Give each file a number of its own.",
            ));
        }
    }
    Ok(())
}
