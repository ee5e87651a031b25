//! The checks of one watch under way: each look is taken by each of them. The same records give the same verdicts.

use std::collections::BTreeMap;

use serde_json::Value;
use switchover_judge::{Judge, Look as Evidence, Outcome, Probability, Seen, Unfit};
use switchover_model::config::{Bound, Check, CheckSource, During};
use switchover_model::evidence::{CheckVerdict, ChecksSeen, Look, Rules, Verdict, Watch};
use switchover_model::experiment::ExperimentSaid;
use switchover_model::seam::GoalsMeasured;
use switchover_model::{Span, Timestamp};
use switchover_rollout::{App, experiment};

use super::built_in::{self, Compared};
use super::rules::{self, By, Sides};
use super::split::Split;
use super::trying::Trying;

/// Every check that a watch looks at, and what it has seen so far.
pub(super) struct Judging {
    pub(super) watch: Watch,
    pub(super) sides: Sides,
    rules: Rules,
    alpha: Probability,
    at: Timestamp,
    has_looked: bool,
    checks: Vec<UnderWay>,
    split: Option<Split>,
    compared: Option<Compared>,
    /// The experiment that the watch looks at.
    trial: Option<Trying>,
}

struct UnderWay {
    place: usize,
    check: Check,
    /// Nothing where the file holds a number that makes no rule: it stays inconclusive.
    judge: Option<Judge>,
    /// How far back what one value describes reaches.
    reach: Span,
    /// From when on the next value describes no time that one which was taken has described.
    next: Timestamp,
}

impl Judging {
    /// Of what `watch` looks at, with nothing seen yet; nothing when its release is not known any more.
    pub(super) fn new(app: &App, watch: Watch) -> Option<Self> {
        let release = app.release(watch.release)?;
        let config = app.config_of(watch.release)?;
        let planned = || u32::try_from(config.release.strategy.steps(&config.routed_scale()).len()).unwrap_or(u32::MAX);
        let to_come = if watch.during == During::Shadow { planned() } else { 0 };
        let steps = release.steps.last().map_or(to_come, |step| step.of);
        let trial = experiment(app, release);
        let tried = built_in::tests(config, built_in::routed(app, release.revision).len(), steps);
        let alpha = rules::alpha(&config.release.evidence, steps, tried);
        let rules = Rules::NEWEST;
        let checks = rules::looked_at(config, watch)
            .map(|(place, check)| UnderWay::new(place, check.clone(), (alpha, watch, rules)))
            .collect();
        let sides = Sides { new: release.revision, old: release.from };
        // An experiment has a split check of its own, by the very clients that it is decided by.
        let split = Split::new(app, watch, alpha).filter(|_| trial.is_none());
        let compared = Compared::new(app, watch, alpha);
        let trial = trial.filter(|_| watch.during == During::Shift).map(|trial| Trying::new(trial, sides, alpha));
        Some(Self { watch, sides, rules, alpha, at: watch.since, has_looked: false, checks, split, compared, trial })
    }

    /// What the watch is judged by: what its first look says, and the newest before it.
    pub(super) fn rules(&self) -> Rules {
        self.rules
    }

    pub(super) fn take(&mut self, look: &Look) {
        if !self.has_looked && look.rules != self.rules {
            self.rules = look.rules;
            let by = (self.alpha, self.watch, self.rules);
            for under_way in &mut self.checks {
                *under_way = UnderWay::new(under_way.place, under_way.check.clone(), by);
            }
            self.trial.iter_mut().for_each(|trial| trial.follow(look.rules));
        }
        self.split.iter_mut().for_each(|split| split.take(self.sides, look));
        self.compared.iter_mut().for_each(|compared| compared.take(look));
        self.has_looked = true;
        self.at = look.until;
        let by = By { sides: self.sides, during: self.watch.during, rules: self.rules };
        self.checks.iter_mut().for_each(|under_way| under_way.take(look, by, self.watch.since));
        self.trial.iter_mut().for_each(|trial| trial.take(look));
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
        let of_the_file = self.checks.iter().map(|under_way| under_way.verdict(false));
        let verdicts = of_the_file.chain(self.built_in(false)).collect();
        let experiment = self.trial.as_ref().map(|trial| Box::new(trial.said(false)));
        ChecksSeen { watch: self.watch, at: self.at, verdicts, answered: BTreeMap::new(), experiment }
    }

