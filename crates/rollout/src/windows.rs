//! When traffic may move forward: outside of the app's windows, and in a freeze, a release waits where it is. A way back never
//! does.

use switchover_model::record::Event;
use switchover_model::release::ReleaseKind;
use switchover_model::{Problem, ReleaseId, Timestamp};

use crate::app::App;
use crate::release::Release;
use crate::turn::{Turn, planted};
use crate::{limits, wait};

/// What people are told, once a release.
const CODE: &str = "WINDOW-CLOSED";

/// Whether the release may begin to move traffic, or take its next step, now. Waits, for a bounded time, when it may not.
pub(crate) fn let_pass(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some(release) = turn.release(id) else { return false };
    let is_way_back = matches!(release.kind, ReleaseKind::Return { .. });
    let is_told = release.noted.contains(CODE);
    let is_open = turn.app.config.as_ref().is_none_or(|config| config.release.windows.is_open(turn.now));
    if is_open || is_way_back || release.waived.is_some() || planted!(turn, WindowIgnored) {
        return true;
    }
    let opens_at = opening(&turn.app, turn.now);
    if turn.waited_out(id, wait::WINDOW, limits::WINDOW) {
        let cause = format!("the app's time windows did not open for release {id} within {}.", limits::WINDOW);
        turn.undo(id, Problem::new(CODE, cause, "Look at `allow` and `freeze` in [release], then deploy again."));
        return false;
    }
    if let Some(at) = opens_at {
        turn.wake_at(at);
    }
    if !is_told {
        let when = told_opening(&turn.app, opens_at);
        let cause = format!("release {id} moves no more traffic until the app's time window opens, {when}.");
        let next = "`switchover promote` passes it once; an `apply` without the window or freeze does so for all.";
        turn.record(Event::Noted { release: Some(id), problem: Problem::new(CODE, cause, next) });
    }
    false
}

/// When traffic may move next, where it may not now.
pub(crate) fn opening(app: &App, now: Timestamp) -> Option<Timestamp> {
    let windows = &app.config.as_ref()?.release.windows;
    windows.opens_at(now).filter(|opens_at| *opens_at > now)
}

fn told_opening(app: &App, opens_at: Option<Timestamp>) -> String {
    match (app.config.as_ref(), opens_at) {
        (Some(config), Some(at)) => config.release.windows.told(at),
        (None, _) | (_, None) => "and when that is can not be told".to_owned(),
    }
}

impl Release {
    /// It waits for a time window now.
    #[must_use]
    pub fn waits_for_window(&self) -> bool {
        self.is_open() && self.waiting.as_ref().is_some_and(|waiting| waiting.reason == wait::WINDOW)
    }
}
