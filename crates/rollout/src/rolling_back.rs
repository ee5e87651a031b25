//! The way back of a rolling release: its batches backwards, within the same capacity. The old slot grows, is seen healthy, gets
//! its share back, and the new one shrinks. Where the new slot answers nothing any more, all traffic goes at once to what
//! there is of the old one, which is made whole then.

use switchover_model::config::Fraction;
use switchover_model::sizes::Sizes;
use switchover_model::{ReleaseId, RevisionId, Share, Slot, Span};

use crate::app::{App, Renewal};
use crate::release::Release;
use crate::rolling::{next, size, target};
use crate::room::{has_room, leaving_limit};
use crate::sight::Fitness;
use crate::slots::longer;
use crate::turn::{Turn, planted};
use crate::{provision, routes, schema, slots, undo, wait};

type Place = (Slot, RevisionId);

/// Leads the traffic back by batches; says whether all of it is seen on the old slot, and that one whole.
pub(crate) fn traffic_is_back(turn: &mut Turn<'_>, id: ReleaseId, new: Place, old: Place, sizes: Sizes) -> bool {
    if schema::forbids(turn, old.1).is_some() {
        await_old(turn, id, new, old);
        return false;
    }
    let share = share_of_new(turn, new);
    let answers_nothing = turn.fitness(new.0, new.1) == Fitness::Down;
    if share != Share::NONE && answers_nothing && turn.fitness(old.0, old.1).can_serve() {
        routes::switch_to(turn, id, Some(old));
        return false;
    }
    if sizes.to == new.0 {
        turn_round(turn, id, new, old, sizes);
        return false;
    }
    if !undo::is_in_force_back(turn, id, new, Some(old)) {
        return false;
    }
    if share == Share::NONE {
        return is_whole(turn, id, new, old, sizes);
    }
    give_back(turn, id, new, old, sizes);
    false
}

/// The old slot is the one that grows from now on. What the new one has a share for beyond what the old one has given up goes
/// back at once.
fn turn_round(turn: &mut Turn<'_>, id: ReleaseId, new: Place, old: Place, sizes: Sizes) {
    let kept = sizes.held.rest();
    if share_of_new(turn, new) > sizes.held.share() {
        let is_fit = if routes::are_split(turn) {
            turn.fitness(old.0, old.1).can_serve()
        } else {
            undo::can_take_it_back(turn, id, new, old)
        };
        if is_fit || await_old(turn, id, new, old) {
            lead_back(turn, id, new, old, kept);
        }
        return;
    }
    let still_drains = kept.is_all() && slots::is_draining(turn, new.0);
    if undo::is_in_force_back(turn, id, new, Some(old)) && !still_drains {
        size(turn, id, Sizes { to: old.0, held: kept, grows: false, alone: false, ..sizes });
    }
}

/// One batch back.
fn give_back(turn: &mut Turn<'_>, id: ReleaseId, new: Place, old: Place, mut sizes: Sizes) {
    let part = target(&turn.app, &sizes);
    if sizes.grows && share_of_new(turn, new) <= part.rest().share() {
        sizes = Sizes { held: part, grows: false, ..sizes };
        size(turn, id, sizes);
    }
    if !sizes.grows {
        let wanted = next(&turn.app, &sizes);
        if !has_room(turn, old.0, old.1, wanted, sizes) {
            let limit = leaving_limit(turn, new.0);
            // Who has had all the time to leave is in nobody's way back.
            if !turn.waited_out(id, wait::ROOM, limit) {
                return;
            }
        }
        sizes.grows = true;
        size(turn, id, sizes);
    }
    let is_seen = turn.sure_fitness(old.0, old.1) == Fitness::Whole || planted!(turn, GivesBackUnseen);
    if is_seen || await_old(turn, id, new, old) {
        let part = target(&turn.app, &sizes);
        lead_back(turn, id, new, old, part);
    }
}

