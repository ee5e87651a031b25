//! What one lane measures of one arm: one process type of one revision, by the part of the split that led there.
//!
//! Flow: made with the table that names the arm ([`Meters`]), counted in by the ticket at a request's end, read on the
//! lane's own thread when the control thread asks, summed over the lanes by [`Sum`].
//! Guarantees: counting takes no lock and no memory; what is read is of one moment of the lane.
//! Costs [`METER_BYTES`] of memory an arm and lane, from the table that names it until it is out of the table and drained.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use switchover_model::histogram::{self, BUCKETS, Histogram};
use switchover_model::seam::{ArmMeasured, Part};
use switchover_model::{ProcessName, RevisionId, Share};

use crate::table::Bucket;

/// Words that hold one bit for each bucket of clients.
const CLIENT_WORDS: usize = (Share::ALL.basis_points() as usize).div_ceil(64);
/// What the counters of one arm take in a lane.
#[cfg(test)]
const METER_BYTES: usize = 8 * (BUCKETS + CLIENT_WORDS);
/// Most arms of one app that are measured apart, parts of the split and draining revisions included: bounds memory and a
/// reading's length. With more than that, nothing is told as measured.
pub(crate) const METERS_MAX: usize = 64;

/// Counters of one arm in one lane.
#[derive(Debug)]
pub(crate) struct Meter {
    answered: [Cell<u64>; 5],
    failed: Cell<u64>,
    aborted: Cell<u64>,
    upgrades_opened: Cell<u64>,
    upgrades_cut: Cell<u64>,
    clients: Box<[Cell<u64>]>,
    latency: Box<[Cell<u64>]>,
}

/// What a lane tells of one arm.
#[derive(Debug, Clone)]
pub(crate) struct MeterReading {
    /// All but the clients.
    pub(crate) measured: ArmMeasured,
    /// A bit for each bucket of clients.
    pub(crate) clients: Vec<u64>,
}

impl Meter {
    fn new() -> Self {
        let none = || Cell::new(0);
        Self {
            answered: std::array::from_fn(|_| none()),
            failed: none(),
            aborted: none(),
            upgrades_opened: none(),
            upgrades_cut: none(),
            clients: vec![none(); CLIENT_WORDS].into(),
            latency: vec![none(); BUCKETS].into(),
        }
    }

    /// A whole answer of the app with this status was passed on.
    pub(crate) fn answered(&self, status: u16, client: Bucket, took: Duration) {
        count(&self.answered[usize::from(status / 100).clamp(1, 5) - 1]);
        self.time(took);
        self.saw(client);
    }

    /// It ended without one, by the app's fault.
    pub(crate) fn failed(&self, client: Bucket, took: Duration) {
        count(&self.failed);
        self.time(took);
        self.saw(client);
    }

    /// Its client went away, or broke off its own request.
    pub(crate) fn aborted(&self, client: Bucket) {
        count(&self.aborted);
        self.saw(client);
    }

    /// A tunnel was opened.
    pub(crate) fn upgrade_opened(&self) {
        count(&self.upgrades_opened);
    }

    /// A tunnel was cut by the router.
    pub(crate) fn upgrade_cut(&self) {
        count(&self.upgrades_cut);
    }

    fn time(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        count(&self.latency[usize::from(histogram::bucket(micros))]);
    }

    fn saw(&self, client: Bucket) {
        let (word, bit) = (usize::from(client.0) / 64, client.0 % 64);
        // A share's last bucket is below the number of bits.
        let word = &self.clients[word];
        word.set(word.get() | 1 << bit);
    }

