//! `alter_column`: where the values change, a column in the place of the old one, both kept in step; where only a rule,
//! a default or a comment changes, no column is copied.

use switchover_model::Problem;

use super::expand::Draft;
use super::{Piece, constraints, ours, refuse_unsure};
use crate::catalog::{Table, TableColumn};
use crate::change::Assignment;
use crate::{AlterColumn, DefaultChange, Ident, Literal};

pub(super) fn add(draft: &mut Draft<'_>, alter: &AlterColumn) -> Result<(), Problem> {
    let (seen, table) = draft.ground.table(&alter.table)?;
    let physical = seen.physical.clone();
    let old = draft.ground.column(&alter.table, &alter.column)?;
    let Some(column) = table.column(&old).cloned() else {
        let cause = format!("column {old} of {physical} is not there any more.");
        return Err(Problem::new("COLUMN-UNKNOWN", cause, "Look who renamed or dropped it, then plan again."));
    };
    refuse_unsure(&alter.table, alter.up.iter().chain(&alter.down))?;
    if values_change(alter) {
        refuse_what_stands_on_it(table, &physical, &old, None)?;
        replace(draft, alter, &physical, &column)?;
    } else {
        same_column(draft, alter, &physical, &column)?;
    }
    if let Some(name) = &alter.unique {
        constraints::rule(draft, &alter.table, &constraints::unique(&alter.column, name.clone()))?;
    }
    if let Some(references) = &alter.references {
        constraints::rule(draft, &alter.table, &constraints::of_column(&alter.column, references))?;
    }
    Ok(())
}

/// A column in the place of the old one, on which everything but `constraint` stands as before: nothing else may.
pub(super) fn replace_without(draft: &mut Draft<'_>, alter: &AlterColumn, constraint: &Ident) -> Result<(), Problem> {
    let (seen, table) = draft.ground.table(&alter.table)?;
    let physical = seen.physical.clone();
    let old = draft.ground.column(&alter.table, &alter.column)?;
    let Some(column) = table.column(&old).cloned() else { return Ok(()) };
    refuse_unsure(&alter.table, alter.up.iter().chain(&alter.down))?;
    refuse_what_stands_on_it(table, &physical, &old, Some(constraint))?;
    replace(draft, alter, &physical, &column)
}

/// Whether rows get other values: another type, a rule given up, or an `up` that is not the column itself.
fn values_change(alter: &AlterColumn) -> bool {
    let converts = alter.up.as_ref().is_some_and(|up| !up.is_column(&alter.column));
    alter.data_type.is_some() || alter.nullable == Some(true) || converts
}

/// What would have to be carried over and is not yet.
fn refuse_what_stands_on_it(
    table: &Table,
    physical: &Ident,
    column: &Ident,
    except: Option<&Ident>,
) -> Result<(), Problem> {
    let mut found: Vec<String> = Vec::new();
    let on_it = |columns: &[Ident]| columns.contains(column);
    found.extend(
        table
            .indexes
            .iter()
            .filter(|index| on_it(&index.columns) && Some(&index.name) != except)
            .map(|index| format!("index {}", index.name)),
    );
    found.extend(
        table
            .constraints
            .iter()
            .filter(|constraint| on_it(&constraint.columns) && Some(&constraint.name) != except)
            .map(|constraint| format!("constraint {}", constraint.name)),
    );
    found.extend(
        table.dependants.iter().filter(|dependant| dependant.column == *column).map(|dependant| dependant.what.clone()),
    );
    if found.is_empty() {
        return Ok(());
    }
    let cause = format!("on column {column} of {physical} stand: {}. They are not carried over yet.", found.join(", "));
    Err(Problem::new("COLUMN-IN-USE", cause, "Drop them first, and make them anew on the new column afterwards."))
}

fn replace(draft: &mut Draft<'_>, alter: &AlterColumn, physical: &Ident, column: &TableColumn) -> Result<(), Problem> {
    let number = draft.ground.number;
    let old = &column.name;
    let (Some(up), Some(down)) = (&alter.up, &alter.down) else {
        let cause = format!("column {} gets other values, and not both of `up` and `down` are given.", alter.column);
        return Err(Problem::new(
            "UP-AND-DOWN-NEEDED",
            cause,
            "Give both: each version needs its own value of every row.",
        ));
    };
    if column.generated {
        let cause = format!("column {} is made by the database (identity or generated).", alter.column);
        return Err(Problem::new("COLUMN-GENERATED", cause, "Add a column beside it instead."));
    }
    let new = ours(number, old);
    let data_type = alter.data_type.clone().unwrap_or_else(|| column.data_type.clone());
    let older = draft.ground.table(&alter.table)?.0.names();
    let on = draft.base(physical);
    let touched = draft.touch(physical);
    touched.statements.push(format!("ALTER TABLE {on} ADD COLUMN {new} {data_type}"));
    touched.told_by.push((new.clone(), data_type.clone()));
    touched.forward.push(Assignment {
        column: new.clone(),
        data_type: data_type.clone(),
        expression: up.as_sql().to_owned(),
        names: older,
    });
    touched.backward.push((old.clone(), column.data_type.clone(), down.clone()));
    let default = default_after(alter, column);
    let comment = alter.comment.clone().unwrap_or_else(|| column.comment.clone());
    let nullable = alter.nullable.unwrap_or(column.nullable);
    let mut not_null = None;
    if !nullable {
        let check = new.prefixed("not_null_");
        draft.check(physical, &check, &format!("{new} IS NOT NULL"), false);
        not_null = Some(check);
    }
    if let Some(check) = &alter.check {
        let condition = check.expression.with_columns(&|name| {
            let name = if *name == alter.column { Some(new.clone()) } else { None };
            name.map(|name| name.to_string())
        });
        draft.check(physical, &check.name, &condition, check.no_inherit);
        draft.pieces.push(Piece::MadeConstraint {
            table: physical.clone(),
            constraint: check.name.clone(),
            not_null: None,
        });
    }
    draft.pieces.push(Piece::ReplacedColumn {
        table: physical.clone(),
        old: old.clone(),
        new: new.clone(),
        default: default.clone(),
        not_null,
        comment: comment.clone(),
    });
    if let Some(seen) = draft.table_mut(&alter.table)?.column_mut(&alter.column) {
        seen.physical = new;
        seen.default = Some(default.unwrap_or_else(|| "NULL".to_owned()));
        seen.comment = comment;
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
        let names = draft.ground.table(&alter.table)?.0.names();
        let condition = check.expression.with_columns(&|column| names.get(column).map(ToString::to_string));
        draft.check(physical, &check.name, &condition, check.no_inherit);
        draft.pieces.push(Piece::MadeConstraint {
            table: physical.clone(),
            constraint: check.name.clone(),
            not_null: None,
        });
    }
    let default = match &alter.default {
        DefaultChange::Keep => None,
        DefaultChange::Drop => Some(None),
        DefaultChange::Set(default) => Some(Some(default.as_sql().to_owned())),
    };
    if let Some(seen) = draft.table_mut(&alter.table)?.column_mut(&alter.column) {
        if let Some(default) = &default {
            seen.default = Some(default.clone().unwrap_or_else(|| "NULL".to_owned()));
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
