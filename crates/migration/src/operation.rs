//! The declared operations, in the published format of pgroll (its JSON Schema and operation reference).

mod column;
mod constraint;
mod index;

use std::collections::BTreeMap;

use crate::{Expression, Ident};

pub use column::{Check, Column, DefaultChange, Generated, OnDelete, References};
pub use constraint::{Constraint, ConstraintKind, IndexStorage};
pub use index::{IndexColumn, IndexMethod, Nulls, Order};

/// One declared change of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// `add_column`
    AddColumn(AddColumn),
    /// `alter_column`
    AlterColumn(AlterColumn),
    /// `create_constraint`
    CreateConstraint(CreateConstraint),
    /// `create_index`
    CreateIndex(CreateIndex),
    /// `create_table`
    CreateTable(CreateTable),
    /// `drop_column`
    DropColumn(DropColumn),
    /// `drop_constraint`
    DropConstraint(DropConstraint),
    /// `drop_index`
    DropIndex(DropIndex),
    /// `drop_multicolumn_constraint`
    DropMultiColumnConstraint(DropMultiColumnConstraint),
    /// `drop_table`
    DropTable(DropTable),
    /// `rename_column`
    RenameColumn(RenameColumn),
    /// `rename_constraint`
    RenameConstraint(RenameConstraint),
    /// `rename_table`
    RenameTable(RenameTable),
    /// `set_replica_identity`
    SetReplicaIdentity(SetReplicaIdentity),
    /// `sql`
    Sql(RawSql),
}

impl Operation {
    /// The tables that its new foreign keys refer to.
    #[must_use]
    pub fn refers_to(&self) -> Vec<&Ident> {
        fn of_columns(columns: &[Column]) -> impl Iterator<Item = &Ident> {
            columns.iter().filter_map(|column| column.references.as_ref()).map(|references| &references.table)
        }
        fn of_constraint(constraint: &Constraint) -> Option<&Ident> {
            match &constraint.kind {
                ConstraintKind::ForeignKey { table, .. } => Some(table),
                ConstraintKind::Unique { .. }
                | ConstraintKind::PrimaryKey { .. }
                | ConstraintKind::Check { .. }
                | ConstraintKind::Exclude { .. } => None,
            }
        }
        match self {
            Self::AddColumn(add) => of_columns(std::slice::from_ref(&add.column)).collect(),
            Self::AlterColumn(alter) => alter.references.iter().map(|references| &references.table).collect(),
            Self::CreateConstraint(create) => of_constraint(&create.constraint).into_iter().collect(),
            Self::CreateTable(create) => {
                of_columns(&create.columns).chain(create.constraints.iter().filter_map(of_constraint)).collect()
            }
            Self::CreateIndex(_)
            | Self::DropColumn(_)
            | Self::DropConstraint(_)
            | Self::DropIndex(_)
            | Self::DropMultiColumnConstraint(_)
            | Self::DropTable(_)
            | Self::RenameColumn(_)
            | Self::RenameConstraint(_)
            | Self::RenameTable(_)
            | Self::SetReplicaIdentity(_)
            | Self::Sql(_) => Vec::new(),
        }
    }
}

/// `add_column`: a column that older versions do not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddColumn {
    /// The table.
    pub table: Ident,
    /// The column.
    pub column: Column,
    /// Its value in rows that an older version wrote.
    pub up: Option<Expression>,
}

/// `alter_column`: another type, rule, default or comment of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterColumn {
    /// The table.
    pub table: Ident,
    /// The column.
    pub column: Ident,
    /// Its new type.
    pub data_type: Option<String>,
    /// Whether it takes NULL from now on.
    pub nullable: Option<bool>,
    /// Its new default.
    pub default: DefaultChange,
    /// Its new comment; `Some(None)` takes it away.
    pub comment: Option<Option<String>>,
    /// A check more.
    pub check: Option<Check>,
    /// A foreign key more.
    pub references: Option<References>,
    /// The name of a unique constraint more.
    pub unique: Option<Ident>,
    /// Its new value in rows that an older version wrote.
    pub up: Option<Expression>,
    /// Its old value in rows that the newer version wrote.
    pub down: Option<Expression>,
}

/// `create_table`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTable {
    /// Its name.
    pub name: Ident,
    /// Its columns, at least one.
    pub columns: Vec<Column>,
    /// Its constraints beyond those of the columns.
    pub constraints: Vec<Constraint>,
    /// Its comment.
    pub comment: Option<String>,
}

/// `create_constraint`: a constraint more on a table that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateConstraint {
    /// The table.
    pub table: Ident,
    /// The constraint: unique, check, foreign key or primary key.
    pub constraint: Constraint,
    /// The columns' new values in rows that an older version wrote.
    pub up: BTreeMap<Ident, Expression>,
    /// The columns' old values in rows that the newer version wrote.
    pub down: BTreeMap<Ident, Expression>,
}

/// `create_index`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateIndex {
    /// Its name.
    pub name: Ident,
    /// The table.
    pub table: Ident,
    /// Its columns in order, at least one.
    pub columns: Vec<(Ident, IndexColumn)>,
    /// The rows it is about.
    pub predicate: Option<Expression>,
    /// Its method.
    pub method: IndexMethod,
    /// Storage parameters as written, such as `fillfactor = 70`.
    pub storage_parameters: Option<String>,
    /// Whether its keys are unique.
    pub unique: bool,
}

/// `drop_column`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropColumn {
    /// The table.
    pub table: Ident,
    /// The column.
    pub column: Ident,
    /// Its value, for older versions, in rows that the newer version wrote.
    pub down: Option<Expression>,
}

/// `drop_constraint`: one of a single column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropConstraint {
    /// The table.
    pub table: Ident,
    /// The constraint.
    pub name: Ident,
    /// The column's new value in rows that an older version wrote.
    pub up: Option<Expression>,
    /// The column's old value, one that the constraint accepts, in rows that the newer version wrote.
    pub down: Expression,
}

/// `drop_multicolumn_constraint`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropMultiColumnConstraint {
    /// The table.
    pub table: Ident,
    /// The constraint.
    pub name: Ident,
    /// The columns' new values in rows that an older version wrote.
    pub up: BTreeMap<Ident, Expression>,
    /// The columns' old values in rows that the newer version wrote.
    pub down: BTreeMap<Ident, Expression>,
}

/// `drop_index`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropIndex {
    /// The index.
    pub name: Ident,
}

/// `drop_table`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropTable {
    /// The table.
    pub name: Ident,
}

/// `rename_column`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenameColumn {
    /// The table.
    pub table: Ident,
    /// Its name until now.
    pub from: Ident,
    /// Its name from now on.
    pub to: Ident,
}

/// `rename_constraint`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenameConstraint {
    /// The table.
    pub table: Ident,
    /// Its name until now.
    pub from: Ident,
    /// Its name from now on.
    pub to: Ident,
}

/// `rename_table`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenameTable {
    /// Its name until now.
    pub from: Ident,
    /// Its name from now on.
    pub to: Ident,
}

/// `set_replica_identity`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetReplicaIdentity {
    /// The table.
    pub table: Ident,
    /// By what its rows are known to subscribers.
    pub identity: ReplicaIdentity,
}

/// By what a table's rows are known to subscribers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// By nothing.
    Nothing,
    /// By the primary key.
    Default,
    /// By the whole row.
    Full,
    /// By this unique index.
    Index(Ident),
}

/// `sql`: the user's own statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawSql {
    /// What makes the change.
    pub up: String,
    /// What takes it back; nothing when that is not possible.
    pub down: Option<String>,
    /// In contract and not in expand.
    pub on_complete: bool,
}
