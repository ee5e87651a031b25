//! What is known when a statement's turn comes: what was there before, what the statements before it made, which locks the
//! transaction holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::Ident;
use crate::catalog::{Catalog, Table, TableColumn};
use crate::plan::Lock;

use super::act::{Act, Asks};
use super::name::Name;
use super::{Phase, RanBy};

/// What is known.
#[derive(Debug, Clone)]
pub(crate) struct Scene<'a> {
    pub(crate) phase: Phase,
    pub(crate) ran_by: RanBy,
    catalog: Option<&'a Catalog>,
    tables: Vec<Name>,
    /// Columns made here, and whether each refuses NULL.
    columns: Vec<(Name, Ident, bool)>,
    indexes: Vec<Ident>,
    /// Checks by their text, and whether all rows are known to hold to them.
    checks: Vec<(Name, Option<Ident>, String, bool)>,
    pub(crate) has_lock_timeout: bool,
    pub(crate) transaction: Transaction,
}

/// What the transaction did so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transaction {
    /// Tables that an application uses, with the strongest lock on each.
    pub(crate) locked: BTreeMap<String, Lock>,
    /// Values that were added to enum types.
    pub(crate) values: BTreeSet<String>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(phase: Phase, ran_by: RanBy, catalog: Option<&'a Catalog>) -> Self {
        Self {
            phase,
            ran_by,
            catalog,
            tables: Vec::new(),
            columns: Vec::new(),
            indexes: Vec::new(),
            checks: Vec::new(),
            has_lock_timeout: false,
            transaction: Transaction::default(),
        }
    }

    /// Whether the live version may use this table: it was there before.
    pub(crate) fn is_live(&self, table: &Name) -> bool {
        !self.tables.iter().any(|made| made.may_be(table)) && self.may_be_there(table)
    }

    fn may_be_there(&self, table: &Name) -> bool {
        match self.catalog {
            Some(catalog) if table.schema.as_ref().is_none_or(|schema| *schema == catalog.schema) => {
                catalog.tables.contains_key(&table.name) || catalog.other_names.contains(&table.name)
            }
            Some(_) | None => true,
        }
    }

    /// Whether the live version may use this column.
    pub(crate) fn is_live_column(&self, table: &Name, column: &Ident) -> bool {
        let is_made = self.columns.iter().any(|(made_in, made, _)| made_in.may_be(table) && made == column);
        let is_there = self.table(table).is_none_or(|known| known.column(column).is_some());
        self.is_live(table) && !is_made && is_there
    }

    /// Whether it is a column that the statements before this one made on a table that was there.
    pub(crate) fn is_made_column(&self, table: &Name, column: &Ident) -> bool {
        self.is_live(table) && self.columns.iter().any(|(made_in, made, _)| made_in.may_be(table) && made == column)
    }

    /// Whether such a column refuses NULL.
    pub(crate) fn is_made_not_null(&self, table: &Name, column: &Ident) -> bool {
        self.columns.iter().any(|(made_in, made, not_null)| *not_null && made_in.may_be(table) && made == column)
    }

    /// Whether all of these are columns that no live version writes.
    pub(crate) fn are_new(&self, table: &Name, columns: &[Ident]) -> bool {
        !columns.is_empty() && columns.iter().all(|column| self.is_made_column(table, column))
    }

    pub(crate) fn is_live_index(&self, index: &Name) -> bool {
        !self.indexes.contains(&index.name)
    }

    /// Whether it is a check that the statements before this one made.
    pub(crate) fn is_made_check(&self, table: &Name, constraint: &Ident) -> bool {
        self.checks.iter().any(|(on, name, ..)| on.may_be(table) && name.as_ref() == Some(constraint))
    }

    /// The table as the database has it, where that is known.
    pub(crate) fn table(&self, table: &Name) -> Option<&'a Table> {
        let catalog = self.catalog?;
        let is_here = table.schema.as_ref().is_none_or(|schema| *schema == catalog.schema);
        catalog.tables.get(&table.name).filter(|_| is_here)
    }

    /// The column as the database has it, where that is known.
    pub(crate) fn column(&self, table: &Name, column: &Ident) -> Option<&'a TableColumn> {
        self.table(table)?.column(column)
    }

    /// The type of a column for a statement that copies it.
    pub(crate) fn type_of(&self, table: &Name, column: &Ident) -> String {
        self.column(table, column).map_or_else(|| "TYPE".to_owned(), |column| column.data_type.clone())
    }

    /// Whether a check that holds for all rows says that the column is not NULL, so that SET NOT NULL need not look
    /// (PostgreSQL 12).
    pub(crate) fn is_known_not_null(&self, table: &Name, column: &Ident) -> bool {
        let says_so = |text: &str| {
            let plain: String = text.chars().filter(|letter| !"()\" \n\t".contains(*letter)).collect();
            plain.eq_ignore_ascii_case(&format!("{}isnotnull", column.as_str()))
        };
        let in_file =
            |(on, _, text, holds): &(Name, Option<Ident>, String, bool)| *holds && on.may_be(table) && says_so(text);
        let in_catalog = |table: &Table| {
            let checks = table.constraints.iter().filter_map(|known| known.definition.strip_prefix("CHECK "));
            checks.into_iter().any(says_so)
        };
        self.checks.iter().any(in_file) || self.table(table).is_some_and(in_catalog)
    }

    /// Takes on a column that is made.
    pub(crate) fn makes_column(&mut self, table: Name, column: Ident, not_null: bool) {
        self.columns.push((table, column, not_null));
    }

    /// Takes on what `act` did.
    pub(crate) fn after(&mut self, act: &Act) {
        if let Some((lock, table)) = act.lock()
            && self.is_live(table)
        {
            let held = self.transaction.locked.entry(table.to_string()).or_insert(lock);
            *held = (*held).max(lock);
        }
        match act {
            Act::CreateTable { table } => self.tables.push(table.clone()),
            Act::AddColumn(added) => self.makes_column(added.table.clone(), added.column.clone(), added.not_null),
            Act::RenameColumn { table, to, .. } => self.columns.push((table.clone(), to.clone(), false)),
            Act::CreateIndex(added) => self.indexes.extend(added.index.clone()),
            Act::AddConstraint(added) => {
                if let Asks::Check(text) = &added.asks {
                    let holds = !added.not_valid;
                    self.checks.push((added.table.clone(), added.name.clone(), text.clone(), holds));
                }
            }
            Act::ValidateConstraint { table, constraint } => {
                for check in &mut self.checks {
                    if check.0.may_be(table) && check.1.as_ref() == Some(constraint) {
                        check.3 = true;
                    }
                }
            }
            Act::SetNotNull { table, column } => {
                for made in self.columns.iter_mut().filter(|made| made.0.may_be(table) && made.1 == *column) {
                    made.2 = true;
                }
            }
            Act::AddValue { value, .. } => {
                self.transaction.values.insert(value.clone());
            }
            Act::Set { setting, .. } if setting == "lock_timeout" => self.has_lock_timeout = true,
            Act::DropTable { .. }
            | Act::RenameTable { .. }
            | Act::DropColumn { .. }
            | Act::SetType { .. }
            | Act::DropNotNull { .. }
            | Act::SetDefault { .. }
            | Act::DropDefault { .. }
            | Act::DropConstraint { .. }
            | Act::DropIndex { .. }
            | Act::Reindex { .. }
            | Act::CreateType { .. }
            | Act::RenameValue { .. }
            | Act::Rewrite { .. }
            | Act::Alter { .. }
            | Act::Write(_)
            | Act::Set { .. }
            | Act::Begin
            | Act::Commit
            | Act::OtherTransaction
            | Act::Code
            | Act::Other => {}
        }
    }
}
