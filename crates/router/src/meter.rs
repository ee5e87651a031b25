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
use switchover_model::seam::{ArmMeasured, CLIENT_GROUPS, ClientGroups, Part};
use switchover_model::{ProcessName, RevisionId, Share};

use crate::split::Bucket;

/// Words that hold one bit for each bucket of clients.
const CLIENT_WORDS: usize = (Share::ALL.basis_points() as usize).div_ceil(64);
/// What the counters of one arm take in a lane.
#[cfg(test)]
const METER_BYTES: usize = 8 * (BUCKETS + VERSIONS_MAX * CLIENT_WORDS + 2 * CLIENT_GROUPS);
/// Versions of the routes that an arm's clients are told apart for: the one in force and one that is being made ready.
const VERSIONS_MAX: usize = 2;
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
    upgrades_ended: Cell<u64>,
    upgrades_cut: Cell<u64>,
    latency: Box<[Cell<u64>]>,
    requests_by: [Cell<u64>; CLIENT_GROUPS],
    errors_by: [Cell<u64>; CLIENT_GROUPS],
}

/// A bit for each bucket of clients, in one lane.
#[derive(Debug)]
pub(crate) struct Clients(Box<[Cell<u64>]>);

/// Where requests of one arm are measured in one table.
#[derive(Debug, Clone)]
pub(crate) struct Measure {
    /// Over all tables.
    pub(crate) meter: Rc<Meter>,
    /// Of the table's version of the routes.
    clients: Rc<Clients>,
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
            upgrades_ended: none(),
            upgrades_cut: none(),
            latency: vec![none(); BUCKETS].into(),
            requests_by: std::array::from_fn(|_| none()),
            errors_by: std::array::from_fn(|_| none()),
        }
    }

    /// A tunnel was opened.
    pub(crate) fn upgrade_opened(&self) {
        count(&self.upgrades_opened);
    }

    /// A tunnel is over; `is_cut`: by the router.
    pub(crate) fn upgrade_ended(&self, is_cut: bool) {
        count(&self.upgrades_ended);
        if is_cut {
            count(&self.upgrades_cut);
        }
    }

    /// A request of `client` has ended, and not because its client left.
    fn ended(&self, client: Bucket, is_error: bool, took: Duration) {
        let group = ClientGroups::group(client.0);
        count(&self.requests_by[group]);
        if is_error {
            count(&self.errors_by[group]);
        }
        self.time(took);
    }

    fn time(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        count(&self.latency[usize::from(histogram::bucket(micros))]);
    }

    fn read(&self, revision: RevisionId, process: &ProcessName, part: Part, clients: Option<&Clients>) -> MeterReading {
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
            upgrades_ended: Some(self.upgrades_ended.get()),
            upgrades_cut: self.upgrades_cut.get(),
            clients: 0,
            latency: Histogram::from(latency.collect::<Vec<_>>()),
            requests_by: ClientGroups::from(std::array::from_fn(|group| self.requests_by[group].get())),
            errors_by: ClientGroups::from(std::array::from_fn(|group| self.errors_by[group].get())),
        };
        MeterReading { measured, clients: clients.map_or_else(|| vec![0; CLIENT_WORDS], Clients::read) }
    }
}

impl Clients {
    pub(crate) fn none() -> Self {
        Self(vec![Cell::new(0); CLIENT_WORDS].into())
    }

    pub(crate) fn saw(&self, client: Bucket) {
        let (word, bit) = (usize::from(client.0) / 64, client.0 % 64);
        // A share's last bucket is below the number of bits.
        let word = &self.0[word];
        word.set(word.get() | 1 << bit);
    }

    pub(crate) fn read(&self) -> Vec<u64> {
        self.0.iter().map(Cell::get).collect()
    }
}

impl Measure {
    /// A whole answer of the app with this status was passed on.
    pub(crate) fn answered(&self, status: u16, client: Bucket, took: Duration) {
        let class = usize::from(status / 100).clamp(1, 5);
        count(&self.meter.answered[class - 1]);
        self.meter.ended(client, class == 5, took);
        self.clients.saw(client);
    }

