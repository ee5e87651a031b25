//! Constraints: made beside running writes, for both versions at once; taken away and renamed in contract.

use switchover_model::Problem;
use switchover_model::config::OldRows;

use super::clause::{clause, deferral, included, list, physical_columns};
use super::draft::Draft;
use super::{Finding, Lock, Piece, Step, Work, alter_column, key_of, partitions};
use crate::catalog::{Table, TableConstraint};
use crate::{
    AlterColumn, Constraint, ConstraintKind, CreateConstraint, DefaultChange, DropConstraint,
    DropMultiColumnConstraint, Expression, Ident, IndexBuild, IndexStorage, QualifiedName, RenameConstraint,
};

pub(super) fn create(draft: &mut Draft<'_>, create: &CreateConstraint) -> Result<(), Problem> {
    for column in converted_columns(create) {
        let itself = || Expression::parse(&column.to_string()).expect("a column's name is an expression");
        let side = |values: &std::collections::BTreeMap<Ident, Expression>| values.get(&column).cloned();
        let alter = AlterColumn {
            up: Some(side(&create.up).unwrap_or_else(itself)),
            down: Some(side(&create.down).unwrap_or_else(itself)),
            ..same_column(&create.table, &column)
        };
        alter_column::replace_column(draft, &alter)?;
    }
    if draft.ground.old_rows == OldRows::Accept {
        let ConstraintKind::Check { expression, .. } = &create.constraint.kind else {
            return Err(binds_both(&create.table));
        };
        alter_column::own_columns(draft, &create.table, expression)?;
    }
    rule(draft, &create.table, &create.constraint)
}

/// Why a rule over several rows can not bind the newer version alone.
pub(super) fn binds_both(table: &Ident) -> Problem {
    let cause = format!(
        "a unique or foreign key of {table} stands on an index, which knows no version: an older version's value that it forbids can not be accepted."
    );
    let next = "Expand this migration with `--old-rows refuse`, or mend the older version first.";
    Problem::new("OLD-ROWS-NOT-ACCEPTED", cause, next)
}

/// The columns that get other values, in order.
fn converted_columns(create: &CreateConstraint) -> std::collections::BTreeSet<Ident> {
    let values = create.up.iter().chain(&create.down);
    values.filter(|(column, value)| !value.is_column(column)).map(|(column, _)| column.clone()).collect()
}

/// An `alter_column` that changes nothing.
pub(super) fn same_column(table: &Ident, column: &Ident) -> AlterColumn {
    AlterColumn {
        table: table.clone(),
        column: column.clone(),
        data_type: None,
        nullable: None,
        default: DefaultChange::Keep,
        comment: None,
        check: None,
        references: None,
        unique: None,
        up: None,
        down: None,
    }
}

