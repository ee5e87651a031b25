//! The table as one lane sees it: with the lane's own counters and its own view of each instance.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use switchover_model::{AppName, InstanceId, RevisionId, Timestamp};

use crate::came::Came;
use crate::endpoint::{Backends, Deadline, Endpoint, EndpointState};
use crate::generation::Numbered;
use crate::lane::Lane;
use crate::ledger::{Kind, LaneLedger, Owner, OwnerCounters, RevisionCounters};
use crate::meter::{self, ByPart, METERS_MAX, Measure, MeterReading, Meters};
use crate::table::{AppTable, ArmTable, ProcessTable, Table};
use crate::ticket::Way;

/// What a lane knows of a revision, over all generations.
#[derive(Debug)]
pub(crate) struct RevisionState {
    pub(crate) revision: RevisionId,
    pub(crate) counters: RevisionCounters,
    /// What is measured of it, where its requests are users'.
    meters: Meters,
    /// Requests that have no end yet.
    in_flight: Cell<u64>,
    /// Upgraded connections open.
    tunnels: Cell<u64>,
    drain: Deadline,
}

impl RevisionState {
    pub(crate) fn request_began(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
        self.counters.holds(self.in_flight.get(), self.tunnels.get());
    }

    pub(crate) fn request_ended(&self) {
        self.in_flight.set(self.in_flight.get() - 1);
        self.counters.holds(self.in_flight.get(), self.tunnels.get());
    }

    pub(crate) fn tunnel_began(&self) {
        self.tunnels.set(self.tunnels.get() + 1);
        self.counters.holds(self.in_flight.get(), self.tunnels.get());
    }

    pub(crate) fn tunnel_ended(&self) {
        self.tunnels.set(self.tunnels.get() - 1);
        self.counters.holds(self.in_flight.get(), self.tunnels.get());
    }

    /// True from the drain's deadline on.
    pub(crate) fn must_close(&self) -> bool {
        self.drain.is_over()
    }
}

/// One slot's part.
#[derive(Debug)]
pub(crate) struct LaneArm {
    pub(crate) revision: Rc<RevisionState>,
    /// As in the table's arm.
    pub(crate) processes: Vec<Backends>,
    /// The same, where its requests are users'.
    meters: Vec<ByPart>,
}

/// One app.
#[derive(Debug)]
pub(crate) struct LaneApp {
    pub(crate) counters: OwnerCounters,
    /// As in the table.
    pub(crate) arms: Vec<LaneArm>,
    /// Who came to its split, where it is split by shares.
    pub(crate) came: Option<Came>,
    /// What is previewed now.
    pub(crate) preview: Option<LaneArm>,
    /// Counts what comes for the preview address, where there is one.
    pub(crate) preview_counters: Option<OwnerCounters>,
}

/// A table made ready for one lane.
#[derive(Debug)]
pub(crate) struct LaneTable {
    pub(crate) table: Arc<Table>,
    /// As in the table.
    pub(crate) apps: Vec<LaneApp>,
}

impl LaneTable {
    /// The arm that a way leads through.
    pub(crate) fn arm(&self, way: Way) -> &LaneArm {
        let app = &self.apps[way.app];
        match (way.kind, &app.preview) {
            (Kind::Preview, Some(arm)) => arm,
            (Kind::Preview, None) | (Kind::Live, _) => &app.arms[way.arm],
        }
    }

    /// Where a request that goes this way is measured.
    pub(crate) fn meter(&self, way: Way) -> Option<&Measure> {
        self.arm(way).meters.get(way.process)?[meter::place(way.part)].as_ref()
    }
}

impl Numbered for LaneTable {
    fn number(&self) -> u64 {
        self.table.generation
    }
}

type RevisionKey = (Owner, RevisionId);

/// What a lane keeps from table to table.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    endpoints: RefCell<HashMap<(InstanceId, SocketAddr), Rc<EndpointState>>>,
    revisions: RefCell<HashMap<RevisionKey, Rc<RevisionState>>>,
    measured: RefCell<HashMap<AppName, MeasuredApp>>,
    numbers: Cell<u64>,
}

/// What a lane remembers of measuring an app.
#[derive(Debug, Default)]
struct MeasuredApp {
    /// When counts that were dropped began again at nothing, if any did.
    since: Option<Timestamp>,
    /// The newest revision whose counts were dropped.
    dropped: Option<RevisionId>,
    /// An arm of the table has no meter: there are too many.
    is_partial: bool,
}

impl Memory {
    /// Makes `table` ready for this lane, to follow the one in force.
    pub(crate) fn prepare(&self, table: Arc<Table>, before: Option<&LaneTable>, ledger: &LaneLedger) -> LaneTable {
        self.measured.borrow_mut().values_mut().for_each(|app| app.is_partial = false);
        let apps = table
            .apps
            .iter()
            .map(|app| {
                let live = Owner { app: Some(app.app.clone()), kind: Kind::Live };
                let preview = Owner { app: Some(app.app.clone()), kind: Kind::Preview };
                LaneApp {
                    counters: ledger.owner(&live),
                    arms: app.arms.iter().map(|arm| self.prepare_arm(app, &live, arm, ledger)).collect(),
                    came: Came::after(before.and_then(|before| before.came(&app.app)), app),
                    preview: app.preview.as_ref().map(|part| self.prepare_arm(app, &preview, &part.arm, ledger)),
                    preview_counters: app.has_preview_host.then(|| ledger.owner(&preview)),
                }
            })
            .collect();
        LaneTable { table, apps }
    }

