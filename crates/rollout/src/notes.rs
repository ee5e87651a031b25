//! What a person should know of the newest release, as long as it is so.

use switchover_model::Problem;
use switchover_model::release::Stage;

use crate::app::App;
use crate::release::Release;
use crate::retire;

/// The notes of the newest release that still hold, oldest first.
#[must_use]
pub fn notes(app: &App) -> Vec<Problem> {
    let Some(newest) = app.all_releases().next_back() else { return Vec::new() };
    let of_it = app.notes.iter().filter(|note| note.release == Some(newest.id)).map(|note| &note.problem);
    of_it.filter(|problem| holds(newest, problem)).cloned().collect()
}

fn holds(newest: &Release, problem: &Problem) -> bool {
    match problem.code.as_str() {
        // It tells what will be cleared, and is no longer true when that is done or nothing comes of it.
        "WAY-BACK-CLOSES" => newest.is_open() && newest.stage().is_none_or(|stage| stage < Stage::Provision),
        "WINDOW-CLOSED" => newest.waits_for_window(),
        _ if retire::tells_of_its_gate(problem) => newest.waits_to_retire(),
        _ => true,
    }
}
