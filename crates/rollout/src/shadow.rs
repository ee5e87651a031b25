//! A shadow comparison, in stage verify after its hooks: live requests are copied to the new slot, which answers nobody, and
//! what it answers is compared with what the live slot does. No traffic moves before it has passed, or a person has said so.
//!
//! The routes have the mirror for as long as the release is in its comparison, and not for a decision longer: however it ends, the
//! same decision takes it off ([`drop_stale_mirror`]).

use serde::{Deserialize, Serialize};
use switchover_model::config::Shadow;
use switchover_model::release::{ReleaseKind, Stage};
use switchover_model::seam::{ArmGoal, MirrorGoal, RoutesGoal};
use switchover_model::view::ShadowView;
use switchover_model::{Problem, ReleaseId, RevisionId, Share, Slot, Span, Timestamp};

use crate::app::App;
use crate::release::Release;
use crate::slots::longer;
use crate::turn::{Turn, planted};
use crate::{checks, limits, routes, steps, wait, well};

/// The copies of live requests for a release, as its records tell of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowState {
    /// When they were decided.
    pub decided_at: Timestamp,
    /// When the mirror was first recorded to be in force: the time of the comparison runs from then.
    pub in_force_at: Option<Timestamp>,
    /// How long of that time a person held the release: it does not count.
    pub held: Span,
    /// When a person ended it.
    pub promoted: Option<Timestamp>,
    /// When the mirror was taken off again.
    pub ended_at: Option<Timestamp>,
}

impl Release {
    /// Its slot gets copies of live requests, or shall get them.
    #[must_use]
    pub fn is_in_shadow(&self) -> bool {
        let is_on = self.shadow.as_ref().is_some_and(|shadow| shadow.ended_at.is_none());
        is_on && self.is_open() && self.undoing.is_none() && self.stage() == Some(Stage::Verify)
    }
}

/// What is to be compared for a release by the file it was opened with. A way back has served before; a first release has nobody
/// beside it.
pub(crate) fn planned<'a>(app: &'a App, release: &Release) -> Option<&'a Shadow> {
    let is_way_back = matches!(release.kind, ReleaseKind::Return { .. });
    let shadow = app.config_of(release.id).and_then(|config| config.release.shadow.as_ref());
    shadow.filter(|_| !is_way_back && app.heading().is_some_and(|live| release.slot == Some(live.slot.other())))
}

/// Whether the release may go on: nothing is to be compared, or it was, and the mirror is seen to be off.
pub(crate) fn is_over(turn: &mut Turn<'_>, id: ReleaseId) -> bool {
    let Some(release) = turn.release(id) else { return false };
    let Some(rule) = planned(&turn.app, release).cloned() else { return true };
    let Some((slot, revision)) = turn.place(id) else { return false };
    match turn.release(id).and_then(|release| release.shadow.clone()) {
        None => {
            if is_well(turn, id, (slot, revision)) && !turn.is_held(id) {
                begin(turn, id, (slot, revision), &rule);
            }
            false
        }
        Some(ShadowState { ended_at: Some(_), .. }) => is_seen(turn, id, wait::SHADOW_OFF),
        Some(state) => {
            if !has_ended(turn, id, &state, &rule) {
                return false;
            }
            take_off(turn, Some(id));
            is_seen(turn, id, wait::SHADOW_OFF)
        }
    }
}

fn begin(turn: &mut Turn<'_>, id: ReleaseId, (slot, revision): (Slot, RevisionId), rule: &Shadow) {
    let known = turn.app.routes.as_ref().map(|routes| routes.goal.clone()).unwrap_or_default();
    let arm = ArmGoal { slot, revision, share: Share::NONE };
    let mirror = Some(MirrorGoal { arm, rules: rule.rules.clone() });
    routes::set(turn, Some(id), RoutesGoal { mirror, ..known });
    is_seen(turn, id, wait::SHADOW_ON);
}

/// Whether the routes with the mirror, or without it, are seen in force. Waits for that, for a bounded time.
fn is_seen(turn: &mut Turn<'_>, id: ReleaseId, wait: &str) -> bool {
    if routes::are_in_force(turn) {
        return true;
    }
    if turn.waited_out(id, wait, limits::ROUTE) {
        let cause =
            format!("the routes with the copies of requests were not seen as decided within {}.", limits::ROUTE);
        turn.undo(id, Problem::new("MIRROR-NOT-SEEN", cause, "Look whether the router runs, then deploy again."));
    }
    false
}

/// Whether the comparison has had its time and has passed, or a person has ended it. A failed one undoes the release.
fn has_ended(turn: &mut Turn<'_>, id: ReleaseId, state: &ShadowState, rule: &Shadow) -> bool {
    let Some((slot, revision)) = turn.place(id) else { return false };
    if checks::are_breached(turn, id) || !is_seen(turn, id, wait::SHADOW_ON) {
        return false;
    }
    if !is_well(turn, id, (slot, revision)) || turn.is_held(id) {
        return false;
    }
    let Some(in_force_at) = state.in_force_at else { return false };
    if state.promoted.is_some() {
        checks::record_verdicts(turn, id);
        return true;
    }
    let end = steps::watched_since(turn, in_force_at) + longer(rule.stays, state.held);
    if !turn.over(end, Span::ZERO) && !planted!(turn, ShadowCutShort) {
        turn.waited_out(id, wait::SHADOW, limits::PAUSE);
        return false;
    }
    planted!(turn, ShadowNeedsNoVerdict) || checks::let_go_on(turn, id, end)
}

