//! From declared operations to phases of statements: what makes the new version beside the old one (*expand*), what
//! takes the old one away once nobody is left on it (*contract*), and what takes the new one back (*undo*).

mod add_column;
mod alter_column;
mod carry;
mod constraints;
mod contract;
mod detach;
mod expand;
mod indexes;
mod meaning;
mod probe;
mod purge;
mod renaming;
mod restore;
mod restore_carried;
pub(crate) mod sql;
mod standing;
mod tables;
mod undo;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use switchover_model::Problem;

use crate::catalog::{Catalog, Table};
use crate::change::TableChange;
use crate::version::{Version, VersionTable};
use crate::{Expression, Ident, QualifiedName};

pub use contract::plan_contract;
pub use detach::{out_of_step, plan_attach, plan_detach};
pub use expand::{plan_expand, version_step};
pub use meaning::{Meaning, meaning};
pub use probe::{Probe, plan_probes};
pub use purge::plan_purge;
pub use restore::{FUNCTIONS as RESTORE_FUNCTIONS, Kept, kept, plan_restore};
pub use sql::{Hidden, SESSION_PATH, STATEMENT, Standing, standing, with_what_came};
pub use undo::plan_undo;

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

/// What becomes of an older version's value that only a rule of the newer one forbids, until contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OldRows {
    /// It is refused: the rule holds for both versions from expand on, and copies no column.
    #[default]
    Refuse,
    /// It is accepted, and its row holds contract up until it is mended. The newer version writes to columns of its own.
    Accept,
}

/// A migration as it was planned: all that contract and undo need to know of it. Kept in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its number.
    pub number: u32,
    /// What it leads to.
    pub version: Version,
    /// What it begins with.
    #[serde(default)]
    pub before: Version,
    /// What it keeps in step.
    pub changes: Vec<TableChange>,
    /// What it made and what contract has to do, in order.
    pub pieces: Vec<Piece>,
}

impl Planned {
    /// The tables that it keeps in step or that `table_of` finds in its pieces, each once.
    fn tables<'a>(&'a self, table_of: impl Fn(&'a Piece) -> Option<&'a Ident>) -> BTreeSet<&'a Ident> {
        self.pieces.iter().filter_map(table_of).chain(self.changes.iter().map(|change| &change.table)).collect()
    }

    /// What other migrations keep in step on `table`.
    fn others_of(&self, table: &Ident, active: &[TableChange]) -> Vec<TableChange> {
        active.iter().filter(|other| other.table == *table && other.number != self.number).cloned().collect()
    }

    /// `catalog` as it will be once everything of this is made.
    #[must_use]
    pub fn made_in(&self, catalog: &Catalog) -> Catalog {
        let mut after = catalog.clone();
        let mut add = |table: &Ident, column: &Ident| {
            if let Some(table) = after.tables.get_mut(table) {
                table.columns.push(crate::catalog::TableColumn {
                    name: column.clone(),
                    data_type: String::new(),
                    nullable: true,
                    default: None,
                    generated: false,
                    computed: false,
                    comment: None,
                    statistics_target: None,
                    options: None,
                    granted: false,
                    sequence: None,
                });
            }
        };
        for change in &self.changes {
            change.mark.iter().for_each(|mark| add(&change.table, mark));
        }
        for piece in &self.pieces {
            match piece {
                Piece::MadeColumn { table, column, .. } | Piece::ReplacedColumn { table, new: column, .. } => {
                    add(table, column);
                }
                Piece::MadeTable { .. }
                | Piece::MadeConstraint { .. }
                | Piece::NewerRule { .. }
                | Piece::MadeIndex { .. }
                | Piece::Settings { .. }
                | Piece::DroppedColumn { .. }
                | Piece::DroppedTable { .. }
                | Piece::DroppedConstraint { .. }
                | Piece::DroppedIndex { .. }
                | Piece::RenamedIndex { .. }
                | Piece::ReplacedStatistics { .. }
                | Piece::MovedSequence { .. }
                | Piece::MadeKey { .. }
                | Piece::RenamedColumn { .. }
                | Piece::RenamedTable { .. }
                | Piece::Sql { .. }
                | Piece::RenamedConstraint { .. }
                | Piece::SetReplicaIdentity { .. } => {}
            }
        }
        after
    }
}

