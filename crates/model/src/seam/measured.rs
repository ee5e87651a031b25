//! What a traffic measures of the requests that it leads to a slot: how well it does now.

use serde::{Deserialize, Serialize};

use super::{ClientGroups, GoalsMeasured};
use crate::histogram::Histogram;
use crate::name::{ProcessName, RevisionId, Share};
use crate::time::Timestamp;

/// A reading of all that is measured of one app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// When it was read.
    pub at: Timestamp,
    /// Counts of one epoch only rise, so two readings of it can be subtracted. Another one is told when counts began at
    /// nothing: all of them, or those of one arm that came back while the others went on.
    pub epoch: u64,
    /// The version of the routes in force that clients are counted for; nothing while there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// By arm; one that is not named had no request. One that left the traffic and has nothing in flight any more is named
    /// no longer; should it come back, the epoch is another one.
    pub arms: Vec<ArmMeasured>,
    /// What was counted for an experiment; nothing where none is in the routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goals: Option<GoalsMeasured>,
    /// Who came to the split by shares that is in the routes; nothing where there is none, or clients are not told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitSeen>,
}

/// Who came to a split, as the shares in force deal them.
///
/// A client counts from its first request on, for as long as the same revisions share the traffic, whatever their shares are
/// meanwhile and whether it comes again: on the side that it was led to, or that it has now. So nobody who has seen on which
/// side he is can change the ratio by coming again or staying away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitSeen {
    /// When who counts it began, in microseconds since 1970: whoever came earlier is not in it.
    pub since: u64,
    /// What clients are dealt by: another number means that each may be on another side. Zero where a router does not tell.
    #[serde(default)]
    pub key: u64,
    /// Each revision with a share, the newest first; nobody while that changes.
    pub sides: Vec<SplitSide>,
}

/// Who came to one side of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitSide {
    /// Who has it.
    pub revision: RevisionId,
    /// Its share.
    pub share: Share,
    /// Different clients, as the split tells them apart, of 10,000 buckets; but for those that a rule led.
    pub clients: u64,
}

impl SplitSeen {
    /// How many came to this revision's side.
    #[must_use]
    pub fn clients(&self, revision: RevisionId) -> u64 {
        self.sides.iter().find(|side| side.revision == revision).map_or(0, |side| side.clients)
    }

    /// The share of this revision.
    #[must_use]
    pub fn share(&self, revision: RevisionId) -> Share {
        self.sides.iter().find(|side| side.revision == revision).map_or(Share::NONE, |side| side.share)
    }
}

impl Measured {
    /// What one arm did; nothing when it had no request.
    #[must_use]
    pub fn arm(&self, revision: RevisionId, process: &ProcessName, part: Part) -> Option<&ArmMeasured> {
        self.arms.iter().find(|arm| (arm.revision, &arm.process, arm.part) == (revision, process, part))
    }
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
    /// Requests whose client went away before the end, or broke off its own request.
    pub aborted: u64,
    /// Upgraded connections opened.
    pub upgrades_opened: u64,
    /// Upgraded connections that ended, by whomever. Nothing where a router of an earlier version tells, which does not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrades_ended: Option<u64>,
    /// Upgraded connections that were cut by the router, after a switch: a part of those that ended.
    pub upgrades_cut: u64,
    /// Different clients, as the split tells them apart, of 10,000 buckets, since this version of the routes
    /// ([`Measured::version`]) came into force. Requests that began by an older version are not among them.
    pub clients: u64,
    /// Time from the whole request head to the end of the answer, of those answered and failed, in microseconds. Of those whose
    /// client gave up on an answer, the time until then: it would have taken at least as long.
    ///
    /// Left out is the time in which the client alone was waited for: to take what there was of the answer, or to send on its
    /// body when the instance had been given all that came of it. But a client that asked for leave to send it
    /// (`Expect: 100-continue`) waited for the instance until that gave it, unless it went ahead before.
    pub latency: Histogram,
    /// Requests that ended, by groups of clients as the split tells them apart; but for those that their client left.
    #[serde(default, skip_serializing_if = "ClientGroups::is_empty")]
    pub requests_by: ClientGroups,
    /// Of them the errors, by groups of clients.
    #[serde(default, skip_serializing_if = "ClientGroups::is_empty")]
    pub errors_by: ClientGroups,
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

impl Part {
    /// Every part.
    pub const ALL: [Self; 3] = [Self::Share, Self::Baseline, Self::Matched];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Baseline => "baseline",
            Self::Matched => "matched",
        }
    }
}

impl ArmMeasured {
    /// An arm that had no request.
    #[must_use]
    pub fn none(revision: RevisionId, process: ProcessName, part: Part) -> Self {
        Self {
            revision,
            process,
            part,
            answered: [0; 5],
            failed: 0,
            aborted: 0,
            upgrades_opened: 0,
            upgrades_ended: None,
            upgrades_cut: 0,
            clients: 0,
            latency: Histogram::default(),
            requests_by: ClientGroups::default(),
            errors_by: ClientGroups::default(),
        }
    }

    /// What it did since `earlier`, a reading of the same arm and epoch; nothing where a count fell. `clients` stay those
    /// of the version of the routes: who of them came again is not known.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let mut answered = self.answered;
        for (now, before) in answered.iter_mut().zip(earlier.answered) {
            *now = now.checked_sub(before)?;
        }
        Some(Self {
            answered,
            failed: self.failed.checked_sub(earlier.failed)?,
            aborted: self.aborted.checked_sub(earlier.aborted)?,
            upgrades_opened: self.upgrades_opened.checked_sub(earlier.upgrades_opened)?,
            upgrades_ended: match (self.upgrades_ended, earlier.upgrades_ended) {
                (Some(now), Some(before)) => Some(now.checked_sub(before)?),
                (_, _) => None,
            },
            upgrades_cut: self.upgrades_cut.checked_sub(earlier.upgrades_cut)?,
            latency: self.latency.since(&earlier.latency)?,
            requests_by: self.requests_by.since(&earlier.requests_by)?,
            errors_by: self.errors_by.since(&earlier.errors_by)?,
            ..self.clone()
        })
    }

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
