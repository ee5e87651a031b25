//! Rules on partitioned tables. The database makes none that needs a look at every row on one as a whole beside running writes:
//! each partition gets it first, and the table takes over what its partitions have (PostgreSQL, 5.12.2.2). Which partitions
//! there are is looked at when it is done.

use switchover_model::Problem;

use super::{Finding, Lock, Step, Work};
use crate::catalog::{PartitionKind, Table};
use crate::{Ident, QualifiedName};

/// Refuses an index or key of which a partition can not have its part.
pub(super) fn refuse_foreign(table: &Ident, known: &Table, name: &Ident) -> Result<(), Problem> {
    let mut partitions = known.partitions.iter();
    let Some(foreign) = partitions.find(|partition| partition.kind == PartitionKind::Foreign) else { return Ok(()) };
    let cause = format!("partition {} of {table} is a foreign table, on which {name} can not be made.", foreign.name);
    Err(Problem::new("NOT-CARRIED-OUT-YET", cause, "Detach it, or make the rule where its rows are."))
}

/// Refuses a key where a partition has a rule of its own on its columns: the database would take that for the table's, or not
/// take a second one.
pub(super) fn refuse_own(table: &Ident, known: &Table, name: &Ident, columns: &[Ident]) -> Result<(), Problem> {
    let mut own = known.dependants.iter().filter(|one| one.is_rule_of_partition && columns.contains(&one.column));
    let Some(own) = own.next() else { return Ok(()) };
    let cause = format!("{} stands on column {} of {table}, on which {name} is to be made.", own.what, own.column);
    Err(Problem::new("COLUMN-IN-USE", cause, "Drop it first: the table's own will hold for all of its partitions."))
}

/// Refuses a unique rule that does not tell in which partition a row is.
pub(super) fn refuse_without_key(table: &Ident, known: &Table, name: &Ident, columns: &[Ident]) -> Result<(), Problem> {
    let missing = known.partition_keys().find_map(|key| {
        let left_out = key.columns.iter().find(|column| !columns.contains(column)).map(ToString::to_string);
        if key.in_expression { Some("an expression".to_owned()) } else { left_out }
    });
    let Some(missing) = missing else { return Ok(()) };
    let cause = format!(
        "{table} is partitioned by {missing}, which {name} leaves out: the database sees that values are unique within one \
         partition alone."
    );
    Err(Problem::new("PARTITION-KEY-LEFT-OUT", cause, "Take the columns of the partition key into it."))
}

/// A foreign key that each partition is seen to hold before the table takes it over.
pub(super) fn foreign_key(on: &QualifiedName, name: &Ident, clause: &str, breaks: Option<Finding>) -> Step {
    Step {
        name: format!("make {name} a constraint of {on}, partition by partition"),
        lock: Some((Lock::ShareRowExclusive, on.clone())),
        work: Work::ForeignKey { on: on.clone(), name: name.clone(), clause: clause.to_owned(), breaks },
    }
}
