//! The seam to the database's schema: what it shall serve, and what is seen of it.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::config::Database;
use crate::framework::{Pending, Placed};
use crate::name::{AppName, ReleaseId, RevisionId};
use crate::problem::Problem;
use crate::revision::{MigrationId, RevisionSchema};
use crate::seam::SeamError;
use crate::time::Timestamp;

// === What shall be true ===

/// What the schema shall serve, as decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "goal", rename_all = "kebab-case")]
pub enum SchemaGoal {
    /// What `revision` needs is there, and what those `beside` it need stays. What none of them needs is taken back.
    Serve {
        /// The release that asks.
        release: ReleaseId,
        /// The revision that shall be able to run.
        revision: RevisionId,
        /// The revisions that go on meanwhile: the live one, and one that is kept warm.
        beside: Vec<RevisionId>,
    },
    /// What only other revisions than this one needed goes to the attic.
    Leave {
        /// The release that asks.
        release: ReleaseId,
        /// The only revision that is left.
        revision: RevisionId,
    },
    /// What keeps `revision`'s version in step is detached first of all: it stands in the way of `beside`.
    Detach {
        /// The release that is undone.
        release: ReleaseId,
        /// Its revision.
        revision: RevisionId,
        /// The revision that gets the traffic back.
        beside: RevisionId,
    },
}

impl SchemaGoal {
    /// The release that asks.
    #[must_use]
    pub const fn release(&self) -> ReleaseId {
        match self {
            Self::Serve { release, .. } | Self::Leave { release, .. } | Self::Detach { release, .. } => *release,
        }
    }
}

/// [`SchemaGoal`] with what it takes to carry it out.
#[derive(Debug, Clone)]
pub struct SchemaOrder {
    /// What was decided.
    pub goal: SchemaGoal,
    /// What the goal's revision needs.
    pub wanted: RevisionSchema,
    /// Its migrations' files, oldest first.
    pub files: Vec<MigrationFile>,
    /// What the revisions beside it need.
    pub beside: Vec<RevisionSchema>,
}

/// One file of a migration as it lies in a sealed revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationFile {
    /// Its name, with its ending.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// Where the schema is, and how it is treated. The URL is a secret: it is shown by nobody.
#[derive(Clone)]
pub struct SchemaPlace {
    /// The app.
    pub app: AppName,
    /// The database's URL.
    pub url: String,
    /// The app's rules.
    pub rules: Database,
    /// Rises with each controller that works: what an older one begins is refused.
    pub epoch: u64,
    /// Whether the app's invariants are to be asked: a release is on its way.
    pub asks: bool,
}

impl fmt::Debug for SchemaPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaPlace").field("app", &self.app).field("rules", &self.rules).finish_non_exhaustive()
    }
}

// === What is seen ===

/// The schema of an app's database in one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SchemaSeen {
    /// When this was seen.
    pub at: Timestamp,
    /// The migrations that the database knows, oldest first; those that were taken back are left out.
    pub migrations: Vec<MigrationSeen>,
    /// The schemas through which it can be used, oldest first.
    pub versions: Vec<String>,
    /// Sessions on each of them, as far as they can be told.
    pub sessions: BTreeMap<String, u64>,
    /// Since when it is looked at without a gap: of before nothing is known.
    pub watched_since: Option<Timestamp>,
    /// When each version was seen in use last, by a session or a write.
    pub used: BTreeMap<String, Timestamp>,
    /// When a session of each revision was seen last.
    pub used_by: BTreeMap<RevisionId, Timestamp>,
    /// The migration up to which, itself too, the database counts as it was found.
    pub baseline: Option<String>,
    /// What is being done.
    pub doing: Option<SchemaWork>,
    /// The last goal that could not be reached, and why.
    pub failed: Option<SchemaFailure>,
    /// The app's invariants as they were found last.
    pub invariants: Vec<InvariantSeen>,
    /// Named restore points that were set, by release.
    pub restore_points: BTreeMap<ReleaseId, RestorePoint>,
    /// What is in the attic, and until when it can come back.
    pub attic: Vec<AtticSeen>,
    /// What the app's own framework has still to do for the live revision, by the journal; nothing where it changes no schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<FrameworkSeen>,
}

