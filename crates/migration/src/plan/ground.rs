//! What a plan stands on, and how its tables and columns are found in it.

use switchover_model::Problem;
use switchover_model::config::OldRows;

use crate::Ident;
use crate::catalog::{Catalog, Table};
use crate::change::TableChange;
use crate::version::{Version, VersionTable};

/// What a plan stands on.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The schema as the database has it now.
    pub catalog: &'a Catalog,
    /// The newest version: what the migrations before this one made of it.
    pub version: &'a Version,
    /// What earlier migrations still keep in step.
    pub active: &'a [TableChange],
    /// The migration's number, above all earlier ones.
    pub number: u32,
    /// The schema that the new version will be seen through.
    pub version_schema: &'a Ident,
    /// What becomes of an older version's value that only a rule of the newer one forbids.
    pub old_rows: OldRows,
}

impl<'a> Ground<'a> {
    pub(super) fn table(&self, name: &Ident) -> Result<(&'a VersionTable, &'a Table), Problem> {
        let Some(seen) = self.version.tables.get(name) else {
            let near = nearest(name, self.version.tables.keys());
            let next = near.map_or_else(
                || "Create it first.".to_owned(),
                |near| format!("Did you mean {near}? Tables of earlier migrations are known by their newest names."),
            );
            return Err(Problem::new("TABLE-UNKNOWN", format!("there is no table {name}."), next));
        };
        let table = self.catalog.tables.get(&seen.physical);
        table.map(|table| (seen, table)).ok_or_else(|| {
            let cause = format!("table {name} is not there any more under its name {}.", seen.physical);
            Problem::new("TABLE-UNKNOWN", cause, "Look who renamed or dropped it, then plan again.")
        })
    }

    pub(super) fn column(&self, table: &Ident, column: &Ident) -> Result<Ident, Problem> {
        let (seen, _) = self.table(table)?;
        if let Some(found) = seen.column(column) {
            return Ok(found.physical.clone());
        }
        let near = nearest(column, seen.columns.iter().map(|column| &column.name));
        let next =
            near.map_or_else(|| "Look at the table's columns.".to_owned(), |near| format!("Did you mean {near}?"));
        Err(Problem::new("COLUMN-UNKNOWN", format!("table {table} has no column {column}."), next))
    }
}

pub(super) fn nearest<'a>(name: &Ident, known: impl Iterator<Item = &'a Ident>) -> Option<&'a Ident> {
    let distance = |other: &Ident| strsim::damerau_levenshtein(name.as_str(), other.as_str());
    known.map(|other| (distance(other), other)).filter(|(distance, _)| *distance <= 2).min().map(|(_, other)| other)
}
