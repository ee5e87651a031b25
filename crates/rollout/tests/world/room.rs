//! The room under test, with or without one planted mistake.

use switchover_model::record::{Actor, IdempotencyKey};
use switchover_model::release::Command;
use switchover_model::seam::Seen;
use switchover_model::{Problem, Timestamp};
use switchover_rollout::{Admission, App, Decision};

/// What answers: the real decisions, or the same with a mistake in them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Room {
    #[cfg(feature = "planted-bugs")]
    pub(crate) bug: Option<switchover_rollout::planted::Bug>,
}

impl Room {
    #[cfg(not(feature = "planted-bugs"))]
    #[expect(clippy::unused_self, reason = "with planted bugs the answer depends on it")]
    pub(crate) fn decide(self, app: &App, seen: &Seen, now: Timestamp) -> Decision {
        switchover_rollout::decide(app, seen, now)
    }

    #[cfg(feature = "planted-bugs")]
    pub(crate) fn decide(self, app: &App, seen: &Seen, now: Timestamp) -> Decision {
        switchover_rollout::decide_with(self.bug, app, seen, now)
    }

    #[cfg(not(feature = "planted-bugs"))]
    #[expect(clippy::unused_self, reason = "with planted bugs the answer depends on it")]
    pub(crate) fn admit(
        self,
        app: &App,
        command: &Command,
        key: &IdempotencyKey,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Admission, Problem> {
        switchover_rollout::admit(app, command, key, actor, now)
    }

    #[cfg(feature = "planted-bugs")]
    pub(crate) fn admit(
        self,
        app: &App,
        command: &Command,
        key: &IdempotencyKey,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Admission, Problem> {
        switchover_rollout::admit_with(self.bug, app, command, key, actor, now)
    }
}