/// A constraint on columns as the version has them; it holds for all versions from now on.
pub(super) fn rule(draft: &mut Draft<'_>, table: &Ident, constraint: &Constraint) -> Result<(), Problem> {
    let (seen, known) = draft.ground.table(table)?;
    let physical = seen.physical.clone();
    let name = &constraint.name;
    if known.constraints.iter().any(|other| other.name == *name && other.of_table.is_none()) {
        let cause = format!("table {table} has a constraint {name} already.");
        return Err(Problem::new("CONSTRAINT-EXISTS", cause, "Give the new one another name."));
    }
    if !matches!(constraint.kind, ConstraintKind::Check { .. }) {
        partitions::refuse_foreign(table, known, name)?;
    }
    match &constraint.kind {
        ConstraintKind::Check { expression, no_inherit } => {
            super::refuse_query(name, expression)?;
            let names = draft.table_mut(table)?.names();
            let condition = expression.with_columns(&|column| names.get(column).map(ToString::to_string));
            draft.named_rule(&physical, name, &condition, *no_inherit);
            Ok(())
        }
        ConstraintKind::ForeignKey { columns, table: referred, referred: referred_columns, .. } => {
            let columns = physical_columns(draft, table, columns)?;
            partitions::refuse_own(table, known, name, &columns)?;
            let clause = clause(draft, constraint, &columns)?;
            let breaks = orphans(draft, known, &physical, &columns, referred, referred_columns);
            foreign_key(draft, &physical, name, &clause, breaks, true);
            draft.pieces.push(Piece::MadeConstraint { table: physical, constraint: name.clone(), not_null: None });
            Ok(())
        }
        ConstraintKind::Unique { columns, nulls_not_distinct, include, storage } => {
            let keys = Keys { columns, include, storage, nulls_not_distinct: *nulls_not_distinct };
            by_index(draft, table, constraint, "UNIQUE", &keys)
        }
        ConstraintKind::PrimaryKey { columns, include, storage } => {
            if !known.primary_key.is_empty() {
                let cause = format!("table {table} has a primary key.");
                return Err(Problem::new("CONSTRAINT-EXISTS", cause, "Make the new key `unique`."));
            }
            let keys = Keys { columns, include, storage, nulls_not_distinct: false };
            let takes_null = |column: &&Ident| known.column(column).is_none_or(|column| column.nullable);
            if let Some(column) = physical_columns(draft, table, columns)?.iter().find(takes_null) {
                let cause = format!("column {column} of {table} takes NULL, and is to be part of the primary key.");
                let next = "Make it `nullable: false` with `alter_column` in a migration before this one.";
                return Err(Problem::new("NOT-CARRIED-OUT-YET", cause, next));
            }
            by_index(draft, table, constraint, "PRIMARY KEY", &keys)
        }
        ConstraintKind::Exclude { .. } => {
            let cause =
                format!("exclusion constraint {name} can not be made on {table} without locking its writers out.");
            Err(Problem::new("NOT-CARRIED-OUT-YET", cause, "Make it with the table, or by hand in a quiet hour."))
        }
    }
}

struct Keys<'a> {
    columns: &'a [Ident],
    include: &'a [Ident],
    storage: &'a IndexStorage,
    nulls_not_distinct: bool,
}

/// A constraint that stands on an index: the index is built beside running writes, then taken over.
fn by_index(
    draft: &mut Draft<'_>,
    table: &Ident,
    constraint: &Constraint,
    kind: &str,
    keys: &Keys<'_>,
) -> Result<(), Problem> {
    let (seen, known) = draft.ground.table(table)?;
    let physical = seen.physical.clone();
    let name = &constraint.name;
    let catalog = draft.ground.catalog;
    if catalog.other_names.contains(name) || catalog.tables.contains_key(name) {
        let cause = format!("the name {name}, which the index of the constraint gets, is taken.");
        return Err(Problem::new("INDEX-EXISTS", cause, "Give the constraint another name."));
    }
    let on = draft.base(&physical);
    let their = physical_columns(draft, table, keys.columns)?;
    let columns = list(&their);
    if known.partitioned {
        partitions::refuse_without_key(table, known, name, &their)?;
        partitions::refuse_own(table, known, name, &their)?;
    }
    let mut rest = format!("({columns})");
    rest.push_str(&included(&physical_columns(draft, table, keys.include)?));
    if keys.nulls_not_distinct {
        rest.push_str(" NULLS NOT DISTINCT");
    }
    if let Some(parameters) = &keys.storage.parameters {
        rest.push_str(&format!(" WITH ({parameters})"));
    }
    if let Some(tablespace) = &keys.storage.tablespace {
        rest.push_str(&format!(" TABLESPACE {tablespace}"));
    }
    let means = format!("{name} wants ({columns}) to be unique, and another row has the same");
    let twice = Finding::of_same(&on, known, &their, means);
    let index = QualifiedName::new(&draft.ground.catalog.schema, name);
    let index = Step {
        name: format!("build the index of {name}"),
        lock: Some((if known.partitioned { Lock::AccessExclusive } else { Lock::ShareUpdateExclusive }, on.clone())),
        work: Work::BuildIndex {
            build: IndexBuild { index, on: on.clone(), partitioned: known.partitioned, unique: true, rest },
            breaks: Some(twice),
        },
    };
    let made = |how: &str| Step {
        name: format!("make {name} a constraint of {physical}"),
        lock: Some((Lock::AccessExclusive, on.clone())),
        work: Work::Together(vec![how.to_owned()]),
    };
    if known.partitioned {
        // The constraint of the whole table is complete once each partition has its part of the index.
        let clause = clause(draft, constraint, &their)?;
        draft.after.push(made(&format!("ALTER TABLE ONLY {on} ADD CONSTRAINT {name} {clause}")));
        draft.after.push(index);
    } else {
        let deferral = deferral(constraint);
        draft.after.push(index);
        draft.after.push(made(&format!("ALTER TABLE {on} ADD CONSTRAINT {name} {kind} USING INDEX {name}{deferral}")));
    }
    let of = known.partitioned.then(|| physical.clone());
    draft.pieces.push(Piece::MadeIndex { index: name.clone(), of });
    draft.pieces.push(Piece::MadeConstraint { table: physical, constraint: name.clone(), not_null: None });
    Ok(())
}

