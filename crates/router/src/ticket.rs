//! A request that was taken on: it is counted from here until its one outcome.

use std::rc::Rc;
use std::time::Duration;

use switchover_http1::{Field, RequestHead};
use switchover_model::Share;
use switchover_model::seam::Part;

use crate::causes::{Fault, OwnCause};
use crate::endpoint::{Backends, Endpoint, EndpointState};
use crate::goals::{Asks, GoalsTable};
use crate::lane::Lane;
use crate::lane_table::{LaneTable, RevisionState};
use crate::ledger::{Kind, OwnerCounters};
use crate::meter::Measure;
use crate::mirror::Sample;
use crate::preview::Passes;
use crate::split::{Bucket, Client, NewClient};
use crate::table::Table;
use crate::tunnel_ticket::TunnelTicket;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The instance's whole answer was passed on.
    Answered {
        /// Its status.
        status: u16,
    },
    /// The router answered.
    Own(OwnCause),
    /// The client went away. `gave_up`: it had sent all that it had to and waited for the answer or its end.
    ClientAborted { gave_up: bool },
    /// The instance broke off after its head had been passed on: the client saw a part of the answer.
    Broken {
        /// The status that was passed on.
        status: u16,
    },
    /// This program failed: nobody else is to blame, so the request is lost.
    Panicked,
}

/// Where a request goes: places in a [`LaneTable`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) app: usize,
    pub(crate) arm: usize,
    pub(crate) process: usize,
    pub(crate) kind: Kind,
    /// Why it leads there: what it is measured as.
    pub(crate) part: Part,
    pub(crate) client: Client,
    /// The client's, in this table.
    pub(crate) bucket: Bucket,
    /// It goes to another arm of the split than its own, of which it is no evidence: its own one has nothing for its path, or could
    /// not be reached.
    pub(crate) is_guest: bool,
}

/// A request on its way. Dropped unfinished, it counts as aborted by its client; dropped by a panic, as lost by us.
#[derive(Debug)]
pub(crate) struct Ticket {
    lane: Rc<Lane>,
    table: Rc<LaneTable>,
    way: Way,
    endpoint: Option<Rc<EndpointState>>,
    /// The lane's time when its head had come whole, and later by as long as its client was waited for.
    began: Duration,
    /// Whom its answer gives an id.
    new_client: Option<NewClient>,
    /// The goals of its table that it may reach.
    asks: Asks,
    is_open: bool,
}

impl Ticket {
    /// Counts the request as accepted and in flight. No await, no lock.
    pub(crate) fn open(lane: Rc<Lane>, table: Rc<LaneTable>, way: Way, new_client: Option<NewClient>) -> Self {
        let began = lane.io().exact_now();
        let asks = Asks::default();
        let ticket = Self { lane, table, way, endpoint: None, began, new_client, asks, is_open: true };
        ticket.counters().accepted();
        let revision = ticket.revision();
        revision.request_began();
        ticket
    }

    /// Whom its answer gives an id.
    pub(crate) fn new_client(&self) -> Option<NewClient> {
        self.new_client
    }

    /// What it asks for: which goals of an experiment it may reach.
    pub(crate) fn asks_for(&mut self, head: &RequestHead<'_>) {
        if let Some(goals) = self.goals() {
            self.asks = goals.asked_by(head.method_bytes(), head.path());
        }
    }

    /// What is counted of its client, where an experiment asks for it. The preview's are no users.
    fn goals(&self) -> Option<&GoalsTable> {
        match self.way.kind {
            Kind::Live => self.table.table.apps[self.way.app].goals.as_ref(),
            Kind::Preview => None,
        }
    }

    /// Whether it is copied; `upgrades`: it would become a tunnel.
    pub(crate) fn sample(&self, head: &RequestHead<'_>, upgrades: bool) -> Option<Box<Sample>> {
        self.lane.mirror().draw(&self.table.table, self.way, head, upgrades)
    }

    fn counters(&self) -> &OwnerCounters {
        let app = &self.table.apps[self.way.app];
        match (self.way.kind, &app.preview_counters) {
            (Kind::Preview, Some(counters)) => counters,
            (Kind::Preview, None) | (Kind::Live, _) => &app.counters,
        }
    }

    fn revision(&self) -> &Rc<RevisionState> {
        &self.table.arm(self.way).revision
    }

    /// Where it is measured; nothing for the preview's, which are no users', and for guests.
    fn meter(&self) -> Option<&Measure> {
        if self.way.is_guest { None } else { self.table.meter(self.way) }
    }

    fn backends(&self) -> &Backends {
        &self.table.arm(self.way).processes[self.way.process]
    }