    fn read(&self, revision: RevisionId, process: &ProcessName, part: Part) -> MeterReading {
        let counted = self.latency.iter().enumerate().filter(|(_, count)| count.get() > 0);
        let latency = counted.map(|(bucket, count)| (u16::try_from(bucket).unwrap_or(u16::MAX), count.get()));
        let measured = ArmMeasured {
            revision,
            process: process.clone(),
            part,
            answered: std::array::from_fn(|class| self.answered[class].get()),
            failed: self.failed.get(),
            aborted: self.aborted.get(),
            upgrades_opened: self.upgrades_opened.get(),
            upgrades_cut: self.upgrades_cut.get(),
            clients: 0,
            latency: Histogram::from(latency.collect::<Vec<_>>()),
        };
        MeterReading { measured, clients: self.clients.iter().map(Cell::get).collect() }
    }
}

fn count(counter: &Cell<u64>) {
    counter.set(counter.get().saturating_add(1));
}

/// The meters of one process type of a revision, by part; nothing for a part that no request is led by.
pub(crate) type ByPart = [Option<Rc<Meter>>; Part::ALL.len()];

/// All meters of one revision in one lane.
#[derive(Debug, Default)]
pub(crate) struct Meters(RefCell<BTreeMap<ProcessName, ByPart>>);

impl Meters {
    /// Those of `process`, each of `parts` being there; one that `has_room` has no room for is not.
    pub(crate) fn prepare(&self, process: &ProcessName, parts: &[Part], mut has_room: impl FnMut() -> bool) -> ByPart {
        let mut meters = self.0.borrow_mut();
        let known = meters.entry(process.clone()).or_default();
        for part in parts {
            let meter = &mut known[place(*part)];
            if meter.is_none() && has_room() {
                *meter = Some(Rc::new(Meter::new()));
            }
        }
        known.clone()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.borrow().values().flatten().flatten().count()
    }

    /// A reading of each.
    pub(crate) fn read(&self, revision: RevisionId) -> Vec<MeterReading> {
        let meters = self.0.borrow();
        let all =
            meters.iter().flat_map(|(process, parts)| Part::ALL.into_iter().zip(parts).map(move |of| (process, of)));
        all.filter_map(|(process, (part, meter))| Some(meter.as_ref()?.read(revision, process, part))).collect()
    }
}

/// A part's place in [`ByPart`].
pub(crate) fn place(part: Part) -> usize {
    match part {
        Part::Share => 0,
        Part::Baseline => 1,
        Part::Matched => 2,
    }
}

/// Readings of several lanes, added up.
#[derive(Debug, Default)]
pub(crate) struct Sum(BTreeMap<(RevisionId, ProcessName, Part), MeterReading>);

impl Sum {
    /// Adds one lane's reading.
    pub(crate) fn add(&mut self, reading: MeterReading) {
        let MeterReading { measured: part, clients } = reading;
        let key = (part.revision, part.process.clone(), part.part);
        let known = self.0.entry(key).or_insert_with(|| MeterReading {
            measured: ArmMeasured::none(part.revision, part.process.clone(), part.part),
            clients: vec![0; CLIENT_WORDS],
        });
        let sum = &mut known.measured;
        for (sum, part) in sum.answered.iter_mut().zip(part.answered) {
            *sum = sum.saturating_add(part);
        }
        sum.failed = sum.failed.saturating_add(part.failed);
        sum.aborted = sum.aborted.saturating_add(part.aborted);
        sum.upgrades_opened = sum.upgrades_opened.saturating_add(part.upgrades_opened);
        sum.upgrades_cut = sum.upgrades_cut.saturating_add(part.upgrades_cut);
        sum.latency.merge(&part.latency);
        // A client that came through two lanes is one client.
        for (sum, part) in known.clients.iter_mut().zip(clients) {
            *sum |= part;
        }
    }

    /// The arms that had a request.
    pub(crate) fn arms(self) -> Vec<ArmMeasured> {
        let all = self.0.into_values().map(|MeterReading { mut measured, clients }| {
            measured.clients = clients.iter().map(|word| u64::from(word.count_ones())).sum();
            measured
        });
        // Whoever had a request had a client.
        all.filter(|arm| arm.clients > 0).collect()
    }
}

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