    /// It ended without one, by the app's fault.
    pub(crate) fn failed(&self, client: Bucket, took: Duration) {
        count(&self.meter.failed);
        self.meter.ended(client, true, took);
        self.clients.saw(client);
    }

    /// Its client went away, or broke off its own request. `waited`: so long for an answer that it gave up on, which would have taken
    /// at least that.
    pub(crate) fn aborted(&self, client: Bucket, waited: Option<Duration>) {
        count(&self.meter.aborted);
        if let Some(waited) = waited {
            self.meter.time(waited);
        }
        self.clients.saw(client);
    }
}

fn count(counter: &Cell<u64>) {
    counter.set(counter.get().saturating_add(1));
}

/// Where requests of one process type of a revision are measured in one table, by part; nothing for a part that no request is
/// led by.
pub(crate) type ByPart = [Option<Measure>; Part::ALL.len()];

/// One arm's meter, and its clients since the newest versions of the routes.
#[derive(Debug)]
struct Counted {
    meter: Rc<Meter>,
    /// The version in force, and one that is being made ready.
    clients: Vec<(u64, Rc<Clients>)>,
}

impl Counted {
    fn new() -> Self {
        Self { meter: Rc::new(Meter::new()), clients: Vec::with_capacity(VERSIONS_MAX) }
    }

    /// Clients since `version`, which is counted from nothing where it is new.
    fn since(&mut self, version: u64) -> Rc<Clients> {
        if let Some((_, clients)) = self.clients.iter().find(|(known, _)| *known == version) {
            return Rc::clone(clients);
        }
        if self.clients.len() >= VERSIONS_MAX {
            self.clients.remove(0);
        }
        let clients = Rc::new(Clients::none());
        self.clients.push((version, Rc::clone(&clients)));
        clients
    }
}

/// All meters of one revision in one lane.
#[derive(Debug, Default)]
pub(crate) struct Meters(RefCell<BTreeMap<ProcessName, [Option<Counted>; Part::ALL.len()]>>);

impl Meters {
    /// Those of `process` in a table with this `version` of the routes, each of `parts` being there; one that `has_room` has no
    /// room for is not.
    pub(crate) fn prepare(
        &self,
        process: &ProcessName,
        version: u64,
        parts: &[Part],
        mut has_room: impl FnMut() -> bool,
    ) -> ByPart {
        let mut meters = self.0.borrow_mut();
        let known = meters.entry(process.clone()).or_default();
        let mut prepared = ByPart::default();
        for part in parts.iter().map(|part| place(*part)) {
            if known[part].is_none() && has_room() {
                known[part] = Some(Counted::new());
            }
            let measure =
                |counted: &mut Counted| Measure { meter: Rc::clone(&counted.meter), clients: counted.since(version) };
            prepared[part] = known[part].as_mut().map(measure);
        }
        prepared
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.borrow().values().flatten().flatten().count()
    }

    /// A reading of each, with its clients since `version` of the routes.
    pub(crate) fn read(&self, revision: RevisionId, version: Option<u64>) -> Vec<MeterReading> {
        let meters = self.0.borrow();
        let all =
            meters.iter().flat_map(|(process, parts)| Part::ALL.into_iter().zip(parts).map(move |of| (process, of)));
        let read = |(process, (part, counted)): (&ProcessName, (Part, &Option<Counted>))| {
            let counted = counted.as_ref()?;
            let clients = counted.clients.iter().find(|(known, _)| Some(*known) == version);
            Some(counted.meter.read(revision, process, part, clients.map(|(_, clients)| &**clients)))
        };
        all.filter_map(read).collect()
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
        sum.upgrades_ended =
            part.upgrades_ended.map(|ended| ended.saturating_add(sum.upgrades_ended.unwrap_or_default()));
        sum.upgrades_cut = sum.upgrades_cut.saturating_add(part.upgrades_cut);
        sum.latency.merge(&part.latency);
        sum.requests_by.merge(&part.requests_by);
        sum.errors_by.merge(&part.errors_by);
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
        all.filter(|arm| arm.requests() > 0 || arm.aborted > 0).collect()
    }
}

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