/// All traffic is on the old slot: it becomes whole, and the new one has nobody any more.
fn is_whole(turn: &mut Turn<'_>, id: ReleaseId, new: Place, old: Place, mut sizes: Sizes) -> bool {
    if !sizes.held.is_all() {
        if !sizes.grows && has_room(turn, old.0, old.1, next(&turn.app, &sizes), sizes) {
            sizes.grows = true;
            size(turn, id, sizes);
        }
        if slots::is_draining(turn, new.0) {
            // Bounded by the drain's own bound.
            return false;
        }
        if !sizes.alone && !target(&turn.app, &sizes).is_all() {
            sizes.alone = true;
            size(turn, id, sizes);
        }
        if !has_room(turn, old.0, old.1, Fraction::ALL, sizes) {
            let limit = leaving_limit(turn, new.0);
            if !turn.waited_out(id, wait::ROOM, limit) {
                return false;
            }
        }
        if planted!(turn, OldSlotStaysSmall) {
            return true;
        }
        size(turn, id, Sizes { held: Fraction::ALL, grows: false, alone: false, ..sizes });
    }
    // Where its workers are waited for, this wait is over.
    if turn.fitness(old.0, old.1) == Fitness::Whole || turn.waits_for(id, wait::HANDOVER_BACK) {
        return true;
    }
    let ill = turn.sight.ill(&turn.app, old.0, old.1);
    slots::renew(turn, id, old, &ill);
    let limit = coming_limit(turn, id, old);
    // It has the traffic: what is still ill of it is replaced like anybody who is ill in service.
    turn.waited_out(id, wait::OLD_SLOT_WHOLE, limit)
}

/// Waits, for a bounded time, until all of the old slot has answered well, and has who is ill replaced; says whether what
/// there is of it has to do, because the new slot answers nothing. Else nothing more is led to instances that do not come up.
fn await_old(turn: &mut Turn<'_>, id: ReleaseId, new: Place, old: Place) -> bool {
    if undo::may_answer_yet(turn, old) {
        return false;
    }
    let is_forbidden = schema::forbids(turn, old.1).is_some();
    if !is_forbidden {
        let mut ailing = turn.sight.ill(&turn.app, old.0, old.1);
        ailing.extend(turn.sight.silent(&turn.app, old.0, old.1));
        slots::renew(turn, id, old, &ailing);
    }
    let limit = coming_limit(turn, id, old);
    if !turn.waited_out(id, wait::OLD_SLOT, limit) {
        return false;
    }
    let new_is_down = turn.fitness(new.0, new.1) == Fitness::Down;
    if !is_forbidden && new_is_down && turn.fitness(old.0, old.1).can_serve() {
        return true;
    }
    undo::fail_without_old_slot(turn, id, new, old, limit);
    false
}

/// How long it may take until all of the old slot is healthy: heirs of who is ill may have to wait for their room first.
fn coming_limit(turn: &Turn<'_>, id: ReleaseId, old: Place) -> Span {
    let boot = provision::boot_limit(&turn.app, old.1);
    match Renewal::count_of(turn.app.slot(old.0).renewal.as_ref(), Some(id)) {
        0 => boot,
        _ => longer(boot, leaving_limit(turn, old.0)),
    }
}

/// How far `release` is on its way back; nothing for one that has no place to go back to.
pub(crate) fn told(app: &App, release: &Release) -> Option<String> {
    let (sizes, (old, to)) = (app.sizes_of(release.id)?, app.origin_of(release)?);
    let share = app.routes.as_ref().map_or(Share::NONE, |routes| routes::share_of(&routes.goal, old.other()));
    let begun = format!("release {} goes back to {to} already, by batches", release.id);
    if share == Share::NONE {
        return Some(format!("{begun}: {to} has all of the requests, and {old} is being made whole"));
    }
    let held = if sizes.to == old { sizes.held } else { sizes.held.rest() };
    let left = match held.batches(&app.routed_scale(None), sizes.surge).len() {
        1 => "1 batch is to come".to_owned(),
        left => format!("{left} batches are to come"),
    };
    Some(format!("{begun}: {} has {share} of the requests still, {left}", release.revision))
}

/// Leads `part` of the traffic to the old slot.
fn lead_back(turn: &mut Turn<'_>, id: ReleaseId, new: Place, old: Place, part: Fraction) {
    if part.is_all() {
        routes::switch_to(turn, id, Some(old));
    } else {
        routes::split(turn, id, new, part.rest().share());
    }
}

fn share_of_new(turn: &Turn<'_>, new: Place) -> Share {
    turn.app.routes.as_ref().map_or(Share::NONE, |routes| routes::share_of(&routes.goal, new.0))
}
