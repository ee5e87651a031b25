//! What a traffic measures of the requests that it leads to a slot: what checks rest on.

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;
use crate::name::{ProcessName, RevisionId};
use crate::time::Timestamp;

/// A reading of all that is measured of one app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// When it was read.
    pub at: Timestamp,
    /// Counts of one epoch only rise. Another epoch began at nothing, so two readings of one epoch can be subtracted.
    pub epoch: u64,
    /// By arm; one that is not named had no request.
    pub arms: Vec<ArmMeasured>,
}

/// What one arm of the traffic did in one process type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmMeasured {
    /// Who it was led to.
    pub revision: RevisionId,
    /// The process type that had the path.
    pub process: ProcessName,
    /// Why it was led there.
    pub part: Part,
    /// Requests that ended with an answer of the app, by class of status: 1xx to 5xx.
    pub answered: [u64; 5],
    /// Requests that ended without a whole answer of the app, by its fault: it could not be reached, did not answer in time,
    /// broke off or answered what is no HTTP.
    pub failed: u64,
    /// Requests whose client went away before the end.
    pub aborted: u64,
    /// Upgraded connections opened.
    pub upgrades_opened: u64,
    /// Upgraded connections that were cut by the router, after a switch.
    pub upgrades_cut: u64,
    /// Different clients, as the split tells them apart.
    pub clients: u64,
    /// Time from the whole request head to the end of the answer, of those answered and failed, in microseconds.
    pub latency: Histogram,
}

/// Why a request was led to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// By the slot's share.
    Share,
    /// By the live slot's share, counted apart: a group as large as the new slot's, to be compared with it.
    Baseline,
    /// By a match, whatever the shares.
    Matched,
}

impl ArmMeasured {
    /// Requests that ended, but for those that their client left.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.answered.iter().fold(self.failed, |sum, count| sum.saturating_add(*count))
    }

    /// Of them, those that are errors: 5xx and without a whole answer.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.answered[4].saturating_add(self.failed)
    }
}