/// One thing that a migration made, by its names in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "piece", rename_all = "kebab-case")]
pub enum Piece {
    /// A table that no older version knows.
    MadeTable {
        /// Its name.
        table: Ident,
    },
    /// A column that no older version knows.
    MadeColumn {
        /// Its table.
        table: Ident,
        /// The column.
        column: Ident,
        /// Its default once only newer versions are left.
        default: Option<String>,
        /// The check that stands for NOT NULL until then.
        not_null: Option<Ident>,
    },
    /// A column in the place of another one, which older versions go on with.
    ReplacedColumn {
        /// Their table.
        table: Ident,
        /// The older versions' column.
        old: Ident,
        /// The newer versions' column.
        new: Ident,
        /// Its default once only newer versions are left.
        default: Option<String>,
        /// The check that stands for NOT NULL until then.
        not_null: Option<Ident>,
        /// Its comment.
        comment: Option<String>,
    },
    /// A check, complete on all rows.
    MadeConstraint {
        /// Its table.
        table: Ident,
        /// The constraint.
        constraint: Ident,
        /// The column that becomes NOT NULL in its place.
        not_null: Option<Ident>,
    },
    /// A check that binds rows of the newer version alone, until contract makes it one of all rows.
    NewerRule {
        /// Its table.
        table: Ident,
        /// The check until contract.
        until: Ident,
        /// The check from then on.
        constraint: Ident,
        /// What has to hold, in the names before contract.
        condition: String,
    },
    /// An index.
    MadeIndex {
        /// The index.
        index: Ident,
    },
    /// A default or comment that newer versions see through their view.
    Settings {
        /// The table.
        table: Ident,
        /// The column.
        column: Ident,
        /// Its default from contract on; `Some(None)` takes it away.
        default: Option<Option<String>>,
        /// Its comment from contract on.
        comment: Option<Option<String>>,
    },
    /// A column that newer versions do not know.
    DroppedColumn {
        /// Its table.
        table: Ident,
        /// The column.
        column: Ident,
    },
    /// A table that newer versions do not know.
    DroppedTable {
        /// The table.
        table: Ident,
    },
    /// A constraint that newer versions do without.
    DroppedConstraint {
        /// Its table.
        table: Ident,
        /// The constraint.
        constraint: Ident,
        /// What made it, without its name.
        definition: String,
    },
    /// An index that newer versions do without.
    DroppedIndex {
        /// The index.
        index: Ident,
        /// What made it.
        definition: String,
    },
    /// An index that gets another name once the index that has it is gone.
    RenamedIndex {
        /// Its name until contract.
        from: Ident,
        /// Its name from then on.
        to: Ident,
    },
    /// Extended statistics in the place of others.
    ReplacedStatistics {
        /// Their table.
        table: Ident,
        /// The older versions'.
        old: QualifiedName,
        /// The newer versions', under a name of ours until contract.
        new: QualifiedName,
    },
    /// A primary key that contract makes of an index.
    MadeKey {
        /// Its table.
        table: Ident,
        /// Its name.
        constraint: Ident,
        /// The index.
        index: Ident,
        /// `DEFERRABLE` and the like, or nothing.
        deferral: String,
    },
    /// A sequence that goes over to the column that takes the place of its own.
    MovedSequence {
        /// The table.
        table: Ident,
        /// The column, by its name after contract.
        column: Ident,
        /// The sequence.
        sequence: QualifiedName,
        /// Its type from contract on, where the column's can be one.
        data_type: Option<String>,
    },
    /// A constraint that gets another name.
    RenamedConstraint {
        /// Its table.
        table: Ident,
        /// Its name until contract.
        from: Ident,
        /// Its name from then on.
        to: Ident,
    },
    /// By what the table's rows are known to subscribers from contract on.
    SetReplicaIdentity {
        /// The table.
        table: Ident,
        /// As `REPLICA IDENTITY` takes it.
        identity: String,
    },
    /// A column that newer versions call otherwise.
    RenamedColumn {
        /// Its table.
        table: Ident,
        /// Its name until contract.
        from: Ident,
        /// Its name from then on.
        to: Ident,
    },
    /// A table that newer versions call otherwise.
    RenamedTable {
        /// Its name until contract.
        from: Ident,
        /// Its name from then on.
        to: Ident,
    },
    /// Statements of the user's own.
    Sql {
        /// What they are.
        up: String,
        /// What takes them back.
        down: Option<String>,
        /// In contract and not in expand.
        on_complete: bool,
        /// What was there before them and is not of the version.
        hidden: Hidden,
        /// The version's schema.
        version_schema: Ident,
    },
}

/// One step of a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it does, in a few words; unlike every other step's of its phase.
    pub name: String,
    /// The strongest lock it takes, and on what; nothing when it takes none that an application could meet.
    pub lock: Option<(Lock, QualifiedName)>,
    /// The work.
    pub work: Work,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Statements of one transaction, which also notes that they are done.
    Together(Vec<String>),
    /// Builds an index beside running writes; what a broken-off build left is removed first.
    Concurrently {
        /// The statement.
        sql: String,
        /// The index it builds.
        index: QualifiedName,
        /// Rows that a unique index refuses.
        #[serde(default)]
        breaks: Option<Finding>,
    },
    /// A statement that can share no transaction and can be given again, such as `VACUUM`.
    Alone {
        /// The statement.
        sql: String,
        /// Where names without a schema are looked for first.
        schema: Ident,
    },
    /// Sees that a constraint holds for all rows.
    Validate {
        /// The statement.
        sql: String,
        /// Rows for which it does not.
        breaks: Option<Finding>,
    },
    /// Gives rows their new values in small batches.
    Backfill(Backfill),
    /// Finds no row, or the phase stops.
    Check(Finding),
}

