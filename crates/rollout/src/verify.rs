//! Stage verify: hooks look at the idle slot through the preview address.

use switchover_model::ReleaseId;
use switchover_model::record::Event;
use switchover_model::release::Stage;

use crate::turn::{Turn, planted};
use crate::{attempts, routes, shift};

pub(crate) fn step(turn: &mut Turn<'_>, id: ReleaseId) {
    let gated =
        turn.app.config.as_ref().is_some_and(|config| config.release.approve) && !planted!(turn, ApprovalSkipped);
    let looked_at = turn.app.has_hooks(id, Stage::Verify) || gated;
    if looked_at && !routes::show_preview(turn, id) {
        return;
    }
    if !attempts::hooks_passed(turn, id, Stage::Verify) {
        return;
    }
    if gated || turn.app.has_hooks(id, Stage::Approve) {
        if !attempts::may_begin(turn, id, Stage::Approve) {
            return;
        }
        turn.record(Event::Entered { release: id, stage: Stage::Approve, slot: None });
    } else {
        shift::enter(turn, id);
    }
}
