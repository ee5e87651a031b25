//! `add_column`: a column that older versions do not write. It is there at once, gets its value in older versions'
//! inserts from `up`, and its NOT NULL stands as a check until contract.

use switchover_model::Problem;

use super::draft::Draft;
use super::probe::plain_type;
use super::{Piece, clause, constraints, ours, refuse_query, refuse_unsure};
use crate::change::Assignment;
use crate::version::{VersionColumn, no_default};
use crate::{AddColumn, Check, Column, Expression, Generated, Ident, Literal};

pub(super) fn add(draft: &mut Draft<'_>, add: &AddColumn) -> Result<(), Problem> {
    let column = &add.column;
    let (seen, table) = draft.ground.table(&add.table)?;
    let (physical, names) = (seen.physical.clone(), seen.names());
    if seen.column(&column.name).is_some() || table.column(&column.name).is_some() {
        let cause = format!("table {} has a column {} already.", add.table, column.name);
        return Err(Problem::new("COLUMN-EXISTS", cause, "Give the new one another name."));
    }
    refuse_what_rewrites(column)?;
    refuse_unsure(&add.table, add.up.iter().chain(&column.default))?;
    let constant = column.default.as_ref().filter(|default| is_constant(default));
    let value = value_of_older_rows(add)?;
    let on = draft.base(&physical);
    let name = &column.name;
    draft.new_columns.push((physical.clone(), name.clone(), column.data_type.clone()));
    if let Some(default) = &column.default {
        let value = format!("CAST(({}) AS {})", default.as_sql(), plain_type(&column.data_type));
        draft.ask(&physical, format!("the default of column {name}"), value);
    }
    // Without a conversion of its own a constant default is a change of the catalog alone (PostgreSQL 11).
    let is_plain = add.up.is_none() && (constant.is_some() || column.default.is_none());
    let touched = draft.touch(&physical);
    if is_plain {
        let not_null = if column.nullable { "" } else { " NOT NULL" };
        let default = constant.map(|default| format!(" DEFAULT {}", default.as_sql())).unwrap_or_default();
        touched.statements.push(format!("ALTER TABLE {on} ADD COLUMN {name} {}{default}{not_null}", column.data_type));
    } else {
        touched.statements.push(format!("ALTER TABLE {on} ADD COLUMN {name} {}", column.data_type));
        touched.told_by.push((name.clone(), column.data_type.clone()));
        if let Some(value) = &value {
            touched.forward.push(Assignment {
                column: name.clone(),
                data_type: column.data_type.clone(),
                expression: value.as_sql().to_owned(),
                names,
            });
        }
    }
    if let Some(comment) = &column.comment {
        touched.statements.push(format!("COMMENT ON COLUMN {on}.{name} IS {}", Literal(comment)));
    }
    let default = column.default.as_ref().map(|default| default.as_sql().to_owned());
    let mut not_null = None;
    if !is_plain && !column.nullable {
        let check = ours(draft.ground.number, name).prefixed("not_null_");
        draft.rule(&physical, &check, &format!("{name} IS NOT NULL"), false);
        not_null = Some(check);
    }
    if let Some(check) = &column.check {
        its_check(draft, add, &physical, check)?;
    }
    draft.pieces.push(Piece::MadeColumn {
        table: physical,
        column: name.clone(),
        default: default.clone().filter(|_| !is_plain),
        not_null,
    });
    // Where older inserts are told by the column's default, the version's own default is its view's.
    let of_view = (!is_plain).then(|| default.unwrap_or_else(|| no_default(plain_type(&column.data_type))));
    draft.table_mut(&add.table)?.columns.push(VersionColumn {
        name: name.clone(),
        physical: name.clone(),
        default: of_view,
        comment: column.comment.clone(),
    });
    keys(draft, add)
}

/// The value of the column in rows that the older version wrote and writes.
fn value_of_older_rows(add: &AddColumn) -> Result<Option<Expression>, Problem> {
    let column = &add.column;
    let value = add.up.clone().or_else(|| column.default.clone());
    if column.nullable || value.is_some() {
        return Ok(value);
    }
    let cause = format!(
        "column {} of {} is NOT NULL and has neither `up` nor `default`: an insert of the version that is live would fail.",
        column.name, add.table
    );
    Err(Problem::new("OLD-INSERTS-FAIL", cause, "Give it `up`, its value in rows that the older version writes."))
}

fn its_check(draft: &mut Draft<'_>, add: &AddColumn, physical: &Ident, check: &Check) -> Result<(), Problem> {
    refuse_query(&check.name, &check.expression)?;
    let name = &add.column.name;
    let names = draft.table_mut(&add.table)?.names();
    let condition = check.expression.with_columns(&|column| {
        (column == name).then(|| name.to_string()).or_else(|| names.get(column).map(ToString::to_string))
    });
    draft.named_rule(physical, &check.name, &condition, check.no_inherit);
    Ok(())
}

/// The unique and the foreign key that are written with the column.
fn keys(draft: &mut Draft<'_>, add: &AddColumn) -> Result<(), Problem> {
    let column = &add.column;
    if column.unique {
        // As the database itself would call it.
        let key = format!("{}_{}_key", add.table.as_str(), column.name.as_str());
        let key = Ident::new(key).map_err(|error| {
            Problem::new("NOT-CARRIED-OUT-YET", format!("{error}."), "Use `create_constraint`, with a shorter name.")
        })?;
        constraints::rule(draft, &add.table, &clause::unique(&column.name, key))?;
    }
    if let Some(references) = &column.references {
        constraints::rule(draft, &add.table, &clause::of_column(&column.name, references))?;
    }
    Ok(())
}

/// What the database can only make by writing every row anew while nobody reads or writes the table.
fn refuse_what_rewrites(column: &Column) -> Result<(), Problem> {
    let (what, next) = match column {
        Column { generated: Some(Generated::Stored(_)), .. } => (
            "`generated` as a stored value",
            "Write the expression as `up` of a plain column, and have the app (or a trigger of its own) keep it from then on.",
        ),
        Column { generated: Some(Generated::Identity { .. }), .. } => (
            "`generated` as an identity",
            "Create a sequence by hand, and give the column `up` and `default` with `nextval` of it.",
        ),
        Column { primary_key: true, .. } => (
            "`pk`",
            "Add the column with `up` and `unique`, and make it the key with `create_constraint` in the next migration.",
        ),
        _ => return Ok(()),
    };
    let cause =
        format!("{what} of the added column {} would lock the table while all its rows are written anew.", column.name);
    Err(Problem::new("REWRITES-TABLE", cause, next))
}

/// Whether a default is a literal: then the database keeps it once, and rewrites no row.
pub(super) fn is_constant(default: &Expression) -> bool {
    default.is_literal()
}
