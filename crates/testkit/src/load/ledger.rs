//! The accounting: every request gets a ticket, and every ticket ends once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use super::outcome::{Answer, Cause, Failure, Kind, Origin};
use super::report::{
    Change, Connections, FailureSample, KindTotals, Latency, Report, RevisionSeen, SCHEMA_VERSION, SessionEnd,
    Snapshot, WebSockets, seconds_of,
};

/// Failures told in full; all are counted.
const MOST_SAMPLES: usize = 200;
/// Ends of WebSocket sessions told in full; all are counted.
const MOST_SESSIONS: usize = 20_000;
/// Latencies kept one by one (8 bytes each); later ones are in the totals only.
const MOST_LATENCIES: usize = 8_000_000;
/// Changes of revision told in full; all are counted.
const MOST_CHANGES: usize = 10_000;
/// How far back a snapshot's latency reaches.
const SNAPSHOT_WINDOW_MS: u32 = 1000;

/// All counts of one run.
#[derive(Debug)]
pub(super) struct Ledger {
    began: Instant,
    began_unix_ms: u64,
    totals: Mutex<Totals>,
}

#[derive(Debug, Default)]
struct Totals {
    kinds: BTreeMap<Kind, (KindTotals, Option<Histogram<u64>>)>,
    by_status: BTreeMap<u16, u64>,
    by_revision: BTreeMap<Arc<str>, RevisionSeen>,
    failures: BTreeMap<Cause, u64>,
    failure_samples: Vec<FailureSample>,
    failed_in_second: BTreeMap<u64, u64>,
    /// Of quick requests: when they were answered and how long it took, in ms since the begin and in µs.
    latencies: Vec<(u32, u32)>,
    /// How many revisions in a row answered; a ticket remembers which one was in force when it began.
    epoch: u64,
    current: Option<Arc<str>>,
    changes: Vec<Change>,
    change_count: u64,
    returns: u64,
    connections: Connections,
    websockets: WebSockets,
}

/// One request, from before it is sent to its one end. Dropped, it has been aborted.
#[derive(Debug)]
pub(super) struct Ticket {
    ledger: Arc<Ledger>,
    origin: Origin,
    begun: Instant,
    epoch: u64,
    is_open: bool,
}