/// What a release is undone by whose answers differ beyond noise; the lines with the fields come to it.
pub(crate) fn differs(turn: &Turn<'_>, id: ReleaseId) -> Problem {
    let live = turn.app.heading().map_or_else(|| "the live slot".to_owned(), |live| live.revision.to_string());
    let place = turn.place(id).map(|(slot, revision)| format!("{revision} in {slot}")).unwrap_or_default();
    let cause =
        format!("{place} answers copies of live requests otherwise than {live} does. No user was answered by it.");
    let next = "Mend the app; or, where the change is meant, name the fields in `ignore_fields` of [release.shadow] or let \
                `tolerate` allow it, then deploy again.";
    Problem::new("SHADOW-DIFFERS", cause, next)
}

/// Whether the new slot is wholly healthy, as in a step of a shift.
fn is_well(turn: &mut Turn<'_>, id: ReleaseId, place: (Slot, RevisionId)) -> bool {
    let fitness = turn.fitness(place.0, place.1);
    well::is_well(turn, id, place, fitness, "copies of live requests")
}

/// Takes the mirror off the routes when no release is in its comparison any more.
pub(crate) fn drop_stale_mirror(turn: &mut Turn<'_>) {
    let Some(mirror) = turn.app.routes.as_ref().and_then(|routes| routes.goal.mirror.as_ref()) else { return };
    let (slot, revision) = (mirror.arm.slot, mirror.arm.revision);
    let is_wanted = turn
        .app
        .releases
        .iter()
        .any(|release| release.is_in_shadow() && (release.slot, release.revision) == (Some(slot), revision));
    if !is_wanted && !planted!(turn, MirrorStays) {
        take_off(turn, None);
    }
}

fn take_off(turn: &mut Turn<'_>, id: Option<ReleaseId>) {
    if let Some(routes) = turn.app.routes.as_ref().filter(|_| !planted!(turn, MirrorStays)) {
        let goal = RoutesGoal { mirror: None, ..routes.goal.clone() };
        routes::set(turn, id, goal);
    }
}

// === What records make of it ===

impl App {
    /// What new routes mean for the copies of a release: they begin, or have ended.
    pub(crate) fn shadow_routed(&mut self, id: Option<ReleaseId>, goal: &RoutesGoal, at: Timestamp) {
        for release in &mut self.releases {
            let is_in_shadow = release.is_in_shadow();
            let is_meant = goal.mirror.as_ref().is_some_and(|mirror| mirror.arm.revision == release.revision);
            match &mut release.shadow {
                None if is_meant && id == Some(release.id) => {
                    let (in_force_at, promoted, ended_at, held) = (None, None, None, Span::ZERO);
                    release.shadow = Some(ShadowState { decided_at: at, in_force_at, held, promoted, ended_at });
                    release.wait_for(None, at);
                }
                // Somebody else's routes leave the copies out: what was compared is no verdict, and it begins anew.
                Some(_) if !is_meant && is_in_shadow && id != Some(release.id) => release.shadow = None,
                Some(shadow) if !is_meant && shadow.ended_at.is_none() => {
                    shadow.ended_at = Some(at);
                    if release.is_open() && release.stage() == Some(Stage::Verify) {
                        release.wait_for(None, at);
                    }
                }
                None | Some(_) => {}
            }
        }
    }

    /// Routes came into force: with copies their time begins.
    pub(crate) fn shadow_in_force(&mut self, goal: &RoutesGoal, at: Timestamp) {
        let Some(revision) = goal.mirror.as_ref().map(|mirror| mirror.arm.revision) else { return };
        let of_it = self.releases.iter_mut().filter(|release| release.is_in_shadow() && release.revision == revision);
        for release in of_it {
            if let Some(shadow) = release.shadow.as_mut().filter(|shadow| shadow.in_force_at.is_none()) {
                shadow.in_force_at = Some(at);
                release.wait_for(None, at);
            }
        }
    }
}

impl ShadowState {
    /// The release was held since `since`, until `at`.
    pub(crate) fn was_held(&mut self, since: Timestamp, at: Timestamp) {
        if let Some(in_force_at) = self.in_force_at.filter(|_| self.ended_at.is_none()) {
            self.held = longer(self.held, at.since(since.max(in_force_at)));
        }
    }
}

/// The comparison as it is shown: gone through, going on, or, while the release is on its way to it, to come.
pub(crate) fn shown(app: &App, release: &Release) -> Option<ShadowView> {
    let rule = planned(app, release).filter(|_| release.settled_at.is_none());
    let Some(state) = &release.shadow else {
        let is_to_come = release.is_open() && !release.is_undoing() && release.stage() <= Some(Stage::Verify);
        let rule = rule.filter(|_| is_to_come)?;
        let (decided_at, in_force_at, until, left_at) = (None, None, None, None);
        return Some(ShadowView { share: Some(rule.rules.share), decided_at, in_force_at, until, left_at });
    };
    let is_held = release.paused.is_some() || state.promoted.is_some() || !release.is_in_shadow();
    let until = rule.filter(|_| !is_held).zip(state.in_force_at);
    Some(ShadowView {
        share: rule.map(|rule| rule.rules.share),
        decided_at: Some(state.decided_at),
        in_force_at: state.in_force_at,
        until: until.map(|(rule, from)| from + longer(rule.stays, state.held)),
        left_at: state.ended_at,
    })
}
