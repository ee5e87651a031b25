//! The phase *expand*: both versions can be used once it is over, and the older one never notices.

use std::collections::{BTreeMap, BTreeSet};

use switchover_model::Problem;

use super::probe::Asked;
use super::{
    Backfill, Finding, Ground, Lock, OldRows, Piece, Planned, Step, Work, add_column, alter_column, carry, constraints,
    indexes, key_of, ours, sql, tables,
};
use crate::catalog::Catalog;
use crate::change::{Assignment, TableChange, triggers};
use crate::version::{HiddenColumn, Version, view};
use crate::{Expression, Ident, Migration, Operation, QualifiedName};

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

/// A plan being made.
pub(super) struct Draft<'a> {
    pub(super) ground: Ground<'a>,
    /// What the migration leads to, as far as it was gone through.
    pub(super) version: Version,
    pub(super) pieces: Vec<Piece>,
    /// Changed tables by their names in the database.
    pub(super) touched: BTreeMap<Ident, Touched>,
    /// Tables that are made, by their names.
    pub(super) made: BTreeMap<Ident, Vec<String>>,
    /// What comes after the backfill.
    pub(super) after: Vec<Step>,
    /// Columns in whose place others are.
    pub(super) replaced: Vec<Replaced>,
    /// Columns that are made, with their tables and types.
    pub(super) new_columns: Vec<(Ident, Ident, String)>,
    /// What the database is asked before anything begins.
    pub(super) asked: Vec<Asked>,
    /// Columns that are renamed, with their tables: expressions before the renaming know them by the name before it.
    pub(super) renamed: Vec<(Ident, Ident, Ident)>,
}

/// A column in whose place another one is, by their names in the database.
#[derive(Debug, Clone)]
pub(super) struct Replaced {
    pub(super) table: Ident,
    pub(super) old: Ident,
    pub(super) new: Ident,
}

/// What happens to one table.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// In the transaction in which it changes.
    pub(super) statements: Vec<String>,
    pub(super) forward: Vec<Assignment>,
    /// Older versions' columns with their types and values, in the names of the version that the migration leads to.
    pub(super) backward: Vec<(Ident, String, Expression)>,
    /// Columns that newer versions do not write, with their types and values.
    pub(super) dropped: Vec<Dropped>,
    /// Columns that older versions do not know, with their types.
    pub(super) told_by: Vec<(Ident, String)>,
}

/// A column that newer versions do not write.
#[derive(Debug)]
pub(super) struct Dropped {
    pub(super) column: Ident,
    pub(super) data_type: String,
    /// Its value in rows that the newer version wrote.
    pub(super) down: Expression,
    /// NOT NULL and without a default: no older version's insert can leave it out.
    pub(super) must_be_given: bool,
}

impl Touched {
    /// Whether rows are told apart by who wrote them.
    fn keeps_in_step(&self) -> bool {
        !self.told_by.is_empty()
    }
}

impl<'a> Draft<'a> {
    fn new(ground: Ground<'a>) -> Self {
        Self {
            ground,
            version: ground.version.clone(),
            pieces: Vec::new(),
            touched: BTreeMap::new(),
            made: BTreeMap::new(),
            after: Vec::new(),
            replaced: Vec::new(),
            new_columns: Vec::new(),
            asked: Vec::new(),
            renamed: Vec::new(),
        }
    }

