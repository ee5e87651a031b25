//! The simulated world: a platform, a router, a schema, a builder, a journal, operators and a controller in virtual time, thrown by
//! one seed. The controller's loop drives the real `admit`, `decide` and `fold`; the promises are checked all the way.
//!
//! Begin reading at `run` (one run from begin to end), then `controller` (the loop and its crashes), `chaos` (what goes
//! wrong) and `watch` (what must hold).

pub(crate) mod attempts;
pub(crate) mod book;
mod book_moves;
pub(crate) mod chaos;
mod checks;
pub(crate) mod controller;
pub(crate) mod coverage;
pub(crate) mod dice;
pub(crate) mod ending;
mod experiments;
pub(crate) mod fault;
pub(crate) mod focus;
pub(crate) mod framework;
pub(crate) mod journal;
pub(crate) mod operator;
pub(crate) mod platform;
mod platform_seen;
mod rolling;
pub(crate) mod room;
pub(crate) mod router;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod settings;
pub(crate) mod state;
pub(crate) mod watch;
pub(crate) mod watch_actions;
mod watch_hooks;
pub(crate) mod watch_outcomes;
pub(crate) mod watch_records;
mod watch_rolling;
pub(crate) mod watch_schema;
pub(crate) mod watch_shadow;
pub(crate) mod watch_steps;
