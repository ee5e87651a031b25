//! What tests and the demo need around a release: an app to release, and users who notice everything.
//!
//! [`sample`] is a small web app with a worker, whose sickness can be ordered; [`load`] drives users' requests over its
//! own HTTP/1.1 client and accounts for each one it sent; [`postgres`] is a real server with clients that know what was
//! acknowledged to them; [`prometheus`] is a real server of metrics.
//!
//! Promises: every request the load driver sent ends in exactly one of answered, failed or aborted by itself, and no
//! request is ever sent a second time on the quiet. The sample app speaks HTTP through a library that the product's data
//! plane does not use, so that the two cannot be wrong in the same way.
//! Must never: decide anything about a release, retry a request, or be needed by the product beyond its demo.
//! Begin reading in `load/ledger.rs` for the accounting, in `sample/routes.rs` for what the app answers.

pub mod conformance_platform;
pub mod conformance_traffic;
pub mod load;
pub mod postgres;
pub mod prometheus;
pub mod sample;
pub mod simulated_platform;
