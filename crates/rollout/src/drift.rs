//! Changes behind our back: seen, recorded (not again and again), put right or left, as the app says.

use switchover_model::config::Drift;
use switchover_model::record::Event;
use switchover_model::{InstanceId, RevisionId, Slot, Span};

use crate::release::Release;
use crate::sight::is_stopping;
use crate::turn::{Turn, planted};
use crate::{limits, schema, slots};

/// What the app wants done about drift.
pub(crate) fn policy(turn: &Turn<'_>) -> Drift {
    turn.app.config.as_ref().map_or(Drift::Correct, |config| config.drift)
}

/// Records instances that no decision put where they are.
pub(crate) fn look(turn: &mut Turn<'_>) {
    for slot in Slot::BOTH {
        let state = turn.app.slot(slot);
        if state.stopping.is_some() {
            continue;
        }
        let stranger =
            turn.sight.in_slot(slot).find(|seen| !is_stopping(seen) && state.revision != Some(seen.revision));
        if let Some(seen) = stranger {
            let what = format!("{slot} runs {} of {}, which no decision put there.", seen.process, seen.revision);
            // A slot in use is put right by keeping it as it shall be; only an empty one can be left alone.
            let corrected = state.revision.is_some() || policy(turn) == Drift::Correct;
            report(turn, what, corrected);
        }
    }
}

/// Has instances of the live slot and of a warm one replaced that stay ill: nothing is sent to them, and what hangs does not
/// recover by itself.
pub(crate) fn replace_ill(turn: &mut Turn<'_>) {
    for slot in Slot::BOTH {
        let Some(revision) = turn.occupant(slot).filter(|revision| is_in_service(turn, slot, *revision)) else {
            continue;
        };
        let corrected = policy(turn) == Drift::Correct;
        let (ill, next) = turn.sight.ill_for_long(&turn.app, slot, revision, corrected);
        if let Some(next) = next {
            turn.wake_at(next);
        }
        if ill.is_empty() || was_replaced_lately(turn, slot) || planted!(turn, IllStayInService) {
            continue;
        }
        let ids: Vec<&str> = ill.iter().map(InstanceId::as_str).collect();
        let what = format!("{revision} in {slot}: ill for long: {}.", ids.join(", "));
        if !corrected || slots::replace(turn, None, slot, &ill, ill.len()) > 0 {
            report(turn, what, corrected);
        }
    }
}

/// The slot is live or kept warm, and can run on the schema. One that a release goes to, or back to, is judged by that.
fn is_in_service(turn: &Turn<'_>, slot: Slot, revision: RevisionId) -> bool {
    let judges = |release: &Release| {
        release.is_open() && (release.slot == Some(slot) || release.is_undoing() && release.has_shifted())
    };
    let is_live = turn.app.heading().is_some_and(|live| live.slot == slot);
    let is_kept = || slots::is_warm(turn, slot) && !slots::is_draining(turn, slot);
    (is_live || is_kept()) && !turn.app.releases.iter().any(judges) && schema::forbids(turn, revision).is_none()
}

/// Somebody of the slot was replaced a short while ago; the more were, the longer it is until the next time.
fn was_replaced_lately(turn: &mut Turn<'_>, slot: Slot) -> bool {
    let Some(last) = turn.app.slot(slot).renewal else { return false };
    let times = if last.release.is_none() { last.count } else { 1 };
    let wait = limits::RENEWAL.as_micros().saturating_mul(u64::from(times));
    !turn.over(last.at, Span::from_micros(wait).min(limits::LONGEST_RENEWAL))
}

/// Whether `slot` shall be empty, is not, and the app wants that put right.
pub(crate) fn is_to_be_cleared(turn: &Turn<'_>, slot: Slot) -> bool {
    let state = turn.app.slot(slot);
    state.revision.is_none()
        && policy(turn) == Drift::Correct
        && turn.sight.in_slot(slot).any(|seen| !is_stopping(seen))
}

/// Records a drift, unless the same was recorded a short while ago.
pub(crate) fn report(turn: &mut Turn<'_>, what: String, corrected: bool) {
    let known =
        turn.app.drifts.iter().any(|drift| drift.what == what && turn.now.since(drift.at) < limits::DRIFT_QUIET);
    if !known {
        turn.record(Event::Drifted { what, corrected });
    }
}
