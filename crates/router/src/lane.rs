//! One lane: a thread with its own runtime, listener, tables, counters and upstream connections.
//!
//! Flow: the byte path reads a head and calls [`Lane::route`]; what comes back is either an answer of the router's own,
//! counted already, or a [`Ticket`] that is counted until it is finished.
//! Guarantees: one reading of the generation a request; nothing is awaited between that and the count, so a lane asked
//! after a flip knows every request that went by an older table.
//! Assumes: used on its own thread alone.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use switchover_model::seam::{Part, Sticky};
use switchover_model::{AppName, Timestamp};

use crate::came::Came;
pub(crate) use crate::causes::{OwnAnswer, OwnCause};
use crate::connection::{Asked, LaneIo};
pub(crate) use crate::endpoint::Endpoint;
use crate::generation::{Generation, Held};
use crate::lane_table::{LaneTable, Memory};
use crate::ledger::{Kind, LaneLedger, Owner, OwnerCounters};
use crate::mirror::MirrorLane;
use crate::split::{self, Known};
use crate::split_key::SplitKey;
use crate::table::{Found, Table};
use crate::ticket::Way;
pub(crate) use crate::ticket::{Outcome, Ticket};
pub(crate) use crate::tunnel_ticket::{TunnelEnd, TunnelTicket};
use crate::wire::{LaneApp, LaneSeen};

/// One lane. Always behind `Rc`, one a thread.
#[derive(Debug)]
pub(crate) struct Lane {
    io: LaneIo,
    held: Held<LaneTable>,
    memory: Memory,
    mirror: MirrorLane,
    split: SplitKey,
    ledger: LaneLedger,
    nobody: OwnerCounters,
    gave_up: Cell<bool>,
}

/// What a request is met with.
#[derive(Debug)]
pub(crate) enum Routed {
    /// It goes to an instance.
    Forward(Ticket),
    /// The router answers; it is counted already.
    Own(OwnAnswer),
}

impl Lane {
    /// A lane that serves `table`, whose number is in force.
    pub(crate) fn new(
        io: LaneIo,
        ledger: LaneLedger,
        split: SplitKey,
        generation: Generation,
        table: Arc<Table>,
    ) -> Self {
        let memory = Memory::default();
        let first = Rc::new(memory.prepare(table, None, &ledger));
        let nobody = ledger.owner(&Owner::NOBODY);
        let (held, mirror) = (Held::new(generation, first), MirrorLane::default());
        Self { io, held, memory, mirror, split, ledger, nobody, gave_up: Cell::new(false) }
    }

    /// The byte path's own state.
    pub(crate) fn io(&self) -> &LaneIo {
        &self.io
    }

    /// What is kept for copies of requests.
    pub(crate) fn mirror(&self) -> &MirrorLane {
        &self.mirror
    }

    /// The table in force.
    pub(crate) fn table(&self) -> Rc<LaneTable> {
        self.held.current()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.io.now_ms()
    }

    /// The time, at most one tick of the kernel late (1 to 10 ms), for a few nanoseconds.
    pub(crate) fn coarse_now() -> Timestamp {
        micros(ClockId::RealtimeCoarse)
    }

    /// The time to the microsecond.
    pub(crate) fn exact_now() -> Timestamp {
        micros(ClockId::Realtime)
    }

    /// Where a request goes. Counts it as accepted.
    pub(crate) fn route(self: &Rc<Self>, asked: &Asked<'_>) -> Routed {
        let table = self.held.current();
        let path = asked.head.path();
        match table.table.find(asked.head.host()) {
            Some(Found::App(app)) => self.route_live(table, app, asked, path),
            Some(Found::Preview(app)) => self.route_preview(table, app, asked, path),
            None if table.table.is_incomplete => own(&self.nobody, OwnCause::NoInstance, OwnAnswer::NOT_CONFIRMED),
            None => own(&self.nobody, OwnCause::UnknownHost, OwnAnswer::UNKNOWN_HOST),
        }
    }

