//! Rules on partitioned tables. The database makes none that needs a look at every row on one as a whole beside running writes:
//! each partition gets it first, and the table takes over what its partitions have (PostgreSQL, 5.12.2.2).

use switchover_model::Problem;

use super::{Finding, Lock, Step, Work};
use crate::catalog::{Partition, PartitionKind, Table};
use crate::{Ident, QualifiedName, part_name};

/// Refuses an index or constraint that a partition of the table can not have, or has a name for already.
pub(super) fn refuse(table: &Ident, known: &Table, name: &Ident) -> Result<(), Problem> {
    for partition in &known.partitions {
        let of = &partition.name;
        if partition.kind == PartitionKind::Foreign {
            let cause = format!("partition {of} of {table} is a foreign table, on which {name} can not be made.");
            return Err(Problem::new("NOT-CARRIED-OUT-YET", cause, "Detach it, or make the rule where its rows are."));
        }
        let part = part_name(&of.name, name);
        if partition.names.contains(&part) || partition.names.contains(name) {
            let cause = format!("partition {of} of {table} has an index or constraint {name} or {part} already.");
            return Err(Problem::new("CONSTRAINT-EXISTS", cause, "Give the new one another name."));
        }
    }
    Ok(())
}

/// Refuses a unique rule that does not tell in which partition a row is.
pub(super) fn refuse_without_key(table: &Ident, known: &Table, name: &Ident, columns: &[Ident]) -> Result<(), Problem> {
    let mut keys = known.partition_key.iter().chain(known.partitions.iter().flat_map(|partition| &partition.key));
    let Some(missing) = keys.find(|key| !columns.contains(key)) else { return Ok(()) };
    let cause = format!(
        "{name} of {table} leaves out {missing}, by which the table is partitioned: rows are seen to be unique within a \
         partition alone."
    );
    Err(Problem::new("PARTITION-KEY-LEFT-OUT", cause, "Take the columns of the partition key into it."))
}

/// The partitions that have rows of their own.
fn leaves(known: &Table) -> impl Iterator<Item = &Partition> {
    known.partitions.iter().filter(|partition| partition.kind == PartitionKind::Table)
}

/// A foreign key that each partition is seen to hold before the table takes it over.
pub(super) fn foreign_key(
    on: &QualifiedName,
    known: &Table,
    name: &Ident,
    clause: &str,
    breaks: Option<&Finding>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for leaf in leaves(known).map(|leaf| &leaf.name) {
        let part = part_name(&leaf.name, name);
        steps.push(Step {
            name: format!("add {part} to {leaf} for new rows"),
            lock: Some((Lock::ShareRowExclusive, leaf.clone())),
            work: Work::Together(vec![format!("ALTER TABLE {leaf} ADD CONSTRAINT {part} {clause} NOT VALID")]),
        });
        let sql = format!("ALTER TABLE {leaf} VALIDATE CONSTRAINT {part}");
        steps.push(Step {
            name: format!("see that {part} holds for all rows of {leaf}"),
            lock: Some((Lock::ShareUpdateExclusive, leaf.clone())),
            work: Work::Validate { sql, breaks: breaks.cloned() },
        });
    }
    steps.push(Step {
        name: format!("make {name} a constraint of {on}"),
        lock: Some((Lock::ShareRowExclusive, on.clone())),
        work: Work::Together(vec![format!("ALTER TABLE {on} ADD CONSTRAINT {name} {clause}")]),
    });
    steps
}

/// What takes a constraint from the partitions that the table has not taken it over from.
pub(super) fn drop_constraint(known: &Table, name: &Ident) -> Vec<String> {
    let drop =
        |leaf: &QualifiedName| format!("ALTER TABLE {leaf} DROP CONSTRAINT IF EXISTS {}", part_name(&leaf.name, name));
    leaves(known).map(|leaf| drop(&leaf.name)).collect()
}
