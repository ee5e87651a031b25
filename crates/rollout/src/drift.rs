//! Changes behind our back: seen, recorded (not again and again), put right or left, as the app says.

use switchover_model::Slot;
use switchover_model::config::Drift;
use switchover_model::record::Event;

use crate::limits;
use crate::sight::is_stopping;
use crate::turn::Turn;

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
            let what = format!("{slot} runs {} of {}, which no decision put there", seen.process, seen.revision);
            // A slot in use is put right by keeping it as it shall be; only an empty one can be left alone.
            let corrected = state.revision.is_some() || policy(turn) == Drift::Correct;
            report(turn, what, corrected);
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
