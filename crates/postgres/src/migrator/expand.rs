//! Expand: a migration's version is made beside the others.

use switchover_migration::catalog::Catalog;
use switchover_migration::plan::{Ground, Step, plan_expand, plan_probes, version_step, with_what_came};
use switchover_migration::version::Version;
use switchover_migration::{Ident, Migration, Operation, directory};

use super::{MigrateError, Migrator, Progress, active, busy_with, expanded, refuse_what_is_open};
use crate::error::refused;
use crate::rights::Needs;
use crate::store::{Applied, Phase};
use crate::{bystanders, probe};

impl Migrator {
    /// Makes `migration`'s version beside the others, or goes on with making it. One that was edited after its expand is
    /// undone first.
    ///
    /// Errors: where rows or the plan itself stand in the way, nothing of it is left; where the server does, what was done
    /// stays.
    pub async fn expand(
        &mut self,
        migration: &Migration,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Applied, MigrateError> {
        self.undo_edited(std::slice::from_ref(migration), tell).await?;
        let known = self.applied().await?;
        let same =
            known.iter().find(|applied| applied.name == migration.name.as_str() && applied.phase != Phase::Undone);
        let applied = match same {
            Some(applied) => match applied.phase {
                Phase::Expanding => applied.clone(),
                Phase::Expanded | Phase::Contracted => return Ok(applied.clone()),
                Phase::Detached => {
                    refuse_what_is_open(&known)?;
                    applied.clone()
                }
                Phase::Contracting
                | Phase::Undoing
                | Phase::Undone
                | Phase::Restoring
                | Phase::Detaching
                | Phase::Attaching => return Err(busy_with(applied)),
            },
            None => self.begin_expand(&known, migration).await?,
        };
        match self.finish(applied, Phase::Expanded, tell).await {
            Err(error) if error.is_lasting() => {
                if self.refuse_without_way_back().await.is_err() {
                    return Err(error);
                }
                let undone = self.undo(tell).await?;
                // Nobody has used it yet: nothing of it is to be kept.
                let kept = match self.purge_one(&undone, tell).await {
                    Err(replaced @ MigrateError::Replaced(_)) => return Err(replaced),
                    purged => purged.err().map(Box::new),
                };
                Err(MigrateError::TakenBack { why: Box::new(error), kept })
            }
            finished => finished,
        }
    }

    /// Undoes what was expanded from a file that is another one now, and what was expanded after it. Says whether anything
    /// was. `migrations` are expanded afterwards.
    ///
    /// Errors: one that is edited is contracted, or a later one would be undone and is not among `migrations`.
    pub async fn undo_edited(
        &mut self,
        migrations: &[Migration],
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<bool, MigrateError> {
        let known = self.applied().await?;
        let given = |applied: &&Applied| migrations.iter().find(|given| given.name.as_str() == applied.name);
        let is_edited = |applied: &&Applied| {
            applied.phase != Phase::Undone && given(applied).is_some_and(|given| !applied.is_of(&given.checksum))
        };
        let Some(edited) = known.iter().find(is_edited) else { return Ok(false) };
        if let Some(contracting) =
            known.iter().find(|applied| applied.phase == Phase::Contracting && applied.number != edited.number)
        {
            return Err(busy_with(contracting));
        }
        match edited.phase {
            Phase::Contracted | Phase::Contracting | Phase::Restoring => {
                return Err(refused(
                    "MIGRATION-EDITED",
                    format!("{} was edited after its contract was begun.", edited.name),
                    "Put the file back as it was, and write what is to change into a new one.",
                ));
            }
            Phase::Expanding
            | Phase::Expanded
            | Phase::Undoing
            | Phase::Undone
            | Phase::Detaching
            | Phase::Detached
            | Phase::Attaching => {}
        }
        let mut later = known.iter().filter(|applied| applied.number > edited.number && applied.phase != Phase::Undone);
        if let Some(alone) = later.find(|applied| given(applied).is_none()) {
            return Err(refused(
                "MIGRATION-EDITED",
                format!("{} was edited after its expand, and {} stands on it.", edited.name, alone.name),
                "Give the files of all later migrations with it, so that they are expanded anew; or undo them first.",
            ));
        }
        tell(Progress::Edited { name: edited.name.clone() });
        let number = edited.number;
        loop {
            let undone = self.undo(tell).await?;
            if undone.number == number {
                return Ok(true);
            }
        }
    }

    async fn begin_expand(&mut self, known: &[Applied], migration: &Migration) -> Result<Applied, MigrateError> {
        refuse_late(known, migration)?;
        self.refuse_foreign_base(known).await?;
        let (_, applied, steps) = self.planned(known, migration).await?;
        let referred = migration.operations.iter().flat_map(Operation::refers_to).cloned().collect();
        bystanders::refuse_row_types(self.client(), &self.schema, &applied.planned).await?;
        let needs = Needs { referred, ..Needs::of(&applied.planned, &steps) };
        self.begin_with(applied, Phase::Expanding, &steps, needs).await
    }

    /// The state before the first migration is seen through a schema of ours: what is the user's own would be taken away by
    /// contract.
    pub(super) async fn refuse_foreign_base(&self, known: &[Applied]) -> Result<(), MigrateError> {
        let base = self.named("base")?;
        let is_made = known.iter().any(|known| matches!(known.phase, Phase::Expanded | Phase::Contracted));
        if is_made || !self.is_there(&base).await? {
            return Ok(());
        }
        if bystanders::is_ours(self.client(), &base).await? {
            return Ok(());
        }
        Err(refused(
            "VERSION-NAME-TAKEN",
            format!(
                "schema {base}, through which the state before the first migration would be seen, is there already."
            ),
            "Give that schema another name: ALTER SCHEMA ... RENAME TO ...",
        ))
    }

    pub(super) async fn planned(
        &self,
        known: &[Applied],
        migration: &Migration,
    ) -> Result<(Catalog, Applied, Vec<Step>), MigrateError> {
        refuse_what_is_open(known)?;
        let catalog = self.catalog_of(known).await?;
        let active = active(known);
        let base = Version::base(&catalog);
        let version = expanded(known).next_back().map_or(base, |applied| applied.planned.version.clone());
        let pieces = expanded(known).flat_map(|applied| &applied.planned.pieces);
        let version = with_what_came(&version, &catalog, pieces);
        let version_schema = self.version_schema(known, migration).await?;
        let number = known.last().map_or(1, |applied| applied.number + 1);
        let standing = expanded(known).fold(catalog.clone(), |standing, older| older.planned.settled_in(&standing));
        let ground = Ground {
            catalog: &standing,
            version: &version,
            active: &active,
            number,
            version_schema: &version_schema,
            old_rows: self.settings.old_rows,
        };
        let probes = plan_probes(ground, migration).map_err(MigrateError::Refused)?;
        probe::ask(self.client(), &probes).await?;
        let (planned, mut steps) = plan_expand(ground, migration).map_err(MigrateError::Refused)?;
        if let Some(problem) = planned.unseats(&catalog, expanded(known).map(|earlier| &earlier.planned)) {
            return Err(MigrateError::Refused(vec![problem]));
        }
        let base = self.named("base")?;
        let is_first = !known.iter().any(|known| matches!(known.phase, Phase::Expanded | Phase::Contracted));
        if is_first && !self.is_there(&base).await? {
            steps.insert(0, version_step(&catalog, &base, &version));
        }
        let applied = Applied {
            number,
            name: migration.name.as_str().to_owned(),
            checksum: migration.checksum.clone(),
            version_schema,
            phase: Phase::Expanding,
            planned,
            steps: "[]".to_owned(),
            kept: None,
            attic_seconds: None,
            since: String::new(),
            restorable_until: None,
        };
        Ok((catalog, applied, steps))
    }

    /// Where the version will be seen; taken by nothing else.
    async fn version_schema(&self, known: &[Applied], migration: &Migration) -> Result<Ident, MigrateError> {
        let schema = self.named(migration.name.as_str())?;
        let name = migration.name.as_str();
        if let Some(same) = known.iter().find(|applied| applied.name == name && applied.phase != Phase::Undone) {
            return Err(refused(
                "VERSION-NAME-TAKEN",
                format!("{name} is {} already.", same.phase.as_str()),
                "Look with `switchover db status`; undo it to plan it anew.",
            ));
        }
        if schema == self.named("base")? || self.is_there(&schema).await? {
            return Err(refused(
                "VERSION-NAME-TAKEN",
                format!("schema {schema}, through which {name} would be seen, is there already."),
                "Give the file another name.",
            ));
        }
        Ok(schema)
    }
}

/// Refuses a file whose number is lower than one that was carried out already: its version would stand on that one's, and who
/// counts by the numbers would use a version without it.
fn refuse_late(known: &[Applied], migration: &Migration) -> Result<(), MigrateError> {
    let Some(number) = directory::number(migration.name.as_str()) else { return Ok(()) };
    let there = known.iter().filter(|applied| applied.phase != Phase::Undone);
    let later = there.filter_map(|applied| Some((directory::number(&applied.name)?, applied)));
    match later.filter(|(other, _)| *other > number).max_by_key(|(other, _)| *other) {
        None => Ok(()),
        Some((_, later)) => Err(refused(
            "MIGRATION-OUT-OF-ORDER",
            format!("{} comes before {}, which is {} already.", migration.name, later.name, later.phase.as_str()),
            "Give the file a higher number than that one has; or undo that one first, where it is only expanded.",
        )),
    }
}
