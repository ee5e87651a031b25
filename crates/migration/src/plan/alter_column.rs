//! `alter_column`: where the values change, a column in the place of the old one, both kept in step; where only a rule,
//! a default or a comment changes, no column is copied.

use switchover_model::Problem;
use switchover_model::config::OldRows;

use super::draft::{Draft, Replaced};
use super::{Piece, clause, constraints, ours, refuse_query, refuse_unsure};
use crate::catalog::{Table, TableColumn, TableConstraint};
use crate::change::Assignment;
use crate::version::{OURS, is_no_default, no_default};
use crate::{AlterColumn, Check, DefaultChange, Expression, Ident, Literal};

pub(super) fn add(draft: &mut Draft<'_>, alter: &AlterColumn) -> Result<(), Problem> {
    if values_change(alter) || rule_needs_a_column(draft, alter) {
        let itself = || Expression::parse(&alter.column.to_string()).expect("a column's name is an expression");
        let mut alter = alter.clone();
        if !values_change(&alter) {
            alter.up.get_or_insert_with(itself);
            alter.down.get_or_insert_with(itself);
        }
        replace_column(draft, &alter)?;
    } else {
        let (physical, column) = known(draft, alter)?;
        same_column(draft, alter, &physical, &column)?;
    }
    if draft.ground.old_rows == OldRows::Accept && (alter.unique.is_some() || alter.references.is_some()) {
        return Err(constraints::binds_both(&alter.table));
    }
    if let Some(name) = &alter.unique {
        constraints::rule(draft, &alter.table, &clause::unique(&alter.column, name.clone()))?;
    }
    if let Some(references) = &alter.references {
        constraints::rule(draft, &alter.table, &clause::of_column(&alter.column, references))?;
    }
    Ok(())
}

/// The table and the column as the database has them.
fn known(draft: &Draft<'_>, alter: &AlterColumn) -> Result<(Ident, TableColumn), Problem> {
    let (seen, table) = draft.ground.table(&alter.table)?;
    let physical = seen.physical.clone();
    let old = draft.ground.column(&alter.table, &alter.column)?;
    let Some(column) = table.column(&old).cloned() else {
        let cause = format!("column {old} of {physical} is not there any more.");
        return Err(Problem::new("COLUMN-UNKNOWN", cause, "Look who renamed or dropped it, then plan again."));
    };
    refuse_unsure(&alter.table, alter.up.iter().chain(&alter.down))?;
    let column = as_seen(draft, alter, &physical, table, column)?;
    Ok((physical, column))
}

/// The column as the version before this one has it: where an earlier migration is not contracted yet, its default is the
/// view's and its NOT NULL a check.
fn as_seen(
    draft: &Draft<'_>,
    alter: &AlterColumn,
    physical: &Ident,
    table: &Table,
    column: TableColumn,
) -> Result<TableColumn, Problem> {
    let on_it = |constraint: &&TableConstraint| constraint.columns.contains(&column.name);
    if table.constraints.iter().filter(on_it).any(binds_newer) {
        let cause =
            format!("column {} of {physical} has a rule of a migration that is not contracted yet.", alter.column);
        return Err(Problem::new("COLUMN-IN-USE", cause, "Contract that migration first."));
    }
    let seen = draft.ground.table(&alter.table)?.0.column(&alter.column);
    let default = match seen.and_then(|seen| seen.default.clone()) {
        Some(of_view) => Some(of_view).filter(|default| !is_no_default(default)),
        None => column.default.clone(),
    };
    let nullable = column.nullable && !table.constraints.iter().filter(on_it).any(stands_for_not_null);
    // A column that stands in for another one has its comment from contract on.
    let comment = seen.map_or_else(|| column.comment.clone(), |seen| seen.comment.clone());
    Ok(TableColumn { default, nullable, comment, ..column })
}

/// Whether it is the check that stands for NOT NULL until contract.
pub(super) fn stands_for_not_null(constraint: &TableConstraint) -> bool {
    constraint.name.as_str().starts_with(&format!("not_null_{OURS}"))
}

/// Whether it is a check that binds the newer version's rows alone.
fn binds_newer(constraint: &TableConstraint) -> bool {
    let of_newer = |start: &str| constraint.name.as_str().starts_with(&format!("newer_{start}{OURS}"));
    of_newer("") || of_newer("not_null_")
}

