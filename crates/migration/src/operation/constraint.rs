//! A constraint of a table as operations write it.

use super::OnDelete;
use crate::{Expression, Ident};

/// A constraint of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// Its name.
    pub name: Ident,
    /// What it is.
    pub kind: ConstraintKind,
    /// Whether it can be deferred.
    pub deferrable: bool,
    /// Whether it is deferred from the start.
    pub initially_deferred: bool,
}

/// What a constraint of a table asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConstraintKind {
    /// Unique over these columns.
    Unique {
        /// At least one.
        columns: Vec<Ident>,
        /// NULLs count as equal.
        nulls_not_distinct: bool,
        /// Columns only carried along.
        include: Vec<Ident>,
        /// How its index is kept.
        storage: IndexStorage,
    },
    /// The primary key.
    PrimaryKey {
        /// At least one.
        columns: Vec<Ident>,
        /// Columns only carried along.
        include: Vec<Ident>,
        /// How its index is kept.
        storage: IndexStorage,
    },
    /// A check.
    Check {
        /// What has to hold.
        expression: Expression,
        /// Not inherited by partitions and children.
        no_inherit: bool,
    },
    /// A foreign key.
    ForeignKey {
        /// At least one.
        columns: Vec<Ident>,
        /// The table referred to.
        table: Ident,
        /// As many as `columns`, or none for its primary key.
        referred: Vec<Ident>,
        /// What a delete there does here.
        on_delete: OnDelete,
        /// What a change of the key there does here.
        on_update: OnDelete,
        /// `MATCH FULL` and not `MATCH SIMPLE`.
        match_full: bool,
    },
    /// An exclusion: `EXCLUDE USING method (elements) WHERE (predicate)`, as written.
    Exclude {
        /// The index method.
        method: String,
        /// The elements with their operators.
        elements: String,
        /// The rows it is about.
        predicate: Option<Expression>,
        /// Columns only carried along.
        include: Vec<Ident>,
        /// How its index is kept.
        storage: IndexStorage,
    },
}

impl ConstraintKind {
    /// The columns that it names as its own; those of a check and of an exclusion are in their expressions.
    #[must_use]
    pub fn columns(&self) -> Vec<Ident> {
        match self {
            Self::Unique { columns, .. } | Self::PrimaryKey { columns, .. } | Self::ForeignKey { columns, .. } => {
                columns.clone()
            }
            Self::Check { .. } | Self::Exclude { .. } => Vec::new(),
        }
    }
}

/// How the index behind a constraint is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexStorage {
    /// Its tablespace.
    pub tablespace: Option<Ident>,
    /// Storage parameters as written, such as `fillfactor = 70`.
    pub parameters: Option<String>,
}