impl Ledger {
    pub(super) fn open() -> Arc<Self> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Arc::new(Self { began: Instant::now(), began_unix_ms: millis(since_1970), totals: Mutex::default() })
    }

    /// Begins a request.
    pub(super) fn begin(self: &Arc<Self>, origin: Origin) -> Ticket {
        let mut totals = self.totals();
        totals.kind(origin.kind).sent += 1;
        let epoch = totals.epoch;
        drop(totals);
        Ticket { ledger: Arc::clone(self), origin, begun: Instant::now(), epoch, is_open: true }
    }

    /// Counts what happens to connections.
    pub(super) fn connection(&self, count: impl FnOnce(&mut Connections)) {
        count(&mut self.totals().connections);
    }

    /// Counts what happens to WebSockets.
    pub(super) fn websocket(&self, count: impl FnOnce(&mut WebSockets)) {
        count(&mut self.totals().websockets);
    }

    /// A session is over.
    pub(super) fn session_ended(&self, end: SessionEnd) {
        let mut totals = self.totals();
        let sockets = &mut totals.websockets;
        sockets.open -= 1;
        *sockets.ended.entry(end.how.clone()).or_default() += 1;
        if sockets.sessions.len() < MOST_SESSIONS {
            sockets.sessions.push(end);
        }
    }

    /// A user's connection saw a revision again after another one.
    pub(super) fn returned(&self) {
        self.totals().returns += 1;
    }

    pub(super) fn at_ms(&self) -> u64 {
        millis(self.began.elapsed())
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let at_ms = self.at_ms();
        let totals = self.totals();
        let sum = totals.sum();
        let since = u32::try_from(at_ms).unwrap_or(u32::MAX).saturating_sub(SNAPSHOT_WINDOW_MS);
        let recent = totals.latencies.iter().rev().take_while(|(at, _)| *at >= since).map(|(_, took)| *took);
        Snapshot {
            at_ms,
            sent: sum.sent,
            answered: sum.answered,
            failed: sum.failed,
            aborted: sum.aborted,
            by_revision: totals.revisions(),
            changes: totals.change_count,
            open_websockets: totals.websockets.open,
            complaints: sum.failed + totals.websockets.complaints(),
            last_second: Latency::of(recent),
        }
    }

    pub(super) fn report(&self) -> Report {
        let totals = self.totals();
        let sum = totals.sum();
        Report {
            schema_version: SCHEMA_VERSION,
            began_unix_ms: self.began_unix_ms,
            lasted_ms: self.at_ms(),
            sent: sum.sent,
            answered: sum.answered,
            failed: sum.failed,
            aborted: sum.aborted,
            by_kind: totals
                .kinds
                .iter()
                .map(|(kind, (counts, histogram))| {
                    let latency = histogram.as_ref().and_then(Latency::of_histogram);
                    (*kind, KindTotals { latency, ..counts.clone() })
                })
                .collect(),
            by_status: totals.by_status.clone(),
            by_revision: totals.revisions(),
            failures: totals.failures.clone(),
            failure_samples: totals.failure_samples.clone(),
            seconds: seconds_of(&totals.latencies, &totals.failed_in_second),
            changes: totals.changes.clone(),
            change_count: totals.change_count,
            returns: totals.returns,
            connections: totals.connections.clone(),
            websockets: totals.websockets.clone(),
            latencies: totals.latencies.clone(),
        }
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        // Counts are whole after each statement; a panic elsewhere makes them no less true.
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Ticket ===

impl Ticket {
    /// A whole answer that is what was asked for.
    pub(super) fn answered(mut self, answer: &Answer) {
        let took = self.begun.elapsed();
        let at_ms = self.ledger.at_ms();
        let mut totals = self.ledger.totals();
        let kind = totals.kind(self.origin.kind);
        kind.answered += 1;
        totals.time(self.origin.kind, took);
        totals.saw(answer, at_ms, self.epoch);
        if self.origin.kind == Kind::Quick && totals.latencies.len() < MOST_LATENCIES {
            let at = u32::try_from(at_ms).unwrap_or(u32::MAX);
            totals.latencies.push((at, u32::try_from(took.as_micros()).unwrap_or(u32::MAX)));
        }
        drop(totals);
        self.is_open = false;
    }

    /// No answer, or not the one that was asked for; `answer` where one was whole.
    pub(super) fn failed(mut self, failure: Failure, answer: Option<&Answer>) {
        let at_ms = self.ledger.at_ms();
        let mut totals = self.ledger.totals();
        totals.kind(self.origin.kind).failed += 1;
        *totals.failures.entry(failure.cause).or_default() += 1;
        *totals.failed_in_second.entry(at_ms / 1000).or_default() += 1;
        if let Some(answer) = answer {
            totals.saw(answer, at_ms, self.epoch);
        }
        if totals.failure_samples.len() < MOST_SAMPLES {
            totals.failure_samples.push(FailureSample {
                at_ms,
                after_ms: millis(self.begun.elapsed()),
                kind: self.origin.kind,
                user: self.origin.user,
                request: self.origin.request,
                reused: self.origin.reused,
                cause: failure.cause,
                detail: failure.detail,
            });
        }
        drop(totals);
        self.is_open = false;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.is_open {
            self.ledger.totals().kind(self.origin.kind).aborted += 1;
        }
    }
}

// === impl Totals ===

impl Totals {
    fn kind(&mut self, kind: Kind) -> &mut KindTotals {
        &mut self.kinds.entry(kind).or_default().0
    }

    fn time(&mut self, kind: Kind, took: Duration) {
        let histogram = self.kinds.entry(kind).or_default().1.get_or_insert_with(super::report::histogram);
        histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts a whole answer, and notices when the revision that answers has changed.
    ///
    /// Only a request that began after the revision in force had been seen can show a change: one that began before may
    /// rightly still be answered by the older one.
    fn saw(&mut self, answer: &Answer, at_ms: u64, begun_in: u64) {
        *self.by_status.entry(answer.status).or_default() += 1;
        let Some(revision) = &answer.revision else { return };
        let seen = self.by_revision.entry(Arc::clone(revision)).or_insert_with(|| RevisionSeen {
            answered: 0,
            by_class: [0; 5],
            first_ms: at_ms,
            last_ms: at_ms,
        });
        seen.answered += 1;
        if let Some(count) = seen.by_class.get_mut(usize::from(answer.status / 100).wrapping_sub(1)) {
            *count += 1;
        }
        seen.last_ms = at_ms;
        let is_change = self.current.as_ref().is_none_or(|current| current != revision);
        if is_change && begun_in == self.epoch || self.current.is_none() {
            if let Some(from) = self.current.replace(Arc::clone(revision)) {
                self.change_count += 1;
                if self.changes.len() < MOST_CHANGES {
                    self.changes.push(Change { at_ms, from: from.to_string(), to: revision.to_string() });
                }
            }
            self.epoch += 1;
        }
    }

    fn sum(&self) -> KindTotals {
        self.kinds.values().fold(KindTotals::default(), |sum, (kind, _)| KindTotals {
            sent: sum.sent + kind.sent,
            answered: sum.answered + kind.answered,
            failed: sum.failed + kind.failed,
            aborted: sum.aborted + kind.aborted,
            latency: None,
        })
    }

    fn revisions(&self) -> BTreeMap<String, RevisionSeen> {
        self.by_revision.iter().map(|(revision, seen)| (revision.to_string(), seen.clone())).collect()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin = Origin { kind: Kind::Quick, user: 0, request: 1, reused: false };

    fn by(revision: &str) -> Answer {
        Answer { status: 200, revision: Some(Arc::from(revision)) }
    }

    #[test]
    fn every_ticket_ends_once_and_a_dropped_one_was_aborted() {
        let ledger = Ledger::open();
        ledger.begin(ORIGIN).answered(&by("r1"));
        ledger.begin(ORIGIN).failed(Failure::new(Cause::Reset, "gone"), None);
        drop(ledger.begin(ORIGIN));
        let open = ledger.begin(ORIGIN);
        let report = ledger.report();
        assert_eq!((report.sent, report.answered, report.failed, report.aborted), (4, 1, 1, 1));
        assert!(!report.sum_closes(), "one is still open");
        drop(open);
        assert!(ledger.report().sum_closes());
    }

    #[test]
    fn a_switch_is_one_change_however_the_answers_cross() {
        let ledger = Ledger::open();
        ledger.begin(ORIGIN).answered(&by("r1"));
        let before = ledger.begin(ORIGIN);
        ledger.begin(ORIGIN).answered(&by("r2"));
        before.answered(&by("r1"));
        ledger.begin(ORIGIN).answered(&by("r2"));
        let report = ledger.report();
        assert_eq!(report.changes.len(), 1);
        assert_eq!((report.changes[0].from.as_str(), report.changes[0].to.as_str()), ("r1", "r2"));
    }

    #[test]
    fn a_request_begun_after_the_switch_and_answered_by_the_old_one_is_noticed() {
        let ledger = Ledger::open();
        for revision in ["r1", "r2", "r1", "r2"] {
            ledger.begin(ORIGIN).answered(&by(revision));
        }
        assert_eq!(ledger.report().change_count, 3);
    }
}
