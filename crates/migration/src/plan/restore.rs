//! *Restore*: a contracted migration becomes an expanded one again. What was put aside comes back under its own names, with
//! the values it had; what was written since gives older versions theirs.

mod carried;
mod names;
mod rules;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use switchover_model::Problem;

use self::carried::commented;
use super::renaming::renamed_change;
use super::{Backfill, Evaluate, Finding, Piece, Planned, Step, Work, attic, kept_mark, key_in, key_of, version_step};
use crate::catalog::{Catalog, Index, Table, TableColumn};
use crate::change::TableChange;
use crate::{Ident, IndexBuild, QualifiedName};

/// How it was before contract, as far as that changes what a plan does not say. Kept in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The schema of the version before.
    pub earlier: Ident,
    /// The migration's tables.
    pub tables: BTreeMap<Ident, Table>,
    /// By what the rows of tables are known to subscribers, as `REPLICA IDENTITY` takes it.
    pub identities: BTreeMap<Ident, String>,
}

/// What restoring `planned` will need to know of `catalog`, as it is before contract. `identities` are told by who can ask.
#[must_use]
pub fn kept(catalog: &Catalog, planned: &Planned, earlier: Ident, identities: BTreeMap<Ident, String>) -> Kept {
    let tables = planned.tables().into_iter();
    let mut tables: BTreeMap<Ident, Table> =
        tables.filter_map(|table| Some((table.clone(), catalog.tables.get(table)?.clone()))).collect();
    // An index may be all that is dropped of its table.
    for piece in &planned.pieces {
        let Piece::DroppedIndex { index } = piece else { continue };
        let owner = catalog.owner_of(index);
        tables.extend(owner.map(|(name, table)| (name.clone(), table.clone())));
    }
    Kept { earlier, tables, identities }
}

/// Gives the indexes of a table that was put aside their own names back. Safe to run again.
pub const FUNCTIONS: &str = "
CREATE OR REPLACE FUNCTION switchover.set_back(schema text, prefix text, indexes text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    plain text;
    aside text;
BEGIN
    FOREACH plain IN ARRAY indexes LOOP
        aside := prefix || CASE WHEN octet_length(prefix || plain) < 64 THEN plain ELSE md5(plain) END;
        IF pg_catalog.to_regclass(pg_catalog.format('%I.%I', schema, aside)) IS NOT NULL THEN
            EXECUTE pg_catalog.format('ALTER INDEX %I.%I RENAME TO %I', schema, aside, plain);
        END IF;
    END LOOP;
END $$;
";

/// The steps that make `planned`, the newest contracted migration, an expanded one again.
///
/// Guarantees: values that were put aside stay as they are where nothing was written since; a version's schema is there only
/// once all of its rows are; each step may be gone through again.
/// Assumes: no migration is expanded. Errors: what was put aside is not there any more; nothing was begun.
pub fn plan_restore(catalog: &Catalog, planned: &Planned, kept: &Kept) -> Result<Vec<Step>, Vec<Problem>> {
    let missing = missing(catalog, planned, kept);
    if !missing.is_empty() {
        return Err(missing);
    }
    let mut steps = Vec::new();
    let mut names = Vec::new();
    let mut after = Vec::new();
    for table in planned.tables() {
        let Some(known) = kept.tables.get(table) else { continue };
        let back = Back { catalog, planned, kept, table, known, on: QualifiedName::new(&catalog.schema, table) };
        steps.extend(back.can_have_rows());
        names.extend(back.names());
        after.extend(back.rows());
        after.extend(back.rules());
    }
    steps.extend(names);
    steps.extend(after);
    for piece in planned.pieces.iter().rev() {
        if let Piece::RenamedIndex { from, to } = piece {
            steps.push(super::contract::rename_index(catalog, to, from));
        }
    }
    for piece in &planned.pieces {
        if let Piece::DroppedIndex { index } = piece {
            // As it was right before contract: names in it may have changed since the plan.
            let mut owners = kept.tables.iter();
            let Some((on, owner, was)) = owners.find_map(|(on, owner)| Some((on, owner, owner.index(index)?))) else {
                continue;
            };
            steps.push(build(&QualifiedName::new(&catalog.schema, on), owner, was, None));
            steps.extend(commented(&catalog.schema, was));
        }
    }
    steps.push(version_step(catalog, &kept.earlier, &planned.before));
    Ok(steps)
}

fn missing(catalog: &Catalog, planned: &Planned, kept: &Kept) -> Vec<Problem> {
    let mut problems = Vec::new();
    let missing = |what: String| {
        let cause = format!("{what} is not in the attic any more.");
        let next = "It was purged or taken away by hand: go on with the version that is there.";
        Problem::new("ATTIC-EMPTY", cause, next)
    };
    let taken = |what: String| {
        let cause = format!("{what} can not come back: something of this name was made since contract.");
        Problem::new("ATTIC-NAME-TAKEN", cause, "Rename what was made since, then undo again.")
    };
    for piece in &planned.pieces {
        let Some(table) = piece.table().filter(|table| kept.tables.contains_key(*table)) else { continue };
        let Some(now) = catalog.tables.get(&planned.table_after(table)) else {
            problems.push(missing(format!("table {table}")));
            continue;
        };
        if let Piece::ReplacedColumn { old: column, .. } | Piece::DroppedColumn { column, .. } = piece
            && now.column(&attic(planned.number, column)).is_none()
        {
            problems.push(missing(format!("column {column} of {table}")));
        }
        if let Piece::DroppedColumn { column, .. } = piece {
            let is_own = |piece: &Piece| matches!(piece, Piece::RenamedColumn { to, .. } | Piece::MadeColumn { column: to, .. } if to == column);
            if now.column(column).is_some() && !planned.pieces.iter().any(is_own) {
                problems.push(taken(format!("column {column} of {table}")));
            }
        }
        if let Piece::DroppedConstraint { constraint, .. } = piece {
            let stands = |piece: &Piece| matches!(piece, Piece::RenamedConstraint { to, .. } | Piece::MadeKey { constraint: to, .. } if to == constraint);
            let is_there = now.constraints.iter().any(|known| known.of_table.is_none() && known.name == *constraint);
            if is_there && !planned.pieces.iter().any(stands) {
                problems.push(taken(format!("constraint {constraint} of {table}")));
            }
        }
    }
    for piece in &planned.pieces {
        let Piece::DroppedIndex { index } = piece else { continue };
        let stands = |piece: &Piece| matches!(piece, Piece::RenamedIndex { to, .. } if to == index);
        if catalog.other_names.contains(index) && !planned.pieces.iter().any(stands) {
            problems.push(taken(format!("index {index}")));
        }
    }
    problems.dedup();
    problems
}

/// One table on its way back.
pub(super) struct Back<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) planned: &'a Planned,
    pub(super) kept: &'a Kept,
    /// By its name before contract.
    pub(super) table: &'a Ident,
    /// As it was then.
    pub(super) known: &'a Table,
    pub(super) on: QualifiedName,
}

