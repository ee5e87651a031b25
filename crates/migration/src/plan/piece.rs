//! What a migration made, one thing after the other, and what contract has to do with it.

use serde::{Deserialize, Serialize};

use super::Hidden;
use crate::{Ident, QualifiedName};

/// One thing that a migration made, by its names in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "piece", rename_all = "kebab-case")]
pub enum Piece {
    /// A table that no older version knows.
    MadeTable {
        /// Its name.
        table: Ident,
    },
    /// A column that no older version knows.
    MadeColumn {
        /// Its table.
        table: Ident,
        /// The column.
        column: Ident,
        /// Its default once only newer versions are left.
        default: Option<String>,
        /// The check that stands for NOT NULL until then.
        not_null: Option<Ident>,
    },
    /// A column in the place of another one, which older versions go on with.
    ReplacedColumn {
        /// Their table.
        table: Ident,
        /// The older versions' column.
        old: Ident,
        /// The newer versions' column.
        new: Ident,
        /// Its default once only newer versions are left.
        default: Option<String>,
        /// The check that stands for NOT NULL until then.
        not_null: Option<Ident>,
        /// Its comment.
        comment: Option<String>,
    },
    /// A check, complete on all rows.
    MadeConstraint {
        /// Its table.
        table: Ident,
        /// The constraint.
        constraint: Ident,
        /// The column that becomes NOT NULL in its place.
        not_null: Option<Ident>,
    },
    /// A check that binds rows of the newer version alone, until contract makes it one of all rows.
    NewerRule {
        /// Its table.
        table: Ident,
        /// The check until contract.
        until: Ident,
        /// The check from then on.
        constraint: Ident,
        /// What has to hold, in the names before contract.
        condition: String,
    },
    /// An index.
    MadeIndex {
        /// The index.
        index: Ident,
        /// Its table, where that is partitioned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Ident>,
    },
    /// A default or comment that newer versions see through their view.
    Settings {
        /// The table.
        table: Ident,
        /// The column.
        column: Ident,
        /// Its default from contract on; `Some(None)` takes it away.
        default: Option<Option<String>>,
        /// Its comment from contract on.
        comment: Option<Option<String>>,
    },
    /// A column that newer versions do not know.
    DroppedColumn {
        /// Its table.
        table: Ident,
        /// The column.
        column: Ident,
    },
    /// A table that newer versions do not know.
    DroppedTable {
        /// The table.
        table: Ident,
    },
    /// A constraint that newer versions do without.
    DroppedConstraint {
        /// Its table.
        table: Ident,
        /// The constraint.
        constraint: Ident,
        /// What made it, without its name.
        definition: String,
    },
    /// An index that newer versions do without.
    DroppedIndex {
        /// The index.
        index: Ident,
    },
    /// An index that gets another name once the index that has it is gone.
    RenamedIndex {
        /// Its name until contract.
        from: Ident,
        /// Its name from then on.
        to: Ident,
    },
    /// Extended statistics in the place of others.
    ReplacedStatistics {
        /// Their table.
        table: Ident,
        /// The older versions'.
        old: QualifiedName,
        /// The newer versions', under a name of ours until contract.
        new: QualifiedName,
    },
    /// A primary key that contract makes of an index.
    MadeKey {
        /// Its table.
        table: Ident,
        /// Its name.
        constraint: Ident,
        /// The index.
        index: Ident,
        /// `DEFERRABLE` and the like, or nothing.
        deferral: String,
    },
    /// A sequence that goes over to the column that takes the place of its own.
    MovedSequence {
        /// The table.
        table: Ident,
        /// The column, by its name after contract.
        column: Ident,
        /// The sequence.
        sequence: QualifiedName,
        /// Its type from contract on, where the column's can be one.
        data_type: Option<String>,
    },
    /// A constraint that gets another name.
    RenamedConstraint {
        /// Its table.
        table: Ident,
        /// Its name until contract.
        from: Ident,
        /// Its name from then on.
        to: Ident,
    },
    /// By what the table's rows are known to subscribers from contract on.
    SetReplicaIdentity {
        /// The table.
        table: Ident,
        /// As `REPLICA IDENTITY` takes it.
        identity: String,
    },
    /// A column that newer versions call otherwise.
    RenamedColumn {
        /// Its table.
        table: Ident,
        /// Its name until contract.
        from: Ident,
        /// Its name from then on.
        to: Ident,
    },
    /// A table that newer versions call otherwise.
    RenamedTable {
        /// Its name until contract.
        from: Ident,
        /// Its name from then on.
        to: Ident,
    },
    /// Statements of the user's own.
    Sql {
        /// What they are.
        up: String,
        /// What takes them back.
        down: Option<String>,
        /// In contract and not in expand.
        on_complete: bool,
        /// What was there before them and is not of the version.
        hidden: Hidden,
        /// The version's schema.
        version_schema: Ident,
    },
}

/// A column that a migration makes, by its names in the database.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewColumn<'a> {
    pub(super) table: &'a Ident,
    pub(super) column: &'a Ident,
    /// Its default once only newer versions are left.
    pub(super) default: Option<&'a String>,
    /// The check that stands for NOT NULL until then.
    pub(super) not_null: Option<&'a Ident>,
    /// Whether it stands in the place of an older one.
    pub(super) replaces: bool,
}

impl Piece {
    /// The column that is made by it.
    pub(super) fn new_column(&self) -> Option<NewColumn<'_>> {
        let (table, column, default, not_null, replaces) = match self {
            Self::MadeColumn { table, column, default, not_null } => (table, column, default, not_null, false),
            Self::ReplacedColumn { table, new, default, not_null, .. } => (table, new, default, not_null, true),
            Self::MadeTable { .. }
            | Self::MadeConstraint { .. }
            | Self::NewerRule { .. }
            | Self::MadeIndex { .. }
            | Self::Settings { .. }
            | Self::DroppedColumn { .. }
            | Self::DroppedTable { .. }
            | Self::DroppedConstraint { .. }
            | Self::DroppedIndex { .. }
            | Self::RenamedIndex { .. }
            | Self::ReplacedStatistics { .. }
            | Self::MovedSequence { .. }
            | Self::MadeKey { .. }
            | Self::RenamedColumn { .. }
            | Self::RenamedTable { .. }
            | Self::Sql { .. }
            | Self::RenamedConstraint { .. }
            | Self::SetReplicaIdentity { .. } => return None,
        };
        Some(NewColumn { table, column, default: default.as_ref(), not_null: not_null.as_ref(), replaces })
    }

    /// The table that it changes, by its name until contract; none for a whole new table, and for what is no table's own.
    pub(super) fn table(&self) -> Option<&Ident> {
        match self {
            Self::MadeTable { .. }
            | Self::MadeIndex { .. }
            | Self::DroppedIndex { .. }
            | Self::RenamedIndex { .. }
            | Self::Sql { .. } => None,
            Self::MadeColumn { table, .. }
            | Self::ReplacedColumn { table, .. }
            | Self::MadeConstraint { table, .. }
            | Self::Settings { table, .. }
            | Self::DroppedColumn { table, .. }
            | Self::DroppedTable { table }
            | Self::DroppedConstraint { table, .. }
            | Self::RenamedConstraint { table, .. }
            | Self::ReplacedStatistics { table, .. }
            | Self::MovedSequence { table, .. }
            | Self::MadeKey { table, .. }
            | Self::NewerRule { table, .. }
            | Self::SetReplicaIdentity { table, .. }
            | Self::RenamedColumn { table, .. }
            | Self::RenamedTable { from: table, .. } => Some(table),
        }
    }
}
