//! The loop: observe, decide, record, act, for many apps at once.
//!
//! What it is: [`Controller`], with one task an app, its attempts (builds and hooks) as tasks of their own, and what the
//! control API answers.
//! Promises: nothing is done that was not journaled before; a command is answered when it is journaled and acted upon at
//! once; a controller that is killed at any moment goes on where its journal ends; ending it ends neither instances nor
//! the router; every wait and queue is bounded (`bounds`).
//! Must never: decide (that is `rollout`), move a user's byte, or let a secret out.
//! Begin reading at `app_task` (what wakes an app), then `turn` (one turn of the loop), `routes` and `attempts`.

mod acts;
mod answers;
mod app_task;
mod attempts;
mod bounds;
mod clock;
mod controller;
mod evidence;
mod framework;
mod hooks;
mod keeper;
mod notify;
mod plan;
mod redact;
mod refusals;
mod routes;
mod schema;
mod shown;
mod start;
mod timeline;
mod token;
mod turn;
mod values;
mod world;

pub use controller::Controller;
pub use keeper::Keeper;
pub use start::{Options, StartError};
pub use switchover_platform::LogQuery;
pub use world::{Kept, Logs, Parts};
