//! The report of an experiment, reached from what its journal holds.

use switchover_model::ReleaseId;
use switchover_model::config::{Experiment, Goal, GoalSource};
use switchover_model::evidence::{FIRST_GOAL, Look};
use switchover_model::experiment::{ExperimentReport, GoalRule};
use switchover_model::record::{Event, History};
use switchover_model::view::SCHEMA_VERSION;
use switchover_rollout::{App, experiment};

use super::judging::Judging;
use super::rules::Sides;
use super::trying::{TESTS, Trying};

/// What is known of the experiment that `release` is; of the newest release that is one, when none is named. Nothing when there
/// is none.
///
/// Assumes: `history` begins with the app's first record.
pub(crate) fn report(history: &History, release: Option<ReleaseId>) -> Option<ExperimentReport> {
    let release = release.or_else(|| newest(history))?;
    let mut app = App::new(history.app.clone());
    let mut trial: Option<Experiment> = None;
    let mut judging: Option<Judging> = None;
    let (mut looks, mut until, mut ending) = (0, None, None);
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
            _ => {}
        }
        app.apply(record);
        if trial.is_none() {
            trial = app.release(release).and_then(|found| experiment(&app, found)).cloned();
        }
    }
    let (trial, found) = (trial?, app.any_release(release)?);
    let step = found.steps.first();
    let said = judging.and_then(|judging| judging.tried());
    let rules = trial.goals.iter().map(rule);
    Some(ExperimentReport {
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
    GoalRule { request, number, primary: goal.primary, better: goal.better, effect: goal.effect }
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
