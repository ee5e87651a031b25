//! `[database]`: the schema that goes along with a release.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// The variable that holds the database's URL where the file names none.
pub const DEFAULT_URL_VARIABLE: &str = "DATABASE_URL";
/// The schema whose tables change where the file names none.
pub const DEFAULT_SCHEMA: &str = "public";

/// `[database]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// `url`: the variable of the revision's environment or secrets that holds the database's URL. Part of the revision.
    pub url: String,
    /// `schema`: whose tables change. Part of the revision.
    pub schema: String,
    /// Who makes the changes. Part of the revision.
    #[serde(flatten)]
    pub level: Level,
    /// `vouch`: migrations whose code somebody has read and answers for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vouch: Vec<String>,
    /// `lock_timeout`: how long a step may try for its locks.
    pub lock_timeout: Span,
    /// `backfill_timeout`: how long one table's rows, one index or one comparison may take.
    pub backfill_timeout: Span,
    /// `backfill_rate`: how many rows a second are brought in step at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfill_rate: Option<u32>,
    /// `backfill_lag`: how far a standby or subscriber may be behind before rows wait for it.
    #[serde(default = "default_lag")]
    pub backfill_lag: Span,
    /// `old_rows`: what a rule of the newer version means for rows of the older one.
    #[serde(default)]
    pub old_rows: OldRows,
    /// `quiet`: how long nothing of an older version may have been seen before contract.
    pub quiet: Span,
    /// `attic`: how long what contract took away can come back.
    pub attic: Span,
    /// `restore_point`: whether a named restore point is set before the switch.
    pub restore_point: bool,
    /// `backup`: what has to be well right before contract.
    pub backup: Option<Backup>,
    /// `[[database.invariant]]`.
    pub invariants: Vec<Invariant>,
}

/// How far a standby may be behind where the file says nothing.
pub const BACKFILL_LAG: Span = Span::from_secs(10);

fn default_lag() -> Span {
    BACKFILL_LAG
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

/// Who changes the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// `migrations`: Switchover itself, from files in this directory inside the revision.
    #[serde(rename = "migrations")]
    Files(PathBuf),
    /// The app's own framework, run from the new revision's directory.
    #[serde(rename = "framework")]
    Framework(Framework),
}

/// The app's own migration framework.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Framework {
    /// `framework = "django"`.
    Django {
        /// What its own words are put behind.
        command: String,
    },
    /// `framework = "alembic"`.
    Alembic {
        /// What its own words are put behind.
        command: String,
    },
    /// `commands`: any other.
    Commands(Commands),
}

/// `[database] commands`: all of them run by `/bin/sh -c` in the revision's directory, with its environment and secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commands {
    /// Prints the names of what is not carried out yet of the step in `SWITCHOVER_STEP`, one a line, in their order.
    pub status: String,
    /// Carries out what both revisions can live with.
    pub expand: String,
    /// Carries out what only the new one can live with.
    pub contract: Option<String>,
    /// Prints the SQL of the migration in `SWITCHOVER_MIGRATION`.
    pub sql: Option<String>,
}

impl Database {
    /// The directory of the migrations, where Switchover itself makes the changes.
    #[must_use]
    pub fn migrations(&self) -> Option<&Path> {
        match &self.level {
            Level::Files(migrations) => Some(migrations),
            Level::Framework(_) => None,
        }
    }

    /// The app's own framework, where that makes the changes.
    #[must_use]
    pub const fn framework(&self) -> Option<&Framework> {
        match &self.level {
            Level::Framework(framework) => Some(framework),
            Level::Files(_) => None,
        }
    }
}

/// `[database] backup`: a command that makes a backup, or looks whether there is a fresh one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Run by `/bin/sh -c` in the revision's directory with its environment and secrets.
    pub command: String,
    /// After it its process group is killed and it counts as failed.
    pub timeout: Span,
}

/// `[[database.invariant]]`: what must hold of the data, whichever version wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invariant {
    /// What people call it.
    pub name: String,
    /// Finds the rows that break it, the first column naming each: no rows means that it holds.
    pub query: String,
    /// How long the query may take.
    pub timeout: Span,
}
