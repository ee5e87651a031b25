//! `[database]`: the schema that goes along with a release.

use std::path::PathBuf;

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
    /// `migrations`: the directory of the migrations, inside the revision. Part of the revision.
    pub migrations: PathBuf,
    /// `lock_timeout`: how long a step may try for its locks.
    pub lock_timeout: Span,
    /// `backfill_timeout`: how long one table's rows, one index or one comparison may take.
    pub backfill_timeout: Span,
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
