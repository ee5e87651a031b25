//! *Undo* of an expanded migration, whole or broken off: the version and what keeps it in step go, what was made is put
//! aside. The older versions never notice.

use super::contract::drop_index_of;
use super::{Lock, Piece, Planned, Step, Work, attic, put_table_aside};
use crate::catalog::Catalog;
use crate::change::{TableChange, drop_version, triggers};
use crate::{Ident, Literal, QualifiedName, loose_prefix};

/// The steps that take `planned` back as far as it came.
///
/// Guarantees: each step may be gone through again, and is right whichever steps of expand were done.
/// Assumes: no later migration is expanded.
#[must_use]
pub fn plan_undo(catalog: &Catalog, planned: &Planned, active: &[TableChange], version_schema: &Ident) -> Vec<Step> {
    let mut steps = vec![Step {
        name: format!("take the version {version_schema} away"),
        lock: None,
        work: Work::Together(vec![drop_version(version_schema)]),
    }];
    steps.extend(super::sql::undo(catalog, planned));
    for table in planned.tables() {
        let Some(known) = catalog.tables.get(table) else { continue };
        let on = QualifiedName::new(&catalog.schema, table);
        let has = |column: &Ident| known.column(column).is_some();
        // Parts that an index does not have yet are found by it, and it goes with its constraint.
        let has_parts = |piece: &&Piece| matches!(piece, Piece::MadeIndex { of: Some(of), .. } if of == table);
        steps.extend(
            planned
                .pieces
                .iter()
                .filter(has_parts)
                .filter_map(|piece| drop_made(catalog, piece))
                .map(|step| Step { name: format!("{}, or its parts", step.name), ..step }),
        );
        let mut statements = Vec::new();
        if let Some(change) = planned.changes.iter().find(|change| change.table == *table) {
            let left = planned.others_of(table, active);
            statements.extend(triggers(&catalog.schema, table, &left));
            let mark = change.mark.iter().filter(|mark| has(mark));
            statements.extend(mark.map(|mark| format!("ALTER TABLE {on} DROP COLUMN {mark}")));
        }
        for piece in planned.pieces.iter().filter(|piece| piece.table() == Some(table)) {
            statements.extend(put_aside(planned.number, &on, piece, &has));
        }
        if known.partitioned && !statements.is_empty() {
            let (whole, prefix) = (on.to_string(), loose_prefix());
            statements.push(format!("SELECT switchover.drop_loose_keys({}, {})", Literal(&whole), Literal(&prefix)));
        }
        if !statements.is_empty() {
            steps.push(Step {
                name: format!("leave table {table} to the older versions"),
                lock: Some((Lock::AccessExclusive, on)),
                work: Work::Together(statements),
            });
        }
    }
    for piece in &planned.pieces {
        steps.extend(drop_made(catalog, piece));
        if let Piece::MadeTable { table } = piece
            && catalog.tables.contains_key(table)
        {
            let on = QualifiedName::new(&catalog.schema, table);
            steps.push(Step {
                name: format!("put table {table} aside"),
                lock: Some((Lock::AccessExclusive, on.clone())),
                work: Work::Together(put_table_aside(planned.number, &on, table)),
            });
        }
    }
    steps
}

/// An index that was made goes.
fn drop_made(catalog: &Catalog, piece: &Piece) -> Option<Step> {
    let Piece::MadeIndex { index, of } = piece else { return None };
    let name = |name: &Ident| QualifiedName::new(&catalog.schema, name);
    Some(drop_index_of(&name(index), of.as_ref().map(name)))
}

/// What the newer version wrote stays in its column, under a name of ours, without any rule on it.
fn put_aside(number: u32, on: &QualifiedName, piece: &Piece, has: &dyn Fn(&Ident) -> bool) -> Vec<String> {
    let drop_check = |check: &Ident| format!("ALTER TABLE {on} DROP CONSTRAINT IF EXISTS {check}");
    let aside = |column: &Ident, check: &Option<Ident>| {
        let mut statements: Vec<String> = check.iter().map(drop_check).collect();
        if has(column) {
            statements.push(format!("ALTER TABLE {on} ALTER COLUMN {column} DROP DEFAULT"));
            statements.push(format!("ALTER TABLE {on} ALTER COLUMN {column} DROP NOT NULL"));
            statements.push(format!("ALTER TABLE {on} RENAME COLUMN {column} TO {}", attic(number, column)));
        }
        statements
    };
    match piece {
        Piece::MadeColumn { column, not_null, .. } => aside(column, not_null),
        Piece::ReplacedColumn { new, not_null, .. } => aside(new, not_null),
        Piece::MadeConstraint { constraint, .. } => vec![drop_check(constraint)],
        Piece::NewerRule { until, constraint, .. } => vec![drop_check(until), drop_check(constraint)],
        Piece::ReplacedStatistics { new, .. } => vec![format!("DROP STATISTICS IF EXISTS {new}")],
        Piece::MadeTable { .. }
        | Piece::MadeIndex { .. }
        | Piece::Settings { .. }
        | Piece::DroppedColumn { .. }
        | Piece::DroppedTable { .. }
        | Piece::DroppedConstraint { .. }
        | Piece::DroppedIndex { .. }
        | Piece::RenamedIndex { .. }
        | Piece::MovedSequence { .. }
        | Piece::MadeKey { .. }
        | Piece::RenamedConstraint { .. }
        | Piece::SetReplicaIdentity { .. }
        | Piece::RenamedColumn { .. }
        | Piece::RenamedTable { .. }
        | Piece::Sql { .. } => Vec::new(),
    }
}
