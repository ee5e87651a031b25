//! Changes behind our back: seen, recorded (not again and again), put right or left, as the app says.

use switchover_model::Slot;
use switchover_model::config::Drift;
use switchover_model::record::Event;

use crate::release::Release;
use crate::sight::is_stopping;
use crate::turn::{Turn, planted};
use crate::{limits, slots};

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
/// recover by itself. In a slot that a release goes to, or back to, that release judges them.
pub(crate) fn replace_ill(turn: &mut Turn<'_>) {
    for slot in Slot::BOTH {
        let Some(revision) = turn.occupant(slot) else { continue };
        let is_live = turn.app.heading().is_some_and(|live| live.slot == slot);
        let judges = |release: &Release| {
            release.is_open() && (release.slot == Some(slot) || release.is_undoing() && release.has_shifted())
        };
        if !is_live && !slots::is_warm(turn, slot) || turn.app.releases.iter().any(judges) {
            continue;
        }
        let (ill, next) = turn.sight.ill_for_long(&turn.app, slot, revision);
        if let Some(next) = next {
            turn.wake_at(next);
        }
        let last = turn.app.slot(slot).renewal.map(|renewal| renewal.at);
        if planted!(turn, IllStayInService) {
            continue;
        }
        if ill.is_empty() || last.is_some_and(|last| !turn.over(last, limits::RENEWAL)) {
            continue;
        }
        let corrected = policy(turn) == Drift::Correct;
        let count = if corrected { slots::replace(turn, None, slot, &ill, ill.len()) } else { ill.len() };
        if count > 0 {
            let (why, _) = turn.sight.ailments(&turn.app, slot, revision);
            report(turn, format!("{revision} in {slot} has instances that stay ill: {why}"), corrected);
        }
    }
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
