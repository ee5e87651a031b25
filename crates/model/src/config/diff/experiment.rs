//! An experiment and its goals, as settings.

use super::Settings;
use super::checks::put_number;
use crate::config::names::Word;
use crate::config::{Experiment, Goal, GoalNumber, GoalSource, Part};
use crate::decimal::Decimal;
use crate::name::Share;
use crate::seam::Condition;

pub(super) fn put_experiment(all: &mut Settings, experiment: &Experiment) {
    let Experiment { share, matches, lasts, at_least, undecided, goals } = experiment;
    let key = "release.experiment";
    if *share != Share::NONE {
        all.put(format!("{key}.share"), Part::Policy, share);
    }
    for (at, condition) in matches.iter().enumerate() {
        let key = format!("{key}.match.{}", at + 1);
        let (kind, name, value) = match condition {
            Condition::Header { name, value } => ("header", name.to_string(), value.as_str()),
            Condition::Cookie { name, value } => ("cookie", name.to_string(), value.as_str()),
            Condition::Query { name, value } => ("query", name.clone(), value.as_str()),
            // The file has no such match.
            Condition::Method { method } => ("method", method.clone(), ""),
        };
        all.put_text(format!("{key}.{kind}"), Part::Policy, &name);
        all.put_text(format!("{key}.value"), Part::Policy, value);
    }
    all.put(format!("{key}.for"), Part::Policy, lasts);
    all.put(format!("{key}.at_least"), Part::Policy, at_least);
    all.put(format!("{key}.undecided"), Part::Policy, undecided.word());
    for (at, goal) in goals.iter().enumerate() {
        put_goal(all, &format!("release.goal.{}", at + 1), goal);
    }
}

fn put_goal(all: &mut Settings, key: &str, goal: &Goal) {
    let Goal { name, source, primary, better, effect } = goal;
    all.put_text(format!("{key}.name"), Part::Policy, name);
    match source {
        GoalSource::Request(request) => all.put(format!("{key}.request"), Part::Policy, request),
        GoalSource::Number(GoalNumber { from, interval, timeout, lag }) => {
            put_number(all, key, (from, *interval, *timeout));
            all.put(format!("{key}.lag"), Part::Policy, lag);
        }
    }
    all.put(format!("{key}.primary"), Part::Policy, primary);
    all.put(format!("{key}.better"), Part::Policy, better.word());
    if *effect != Decimal::default() {
        let points = Decimal::from_millionths(effect.millionths().saturating_mul(100));
        all.put(format!("{key}.effect"), Part::Policy, format_args!("{points}%"));
    }
}
