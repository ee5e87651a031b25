//! A plan being made: what each operation adds to it, and the rules and steps that several of them ask for.

use std::collections::BTreeMap;

use switchover_model::Problem;
use switchover_model::config::OldRows;

use super::probe::Asked;
use super::{Finding, Ground, Lock, Piece, Step, Work, key_of, ours};
use crate::change::Assignment;
use crate::version::{Version, VersionTable};
use crate::{Expression, Ident, QualifiedName};

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
    pub(super) fn keeps_in_step(&self) -> bool {
        !self.told_by.is_empty()
    }
}

impl<'a> Draft<'a> {
    pub(super) fn new(ground: Ground<'a>) -> Self {
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

    /// The table of the version as it is now in the plan.
    pub(super) fn table_mut(&mut self, name: &Ident) -> Result<&mut VersionTable, Problem> {
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

    /// The same of a rule that a person named, which undo takes away again by its name.
    pub(super) fn named_rule(&mut self, physical: &Ident, name: &Ident, condition: &str, no_inherit: bool) {
        if !self.rule(physical, name, condition, no_inherit) {
            let (table, constraint) = (physical.clone(), name.clone());
            self.pieces.push(Piece::MadeConstraint { table, constraint, not_null: None });
        }
    }

    /// Our column that says of a row who wrote it.
    pub(super) fn mark(&self) -> Ident {
        ours(self.ground.number, &Ident::new("mark").expect("a name"))
    }
}
