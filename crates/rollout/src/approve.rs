//! Stage approve: a person opens the gate, or the release is undone when nobody does in time.

use switchover_model::release::Stage;
use switchover_model::{Problem, ReleaseId};

use crate::release::Release;
use crate::turn::Turn;
use crate::{attempts, shift, wait};

pub(crate) fn step(turn: &mut Turn<'_>, id: ReleaseId) {
    let promoted = turn.release(id).is_some_and(Release::is_promoted);
    let policy = turn.app.config.as_ref().map(|config| (config.release.approve, config.release.approve_timeout));
    if let (Some((true, limit)), false) = (policy, promoted) {
        if turn.waited_out(id, wait::PROMOTE, limit) {
            let cause = format!("nobody promoted release {id} within {limit}.");
            turn.undo(
                id,
                Problem::new("APPROVAL-TIMED-OUT", cause, "Deploy again, and run `switchover promote` in time."),
            );
        }
        return;
    }
    if attempts::hooks_passed(turn, id, Stage::Approve) {
        shift::enter(turn, id);
    }
}
