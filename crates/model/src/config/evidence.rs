//! `[[release.check]]`: what is measured of a release, and held against what.

use serde::{Deserialize, Serialize};

use crate::decimal::Decimal;
use crate::name::{ProcessName, Share};
use crate::time::Span;

/// The most checks of an app.
pub const MAX_CHECKS: usize = 50;

/// What the checks of an app's releases have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidencePolicy {
    /// The checks, in the order of the file.
    pub checks: Vec<Check>,
    /// How often, of all releases that are as good as the live revision, one may be undone by mistake: over all checks and
    /// steps of a release together; default 0.1 %.
    pub false_alarms: Share,
    /// How long a step waits for a verdict after its own time is over; default 10m. Then [`EvidencePolicy::no_evidence`] holds.
    pub timeout: Span,
    /// What follows when, before full traffic, a verdict was not reached in that time.
    pub no_evidence: NoEvidence,
}

impl EvidencePolicy {
    /// Whether what the traffic counts of the new slot is compared with the live one in the steps of a shift, for which a baseline
    /// is set aside.
    #[must_use]
    pub fn compares_in_steps(&self) -> bool {
        self.checks.iter().any(|check| {
            matches!((&check.source, check.bound), (Source::Traffic { .. }, Bound::WorseBy { .. }))
                && check.during.contains(&During::Shift)
        })
    }
}

impl Default for EvidencePolicy {
    fn default() -> Self {
        Self {
            checks: Vec::new(),
            false_alarms: DEFAULT_FALSE_ALARMS,
            timeout: DEFAULT_EVIDENCE_TIMEOUT,
            no_evidence: NoEvidence::Undo,
        }
    }
}

/// `[release] false_alarms` where nothing is written: 0.1 %.
const DEFAULT_FALSE_ALARMS: Share = match Share::from_basis_points(10) {
    Some(share) => share,
    None => Share::NONE,
};
/// `[release] evidence_timeout` where nothing is written.
const DEFAULT_EVIDENCE_TIMEOUT: Span = Span::from_secs(600);

/// `[release] no_evidence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoEvidence {
    /// The release is undone.
    Undo,
    /// The release is paused: a person promotes it or rolls it back.
    Pause,
}

/// `[[release.check]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What people call it; no other check of the app has it.
    pub name: String,
    /// What is measured.
    pub source: Source,
    /// What it is held against.
    pub bound: Bound,
    /// How many values, or requests of each side, are enough. Of values none less make a verdict. Requests: when the step's own
    /// time is over, so many pass though nothing is ruled out, when what was measured is not that bad; nothing where the
    /// file does not say so.
    pub enough: Option<u32>,
    /// When it is looked at.
    pub during: Vec<During>,
}

/// What a check measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum Source {
    /// What the traffic counts.
    Traffic {
        /// Of which routed process type; nothing for all of them together.
        process: Option<ProcessName>,
        /// What of it.
        measure: Measure,
    },
    /// A number that somebody else knows, asked for again and again.
    Number {
        /// Whom to ask.
        from: NumberFrom,
        /// How often.
        interval: Span,
        /// How long an answer may take.
        timeout: Span,
        /// How many values may be beyond a limit.
        allowed: u32,
        /// Whether more is worse, or less.
        worse: Worse,
    },
}

/// What the traffic counts of the requests it leads to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "measure", rename_all = "kebab-case")]
pub enum Measure {
    /// The part of the requests that ended with 5xx or without a whole answer.
    Errors,
    /// The latency that the share `quantile` of the requests stays below, in seconds.
    Latency {
        /// In millionths, above none and below all.
        quantile: Decimal,
    },
    /// Requests a second.
    Requests,
    /// The part of the upgraded connections opened that the router had to cut.
    UpgradesCut,
}

/// Who knows a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum NumberFrom {
    /// A Prometheus server's instant query (`/api/v1/query`).
    Prometheus {
        /// The server, with what stands before `/api/v1`.
        url: String,
        /// The query; it names the slot or the revision that is asked about by `$SLOT`, `$REVISION`.
        query: String,
        /// The variable of the secrets file whose value is sent as a bearer token (RFC 6750).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// The last line of a command's output.
    Command {
        /// Run by `/bin/sh -c` in the revision's directory and environment.
        command: String,
    },
    /// The body of an HTTP answer.
    Url {
        /// Asked with GET.
        url: String,
        /// The variable of the secrets file whose value is sent as a bearer token (RFC 6750).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
}

/// Which way a number gets worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Worse {
    /// More is worse.
    #[default]
    Higher,
    /// Less is worse.
    Lower,
}

/// What a measured value is held against. In the measure's own unit: a part of one, seconds, requests a second, or a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "bound", rename_all = "kebab-case")]
pub enum Bound {
    /// It may be this at most.
    Most {
        /// The limit.
        limit: Decimal,
    },
    /// It must be this at least.
    Least {
        /// The limit.
        limit: Decimal,
    },
    /// It may be worse than the live slot's by less than this: for parts of one in points, for all else as a part of the live one's.
    WorseBy {
        /// The smallest effect that matters.
        effect: Decimal,
    },
}

/// When a check is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum During {
    /// While the traffic moves in steps.
    Shift,
    /// While full traffic is watched.
    Bake,
    /// While the old slot is kept warm after that.
    Warm,
    /// While answers to copies of live requests are compared, before any traffic moves: no check of the file is looked at.
    Shadow,
}

impl During {
    /// Those that a check of the file may name.
    pub const ALL: [Self; 3] = [Self::Shift, Self::Bake, Self::Warm];
}
