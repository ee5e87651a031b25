//! The declared operations, in the published format of pgroll (its JSON Schema and operation reference).

use std::collections::BTreeMap;

use crate::{Expression, Ident};

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

/// How a column stands in an index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexColumn {
    /// Its collation, as written.
    pub collate: Option<String>,
    /// Its operator class, as written.
    pub operator_class: Option<String>,
    /// Its order.
    pub order: Order,
    /// Where NULLs go.
    pub nulls: Option<Nulls>,
}

/// Order of an index column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Ascending.
    #[default]
    Ascending,
    /// Descending.
    Descending,
}

/// Where NULLs go in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// Before the others.
    First,
    /// After the others.
    Last,
}

/// An index's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are the database's own")]
pub enum IndexMethod {
    #[default]
    BTree,
    Hash,
    Gist,
    SpGist,
    Gin,
    Brin,
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
