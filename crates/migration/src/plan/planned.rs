//! A migration as it was planned.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Piece;
use crate::Ident;
use crate::catalog::{Catalog, TableColumn};
use crate::change::TableChange;
use crate::version::Version;

/// A migration as it was planned: all that contract and undo need to know of it. Kept in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its number.
    pub number: u32,
    /// What it leads to.
    pub version: Version,
    /// What it begins with.
    #[serde(default)]
    pub before: Version,
    /// What it keeps in step.
    pub changes: Vec<TableChange>,
    /// What it made and what contract has to do, in order.
    pub pieces: Vec<Piece>,
}

impl Planned {
    /// The tables that it keeps in step or changes otherwise, each once.
    #[must_use]
    pub fn tables(&self) -> BTreeSet<&Ident> {
        let of_pieces = self.pieces.iter().filter_map(Piece::table);
        of_pieces.chain(self.changes.iter().map(|change| &change.table)).collect()
    }

    /// What other migrations keep in step on `table`.
    pub(super) fn others_of(&self, table: &Ident, active: &[TableChange]) -> Vec<TableChange> {
        active.iter().filter(|other| other.table == *table && other.number != self.number).cloned().collect()
    }

    /// `catalog` as it will be once everything of this is made.
    #[must_use]
    pub fn made_in(&self, catalog: &Catalog) -> Catalog {
        let mut after = catalog.clone();
        let marks = self.changes.iter().flat_map(|change| change.mark.iter().map(|mark| (&change.table, mark)));
        let new_columns = self.pieces.iter().filter_map(Piece::new_column).map(|new| (new.table, new.column));
        for (table, column) in marks.chain(new_columns) {
            if let Some(table) = after.tables.get_mut(table) {
                table.columns.push(TableColumn {
                    name: column.clone(),
                    data_type: String::new(),
                    nullable: true,
                    default: None,
                    generated: false,
                    computed: false,
                    comment: None,
                    statistics_target: None,
                    options: None,
                    granted: false,
                    sequence: None,
                });
            }
        }
        after
    }
}