/// An app's own framework by its runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameworkSeen {
    /// The revision that it was run for.
    pub revision: RevisionId,
    /// What waits for the contract.
    pub waiting: Vec<String>,
    /// What was contracted, or begun to be, so far.
    pub contracted: Vec<String>,
}

/// A migration that the database knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationSeen {
    /// Which one.
    #[serde(flatten)]
    pub id: MigrationId,
    /// How far it is.
    pub phase: MigrationPhase,
}

/// How far a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationPhase {
    /// Expand was begun.
    Expanding,
    /// Both versions can be used.
    Expanded,
    /// Both are there, and what keeps them in step is detached.
    Detached,
    /// Contract was begun.
    Contracting,
    /// Only the newer version is left.
    Contracted,
    /// It is being taken back.
    Undoing,
}

/// What is being done to the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaWork {
    /// The goal.
    pub goal: SchemaGoal,
    /// The step, for people.
    pub step: String,
    /// Rows brought in step so far; nothing when it is no backfill.
    pub rows: Option<RowsDone>,
    /// Sessions that hold it up, for people.
    pub blockers: Vec<String>,
}

/// How many rows were brought in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsDone {
    /// So many.
    pub rows: u64,
    /// Of about so many; nothing where the database's statistics do not tell.
    pub of: Option<u64>,
}

impl fmt::Display for RowsDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            Some(of) => write!(f, "{} rows of about {of}", self.rows),
            None => write!(f, "{} rows", self.rows),
        }
    }
}

/// A goal that could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaFailure {
    /// The goal.
    pub goal: SchemaGoal,
    /// Why.
    pub problem: Problem,
}

/// An invariant as it was found last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvariantSeen {
    /// Its name.
    pub name: String,
    /// When it was asked.
    pub at: Timestamp,
    /// What came of it.
    pub found: Found,
}

/// What came of an invariant's query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "kebab-case")]
pub enum Found {
    /// It holds.
    Holds,
    /// These rows break it.
    Broken {
        /// Their keys, the first ones.
        keys: Vec<String>,
    },
    /// It could not be asked.
    Unknown {
        /// Why.
        why: String,
    },
}

/// A named restore point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePoint {
    /// Its name.
    pub name: String,
    /// Its place in the write-ahead log; nothing when the server did not let us set one.
    pub lsn: Option<String>,
    /// Why there is none.
    pub why_not: Option<String>,
}

/// What a contracted migration left in the attic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtticSeen {
    /// The migration.
    pub migration: String,
    /// Until when it can come back at least, in UTC (RFC 3339).
    pub until: String,
}

// === The trait ===

/// The database's schema.
#[async_trait]
pub trait Schema: Send + Sync {
    /// What is there, what is being done, and what failed.
    ///
    /// Flow: called before each decision of an app with a database. Guarantees: changes nothing; a database that can not
    /// be asked is `Unreachable`. Assumes: bounded by the caller's time-out.
    async fn observe(&self, place: &SchemaPlace) -> Result<SchemaSeen, SeamError>;

    /// Begins to make the goal true, and returns when that has begun.
    ///
    /// Flow: called for each `Action::Schema`. Guarantees: repeating it changes nothing; another goal than the one in
    /// work stops that politely, between two steps, and begins anew; what fails for good is in [`SchemaSeen::failed`].
    async fn ensure(&self, place: &SchemaPlace, order: &SchemaOrder) -> Result<(), SeamError>;

    /// Which step of a release takes each of these migrations of the app's own framework, while another revision goes on
    /// with the database. Changes nothing.
    ///
    /// Errors: what fits no step, with how to write it.
    async fn place(&self, place: &SchemaPlace, pending: &[Pending]) -> Result<Placed, Problem> {
        let _ = (place, pending);
        Ok(Placed::default())
    }

    /// Stops what is being done politely, between two steps: what was done stays, noted.
    async fn rest(&self, app: &AppName) -> Result<(), SeamError>;

    /// Sets the restore point of `release`, once.
    async fn mark(&self, place: &SchemaPlace, release: ReleaseId) -> Result<(), SeamError>;
}
