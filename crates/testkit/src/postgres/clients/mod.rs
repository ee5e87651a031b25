//! Applications of an old and a new version that use one table all the time.
//!
//! Each client owns some keys, so it knows what each of its rows must be: what it wrote last and saw acknowledged. After
//! every operation it reads the rows back through every version that is in use. A write whose answer never came may have
//! happened or not; until the next read either is right, then only what was read.

mod client;
mod plan;
mod report;
mod rows;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

pub use plan::{Application, Load, Preparing, Side, Write};
pub use report::{ClientError, ClientReport, Difference, Operation, Stall};

use client::Client;
use report::Ledger;

/// The longest that clients may take to leave a version, or to end: one answer and a bit more.
const LEFT: Duration = Duration::from_secs(90);

/// Which versions are in use now, and whether the clients go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Orders {
    /// Counts the orders, so that a client can say which one it follows.
    number: u64,
    is_used: [bool; 2],
    go_on: bool,
}

/// What all clients share.
struct Shared {
    load: Load,
    ledger: Ledger,
    began: Instant,
    begun_operations: AtomicU64,
    next_key: AtomicI64,
    next_number: AtomicU64,
    /// Of each client the order that it follows: it has no connection that this one does not allow.
    follows: Vec<AtomicU64>,
}

/// Clients at work, on a thread of their own: a test that waits does not slow them. Dropped, they are aborted.
pub struct Clients {
    shared: Arc<Shared>,
    /// Nothing once they are to be aborted.
    orders: Option<watch::Sender<Orders>>,
    thread: Option<std::thread::JoinHandle<()>>,
    ended: oneshot::Receiver<()>,
}

impl Clients {
    /// Starts the clients of `load`, at first on the versions `sides` alone.
    ///
    /// # Panics
    /// When the load has no clients or no rate.
    #[must_use]
    pub fn start(load: Load, sides: &[Side]) -> Self {
        assert!(load.clients > 0 && load.operations_per_second > 0, "a load without clients or without a rate");
        let is_used = [sides.contains(&Side::Old), sides.contains(&Side::New)];
        let (orders, seen) = watch::channel(Orders { number: 1, is_used, go_on: true });
        let shared = Arc::new(Shared {
            ledger: Ledger::default(),
            began: Instant::now(),
            begun_operations: AtomicU64::new(0),
            next_key: AtomicI64::new(load.seeded.end),
            // Above every number that a seeded row has.
            next_number: AtomicU64::new(u64::try_from(load.seeded.end).unwrap_or(0)),
            follows: (0..load.clients).map(|_| AtomicU64::new(0)).collect(),
            load,
        });
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let of_thread = Arc::clone(&shared);
        let work = move || {
            if runtime.block_on(work(of_thread, seen)) {
                let _ = end.send(());
            }
        };
        let thread = std::thread::Builder::new().name("clients".to_owned()).spawn(work).expect("a thread");
        Self { shared, orders: Some(orders), thread: Some(thread), ended }
    }

    /// Uses `side` too from now on.
    pub fn admit(&self, side: Side) {
        self.order(|orders| orders.is_used[side.place()] = true);
    }

    /// Uses `side` no longer, and waits until no client has a connection to it.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn retire(&self, side: Side) {
        let number = self.order(|orders| orders.is_used[side.place()] = false);
        let deadline = Instant::now() + LEFT;
        while self.shared.follows.iter().any(|client| client.load(Ordering::Acquire) < number) {
            assert!(Instant::now() < deadline, "clients do not leave {side:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until `count` more operations have ended, well or not; at most as long as the load lasts.
    ///
    /// # Panics
    /// When they do not end in that time.
    pub async fn work(&self, count: u64) {
        let (goal, deadline) = (self.operations() + count, Instant::now() + self.shared.load.lasts_at_most);
        while self.operations() < goal {
            assert!(Instant::now() < deadline, "{} operations, not {goal}", self.operations());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// How many operations have ended so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.shared.ledger.operations()
    }

    /// Ends all clients; each reads the rows that it changed once more through every version in use.
    ///
    /// # Panics
    /// When a client panicked, or does not end in time.
    pub async fn finish(mut self) -> ClientReport {
        self.order(|orders| orders.go_on = false);
        let ended = tokio::time::timeout(self.shared.load.lasts_at_most + LEFT, &mut self.ended).await;
        ended.expect("the clients end in time").expect("no client panics");
        self.shared.ledger.report(self.shared.began.elapsed())
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) -> u64 {
        let mut number = 0;
        let orders = self.orders.as_ref().expect("orders are given until the drop");
        orders.send_modify(|orders| {
            change(orders);
            orders.number += 1;
            number = orders.number;
        });
        number
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // What went wrong there was told where it happened, and to `finish`.
            let _ = thread.join();
        }
    }
}

/// Lets all clients work to their end; false when they were dropped before it.
async fn work(shared: Arc<Shared>, mut orders: watch::Receiver<Orders>) -> bool {
    let mut tasks = JoinSet::new();
    for place in 0..shared.load.clients {
        tasks.spawn(Client::new(place, Arc::clone(&shared)).run(orders.clone()));
    }
    let end = async {
        while let Some(ended) = tasks.join_next().await {
            ended.expect("a client panicked");
        }
    };
    let dropped = async { while orders.changed().await.is_ok() {} };
    tokio::select! {
        () = end => true,
        () = dropped => false,
    }
}
