//! What contract of a migration calls otherwise, and a later migration that stands on it by its new names.

use super::{Hidden, Piece, Planned, attic};
use crate::change::{Assignment, TableChange};
use crate::version::Version;
use crate::{Expression, Ident, QualifiedName};

impl Planned {
    /// This migration as it stands once `older`, which is contracted before it, has its names changed.
    ///
    /// Guarantees: what is told by `older`'s names before its contract is told by the same thing's names after it.
    #[must_use]
    pub fn after_contract_of(&self, older: &Self) -> Self {
        let version = |version: &Version| renamed_version(version, older);
        Self {
            number: self.number,
            version: version(&self.version),
            before: version(&self.before),
            changes: self.changes.iter().map(|change| renamed_change(change, older)).collect(),
            pieces: self.pieces.iter().map(|piece| renamed_piece(piece, older)).collect(),
        }
    }

    /// Its version by the names that its tables and columns have once this is contracted.
    #[must_use]
    pub fn version_after(&self) -> Version {
        renamed_version(&self.version, self)
    }

    /// The pieces of one table in the order in which contract goes through them: names last, so that all others are
    /// found by the names that the plan knows.
    pub(super) fn pieces_of(&self, table: &Ident) -> Vec<&Piece> {
        let mut pieces: Vec<&Piece> = self.pieces.iter().filter(|piece| piece.table() == Some(table)).collect();
        let is_of_table = |piece: &Piece| matches!(piece, Piece::RenamedTable { .. } | Piece::DroppedTable { .. });
        let is_name = |piece: &Piece| matches!(piece, Piece::RenamedColumn { .. } | Piece::RenamedConstraint { .. });
        pieces.sort_by_key(|piece| (is_of_table(piece), is_name(piece)));
        pieces
    }

    /// The name that `table` has once this is contracted.
    pub(super) fn table_after(&self, table: &Ident) -> Ident {
        for piece in &self.pieces {
            if let Piece::RenamedTable { from, to } = piece
                && from == table
            {
                return to.clone();
            }
            if let Piece::DroppedTable { table: dropped } = piece
                && dropped == table
            {
                return attic(self.number, dropped);
            }
        }
        table.clone()
    }

    /// The name that a column has once this is contracted.
    pub(super) fn column_after(&self, table: &Ident, column: &Ident) -> Ident {
        let mut now = column.clone();
        for piece in self.pieces_of(table) {
            if let Piece::ReplacedColumn { old, new, .. } = piece {
                now = match () {
                    () if now == *old => attic(self.number, old),
                    () if now == *new => old.clone(),
                    () => now,
                };
            }
            if let Piece::DroppedColumn { column, .. } = piece
                && now == *column
            {
                now = attic(self.number, column);
            }
            if let Piece::RenamedColumn { from, to, .. } = piece
                && now == *from
            {
                now = to.clone();
            }
        }
        now
    }

    fn constraint_after(&self, table: &Ident, constraint: &Ident) -> Ident {
        for piece in &self.pieces {
            if let Piece::RenamedConstraint { table: of, from, to } = piece
                && (of, from) == (table, constraint)
            {
                return to.clone();
            }
        }
        constraint.clone()
    }

    /// The name that an index has once this is contracted; a constraint's index is called like it.
    fn index_after(&self, index: &Ident) -> Ident {
        for piece in &self.pieces {
            if let Piece::RenamedIndex { from, to }
            | Piece::RenamedConstraint { from, to, .. }
            | Piece::MadeKey { index: from, constraint: to, .. } = piece
                && from == index
            {
                return to.clone();
            }
        }
        index.clone()
    }

    fn statistics_after(&self, statistics: &QualifiedName) -> QualifiedName {
        for piece in &self.pieces {
            if let Piece::ReplacedStatistics { old, new, .. } = piece
                && new == statistics
            {
                return old.clone();
            }
        }
        statistics.clone()
    }
}

