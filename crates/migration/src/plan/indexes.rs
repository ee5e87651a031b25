//! `create_index`: built beside running writes, for both versions at once.

use switchover_model::Problem;

use super::expand::Draft;
use super::{Lock, Piece, Step, Work};
use crate::{CreateIndex, Ident, IndexMethod, Nulls, Order, QualifiedName};

pub(super) fn create(draft: &mut Draft<'_>, create: &CreateIndex) -> Result<(), Problem> {
    let (seen, table) = draft.ground.table(&create.table)?;
    let (physical, names) = (seen.physical.clone(), seen.names());
    if draft.ground.catalog.other_names.contains(&create.name) || draft.ground.catalog.tables.contains_key(&create.name)
    {
        let cause = format!("the name {} is taken.", create.name);
        return Err(Problem::new("INDEX-EXISTS", cause, "Give the index another name."));
    }
    if table.partitioned {
        let cause = format!(
            "{} is partitioned: an index beside running writes is not possible on it as a whole.",
            create.table
        );
        return Err(Problem::new(
            "NOT-CARRIED-OUT-YET",
            cause,
            "Make the index on each partition by hand, then attach them.",
        ));
    }
    let mut keys = Vec::new();
    for (column, how) in &create.columns {
        let mut key = draft.ground.column(&create.table, column)?.to_string();
        if let Some(collation) = &how.collate {
            key.push_str(&format!(" COLLATE {collation}"));
        }
        if let Some(class) = &how.operator_class {
            key.push_str(&format!(" {class}"));
        }
        if how.order == Order::Descending {
            key.push_str(" DESC");
        }
        match how.nulls {
            Some(Nulls::First) => key.push_str(" NULLS FIRST"),
            Some(Nulls::Last) => key.push_str(" NULLS LAST"),
            None => {}
        }
        keys.push(key);
    }
    let on = draft.base(&physical);
    let unique = if create.unique { "UNIQUE " } else { "" };
    let mut sql = format!(
        "CREATE {unique}INDEX CONCURRENTLY {} ON {on} USING {} ({})",
        create.name,
        method(create.method),
        keys.join(", ")
    );
    if let Some(parameters) = &create.storage_parameters {
        sql.push_str(&format!(" WITH ({parameters})"));
    }
    if let Some(predicate) = &create.predicate {
        let predicate = predicate.with_columns(&|column: &Ident| names.get(column).map(ToString::to_string));
        sql.push_str(&format!(" WHERE {predicate}"));
    }
    let index = QualifiedName::new(&draft.ground.catalog.schema, &create.name);
    let breaks = None;
    draft.after.push(Step {
        name: format!("build index {}", create.name),
        lock: Some((Lock::ShareUpdateExclusive, on)),
        work: Work::Concurrently { sql, index, breaks },
    });
    draft.pieces.push(Piece::MadeIndex { index: create.name.clone() });
    Ok(())
}

fn method(method: IndexMethod) -> &'static str {
    match method {
        IndexMethod::BTree => "btree",
        IndexMethod::Hash => "hash",
        IndexMethod::Gist => "gist",
        IndexMethod::SpGist => "spgist",
        IndexMethod::Gin => "gin",
        IndexMethod::Brin => "brin",
    }
}
