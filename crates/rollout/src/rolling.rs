//! Rolling: the steps of a shift within the capacity. Before each share is raised the old slot has given up what the share
//! before left to nobody there, and the new one has grown by what became free; neither is ever led more than it can carry.
//!
//! A batch goes: the old slot shrinks to what the share in force leaves to it; when those who leave are seen gone the new
//! slot grows; when all of it is seen healthy its share is raised, and that is seen in force. After the last one the old slot
//! has nobody.

use switchover_model::config::{Fraction, Rolling, Step, Strategy};
use switchover_model::record::Event;
use switchover_model::release::ReleaseKind;
use switchover_model::sizes::Sizes;
use switchover_model::{Problem, ReleaseId, RevisionId, Slot, Span};

use crate::app::App;
use crate::release::Release;
use crate::room::{has_room, leaving_limit};
use crate::sight::Fitness;
use crate::slots::longer;
use crate::turn::{Turn, planted};
use crate::{ailment, limits, provision, routes, slots, steps, wait, windows};

/// How the file that `release` was opened with has it roll; nothing for every other strategy.
fn rule(app: &App, release: &Release) -> Option<Rolling> {
    match app.config_of(release.id).map(|config| &config.release.strategy) {
        Some(Strategy::Rolling(rolling)) => Some(*rolling),
        Some(Strategy::BlueGreen | Strategy::Canary(_) | Strategy::Linear { .. } | Strategy::Ab(_)) | None => None,
    }
}

/// The batches of `release` before all traffic: those taken, and from there those to come by the scale of now. A way back, and
/// what a person has sent to all traffic, goes by batches too, and is held at none of them.
pub(crate) fn planned(app: &App, release: &Release, rolling: Rolling) -> Vec<Step> {
    let is_way_back = matches!(release.kind, ReleaseKind::Return { .. });
    let stays = if is_way_back || release.full.is_some() { Span::ZERO } else { rolling.every };
    let is_known = app.revisions.contains_key(&release.revision);
    let scale = match app.config_of(release.id) {
        Some(config) if !is_known => config.routed_scale(),
        Some(_) | None => app.routed_scale(Some(release.revision)),
    };
    let held = release.slot.map_or(Fraction::NONE, |slot| led_to(app, slot));
    let taken = release.steps.iter().map(|step| Step { share: step.share, stays, approve: false });
    taken.chain(Rolling { every: stays, ..rolling }.steps(held, &scale)).collect()
}

/// The part of its scale that `slot` has a share for.
fn led_to(app: &App, slot: Slot) -> Fraction {
    match app.sized.map(|sized| sized.sizes).filter(|sizes| sizes.to == slot) {
        Some(sizes) if is_raised(app, &sizes) => target(app, &sizes),
        Some(sizes) => sizes.held,
        None => Fraction::NONE,
    }
}

/// What the slot that grows shall have.
pub(crate) fn target(app: &App, sizes: &Sizes) -> Fraction {
    sizes.target(&app.routed_scale(None))
}

/// Whether the slot that grows has the share of what it grows to.
fn is_raised(app: &App, sizes: &Sizes) -> bool {
    let share = app.routes.as_ref().map(|routes| routes::share_of(&routes.goal, sizes.to));
    sizes.grows && share.is_some_and(|share| share >= target(app, sizes).share())
}

/// The release has taken its slot: with somebody to share the traffic with it begins with its first batch.
pub(crate) fn begin_small(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot) {
    let surge = turn.release(id).and_then(|release| rule(&turn.app, release)).map(|rolling| rolling.surge);
    if let Some(surge) = surge.filter(|_| steps::shares(turn, slot)) {
        size(turn, id, Sizes { to: slot, held: Fraction::NONE, grows: true, alone: false, surge });
    }
}

/// Nobody is there any more to share the traffic with: the new slot has to be whole before it gets any.
pub(crate) fn grow_alone(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot) {
    let Some(sizes) = turn.app.sizes_of(id).filter(|sizes| !target(&turn.app, sizes).is_all()) else { return };
    if !steps::shares(turn, slot) {
        size(turn, id, Sizes { to: slot, held: Fraction::ALL, grows: false, alone: false, ..sizes });
    }
}

/// How the new slot is, by what it has a share for: what has not grown yet is no ailment of it.
pub(crate) fn fitness(turn: &Turn<'_>, id: ReleaseId, slot: Slot, revision: RevisionId) -> Fitness {
    match turn.app.sizes_of(id).filter(|sizes| sizes.to == slot && !is_raised(&turn.app, sizes)) {
        Some(sizes) => turn.fitness_of_part(slot, revision, sizes.held),
        None => turn.fitness(slot, revision),
    }
}

/// Goes on from the batch that the release is at, which has had its time.
pub(crate) fn go_on(turn: &mut Turn<'_>, id: ReleaseId, (slot, revision): (Slot, RevisionId), sizes: Sizes) {
    let mut sizes = sizes;
    if is_raised(&turn.app, &sizes) {
        if !may_go_on(turn, id, slot) {
            return;
        }
        sizes = Sizes { held: target(&turn.app, &sizes), grows: false, ..sizes };
        size(turn, id, sizes);
    }
    if !sizes.grows {
        if !has_room(turn, slot, revision, next(&turn.app, &sizes), sizes) && !planted!(turn, GrowsWithoutRoom) {
            let limit = leaving_limit(turn, slot.other());
            if turn.waited_out(id, wait::ROOM, limit) {
                turn.undo(id, not_gone(slot.other(), limit));
            }
            return;
        }
        sizes.grows = true;
        size(turn, id, sizes);
    }
    if turn.sure_fitness(slot, revision) != Fitness::Whole && !planted!(turn, BatchNotAwaited) {
        return await_batch(turn, id, slot, revision);
    }
    if !may_go_on(turn, id, slot) {
        return;
    }
    steps::take_batch(turn, id, (slot, revision), target(&turn.app, &sizes));
}

