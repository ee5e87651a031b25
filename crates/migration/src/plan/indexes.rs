//! Indexes: built beside running writes, for both versions at once; dropped, and made what rows are known by, in contract.

use switchover_model::Problem;

use super::draft::Draft;
use super::{Lock, Piece, Step, Work, partitions};
use crate::{
    CreateIndex, DropIndex, Ident, IndexBuild, IndexMethod, Nulls, Order, QualifiedName, ReplicaIdentity,
    SetReplicaIdentity,
};

pub(super) fn create(draft: &mut Draft<'_>, create: &CreateIndex) -> Result<(), Problem> {
    let (seen, table) = draft.ground.table(&create.table)?;
    let (physical, names) = (seen.physical.clone(), seen.names());
    if draft.ground.catalog.other_names.contains(&create.name) || draft.ground.catalog.tables.contains_key(&create.name)
    {
        let cause = format!("the name {} is taken.", create.name);
        return Err(Problem::new("INDEX-EXISTS", cause, "Give the index another name."));
    }
    partitions::refuse_foreign(&create.table, table, &create.name)?;
    let mut keys = Vec::new();
    let mut columns = Vec::new();
    for (column, how) in &create.columns {
        let physical = draft.ground.column(&create.table, column)?;
        let mut key = physical.to_string();
        columns.push(physical);
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
    if create.unique && table.partitioned {
        partitions::refuse_without_key(&create.table, table, &create.name, &columns)?;
    }
    let on = draft.base(&physical);
    let mut rest = format!("USING {} ({})", method(create.method), keys.join(", "));
    if let Some(parameters) = &create.storage_parameters {
        rest.push_str(&format!(" WITH ({parameters})"));
    }
    if let Some(predicate) = &create.predicate {
        let predicate = predicate.with_columns(&|column: &Ident| names.get(column).map(ToString::to_string));
        rest.push_str(&format!(" WHERE {predicate}"));
    }
    let index = QualifiedName::new(&draft.ground.catalog.schema, &create.name);
    let build = IndexBuild { index, on: on.clone(), partitioned: table.partitioned, unique: create.unique, rest };
    draft.after.push(Step {
        name: format!("build index {}", create.name),
        lock: Some((if table.partitioned { Lock::ShareRowExclusive } else { Lock::ShareUpdateExclusive }, on)),
        work: Work::BuildIndex { build, breaks: None },
    });
    let of = table.partitioned.then_some(physical);
    draft.pieces.push(Piece::MadeIndex { index: create.name.clone(), of });
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

pub(super) fn drop_index(draft: &mut Draft<'_>, drop: &DropIndex) -> Result<(), Problem> {
    let all = draft.ground.catalog.tables.values().flat_map(|table| &table.indexes);
    let Some(index) = all.clone().find(|index| index.name == drop.name) else {
        let near = super::nearest(&drop.name, all.map(|index| &index.name));
        let next =
            near.map_or_else(|| "Look at the tables' indexes.".to_owned(), |near| format!("Did you mean {near}?"));
        return Err(Problem::new("INDEX-UNKNOWN", format!("there is no index {}.", drop.name), next));
    };
    if index.of_constraint {
        let cause = format!("index {} belongs to the constraint of this name.", drop.name);
        return Err(Problem::new("INDEX-UNKNOWN", cause, "Drop the constraint."));
    }
    if index.replica_identity {
        let cause = format!("subscribers know rows by index {}.", drop.name);
        let next = "Set another replica identity first, such as the primary key, with `set_replica_identity`.";
        return Err(Problem::new("INDEX-IN-USE", cause, next));
    }
    draft.pieces.push(Piece::DroppedIndex { index: index.name.clone() });
    Ok(())
}

pub(super) fn replica_identity(draft: &mut Draft<'_>, set: &SetReplicaIdentity) -> Result<(), Problem> {
    let (seen, table) = draft.ground.table(&set.table)?;
    let identity = match &set.identity {
        ReplicaIdentity::Nothing => "NOTHING".to_owned(),
        ReplicaIdentity::Default => "DEFAULT".to_owned(),
        ReplicaIdentity::Full => "FULL".to_owned(),
        ReplicaIdentity::Index(index) => {
            if !table.indexes.iter().any(|known| known.name == *index) {
                let cause = format!("table {} has no index {index}.", set.table);
                return Err(Problem::new("INDEX-UNKNOWN", cause, "Create it in a migration before this one."));
            }
            format!("USING INDEX {index}")
        }
    };
    draft.pieces.push(Piece::SetReplicaIdentity { table: seen.physical.clone(), identity });
    Ok(())
}
