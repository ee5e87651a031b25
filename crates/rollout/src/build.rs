//! Stage build: source to sealed artifact. Nothing to undo.

use switchover_model::config::OnCrash;
use switchover_model::record::Attempt;
use switchover_model::release::Stage;
use switchover_model::{Problem, ReleaseId};

use crate::attempts::{self, Progress};
use crate::turn::{Turn, planted};
use crate::{decide, limits, wait};

pub(crate) fn step(turn: &mut Turn<'_>, id: ReleaseId) {
    let Some(revision) = turn.release(id).map(|release| release.revision) else { return };
    let rules = turn.app.config_of(id).and_then(|config| config.build.as_ref());
    let limit = rules.map_or(limits::BUILD, |build| build.timeout);
    let on_crash = rules.map_or(OnCrash::Rerun, |build| build.on_crash);
    match attempts::attempt(turn, id, &Attempt::Build { revision }, limit, on_crash) {
        Progress::Running => return,
        Progress::Failed(cause) => return turn.undo(id, cause),
        Progress::Passed => {}
    }
    if !turn.app.revisions.contains_key(&revision) {
        if turn.waited_out(id, wait::SEAL, limits::SEAL) {
            let cause = format!("the build of {revision} ended well, but no sealed revision was recorded.");
            turn.undo(id, Problem::new("BUILD-NOT-SEALED", cause, "Deploy again."));
        }
        return;
    }
    if !attempts::hooks_passed(turn, id, Stage::Build) {
        return;
    }
    match live_twin(turn, id) {
        Some(refusal) => turn.undo(id, refusal),
        None => decide::after_build(turn, id),
    }
}

/// A revision that would run exactly what is live already, and well, changes nothing.
fn live_twin(turn: &Turn<'_>, id: ReleaseId) -> Option<Problem> {
    if planted!(turn, IdenticalDeployed) {
        return None;
    }
    let live = turn.app.heading()?;
    let before = turn.app.revisions.get(&live.revision)?;
    let made = turn.app.revisions.get(&turn.release(id)?.revision)?;
    let (old, new) = (&before.revision, &made.revision);
    let is_well = turn.sight.ill(&turn.app, live.slot, live.revision).is_empty()
        && turn.sight.silent(&turn.app, live.slot, live.revision).is_empty();
    if !new.is_same_content(old) || !made.has_paths_of(before) || !is_well {
        return None;
    }
    let cause = format!(
        "{} has the same content, settings and processes as {}, which is live in {}.",
        new.id, old.id, live.slot
    );
    Some(Problem::new("ALREADY-LIVE", cause, "Nothing was changed; change something, then deploy again."))
}
