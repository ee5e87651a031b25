//! The phase *contract*: nobody is left on the older versions. What only they needed goes to the attic, the rest gets its
//! own names.

use switchover_model::Problem;

use super::renaming::renamed_change;
use super::version_anew::Standing;
use super::{Finding, Lock, Piece, Planned, Step, Work, attic, kept_mark, key_in, put_table_aside, version_step};
use crate::catalog::{Catalog, Table};
use crate::change::{TableChange, drop_version, triggers};
use crate::version::is_ours;
use crate::{Ident, Literal, QualifiedName};

/// The steps that leave `planned`'s version as the oldest one.
///
/// `active` are the changes of all migrations that are expanded, `older` the schemas of the versions before it, `standing` its
/// own version and the newer ones.
/// Guarantees: nothing is dropped that holds values of the app: columns and tables are put aside under names of ours.
/// Assumes: everything before `planned` is contracted already.
#[must_use]
pub fn plan_contract(
    catalog: &Catalog,
    planned: &Planned,
    active: &[TableChange],
    older: &[Ident],
    standing: &[Standing],
) -> Vec<Step> {
    let mut steps: Vec<Step> = planned.changes.iter().filter_map(|change| agree(catalog, change)).collect();
    steps.extend(planned.pieces.iter().flat_map(|piece| of_all_rows(catalog, piece)));
    let drops = older.iter().map(drop_version);
    let drops: Vec<String> = drops.collect();
    if !drops.is_empty() {
        steps.push(Step { name: TAKE_AWAY.to_owned(), lock: None, work: Work::Together(drops) });
    }
    for table in planned.tables() {
        let statements = leave_to_newer(catalog, planned, active, table);
        if !statements.is_empty() {
            steps.push(Step {
                name: format!("leave table {table} to the new version"),
                lock: Some((Lock::AccessExclusive, QualifiedName::new(&catalog.schema, table))),
                work: Work::Together(statements),
            });
        }
    }
    for piece in &planned.pieces {
        if let Piece::DroppedIndex { index } = piece {
            steps.push(drop_index(catalog, &QualifiedName::new(&catalog.schema, index)));
        }
        if let Piece::RenamedIndex { from, to } = piece {
            steps.push(rename_index(catalog, from, to));
        }
    }
    steps.extend(super::sql::contract(catalog, planned, standing));
    steps
}

/// What stands on an older version's column that goes, and was not there at expand: nothing of it is on the new one.
#[must_use]
pub fn came_since(catalog: &Catalog, planned: &Planned) -> Vec<Problem> {
    let mut problems = Vec::new();
    for piece in &planned.pieces {
        let (table, old, is_replaced) = match piece {
            Piece::ReplacedColumn { table, old, .. } => (table, old, true),
            Piece::DroppedColumn { table, column } => (table, column, false),
            _ => continue,
        };
        let Some(known) = catalog.tables.get(table) else { continue };
        let is_dropped = |name: &Ident| {
            planned.pieces.iter().any(|piece| match piece {
                Piece::DroppedIndex { index } => index == name,
                Piece::DroppedConstraint { table: of, constraint, .. } => of == table && constraint == name,
                _ => false,
            })
        };
        // An index on a column without a successor is of no use any more; a rule on it would go on to hold.
        let indexes =
            known.indexes.iter().filter(|index| is_replaced && !index.of_constraint && index.columns.contains(old));
        let indexes = indexes.map(|index| &index.name).map(|name| (name, format!("index {name}")));
        let constraints = known.constraints.iter().filter(|constraint| constraint.columns.contains(old));
        let constraints = constraints.map(|constraint| {
            let of = constraint.of_table.as_ref().map(|of| format!(" of {of}")).unwrap_or_default();
            (&constraint.name, format!("constraint {}{of}", constraint.name))
        });
        let named = indexes.chain(constraints).filter(|(name, _)| !is_ours(name) && !is_dropped(name));
        let others = known.dependants.iter().filter(|one| one.column == *old).map(|one| one.what.clone());
        for what in named.map(|(_, what)| what).chain(others) {
            let cause =
                format!("{what} was made on column {old} of {table} since expand, and would stay with the old column.");
            problems.push(Problem::new("COLUMN-IN-USE", cause, "Drop it, and make it anew after contract."));
        }
    }
    problems
}

