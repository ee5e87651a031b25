//! Tables made, dropped and renamed, columns dropped and renamed: what a version sees or does not see through its views;
//! the database's own names follow in contract.

use switchover_model::Problem;

use super::draft::{Draft, Dropped};
use super::{Piece, clause, constraints, refuse_unsure};
use crate::version::{VersionColumn, VersionTable};
use crate::{Column, CreateTable, DropColumn, Generated, Ident, Literal};

pub(super) fn create(draft: &mut Draft<'_>, create: &CreateTable) -> Result<(), Problem> {
    refuse_taken(draft, &create.name, "Give the new table another name.")?;
    let on = draft.base(&create.name);
    let mut lines: Vec<String> = create.columns.iter().map(line).collect();
    let key: Vec<String> =
        create.columns.iter().filter(|column| column.primary_key).map(|column| column.name.to_string()).collect();
    if !key.is_empty() {
        lines.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    let columns = create.columns.iter().map(|column| VersionColumn {
        name: column.name.clone(),
        physical: column.name.clone(),
        default: None,
        comment: column.comment.clone(),
    });
    let seen = VersionTable { physical: create.name.clone(), columns: columns.collect(), hidden: Vec::new() };
    // Its own foreign keys may refer to it.
    draft.version.tables.insert(create.name.clone(), seen);
    let of_columns = create
        .columns
        .iter()
        .filter_map(|column| column.references.as_ref().map(|references| clause::of_column(&column.name, references)));
    for constraint in of_columns.chain(create.constraints.iter().cloned()) {
        let clause = clause::clause(draft, &constraint, &constraint.kind.columns())?;
        lines.push(format!("CONSTRAINT {} {clause}", constraint.name));
    }
    let mut statements = vec![format!("CREATE TABLE {on} ({})", lines.join(", "))];
    if let Some(comment) = &create.comment {
        statements.push(format!("COMMENT ON TABLE {on} IS {}", Literal(comment)));
    }
    for column in &create.columns {
        let comment = column.comment.iter();
        statements
            .extend(comment.map(|comment| format!("COMMENT ON COLUMN {on}.{} IS {}", column.name, Literal(comment))));
        draft.new_columns.push((create.name.clone(), column.name.clone(), column.data_type.clone()));
        if let Some(default) = &column.default {
            let value = format!("CAST(({}) AS {})", default.as_sql(), super::probe::plain_type(&column.data_type));
            draft.ask(&create.name, format!("the default of column {}", column.name), value);
        }
        if let Some(check) = &column.check {
            let value = format!("CAST(({}) AS boolean)", check.expression.with_columns(&|name| Some(name.to_string())));
            draft.ask(&create.name, format!("check {}", check.name), value);
        }
    }
    draft.made.insert(create.name.clone(), statements);
    draft.pieces.push(Piece::MadeTable { table: create.name.clone() });
    Ok(())
}

fn refuse_taken(draft: &Draft<'_>, name: &Ident, next: &str) -> Result<(), Problem> {
    let catalog = draft.ground.catalog;
    let is_taken = draft.version.tables.contains_key(name)
        || catalog.tables.contains_key(name)
        || catalog.other_names.contains(name);
    if is_taken { Err(Problem::new("TABLE-EXISTS", format!("the name {name} is taken."), next)) } else { Ok(()) }
}

/// A column as `CREATE TABLE` takes it, apart from its keys.
fn line(column: &Column) -> String {
    let mut line = format!("{} {}", column.name, column.data_type);
    match &column.generated {
        Some(Generated::Identity { always, options }) => {
            let how = if *always { "ALWAYS" } else { "BY DEFAULT" };
            let options = if options.is_empty() { String::new() } else { format!(" ({options})") };
            line.push_str(&format!(" GENERATED {how} AS IDENTITY{options}"));
        }
        Some(Generated::Stored(expression)) => {
            line.push_str(&format!(" GENERATED ALWAYS AS ({}) STORED", expression.as_sql()));
        }
        None => {}
    }
    if let Some(default) = &column.default {
        line.push_str(&format!(" DEFAULT {}", default.as_sql()));
    }
    if !column.nullable {
        line.push_str(" NOT NULL");
    }
    if column.unique {
        line.push_str(" UNIQUE");
    }
    if let Some(check) = &column.check {
        line.push_str(&format!(" CONSTRAINT {} CHECK ({})", check.name, check.expression.as_sql()));
    }
    line
}

pub(super) fn drop(draft: &mut Draft<'_>, name: &Ident) -> Result<(), Problem> {
    let (seen, table) = draft.ground.table(name)?;
    let physical = seen.physical.clone();
    let referring: Vec<String> = table
        .constraints
        .iter()
        .filter_map(|constraint| constraint.of_table.as_ref().map(|of| format!("{} of {of}", constraint.name)))
        .collect();
    if !referring.is_empty() {
        let cause = format!("table {name} is referred to by {}.", referring.join(", "));
        return Err(Problem::new("TABLE-IN-USE", cause, "Drop these foreign keys first."));
    }
    let ties = table.constraints.iter().filter(|constraint| constraint.definition.starts_with("FOREIGN KEY"));
    draft.pieces.extend(ties.map(|constraint| constraints::dropped(&physical, constraint)));
    draft.table_mut(name)?;
    draft.version.tables.remove(name);
    draft.pieces.push(Piece::DroppedTable { table: physical });
    Ok(())
}

pub(super) fn rename(draft: &mut Draft<'_>, from: &Ident, to: &Ident) -> Result<(), Problem> {
    let physical = draft.ground.table(from)?.0.physical.clone();
    draft.table_mut(from)?;
    refuse_taken(draft, to, "Give the table another name.")?;
    if let Some(seen) = draft.version.tables.remove(from) {
        draft.version.tables.insert(to.clone(), seen);
    }
    draft.pieces.push(Piece::RenamedTable { from: physical, to: to.clone() });
    Ok(())
}

pub(super) fn rename_column(draft: &mut Draft<'_>, table: &Ident, from: &Ident, to: &Ident) -> Result<(), Problem> {
    let (seen, known) = draft.ground.table(table)?;
    let physical = seen.physical.clone();
    if seen.column(to).is_some() || known.column(to).is_some() {
        let cause = format!("table {table} has a column {to} already.");
        return Err(Problem::new("COLUMN-EXISTS", cause, "Give the column another name."));
    }
    let column = draft.ground.column(table, from)?;
    draft.touch(&physical);
    if let Some(seen) = draft.table_mut(table)?.column_mut(from) {
        seen.name = to.clone();
    }
    draft.renamed.push((physical.clone(), from.clone(), to.clone()));
    draft.pieces.push(Piece::RenamedColumn { table: physical, from: column, to: to.clone() });
    Ok(())
}

/// The newer version's rows get the column's default, or `down` where it is NOT NULL and has none: no insert of an older
/// version can leave such a column out, so a row without it is the newer version's.
pub(super) fn drop_column(draft: &mut Draft<'_>, drop: &DropColumn) -> Result<(), Problem> {
    let (seen, table) = draft.ground.table(&drop.table)?;
    let physical = seen.physical.clone();
    let name = draft.ground.column(&drop.table, &drop.column)?;
    let Some(column) = table.column(&name) else {
        let cause = format!("column {name} of {physical} is not there any more.");
        return Err(Problem::new("COLUMN-UNKNOWN", cause, "Look who renamed or dropped it, then plan again."));
    };
    if table.partition_keys().any(|key| key.columns.contains(&name)) {
        let cause = format!("{} is partitioned by column {}.", drop.table, drop.column);
        return Err(Problem::new("COLUMN-IN-USE", cause, "Move the rows to another table first."));
    }
    if table.primary_key.contains(&name) {
        let cause = format!("column {} is part of the primary key of {}.", drop.column, drop.table);
        return Err(Problem::new("COLUMN-IN-USE", cause, "Give the table another key first."));
    }
    let used: Vec<&str> = table
        .dependants
        .iter()
        .filter(|dependant| dependant.column == name)
        .map(|dependant| dependant.what.as_str())
        .collect();
    if !used.is_empty() {
        let cause = format!("on column {} of {} stand: {}.", drop.column, drop.table, used.join(", "));
        return Err(Problem::new("COLUMN-IN-USE", cause, "Drop or change these first."));
    }
    let referring = table.constraints.iter().filter(|constraint| constraint.columns.contains(&name));
    for constraint in referring {
        if let Some(of) = &constraint.of_table {
            let cause = format!("{} of {of} refers to column {} of {}.", constraint.name, drop.column, drop.table);
            return Err(Problem::new("COLUMN-IN-USE", cause, "Drop this foreign key first."));
        }
        // With the column's values put aside no row could satisfy it for certain.
        draft.pieces.push(constraints::dropped(&physical, constraint));
    }
    let must_be_given = !column.nullable && column.default.is_none() && !column.generated;
    refuse_unsure(&drop.table, &drop.down)?;
    match &drop.down {
        None if must_be_given => {
            let cause = format!(
                "column {} is NOT NULL and has no default: an insert of the new version, which does not know it, would fail.",
                drop.column
            );
            return Err(Problem::new(
                "NEW-INSERTS-FAIL",
                cause,
                "Give `down`, its value in rows that the newer version writes.",
            ));
        }
        Some(down) => draft.touch(&physical).dropped.push(Dropped {
            column: name.clone(),
            data_type: column.data_type.clone(),
            down: down.clone(),
            must_be_given,
        }),
        None => {
            draft.touch(&physical);
        }
    }
    draft.table_mut(&drop.table)?.columns.retain(|seen| seen.name != drop.column);
    draft.pieces.push(Piece::DroppedColumn { table: physical, column: name });
    Ok(())
}
