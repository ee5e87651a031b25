//! Queries for rows that stand in the way, which are named by their keys.

use serde::{Deserialize, Serialize};

use crate::Ident;
use crate::QualifiedName;
use crate::catalog::{Catalog, Table};

/// A query for rows that stand in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The query; the first column of what it finds names the row.
    pub query: String,
    /// What a row that it finds means.
    pub means: String,
}

impl Finding {
    /// Rows of `on` whose `columns` have the values that another row has.
    pub(super) fn of_same(on: &QualifiedName, known: &Table, columns: &[Ident], means: String) -> Self {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let (columns, key) = (columns.join(", "), key_of(known));
        let query = format!(
            "SELECT {key} FROM {on} WHERE ({columns}) IN (SELECT {columns} FROM {on} GROUP BY {columns} HAVING count(*) > 1) \
             ORDER BY {columns} LIMIT 20"
        );
        Self { query, means }
    }
}

/// What names a row of the table for a person: its primary key, else where it is.
pub(super) fn key_of(table: &Table) -> String {
    let key: Vec<String> = table.primary_key.iter().map(|column| format!("{column}::text")).collect();
    if key.is_empty() { "ctid::text".to_owned() } else { format!("concat_ws(', ', {})", key.join(", ")) }
}

/// The order of a table's rows by what names them, in a catalog that may not have it any more.
pub(super) fn order_in(catalog: &Catalog, table: &Ident) -> String {
    let key = catalog.tables.get(table).map(|table| &table.primary_key[..]).unwrap_or_default();
    if key.is_empty() { "ctid".to_owned() } else { key.iter().map(Ident::to_string).collect::<Vec<_>>().join(", ") }
}

/// What names a row of the table of this name, in a catalog that may not have it any more.
pub(super) fn key_in(catalog: &Catalog, table: &Ident) -> String {
    catalog.tables.get(table).map_or_else(|| "ctid::text".to_owned(), key_of)
}
