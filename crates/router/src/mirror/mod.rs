//! Copies of live requests for a slot that answers nobody, and the comparison of its answers with the live ones.
//!
//! Flow: when a request was routed, [`MirrorLane::draw`] decides whether it is a sample; the byte path keeps its head, its body
//! and (where answers are compared) its answer as they pass by; when the user has the whole answer, the sample waits here, and
//! [`run`] sends the copies: to the mirror's slot, then to the live one again, and notes in what they differ.
//! Guarantees: a user's request waits for none of it and fails by none of it; every sample ends in one count; whatever a bound
//! leaves out is counted too. Copies have connections of their own and hold no drain up.
//! Must never: keep a secret, or copy an upgrade.

mod answer;
mod compare;
mod copy;
mod place;
mod redact;
mod sample;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use switchover_http1::RequestHead;
use switchover_model::seam::{LeftOut, Mirror, ShadowSeen};
use switchover_model::{AppName, RevisionId};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::lane::Lane;
use crate::ledger::Kind;
use crate::split::is_drawn;
use crate::table::{ArmTable, Table};
use crate::ticket::Way;
use copy::Connections;
use place::Places;
#[cfg(test)]
use place::SAMPLES_MAX;
pub(crate) use sample::{Sample, Tee};

/// Samples of a lane whose copies are on their way.
const RUNNING_MAX: usize = 32;
/// How long one copy may take, from the connection to the last byte of its answer.
const COPY_TIME: Duration = Duration::from_secs(10);

/// A mirror in the table.
#[derive(Debug)]
pub(crate) struct MirrorTable {
    arm: ArmTable,
    rules: Arc<Rules>,
}

/// Its rules, made ready.
#[derive(Debug)]
struct Rules {
    share: u16,
    methods: Vec<String>,
    body_bytes: usize,
    /// Nothing: answers are dropped.
    compare: Option<compare::Rules>,
}

impl MirrorTable {
    /// `arm` is the mirror's, compiled.
    pub(crate) fn new(mirror: &Mirror, arm: ArmTable) -> Self {
        let rules = Rules {
            share: mirror.rules.share.basis_points(),
            methods: mirror.rules.methods.clone(),
            body_bytes: usize::try_from(mirror.rules.body_bytes).unwrap_or(usize::MAX),
            compare: mirror.rules.compare.as_ref().map(compare::Rules::new),
        };
        Self { arm, rules: Arc::new(rules) }
    }
}

/// What one lane keeps for its samples.
#[derive(Debug, Default)]
pub(crate) struct MirrorLane {
    places: Places,
    drawn: Cell<u64>,
    waiting: RefCell<VecDeque<Box<Sample>>>,
    has_come: Notify,
    connections: Connections,
    seen: RefCell<BTreeMap<AppName, ShadowSeen>>,
}

impl MirrorLane {
    /// Whether a request that goes this way is copied; then the sample that goes with it.
    ///
    /// Costs one look at the table where there is no mirror.
    pub(crate) fn draw(&self, table: &Table, way: Way, head: &RequestHead<'_>, upgrades: bool) -> Option<Box<Sample>> {
        let app = &table.apps[way.app];
        let mirror = app.mirror.as_ref().filter(|_| way.kind == Kind::Live && !upgrades)?;
        let (arm, rules) = (table.arm(way), &mirror.rules);
        let is_copied = rules.methods.iter().any(|method| method.as_bytes() == head.method_bytes());
        if !is_copied || arm.revision == mirror.arm.revision {
            return None;
        }
        let number = self.drawn.get().wrapping_add(1);
        self.drawn.set(number);
        if !is_drawn(number, rules.share) {
            return None;
        }
        let revision = mirror.arm.revision;
        let turn = {
            let mut all = self.seen.borrow_mut();
            let begun = || ShadowSeen { since: Lane::exact_now().as_micros(), ..ShadowSeen::none(revision) };
            let seen = all.entry(app.app.clone()).or_insert_with(begun);
            if seen.revision != revision {
                *seen = begun();
            }
            seen.sampled += 1;
            usize::try_from(seen.sampled).unwrap_or(0)
        };
        let endpoint_of = |arm: &ArmTable, process: usize| {
            let endpoints = &arm.processes[process].endpoints;
            (!endpoints.is_empty()).then(|| endpoints[turn % endpoints.len()].address)
        };
        let shadow = mirror.arm.process_of(head.path()).and_then(|process| endpoint_of(&mirror.arm, process));
        let (Some(shadow), Some(live)) = (shadow, endpoint_of(arm, way.process)) else {
            self.note(&app.app, revision, |seen| seen.leave_out(LeftOut::NoInstance));
            return None;
        };
        let Some(place) = self.places.take(Instant::now()) else {
            self.note(&app.app, revision, |seen| seen.leave_out(LeftOut::Busy));
            return None;
        };
        let of = (app.app.clone(), revision);
        Some(Box::new(Sample::new(place, of, Arc::clone(rules), (live, shadow), head)))
    }

    /// The request is over: its copies may be sent, if the user has the whole answer and `body` and `answer` kept all of it.
    pub(crate) fn submit(&self, mut sample: Box<Sample>, body: Option<Tee>, answer: Option<Tee>) {
        if let Err(why) = sample.is_over(body, answer) {
            return self.leave_out(&sample, why);
        }
        // There is room: a sample has its place from the draw on.
        self.waiting.borrow_mut().push_back(sample);
        self.has_come.notify_one();
    }

    /// The request of `sample` is not copied after all.
    fn leave_out(&self, sample: &Sample, why: LeftOut) {
        let (app, revision) = sample.of();
        self.note(app, revision, |seen| seen.leave_out(why));
    }

    /// Counts for a mirror, unless another revision has taken its place.
    fn note(&self, app: &AppName, revision: RevisionId, what: impl FnOnce(&mut ShadowSeen)) {
        if let Some(seen) = self.seen.borrow_mut().get_mut(app).filter(|seen| seen.revision == revision) {
            what(seen);
        }
    }

    /// What came of an app's samples in this lane.
    pub(crate) fn seen(&self, app: &AppName) -> Option<ShadowSeen> {
        self.seen.borrow().get(app).cloned()
    }
}

/// Begins to send copies, until what is returned is dropped: nobody waits for them.
pub(crate) fn start(lane: &Rc<Lane>) -> JoinSet<()> {
    let mut copies = JoinSet::new();
    copies.spawn_local(run(Rc::clone(lane)));
    copies
}

/// Keeps [`RUNNING_MAX`] at work from the first sample on, and closes connections that nobody uses.
async fn run(lane: Rc<Lane>) {
    lane.mirror().has_come.notified().await;
    let mut at_work: JoinSet<()> = JoinSet::new();
    let mut sweep = tokio::time::interval(copy::IDLE_TIME);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        while at_work.len() < RUNNING_MAX {
            at_work.spawn_local(work(Rc::clone(&lane)));
        }
        tokio::select! {
            Some(Err(error)) = at_work.join_next() => {
                tracing::error!(%error, "a copy ended by a failure of the router; this is a bug");
            }
            _ = sweep.tick() => lane.mirror().connections.sweep(),
        }
    }
}

/// Sends the copies of one sample after the other, for ever.
async fn work(lane: Rc<Lane>) {
    let mirror = lane.mirror();
    loop {
        let sample = mirror.waiting.borrow_mut().pop_front();
        match sample {
            Some(sample) => sample.carry_out(&lane).await,
            None => mirror.has_come.notified().await,
        }
    }
}

#[cfg(test)]
mod tests;
