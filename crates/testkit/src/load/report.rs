//! What came of it.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::outcome::{Cause, Kind};

/// The version of the report's JSON.
pub(super) const SCHEMA_VERSION: u32 = 1;
/// The longest latency told apart, in µs.
const LONGEST_LATENCY_US: u64 = 120_000_000;
/// Digits of a latency that are kept.
const LATENCY_DIGITS: u8 = 3;

/// The whole account of a run. Times are milliseconds since its begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// 1.
    pub schema_version: u32,
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// How long it lasted.
    pub lasted_ms: u64,
    /// Requests begun. One that found no connection is among them, as a failure to connect.
    pub sent: u64,
    /// Answered whole and as asked.
    pub answered: u64,
    /// Not answered, or not as asked.
    pub failed: u64,
    /// Left by the driver itself.
    pub aborted: u64,
    /// The same by kind, with the latency of what was answered.
    pub by_kind: BTreeMap<Kind, KindTotals>,
    /// Whole answers by status, those that failed by it among them.
    pub by_status: BTreeMap<u16, u64>,
    /// Whole answers by the revision that gave them.
    pub by_revision: BTreeMap<String, RevisionSeen>,
    /// Failures by cause.
    pub failures: BTreeMap<Cause, u64>,
    /// The first failures, in full.
    pub failure_samples: Vec<FailureSample>,
    /// Quick requests, second by second; seconds without any are left out.
    pub seconds: Vec<Second>,
    /// Each time the answering revision was seen to change, by a request that began after the one before had answered.
    /// All traffic switched at once shows one change a switch; more of them means that someone saw new, then old.
    pub changes: Vec<Change>,
    /// How many there were, the ones past the list's bound included.
    pub change_count: u64,
    /// How often one connection saw a revision again after another one. With the switch and the rollback both seen on
    /// it, once; while a share only grows, never.
    pub returns: u64,
    /// What happened to connections between requests.
    pub connections: Connections,
    /// What happened on WebSockets after they were opened.
    pub websockets: WebSockets,
    /// Each quick request: when it was answered, how long it took (µs).
    #[serde(skip)]
    pub(super) latencies: Vec<(u32, u32)>,
}

/// Requests of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KindTotals {
    /// Begun.
    pub sent: u64,
    /// Answered whole and as asked.
    pub answered: u64,
    /// Not answered, or not as asked.
    pub failed: u64,
    /// Left by the driver itself.
    pub aborted: u64,
    /// From the begin, the connect included, to the answer's last byte.
    pub latency: Option<Latency>,
}

/// The latency of some requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// The median, in µs.
    pub p50_us: u64,
    /// 99 of 100 are at most this, in µs.
    pub p99_us: u64,
    /// The longest, in µs.
    pub max_us: u64,
}

/// When a revision answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionSeen {
    /// Whole answers.
    pub answered: u64,
    /// The same by status class: index 0 is 1xx (101: upgrades), 4 is 5xx.
    pub by_class: [u64; 5],
    /// The first one.
    pub first_ms: u64,
    /// The last one.
    pub last_ms: u64,
}

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureSample {
    /// When it was known.
    pub at_ms: u64,
    /// So long after its request began.
    pub after_ms: u64,
    /// What was asked.
    pub kind: Kind,
    /// By which user.
    pub user: u32,
    /// With which of its requests, from 1.
    pub request: u64,
    /// The connection had answered a request before.
    pub reused: bool,
    /// Why.
    pub cause: Cause,
    /// In words.
    pub detail: String,
}

/// One second's quick requests, by when they were answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// The second, from 0.
    pub at_s: u64,
    /// Failed requests of all kinds.
    pub failed: u64,
    /// None when none was answered.
    pub latency: Option<Latency>,
}

/// Another revision answers from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When the first answer of the new one was whole.
    pub at_ms: u64,
    /// The one before.
    pub from: String,
    /// The one from now on.
    pub to: String,
}

/// What happened to connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// Opened.
    pub opened: u64,
    /// Requests on a connection that had answered one before.
    pub reused: u64,
    /// Closed by the server after an answer that said so.
    pub closed_announced: u64,
    /// Closed by the server while no request was on it.
    pub closed_idle: u64,
}

/// What happened on WebSockets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebSockets {
    /// Sessions opened.
    pub opened: u64,
    /// Sessions open now.
    pub open: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages that came back.
    pub echoed: u64,
    /// Messages on their way when the session ended.
    pub unanswered: u64,
    /// Messages that came back wrong, or that nobody sent.
    pub wrong: u64,
    /// Sessions that stayed silent for the whole time limit.
    pub silent: u64,
    /// Sessions by how they ended: a close code of the server (`1012`), `eof`, `reset`, `ours`, or `protocol`.
    pub ended: BTreeMap<String, u64>,
    /// Each of them.
    pub sessions: Vec<SessionEnd>,
}