/// A foreign key as `clause` says; of rows that are there already where it is `validated`.
pub(super) fn foreign_key(
    draft: &mut Draft<'_>,
    physical: &Ident,
    name: &Ident,
    clause: &str,
    breaks: Option<Finding>,
    validated: bool,
) {
    let on = draft.base(physical);
    if draft.ground.catalog.tables.get(physical).is_some_and(|known| known.partitioned) {
        draft.after.push(partitions::foreign_key(&on, name, clause, breaks));
        return;
    }
    draft.after.push(Step {
        name: format!("add {name} to {physical} for new rows"),
        lock: Some((Lock::ShareRowExclusive, on.clone())),
        work: Work::Together(vec![format!("ALTER TABLE {on} ADD CONSTRAINT {name} {clause} NOT VALID")]),
    });
    if validated {
        draft.after.push(Step {
            name: format!("see that {name} holds for all rows of {physical}"),
            lock: Some((Lock::ShareUpdateExclusive, on.clone())),
            work: Work::Validate { sql: format!("ALTER TABLE {on} VALIDATE CONSTRAINT {name}"), breaks },
        });
    }
}

/// Rows that refer to none. Nothing to look with where the key referred to is not known yet.
fn orphans(
    draft: &Draft<'_>,
    known: &Table,
    physical: &Ident,
    columns: &[Ident],
    referred: &Ident,
    referred_columns: &[Ident],
) -> Option<Finding> {
    let to = draft.version.tables.get(referred)?.physical.clone();
    let mut their = physical_columns(draft, referred, referred_columns).ok()?;
    if their.is_empty() {
        their.clone_from(&draft.ground.catalog.tables.get(&to)?.primary_key);
    }
    let pairs: Vec<String> =
        columns.iter().zip(&their).map(|(ours, theirs)| format!("referred.{theirs} = referring.{ours}")).collect();
    let given: Vec<String> = columns.iter().map(|column| format!("referring.{column} IS NOT NULL")).collect();
    Some(Finding {
        query: format!(
            "SELECT {} FROM {} AS referring WHERE {} AND NOT EXISTS (SELECT FROM {} AS referred WHERE {}) LIMIT 20",
            key_of(known),
            draft.base(physical),
            given.join(" AND "),
            draft.base(&to),
            pairs.join(" AND ")
        ),
        means: format!("it refers to a row of {referred} that is not there"),
    })
}

/// The older version keeps its column with the constraint; the newer one gets a column without it.
pub(super) fn drop(draft: &mut Draft<'_>, drop: &DropConstraint) -> Result<(), Problem> {
    let constraint = known(draft, &drop.table, &drop.name)?;
    let [column] = &constraint.columns[..] else {
        let cause = format!("constraint {} is not one of a single column.", drop.name);
        return Err(Problem::new("CONSTRAINT-UNKNOWN", cause, "Use `drop_multicolumn_constraint`."));
    };
    let table = draft.ground.table(&drop.table)?.0.physical.clone();
    draft.pieces.push(dropped(&table, &constraint));
    without(draft, &drop.table, &constraint, column, drop.up.clone(), drop.down.clone())
}

