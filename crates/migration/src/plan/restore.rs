//! *Restore*: a contracted migration becomes an expanded one again. What was put aside comes back under its own names, with
//! the values it had; what was written since gives older versions theirs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use switchover_model::Problem;

use super::restore_carried::commented;
use super::{
    Backfill, Finding, Lock, Piece, Planned, Step, Work, attic, attic_prefix, kept_mark, key_of, ours, version_step,
};
use crate::catalog::{Catalog, Table, TableColumn};
use crate::change::{TableChange, triggers};
use crate::{Ident, Literal, QualifiedName};

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
        let Piece::DroppedIndex { index, .. } = piece else { continue };
        let mut owners = catalog.tables.iter();
        let owner = owners.find(|(_, table)| table.indexes.iter().any(|known| known.name == *index));
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
    let mut after = Vec::new();
    for table in planned.tables() {
        let Some(known) = kept.tables.get(table) else { continue };
        let back = Back { catalog, planned, kept, table, known, on: QualifiedName::new(&catalog.schema, table) };
        steps.extend(back.names());
        after.extend(back.rows());
        after.extend(back.rules());
    }
    steps.extend(after);
    for piece in planned.pieces.iter().rev() {
        if let Piece::RenamedIndex { from, to } = piece {
            let rename = format!("ALTER INDEX {} RENAME TO {from}", QualifiedName::new(&catalog.schema, to));
            let work = Work::Together(vec![rename]);
            steps.push(Step { name: format!("rename index {to} to {from}"), lock: None, work });
        }
    }
    for piece in &planned.pieces {
        if let Piece::DroppedIndex { index, definition } = piece {
            // As it was right before contract: names in it may have changed since the plan.
            let was = kept.tables.values().flat_map(|table| &table.indexes).find(|known| known.name == *index);
            let definition = was.map_or(definition, |was| &was.definition);
            steps.push(build(&catalog.schema, index, definition, None));
            steps.extend(was.and_then(|was| commented(&catalog.schema, was)));
        }
    }
    steps.push(version_step(catalog, &kept.earlier, &planned.before));
    Ok(steps)
}

