//! What keeps the rows of a changed table in step, and what of a table does not let it.

use std::collections::BTreeSet;

use switchover_model::Problem;

use super::draft::{Draft, Dropped, Touched};
use super::{Backfill, Evaluate, Step, Work, key_of};
use crate::catalog::Table;
use crate::change::{Assignment, TableChange};
use crate::version::{HiddenColumn, Version, VersionTable};
use crate::{Expression, Ident};

impl Draft<'_> {
    /// Why the rows of a table can not be kept in step.
    pub(super) fn refuse_what_can_not_be_kept_in_step(&self, name: &Ident, touched: &Touched) -> Vec<Problem> {
        let Some(change) = self.change(name, touched) else { return Vec::new() };
        let Some(table) = self.ground.catalog.tables.get(name) else { return Vec::new() };
        let mut problems = in_the_way(name, table, touched.keeps_in_step());
        let read = change.forward.iter().chain(change.of_older()).flat_map(Assignment::sources);
        let computed = |column: &Ident| table.column(column).is_some_and(|column| column.computed);
        let read: BTreeSet<Ident> = read.filter(computed).collect();
        for column in read {
            let cause = format!(
                "`up` or `down` reads column {column} of {name}, which is generated: a trigger does not see its value yet."
            );
            let next = "Write what the column is generated from in its place.";
            problems.push(Problem::new("COLUMN-GENERATED", cause, next));
        }
        problems
    }

    /// What keeps the table in step, if anything has to.
    pub(super) fn change(&self, table: &Ident, touched: &Touched) -> Option<TableChange> {
        let tells = touched.keeps_in_step();
        if !tells && touched.dropped.is_empty() {
            return None;
        }
        let seen = self.version.tables.values().find(|seen| seen.physical == *table);
        let mut names = seen.map(VersionTable::names).unwrap_or_default();
        for (_, from, to) in self.renamed.iter().rev().filter(|(of, ..)| of == table) {
            if let (Some(physical), false) = (names.get(to).cloned(), names.contains_key(from)) {
                names.insert(from.clone(), physical);
            }
        }
        let assignment = |column: &Ident, data_type: &str, expression: &Expression| Assignment {
            column: column.clone(),
            data_type: data_type.to_owned(),
            expression: expression.as_sql().to_owned(),
            names: names.clone(),
        };
        let dropped = |which: &dyn Fn(&Dropped) -> bool| -> Vec<Assignment> {
            let dropped = touched.dropped.iter().filter(|dropped| which(dropped));
            dropped.map(|dropped| assignment(&dropped.column, &dropped.data_type, &dropped.down)).collect()
        };
        let mut backward: Vec<Assignment> =
            touched.backward.iter().map(|(column, data_type, down)| assignment(column, data_type, down)).collect();
        backward.extend(dropped(&|_| tells));
        Some(TableChange {
            number: self.ground.number,
            table: table.clone(),
            mark: tells.then(|| self.mark()),
            forward: touched.forward.clone(),
            backward,
            fill: dropped(&|dropped| !tells && dropped.must_be_given),
            left: dropped(&|dropped| !tells && !dropped.must_be_given),
            shared: self.shared(table),
            trace: crate::change::trace(self.ground.number, table),
        })
    }

    /// Has the version's view tell an insert of its own where no column does.
    pub(super) fn hide(&mut self, table: &Ident, change: &TableChange) {
        let Some(seen) = self.version.tables.values_mut().find(|seen| seen.physical == *table) else { return };
        seen.hidden.extend(change.left.first().map(|left| HiddenColumn {
            physical: left.column.clone(),
            default: change.telling_default(&left.data_type),
        }));
    }

    /// The database's columns of a table that the version before and the newer one have.
    fn shared(&self, table: &Ident) -> BTreeSet<Ident> {
        let columns = |version: &Version| {
            let seen = version.tables.values().find(|seen| seen.physical == *table);
            let columns = seen.iter().flat_map(|seen| &seen.columns).map(|column| column.physical.clone());
            columns.collect::<BTreeSet<_>>()
        };
        columns(self.ground.version).intersection(&columns(&self.version)).cloned().collect()
    }

    /// The step that gives the rows that are there their new values.
    pub(super) fn backfill(&self, table: &Ident, change: &TableChange, mark: &Ident) -> Step {
        let known = self.ground.catalog.tables.get(table);
        Step {
            name: format!("bring the rows of {table} in step"),
            lock: None,
            work: Work::Backfill(Backfill {
                table: self.base(table),
                set: change.backfill(),
                mark: mark.clone(),
                only: None,
                values: known.map(|known| Evaluate {
                    table: self.base(table),
                    values: change.newer_values(),
                    rows: format!("{mark} IS NULL"),
                    key: key_of(known),
                }),
                rows: known.and_then(|known| known.rows),
            }),
        }
    }
}

/// What a table has that our triggers, or the views over it, can not live with.
fn in_the_way(name: &Ident, table: &Table, gone_through: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |code: &str, cause: String, next: &str| problems.push(Problem::new(code, cause, next));
    if gone_through && table.primary_key.is_empty() {
        let cause = format!("table {name} has no primary key, by which its rows could be named.");
        refuse("NO-PRIMARY-KEY", cause, "Give it one first; every row needs a name.");
    }
    if !table.relatives.is_empty() {
        let relatives = table.relatives.join(", ");
        let cause = format!("table {name} inherits from or to {relatives}, whose rows its triggers do not see.");
        refuse("TABLE-INHERITS", cause, "End the inheritance first, or make the table partitioned.");
    }
    if table.row_security && table.columns.iter().any(|column| column.granted) {
        let cause = format!(
            "{name} has row security and rights that were granted on single columns: a view can not have both for its users."
        );
        refuse("RIGHTS-NOT-CARRIED", cause, "Grant the rights on the whole table, or split it.");
    }
    if !table.triggers_around.is_empty() {
        let cause = format!(
            "triggers fire in the order of their names, and {} of {name} fires before or after all of ours.",
            table.triggers_around.join(", ")
        );
        refuse("TRIGGER-ORDER", cause, "Give it a name that begins with a letter from a to z.");
    }
    problems
}
