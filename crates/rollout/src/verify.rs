//! Stage verify: hooks look at the idle slot through the preview address, then its answers to copies of live requests are compared.

use switchover_model::ReleaseId;
use switchover_model::record::Event;
use switchover_model::release::Stage;

use crate::release::Release;
use crate::turn::{Turn, planted};
use crate::{attempts, routes, shadow, shift};

pub(crate) fn step(turn: &mut Turn<'_>, id: ReleaseId) {
    let gated =
        turn.app.config.as_ref().is_some_and(|config| config.release.approve) && !planted!(turn, ApprovalSkipped);
    // Its hooks have passed then. A hold keeps it from going on, and what differs is heard all the same.
    let compares = turn.release(id).is_some_and(Release::is_in_shadow);
    if !compares && !is_looked_at(turn, id, gated) {
        return;
    }
    if !shadow::is_over(turn, id) {
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

/// Whether the hooks have looked at the slot, where the file has some, and may be asked at its preview address.
fn is_looked_at(turn: &mut Turn<'_>, id: ReleaseId, gated: bool) -> bool {
    let looked_at = turn.app.has_hooks(id, Stage::Verify) || gated;
    (!looked_at || routes::show_preview(turn, id)) && attempts::hooks_passed(turn, id, Stage::Verify)
}
