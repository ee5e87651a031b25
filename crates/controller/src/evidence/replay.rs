//! Reaching every verdict of a journal again from what it holds.

use switchover_model::ReleaseId;
use switchover_model::evidence::{CheckVerdict, Judged, Replayed};
use switchover_model::experiment::Decided;
use switchover_model::record::{Event, History};
use switchover_rollout::App;

use super::judging::Judging;

/// Every moment at which something followed from the checks of `release` (of each, when none is named), in order.
///
/// Assumes: `history` begins with the app's first record.
pub(crate) fn replay(history: &History, release: Option<ReleaseId>) -> Vec<Replayed> {
    let mut app = App::new(history.app.clone());
    let mut current: Option<(Judging, usize)> = None;
    let mut replayed = Vec::new();
    for record in &history.records {
        match &record.event {
            Event::Looked { watch, look } => {
                if current.as_ref().is_none_or(|(judging, _)| judging.watch != *watch) {
                    current = Judging::new(&app, *watch).map(|judging| (judging, 0));
                }
                if let Some((judging, looks)) = &mut current {
                    judging.take(look);
                    *looks += 1;
                }
            }
            Event::Judged { watch, verdicts } if release.is_none_or(|release| release == watch.release) => {
                let known = current.as_ref().filter(|(judging, _)| judging.watch == *watch);
                let mut again = verdicts.clone();
                let looks = match known {
                    Some((judging, looks)) => {
                        judging.in_full(&mut again);
                        *looks
                    }
                    None => {
                        // Nothing was looked at: what is said then rests on nothing.
                        if let Some(judging) = Judging::new(&app, *watch) {
                            judging.in_full(&mut again);
                        }
                        0
                    }
                };
                let recorded = Judged { watch: *watch, at: record.at, verdicts: verdicts.clone(), experiment: None };
                // Where nothing was looked at, there are no numbers to agree on.
                let agrees =
                    if looks == 0 { same_words(&recorded.verdicts, &again) } else { recorded.verdicts == again };
                replayed.push(Replayed { recorded, looks, again, experiment: None, agrees });
            }
            Event::Decided { watch, decided } if release.is_none_or(|release| release == watch.release) => {
                let known = current.as_ref().filter(|(judging, _)| judging.watch == *watch);
                let said = known.and_then(|(judging, _)| judging.tried());
                // Where nothing was looked at, nothing was said.
                let agrees = said.as_ref().is_none_or(|said| *said == decided.said);
                let again = said.map(|said| Box::new(Decided { said, ending: decided.ending, at: decided.at }));
                let recorded =
                    Judged { watch: *watch, at: record.at, verdicts: Vec::new(), experiment: Some(decided.clone()) };
                let looks = known.map_or(0, |(_, looks)| *looks);
                replayed.push(Replayed { recorded, looks, again: Vec::new(), experiment: again, agrees });
            }
            _ => {}
        }
        app.apply(record);
    }
    replayed
}

/// Whether the same checks say the same.
fn same_words(recorded: &[CheckVerdict], again: &[CheckVerdict]) -> bool {
    recorded.iter().map(|said| (said.check, said.verdict)).eq(again.iter().map(|said| (said.check, said.verdict)))
}
