//! The steps of a phase: what each one does, and the lock that an application can meet while it does.

use serde::{Deserialize, Serialize};

use super::Finding;
use crate::{Ident, IndexBuild, QualifiedName};

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
    /// Builds an index beside running writes, of a partitioned table partition by partition. What a broken-off build left is
    /// removed first.
    BuildIndex {
        /// The index.
        build: IndexBuild,
        /// Rows that a unique index refuses.
        breaks: Option<Finding>,
    },
    /// Takes an index away beside running statements, if it is there. One of a partitioned table that a constraint has stays,
    /// and goes with that: only the parts that it has not taken over yet go.
    DropIndex {
        /// The index.
        index: QualifiedName,
        /// Its table, where that is partitioned: the parts go with it, in a moment in which the table is locked.
        of: Option<QualifiedName>,
    },
    /// Makes a foreign key of a partitioned table: each partition is seen to hold it before the table takes it over.
    ForeignKey {
        /// The table.
        on: QualifiedName,
        /// The constraint.
        name: Ident,
        /// What `ADD CONSTRAINT` takes after the name.
        clause: String,
        /// Rows that refer to none.
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
    /// Sees that rows can have their values, before anything depends on it.
    Evaluate(Evaluate),
    /// Gives rows their new values in small batches.
    Backfill(Backfill),
    /// Finds no row, or the phase stops.
    Check(Finding),
}

/// Values that rows are to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluate {
    /// The table.
    pub table: QualifiedName,
    /// The values, as a list.
    pub values: String,
    /// Which rows are to have them.
    pub rows: String,
    /// What names a row for a person.
    pub key: String,
}

/// Rows to be brought in step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// The table.
    pub table: QualifiedName,
    /// Column = value, of the update.
    pub set: String,
    /// NULL in rows that are not in step yet.
    pub mark: Ident,
    /// Which rows are to do, where it is not those without a mark alone.
    #[serde(default)]
    pub only: Option<String>,
    /// The values that a row gets; nothing where one that can not have them is not looked for.
    #[serde(default)]
    pub values: Option<Evaluate>,
    /// About how many rows there are, where the database's statistics tell.
    pub rows: Option<u64>,
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
