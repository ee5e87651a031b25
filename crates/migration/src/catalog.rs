//! The schema as the database has it, as far as a plan needs to know it: read by the room that talks to the database.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Ident, QualifiedName};

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

impl Catalog {
    /// The table that has the index of this name.
    #[must_use]
    pub fn owner_of(&self, index: &Ident) -> Option<(&Ident, &Table)> {
        self.tables.iter().find(|(_, table)| table.index(index).is_some())
    }
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
    /// Its extended statistics.
    pub statistics: Vec<Statistics>,
    /// How many rows the database's statistics say it has; nothing where it was never analysed.
    pub rows: Option<u64>,
    /// Whether it has row security.
    pub row_security: bool,
    /// Whether it is partitioned.
    pub partitioned: bool,
    /// Its partitions and their partitions, each after the one that it is part of.
    pub partitions: Vec<Partition>,
    /// By what it is partitioned; nothing where it is not.
    #[serde(default)]
    pub partitioned_by: PartitionKey,
    /// Tables that it inherits from or that inherit from it, other than partitions.
    pub relatives: Vec<String>,
    /// The app's triggers that fire before our first or after our last one.
    pub triggers_around: Vec<String>,
}

impl Table {
    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &Ident) -> Option<&TableColumn> {
        self.columns.iter().find(|column| column.name == *name)
    }

    /// By what it and its partitions are partitioned.
    pub fn partition_keys(&self) -> impl Iterator<Item = &PartitionKey> {
        let keys = self.partitions.iter().filter_map(|partition| partition.partitioned_by.as_ref());
        std::iter::once(&self.partitioned_by).chain(keys)
    }

    /// The index of this name.
    #[must_use]
    pub fn index(&self, name: &Ident) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == *name)
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
    /// Whether its values are made from other columns of the row; a trigger does not see them.
    pub computed: bool,
    /// Its comment.
    pub comment: Option<String>,
    /// How closely the database looks at its values, where that was set.
    pub statistics_target: Option<i32>,
    /// Its options as `SET (...)` takes them, where there are any.
    pub options: Option<String>,
    /// Whether rights on it alone were granted.
    pub granted: bool,
    /// The sequence that it owns.
    pub sequence: Option<QualifiedName>,
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
    /// Whether subscribers know the table's rows by it.
    pub replica_identity: bool,
    /// Its comment.
    pub comment: Option<String>,
}

/// Extended statistics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Their name.
    pub name: QualifiedName,
    /// The columns they are about, in order.
    pub columns: Vec<Ident>,
    /// Their kinds as `CREATE STATISTICS` takes them.
    pub kinds: String,
    /// Whether they are about expressions, too.
    pub of_expressions: bool,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Its name.
    pub name: QualifiedName,
    /// What it is.
    #[serde(default)]
    pub kind: PartitionKind,
    /// By what it is partitioned itself, where it is.
    #[serde(default)]
    pub partitioned_by: Option<PartitionKey>,
}

/// By what a table is partitioned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionKey {
    /// The columns.
    pub columns: Vec<Ident>,
    /// Whether they stand in an expression.
    pub in_expression: bool,
}

/// What a partition is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionKind {
    /// A table with rows of its own.
    #[default]
    Table,
    /// Partitioned itself.
    Partitioned,
    /// A table of another server.
    Foreign,
}

/// One constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableConstraint {
    /// Its name.
    pub name: Ident,
    /// What it is.
    pub kind: ConstraintType,
    /// The columns of this table that it stands on, in its order.
    pub columns: Vec<Ident>,
    /// The columns of this table that its own foreign key to itself refers to.
    pub referred: Vec<Ident>,
    /// What a check asks for.
    pub condition: Option<String>,
    /// Whether it holds for all rows, and not only for those written since it was made.
    pub validated: bool,
    /// Its comment.
    pub comment: Option<String>,
    /// Its definition.
    pub definition: String,
    /// The other table, where it is another one's foreign key to this one.
    pub of_table: Option<Ident>,
}

/// What a constraint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the database's own")]
pub enum ConstraintType {
    Check,
    ForeignKey,
    PrimaryKey,
    Unique,
    Exclude,
}

/// Something that stands on a column and would break with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependant {
    /// The column.
    pub column: Ident,
    /// What it is, for a person: `view app.active_users`, `policy own_rows`.
    pub what: String,
    /// Whether it is a constraint that a partition has of its own.
    #[serde(default)]
    pub is_rule_of_partition: bool,
}