/// A column in the place of the old one.
pub(super) fn replace_column(draft: &mut Draft<'_>, alter: &AlterColumn) -> Result<(), Problem> {
    let (physical, column) = known(draft, alter)?;
    if draft.replaced.iter().any(|replaced| replaced.table == physical && replaced.old == column.name) {
        let cause = format!("column {} of {} is converted by an operation before.", alter.column, alter.table);
        return Err(Problem::new(
            "COLUMN-CHANGED-TWICE",
            cause,
            "Say all of it in one operation, or in two migrations.",
        ));
    }
    replace(draft, alter, &physical, &column)
}

/// Whether a rule that binds the newer version alone asks for a column that it alone writes.
fn rule_needs_a_column(draft: &Draft<'_>, alter: &AlterColumn) -> bool {
    draft.ground.old_rows == OldRows::Accept && (alter.nullable == Some(false) || alter.check.is_some())
}

/// Whether rows get other values: another type, a rule given up, or an `up` that is not the column itself.
fn values_change(alter: &AlterColumn) -> bool {
    let converts = alter.up.as_ref().is_some_and(|up| !up.is_column(&alter.column));
    alter.data_type.is_some() || alter.nullable == Some(true) || converts
}

fn replace(draft: &mut Draft<'_>, alter: &AlterColumn, physical: &Ident, column: &TableColumn) -> Result<(), Problem> {
    let number = draft.ground.number;
    let old = &column.name;
    let (up, down) = both_values(alter, column)?;
    let new = ours(number, old);
    let data_type = alter.data_type.clone().unwrap_or_else(|| column.data_type.clone());
    let older = draft.ground.table(&alter.table)?.0.names();
    let on = draft.base(physical);
    let touched = draft.touch(physical);
    touched.statements.push(format!("ALTER TABLE {on} ADD COLUMN {new} {data_type}"));
    touched.told_by.push((new.clone(), data_type.clone()));
    draft.replaced.push(Replaced { table: physical.clone(), old: old.clone(), new: new.clone() });
    draft.new_columns.push((physical.clone(), new.clone(), data_type.clone()));
    let touched = draft.touch(physical);
    touched.forward.push(Assignment {
        column: new.clone(),
        data_type: data_type.clone(),
        expression: up.as_sql().to_owned(),
        names: older,
    });
    touched.backward.push((old.clone(), column.data_type.clone(), down.clone()));
    let default = default_after(alter, column);
    if let Some(default) = &default {
        let value = format!("CAST(({default}) AS {data_type})");
        draft.ask(physical, format!("the default of column {}", alter.column), value);
    }
    let comment = alter.comment.clone().unwrap_or_else(|| column.comment.clone());
    let nullable = alter.nullable.unwrap_or(column.nullable);
    let mut not_null = None;
    if !nullable {
        let check = new.prefixed("not_null_");
        let condition = format!("{new} IS NOT NULL");
        if column.nullable {
            draft.rule(physical, &check, &condition, false);
        } else {
            draft.check(physical, &check, &condition, false);
        }
        not_null = Some(check);
    }
    draft.pieces.push(Piece::ReplacedColumn {
        table: physical.clone(),
        old: old.clone(),
        new: new.clone(),
        default: default.clone(),
        not_null,
        comment: comment.clone(),
    });
    draft.pieces.extend(moved_sequence(alter, physical, column, &data_type));
    if let Some(seen) = draft.table_mut(&alter.table)?.column_mut(&alter.column) {
        seen.physical = new;
        seen.default = Some(default.unwrap_or_else(|| no_default(&data_type)));
        seen.comment = comment;
    }
    if let Some(check) = &alter.check {
        more_check(draft, alter, physical, check)?;
    }
    Ok(())
}

/// `up` and `down`, both of which a column that gets other values needs.
fn both_values<'a>(alter: &'a AlterColumn, column: &TableColumn) -> Result<(&'a Expression, &'a Expression), Problem> {
    let (Some(up), Some(down)) = (&alter.up, &alter.down) else {
        let cause = format!("column {} gets other values, and not both of `up` and `down` are given.", alter.column);
        let next = "Give both: each version needs its own value of every row.";
        return Err(Problem::new("UP-AND-DOWN-NEEDED", cause, next));
    };
    if column.generated {
        let cause = format!("column {} is made by the database (identity or generated).", alter.column);
        return Err(Problem::new("COLUMN-GENERATED", cause, "Add a column beside it instead."));
    }
    Ok((up, down))
}