    /// What is compared with copies of requests.
    pub(super) fn compared(&self) -> Option<&Compared> {
        self.compared.as_ref()
    }

    /// Whether the ratio of a split is looked at.
    pub(super) fn has_split(&self) -> bool {
        self.split.is_some()
    }

    fn built_in(&self, in_full: bool) -> impl Iterator<Item = CheckVerdict> {
        let split = self.split.as_ref().map(|split| split.verdict(in_full));
        split.into_iter().chain(self.compared.as_ref().map(|compared| compared.verdict(in_full)))
    }

    /// The same verdicts with all that they rest on, as a record keeps them.
    pub(super) fn in_full(&self, verdicts: &mut [CheckVerdict]) {
        for verdict in verdicts {
            if let Some(own) = self.built_in(true).find(|own| own.check == verdict.check) {
                *verdict = own;
            } else if let Some(own) = self.checks.iter().find(|under_way| under_way.place == verdict.check) {
                *verdict = own.verdict(true);
            }
        }
    }
}

impl UnderWay {
    fn new(place: usize, check: Check, (alpha, watch, rules): (Probability, Watch, Rules)) -> Self {
        let judge = rules::rule(&check, alpha, watch, rules).ok().map(|rule| Judge::new(&rule));
        let reach = match (rules, &check.source) {
            (Rules::Second | Rules::Third, CheckSource::Number { from, .. }) => from.reach(),
            (Rules::First, _) | (Rules::Second | Rules::Third, CheckSource::Traffic { .. }) => Span::ZERO,
        };
        Self { place, check, judge, reach, next: watch.since }
    }

    fn take(&mut self, look: &Look, by: By, since: Timestamp) {
        for evidence in rules::evidence(&self.check, self.place, by, look) {
            let evidence = self.fitting(evidence, since);
            if let (Some(judge), Some(evidence)) = (&mut self.judge, evidence) {
                judge.take(&evidence);
            }
        }
    }

    /// What of it is evidence: no value that describes a time before `since`; and of those whose mean is judged, which have to be
    /// independent, none that describes a time twice.
    fn fitting(&mut self, evidence: Evidence, since: Timestamp) -> Option<Evidence> {
        if self.reach == Span::ZERO || !matches!(evidence.seen, Seen::Value(_)) {
            return Some(evidence);
        }
        if evidence.from < since + self.reach {
            return Some(Evidence { seen: Seen::Unfit(Unfit::ReachesBack(self.reach)), ..evidence });
        }
        if let Bound::WorseBy { .. } = self.check.bound {
            if evidence.from < self.next {
                return None;
            }
            self.next = evidence.from + self.reach;
        }
        Some(evidence)
    }

    fn verdict(&self, in_full: bool) -> CheckVerdict {
        let (check, name) = (self.place, self.check.name.clone());
        let Some(judge) = &self.judge else {
            let why = "the file holds a number of which no rule can be made".to_owned();
            let (detail, evidence) = (Vec::new(), Value::Null);
            return CheckVerdict { check, name, verdict: Verdict::Inconclusive, why, detail, evidence };
        };
        let said = judge.verdict();
        let verdict = match said.outcome {
            Outcome::Pass => Verdict::Pass,
            Outcome::Fail => Verdict::Fail,
            Outcome::Inconclusive => Verdict::Inconclusive,
        };
        let why = words::of(&self.check, &said);
        let evidence = if in_full { serde_json::to_value(&said).unwrap_or(Value::Null) } else { Value::Null };
        CheckVerdict { check, name, verdict, why, detail: Vec::new(), evidence }
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

#[cfg(test)]
#[path = "judging_tests.rs"]
mod tests;
