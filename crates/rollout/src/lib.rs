//! What to do next for an app, decided from its journal and what is seen: a pure room.
//!
//! What it is: [`App`] (the fold of an app's records), [`decide`] (records to append and what shall be true now),
//! [`admit`] (what a command becomes, or why it is refused), and what is shown of an app ([`view`], [`receipt`]).
//! Promises: the same values give the same answer; every action may be repeated; traffic is never led to a slot that
//! was not seen healthy while a healthy one is there; every wait has a bound and ends in an outcome.
//! Must never: do I/O, read a clock, use randomness or an async runtime, or know how a platform or a router does its work.
//! Begin reading at `decide` (the order of the rules), then the stages (`build`, `expand`, `provision`, `verify`,
//! `approve`, `shift` with its `steps` and `rolling`, `bake`, `retire`, `contract`), `undo` (the way back, `rolling_back` by batches), and `admit` (commands, also at the wrong moment).

mod actions;
mod admit;
mod ailment;
mod app;
mod approve;
mod attempts;
mod bake;
mod build;
mod checks;
mod contract;
mod decide;
mod drift;
mod expand;
mod experiment;
mod fold;
mod framework;
mod heard;
pub mod limits;
mod notes;
mod notices;
mod opening;
#[cfg(feature = "planted-bugs")]
pub mod planted;
mod policy;
mod provision;
pub mod receipt;
mod refusal;
mod release;
mod retire;
mod rolling;
mod rolling_back;
mod room;
mod routes;
mod schema;
mod shadow;
mod shift;
mod sight;
mod slots;
mod step_state;
mod steps;
mod turn;
mod undo;
mod unseen;
mod verify;
pub mod view;
mod wait;
mod well;
mod windows;
mod workers;

#[cfg(feature = "planted-bugs")]
pub use admit::admit_with;
pub use admit::{Admission, admit};
pub use app::{
    App, Draining, KnownDrift, KnownKey, Note, Renewal, RevisionState, RoutesState, Sized, SlotState, Stopping, Working,
};
pub use attempts::{Try, current_try};
pub use checks::watch;
#[cfg(feature = "planted-bugs")]
pub use decide::decide_with;
pub use decide::{Decision, decide};
pub use experiment::experiment;
pub use fold::fold;
pub use framework::gone_on;
pub use notes::notes;
pub use notices::{Notice, Teller};
pub use release::{AttemptState, Release, StageRecord, Switch, Undoing, WaitingFor};
pub use shadow::ShadowState;
pub use step_state::StepState;

#[cfg(test)]
mod tests;