    fn prepare_arm(&self, routes: &AppTable, owner: &Owner, arm: &ArmTable, ledger: &LaneLedger) -> LaneArm {
        let app = &routes.app;
        let key = (owner.clone(), arm.revision);
        if owner.kind == Kind::Live && !self.revisions.borrow().contains_key(&key) {
            self.count_from_nothing(app, arm.revision);
        }
        let meters = self.meters_there(owner);
        let mut revisions = self.revisions.borrow_mut();
        let revision = revisions.entry(key).or_insert_with(|| {
            Rc::new(RevisionState {
                revision: arm.revision,
                counters: ledger.revision(owner, arm.revision),
                meters: Meters::default(),
                in_flight: Cell::new(0),
                tunnels: Cell::new(0),
                drain: Deadline::none(),
            })
        });
        let mut endpoints = self.endpoints.borrow_mut();
        let processes = arm
            .processes
            .iter()
            .map(|process| {
                let endpoints = process
                    .endpoints
                    .iter()
                    .map(|endpoint| {
                        let key = (endpoint.instance.clone(), endpoint.address);
                        Rc::clone(endpoints.entry(key).or_insert_with(|| {
                            self.numbers.set(self.numbers.get() + 1);
                            let kind = (app.clone(), arm.revision, process.process.clone());
                            Rc::new(EndpointState::new(endpoint.address, self.numbers.get(), kind))
                        }))
                    })
                    .collect();
                Backends::new(endpoints)
            })
            .collect();
        let meters = match owner.kind {
            Kind::Live => self.prepare_meters(routes, arm, &revision.meters, meters),
            Kind::Preview => Vec::new(),
        };
        LaneArm { revision: Rc::clone(revision), processes, meters }
    }

    fn prepare_meters(&self, routes: &AppTable, arm: &ArmTable, meters: &Meters, mut there: usize) -> Vec<ByPart> {
        let mut is_partial = false;
        let mut has_room = || {
            there += 1;
            is_partial |= there > METERS_MAX;
            there <= METERS_MAX
        };
        let prepare =
            |process: &ProcessTable| meters.prepare(&process.process, routes.version, &arm.parts, &mut has_room);
        let prepared = arm.processes.iter().map(prepare).collect();
        if is_partial {
            self.measured.borrow_mut().entry(routes.app.clone()).or_default().is_partial = true;
        }
        prepared
    }

    fn meters_there(&self, owner: &Owner) -> usize {
        let revisions = self.revisions.borrow();
        revisions.iter().filter(|((of, _), _)| of == owner).map(|(_, state)| state.meters.count()).sum()
    }

    /// `revision` comes into the table. Where its counts were dropped meanwhile, or may have been, they began anew.
    fn count_from_nothing(&self, app: &AppName, revision: RevisionId) {
        if let Some(known) = self.measured.borrow_mut().get_mut(app)
            && known.dropped.is_some_and(|dropped| revision <= dropped)
        {
            known.since = Some(Lane::exact_now());
        }
    }

    /// What is measured of an app: since when, if not since the lane began, and of each arm, its clients since `version` of the
    /// routes; nothing when not of all.
    pub(crate) fn measured(
        &self,
        app: &AppName,
        version: Option<u64>,
    ) -> Option<(Option<Timestamp>, Vec<MeterReading>)> {
        let measured = self.measured.borrow();
        let known = measured.get(app);
        if known.is_some_and(|known| known.is_partial) {
            return None;
        }
        let owner = Owner { app: Some(app.clone()), kind: Kind::Live };
        let revisions = self.revisions.borrow();
        let own = revisions.iter().filter(|((of, _), _)| *of == owner);
        let arms = own.flat_map(|((_, revision), state)| state.meters.read(*revision, version)).collect();
        Some((known.and_then(|known| known.since), arms))
    }

    /// Revisions that have traffic in `next` and had none in `before` begin anew.
    pub(crate) fn begin_anew(before: &LaneTable, next: &LaneTable) {
        let had = served(before);
        for (key, (state, _)) in served(next) {
            if !had.contains_key(&key) {
                state.counters.begin_anew();
            }
        }
    }

