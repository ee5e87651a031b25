//! The seam: what a journal is, whatever keeps it.

use async_trait::async_trait;
use switchover_model::record::{Draft, Record};
use switchover_model::{AppName, Problem};

use crate::chain::Verified;

/// Where an app's records are kept.
///
/// Flow: the controller reads an app once, then appends what it decides, each time with the last sequence it knows.
/// Guarantees: a batch is written whole and durably before `append` returns, or not at all; sequences have no gap; two
/// writers that expect the same sequence never both succeed.
/// Assumes: records are small (kilobytes), and one app's history fits in memory.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends `drafts` after record number `expected_sequence`, which must be the app's last (0: it has none).
    async fn append(&self, app: &AppName, expected_sequence: u64, drafts: &[Draft])
    -> Result<Vec<Record>, AppendError>;

    /// The app's first `limit` records with a sequence greater than `after_sequence`, in order; empty for an app that has
    /// none.
    ///
    /// Guarantees: each record that is returned is as it was written, and follows the one before it. Errors: the record
    /// that does not.
    async fn read(&self, app: &AppName, after_sequence: u64, limit: usize) -> Result<Vec<Record>, ReadError>;

    /// Gives a part of the space that is kept in reserve back to the disk, for who goes back and finds it full; false when
    /// there is none left. It is kept again when there is space.
    async fn give_space(&self) -> bool {
        false
    }

    /// Every app that has a record, by name.
    async fn apps(&self) -> Result<Vec<AppName>, ReadError>;

    /// Keeps `snapshot` in the place of an older one of the app.
    async fn store_snapshot(&self, app: &AppName, snapshot: Snapshot) -> Result<(), AppendError>;

    /// The app's snapshot, when it was made by exactly `program` and the chain still has the record it was made at.
    async fn snapshot(&self, app: &AppName, program: &str) -> Result<Option<Snapshot>, ReadError>;

    /// Walks the app's chain from its first record.
    async fn verify(&self, app: &AppName) -> Result<Verified, ReadError>;
}

/// A folded app: a shortcut for reading, never a truth of its own. A reader that can not parse it ignores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The version of the program that made it; another version does not use it.
    pub program: String,
    /// The last record folded into it.
    pub sequence: u64,
    /// The folded app, as text.
    pub state: String,
}

/// Why records were not appended. In each case none of the batch was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The app has other records than the caller thought: read again, decide again.
    #[error("the journal ends at record {found}, not {expected}")]
    Conflict {
        /// What the caller expected.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// No space; for what goes back also the reserve did not suffice.
    #[error("no space left on the disk of {directory}")]
    DiskFull {
        /// The state directory.
        directory: String,
    },
    /// The file can not be written.
    #[error("the journal can not be written: {0}")]
    NotWritable(String),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

impl AppendError {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Conflict { .. } => Problem::new(
                "JOURNAL-CONFLICT",
                format!("The app changed at the same moment: {self}."),
                "Send the command again.",
            ),
            Self::DiskFull { directory } => Problem::new(
                "DISK-FULL",
                format!("No space is left on the disk of {directory}; nothing was changed."),
                "Free space on that disk and send the command again; abort and rollback work meanwhile.",
            ),
            Self::NotWritable(why) => Problem::new(
                "STATE-NOT-WRITABLE",
                format!("The journal can not be written: {why}."),
                "Check the disk and the permissions of the state directory.",
            ),
            Self::Closed => shutting_down(),
        }
    }
}

/// Why records could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A record that this version does not understand.
    #[error("record {sequence} of {app} can not be understood: {why}")]
    Unreadable {
        /// The app.
        app: AppName,
        /// The record.
        sequence: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A record is not as it was written, or is missing.
    #[error("record {sequence} of {app} is broken: {what}")]
    Broken {
        /// The app.
        app: AppName,
        /// The record.
        sequence: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The file can not be read.
    #[error("the journal can not be read: {0}")]
    Failed(String),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

impl ReadError {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Unreadable { .. } => Problem::new(
                "JOURNAL-UNREADABLE",
                format!("{self}."),
                "Use the version of Switchover that wrote it, or a newer one; other apps are not affected.",
            ),
            Self::Broken { .. } => Problem::new(
                "JOURNAL-UNREADABLE",
                format!("The journal does not hold together: {self}."),
                "Restore the state directory from a backup; nothing is decided on a broken journal. Other apps are not affected.",
            ),
            Self::Failed(why) => Problem::new(
                "STATE-NOT-READABLE",
                format!("The journal can not be read: {why}."),
                "Check the disk and the permissions of the state directory.",
            ),
            Self::Closed => shutting_down(),
        }
    }
}

fn shutting_down() -> Problem {
    Problem::new("SHUTTING-DOWN", "The daemon is shutting down.", "Start it again and send the command again.")
}
