//! What a statement does, as far as a rule may ask: one statement can do several things.

use crate::Ident;
use crate::plan::Lock;

use super::name::Name;

/// One thing that a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    CreateTable {
        table: Name,
    },
    DropTable {
        table: Name,
    },
    /// To another name or into another schema.
    RenameTable {
        table: Name,
        to: String,
    },
    AddColumn(AddedColumn),
    DropColumn {
        table: Name,
        column: Ident,
    },
    RenameColumn {
        table: Name,
        column: Ident,
        to: Ident,
    },
    SetType {
        table: Name,
        column: Ident,
        data_type: String,
    },
    SetNotNull {
        table: Name,
        column: Ident,
    },
    DropNotNull {
        table: Name,
        column: Ident,
    },
    SetDefault {
        table: Name,
        column: Ident,
        default: String,
    },
    DropDefault {
        table: Name,
        column: Ident,
    },
    AddConstraint(AddedConstraint),
    DropConstraint {
        table: Name,
        constraint: Ident,
    },
    ValidateConstraint {
        table: Name,
        constraint: Ident,
    },
    CreateIndex(AddedIndex),
    DropIndex {
        index: Name,
        concurrently: bool,
    },
    Reindex {
        name: String,
        concurrently: bool,
    },
    CreateType {
        name: Name,
    },
    AddValue {
        kind: Name,
        value: String,
    },
    RenameValue {
        kind: Name,
        value: String,
    },
    /// A table made anew on disk.
    Rewrite {
        table: Option<Name>,
        how: &'static str,
    },
    /// Something else that `ALTER TABLE` does.
    Alter {
        table: Name,
    },
    /// Rows that are changed, or read for others.
    Write(Write),
    /// A setting of the session or, when `local`, of the transaction.
    Set {
        setting: String,
        local: bool,
    },
    Begin,
    Commit,
    /// `ROLLBACK`, `SAVEPOINT`, `PREPARE TRANSACTION` and the like.
    OtherTransaction,
    /// A block of code, such as `DO`.
    Code,
    /// Nothing that a rule asks about.
    Other,
}

/// `ADD COLUMN`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddedColumn {
    pub(crate) table: Name,
    pub(crate) column: Ident,
    pub(crate) data_type: String,
    pub(crate) not_null: bool,
    pub(crate) default: Option<Default>,
    /// The values of all rows are made at once: stored generated, identity, serial.
    pub(crate) makes_values: Option<&'static str>,
}

/// A default's text, and whether it is another value for each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Default {
    pub(crate) text: String,
    pub(crate) is_volatile: bool,
}

/// What a constraint asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asks {
    Check(String),
    NotNull,
    Unique,
    PrimaryKey,
    Exclusion,
    ForeignKey(Name),
}

/// A constraint put on a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddedConstraint {
    pub(crate) table: Name,
    pub(crate) name: Option<Ident>,
    /// As written, without its name and `NOT VALID`.
    pub(crate) text: String,
    pub(crate) asks: Asks,
    /// Of this table; all that a check names.
    pub(crate) columns: Vec<Ident>,
    pub(crate) not_valid: bool,
    pub(crate) using_index: bool,
    /// It stands in the definition of a column that is added.
    pub(crate) with_column: bool,
}

/// `CREATE INDEX`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddedIndex {
    pub(crate) index: Option<Ident>,
    pub(crate) table: Name,
    pub(crate) columns: Vec<Ident>,
    pub(crate) unique: bool,
    pub(crate) concurrently: bool,
    /// From the method or the columns on.
    pub(crate) rest: String,
}

/// `UPDATE`, `DELETE`, `INSERT` and the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) verb: &'static str,
    pub(crate) table: Name,
    /// `INSERT ... VALUES`: so many rows as the file names.
    pub(crate) only_named_rows: bool,
}

impl Act {
    /// The lock that it takes on a table which an application uses, if it is one that anybody could meet.
    pub(crate) fn lock(&self) -> Option<(Lock, &Name)> {
        let (lock, table) = match self {
            Self::DropTable { table }
            | Self::RenameTable { table, .. }
            | Self::AddColumn(AddedColumn { table, .. })
            | Self::DropColumn { table, .. }
            | Self::RenameColumn { table, .. }
            | Self::SetType { table, .. }
            | Self::SetNotNull { table, .. }
            | Self::DropNotNull { table, .. }
            | Self::SetDefault { table, .. }
            | Self::DropDefault { table, .. }
            | Self::DropConstraint { table, .. }
            | Self::Alter { table }
            | Self::Rewrite { table: Some(table), .. } => (Lock::AccessExclusive, table),
            Self::AddConstraint(added) => match added.asks {
                Asks::ForeignKey(_) => (Lock::ShareRowExclusive, &added.table),
                Asks::Check(_) | Asks::NotNull | Asks::Unique | Asks::PrimaryKey | Asks::Exclusion => {
                    (Lock::AccessExclusive, &added.table)
                }
            },
            Self::CreateIndex(added) if !added.concurrently => (Lock::ShareRowExclusive, &added.table),
            Self::ValidateConstraint { table, .. } => (Lock::ShareUpdateExclusive, table),
            Self::CreateIndex(_)
            | Self::CreateTable { .. }
            | Self::DropIndex { .. }
            | Self::Reindex { .. }
            | Self::CreateType { .. }
            | Self::AddValue { .. }
            | Self::RenameValue { .. }
            | Self::Rewrite { table: None, .. }
            | Self::Write(_)
            | Self::Set { .. }
            | Self::Begin
            | Self::Commit
            | Self::OtherTransaction
            | Self::Code
            | Self::Other => return None,
        };
        Some((lock, table))
    }
}