impl Back<'_> {
    pub(super) fn alter(&self, what: impl std::fmt::Display) -> String {
        format!("ALTER TABLE {} {what}", self.on)
    }

    pub(super) fn pieces(&self) -> Vec<&Piece> {
        let mut pieces = self.planned.pieces_of(self.table);
        pieces.reverse();
        pieces
    }

    pub(super) fn change(&self) -> Option<&TableChange> {
        self.planned.changes.iter().find(|change| change.table == *self.table)
    }

    fn is_marked(&self) -> bool {
        self.change().is_some_and(|change| change.of_older().next().is_some())
    }

    fn column(&self, name: &Ident) -> Option<&TableColumn> {
        self.known.column(name)
    }

    /// Whether what newer ones wrote since has older values at all, looked at before anything is changed.
    fn can_have_rows(&self) -> Option<Step> {
        let change = renamed_change(self.change().filter(|_| self.is_marked())?, self.planned);
        let now = self.planned.table_after(self.table);
        Some(Step {
            name: format!("see that what was written to {} since has older values", self.table),
            lock: None,
            work: Work::Evaluate(Evaluate {
                table: QualifiedName::new(&self.catalog.schema, &now),
                values: change.values_given_back(&kept_mark(self.planned.number)),
                rows: "true".to_owned(),
                key: key_in(self.catalog, &now),
            }),
        })
    }

    /// Older versions' values of what newer ones wrote since.
    fn rows(&self) -> Option<Step> {
        let change = self.change().filter(|_| self.is_marked())?;
        let kept = kept_mark(self.planned.number);
        let (set, only) = change.give_back(&kept);
        let name = format!("give rows of {} that were written since their older values", self.table);
        let values = Evaluate {
            table: self.on.clone(),
            values: change.values_given_back(&kept),
            rows: "true".to_owned(),
            key: key_of(self.known),
        };
        let work = Backfill {
            table: self.on.clone(),
            set,
            mark: kept,
            only: Some(only),
            values: Some(values),
            rows: self.known.rows,
        };
        Some(Step { name, lock: None, work: Work::Backfill(work) })
    }
}

/// Builds an index beside running writes from what the database says made it.
pub(super) fn build(on: &QualifiedName, owner: &Table, was: &Index, breaks: Option<Finding>) -> Step {
    let index = QualifiedName::new(&on.schema, &was.name);
    let build = IndexBuild::of(&was.definition, &index, on, owner.partitioned);
    Step { name: format!("build index {}", was.name), lock: None, work: Work::BuildIndex { build, breaks } }
}

#[cfg(test)]
mod tests {
    use super::Kept;
    use crate::catalog::PartitionKind;

    #[test]
    fn what_an_earlier_build_kept_is_read() {
        for (partition, kind) in [
            (r#""partitioned": false"#, PartitionKind::Table),
            (r#""kind": "table", "key": [], "by_expression": false"#, PartitionKind::Table),
            (r#""kind": "partitioned", "key": ["a"], "by_expression": false"#, PartitionKind::Partitioned),
            (
                r#""kind": "partitioned", "partitioned_by": {"columns": ["a"], "in_expression": true}"#,
                PartitionKind::Partitioned,
            ),
        ] {
            let kept = format!(
                r#"{{"earlier": "public_base", "identities": {{}}, "tables": {{"t": {{"columns": [], "primary_key": [], "indexes": [],
                "constraints": [], "dependants": [{{"column": "a", "what": "view v"}}], "statistics": [], "rows": null, "row_security": false,
                "partitioned": true, "partition_key": ["a"], "relatives": [], "triggers_around": [],
                "partitions": [{{"name": {{"schema": "public", "name": "t_1"}}, {partition}}}]}}}}}}"#
            );
            let kept: Kept = serde_json::from_str(&kept).unwrap_or_else(|error| panic!("{partition}: {error}"));
            let table = kept.tables.values().next().unwrap();
            assert_eq!(table.partitions[0].kind, kind, "{partition}");
        }
    }
}