/// The step that takes the older versions away.
const TAKE_AWAY: &str = "take the older versions away";

/// The steps that take a contract back which was broken off before it changed a table: what binds all rows goes, and the
/// version before comes back. `is_done` says which of its steps are.
///
/// Nothing where a table is changed already: it can only go on, and be restored then.
#[must_use]
pub fn plan_stop_contract(
    catalog: &Catalog,
    planned: &Planned,
    earlier: &Ident,
    steps: &[Step],
    is_done: impl Fn(&Step) -> bool,
) -> Option<Vec<Step>> {
    // Looks, and rules that only bind: see `plan_contract`.
    let looks = planned.changes.iter().filter(|change| change.mark.is_some()).count();
    let binds = planned.pieces.iter().map(|piece| of_all_rows(catalog, piece).len()).sum::<usize>();
    let (before, after) = steps.split_at((looks + binds).min(steps.len()));
    let is_away = |step: &&Step| step.name == TAKE_AWAY;
    if after.iter().filter(|step| !is_away(step)).any(&is_done) {
        return None;
    }
    let mut back = Vec::new();
    for piece in &planned.pieces {
        let Piece::NewerRule { table, constraint, .. } = piece else { continue };
        let on = QualifiedName::new(&catalog.schema, table);
        back.push(Step {
            name: format!("take {constraint} of all rows of {table} away"),
            lock: Some((Lock::AccessExclusive, on.clone())),
            work: Work::Together(vec![format!("ALTER TABLE {on} DROP CONSTRAINT IF EXISTS {constraint}")]),
        });
    }
    if before.iter().all(|step| matches!(step.work, Work::Check(_))) {
        back.clear();
    }
    if after.iter().find(is_away).is_some_and(is_done) {
        back.push(version_step(catalog, earlier, &planned.before));
    }
    Some(back)
}

/// The statements of one table: its triggers go before the columns that they name, and come back for what newer migrations
/// keep in step, by the names that these columns have then.
fn leave_to_newer(catalog: &Catalog, planned: &Planned, active: &[TableChange], table: &Ident) -> Vec<String> {
    let on = QualifiedName::new(&catalog.schema, table);
    let left: Vec<TableChange> =
        planned.others_of(table, active).iter().map(|change| renamed_change(change, planned)).collect();
    let change = planned.changes.iter().find(|change| change.table == *table);
    let mut statements = Vec::new();
    if change.is_some() || !left.is_empty() {
        statements.extend(triggers(&catalog.schema, table, &[]));
    }
    if let Some(change) = change {
        statements.extend(change.mark.iter().map(|mark| format!("ALTER TABLE {on} DROP COLUMN {mark}")));
        if change.of_older().next().is_some() {
            // A constant default is a change of the catalog alone: rows from then on have none.
            let kept = kept_mark(planned.number);
            statements.push(format!("ALTER TABLE {on} ADD COLUMN {kept} boolean DEFAULT true"));
            statements.push(format!("ALTER TABLE {on} ALTER COLUMN {kept} DROP DEFAULT"));
        }
    }
    let settling = Settling { planned, on: &on, known: catalog.tables.get(table) };
    for piece in planned.pieces_of(table) {
        statements.extend(settling.settle(piece));
    }
    if !left.is_empty() {
        statements.extend(triggers(&catalog.schema, &planned.table_after(table), &left));
    }
    statements
}

/// Takes an index away beside running statements.
pub(super) fn drop_index(catalog: &Catalog, index: &QualifiedName) -> Step {
    let owner = catalog.owner_of(&index.name).filter(|(_, table)| table.partitioned && index.schema == catalog.schema);
    drop_index_of(index, owner.map(|(table, _)| QualifiedName::new(&catalog.schema, table)))
}

/// The same where it is known whether its table is partitioned.
pub(super) fn drop_index_of(index: &QualifiedName, of: Option<QualifiedName>) -> Step {
    let lock = of.clone().map(|table| (Lock::AccessExclusive, table));
    Step { name: format!("drop index {index}"), lock, work: Work::DropIndex { index: index.clone(), of } }
}

