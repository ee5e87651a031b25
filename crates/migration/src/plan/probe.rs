//! What the database is asked before anything begins: whether it takes the types and expressions of a migration, with
//! no row read and nothing changed.

use serde::{Deserialize, Serialize};
use switchover_model::Problem;

use super::Ground;
use super::draft::Draft;
use crate::change::Assignment;
use crate::{Ident, Migration};

/// A query that the database takes, without running it, exactly when it takes what the migration says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What it is about, in the words of the file.
    pub what: String,
    /// The query.
    pub sql: String,
}

/// What is to be asked before `migration` begins.
///
/// Errors: as [`super::plan_expand`].
pub fn plan_probes(ground: Ground<'_>, migration: &Migration) -> Result<Vec<Probe>, Vec<Problem>> {
    let draft = super::expand::drafted(ground, migration)?;
    Ok(draft.probes())
}

/// Something to be asked of the rows of a table as they will be.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) table: Ident,
    pub(super) what: String,
    /// A value, in the database's names.
    pub(super) value: String,
}

impl Draft<'_> {
    pub(super) fn ask(&mut self, table: &Ident, what: String, value: String) {
        self.asked.push(Asked { table: table.clone(), what, value });
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes: Vec<Probe> = self
            .new_columns
            .iter()
            .map(|(table, column, data_type)| Probe {
                what: format!("the type of column {column} of {table}"),
                sql: format!("SELECT CAST(NULL AS {})", plain_type(data_type)),
            })
            .collect();
        for (table, touched) in &self.touched {
            let Some(change) = self.change(table, touched) else { continue };
            let value = |what: &str, assignment: &Assignment| Probe {
                what: format!("`{what}` for column {} of {table}", assignment.column),
                sql: self.query(table, &change.of_row(assignment)),
            };
            probes.extend(change.forward.iter().map(|forward| value("up", forward)));
            probes.extend(change.of_older().map(|backward| value("down", backward)));
        }
        probes.extend(
            self.asked
                .iter()
                .map(|asked| Probe { what: asked.what.clone(), sql: self.query(&asked.table, &asked.value) }),
        );
        probes
    }

    /// Within WHERE, so that what is no value of one row (an aggregate, a set) is refused.
    fn query(&self, table: &Ident, value: &str) -> String {
        format!("SELECT FROM {} WHERE ROW({value}) IS NOT NULL", self.rows(table))
    }

    /// The table's rows with the columns that they will have.
    fn rows(&self, table: &Ident) -> String {
        let added = self.new_columns.iter().filter(|(of, ..)| of == table);
        let mut added: Vec<String> = added
            .map(|(_, column, data_type)| format!("CAST(NULL AS {}) AS {column}", plain_type(data_type)))
            .collect();
        let mark =
            self.touched.get(table).and_then(|touched| self.change(table, touched)).and_then(|change| change.mark);
        added.extend(mark.map(|mark| format!("CAST(NULL AS smallint) AS {mark}")));
        if self.made.contains_key(table) {
            return format!("(SELECT {}) AS {table}", added.join(", "));
        }
        let columns: Vec<String> = std::iter::once("base.*".to_owned()).chain(added).collect();
        format!("(SELECT {} FROM {} AS base) AS {table}", columns.join(", "), self.base(table))
    }
}

/// A type that a value can be cast to: `serial` and the like are not.
pub(super) fn plain_type(data_type: &str) -> &str {
    match data_type.to_ascii_lowercase().as_str() {
        "smallserial" | "serial2" => "smallint",
        "serial" | "serial4" => "integer",
        "bigserial" | "serial8" => "bigint",
        _ => data_type,
    }
}

/// A whole number's type as a sequence takes it.
pub(super) fn whole_type(data_type: &str) -> &str {
    match data_type.to_ascii_lowercase().as_str() {
        "int2" | "smallint" => "smallint",
        "int" | "int4" | "integer" => "integer",
        "int8" | "bigint" => "bigint",
        _ => data_type,
    }
}
