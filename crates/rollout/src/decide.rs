//! The decision: the order in which the rules are asked.

use switchover_model::Timestamp;
use switchover_model::record::Draft;
use switchover_model::seam::{Action, Seen};

use crate::app::App;

/// What to append, what shall be true, and when to look again.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// Records to append, all or none, before any of the actions.
    pub drafts: Vec<Draft>,
    /// What shall be true once the drafts are appended: complete, not a difference to what was asked before.
    pub actions: Vec<Action>,
    /// When time alone changes the decision; nothing when it does not.
    pub wake: Option<Timestamp>,
}

/// What to do next for `app`, given what was `seen`.
///
/// Flow: called after every observation, every command and every ended attempt, and at [`Decision::wake`]. The drafts
/// are appended first (expecting [`App::sequence`]); only then is anything done about the actions.
/// Guarantees: deterministic; the actions follow from the app as it is with the drafts applied, so a crash between any
/// two steps loses nothing: deciding again gives what is still missing. An attempt is among the actions from the
/// decision that journals its start until its end is recorded.
/// Assumes: `seen` was observed after `app`'s last record was appended, by the same controller.
#[must_use]
pub fn decide(app: &App, seen: &Seen, now: Timestamp) -> Decision {
    let _ = (app, seen, now);
    Decision::default()
}

/// [`decide`] with one planted mistake.
#[cfg(feature = "planted-bugs")]
#[must_use]
pub fn decide_with(bug: Option<crate::planted::Bug>, app: &App, seen: &Seen, now: Timestamp) -> Decision {
    let _ = bug;
    decide(app, seen, now)
}
