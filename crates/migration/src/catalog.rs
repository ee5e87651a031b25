//! The schema as the database has it, as far as a plan needs to know it: read by the room that talks to the database.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Ident;

/// One schema, read in one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Its name.
    pub schema: Ident,
    /// Its tables by their name in the database.
    pub tables: BTreeMap<Ident, Table>,
    /// Indexes, views, sequences and other names in it that are no tables.
    pub other_names: Vec<Ident>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its columns in order.
    pub columns: Vec<TableColumn>,
    /// The primary key's columns in order; empty where there is none.
    pub primary_key: Vec<Ident>,
    /// Its indexes.
    pub indexes: Vec<Index>,
    /// Its constraints, foreign keys of other tables to it among them.
    pub constraints: Vec<TableConstraint>,
    /// What else stands on its columns.
    pub dependants: Vec<Dependant>,
    /// How many rows the database's statistics say it has.
    pub rows: u64,
    /// Whether it is partitioned.
    pub partitioned: bool,
}

impl Table {
    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &Ident) -> Option<&TableColumn> {
        self.columns.iter().find(|column| column.name == *name)
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableColumn {
    /// Its name.
    pub name: Ident,
    /// Its type as the database writes it (`format_type`).
    pub data_type: String,
    /// Whether it takes NULL.
    pub nullable: bool,
    /// Its default as the database writes it.
    pub default: Option<String>,
    /// Whether the database makes its values: an identity or a generated column.
    pub generated: bool,
    /// Its comment.
    pub comment: Option<String>,
}

/// One index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: Ident,
    /// The columns it stands on, in keys, expressions and predicate.
    pub columns: Vec<Ident>,
    /// Its whole definition.
    pub definition: String,
    /// Whether it is complete; one that a broken-off build left is not.
    pub valid: bool,
    /// Whether a constraint owns it.
    pub of_constraint: bool,
}

/// One constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableConstraint {
    /// Its name.
    pub name: Ident,
    /// The columns of this table that it stands on.
    pub columns: Vec<Ident>,
    /// Its definition.
    pub definition: String,
    /// The other table, where it is another one's foreign key to this one.
    pub of_table: Option<Ident>,
}

/// Something that stands on a column and would break with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependant {
    /// The column.
    pub column: Ident,
    /// What it is, for a person: `view app.active_users`, `policy own_rows`.
    pub what: String,
}
