//! The report of an experiment, reached from what its journal holds.

use switchover_model::ReleaseId;
use switchover_model::config::{Experiment, Goal, GoalSource};
use switchover_model::evidence::{FIRST_GOAL, Look};
use switchover_model::experiment::{Ending, ExperimentReport, GoalRule};
use switchover_model::record::{Event, History};
use switchover_model::release::{Command, Stage};
use switchover_model::view::SCHEMA_VERSION;
use switchover_rollout::{App, experiment};

use super::judging::Judging;
use super::rules::Sides;
use super::trying::{TESTS, Trying};

/// Why there is no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoReport {
    /// The release is no experiment, or is not known; the app has had none, when none was named.
    NoExperiment,
    /// It was to be one, and there was no revision before it to compare with.
    First(ReleaseId),
}

/// What is known of the experiment that `release` is; of the newest release that is one, when none is named.
///
/// Assumes: `history` begins with the app's first record.
pub(crate) fn report(history: &History, release: Option<ReleaseId>) -> Result<ExperimentReport, NoReport> {
    let release = release.or_else(|| newest(history)).ok_or(NoReport::NoExperiment)?;
    let mut app = App::new(history.app.clone());
    let mut trial: Option<Experiment> = None;
    let mut judging: Option<Judging> = None;
    let (mut looks, mut until, mut ending, mut promoted_by) = (0, None, None, None);
    for record in &history.records {
        match &record.event {
            Event::Looked { watch, look } if watch.release == release && is_of_goals(look) => {
                if judging.as_ref().is_none_or(|judging| judging.watch != *watch) {
                    judging = Judging::new(&app, *watch);
                    looks = 0;
                }
                if let Some(judging) = &mut judging {
                    judging.take(look);
                    looks += 1;
                    until = Some(look.until);
                }
            }
            Event::Decided { watch, decided } if watch.release == release => ending = Some(decided.ending),
            Event::Commanded { command, .. } if sends_on(command, &app, release) => {
                promoted_by = Some(record.actor.told());
            }
            _ => {}
        }
        app.apply(record);
        if trial.is_none() {
            trial = app.release(release).and_then(|found| experiment(&app, found)).cloned();
        }
    }
    let (Some(trial), Some(found)) = (trial, app.any_release(release)) else { return Err(NoReport::NoExperiment) };
    if found.from.is_none() {
        return Err(NoReport::First(release));
    }
    let step = found.steps.first();
    let said = judging.and_then(|judging| judging.tried());
    let rules = trial.goals.iter().map(rule);
    Ok(ExperimentReport {
        schema_version: SCHEMA_VERSION,
        app: history.app.clone(),
        release,
        revision: found.revision,
        from: found.from,
        share: trial.share,
        began_at: step.and_then(|step| step.in_force_at),
        until,
        ended_at: step.and_then(|step| step.left_at).or(found.undoing.as_ref().map(|undoing| undoing.at)),
        lasts: trial.lasts,
        undecided: trial.undecided,
        ending,
        promoted_by: promoted_by.filter(|_| matches!(ending, Some(Ending::TimeOver | Ending::Promoted))),
        outcome: found.outcome.clone(),
        looks,
        rules: rules.collect(),
        said: said.unwrap_or_else(|| {
            let sides = Sides { new: found.revision, old: found.from };
            Trying::new(
                &trial,
                sides,
                super::rules::alpha(&switchover_model::config::EvidencePolicy::default(), 1, TESTS),
            )
            .said(true)
        }),
    })
}

/// Whether a person sends the experiment on by it; `app` is as it was before. To pass a closed window is not that.
fn sends_on(command: &Command, app: &App, release: ReleaseId) -> bool {
    let is_meant = matches!(command, Command::Promote { release: named, stage: Stage::Shift, .. } if *named == release);
    is_meant && app.release(release).is_some_and(|release| !release.waits_for_window())
}

/// Whether a look tells of goals.
fn is_of_goals(look: &Look) -> bool {
    look.goals.is_some() || look.numbers.iter().any(|number| number.check >= FIRST_GOAL)
}

fn rule(goal: &Goal) -> GoalRule {
    let source = Some(goal.source.to_string());
    let (request, number) = match goal.source {
        GoalSource::Request(_) => (source, None),
        GoalSource::Number(_) => (None, source),
    };
    let name = goal.name.clone();
    GoalRule { name, request, number, primary: goal.primary, better: goal.better, effect: goal.effect }
}

/// The newest release whose file says that it is one.
fn newest(history: &History) -> Option<ReleaseId> {
    let mut app = App::new(history.app.clone());
    let mut newest = None;
    for record in &history.records {
        app.apply(record);
        if let Event::Opened { release, .. } = record.event
            && app.release(release).is_some_and(|found| experiment(&app, found).is_some())
        {
            newest = Some(release);
        }
    }
    newest
}