/// Where the traffic is on one slot for good, the other one has nobody any more and that one is whole.
pub(crate) fn finish(turn: &mut Turn<'_>) {
    let Some(sized) = turn.app.sized.filter(|sized| !sized.sizes.held.is_all()) else { return };
    let Some(live) = turn.app.heading().filter(|_| !routes::are_split(turn) && routes::are_in_force(turn)) else {
        return;
    };
    let open = turn.release(sized.release).filter(|release| release.is_open());
    let is_over = open.is_none_or(|release| {
        release.undoing.is_none() && release.switched_at.is_some() && release.slot == Some(live.slot)
    });
    if !is_over || slots::is_draining(turn, live.slot.other()) {
        return;
    }
    let is_watched = open.is_some();
    let sizes = sized.sizes;
    let is_whole = sizes.to == live.slot && target(&turn.app, &sizes).is_all();
    // The scale has grown since its last batch: what it lacks comes when the others are gone.
    if is_watched && !is_whole && !has_room(turn, live.slot, live.revision, Fraction::ALL, sizes) {
        if !sizes.alone {
            size(turn, sized.release, Sizes { alone: true, ..sizes });
        }
        return;
    }
    let sizes = Sizes { to: live.slot, held: Fraction::ALL, grows: false, alone: false, ..sizes };
    size(turn, sized.release, sizes);
}

/// A slot that a rolling release has emptied is there to be started again.
pub(crate) fn can_start_again(turn: &Turn<'_>, old: Slot) -> bool {
    turn.occupant(old).is_some() && turn.app.has_nobody(old)
}

/// In how many batches `release` would go back, and why not at once; nothing where its old slot is whole.
pub(crate) fn told_way_back(app: &App, release: &Release) -> Option<(u32, String)> {
    let sizes = app.sizes_of(release.id).filter(|sizes| release.slot == Some(sizes.to) && !sizes.held.is_none())?;
    let batches = sizes.held.rest().batches(&app.routed_scale(None), sizes.surge).len();
    let left = if sizes.held.is_all() {
        "a rolling release leaves no instance of it".to_owned()
    } else {
        format!("a rolling release has left it {} of its instances", sizes.held.rest())
    };
    let why = format!(
        "{left}; each batch takes a boot and a drain of at most {}",
        longer(app.drain_limit(), limits::DRAIN_ALLOWANCE)
    );
    Some((u32::try_from(batches).unwrap_or(u32::MAX), why))
}

/// In how many batches a release of `to` would lead there, by the file in force; nothing where it does not roll.
pub(crate) fn batches_to(app: &App, to: RevisionId) -> Option<u32> {
    let rolling = match app.config.as_ref().map(|config| &config.release.strategy) {
        Some(Strategy::Rolling(rolling)) => rolling,
        Some(Strategy::BlueGreen | Strategy::Canary(_) | Strategy::Linear { .. } | Strategy::Ab(_)) | None => {
            return None;
        }
    };
    let batches = Fraction::NONE.batches(&app.routed_scale(Some(to)), rolling.surge).len();
    u32::try_from(batches).ok()
}

/// What the slot that grows has after its next batch.
pub(crate) fn next(app: &App, sizes: &Sizes) -> Fraction {
    sizes.held.next(&app.routed_scale(None), sizes.surge)
}

/// Records the sizes of both slots.
pub(crate) fn size(turn: &mut Turn<'_>, id: ReleaseId, sizes: Sizes) {
    turn.record(Event::Sized { release: id, sizes });
}

/// Whether users may be led away from the old slot now: it is well, or was waited for, and then a time window is open.
fn may_go_on(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot) -> bool {
    // Who waits for a window has waited for the old slot before, and does not from window to window.
    (turn.waits_for(id, wait::WINDOW) || old_is_well(turn, id, slot)) && windows::let_pass(turn, id)
}

/// Whether the old slot is wholly healthy, or what ails it is no reason any more to leave users on it.
fn old_is_well(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot) -> bool {
    let old = turn.old_place(slot).map(|(slot, revision)| turn.fitness(slot, revision));
    match old {
        Some(Fitness::Partial) => turn.waited_out(id, wait::OLD_WHOLE, limits::READY),
        Some(Fitness::Whole | Fitness::Unknown | Fitness::Down) | None => true,
    }
}

fn await_batch(turn: &mut Turn<'_>, id: ReleaseId, slot: Slot, revision: RevisionId) {
    let limit = provision::boot_limit(&turn.app, revision);
    if turn.waited_out(id, wait::BATCH, limit) {
        let (why, lines) = turn.sight.ailments(&turn.app, slot, revision);
        let cause = format!("the next batch of {revision} in {slot} was not healthy within {limit}: {why}");
        let next = ailment::next_step(&lines);
        turn.undo(id, Problem::new("HEALTH-NEVER-GREEN", cause, next).with_detail(lines));
    }
}

fn not_gone(slot: Slot, limit: Span) -> Problem {
    let cause = format!(
        "instances of {slot} that were told to leave were not seen gone within {limit}, so the next batch had no room."
    );
    let next = "Look at what is left with `switchover status`; end it by hand, then deploy again.";
    Problem::new("BATCH-NOT-GONE", cause, next)
}