/// A WebSocket session that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// The user.
    pub user: u32,
    /// Who answered its opening.
    pub revision: Option<String>,
    /// When it was opened.
    pub opened_ms: u64,
    /// When it ended.
    pub ended_ms: u64,
    /// As in [`WebSockets::ended`].
    pub how: String,
    /// Messages that came back.
    pub echoed: u64,
}

/// The account so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When.
    pub at_ms: u64,
    /// Requests begun.
    pub sent: u64,
    /// Answered whole and as asked.
    pub answered: u64,
    /// Not answered, or not as asked.
    pub failed: u64,
    /// Left by the driver itself.
    pub aborted: u64,
    /// Whole answers by revision.
    pub by_revision: BTreeMap<String, RevisionSeen>,
    /// Changes of the answering revision.
    pub changes: u64,
    /// WebSocket sessions open now.
    pub open_websockets: u64,
    /// What users have to complain about: failed requests; sessions that were cut, fell silent or said something wrong.
    pub complaints: u64,
    /// Quick requests answered in the last second.
    pub last_second: Option<Latency>,
}

impl Report {
    /// Whether every request begun has ended in exactly one way.
    #[must_use]
    pub fn sum_closes(&self) -> bool {
        self.sent == self.answered + self.failed + self.aborted
    }

    /// Everything that a user would complain about, one line each; nothing when all went well.
    ///
    /// Sessions that ended by a close code or with the driver's own goodbye are no complaint; cut ones are.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if !self.sum_closes() {
            complaints.push(format!(
                "{} requests are not {} answered, {} failed and {} aborted",
                self.sent, self.answered, self.failed, self.aborted
            ));
        }
        for (cause, count) in &self.failures {
            let sample = self.failure_samples.iter().find(|sample| sample.cause == *cause);
            complaints.push(format!("{count} failed by {cause:?}, first: {sample:?}"));
        }
        for (count, what) in [
            (self.websockets.wrong, "WebSocket messages came back wrong"),
            (self.websockets.silent, "WebSocket sessions fell silent"),
        ] {
            if count > 0 {
                complaints.push(format!("{count} {what}"));
            }
        }
        for (how, count) in &self.websockets.ended {
            if is_cut(how) {
                complaints.push(format!("{count} WebSocket sessions ended by {how}"));
            }
        }
        complaints
    }

    /// The latency of quick requests answered from `from_ms` until before `to_ms`.
    #[must_use]
    pub fn latency_between(&self, from_ms: u64, to_ms: u64) -> Option<Latency> {
        Latency::of(
            self.latencies.iter().filter(|(at, _)| (from_ms..to_ms).contains(&u64::from(*at))).map(|(_, took)| *took),
        )
    }

    /// The p99 in the second from `at_ms` on against the second before it; 1.0 is "nobody noticed".
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "microseconds of at most two minutes")]
    pub fn p99_ratio_at(&self, at_ms: u64) -> Option<f64> {
        let before = self.latency_between(at_ms.saturating_sub(1000), at_ms)?;
        let during = self.latency_between(at_ms, at_ms + 1000)?;
        Some(during.p99_us as f64 / before.p99_us.max(1) as f64)
    }
}

impl WebSockets {
    /// Sessions that were cut, fell silent or said something wrong.
    pub(super) fn complaints(&self) -> u64 {
        let cut: u64 = self.ended.iter().filter(|(how, _)| is_cut(how)).map(|(_, count)| count).sum();
        cut + self.silent + self.wrong
    }
}

/// Whether a session that ended so was broken off.
fn is_cut(how: &str) -> bool {
    matches!(how, "eof" | "reset" | "protocol")
}

impl Latency {
    pub(super) fn of(micros: impl Iterator<Item = u32>) -> Option<Self> {
        let mut histogram = histogram();
        for took in micros {
            histogram.saturating_record(u64::from(took));
        }
        Self::of_histogram(&histogram)
    }

    pub(super) fn of_histogram(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        })
    }
}

pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_LATENCY_US, LATENCY_DIGITS).expect("the bounds are in order")
}

/// `latencies` by second, with the failures of each.
pub(super) fn seconds_of(latencies: &[(u32, u32)], failed: &BTreeMap<u64, u64>) -> Vec<Second> {
    let mut seconds: BTreeMap<u64, (u64, Vec<u32>)> =
        failed.iter().map(|(at_s, failed)| (*at_s, (*failed, Vec::new()))).collect();
    for (at_ms, took) in latencies {
        seconds.entry(u64::from(at_ms / 1000)).or_default().1.push(*took);
    }
    seconds
        .into_iter()
        .map(|(at_s, (failed, took))| Second { at_s, failed, latency: Latency::of(took.into_iter()) })
        .collect()
}