    fn route_live(self: &Rc<Self>, table: Rc<LaneTable>, app: usize, asked: &Asked<'_>, path: &[u8]) -> Routed {
        let (routes, lane) = (&table.table.apps[app], &table.apps[app]);
        let Known { client, new } = split::client(&routes.sticky, asked, &self.split, || self.io.client_id());
        let bucket = routes.bucket_of(client);
        let place_in = |arm: usize| routes.arms[arm].process_of(path);
        let has_instance = |arm: usize| place_in(arm).is_some_and(|place| !lane.arms[arm].processes[place].is_empty());
        let Some(own_arm) = routes.arm_of(bucket) else {
            // Nobody is live: what waits in a slot was never to answer.
            return own(&lane.counters, OwnCause::NoInstance, OwnAnswer::NO_INSTANCE);
        };
        let (arm, part) = match routes.matched(asked.head).filter(|arm| has_instance(*arm)) {
            Some(arm) => (arm, Part::Matched),
            None if has_instance(own_arm) => (own_arm, routes.part_of(bucket)),
            // A slot with a share and without an instance leaves its share to the others that have one.
            None => (0..routes.arms.len())
                .find(|arm| routes.arms[*arm].share.basis_points() > 0 && has_instance(*arm))
                .map_or((own_arm, routes.part_of(bucket)), |other| (other, Part::Share)),
        };
        // A path that its own side does not serve is no reason to count it on the other one.
        let is_guest = arm != own_arm && part != Part::Matched && place_in(own_arm).is_none();
        let side = if is_guest { (own_arm, routes.part_of(bucket)) } else { (arm, part) };
        if let Some(came) = &lane.came {
            came.saw(side.0, side.1, bucket);
        }
        if let Some(goals) = &routes.goals {
            goals.came(side, routes.group_of(client));
        }
        match place_in(arm) {
            None => own(&lane.counters, OwnCause::UnknownHost, OwnAnswer::UNKNOWN_PATH),
            Some(process) => {
                let way = Way { app, arm, process, kind: Kind::Live, part, client, bucket, is_guest };
                if !has_instance(arm) {
                    // A warm slot without a share could have answered it: then it is lost.
                    let is_lost = (0..routes.arms.len()).any(has_instance);
                    return self.no_instance(&table, way, is_lost);
                }
                Routed::Forward(Ticket::open(Rc::clone(self), table, way, new))
            }
        }
    }

    /// Whoever the request is for has nobody who could answer it.
    fn no_instance(&self, table: &LaneTable, way: Way, is_lost: bool) -> Routed {
        let counters = &table.apps[way.app].counters;
        counters.accepted();
        counters.own(OwnCause::NoInstance, is_lost);
        if let Some(meter) = table.meter(way) {
            meter.failed(way.bucket, Duration::ZERO);
        }
        Routed::Own(OwnAnswer::NO_INSTANCE)
    }

    fn route_preview(self: &Rc<Self>, table: Rc<LaneTable>, app: usize, asked: &Asked<'_>, path: &[u8]) -> Routed {
        let lane = &table.apps[app];
        let counters = lane.preview_counters.as_ref().unwrap_or(&self.nobody);
        let (Some(routes), Some(arm)) = (&table.table.apps[app].preview, &lane.preview) else {
            return own(counters, OwnCause::NoPreview, OwnAnswer::NO_PREVIEW);
        };
        if !routes.admission.admits(asked.peer, asked.head) {
            return own(counters, OwnCause::PreviewForbidden, OwnAnswer::PREVIEW_FORBIDDEN);
        }
        match routes.arm.process_of(path) {
            None => own(counters, OwnCause::UnknownHost, OwnAnswer::UNKNOWN_PATH),
            Some(place) if arm.processes[place].is_empty() => {
                own(counters, OwnCause::NoInstance, OwnAnswer::NO_INSTANCE)
            }
            Some(process) => {
                let Known { client, new } = split::client(&Sticky::Address, asked, &self.split, || self.io.client_id());
                let bucket = table.table.apps[app].bucket_of(client);
                let way = Way {
                    app,
                    arm: 0,
                    process,
                    kind: Kind::Preview,
                    part: Part::Share,
                    client,
                    bucket,
                    is_guest: false,
                };
                Routed::Forward(Ticket::open(Rc::clone(self), table, way, new))
            }
        }
    }

