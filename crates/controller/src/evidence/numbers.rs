//! The numbers that a watch asks for, of its checks and of its experiment's goals: who is due, who is being asked, what arrived.

use std::sync::Arc;

use switchover_model::config::{AppConfig, Bound, CheckSource, During, GoalSource, NumberFrom};
use switchover_model::evidence::{FIRST_GOAL, Side, Watch};
use switchover_model::seam::Builder;
use switchover_model::{Span, Timestamp};
use switchover_rollout::App;

use super::ask::{About, Question};
use super::judging::Judging;
use super::{Watcher, pause, rules};

/// A number of the file.
struct Number<'a> {
    from: &'a NumberFrom,
    interval: Span,
    timeout: Span,
    of: Of,
}

/// Of whom it is asked.
enum Of {
    /// A check's: of the new slot, and of the old one where it is compared with it.
    Check { compares: bool },
    /// A goal's: of both, as they are counted so long after the experiment began.
    Goal { lag: Span },
}

/// The places of all that a watch asks for.
pub(super) fn places(config: &AppConfig, judging: &Judging) -> impl Iterator<Item = usize> {
    let checks = rules::looked_at(config, judging.watch);
    let of_checks =
        checks.filter(|(_, check)| matches!(check.source, CheckSource::Number { .. })).map(|(place, _)| place);
    let tried = config.release.strategy.experiment().filter(|_| judging.tries());
    let goals = tried.into_iter().flat_map(|tried| tried.goals.iter().enumerate());
    of_checks.chain(goals.filter_map(|(place, goal)| match goal.source {
        GoalSource::Number(_) => Some(FIRST_GOAL + place),
        GoalSource::Request(_) => None,
    }))
}

/// What stands at a place; nothing where no number is asked for there.
fn number(config: &AppConfig, place: usize) -> Option<Number<'_>> {
    let Some(goal) = place.checked_sub(FIRST_GOAL) else {
        let check = config.release.evidence.checks.get(place)?;
        let CheckSource::Number { from, interval, timeout, .. } = &check.source else { return None };
        let of = Of::Check { compares: matches!(check.bound, Bound::WorseBy { .. }) };
        return Some(Number { from, interval: *interval, timeout: *timeout, of });
    };
    match &config.release.strategy.experiment()?.goals.get(goal)?.source {
        GoalSource::Number(goal) => Some(Number {
            from: &goal.from,
            interval: goal.interval,
            timeout: goal.timeout,
            of: Of::Goal { lag: goal.lag },
        }),
        GoalSource::Request(_) => None,
    }
}

impl Watcher {
    /// Takes in what was answered, and asks for what is due.
    pub(super) fn gather_numbers(&mut self, app: &App, builder: &Arc<dyn Builder>, now: Timestamp) {
        let Some((judging, _)) = &self.current else { return };
        let watch = judging.watch;
        let Some(config) = app.config_of(watch.release) else { return };
        // All that a goal's number tells is in its newest answer: more than one a look would only be kept.
        let between_looks = pause(&watch, judging, now);
        while let Some(done) = self.asked.try_join_next_with_id() {
            // One that broke down is asked for again like one that answered nothing.
            let (id, numbers) = done.unwrap_or_else(|broken| (broken.id(), Vec::new()));
            let Some(place) = self.asking.remove(&id) else { continue };
            if let Some(number) = number(config, place) {
                let asked_at = numbers.first().map_or(now, |number| number.at);
                let interval = match number.of {
                    Of::Check { .. } => number.interval,
                    Of::Goal { .. } => number.interval.max(between_looks),
                };
                self.due.insert(place, asked_at + interval);
            }
            self.arrived.extend(numbers);
        }
        let due: Vec<usize> = self.due.iter().filter(|(_, at)| **at <= now).map(|(place, _)| *place).collect();
        if due.is_empty() {
            return;
        }
        let shared = Arc::new(config.clone());
        for place in due {
            let Some(question) = question(app, watch, Arc::clone(&shared), place, now) else { continue };
            self.due.remove(&place);
            let (client, builder, at_once) = (self.client.clone(), Arc::clone(builder), Arc::clone(&self.at_once));
            let task = self.asked.spawn(async move {
                let Ok(_turn) = at_once.acquire().await else { return Vec::new() };
                question.ask(client, builder).await
            });
            self.asking.insert(task.id(), place);
        }
    }
}

/// What is to be asked for what stands at `place`.
fn question(app: &App, watch: Watch, config: Arc<AppConfig>, place: usize, now: Timestamp) -> Option<Question> {
    let number = number(&config, place)?;
    let release = app.release(watch.release)?;
    let slot = release.slot?;
    let sealed = |revision| app.revision(revision).cloned();
    let of = |side, slot, revision, moment| Some(About { side, slot, revision: sealed(revision)?, moment });
    let about = match number.of {
        // Both of one moment, where who is asked can tell.
        Of::Goal { .. } => {
            let new = of(Side::New, slot, release.revision, Some(now))?;
            std::iter::once(new).chain(of(Side::Old, slot.other(), release.from?, Some(now))).collect()
        }
        Of::Check { compares } => {
            let mut about = vec![of(Side::New, slot, release.revision, None)?];
            if let (true, Some(old)) = (compares, release.from) {
                // Without a live slot beside it: the same time before the switch as has gone by since.
                let switched = release.switched_at.filter(|_| watch.during != During::Shift);
                let moment = switched.map(|switched| {
                    let before = switched.as_micros().saturating_sub(now.since(switched).as_micros());
                    Timestamp::from_micros(before)
                });
                let can_tell = moment.is_none() || matches!(number.from, NumberFrom::Prometheus { .. });
                if can_tell {
                    about.push(of(Side::Old, slot.other(), old, moment)?);
                }
            }
            about
        }
    };
    let since = match number.of {
        // What clients from before it reach meanwhile would count no more on the old side, and once again on the new one.
        Of::Goal { lag } => Some(watch.since + lag),
        Of::Check { .. } => None,
    };
    let (from, timeout) = (number.from.clone(), number.timeout);
    Some(Question {
        app: app.name.clone(),
        release: watch.release,
        config,
        check: place,
        from,
        timeout,
        at: now,
        about,
        since,
    })
}
