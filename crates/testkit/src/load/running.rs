//! A run under way: its users, its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::ledger::Ledger;
use super::outcome::Kind;
use super::plan::Plan;
use super::report::{Report, Snapshot};
use super::request::Recipe;
use super::session;
use super::user;

/// What users get beyond their request's own time limit to leave once they were asked to.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);
/// How often [`Running::wait_until`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Users at work. Dropped, it breaks off what they do.
#[derive(Debug)]
pub struct Running {
    ledger: Arc<Ledger>,
    stop: watch::Sender<bool>,
    users: JoinSet<()>,
    leave_limit: Duration,
}

/// Sets the users of `plan` to work.
///
/// Flow: one task a user in the caller's runtime, owned by what is returned.
/// Guarantees: nothing is sent twice; each request ends in exactly one of answered, failed, aborted.
/// Assumes: a tokio runtime with time and I/O.
#[must_use]
pub fn start(plan: Plan) -> Running {
    let ledger = Ledger::open();
    let (stop, stopped) = watch::channel(false);
    let budget = plan.requests.map(|requests| Arc::new(AtomicU64::new(requests)));
    let until = Until { stopped, deadline: plan.lasts.map(|lasts| Instant::now() + lasts), budget };
    let leave_limit = plan.timeout + LEAVE_LIMIT;
    let crowd = [
        (Kind::Quick, plan.quick),
        (Kind::Single, plan.single),
        (Kind::Slow, plan.slow),
        (Kind::Stream, plan.streams),
        (Kind::Events, plan.events),
        (Kind::Upload, plan.uploads),
        (Kind::WebSocket, plan.websockets),
        (Kind::Abort, plan.aborts),
    ];
    let recipe = Arc::new(Recipe::new(Arc::new(plan)));
    let mut users = JoinSet::new();
    let mut number = 0;
    for (kind, count) in crowd {
        for nth in 0..count {
            let user = User {
                kind,
                number,
                begins_late_by: share(nth, count),
                recipe: Arc::clone(&recipe),
                ledger: Arc::clone(&ledger),
                until: until.clone(),
                jitter: Jitter::of(number),
            };
            number += 1;
            match kind {
                Kind::WebSocket => users.spawn(session::run(user)),
                Kind::Quick | Kind::Single | Kind::Slow | Kind::Stream | Kind::Events | Kind::Upload | Kind::Abort => {
                    users.spawn(user::run(user))
                }
            };
        }
    }
    Running { ledger, stop, users, leave_limit }
}

impl Running {
    /// The account so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.ledger.snapshot()
    }

    /// Waits until the account is as wanted.
    ///
    /// # Errors
    /// The account at `limit`, when it was not so by then.
    pub async fn wait_until(
        &self,
        limit: Duration,
        mut wanted: impl FnMut(&Snapshot) -> bool,
    ) -> Result<Snapshot, Snapshot> {
        let deadline = Instant::now() + limit;
        loop {
            let snapshot = self.snapshot();
            if wanted(&snapshot) {
                return Ok(snapshot);
            }
            if Instant::now() >= deadline {
                return Err(snapshot);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Lets everyone finish the request they are at and leave, then gives the account.
    ///
    /// A request that is not over at its own time limit is broken off and counted as aborted.
    pub async fn stop(mut self) -> Report {
        self.stop.send_replace(true);
        let all = async {
            while let Some(joined) = self.users.join_next().await {
                see(joined);
            }
        };
        if tokio::time::timeout(self.leave_limit, all).await.is_err() {
            self.users.shutdown().await;
        }
        self.ledger.report()
    }

    /// Completes when the first user has come to the plan's own end (its time or its count); never, for a plan that has
    /// neither. It may be dropped and asked for again.
    pub async fn ended(&mut self) {
        if let Some(joined) = self.users.join_next().await {
            see(joined);
        }
    }

    /// Waits for the plan's own end, then gives the account.
    pub async fn finish(mut self) -> Report {
        self.ended().await;
        self.stop().await
    }
}

/// A user that panicked is a fault of the driver, not of what it drives.
fn see(joined: Result<(), tokio::task::JoinError>) {
    if let Err(error) = joined
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// One user, before it begins.
#[derive(Debug)]
pub(super) struct User {
    pub(super) kind: Kind,
    pub(super) number: u32,
    /// The part of its pause by which it begins later than others, so that they do not walk in step.
    pub(super) begins_late_by: f64,
    pub(super) recipe: Arc<Recipe>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) until: Until,
    pub(super) jitter: Jitter,
}

#[expect(clippy::cast_precision_loss, reason = "a handful of users")]
fn share(nth: usize, count: usize) -> f64 {
    nth as f64 / count as f64
}

// === impl Until ===

/// When users leave.
#[derive(Debug, Clone)]
pub(super) struct Until {
    stopped: watch::Receiver<bool>,
    deadline: Option<Instant>,
    budget: Option<Arc<AtomicU64>>,
}

impl Until {
    /// Whether another request may be sent; it then counts against the budget.
    pub(super) fn takes_one_more(&self) -> bool {
        if *self.stopped.borrow() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        let Some(budget) = &self.budget else { return true };
        budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Completes when it is time to leave.
    pub(super) async fn over(&mut self) {
        let stopped = async {
            // An error means that whoever could say so is gone.
            let _ = self.stopped.wait_for(|stopped| *stopped).await;
        };
        match self.deadline {
            None => stopped.await,
            Some(deadline) => tokio::select! {
                () = stopped => {}
                () = sleep_until(deadline) => {}
            },
        }
    }

    /// A pause, cut short when it is time to leave.
    pub(super) async fn pause(&mut self, pause: Duration) {
        if pause.is_zero() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.over() => {}
        }
    }
}

// === impl Jitter ===

/// Numbers that look random and are the same in every run (xorshift64*, Vigna 2016).
#[derive(Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    fn of(user: u32) -> Self {
        Self((u64::from(user) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Some duration from zero to `most`.
    pub(super) fn up_to(&mut self, most: Duration) -> Duration {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let part = u32::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 48).unwrap_or_default();
        most.mul_f64(f64::from(part) / f64::from(u16::MAX))
    }
}