    /// A request that was refused before it could be routed: accepted, and answered by the router.
    ///
    /// Guarantees: what is lost that way is counted for the app it must have been for, where there is just one; else for
    /// nobody, which is told as `unrouted`.
    pub(crate) fn count_refused(&self, cause: OwnCause) {
        let table = self.held.current();
        let app = if cause.is_failure() { table.table.app_of_unread() } else { None };
        let counters = app.map_or(&self.nobody, |app| &table.apps[app].counters);
        counters.accepted();
        counters.own(cause, cause.is_failure());
    }

    // === What the control thread asks for ===

    /// Lays `table` ready; it comes into force with its number.
    pub(crate) fn make_ready(&self, table: Arc<Table>) {
        let before = self.table();
        let next = self.memory.prepare(table, Some(&before), &self.ledger);
        Memory::begin_anew(&before, &next);
        self.held.make_ready(Rc::new(next));
    }

    /// After the flip away from `before`: drains begin, connections to instances that left are closed.
    pub(crate) fn settle(&self, before: &LaneTable) {
        let now = self.table();
        for endpoint in self.memory.settle(before, &now, self.now_ms()) {
            self.io.forget(&endpoint);
        }
    }

    /// The lane's tick.
    pub(crate) fn tick(&self) {
        self.io.tick();
        if self.memory.end_drains(self.now_ms()) {
            self.io.wake_tunnels();
        }
    }

    /// Connections end after their present request, tunnels are told to close.
    pub(crate) fn begin_closing(&self) {
        self.memory.close_all();
        self.io.begin_closing();
    }

    /// What is not finished now is cut: it stays in flight in the counters, so the next router counts it as lost.
    pub(crate) fn give_up(&self) {
        self.gave_up.set(true);
    }

    /// Whether that was said.
    pub(crate) fn has_given_up(&self) -> bool {
        self.gave_up.get()
    }

    /// What this lane has counted and has in flight for `app` or for each, and for nobody; what is measured for `app` alone.
    pub(crate) fn look(&self, app: Option<&AppName>) -> LaneSeen {
        let version_of = |app: &AppName| {
            let table = self.table();
            table.table.apps.iter().find(|known| known.app == *app).map(|known| known.version)
        };
        let measured = app.and_then(|app| self.memory.measured(app, version_of(app)));
        let apps = app.map_or_else(|| self.ledger.apps(), |app| vec![app.clone()]);
        let seen = |app: AppName| {
            let live = Owner { app: Some(app.clone()), kind: Kind::Live };
            let preview = Owner { app: Some(app.clone()), kind: Kind::Preview };
            let in_flight = self.memory.in_flight(&live);
            let busy = self.memory.busy(&app);
            LaneApp { app, in_flight, busy, live: self.ledger.read(&live), preview: self.ledger.read(&preview) }
        };
        LaneSeen {
            generation: self.table().table.generation,
            connections: self.io.open_connections(),
            counters_persist: self.ledger.is_persistent(),
            nobody: self.ledger.read(&Owner::NOBODY),
            measured,
            shadow: app.and_then(|app| self.mirror.seen(app)),
            came: app.and_then(|app| self.table().came(app).map(Came::read)),
            apps: apps.into_iter().map(seen).collect(),
        }
    }
}

fn own(counters: &OwnerCounters, cause: OwnCause, answer: OwnAnswer) -> Routed {
    counters.accepted();
    // Nobody healthy was there to be asked.
    counters.own(cause, false);
    Routed::Own(answer)
}

fn micros(clock: ClockId) -> Timestamp {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Timestamp::from_micros(seconds * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000)
}
