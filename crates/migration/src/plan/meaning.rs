//! What undoing each phase of a migration means, for a person to know before it begins.

use serde::{Deserialize, Serialize};

use super::{Piece, Planned};
use crate::change::TableChange;
use crate::version::is_ours;

/// What a way back does and what it can not do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meaning {
    /// What undoing the expand does.
    pub undo_of_expand: Vec<String>,
    /// What undoing the contract does, as long as the attic is there.
    pub undo_of_contract: Vec<String>,
    /// What no way back can give.
    pub lost: Vec<String>,
    /// Whether expand can not be undone once it has run a statement of the user's own.
    #[serde(default)]
    pub no_way_back: bool,
}

/// What undoing each phase of `planned` means.
#[must_use]
pub fn meaning(planned: &Planned) -> Meaning {
    let mut meaning = Meaning { no_way_back: planned.has_no_way_back(), ..Meaning::default() };
    for piece in &planned.pieces {
        of_expand(piece, &mut meaning.undo_of_expand, &mut meaning.lost);
        of_contract(planned, piece, &mut meaning.undo_of_contract, &mut meaning.lost);
    }
    meaning
}

fn of_expand(piece: &Piece, says: &mut Vec<String>, lost: &mut Vec<String>) {
    match piece {
        Piece::Sql { down: Some(_), on_complete: false, .. } => {
            says.push("your statements of `down` are run".to_owned());
        }
        Piece::Sql { down: None, on_complete: false, .. } => {
            lost.push(
                "your statements of expand have no `down`: once one of them is done, expand can not be undone"
                    .to_owned(),
            );
        }
        Piece::Sql { on_complete: true, .. } => {}
        Piece::MadeTable { table } => says.push(format!("table {table} is put aside with its rows")),
        Piece::MadeColumn { table, column, .. } => {
            says.push(format!("column {column} of {table} is put aside with its values"));
        }
        Piece::ReplacedColumn { table, old, .. } => {
            says.push(format!(
                "the newer version's values of column {old} of {table} are put aside; the older one's stay"
            ));
        }
        // What only stands in for another one of the same kind.
        Piece::MadeConstraint { constraint: name, .. } | Piece::MadeIndex { index: name, .. } if is_ours(name) => {}
        Piece::NewerRule { table, constraint, .. } | Piece::MadeConstraint { table, constraint, .. } => {
            says.push(format!("{constraint} of {table} is dropped"));
        }
        Piece::MadeIndex { index, .. } => says.push(format!("index {index} is dropped")),
        Piece::Settings { .. }
        | Piece::DroppedColumn { .. }
        | Piece::DroppedTable { .. }
        | Piece::DroppedConstraint { .. }
        | Piece::DroppedIndex { .. }
        | Piece::RenamedIndex { .. }
        | Piece::ReplacedStatistics { .. }
        | Piece::MovedSequence { .. }
        | Piece::MadeKey { .. }
        | Piece::RenamedConstraint { .. }
        | Piece::SetReplicaIdentity { .. }
        | Piece::RenamedColumn { .. }
        | Piece::RenamedTable { .. } => {}
    }
}

fn of_contract(planned: &Planned, piece: &Piece, says: &mut Vec<String>, lost: &mut Vec<String>) {
    match piece {
        Piece::Sql { on_complete: true, .. } => {
            lost.push("your statements of contract: once it is begun, contract can not be undone".to_owned());
        }
        Piece::Sql { on_complete: false, .. } => {}
        Piece::ReplacedColumn { table, old, .. } => says.push(format!(
            "column {old} of {table} comes back with the values it had; rows written since get theirs through `down`"
        )),
        Piece::DroppedColumn { table, column } => {
            let mut given = planned.changes.iter().flat_map(TableChange::of_older);
            let has_down = given.any(|given| given.column == *column);
            let how = if has_down { "through `down`" } else { "from its default, or NULL" };
            says.push(format!(
                "column {column} of {table} comes back with the values it had; rows written since get theirs {how}"
            ));
            let follows = planned
                .changes
                .iter()
                .any(|change| change.table == *table && change.backward.iter().any(|given| given.column == *column));
            if !follows {
                lost.push(format!(
                    "what column {column} of {table} would have become in older rows that are changed after contract: it \
                     keeps the value it had"
                ));
            }
        }
        Piece::DroppedTable { table } => {
            says.push(format!("table {table} comes back with the rows it had"));
            lost.push(format!("rows of table {table} that an older version would have written after contract"));
        }
        Piece::DroppedConstraint { table, constraint, .. } => says.push(format!(
            "{constraint} of {table} is made again; rows written since that it forbids hold that up, and are named"
        )),
        Piece::DroppedIndex { index } => says.push(format!("index {index} is built again")),
        Piece::RenamedColumn { table, from, .. } => says.push(format!("column {from} of {table} has its name again")),
        Piece::RenamedTable { from, .. } => says.push(format!("table {from} has its name again")),
        Piece::RenamedConstraint { table, from, .. } => says.push(format!("{from} of {table} has its name again")),
        Piece::SetReplicaIdentity { table, .. } => says.push(format!("the replica identity of {table} is as it was")),
        Piece::Settings { table, column, .. } => {
            says.push(format!("default and comment of column {column} of {table} are as they were"));
        }
        Piece::NewerRule { table, constraint, .. } => {
            says.push(format!("{constraint} of {table} binds the newer version alone again"));
        }
        Piece::MadeKey { table, constraint, .. } => {
            says.push(format!("primary key {constraint} of {table} is on the older version's columns again"));
        }
        Piece::MadeTable { .. }
        | Piece::MadeColumn { .. }
        | Piece::MadeConstraint { .. }
        | Piece::MadeIndex { .. }
        | Piece::RenamedIndex { .. }
        | Piece::ReplacedStatistics { .. }
        | Piece::MovedSequence { .. } => {}
    }
}
