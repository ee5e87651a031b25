use std::path::PathBuf;

use switchover_migration::Migration;

use super::{OldRowsChoice, Place, Teller, failed, migration, tell_done};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::failure::{Done, Failure};

/// Make the version of a migration beside the ones in use; given again it goes on where it was
///
/// A file that was edited after its expand is undone and done anew.
#[derive(Debug, clap::Args)]
pub(crate) struct Expand {
    /// Files of declared operations, in order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    old_rows: OldRowsChoice,
    #[command(flatten)]
    place: Place,
}

impl Expand {
    pub(crate) async fn run(self, shared: &Shared) -> Done {
        let migrations = self.files.iter().map(|file| migration(file)).collect::<Result<Vec<_>, _>>()?;
        refuse_same_names(&migrations)?;
        let mut migrator = self.place.migrator().await?.with_old_rows(self.old_rows.into());
        let mut teller = Teller::new(shared);
        // Later ones that stand on an edited one are expanded anew with it.
        migrator.undo_edited(&migrations, &mut |progress| teller.tell(progress)).await.map_err(failed)?;
        let mut done = Vec::new();
        for migration in &migrations {
            let mut teller = Teller::new(shared);
            done.push(migrator.expand(migration, &mut |progress| teller.tell(progress)).await.map_err(failed)?);
        }
        tell_done(shared, &done);
        Ok(Exit::Succeeded)
    }
}

/// Two files of one name, or of one number, are two answers to what comes next.
fn refuse_same_names(migrations: &[Migration]) -> Result<(), Failure> {
    let number = |migration: &Migration| {
        let digits: String = migration.name.as_str().chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    };
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