pub(super) fn renamed_version(version: &Version, older: &Planned) -> Version {
    let mut version = version.clone();
    for table in version.tables.values_mut() {
        for column in &mut table.columns {
            column.physical = older.column_after(&table.physical, &column.physical);
        }
        for hidden in &mut table.hidden {
            hidden.physical = older.column_after(&table.physical, &hidden.physical);
        }
        table.physical = older.table_after(&table.physical);
    }
    version
}

pub(super) fn renamed_hidden(hidden: &Hidden, older: &Planned) -> Hidden {
    let columns = hidden.columns.iter().map(|(table, columns)| {
        let columns = columns.iter().map(|column| older.column_after(table, column)).collect();
        (older.table_after(table), columns)
    });
    Hidden { tables: hidden.tables.iter().map(|table| older.table_after(table)).collect(), columns: columns.collect() }
}

pub(super) fn renamed_change(change: &TableChange, older: &Planned) -> TableChange {
    let column = |column: &Ident| older.column_after(&change.table, column);
    let each = |assignments: &[Assignment]| {
        let renamed = |assignment: &Assignment| Assignment {
            column: column(&assignment.column),
            names: assignment.names.iter().map(|(name, physical)| (name.clone(), column(physical))).collect(),
            ..assignment.clone()
        };
        assignments.iter().map(renamed).collect()
    };
    TableChange {
        number: change.number,
        table: older.table_after(&change.table),
        mark: change.mark.clone(),
        forward: each(&change.forward),
        backward: each(&change.backward),
        fill: each(&change.fill),
        left: each(&change.left),
        shared: change.shared.iter().map(column).collect(),
        trace: change.trace.clone(),
    }
}

fn renamed_piece(piece: &Piece, older: &Planned) -> Piece {
    let mut piece = piece.clone();
    match &mut piece {
        Piece::MadeTable { .. } => {}
        Piece::MadeIndex { index, of } => {
            *index = older.index_after(index);
            *of = of.as_ref().map(|table| older.table_after(table));
        }
        Piece::DroppedIndex { index } => *index = older.index_after(index),
        Piece::RenamedIndex { from, to } => {
            *from = older.index_after(from);
            *to = older.index_after(to);
        }
        Piece::NewerRule { table, constraint, condition, .. } => {
            if let Ok(parsed) = Expression::parse(condition) {
                *condition = parsed.with_columns(&|column| Some(older.column_after(table, column).to_string()));
            }
            *constraint = older.constraint_after(table, constraint);
            *table = older.table_after(table);
        }
        Piece::ReplacedStatistics { table, old, .. } => {
            *old = older.statistics_after(old);
            *table = older.table_after(table);
        }
        Piece::MovedSequence { table, column, .. } => {
            *column = older.column_after(table, column);
            *table = older.table_after(table);
        }
        Piece::MadeKey { table, constraint, .. } => {
            *constraint = older.constraint_after(table, constraint);
            *table = older.table_after(table);
        }
        Piece::Sql { hidden, .. } => *hidden = renamed_hidden(hidden, older),
        Piece::MadeColumn { table, column, .. }
        | Piece::Settings { table, column, .. }
        | Piece::DroppedColumn { table, column }
        | Piece::RenamedColumn { table, from: column, .. } => {
            *column = older.column_after(table, column);
            *table = older.table_after(table);
        }
        Piece::ReplacedColumn { table, old, new, .. } => {
            *old = older.column_after(table, old);
            *new = older.column_after(table, new);
            *table = older.table_after(table);
        }
        Piece::MadeConstraint { table, constraint, not_null } => {
            *constraint = older.constraint_after(table, constraint);
            *not_null = not_null.as_ref().map(|column| older.column_after(table, column));
            *table = older.table_after(table);
        }
        Piece::RenamedConstraint { table, from, to } => {
            *from = older.constraint_after(table, from);
            *to = older.constraint_after(table, to);
            *table = older.table_after(table);
        }
        Piece::DroppedConstraint { table, constraint, .. } => {
            *constraint = older.constraint_after(table, constraint);
            *table = older.table_after(table);
        }
        Piece::DroppedTable { table }
        | Piece::SetReplicaIdentity { table, .. }
        | Piece::RenamedTable { from: table, .. } => {
            *table = older.table_after(table);
        }
    }
    piece
}
