//! An instance as one lane sees it: what it has in flight, whether it is passed over, and when its tunnels must close.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use switchover_model::{AppName, ProcessName, RevisionId};

/// How long an instance that refused a connection is passed over, while others are there (milliseconds).
pub(crate) const EJECTED_MS: u64 = 1_000;
/// No deadline is set.
const NEVER: u64 = u64::MAX;

/// When connections that last must close.
#[derive(Debug)]
pub(crate) struct Deadline {
    at_ms: Cell<u64>,
    is_over: Cell<bool>,
}

impl Deadline {
    pub(crate) fn none() -> Self {
        Self { at_ms: Cell::new(NEVER), is_over: Cell::new(false) }
    }

    pub(crate) fn end(&self) {
        self.is_over.set(true);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    pub(crate) fn set(&self, at_ms: u64) {
        self.at_ms.set(at_ms);
    }

    /// The same, where none runs yet.
    pub(crate) fn begin(&self, at_ms: u64) {
        if self.at_ms.get() == NEVER {
            self.at_ms.set(at_ms);
        }
    }

    pub(crate) fn lift(&self) {
        self.at_ms.set(NEVER);
        self.is_over.set(false);
    }

    /// Whether it is over now and was not before.
    pub(crate) fn passes(&self, now_ms: u64) -> bool {
        self.at_ms.get() <= now_ms && !self.is_over.replace(true)
    }
}

/// An instance, as the byte path knows it: the key of its upstream connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Which instance; a port that another one took over later is another endpoint.
    number: u64,
}

/// What a lane knows of an instance.
#[derive(Debug)]
pub(crate) struct EndpointState {
    pub(crate) endpoint: Endpoint,
    in_flight: Cell<u32>,
    ejected_until_ms: Cell<u64>,
    /// Who can stand in for it: the instances of the same process type, in the same revision.
    pub(crate) kind: Kind,
    /// It is in the table no more, and others of its kind are.
    pub(crate) drain: Deadline,
}

/// What instances have in common that can stand in for each other.
pub(crate) type Kind = (AppName, RevisionId, ProcessName);

impl EndpointState {
    pub(crate) fn new(address: SocketAddr, number: u64, kind: Kind) -> Self {
        let endpoint = Endpoint { address, number };
        Self { endpoint, in_flight: Cell::new(0), ejected_until_ms: Cell::new(0), kind, drain: Deadline::none() }
    }

    /// Requests and tunnels that it has.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// Whether it has requests or tunnels.
    pub(crate) fn is_busy(&self) -> bool {
        self.in_flight.get() > 0
    }

    pub(crate) fn enter(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
    }

    pub(crate) fn leave(&self) {
        self.in_flight.set(self.in_flight.get() - 1);
    }

    pub(crate) fn eject(&self, now_ms: u64) {
        self.ejected_until_ms.set(now_ms + EJECTED_MS);
    }

    /// True when it has been out of the table for as long as a drain takes, and others are there for its users.
    pub(crate) fn must_close(&self) -> bool {
        self.drain.is_over()
    }

    pub(crate) fn is_ejected(&self, now_ms: u64) -> bool {
        self.ejected_until_ms.get() > now_ms
    }
}

/// The instances of one process type in one slot.
#[derive(Debug)]
pub(crate) struct Backends {
    endpoints: Vec<Rc<EndpointState>>,
    turn: Cell<usize>,
}

impl Backends {
    pub(crate) fn new(endpoints: Vec<Rc<EndpointState>>) -> Self {
        Self { endpoints, turn: Cell::new(0) }
    }

    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &Rc<EndpointState>> {
        self.endpoints.iter()
    }

    /// The one with the least in flight that is not in `tried`; ejected ones only when no other is left.
    pub(crate) fn choose(&self, tried: &[Endpoint], now_ms: u64) -> Option<&Rc<EndpointState>> {
        let count = self.endpoints.len();
        // Begins at another one each time, so that equals take turns.
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        (0..count)
            .map(|step| &self.endpoints[(turn.wrapping_add(step)) % count])
            .filter(|state| !tried.contains(&state.endpoint))
            .min_by_key(|state| (state.is_ejected(now_ms), state.in_flight.get()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }
}