/// Gives an index another name, and the parts of it that partitions have.
pub(super) fn rename_index(catalog: &Catalog, from: &Ident, to: &Ident) -> Step {
    let mut statements = vec![format!("ALTER INDEX {} RENAME TO {to}", QualifiedName::new(&catalog.schema, from))];
    if catalog.owner_of(from).is_some_and(|(_, table)| table.partitioned) {
        let whole = QualifiedName::new(&catalog.schema, to).to_string();
        let (from, to) = (Literal(from.as_str()), Literal(to.as_str()));
        statements.push(format!("SELECT switchover.rename_parts({}, {from}, {to})", Literal(&whole)));
    }
    Step { name: format!("rename index {from} to {to}"), lock: None, work: Work::Together(statements) }
}

/// A rule that bound the newer version's rows alone becomes one of all rows; those in the way are named first.
fn of_all_rows(catalog: &Catalog, piece: &Piece) -> Vec<Step> {
    let Piece::NewerRule { table, constraint, condition, .. } = piece else { return Vec::new() };
    let on = QualifiedName::new(&catalog.schema, table);
    let key = key_in(catalog, table);
    let broken = Finding {
        query: format!("SELECT {key} FROM {on} WHERE NOT ({condition}) LIMIT 20"),
        means: format!("an older version wrote what {constraint} forbids"),
    };
    let add = format!("ALTER TABLE {on} ADD CONSTRAINT {constraint} CHECK ({condition}) NOT VALID");
    vec![
        Step {
            name: format!("look for rows that {constraint} forbids"),
            lock: None,
            work: Work::Check(broken.clone()),
        },
        Step {
            name: format!("add {constraint} to {table} for new rows of all versions"),
            lock: Some((Lock::AccessExclusive, on.clone())),
            work: Work::Together(vec![add]),
        },
        Step {
            name: format!("see that {constraint} holds for all rows of {table}"),
            lock: Some((Lock::ShareUpdateExclusive, on.clone())),
            work: Work::Validate {
                sql: format!("ALTER TABLE {on} VALIDATE CONSTRAINT {constraint}"),
                breaks: Some(broken),
            },
        },
    ]
}

/// No row whose sides disagree: nothing of what one version wrote is lost with the other's column.
fn agree(catalog: &Catalog, change: &TableChange) -> Option<Step> {
    let mark = change.mark.as_ref()?;
    let on = QualifiedName::new(&catalog.schema, &change.table);
    let key = key_in(catalog, &change.table);
    Some(Step {
        name: format!("compare both versions of {}", change.table),
        lock: None,
        work: Work::Check(Finding {
            query: format!("SELECT {key} FROM {on} WHERE {mark} IS NULL OR NOT {} LIMIT 20", change.agrees()),
            means: "its values of the older and the newer version do not belong together".to_owned(),
        }),
    })
}

/// One table that is left to the newer version.
struct Settling<'a> {
    planned: &'a Planned,
    on: &'a QualifiedName,
    /// As the catalog has it.
    known: Option<&'a Table>,
}

