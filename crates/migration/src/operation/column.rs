//! A column as operations write it.

use crate::{Expression, Ident};

/// A column to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: Ident,
    /// Its type as written, such as `varchar(255)`; parsed, never glued.
    pub data_type: String,
    /// Whether it takes NULL; false where the file says nothing.
    pub nullable: bool,
    /// Whether its values are unique.
    pub unique: bool,
    /// Whether it is (a part of) the primary key.
    pub primary_key: bool,
    /// Its default.
    pub default: Option<Expression>,
    /// Its check.
    pub check: Option<Check>,
    /// What it refers to.
    pub references: Option<References>,
    /// Its comment.
    pub comment: Option<String>,
    /// `GENERATED ...` as written: `ALWAYS AS IDENTITY`, `BY DEFAULT AS IDENTITY`, `ALWAYS AS (expression) STORED`.
    pub generated: Option<Generated>,
}

/// How a column gets its values by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Generated {
    /// From a sequence of its own.
    Identity {
        /// `ALWAYS` (true) or `BY DEFAULT`.
        always: bool,
        /// Sequence options as written, empty where there are none.
        options: String,
    },
    /// From the other columns of its row, `ALWAYS AS (expression) STORED`.
    Stored(Expression),
}

/// A named check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: Ident,
    /// What has to hold.
    pub expression: Expression,
    /// Not inherited by partitions and children.
    pub no_inherit: bool,
}

/// A foreign key of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct References {
    /// The constraint's name.
    pub name: Ident,
    /// The table referred to.
    pub table: Ident,
    /// The column referred to; the primary key where the file says nothing.
    pub column: Option<Ident>,
    /// What a delete there does here.
    pub on_delete: OnDelete,
    /// What a change of the key there does here.
    pub on_update: OnDelete,
    /// `MATCH FULL` and not `MATCH SIMPLE`.
    pub match_full: bool,
    /// Whether it can be deferred.
    pub deferrable: bool,
    /// Whether it is deferred from the start.
    pub initially_deferred: bool,
}

/// What happens to a row that refers to one that goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OnDelete {
    /// `NO ACTION`
    #[default]
    NoAction,
    /// `RESTRICT`
    Restrict,
    /// `CASCADE`
    Cascade,
    /// `SET NULL`, of these columns (of all where none is named)
    SetNull(Vec<Ident>),
    /// `SET DEFAULT`, of these columns (of all where none is named)
    SetDefault(Vec<Ident>),
}

/// What becomes of a default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DefaultChange {
    /// It stays.
    #[default]
    Keep,
    /// It is taken away.
    Drop,
    /// It becomes this.
    Set(Expression),
}