    /// Why the rows of a table can not be kept in step.
    fn refuse_what_can_not_be_kept_in_step(&self, name: &Ident, touched: &Touched) -> Vec<Problem> {
        let Some(change) = self.change(name, touched) else { return Vec::new() };
        let Some(table) = self.ground.catalog.tables.get(name) else { return Vec::new() };
        let mut problems = Vec::new();
        if touched.keeps_in_step() && table.primary_key.is_empty() {
            let cause = format!("table {name} has no primary key, so its rows can not be gone through in order.");
            problems.push(Problem::new("NO-PRIMARY-KEY", cause, "Give it one first; every row needs a name."));
        }
        if !table.relatives.is_empty() {
            let cause = format!(
                "table {name} inherits from or to {}, whose rows its triggers do not see.",
                table.relatives.join(", ")
            );
            problems.push(Problem::new(
                "TABLE-INHERITS",
                cause,
                "End the inheritance first, or make the table partitioned.",
            ));
        }
        if table.row_security && table.columns.iter().any(|column| column.granted) {
            let cause = format!(
                "{name} has row security and rights that were granted on single columns: a view can not have both for its users."
            );
            problems.push(Problem::new(
                "RIGHTS-NOT-CARRIED",
                cause,
                "Grant the rights on the whole table, or split it.",
            ));
        }
        if !table.triggers_around.is_empty() {
            let cause = format!(
                "triggers fire in the order of their names, and {} of {name} fires before or after all of ours.",
                table.triggers_around.join(", ")
            );
            problems.push(Problem::new(
                "TRIGGER-ORDER",
                cause,
                "Give it a name that begins with a letter from a to z.",
            ));
        }
        let read = change.forward.iter().chain(change.of_older()).flat_map(Assignment::sources);
        let computed = |column: &Ident| table.column(column).is_some_and(|column| column.computed);
        let read: BTreeSet<Ident> = read.filter(computed).collect();
        for column in read {
            let cause = format!(
                "`up` or `down` reads column {column} of {name}, which is generated: a trigger does not see its value yet."
            );
            problems.push(Problem::new(
                "COLUMN-GENERATED",
                cause,
                "Write what the column is generated from in its place.",
            ));
        }
        problems
    }

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
            Operation::DropIndex(drop) => constraints::drop_index(self, drop),
            Operation::SetReplicaIdentity(set) => constraints::replica_identity(self, set),
            Operation::Sql(raw) => sql::add(self, raw),
        }
    }

    /// The table of the version as it is now in the plan.
    pub(super) fn table_mut(&mut self, name: &Ident) -> Result<&mut crate::version::VersionTable, Problem> {
        self.ground.table(name)?;
        self.version.tables.get_mut(name).ok_or_else(|| {
            let cause = format!("table {name} is dropped or renamed by an operation before.");
            Problem::new("TABLE-UNKNOWN", cause, "Name it as the operations before leave it, or change their order.")
        })
    }

    pub(super) fn touch(&mut self, physical: &Ident) -> &mut Touched {
        self.touched.entry(physical.clone()).or_default()
    }

    pub(super) fn base(&self, physical: &Ident) -> QualifiedName {
        QualifiedName::new(&self.ground.catalog.schema, physical)
    }

    /// A check that is true of all rows that are written from now on, then seen to be true of all.
    pub(super) fn check(&mut self, physical: &Ident, name: &Ident, condition: &str, no_inherit: bool) {
        let table = self.base(physical);
        let breaks = self.ground.catalog.tables.get(physical).map(|known| Finding {
            query: format!("SELECT {} FROM {table} WHERE NOT ({condition}) LIMIT 20", key_of(known)),
            means: format!("{name} does not hold for it"),
        });
        self.check_new_rows(physical, name, condition, no_inherit);
        self.after.push(Step {
            name: format!("see that {name} holds for all rows of {physical}"),
            lock: Some((Lock::ShareUpdateExclusive, table.clone())),
            work: Work::Validate { sql: format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"), breaks },
        });
    }

    /// A check that is true of all rows that are written from now on.
    pub(super) fn check_new_rows(&mut self, physical: &Ident, name: &Ident, condition: &str, no_inherit: bool) {
        let table = self.base(physical);
        self.ask(physical, format!("check {name}"), format!("CAST(({condition}) AS boolean)"));
        let inherited = if no_inherit { " NO INHERIT" } else { "" };
        let add = format!("ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}){inherited} NOT VALID");
        self.after.push(Step {
            name: format!("add {name} to {physical} for new rows"),
            lock: Some((Lock::AccessExclusive, table)),
            work: Work::Together(vec![add]),
        });
    }

    /// A rule that the newer version brings: for all rows, or for those of the newer version alone where the app chose so
    /// and rows tell who wrote them. Says whether it is the latter.
    pub(super) fn rule(&mut self, physical: &Ident, name: &Ident, condition: &str, no_inherit: bool) -> bool {
        let tells = self.touched.get(physical).is_some_and(Touched::keeps_in_step);
        if self.ground.old_rows == OldRows::Refuse || !tells {
            self.check(physical, name, condition, no_inherit);
            return false;
        }
        let until = if name.as_str().starts_with("not_null_") { name.clone() } else { ours(self.ground.number, name) };
        let until = until.prefixed("newer_");
        let mark = self.mark();
        self.check(physical, &until, &format!("{mark} IS DISTINCT FROM 2 OR ({condition})"), false);
        self.pieces.push(Piece::NewerRule {
            table: physical.clone(),
            until,
            constraint: name.clone(),
            condition: condition.to_owned(),
        });
        true
    }

    /// Our column that says of a row who wrote it.
    fn mark(&self) -> Ident {
        ours(self.ground.number, &Ident::new("mark").expect("a name"))
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

    /// What keeps the table in step, if anything has to.
    pub(super) fn change(&self, table: &Ident, touched: &Touched) -> Option<TableChange> {
        let tells = touched.keeps_in_step();
        if !tells && touched.dropped.is_empty() {
            return None;
        }
        let seen = self.version.tables.values().find(|seen| seen.physical == *table);
        let mut names = seen.map(crate::version::VersionTable::names).unwrap_or_default();
        for (_, from, to) in self.renamed.iter().rev().filter(|(of, ..)| of == table) {
            if let (Some(physical), false) = (names.get(to).cloned(), names.contains_key(from)) {
                names.insert(from.clone(), physical);
            }
        }
        let assignment = |column: &Ident, data_type: &str, expression: &Expression| Assignment {
            column: column.clone(),
            data_type: data_type.to_owned(),
            expression: expression.as_sql().to_owned(),
            names: names.clone(),
        };
        let dropped = |which: &dyn Fn(&Dropped) -> bool| -> Vec<Assignment> {
            let dropped = touched.dropped.iter().filter(|dropped| which(dropped));
            dropped.map(|dropped| assignment(&dropped.column, &dropped.data_type, &dropped.down)).collect()
        };
        let mut backward: Vec<Assignment> =
            touched.backward.iter().map(|(column, data_type, down)| assignment(column, data_type, down)).collect();
        backward.extend(dropped(&|_| tells));
        Some(TableChange {
            number: self.ground.number,
            table: table.clone(),
            mark: tells.then(|| self.mark()),
            forward: touched.forward.clone(),
            backward,
            fill: dropped(&|dropped| !tells && dropped.must_be_given),
            left: dropped(&|dropped| !tells && !dropped.must_be_given),
            shared: self.shared(table),
            trace: crate::change::trace(self.ground.number, table),
        })
    }

    /// Has the version's view tell an insert of its own where no column does.
    fn hide(&mut self, table: &Ident, change: &TableChange) {
        let Some(seen) = self.version.tables.values_mut().find(|seen| seen.physical == *table) else { return };
        seen.hidden.extend(change.left.first().map(|left| HiddenColumn {
            physical: left.column.clone(),
            default: change.telling_default(&left.data_type),
        }));
    }

    /// The database's columns of a table that the version before and the newer one have.
    fn shared(&self, table: &Ident) -> BTreeSet<Ident> {
        let columns = |version: &Version| {
            let seen = version.tables.values().find(|seen| seen.physical == *table);
            let columns = seen.iter().flat_map(|seen| &seen.columns).map(|column| column.physical.clone());
            columns.collect::<BTreeSet<_>>()
        };
        columns(self.ground.version).intersection(&columns(&self.version)).cloned().collect()
    }

    fn backfill(&self, table: &Ident, change: &TableChange, mark: &Ident) -> Step {
        let known = self.ground.catalog.tables.get(table);
        Step {
            name: format!("bring the rows of {table} in step"),
            lock: None,
            work: Work::Backfill(Backfill {
                table: self.base(table),
                key: known.map(|known| known.primary_key.clone()).unwrap_or_default(),
                set: change.backfill(),
                mark: mark.clone(),
                only: None,
                rows: known.map_or(0, |known| known.rows),
            }),
        }
    }

    /// The version's schema, with the views of the tables that do not change.
    fn views_of_the_rest(&self) -> Step {
        let schema = self.ground.version_schema;
        let changed: BTreeSet<&Ident> = self.touched.keys().chain(self.made.keys()).collect();
        let mut statements = vec![
            format!("CREATE SCHEMA {schema}"),
            format!("SELECT switchover.same_schema_rights({}, {})", text(&self.ground.catalog.schema), text(schema)),
        ];
        for (name, seen) in self.version.tables.iter().filter(|(_, seen)| !changed.contains(&seen.physical)) {
            statements.extend(view(self.ground.catalog, schema, name, seen));
        }
        Step { name: format!("make the version {schema}"), lock: None, work: Work::Together(statements) }
    }
}

/// The step that makes a schema through which `version` is seen, of all its tables.
#[must_use]
pub fn version_step(catalog: &Catalog, schema: &Ident, version: &Version) -> Step {
    let mut statements = vec![
        format!("CREATE SCHEMA {schema}"),
        format!("SELECT switchover.same_schema_rights({}, {})", text(&catalog.schema), text(schema)),
    ];
    for (name, seen) in &version.tables {
        statements.extend(view(catalog, schema, name, seen));
    }
    Step { name: format!("make the version {schema}"), lock: None, work: Work::Together(statements) }
}

fn text(name: &Ident) -> String {
    crate::Literal(name.as_str()).to_string()
}
