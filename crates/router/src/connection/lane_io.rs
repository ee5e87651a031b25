//! What the connections of one lane share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::bounds::{CLOSING_IDLE_TIME, LAST_ROUTED_TIME, SHED_MAX, WORKBENCHES_KEPT_MAX};
use super::buffers::BufferPool;
use super::request_id::RequestIds;
use super::roster::{Roster, Seat};
use super::upstream_pool::UpstreamPool;
use super::workbench::Workbench;
use crate::lane::Endpoint;
use crate::split::Id;

/// Between two sweeps of the upstream pool (milliseconds).
const SWEEP_MS: u64 = 500;

/// The byte path's state of one lane: read buffers, upstream connections, the roster of connections, the coarse clock.
#[derive(Debug)]
pub(crate) struct LaneIo {
    pub(super) buffers: BufferPool,
    pub(super) upstreams: UpstreamPool,
    roster: Rc<Roster>,
    pub(super) request_ids: RequestIds,
    client_ids: RequestIds,
    #[expect(clippy::vec_box, reason = "they change hands with each request; a pointer is cheaper to move")]
    workbenches: RefCell<Vec<Box<Workbench>>>,
    /// When it began.
    closing: Cell<Option<Duration>>,
    swept_ms: Cell<u64>,
    shed: Rc<Cell<usize>>,
}

/// Counts one turned-away client until dropped.
#[derive(Debug)]
pub(super) struct Shed(Rc<Cell<usize>>);

impl Drop for Shed {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl LaneIo {
    /// `connections_max`: client connections that this lane serves at once. `secret`: random bytes, for the ids of requests and
    /// of clients.
    pub(crate) fn new(connections_max: usize, secret: [u8; 16]) -> Self {
        let other = secret.map(|byte| byte.wrapping_mul(5).rotate_left(3));
        Self {
            buffers: BufferPool::default(),
            upstreams: UpstreamPool::default(),
            roster: Rc::new(Roster::new(connections_max)),
            request_ids: RequestIds::new(secret),
            client_ids: RequestIds::new(other),
            workbenches: RefCell::default(),
            closing: Cell::new(None),
            swept_ms: Cell::new(0),
            shed: Rc::default(),
        }
    }

    /// To be called every [`TICK`](super::TICK): moves the clock, wakes what is over its deadline, closes upstream
    /// connections that are idle too long.
    pub(crate) fn tick(&self) {
        self.roster.tick();
        let now = self.roster.now_ms();
        if now.saturating_sub(self.swept_ms.get()) >= SWEEP_MS {
            self.swept_ms.set(now);
            self.upstreams.sweep(self.exact_now());
        }
    }

    #[cfg(test)]
    pub(super) fn skip(&self, time: Duration) {
        self.roster.skip(time);
        self.swept_ms.set(0);
    }

    /// Milliseconds since the lane began, as of the last tick.
    pub(crate) fn now_ms(&self) -> u64 {
        self.roster.now_ms()
    }

    /// Time since the lane began, for what a tick is too coarse for.
    pub(crate) fn exact_now(&self) -> Duration {
        self.roster.exact_now()
    }

    /// From now on connections end after their present request, idle ones soon.
    pub(crate) fn begin_closing(&self) {
        self.closing.set(Some(self.exact_now()));
        self.roster.wake_all();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.get().is_some()
    }

    /// How long a request may still be waited for; nothing when the router does not end.
    pub(super) fn closing_left(&self) -> Option<Duration> {
        self.closing.get().map(|began| (began + CLOSING_IDLE_TIME).saturating_sub(self.exact_now()))
    }

    /// True when a new request is a successor's matter: it may have switched meanwhile.
    pub(super) fn routes_nothing_new(&self) -> bool {
        self.closing.get().is_some_and(|began| self.exact_now() >= began + LAST_ROUTED_TIME)
    }

    /// Lets every tunnel ask again whether it must close.
    pub(crate) fn wake_tunnels(&self) {
        self.roster.wake_all();
    }

    /// Closes the idle connections to an instance that left the table.
    pub(crate) fn forget(&self, endpoint: &Endpoint) {
        self.upstreams.forget(endpoint);
    }

    /// The system has no connection left: frees what waits for requests that may never come.
    pub(crate) fn make_room(&self) {
        self.upstreams.clear();
        self.roster.make_room();
    }

    /// A turned-away client that is read on for a moment; nothing when there are many of them.
    pub(super) fn shed(&self) -> Option<Shed> {
        (self.shed.get() < SHED_MAX).then(|| {
            self.shed.set(self.shed.get() + 1);
            Shed(Rc::clone(&self.shed))
        })
    }

    /// An id for a client that has none.
    pub(crate) fn client_id(&self) -> Id {
        self.client_ids.make()
    }

    /// Client connections open now.
    pub(crate) fn open_connections(&self) -> usize {
        self.roster.taken()
    }

    /// Read buffers in use now, of 16 KiB each.
    #[cfg(test)]
    pub(super) fn held_buffers(&self) -> usize {
        self.buffers.held_count()
    }

    pub(super) fn sit(&self) -> Option<Seat> {
        self.roster.sit()
    }

    pub(super) fn take_workbench(&self) -> Box<Workbench> {
        self.workbenches.borrow_mut().pop().unwrap_or_default()
    }

    pub(super) fn give_workbench(&self, mut bench: Box<Workbench>) {
        bench.clear(&self.buffers);
        let mut kept = self.workbenches.borrow_mut();
        if kept.len() < WORKBENCHES_KEPT_MAX {
            kept.push(bench);
        }
    }
}