    /// The instance to send it to: the one with the least in flight that is not in `tried`. Asked again, the count moves, and the table
    /// in force says who is there.
    ///
    /// When nobody of its own table is left and another table is in force, the request goes where that one says: an
    /// instance that is gone since the switch loses nothing.
    pub(crate) fn pick(&mut self, tried: &[Endpoint]) -> Option<Endpoint> {
        let is_again = self.endpoint.is_some() || !tried.is_empty();
        self.leave_endpoint();
        let now_ms = self.lane.now_ms();
        if is_again {
            // Who has left the table since is told to stop as soon as it has nothing in flight.
            self.move_on();
        }
        let mut chosen = self.backends().choose(tried, now_ms).cloned();
        if chosen.is_none() && self.move_on() {
            chosen = self.backends().choose(tried, now_ms).cloned();
        }
        let state = chosen?;
        state.enter();
        self.revision().counters.sent(Lane::coarse_now(), Lane::exact_now);
        let endpoint = state.endpoint;
        self.endpoint = Some(state);
        Some(endpoint)
    }

    /// Moves to the table in force. False when that is the one it has, or knows no place for it.
    fn move_on(&mut self) -> bool {
        let current = self.lane.table();
        if Rc::ptr_eq(&current, &self.table) {
            return false;
        }
        let Some(way) = self.way_in(&current.table) else { return false };
        let (from, to) = (self.revision(), &current.arm(way).revision);
        from.request_ended();
        to.request_began();
        let before = std::mem::replace(&mut self.table, current);
        let before_goals = before.table.apps[self.way.app].goals.as_ref();
        self.way = way;
        self.count_client();
        // Another experiment has other goals.
        if !self.goals().zip(before_goals).is_some_and(|(now, before)| now.is_same(before)) {
            self.asks = Asks::default();
        }
        true
    }

    /// Its client comes by the table that it has now.
    fn count_client(&self) {
        let Way { app, arm, part, kind, client, bucket, is_guest, .. } = self.way;
        if let (Kind::Live, false, Some(came)) = (kind, is_guest, &self.table.apps[app].came) {
            came.saw(arm, part, bucket);
        }
        if let Some(goals) = self.goals().filter(|_| !is_guest) {
            goals.came((arm, part), self.table.table.apps[app].group_of(client));
        }
    }

    /// Where another table leads it; who went over to another arm stays there, as long as that one has a share.
    fn way_in(&self, table: &Table) -> Option<Way> {
        let way = table.same_way(&self.table.table, self.way)?;
        if !self.way.is_guest {
            return Some(way);
        }
        let (app, revision) = (&table.apps[way.app], self.table.table.arm(self.way).revision);
        let process = &app.arms[way.arm].processes[way.process].process;
        let stays = app.arms.iter().position(|arm| arm.revision == revision && arm.share != Share::NONE);
        let there = stays.and_then(|arm| Some((arm, app.arms[arm].place_of(process)?)));
        Some(there.map_or(way, |(arm, process)| Way { arm, process, part: Part::Share, ..way }))
    }

    /// Nobody of its arm took the connection: leads it to another one with a share, once, and says whether there is one with
    /// somebody who was not `tried`. In its own arm it is measured as failed; the ledger has it where it is answered. Who was led
    /// by a rule stays on its side: it asked for that revision.
    pub(crate) fn cross_over(&mut self, tried: &[Endpoint]) -> bool {
        let app = &self.table.table.apps[self.way.app];
        let may_cross = match (self.way.kind, self.way.part) {
            (Kind::Live, Part::Share | Part::Baseline) => !self.way.is_guest,
            (Kind::Live, Part::Matched) | (Kind::Preview, _) => false,
        };
        if !may_cross {
            return false;
        }
        let process = &app.arms[self.way.arm].processes[self.way.process].process;
        let (now_ms, lane_arms) = (self.lane.now_ms(), &self.table.apps[self.way.app].arms);
        let others =
            app.arms.iter().enumerate().filter(|(arm, other)| *arm != self.way.arm && other.share != Share::NONE);
        let places = others.filter_map(|(arm, other)| Some((arm, other.place_of(process)?)));
        let there =
            |(arm, process): &(usize, usize)| lane_arms[*arm].processes[*process].choose(tried, now_ms).is_some();
        let Some((arm, process)) = places.into_iter().find(there) else { return false };
        self.leave_endpoint();
        if let Some(meter) = self.meter() {
            meter.failed(self.way.bucket, self.lane.io().exact_now().saturating_sub(self.began));
        }
        self.revision().request_ended();
        self.way = Way { arm, process, part: Part::Share, is_guest: true, ..self.way };
        self.revision().request_began();
        true
    }