pub(super) fn drop_multi_column(draft: &mut Draft<'_>, drop: &DropMultiColumnConstraint) -> Result<(), Problem> {
    let constraint = known(draft, &drop.table, &drop.name)?;
    let seen = draft.ground.table(&drop.table)?.0;
    let table = seen.physical.clone();
    for column in &constraint.columns {
        let called = seen.columns.iter().find(|seen| seen.physical == *column).map_or(column, |seen| &seen.name);
        let Some(down) = drop.down.get(called) else {
            let cause = format!("constraint {} stands on column {called}, which has no `down`.", drop.name);
            let next = "Give each of its columns a `down`: a value that the constraint accepts.";
            return Err(Problem::new("UP-AND-DOWN-NEEDED", cause, next));
        };
        without(draft, &drop.table, &constraint, column, drop.up.get(called).cloned(), down.clone())?;
    }
    draft.pieces.push(dropped(&table, &constraint));
    Ok(())
}

/// A column in the place of `column` on which `constraint` does not stand.
fn without(
    draft: &mut Draft<'_>,
    table: &Ident,
    constraint: &TableConstraint,
    column: &Ident,
    up: Option<Expression>,
    down: Expression,
) -> Result<(), Problem> {
    let seen = draft.ground.table(table)?.0;
    let Some(called) = seen.columns.iter().find(|seen| seen.physical == *column).map(|seen| seen.name.clone()) else {
        let cause =
            format!("constraint {} stands on column {column}, which this version does not know.", constraint.name);
        return Err(Problem::new("COLUMN-UNKNOWN", cause, "Leave the constraint; it goes with its column."));
    };
    let itself = || Expression::parse(&called.to_string()).expect("a column's name is an expression");
    let alter = AlterColumn { up: Some(up.unwrap_or_else(itself)), down: Some(down), ..same_column(table, &called) };
    alter_column::replace_column(draft, &alter)
}

fn known(draft: &Draft<'_>, table: &Ident, name: &Ident) -> Result<TableConstraint, Problem> {
    let (_, known) = draft.ground.table(table)?;
    let own = known.constraints.iter().filter(|constraint| constraint.of_table.is_none());
    let found = own.clone().find(|constraint| constraint.name == *name).cloned();
    found.ok_or_else(|| {
        let near = super::nearest(name, own.map(|constraint| &constraint.name));
        let next =
            near.map_or_else(|| "Look at the table's constraints.".to_owned(), |near| format!("Did you mean {near}?"));
        Problem::new("CONSTRAINT-UNKNOWN", format!("table {table} has no constraint {name}."), next)
    })
}

/// What goes in contract, with what would make it again.
pub(super) fn dropped(table: &Ident, constraint: &TableConstraint) -> Piece {
    Piece::DroppedConstraint {
        table: table.clone(),
        constraint: constraint.name.clone(),
        definition: constraint.definition.clone(),
    }
}

pub(super) fn rename(draft: &mut Draft<'_>, rename: &RenameConstraint) -> Result<(), Problem> {
    known(draft, &rename.table, &rename.from)?;
    let (seen, table) = draft.ground.table(&rename.table)?;
    if table.constraints.iter().any(|other| other.name == rename.to && other.of_table.is_none()) {
        let cause = format!("table {} has a constraint {} already.", rename.table, rename.to);
        return Err(Problem::new("CONSTRAINT-EXISTS", cause, "Give the constraint another name."));
    }
    draft.pieces.push(Piece::RenamedConstraint {
        table: seen.physical.clone(),
        from: rename.from.clone(),
        to: rename.to.clone(),
    });
    Ok(())
}
