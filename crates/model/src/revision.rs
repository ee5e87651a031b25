//! A revision: the immutable content of a slot.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::{Handover, Health, Stop};
use crate::name::{Host, ProcessName, RevisionId};
use crate::time::Timestamp;

/// SHA-256 of a content, as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl Digest {
    /// The first 12 digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a revision's artifact comes from. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Source {
    /// The app's directory: its git-tracked files (or `[build] source`) are copied, then `[build] command` runs in the copy.
    Directory {
        /// The directory that holds `switchover.toml`.
        path: PathBuf,
    },
    /// `--artifact PATH`: a directory or a `.tar`, `.tar.gz` or `.tgz`, taken as it is; no build command runs.
    Artifact {
        /// The directory or archive.
        path: PathBuf,
    },
    /// An earlier revision of the app, sealed already.
    Revision {
        /// Which one.
        id: RevisionId,
    },
}

/// How one process type of a revision is run. Part of the revision: it comes back with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionProcess {
    /// Run by `/bin/sh -c` in the revision's directory.
    pub command: String,
    /// How its health is asked; for a worker: nothing, it is healthy when it stays up.
    pub health: Option<Health>,
    /// How it is stopped.
    pub stop: Stop,
    /// How the work of a worker moves with the switch; nothing for a routed process.
    pub handover: Option<Handover>,
}

/// What a revision needs of the database's schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionSchema {
    /// Its migrations, oldest first.
    pub migrations: Vec<MigrationId>,
    /// The schema its instances see: that of its newest migration, where one of them declares operations; else the one
    /// whose tables change.
    pub version: String,
    /// The schema whose tables change.
    pub schema: String,
    /// The variable that holds the database's URL.
    pub url: String,
}

impl RevisionSchema {
    /// Its migrations after `baseline`, up to which the database counts as it was found.
    #[must_use]
    pub fn after(&self, baseline: Option<&str>) -> &[MigrationId] {
        let place = baseline.and_then(|name| self.migrations.iter().position(|id| id.name == name));
        place.map_or(&self.migrations[..], |place| &self.migrations[place + 1..])
    }
}

/// One migration of a revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MigrationId {
    /// The file's name without its ending.
    pub name: String,
    /// SHA-256 of what it says.
    pub checksum: String,
}

/// What a revision is, apart from its bytes; journaled when it is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// `r1`, `r2`, … per app.
    pub id: RevisionId,
    /// Digest of the sealed tree.
    pub artifact: Digest,
    /// Digest over the names and values of `[env]` and `--env`; the values are sealed beside the tree.
    pub env: Digest,
    /// Digest of the secrets file's content, when there is one.
    pub secrets: Option<Digest>,
    /// Its process types.
    pub processes: BTreeMap<ProcessName, RevisionProcess>,
    /// First host of the app when it was sealed: what a health probe says in `Host`.
    pub probe_host: Option<Host>,
    /// Paths that are shared by all revisions.
    pub shared: Vec<PathBuf>,
    /// What it needs of the database's schema; nothing when it has no database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<RevisionSchema>,
    /// Where it came from.
    pub source: Source,
    /// When it was sealed.
    pub sealed_at: Timestamp,
}

impl Revision {
    /// Whether `other` would run exactly the same: same artifact, environment, secrets and process types.
    #[must_use]
    pub fn is_same_content(&self, other: &Self) -> bool {
        self.artifact == other.artifact
            && self.env == other.env
            && self.secrets == other.secrets
            && self.processes == other.processes
            && self.shared == other.shared
            && self.probe_host == other.probe_host
            && self.schema == other.schema
    }
}