fn missing(catalog: &Catalog, planned: &Planned, kept: &Kept) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut miss = |what: String| {
        let cause = format!("{what} is not in the attic any more.");
        let next = "It was purged or taken away by hand: go on with the version that is there.";
        problems.push(Problem::new("ATTIC-EMPTY", cause, next));
    };
    for piece in &planned.pieces {
        let Some(table) = piece.table().filter(|table| kept.tables.contains_key(*table)) else { continue };
        let Some(now) = catalog.tables.get(&planned.table_after(table)) else {
            miss(format!("table {table}"));
            continue;
        };
        if let Piece::ReplacedColumn { old: column, .. } | Piece::DroppedColumn { column, .. } = piece
            && now.column(&attic(planned.number, column)).is_none()
        {
            miss(format!("column {column} of {table}"));
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

    /// Names, defaults and triggers, all at once: from here on newer versions' writes give older versions' columns their
    /// values.
    fn names(&self) -> Option<Step> {
        let now = QualifiedName::new(&self.catalog.schema, &self.planned.table_after(self.table));
        let mut statements = Vec::new();
        if now != self.on {
            statements.push(format!("ALTER TABLE {now} RENAME TO {}", self.table));
        }
        for piece in self.pieces() {
            statements.extend(self.name(piece));
        }
        for piece in self.pieces() {
            if let Piece::MovedSequence { column, sequence, .. } = piece {
                statements.push(format!("ALTER SEQUENCE {sequence} OWNED BY {}.{column}", self.on));
            }
        }
        if let Some(change) = self.change() {
            if let Some(mark) = &change.mark {
                // Every row is in step, as far as newer versions see; what older ones see comes with the rows.
                statements.push(self.alter(format_args!("ADD COLUMN {mark} smallint DEFAULT 1")));
                statements.push(self.alter(format_args!("ALTER COLUMN {mark} DROP DEFAULT")));
            }
            if self.is_marked() {
                let kept = kept_mark(self.planned.number);
                statements.push(self.alter(format_args!("ALTER COLUMN {kept} SET DEFAULT true")));
            }
            statements.extend(self.newer_rules());
            statements.extend(triggers(&self.catalog.schema, self.table, std::slice::from_ref(change)));
        }
        (!statements.is_empty()).then(|| Step {
            name: format!("take what was put aside of table {} back", self.table),
            lock: Some((Lock::AccessExclusive, now)),
            work: Work::Together(statements),
        })
    }

    fn is_marked(&self) -> bool {
        self.change().is_some_and(|change| change.of_older().next().is_some())
    }

    fn name(&self, piece: &Piece) -> Vec<String> {
        let number = self.planned.number;
        let back = |column: &Ident| {
            let mut statements = vec![self.alter(format_args!("RENAME COLUMN {} TO {column}", attic(number, column)))];
            statements.extend(self.default(column));
            statements
        };
        match piece {
            Piece::MadeTable { .. }
            | Piece::MadeIndex { .. }
            | Piece::DroppedIndex { .. }
            | Piece::RenamedIndex { .. }
            | Piece::MovedSequence { .. }
            | Piece::Sql { .. } => Vec::new(),
            Piece::NewerRule { constraint, .. } => {
                let mut statements = vec![self.alter(format_args!("DROP CONSTRAINT IF EXISTS {constraint}"))];
                let column = self.not_null_by(constraint);
                statements.extend(column.map(|column| self.alter(format_args!("ALTER COLUMN {column} DROP NOT NULL"))));
                statements
            }
            Piece::ReplacedStatistics { old, new, .. } => {
                vec![format!("ALTER STATISTICS {old} RENAME TO {}", new.name)]
            }
            // Rows are gone through by it until the older one is there again.
            Piece::MadeKey { constraint, .. } => {
                vec![self.alter(format_args!("RENAME CONSTRAINT {constraint} TO {}", self.key_aside(constraint)))]
            }
            // Made again beside running writes.
            Piece::DroppedConstraint { .. } | Piece::RenamedTable { .. } => Vec::new(),
            Piece::MadeConstraint { not_null: None, .. } => Vec::new(),
            Piece::MadeConstraint { constraint, not_null: Some(column), .. } => vec![
                self.alter(format_args!("ADD CONSTRAINT {constraint} CHECK ({column} IS NOT NULL) NOT VALID")),
                self.alter(format_args!("ALTER COLUMN {column} DROP NOT NULL")),
            ],
            Piece::MadeColumn { column, .. } => self.default(column),
            Piece::Settings { column, comment, .. } => {
                let mut statements = self.default(column);
                statements.extend(comment.as_ref().and_then(|_| self.comment(column)));
                statements
            }
            Piece::ReplacedColumn { old, new, .. } => {
                let mut statements = vec![self.alter(format_args!("RENAME COLUMN {old} TO {new}"))];
                statements.extend(self.default(new));
                statements.extend(self.comment(new));
                statements.extend(back(old));
                statements
            }
            Piece::DroppedColumn { column, .. } => back(column),
            Piece::DroppedTable { table } => {
                let names: Vec<String> =
                    self.known.indexes.iter().map(|index| Literal(index.name.as_str()).to_string()).collect();
                vec![format!(
                    "SELECT switchover.set_back({}, {}, ARRAY[{}]::text[])",
                    Literal(self.catalog.schema.as_str()),
                    Literal(&attic_prefix(number)),
                    names.join(", ")
                )]
                .into_iter()
                .filter(|_| table == self.table && !names.is_empty())
                .collect()
            }
            Piece::RenamedConstraint { from, to, .. } => {
                vec![self.alter(format_args!("RENAME CONSTRAINT {to} TO {from}"))]
            }
            Piece::RenamedColumn { from, to, .. } => vec![self.alter(format_args!("RENAME COLUMN {to} TO {from}"))],
            Piece::SetReplicaIdentity { table, .. } => {
                let was = self.kept.identities.get(table);
                was.map(|was| self.alter(format_args!("REPLICA IDENTITY {was}"))).into_iter().collect()
            }
        }
    }

    fn column(&self, name: &Ident) -> Option<&TableColumn> {
        self.known.column(name)
    }

    /// Its default as it was before contract; an identity or a generated column has none of its own.
    pub(super) fn default(&self, column: &Ident) -> Vec<String> {
        let Some(known) = self.column(column).filter(|column| !column.generated) else { return Vec::new() };
        let default = known.default.as_ref().map_or_else(
            || format!("ALTER COLUMN {column} DROP DEFAULT"),
            |default| format!("ALTER COLUMN {column} SET DEFAULT {default}"),
        );
        vec![self.alter(default)]
    }

    fn comment(&self, column: &Ident) -> Option<String> {
        let known = self.column(column)?;
        let comment = super::alter_column::comment(known.comment.as_deref());
        Some(format!("COMMENT ON COLUMN {}.{column} IS {comment}", self.on))
    }

    /// Older versions' values of what newer ones wrote since.
    fn rows(&self) -> Option<Step> {
        let change = self.change().filter(|_| self.is_marked())?;
        let kept = kept_mark(self.planned.number);
        let (set, only) = change.give_back(&kept);
        let name = format!("give rows of {} that were written since their older values", self.table);
        if self.known.primary_key.is_empty() {
            let sql = format!(
                "SET LOCAL {} = 'on'; UPDATE {} SET {set} WHERE {only}",
                crate::change::BACKFILL_SETTING,
                self.on
            );
            return Some(Step { name, lock: None, work: Work::Together(vec![sql]) });
        }
        let work = Backfill {
            table: self.on.clone(),
            key: self.key(),
            set,
            mark: kept,
            only: Some(only),
            rows: self.known.rows,
        };
        Some(Step { name, lock: None, work: Work::Backfill(work) })
    }

    /// What must hold for older versions' columns, checked beside running writes.
    fn rules(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut last = Vec::new();
        for piece in self.pieces() {
            match piece {
                Piece::ReplacedColumn { old: column, .. } | Piece::DroppedColumn { column, .. } => {
                    if self.column(column).is_some_and(|column| !column.nullable && !column.generated) {
                        let check = ours(self.planned.number, column).prefixed("back_");
                        let clause = format!("CHECK ({column} IS NOT NULL)");
                        let breaks = Finding {
                            query: format!(
                                "SELECT {} FROM {} WHERE {column} IS NULL LIMIT 20",
                                key_of(self.known),
                                self.on
                            ),
                            means: format!("{column} of the older version would be NULL in it, which it does not take"),
                        };
                        steps.extend(self.not_valid_first(&check, &clause, Lock::AccessExclusive, Some(breaks)));
                        last.push(self.alter(format_args!("ALTER COLUMN {column} SET NOT NULL")));
                        last.push(self.alter(format_args!("DROP CONSTRAINT {check}")));
                    }
                }
                Piece::MadeConstraint { constraint, not_null: Some(_), .. } => {
                    steps.push(self.validate(constraint, None));
                }
                Piece::DroppedConstraint { constraint, .. } if self.made_key(constraint).is_some() => {}
                Piece::DroppedConstraint { constraint, definition, .. } => {
                    // As it was right before contract: names in it may have changed since the plan.
                    let mut known = self.known.constraints.iter().filter(|known| known.of_table.is_none());
                    let known = known.find(|known| known.name == *constraint);
                    steps.extend(self.constraint(constraint, known.map_or(definition, |known| &known.definition)));
                    steps.extend(known.and_then(|known| self.commented(known)));
                }
                Piece::NewerRule { until, .. } => steps.push(self.validate(until, None)),
                Piece::ReplacedStatistics { old, .. } => steps.extend(self.statistics(old)),
                Piece::MovedSequence { column, sequence, data_type: Some(_), .. } => {
                    let was = self.column(column).map(|column| super::probe::whole_type(&column.data_type));
                    last.extend(was.map(|was| format!("ALTER SEQUENCE {sequence} AS {was}")));
                }
                Piece::MadeTable { .. }
                | Piece::MadeIndex { .. }
                | Piece::MadeColumn { .. }
                | Piece::MadeConstraint { not_null: None, .. }
                | Piece::Settings { .. }
                | Piece::DroppedTable { .. }
                | Piece::DroppedIndex { .. }
                | Piece::RenamedIndex { .. }
                | Piece::MovedSequence { data_type: None, .. }
                | Piece::MadeKey { .. }
                | Piece::RenamedConstraint { .. }
                | Piece::RenamedColumn { .. }
                | Piece::RenamedTable { .. }
                | Piece::SetReplicaIdentity { .. }
                | Piece::Sql { .. } => {}
            }
        }
        if self.is_marked() {
            last.push(self.alter(format_args!("DROP COLUMN {}", kept_mark(self.planned.number))));
        }
        if !last.is_empty() {
            steps.push(Step {
                name: format!("leave table {} to both versions", self.table),
                lock: Some((Lock::AccessExclusive, self.on.clone())),
                work: Work::Together(last),
            });
        }
        for piece in self.pieces() {
            if let Piece::MadeKey { constraint, index, .. } = piece {
                steps.extend(self.older_key(constraint, index));
            }
        }
        steps
    }

    pub(super) fn not_valid_first(&self, name: &Ident, clause: &str, lock: Lock, breaks: Option<Finding>) -> [Step; 2] {
        [
            Step {
                name: format!("add {name} to {} for new rows", self.table),
                lock: Some((lock, self.on.clone())),
                work: Work::Together(vec![self.alter(format_args!("ADD CONSTRAINT {name} {clause} NOT VALID"))]),
            },
            self.validate(name, breaks),
        ]
    }

    pub(super) fn validate(&self, name: &Ident, breaks: Option<Finding>) -> Step {
        Step {
            name: format!("see that {name} holds for all rows of {}", self.table),
            lock: Some((Lock::ShareUpdateExclusive, self.on.clone())),
            work: Work::Validate { sql: self.alter(format_args!("VALIDATE CONSTRAINT {name}")), breaks },
        }
    }

    /// A constraint as it was.
    pub(super) fn made_again(&self, name: &Ident) -> Vec<Step> {
        let mut own = self.known.constraints.iter().filter(|known| known.of_table.is_none());
        own.find(|known| known.name == *name).map_or_else(Vec::new, |known| self.constraint(name, &known.definition))
    }

    /// A constraint that contract dropped, from what made it.
    fn constraint(&self, name: &Ident, definition: &str) -> Vec<Step> {
        let whole = |lock: Lock, clause: String| Step {
            name: format!("make {name} a constraint of {}", self.table),
            lock: Some((lock, self.on.clone())),
            work: Work::Together(vec![self.alter(format_args!("ADD CONSTRAINT {name} {clause}"))]),
        };
        let by_index = definition.starts_with("UNIQUE") || definition.starts_with("PRIMARY KEY");
        if let Some(index) = self.known.indexes.iter().find(|index| by_index && index.name == *name) {
            let kind = if definition.starts_with("UNIQUE") { "UNIQUE" } else { "PRIMARY KEY" };
            let deferral = definition.find(" DEFERRABLE").map_or("", |at| &definition[at..]);
            let breaks = self.known.constraints.iter().find(|known| known.name == *name).map(|known| {
                let columns: Vec<String> = known.columns.iter().map(ToString::to_string).collect();
                let means = format!("{name} wants ({}) to be unique, and another row has the same", columns.join(", "));
                Finding::of_same(&self.on, self.known, &known.columns, means)
            });
            let index = build(&self.catalog.schema, name, &index.definition, breaks);
            return vec![index, whole(Lock::AccessExclusive, format!("{kind} USING INDEX {name}{deferral}"))];
        }
        if definition.starts_with("EXCLUDE") || by_index {
            return vec![whole(Lock::AccessExclusive, definition.to_owned())];
        }
        let lock = if definition.starts_with("FOREIGN KEY") { Lock::ShareRowExclusive } else { Lock::AccessExclusive };
        match definition.strip_suffix(" NOT VALID") {
            Some(_) => vec![whole(lock, definition.to_owned())],
            None => self.not_valid_first(name, definition, lock, None).into(),
        }
    }
}

/// Builds an index beside running writes from what the database says made it.
pub(super) fn build(schema: &Ident, name: &Ident, definition: &str, breaks: Option<Finding>) -> Step {
    let index = QualifiedName::new(schema, name);
    let sql = definition.replacen("INDEX ", "INDEX CONCURRENTLY ", 1);
    Step { name: format!("build index {name}"), lock: None, work: Work::Concurrently { sql, index, breaks } }
}