    /// After the flip from `before` to `now`: who lost all traffic gets the deadline of its drain, who has some loses it;
    /// so does an instance that is out of the table while others of its kind are in it. Where there is none, its users stay.
    /// Returns the instances that are in the table no more.
    pub(crate) fn settle(&self, before: &LaneTable, now: &LaneTable, now_ms: u64) -> Vec<Endpoint> {
        let (had, has) = (served(before), served(now));
        for (state, _) in has.values() {
            state.drain.lift();
        }
        for (key, (state, drain_ms)) in had {
            if !has.contains_key(&key) {
                // The new routes say how long; the old ones do when the app is gone.
                let drain_ms = now
                    .table
                    .apps
                    .iter()
                    .find(|app| Some(&app.app) == key.0.app.as_ref())
                    .map_or(drain_ms, |app| app.drain_ms);
                state.drain.set(now_ms.saturating_add(drain_ms));
            }
        }
        let used: HashSet<Endpoint> = endpoints(now).map(|(state, _)| state.endpoint).collect();
        let kinds: HashMap<_, u64> = endpoints(now).map(|(state, drain_ms)| (&state.kind, drain_ms)).collect();
        for state in self.endpoints.borrow().values() {
            match kinds.get(&state.kind) {
                Some(drain_ms) if !used.contains(&state.endpoint) => {
                    state.drain.begin(now_ms.saturating_add(*drain_ms));
                }
                Some(_) | None => state.drain.lift(),
            }
        }
        self.forget_unused(now, &used)
    }

    fn forget_unused(&self, now: &LaneTable, used: &HashSet<Endpoint>) -> Vec<Endpoint> {
        let arms = || now.apps.iter().flat_map(|app| app.arms.iter().chain(&app.preview));
        let mut gone = Vec::new();
        self.endpoints.borrow_mut().retain(|_, state| {
            let is_used = used.contains(&state.endpoint);
            if !is_used {
                gone.push(state.endpoint);
            }
            is_used || state.is_busy()
        });
        self.revisions.borrow_mut().retain(|(owner, revision), state| {
            let stays = state.in_flight.get() > 0
                || state.tunnels.get() > 0
                || arms().any(|arm| Rc::ptr_eq(&arm.revision, state));
            if let (false, Kind::Live, Some(app)) = (stays, owner.kind, &owner.app) {
                let mut measured = self.measured.borrow_mut();
                let known = measured.entry(app.clone()).or_default();
                known.dropped = known.dropped.max(Some(*revision));
            }
            stays
        });
        gone
    }

    /// Marks the revisions and instances whose drain is over. True when one of them has tunnels that must close now.
    pub(crate) fn end_drains(&self, now_ms: u64) -> bool {
        let mut has_tunnels = false;
        for state in self.revisions.borrow().values() {
            has_tunnels |= state.drain.passes(now_ms) && state.tunnels.get() > 0;
        }
        for state in self.endpoints.borrow().values() {
            has_tunnels |= state.drain.passes(now_ms) && state.is_busy();
        }
        has_tunnels
    }

    /// Every tunnel must close now: the router ends.
    pub(crate) fn close_all(&self) {
        for state in self.revisions.borrow().values() {
            state.drain.end();
        }
    }

    /// What each instance of the app has in flight here, tunnels too, whether it is in the table or not.
    pub(crate) fn busy(&self, app: &AppName) -> Vec<(InstanceId, u64)> {
        let endpoints = self.endpoints.borrow();
        let own = endpoints.iter().filter(|(_, state)| state.kind.0 == *app && state.is_busy());
        own.map(|((instance, _), state)| (instance.clone(), u64::from(state.in_flight()))).collect()
    }

    /// What this lane has in flight for `owner`: revision, requests, tunnels.
    pub(crate) fn in_flight(&self, owner: &Owner) -> Vec<(RevisionId, u64, u64)> {
        self.revisions
            .borrow()
            .iter()
            .filter(|((of, _), _)| of == owner)
            .map(|((_, revision), state)| (*revision, state.in_flight.get(), state.tunnels.get()))
            .collect()
    }
}

/// The instances in a table, each with the drain time of its app.
fn endpoints(table: &LaneTable) -> impl Iterator<Item = (&Rc<EndpointState>, u64)> {
    let apps = table.table.apps.iter().zip(&table.apps);
    apps.flat_map(|(app, lane)| {
        let arms = lane.arms.iter().chain(&lane.preview);
        let backends = arms.flat_map(|arm| &arm.processes).flat_map(Backends::endpoints);
        backends.map(|state| (state, app.drain_ms))
    })
}

/// The revisions that have traffic in a table, with their drain time.
fn served(table: &LaneTable) -> HashMap<RevisionKey, (&Rc<RevisionState>, u64)> {
    let mut served = HashMap::new();
    for (app, lane) in table.table.apps.iter().zip(&table.apps) {
        for (arm, state) in app.arms.iter().zip(&lane.arms) {
            if arm.is_served() {
                let owner = Owner { app: Some(app.app.clone()), kind: Kind::Live };
                served.insert((owner, arm.revision), (&state.revision, app.drain_ms));
            }
        }
        if let Some(state) = &lane.preview {
            let owner = Owner { app: Some(app.app.clone()), kind: Kind::Preview };
            served.insert((owner, state.revision.revision), (&state.revision, app.drain_ms));
        }
    }
    served
}
