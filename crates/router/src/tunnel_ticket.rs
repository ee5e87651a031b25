//! An upgraded connection: it is counted from its 101 until its end.

use std::rc::Rc;

use crate::endpoint::EndpointState;
use crate::lane_table::RevisionState;
use crate::meter::Meter;

/// How a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TunnelEnd {
    /// By one of its ends.
    Closed,
    /// By the router.
    Cut,
}

/// An upgraded connection. Dropped, it counts as closed; dropped by a panic, as cut.
#[derive(Debug)]
pub(crate) struct TunnelTicket {
    revision: Rc<RevisionState>,
    meter: Option<Rc<Meter>>,
    endpoint: Option<Rc<EndpointState>>,
    is_open: bool,
}

impl TunnelTicket {
    /// Counts the tunnel as open. `endpoint` has it in flight already.
    pub(crate) fn open(
        revision: Rc<RevisionState>,
        meter: Option<Rc<Meter>>,
        endpoint: Option<Rc<EndpointState>>,
    ) -> Self {
        revision.tunnel_began();
        revision.counters.upgrade_opened();
        if let Some(meter) = &meter {
            meter.upgrade_opened();
        }
        Self { revision, meter, endpoint, is_open: true }
    }

    /// True from the drain's deadline on, the slot's or its instance's, and when the router ends.
    pub(crate) fn must_close(&self) -> bool {
        self.revision.must_close() || self.endpoint.as_ref().is_some_and(|state| state.must_close())
    }

    /// The tunnel is over.
    pub(crate) fn finish(mut self, end: TunnelEnd) {
        self.end(end);
    }

    fn end(&mut self, end: TunnelEnd) {
        if !self.is_open {
            return;
        }
        self.is_open = false;
        if let Some(state) = self.endpoint.take() {
            state.leave();
        }
        self.revision.tunnel_ended();
        self.revision.counters.upgrade_closed(end == TunnelEnd::Cut);
        if let Some(meter) = &self.meter {
            meter.upgrade_ended(end == TunnelEnd::Cut);
        }
    }
}

impl Drop for TunnelTicket {
    fn drop(&mut self) {
        self.end(if std::thread::panicking() { TunnelEnd::Cut } else { TunnelEnd::Closed });
    }
}