    /// `endpoint` did not take the connection: it is passed over for a moment.
    pub(crate) fn connect_failed(&mut self, endpoint: Endpoint) {
        if let Some(state) = self.endpoint.as_ref().filter(|state| state.endpoint == endpoint) {
            state.eject(self.lane.now_ms());
        }
        self.leave_endpoint();
    }

    fn leave_endpoint(&mut self) {
        if let Some(state) = self.endpoint.take() {
            state.leave();
        }
    }

    /// What of a field may reach the instance: nothing that opens the preview does.
    pub(crate) fn passes(&self, field: &Field<'_>) -> Passes {
        match (self.way.kind, &self.table.table.apps[self.way.app].preview) {
            (Kind::Preview, Some(preview)) => preview.admission.passes(field),
            (Kind::Preview, None) | (Kind::Live, _) => Passes::Whole,
        }
    }

    /// Its client was waited for so long: that is no part of what it is measured with.
    pub(crate) fn leave_out(&mut self, time: Duration) {
        self.began += time;
    }

    /// The request is over. Gives the lane's time of that, which was read already.
    pub(crate) fn finish(mut self, outcome: Outcome) -> Duration {
        let now = self.lane.io().exact_now();
        self.end(outcome, || now);
        now
    }

    fn end(&mut self, outcome: Outcome, now: impl FnOnce() -> Duration) {
        if !self.is_open {
            return;
        }
        self.is_open = false;
        self.leave_endpoint();
        let revision = self.revision();
        revision.request_ended();
        if let Some(meter) = self.meter() {
            self.measure(meter, outcome, now);
        }
        match outcome {
            Outcome::Answered { status } => revision.counters.answered(status),
            Outcome::Own(cause) => self.counters().own(cause, cause.is_failure() && self.has_healthy()),
            Outcome::ClientAborted { .. } => self.counters().aborted(),
            Outcome::Broken { status } => {
                tracing::debug!(status, "an instance broke off in the middle of its answer");
                self.counters().own(OwnCause::AnswerBroken, true);
            }
            Outcome::Panicked => self.counters().own(OwnCause::RouterPanicked, true),
        }
    }

    fn measure(&self, meter: &Measure, outcome: Outcome, now: impl FnOnce() -> Duration) {
        let took = || now().saturating_sub(self.began);
        let client = self.way.bucket;
        let fault = match outcome {
            Outcome::Answered { status } => {
                self.count_for_goals(status);
                return meter.answered(status, client, took());
            }
            Outcome::Own(cause) => cause.fault(),
            // How long it waited is the least that the answer would have taken: left out, an instance that hangs would look fast.
            Outcome::ClientAborted { gave_up } => return meter.aborted(client, gave_up.then(took)),
            Outcome::Broken { .. } => OwnCause::AnswerBroken.fault(),
            Outcome::Panicked => OwnCause::RouterPanicked.fault(),
        };
        match fault {
            Fault::App => meter.failed(client, took()),
            Fault::Client => meter.aborted(client, None),
            Fault::Router => {}
        }
    }

    fn count_for_goals(&self, status: u16) {
        if let (Some(goals), true) = (self.goals(), self.asks != Asks::default()) {
            let client = self.table.table.apps[self.way.app].group_of(self.way.client);
            goals.answered((self.way.arm, self.way.part), client, self.asks, status);
        }
    }

    /// True when the table in force lists an instance that could have answered: in any slot of the app, whatever its share,
    /// and though it may have refused a connection just now. The controller says who is healthy, not one failed attempt.
    fn has_healthy(&self) -> bool {
        let current = self.lane.table();
        let own = &self.table.table.apps[self.way.app];
        let process = &self.table.table.arm(self.way).processes[self.way.process].process;
        current.table.lists(&own.app, process, self.way.kind)
    }

    /// On 101: the request is answered, the tunnel begins.
    pub(crate) fn open_tunnel(mut self) -> TunnelTicket {
        let revision = Rc::clone(self.revision());
        let endpoint = self.endpoint.take();
        let (lane, meter) = (Rc::clone(&self.lane), self.meter().map(|measure| Rc::clone(&measure.meter)));
        self.end(Outcome::Answered { status: 101 }, || lane.io().exact_now());
        TunnelTicket::open(revision, meter, endpoint)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.lane.has_given_up() {
            let lane = Rc::clone(&self.lane);
            let outcome =
                if std::thread::panicking() { Outcome::Panicked } else { Outcome::ClientAborted { gave_up: false } };
            self.end(outcome, || lane.io().exact_now());
        }
    }
}