/// The sequence that the column has its values from goes over to the one in its place, where the default stays.
fn moved_sequence(alter: &AlterColumn, physical: &Ident, column: &TableColumn, data_type: &str) -> Option<Piece> {
    let (Some(sequence), DefaultChange::Keep) = (&column.sequence, &alter.default) else { return None };
    let is_whole = |data_type: &&str| ["smallint", "integer", "bigint"].contains(data_type);
    Some(Piece::MovedSequence {
        table: physical.clone(),
        column: column.name.clone(),
        sequence: sequence.clone(),
        data_type: Some(super::probe::whole_type(data_type)).filter(is_whole).map(str::to_owned),
    })
}

/// A check more, on columns as the version has them.
fn more_check(draft: &mut Draft<'_>, alter: &AlterColumn, physical: &Ident, check: &Check) -> Result<(), Problem> {
    refuse_query(&check.name, &check.expression)?;
    if draft.ground.old_rows == OldRows::Accept {
        own_columns(draft, &alter.table, &check.expression)?;
    }
    let names = draft.table_mut(&alter.table)?.names();
    let condition = check.expression.with_columns(&|column| names.get(column).map(ToString::to_string));
    draft.named_rule(physical, &check.name, &condition, check.no_inherit);
    Ok(())
}

/// Gives the newer version columns of its own in the place of those that a rule reads, so that who wrote them is told.
pub(super) fn own_columns(draft: &mut Draft<'_>, table: &Ident, rule: &Expression) -> Result<(), Problem> {
    for column in rule.columns() {
        let physical = draft.ground.table(table)?.0.physical.clone();
        let seen = draft.table_mut(table)?.column(&column).map(|seen| seen.physical.clone());
        let is_own = |seen: &Ident| {
            draft.replaced.iter().any(|replaced| replaced.table == physical && replaced.new == *seen)
                || draft.new_columns.iter().any(|(of, name, _)| *of == physical && name == seen)
        };
        if seen.as_ref().is_none_or(is_own) {
            continue;
        }
        let itself = Expression::parse(&column.to_string()).expect("a column's name is an expression");
        let same =
            AlterColumn { up: Some(itself.clone()), down: Some(itself), ..constraints::same_column(table, &column) };
        replace_column(draft, &same)?;
    }
    Ok(())
}

fn default_after(alter: &AlterColumn, column: &TableColumn) -> Option<String> {
    match &alter.default {
        DefaultChange::Keep => column.default.clone(),
        DefaultChange::Drop => None,
        DefaultChange::Set(default) => Some(default.as_sql().to_owned()),
    }
}

/// A rule, a default or a comment: the column stays. A rule holds for both versions from now on.
fn same_column(
    draft: &mut Draft<'_>,
    alter: &AlterColumn,
    physical: &Ident,
    column: &TableColumn,
) -> Result<(), Problem> {
    let name = &column.name;
    // The version's view of the table is made with the table's change.
    draft.touch(physical);
    if alter.nullable == Some(false) && column.nullable {
        let check = ours(draft.ground.number, name).prefixed("not_null_");
        draft.check(physical, &check, &format!("{name} IS NOT NULL"), false);
        draft.pieces.push(Piece::MadeConstraint {
            table: physical.clone(),
            constraint: check,
            not_null: Some(name.clone()),
        });
    }
    if let Some(check) = &alter.check {
        more_check(draft, alter, physical, check)?;
    }
    if let DefaultChange::Set(default) = &alter.default {
        let value = format!("CAST(({}) AS {})", default.as_sql(), column.data_type);
        draft.ask(physical, format!("the default of column {name}"), value);
    }
    let default = match &alter.default {
        DefaultChange::Keep => None,
        DefaultChange::Drop => Some(None),
        DefaultChange::Set(default) => Some(Some(default.as_sql().to_owned())),
    };
    if let Some(seen) = draft.table_mut(&alter.table)?.column_mut(&alter.column) {
        if let Some(default) = &default {
            seen.default = Some(default.clone().unwrap_or_else(|| no_default(&column.data_type)));
        }
        if let Some(comment) = &alter.comment {
            seen.comment.clone_from(comment);
        }
    }
    if default.is_some() || alter.comment.is_some() {
        draft.pieces.push(Piece::Settings {
            table: physical.clone(),
            column: name.clone(),
            default,
            comment: alter.comment.clone(),
        });
    }
    Ok(())
}

/// `COMMENT` takes a text or NULL.
pub(super) fn comment(comment: Option<&str>) -> String {
    comment.map_or_else(|| "NULL".to_owned(), |comment| Literal(comment).to_string())
}
