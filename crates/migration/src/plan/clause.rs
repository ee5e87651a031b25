//! A constraint as the database takes it: its clause, without its name.

use switchover_model::Problem;

use super::draft::Draft;
use crate::{Constraint, ConstraintKind, Ident, IndexStorage, OnDelete, References};

/// A foreign key as a column of its own writes it.
pub(super) fn of_column(column: &Ident, references: &References) -> Constraint {
    Constraint {
        name: references.name.clone(),
        kind: ConstraintKind::ForeignKey {
            columns: vec![column.clone()],
            table: references.table.clone(),
            referred: references.column.iter().cloned().collect(),
            on_delete: references.on_delete.clone(),
            on_update: references.on_update.clone(),
            match_full: references.match_full,
        },
        deferrable: references.deferrable,
        initially_deferred: references.initially_deferred,
    }
}

/// A unique constraint over one column.
pub(super) fn unique(column: &Ident, name: Ident) -> Constraint {
    let kind = ConstraintKind::Unique {
        columns: vec![column.clone()],
        nulls_not_distinct: false,
        include: Vec::new(),
        storage: IndexStorage::default(),
    };
    Constraint { name, kind, deferrable: false, initially_deferred: false }
}

/// The constraint without its name, as `CREATE TABLE` and `ADD CONSTRAINT` take it, over columns of the database.
pub(super) fn clause(draft: &Draft<'_>, constraint: &Constraint, columns: &[Ident]) -> Result<String, Problem> {
    let index = |include: &[Ident], storage: &IndexStorage| {
        let mut text = included(include);
        if let Some(parameters) = &storage.parameters {
            text.push_str(&format!(" WITH ({parameters})"));
        }
        if let Some(tablespace) = &storage.tablespace {
            text.push_str(&format!(" USING INDEX TABLESPACE {tablespace}"));
        }
        text
    };
    let mut text = match &constraint.kind {
        ConstraintKind::Unique { nulls_not_distinct, include, storage, .. } => {
            let nulls = if *nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
            format!("UNIQUE{nulls} ({}){}", list(columns), index(include, storage))
        }
        ConstraintKind::PrimaryKey { include, storage, .. } => {
            format!("PRIMARY KEY ({}){}", list(columns), index(include, storage))
        }
        ConstraintKind::Check { expression, no_inherit } => {
            format!("CHECK ({}){}", expression.as_sql(), if *no_inherit { " NO INHERIT" } else { "" })
        }
        ConstraintKind::ForeignKey { table, referred, on_delete, on_update, match_full, .. } => {
            let Some(seen) = draft.version.tables.get(table) else {
                let cause = format!("constraint {} refers to table {table}, which is not there.", constraint.name);
                return Err(Problem::new("TABLE-UNKNOWN", cause, "Create it first."));
            };
            let to = draft.base(&seen.physical);
            let referred = physical_columns(draft, table, referred)?;
            let referred = if referred.is_empty() { String::new() } else { format!(" ({})", list(&referred)) };
            format!(
                "FOREIGN KEY ({}) REFERENCES {to}{referred}{} ON DELETE {} ON UPDATE {}",
                list(columns),
                if *match_full { " MATCH FULL" } else { "" },
                action(on_delete),
                action(on_update)
            )
        }
        ConstraintKind::Exclude { method, elements, predicate, include, storage } => {
            let predicate = predicate.as_ref().map(|rows| format!(" WHERE ({})", rows.as_sql())).unwrap_or_default();
            format!("EXCLUDE USING {method} ({elements}){}{predicate}", index(include, storage))
        }
    };
    text.push_str(deferral(constraint));
    Ok(text)
}

pub(super) fn deferral(constraint: &Constraint) -> &'static str {
    match (constraint.deferrable, constraint.initially_deferred) {
        (_, true) => " DEFERRABLE INITIALLY DEFERRED",
        (true, false) => " DEFERRABLE",
        (false, false) => "",
    }
}

fn action(action: &OnDelete) -> String {
    let of = |columns: &[Ident]| if columns.is_empty() { String::new() } else { format!(" ({})", list(columns)) };
    match action {
        OnDelete::NoAction => "NO ACTION".to_owned(),
        OnDelete::Restrict => "RESTRICT".to_owned(),
        OnDelete::Cascade => "CASCADE".to_owned(),
        OnDelete::SetNull(columns) => format!("SET NULL{}", of(columns)),
        OnDelete::SetDefault(columns) => format!("SET DEFAULT{}", of(columns)),
    }
}

pub(super) fn list(columns: &[Ident]) -> String {
    columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn included(include: &[Ident]) -> String {
    if include.is_empty() { String::new() } else { format!(" INCLUDE ({})", list(include)) }
}

/// The database's names of a version's columns.
pub(super) fn physical_columns(draft: &Draft<'_>, table: &Ident, columns: &[Ident]) -> Result<Vec<Ident>, Problem> {
    let seen = draft.version.tables.get(table);
    let physical = |column: &Ident| {
        let found = seen.and_then(|seen| seen.column(column)).map(|column| column.physical.clone());
        // As the operations before left it, or why not.
        found.map_or_else(|| draft.ground.column(table, column), Ok)
    };
    columns.iter().map(physical).collect()
}
