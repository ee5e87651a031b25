//! *Detach* and *attach*: an expanded migration stops keeping its versions in step, so that the older one goes on as if it
//! were alone; and begins again, with the rows that the older one wrote meanwhile brought in step.

use super::piece::NewColumn;
use super::restore::{Back, Kept};
use super::{Backfill, Finding, Lock, Piece, Planned, Step, Work, key_in, order_in};
use crate::catalog::Catalog;
use crate::change::{TableChange, triggers};
use crate::{Ident, QualifiedName};

/// The steps that leave older versions alone. `active` are the changes of all migrations that are expanded.
///
/// Guarantees: nothing is dropped that holds values; each step may be gone through again.
/// Assumes: no later migration is expanded.
#[must_use]
pub fn plan_detach(catalog: &Catalog, planned: &Planned, active: &[TableChange]) -> Vec<Step> {
    let mut steps = Vec::new();
    for table in planned.tables() {
        let Some(known) = catalog.tables.get(table) else { continue };
        let on = QualifiedName::new(&catalog.schema, table);
        let mut statements = Vec::new();
        if planned.changes.iter().any(|change| change.table == *table) {
            statements.extend(triggers(&catalog.schema, table, &planned.others_of(table, active)));
        }
        let drop = |constraint: &Ident| format!("ALTER TABLE {on} DROP CONSTRAINT IF EXISTS {constraint}");
        for piece in planned.pieces.iter().filter(|piece| piece.table() == Some(table)) {
            if let Some(NewColumn { column, not_null, .. }) = piece.new_column() {
                statements.extend(not_null.map(drop));
                if known.column(column).is_some_and(super::standing::tells) {
                    statements.push(format!("ALTER TABLE {on} ALTER COLUMN {column} DROP DEFAULT"));
                }
            }
            if let Piece::MadeConstraint { constraint, .. } | Piece::NewerRule { until: constraint, .. } = piece {
                statements.push(drop(constraint));
            }
        }
        if !statements.is_empty() {
            steps.push(Step {
                name: format!("leave table {table} to the older versions alone"),
                lock: Some((Lock::AccessExclusive, on)),
                work: Work::Together(statements),
            });
        }
    }
    steps
}

/// The steps that keep both sides in step again; `kept` is as it was before detach.
#[must_use]
pub fn plan_attach(catalog: &Catalog, planned: &Planned, active: &[TableChange], kept: &Kept) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut after = Vec::new();
    for table in planned.tables() {
        let Some(known) = kept.tables.get(table) else { continue };
        let on = QualifiedName::new(&catalog.schema, table);
        let back = Back { catalog, planned, kept, table, known, on: on.clone() };
        let mut statements = Vec::new();
        for piece in planned.pieces.iter().filter(|piece| piece.table() == Some(table)) {
            if let Some(NewColumn { column, not_null, .. }) = piece.new_column() {
                if known.column(column).is_some_and(super::standing::tells) {
                    statements.extend(back.default(column));
                }
                after.extend(not_null.iter().flat_map(|check| back.made_again(check)));
            }
            if let Piece::MadeConstraint { constraint, .. } | Piece::NewerRule { until: constraint, .. } = piece {
                after.extend(back.made_again(constraint));
            }
        }
        if let Some(change) = planned.changes.iter().find(|change| change.table == *table) {
            let mut all = planned.others_of(table, active);
            all.push(change.clone());
            statements.extend(triggers(&catalog.schema, table, &all));
        }
        if !statements.is_empty() {
            steps.push(Step {
                name: format!("keep both versions of table {table} in step again"),
                lock: Some((Lock::AccessExclusive, on)),
                work: Work::Together(statements),
            });
        }
    }
    steps.extend(planned.changes.iter().filter_map(|change| rows(catalog, change, kept)));
    steps.extend(after);
    steps
}

/// Rows that the older version wrote while nothing kept them in step.
#[must_use]
pub fn out_of_step(catalog: &Catalog, planned: &Planned) -> Vec<(Ident, Finding)> {
    let found = |change: &TableChange| {
        let rows = change.out_of_step()?;
        let on = QualifiedName::new(&catalog.schema, &change.table);
        let (key, order) = (key_in(catalog, &change.table), order_in(catalog, &change.table));
        let finding = Finding {
            query: format!("SELECT {key}, count(*) OVER () FROM {on} WHERE {rows} ORDER BY {order} LIMIT 20"),
            means: "the older version wrote it while nothing kept it in step".to_owned(),
        };
        Some((change.table.clone(), finding))
    };
    planned.changes.iter().filter_map(found).collect()
}

fn rows(catalog: &Catalog, change: &TableChange, kept: &Kept) -> Option<Step> {
    let known = kept.tables.get(&change.table)?;
    let work = Backfill {
        table: QualifiedName::new(&catalog.schema, &change.table),
        set: change.bring_in_step(),
        mark: change.mark.clone()?,
        only: Some(change.out_of_step()?),
        values: None,
        rows: known.rows,
    };
    Some(Step {
        name: format!("bring what the older version wrote in {} in step", change.table),
        lock: None,
        work: Work::Backfill(work),
    })
}
