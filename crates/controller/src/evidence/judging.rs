//! The checks of one watch under way: each look is taken by each of them. The same records give the same verdicts.

use std::collections::BTreeMap;

use serde_json::Value;
use switchover_judge::{Judge, Outcome};
use switchover_model::Timestamp;
use switchover_model::config::{Check, During};
use switchover_model::evidence::{CheckVerdict, ChecksSeen, Look, Verdict, Watch};
use switchover_model::experiment::ExperimentSaid;
use switchover_model::seam::GoalsMeasured;
use switchover_rollout::{App, experiment};

use super::rules::{self, Sides};
use super::trying::{self, Trying};

/// Every check that a watch looks at, and what it has seen so far.
pub(super) struct Judging {
    pub(super) watch: Watch,
    pub(super) sides: Sides,
    at: Timestamp,
    checks: Vec<UnderWay>,
    /// The experiment that the watch looks at.
    trial: Option<Trying>,
}

struct UnderWay {
    place: usize,
    check: Check,
    /// Nothing where the file holds a number that makes no rule: it stays inconclusive.
    judge: Option<Judge>,
}

impl Judging {
    /// Of what `watch` looks at, with nothing seen yet; nothing when its release is not known any more.
    pub(super) fn new(app: &App, watch: Watch) -> Option<Self> {
        let release = app.release(watch.release)?;
        let config = app.config_of(watch.release)?;
        let steps = release.steps.last().map_or(0, |step| step.of);
        let trial = experiment(app, release);
        let alpha = rules::alpha(&config.release.evidence, steps, trial.map_or(0, |_| trying::TESTS));
        let checks = rules::looked_at(config, watch).map(|(place, check)| {
            let judge = rules::rule(check, alpha, watch.length).ok().map(|rule| Judge::new(&rule));
            UnderWay { place, check: check.clone(), judge }
        });
        let sides = Sides { new: release.revision, old: release.from };
        let trial = trial.filter(|_| watch.during == During::Shift).map(|trial| Trying::new(trial, sides, alpha));
        Some(Self { watch, sides, at: watch.since, checks: checks.collect(), trial })
    }

    pub(super) fn take(&mut self, look: &Look) {
        self.at = look.until;
        for UnderWay { place, check, judge } in &mut self.checks {
            let Some(judge) = judge else { continue };
            rules::evidence(check, *place, self.sides, look).iter().for_each(|evidence| judge.take(evidence));
        }
        if let Some(trial) = &mut self.trial {
            trial.take(look);
        }
    }

    /// What was counted of the experiment, where it is not what was counted at the look before.
    pub(super) fn counted_anew(&self, now: Option<&GoalsMeasured>) -> Option<GoalsMeasured> {
        now.filter(|now| self.trial.as_ref().is_some_and(|trial| !trial.knows(now))).cloned()
    }

    /// Whether an experiment is looked at.
    pub(super) fn tries(&self) -> bool {
        self.trial.is_some()
    }

    /// What the experiment says, with all that it rests on.
    pub(super) fn tried(&self) -> Option<ExperimentSaid> {
        self.trial.as_ref().map(|trial| trial.said(true))
    }

    pub(super) fn checks(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().map(|under_way| &under_way.check)
    }

    /// The same, by their places in the file.
    pub(super) fn placed(&self) -> impl Iterator<Item = (usize, &Check)> {
        self.checks.iter().map(|under_way| (under_way.place, &under_way.check))
    }

    /// What they say now; when each was answered is added by whoever asks.
    pub(super) fn seen(&self) -> ChecksSeen {
        let verdicts = self.checks.iter().map(|under_way| under_way.verdict(false)).collect();
        let experiment = self.trial.as_ref().map(|trial| Box::new(trial.said(false)));
        ChecksSeen { watch: self.watch, at: self.at, verdicts, answered: BTreeMap::new(), experiment }
    }

    /// The same verdicts with all that they rest on, as a record keeps them.
    pub(super) fn in_full(&self, verdicts: &mut [CheckVerdict]) {
        for verdict in verdicts {
            if let Some(own) = self.checks.iter().find(|under_way| under_way.place == verdict.check) {
                *verdict = own.verdict(true);
            }
        }
    }
}

impl UnderWay {
    fn verdict(&self, in_full: bool) -> CheckVerdict {
        let (check, name) = (self.place, self.check.name.clone());
        let Some(judge) = &self.judge else {
            let why = "the file holds a number of which no rule can be made".to_owned();
            return CheckVerdict { check, name, verdict: Verdict::Inconclusive, why, evidence: Value::Null };
        };
        let said = judge.verdict();
        let verdict = match said.outcome {
            Outcome::Pass => Verdict::Pass,
            Outcome::Fail => Verdict::Fail,
            Outcome::Inconclusive => Verdict::Inconclusive,
        };
        let why = words::of(&self.check, &said);
        let evidence = if in_full { serde_json::to_value(&said).unwrap_or(Value::Null) } else { Value::Null };
        CheckVerdict { check, name, verdict, why, evidence }
    }
}

mod words {
    //! A verdict in one line, in the unit of what is measured.

    use switchover_judge::Verdict;
    use switchover_model::config::{Bound, Check, CheckSource, Measure};

    /// `1.52 % against 0.98 % (1,204 and 1,198 requests); neither is proven yet`.
    pub(super) fn of(check: &Check, said: &Verdict) -> String {
        let value = |value: Option<f64>| value.map_or_else(|| "nothing".to_owned(), |value| in_unit(check, value));
        let what = match &check.source {
            CheckSource::Traffic { measure: Measure::UpgradesCut, .. } => "upgrades",
            CheckSource::Traffic { measure: Measure::Requests, .. } | CheckSource::Number { .. } => "values",
            CheckSource::Traffic { measure: Measure::Errors | Measure::Latency { .. }, .. } => "requests",
        };
        let is_difference = matches!((&check.source, check.bound), (CheckSource::Number { .. }, Bound::WorseBy { .. }));
        let numbers = match said.reference_seen {
            Some(seen) => {
                format!("{} against {} ({} and {seen} {what})", value(said.new), value(said.reference), said.seen)
            }
            None if is_difference => format!("{} beyond what is allowed ({} {what})", value(said.new), said.seen),
            None => format!("{} ({} {what})", value(said.new), said.seen),
        };
        format!("{numbers}; {}", said.why)
    }

    fn in_unit(check: &Check, value: f64) -> String {
        match &check.source {
            CheckSource::Traffic { measure: Measure::Errors | Measure::UpgradesCut, .. } => {
                format!("{:.2} %", value * 100.0)
            }
            CheckSource::Traffic { measure: Measure::Latency { .. }, .. } if value < 10_000.0 => {
                format!("{:.2} ms", value / 1e3)
            }
            CheckSource::Traffic { measure: Measure::Latency { .. }, .. } => format!("{:.0} ms", value / 1e3),
            CheckSource::Traffic { measure: Measure::Requests, .. } => format!("{value:.1}/s"),
            CheckSource::Number { .. } => format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        }
    }
}