/// A query for rows that stand in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The query; the first column of what it finds names the row.
    pub query: String,
    /// What a row that it finds means.
    pub means: String,
}

/// Rows to be brought in step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// The table.
    pub table: QualifiedName,
    /// Its primary key's columns in order.
    pub key: Vec<Ident>,
    /// Column = value, of the update.
    pub set: String,
    /// NULL in rows that are not in step yet.
    pub mark: Ident,
    /// Which rows are to do, where it is not those without a mark alone.
    #[serde(default)]
    pub only: Option<String>,
    /// About how many rows there are.
    pub rows: u64,
}

impl Backfill {
    /// Holds for a row that is still to do.
    #[must_use]
    pub fn is_to_do(&self) -> String {
        self.only.as_ref().map_or_else(|| format!("{} IS NULL", self.mark), |only| format!("({only})"))
    }
}

/// The locks of a table that an application can meet (PostgreSQL, 13.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lock {
    /// Neither reads nor writes wait; other schema changes do.
    ShareUpdateExclusive,
    /// Writes wait.
    ShareRowExclusive,
    /// Reads and writes wait.
    AccessExclusive,
}

impl Lock {
    /// As the database calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }
}

impl<'a> Ground<'a> {
    fn table(&self, name: &Ident) -> Result<(&'a VersionTable, &'a Table), Problem> {
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

    fn column(&self, table: &Ident, column: &Ident) -> Result<Ident, Problem> {
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

fn nearest<'a>(name: &Ident, known: impl Iterator<Item = &'a Ident>) -> Option<&'a Ident> {
    let distance = |other: &Ident| strsim::damerau_levenshtein(name.as_str(), other.as_str());
    known.map(|other| (distance(other), other)).filter(|(distance, _)| *distance <= 2).min().map(|(_, other)| other)
}

/// Refuses an expression with a name that may be a column of the row or of a query within: which one is not told by it.
fn refuse_unsure<'a>(table: &Ident, expressions: impl IntoIterator<Item = &'a Expression>) -> Result<(), Problem> {
    let unsure = expressions.into_iter().flat_map(Expression::unsure).next();
    unsure.map_or(Ok(()), |name| {
        let cause = format!("{name} in an expression with a query in it may be a column of {table} or of that query.");
        Err(Problem::new("NAME-UNSURE", cause, format!("Write which table it is of, such as {table}.{name}.")))
    })
}

/// Refuses a query within a check: the database takes none there.
fn refuse_query(check: &Ident, expression: &Expression) -> Result<(), Problem> {
    if !expression.has_query() {
        return Ok(());
    }
    let cause = format!("check {check} holds a query, and a check sees nothing but its row.");
    Err(Problem::new("EXPRESSION-WRONG", cause, "Say it with the row's own columns, or with a foreign or unique key."))
}

/// What names a row of the table for a person: its primary key, else where it is.
fn key_of(table: &Table) -> String {
    let key: Vec<String> = table.primary_key.iter().map(|column| format!("{column}::text")).collect();
    if key.is_empty() { "ctid::text".to_owned() } else { format!("concat_ws(', ', {})", key.join(", ")) }
}

/// A name of ours for a column, check or the like that stands in for one of the app's until contract.
fn ours(number: u32, name: &Ident) -> Ident {
    name.prefixed(&format!("{}{number}_", crate::version::OURS))
}

/// The name under which what contract or undo takes away is kept.
fn attic(number: u32, name: &Ident) -> Ident {
    name.prefixed(&attic_prefix(number))
}

/// Our column that is NULL in rows that were made after contract.
fn kept_mark(number: u32) -> Ident {
    ours(number, &Ident::new("kept").expect("a name"))
}

fn attic_prefix(number: u32) -> String {
    format!("{}attic_{number}_", crate::version::OURS)
}

/// The statements that keep a table under a name of ours, its indexes too, and without its ties to other tables.
fn put_table_aside(number: u32, on: &QualifiedName, table: &Ident) -> Vec<String> {
    let (whole, prefix) = (on.to_string(), attic_prefix(number));
    vec![
        format!("SELECT switchover.set_apart({}, {})", crate::Literal(&whole), crate::Literal(&prefix)),
        format!("ALTER TABLE {on} RENAME TO {}", attic(number, table)),
    ]
}
