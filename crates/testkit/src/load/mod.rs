//! Users who notice everything: requests of many kinds at once, each one accounted for.
//!
//! [`start`] a [`Plan`] inside the caller's runtime, look at it with [`Running::snapshot`], end it with
//! [`Running::stop`], and read the [`Report`]. The client is HTTP/1.1 over plain sockets, so nothing is retried, pooled or
//! swallowed on the way: a request that was written and not answered is a failure with its cause.
//!
//! ```no_run
//! # async fn example() {
//! use std::time::Duration;
//! use switchover_testkit::load::{Plan, start};
//!
//! let running = start(Plan::of_every_kind(([127, 0, 0, 1], 8080).into(), "shop.example.com"));
//! running.wait_until(Duration::from_secs(10), |seen| seen.answered > 1000).await.expect("it answers");
//! let report = running.stop().await;
//! assert_eq!(report.failed, 0, "{:?}", report.failure_samples);
//! # }
//! ```

mod body;
mod compare;
mod head;
mod ledger;
mod outcome;
mod plan;
mod report;
mod request;
mod running;
mod session;
mod user;
mod wire;

pub use compare::compare;
pub use outcome::{Cause, Kind};
pub use plan::{Expect, Plan};
pub use report::{
    Change, Connections, FailureSample, KindTotals, Latency, Report, RevisionSeen, Second, SessionEnd, Snapshot,
    WebSockets,
};
pub use running::{Running, start};
