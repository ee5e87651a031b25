//! The phase *expand*: both versions can be used once it is over, and the older one never notices.

use std::collections::BTreeSet;

use switchover_model::Problem;

use super::draft::Draft;
use super::{Ground, Lock, Planned, Step, Work, add_column, alter_column, carry, constraints, indexes, sql, tables};
use crate::catalog::Catalog;
use crate::change::{TableChange, triggers};
use crate::version::{Version, VersionTable, view};
use crate::{Ident, Literal, Migration, Operation};

/// What `migration` makes, and the steps that make it.
///
/// Guarantees: deterministic; the steps may be gone through again from any one that is not noted as done; the older
/// version's names, columns and rules stay as they are through all of them.
/// Errors: everything about the migration that can not be carried out, at once; nothing of it was begun.
pub fn plan_expand(ground: Ground<'_>, migration: &Migration) -> Result<(Planned, Vec<Step>), Vec<Problem>> {
    drafted(ground, migration).map(Draft::finish)
}

/// The plan as all operations leave it, and what comes along by itself.
pub(super) fn drafted<'a>(ground: Ground<'a>, migration: &Migration) -> Result<Draft<'a>, Vec<Problem>> {
    let mut draft = Draft::new(ground);
    let mut problems = Vec::new();
    for operation in &migration.operations {
        if let Err(problem) = draft.add(operation) {
            problems.push(problem);
        }
    }
    if problems.is_empty() {
        problems.extend(carry::carry(&mut draft));
    }
    for (name, touched) in &draft.touched {
        problems.extend(draft.refuse_what_can_not_be_kept_in_step(name, touched));
    }
    if problems.is_empty() { Ok(draft) } else { Err(problems) }
}

impl Draft<'_> {
    fn add(&mut self, operation: &Operation) -> Result<(), Problem> {
        match operation {
            Operation::AddColumn(add) => add_column::add(self, add),
            Operation::AlterColumn(alter) => alter_column::add(self, alter),
            Operation::CreateTable(create) => tables::create(self, create),
            Operation::DropTable(drop) => tables::drop(self, &drop.name),
            Operation::RenameTable(rename) => tables::rename(self, &rename.from, &rename.to),
            Operation::RenameColumn(rename) => tables::rename_column(self, &rename.table, &rename.from, &rename.to),
            Operation::DropColumn(drop) => tables::drop_column(self, drop),
            Operation::CreateIndex(create) => indexes::create(self, create),
            Operation::CreateConstraint(create) => constraints::create(self, create),
            Operation::DropConstraint(drop) => constraints::drop(self, drop),
            Operation::DropMultiColumnConstraint(drop) => constraints::drop_multi_column(self, drop),
            Operation::RenameConstraint(rename) => constraints::rename(self, rename),
            Operation::DropIndex(drop) => indexes::drop_index(self, drop),
            Operation::SetReplicaIdentity(set) => indexes::replica_identity(self, set),
            Operation::Sql(raw) => sql::add(self, raw),
        }
    }

    fn finish(mut self) -> (Planned, Vec<Step>) {
        let ground = self.ground;
        let number = ground.number;
        let schema = ground.version_schema;
        let own = sql::expand(ground.catalog, schema, &self.version, &self.pieces);
        // What the user's own statements make is seen through the version, too, so its schema comes after them.
        let mut steps = if own.is_empty() { vec![self.views_of_the_rest()] } else { own };
        for (table, statements) in &self.made {
            let name =
                self.version.tables.iter().find(|(_, seen)| seen.physical == *table).map(|(name, _)| name.clone());
            let mut statements = statements.clone();
            if let Some(name) = name {
                statements.extend(view(ground.catalog, schema, &name, &self.version.tables[&name]));
            }
            steps.push(Step { name: format!("make table {table}"), lock: None, work: Work::Together(statements) });
        }
        let mut changes = Vec::new();
        let mut backfills = Vec::new();
        for (table, touched) in std::mem::take(&mut self.touched) {
            let on = self.base(&table);
            let mut statements = touched.statements.clone();
            if let Some(change) = self.change(&table, &touched) {
                self.hide(&table, &change);
                if let (Some(mark), Some((told_by, data_type))) = (&change.mark, touched.told_by.first()) {
                    statements.push(format!("ALTER TABLE {on} ADD COLUMN {mark} smallint"));
                    let default = change.telling_default(data_type);
                    statements.push(format!("ALTER TABLE {on} ALTER COLUMN {told_by} SET DEFAULT {default}"));
                    backfills.push(self.backfill(&table, &change, mark));
                }
                let mut all: Vec<TableChange> =
                    ground.active.iter().filter(|active| active.table == table).cloned().collect();
                all.push(change.clone());
                statements.extend(triggers(&ground.catalog.schema, &table, &all));
                changes.push(change);
            }
            for (name, seen) in self.version.tables.iter().filter(|(_, seen)| seen.physical == table) {
                statements.extend(view(ground.catalog, schema, name, seen));
            }
            steps.push(Step {
                name: format!("change table {table} for the new version"),
                lock: Some((Lock::AccessExclusive, on)),
                work: Work::Together(statements),
            });
        }
        steps.extend(backfills);
        steps.extend(self.after);
        let before = ground.version.clone();
        (Planned { number, version: self.version, before, changes, pieces: self.pieces }, steps)
    }

    /// The version's schema, with the views of the tables that do not change.
    fn views_of_the_rest(&self) -> Step {
        let changed: BTreeSet<&Ident> = self.touched.keys().chain(self.made.keys()).collect();
        let rest = self.version.tables.iter().filter(|(_, seen)| !changed.contains(&seen.physical));
        version_of(self.ground.catalog, self.ground.version_schema, rest)
    }
}

/// The step that makes a schema through which `version` is seen, of all its tables.
#[must_use]
pub fn version_step(catalog: &Catalog, schema: &Ident, version: &Version) -> Step {
    version_of(catalog, schema, version.tables.iter())
}

fn version_of<'a>(
    catalog: &Catalog,
    schema: &Ident,
    tables: impl Iterator<Item = (&'a Ident, &'a VersionTable)>,
) -> Step {
    let text = |name: &Ident| Literal(name.as_str()).to_string();
    let mut statements = vec![
        format!("CREATE SCHEMA {schema}"),
        format!("SELECT switchover.same_schema_rights({}, {})", text(&catalog.schema), text(schema)),
    ];
    for (name, seen) in tables {
        statements.extend(view(catalog, schema, name, seen));
    }
    Step { name: format!("make the version {schema}"), lock: None, work: Work::Together(statements) }
}
