//! What a migration stands on while earlier ones are expanded: the catalog as they leave it.

use switchover_model::Problem;

use super::piece::NewColumn;
use super::{Piece, Planned};
use crate::Ident;
use crate::catalog::{Catalog, TableColumn};

impl Planned {
    /// `catalog` with the defaults and rules that this migration's columns have for versions that know them, in the place
    /// of what stands for these until contract.
    #[must_use]
    pub fn settled_in(&self, catalog: &Catalog) -> Catalog {
        let mut settled = catalog.clone();
        for new in self.pieces.iter().filter_map(Piece::new_column) {
            let NewColumn { table, column, default, not_null, replaces } = new;
            let Some(table) = settled.tables.get_mut(table) else { continue };
            if let Some(column) = table.columns.iter_mut().find(|known| known.name == *column) {
                if replaces || default.is_some() || tells(column) {
                    column.default = default.cloned();
                }
                column.nullable &= not_null.is_none();
            }
            table.constraints.retain(|constraint| Some(&constraint.name) != not_null);
        }
        settled
    }

    /// What of this migration takes a column away by which writes of versions before earlier migrations are told, and
    /// brings none of its own.
    ///
    /// `catalog` is as the database has it, `earlier` are the migrations that are expanded.
    #[must_use]
    pub fn unseats<'a>(&self, catalog: &Catalog, earlier: impl Iterator<Item = &'a Self>) -> Option<Problem> {
        if let Some(problem) = earlier.filter_map(|earlier| self.takes_key_of(earlier, catalog)).next() {
            return Some(problem);
        }
        self.pieces.iter().find_map(|piece| {
            let Piece::DroppedColumn { table, column } = piece else { return None };
            let known = catalog.tables.get(table)?.column(column).filter(|column| tells(column))?;
            let marks = self.changes.iter().any(|change| change.table == *table && change.mark.is_some());
            let mut hidden = self.version.tables.values().flat_map(|seen| &seen.hidden);
            let goes_past = hidden.any(|hidden| hidden.physical == *column);
            (!marks && !goes_past).then(|| {
                let cause = format!(
                    "column {} of {table} is of a migration that is not contracted, which knows older versions' rows by it.",
                    known.name
                );
                Problem::new("STANDS-ON-PENDING", cause, "Contract that migration first, then drop the column.")
            })
        })
    }

    /// A column on which `earlier` makes the primary key in its contract.
    fn takes_key_of(&self, earlier: &Self, catalog: &Catalog) -> Option<Problem> {
        let is_of_key = |table: &Ident, column: &Ident| {
            earlier.pieces.iter().any(|piece| {
                let Piece::MadeKey { table: of, index, .. } = piece else { return false };
                let known = catalog.tables.get(of).into_iter().flat_map(|known| &known.indexes);
                of == table && known.filter(|known| known.name == *index).any(|known| known.columns.contains(column))
            })
        };
        self.pieces.iter().find_map(|piece| {
            let (Piece::ReplacedColumn { table, old: column, .. } | Piece::DroppedColumn { table, column }) = piece
            else {
                return None;
            };
            is_of_key(table, column).then(|| {
                let cause =
                    format!("column {column} of {table} becomes a primary key of a migration that is not contracted.");
                Problem::new("STANDS-ON-PENDING", cause, "Contract that migration first.")
            })
        })
    }
}

/// Whether a column's default tells inserts of older versions.
pub(super) fn tells(column: &TableColumn) -> bool {
    column.default.as_ref().is_some_and(|default| default.contains("switchover.left_out("))
}
