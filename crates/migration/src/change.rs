//! What keeps the columns of two versions of a table in step: the values that each side's writes give the other's.
//!
//! Who wrote a row is told by the row itself, never by a setting of the session. A column that only the newer version
//! has carries a default that leaves a trace when it is evaluated: an insert that left the column out came from an older
//! version. The newer version's view has defaults of its own, so its inserts never evaluate that one. Of an update the
//! columns that changed tell. So a write counts for its version whatever the session's `search_path` is, by qualified
//! names, out of functions, and by `COPY`.
//!
//! One thing a row can not tell: who changed a column that both versions have. A value that is taken from such a column
//! goes on following it as long as it does follow it; one that its own version gave another value is left alone.

mod agreement;
mod functions;
mod triggers;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Expression, Ident, Literal};

pub use functions::{BACKFILL_SETTING, FUNCTIONS, make_older_writes, older_writes};
pub(crate) use functions::{drop_version, note_view};
pub(crate) use triggers::triggers;

/// The columns of one table that one migration keeps in step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChange {
    /// The migration's number; later ones stand on earlier ones.
    pub number: u32,
    /// The table's name in the database.
    pub table: Ident,
    /// Our column that says whether a row has its new values: NULL where it has not. Nothing where no row needs any.
    pub mark: Option<Ident>,
    /// The newer version's columns, from the older one's row.
    pub forward: Vec<Assignment>,
    /// The older version's columns, from the newer one's row.
    pub backward: Vec<Assignment>,
    /// Older versions' columns that none of their inserts can leave out, so that a row without them is the newer one's.
    pub fill: Vec<Assignment>,
    /// Older versions' columns that newer versions' inserts leave out and older ones' may: the newer versions' views leave
    /// a trace in their place.
    #[serde(default)]
    pub left: Vec<Assignment>,
    /// The database's columns that both versions have.
    #[serde(default)]
    pub shared: BTreeSet<Ident>,
    /// What an older version's insert leaves behind; names the change for good, whatever its table is called later.
    #[serde(default)]
    pub trace: String,
}

/// A column's value as the other side's row gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The column that gets it, by its name in the database.
    pub column: Ident,
    /// Its type.
    pub data_type: String,
    /// The value, in the names of the version it is taken from.
    pub expression: String,
    /// Those names, to the database's.
    pub names: BTreeMap<Ident, Ident>,
}

impl Assignment {
    fn parsed(&self) -> Expression {
        Expression::parse(&self.expression).expect("it was parsed when the change was planned")
    }

    /// The value, with columns as `row` names them.
    fn value(&self, row: &str) -> String {
        let columns = self.parsed().with_columns(&|name| self.names.get(name).map(|name| format!("{row}{name}")));
        format!("CAST(({columns}) AS {})", self.data_type)
    }

    /// The database's columns that it is taken from.
    pub(crate) fn sources(&self) -> BTreeSet<Ident> {
        self.parsed().columns().iter().filter_map(|name| self.names.get(name).cloned()).collect()
    }

    /// Those of them that one side alone has, and those that both have.
    fn sources_by_side(&self, shared: &BTreeSet<Ident>) -> (BTreeSet<Ident>, BTreeSet<Ident>) {
        self.sources().into_iter().partition(|source| !shared.contains(source))
    }
}

impl TableChange {
    /// What an update of a batch of rows sets, for rows that no write has brought in step yet.
    #[must_use]
    pub fn backfill(&self) -> String {
        let mut set: Vec<String> = self
            .forward
            .iter()
            .map(|assignment| format!("{} = {}", assignment.column, self.of_row(assignment)))
            .collect();
        set.extend(self.mark.iter().map(|mark| format!("{mark} = 1")));
        set.join(", ")
    }

    /// A value with its columns named by their table, so that none is taken for one of a query within it.
    pub(crate) fn of_row(&self, assignment: &Assignment) -> String {
        assignment.value(&format!("{}.", self.table))
    }

    /// The newer versions' values of a row, as a list.
    pub(crate) fn newer_values(&self) -> String {
        self.forward.iter().map(|assignment| self.of_row(assignment)).collect::<Vec<_>>().join(", ")
    }
    /// The default that tells an older version's insert.
    pub(crate) fn telling_default(&self, data_type: &str) -> String {
        format!("CAST(switchover.left_out({}) AS {data_type})", Literal(&self.trace()))
    }

    fn trace(&self) -> String {
        if self.trace.is_empty() { format!(":{}:", self.number) } else { self.trace.clone() }
    }

    /// Columns that only versions with the change write.
    fn newer_columns(&self) -> BTreeSet<Ident> {
        self.forward.iter().map(|assignment| assignment.column.clone()).collect()
    }

    /// All of the older version's values.
    pub(crate) fn of_older(&self) -> impl Iterator<Item = &Assignment> {
        self.backward.iter().chain(&self.fill).chain(&self.left)
    }

    /// Columns of the change that only older versions write.
    fn older_columns(&self) -> BTreeSet<Ident> {
        let kept = self.of_older().map(|assignment| assignment.column.clone());
        let read = self.forward.iter().flat_map(|assignment| assignment.sources_by_side(&self.shared).0);
        kept.chain(read).collect()
    }
}

/// The trace of a migration's change of a table.
pub(crate) fn trace(number: u32, table: &Ident) -> String {
    format!(":{number} {table}:")
}

/// Whether two values are the same to the byte: `=` of a type may not exist (json, xml, point) and may hold for values that
/// differ to an application (citext, numeric, box).
fn same(one: &str, other: &str) -> String {
    format!("ROW({one})::record OPERATOR(pg_catalog.*=) ROW({other})::record")
}