impl Settling<'_> {
    fn alter(&self, what: impl std::fmt::Display) -> String {
        format!("ALTER TABLE {} {what}", self.on)
    }

    /// A complete check spares SET NOT NULL its look at every row (PostgreSQL 12).
    fn not_null(&self, column: &Ident, check: Option<&Ident>) -> Vec<String> {
        let Some(check) = check else { return Vec::new() };
        vec![
            self.alter(format_args!("ALTER COLUMN {column} SET NOT NULL")),
            self.alter(format_args!("DROP CONSTRAINT IF EXISTS {check}")),
        ]
    }

    fn default(&self, column: &Ident, default: Option<&String>) -> String {
        match default {
            Some(default) => self.alter(format_args!("ALTER COLUMN {column} SET DEFAULT {default}")),
            None => self.alter(format_args!("ALTER COLUMN {column} DROP DEFAULT")),
        }
    }

    fn put_aside(&self, column: &Ident, keeps_default: bool) -> Vec<String> {
        let mut statements = Vec::new();
        // What the database makes itself it goes on making: nobody has to give it.
        if !self.known.and_then(|table| table.column(column)).is_some_and(|column| column.generated) {
            statements.push(self.alter(format_args!("ALTER COLUMN {column} DROP NOT NULL")));
            if !keeps_default {
                statements.push(self.alter(format_args!("ALTER COLUMN {column} DROP DEFAULT")));
            }
        }
        let aside = attic(self.planned.number, column);
        statements.push(self.alter(format_args!("RENAME COLUMN {column} TO {aside}")));
        statements
    }

    fn settle(&self, piece: &Piece) -> Vec<String> {
        match piece {
            Piece::MadeTable { .. }
            | Piece::MadeIndex { .. }
            | Piece::DroppedIndex { .. }
            | Piece::RenamedIndex { .. }
            | Piece::Sql { .. } => Vec::new(),
            Piece::ReplacedStatistics { old, new, .. } => {
                vec![
                    format!("DROP STATISTICS IF EXISTS {old}"),
                    format!("ALTER STATISTICS {new} RENAME TO {}", old.name),
                ]
            }
            Piece::NewerRule { until, .. } => vec![self.alter(format_args!("DROP CONSTRAINT IF EXISTS {until}"))],
            Piece::MadeKey { constraint, index, deferral, .. } => {
                vec![self.alter(format_args!("ADD CONSTRAINT {constraint} PRIMARY KEY USING INDEX {index}{deferral}"))]
            }
            Piece::MovedSequence { column, sequence, data_type, .. } => {
                let mut statements = vec![format!("ALTER SEQUENCE {sequence} OWNED BY {}.{column}", self.on)];
                statements
                    .extend(data_type.iter().map(|data_type| format!("ALTER SEQUENCE {sequence} AS {data_type}")));
                statements
            }
            Piece::DroppedConstraint { constraint, .. } => {
                vec![self.alter(format_args!("DROP CONSTRAINT IF EXISTS {constraint}"))]
            }
            Piece::RenamedConstraint { from, to, .. } => {
                rename_constraint(self.on, from, to, self.known.is_some_and(|known| known.partitioned))
            }
            Piece::SetReplicaIdentity { identity, .. } => vec![self.alter(format_args!("REPLICA IDENTITY {identity}"))],
            Piece::MadeColumn { column, default: after, not_null: check, .. } => {
                let mut statements = self.not_null(column, check.as_ref());
                if after.is_some() || check.is_some() {
                    statements.push(self.default(column, after.as_ref()));
                }
                statements
            }
            Piece::ReplacedColumn { old, new, default: after, not_null: check, comment, .. } => {
                let mut statements = self.put_aside(old, false);
                statements.extend(self.not_null(new, check.as_ref()));
                statements.push(self.default(new, after.as_ref()));
                statements.push(self.alter(format_args!("RENAME COLUMN {new} TO {old}")));
                statements.push(comment_on(self.on, old, comment.as_deref()));
                statements
            }
            Piece::MadeConstraint { constraint, not_null: column, .. } => {
                column.iter().flat_map(|column| self.not_null(column, Some(constraint))).collect()
            }
            Piece::Settings { column, default: changed, comment, .. } => {
                let mut statements: Vec<String> =
                    changed.iter().map(|changed| self.default(column, changed.as_ref())).collect();
                statements.extend(comment.iter().map(|comment| comment_on(self.on, column, comment.as_deref())));
                statements
            }
            Piece::DroppedColumn { table, column } => {
                // With no `down` rows from now on have the default, as they would have had before contract.
                let of_table = self.planned.changes.iter().filter(|change| change.table == *table);
                let mut given = of_table.flat_map(TableChange::of_older);
                self.put_aside(column, !given.any(|given| given.column == *column))
            }
            Piece::DroppedTable { table } => put_table_aside(self.planned.number, self.on, table),
            Piece::RenamedColumn { from, to, .. } => vec![self.alter(format_args!("RENAME COLUMN {from} TO {to}"))],
            Piece::RenamedTable { to, .. } => vec![self.alter(format_args!("RENAME TO {to}"))],
        }
    }
}

/// Gives a constraint another name, and the parts of it that partitions have.
pub(super) fn rename_constraint(on: &QualifiedName, from: &Ident, to: &Ident, partitioned: bool) -> Vec<String> {
    let mut statements = vec![format!("ALTER TABLE {on} RENAME CONSTRAINT {from} TO {to}")];
    if partitioned {
        let (table, old, new) = (on.to_string(), Literal(from.as_str()), Literal(to.as_str()));
        statements.push(format!("SELECT switchover.rename_constraint_parts({}, {old}, {new})", Literal(&table)));
    }
    statements
}

fn comment_on(on: &QualifiedName, column: &Ident, comment: Option<&str>) -> String {
    format!("COMMENT ON COLUMN {on}.{column} IS {}", super::alter_column::comment(comment))
}
