//! An experiment under way: what was counted of its goals, look by look, and what the judge makes of it.

use serde_json::Value;
use switchover_judge::{
    Counts, Judge, Look as Evidence, Outcome, Probability, Question, Reached, Rule, Seen, SplitBy, Verdict as Judged,
};
use switchover_model::config::{Better, Experiment, Goal};
use switchover_model::decimal::Decimal;
use switchover_model::evidence::{Look, Verdict};
use switchover_model::experiment::{Conversions, ExperimentSaid, GoalSaid, GoalVerdict, SplitSaid};
use switchover_model::seam::{GoalArm, GoalsMeasured, Part};
use switchover_model::{RevisionId, Share};

use super::crossing;
use super::rules::Sides;

/// Tests of an experiment that its release may be undone or promoted by mistake by: whether more reach its goal, and fewer.
pub(super) const TESTS: u32 = 2;
/// The chance that a split that is as it was set is taken for another one.
const SPLIT_FALSE_ALARMS: f64 = 0.001;
/// The smallest deviation of a split, or effect, where any matters.
const ANY: f64 = 1e-6;

/// One experiment, and what was seen of it so far.
pub(super) struct Trying {
    goals: Vec<Goal>,
    share: Share,
    sides: Sides,
    alpha: Probability,
    /// By goal: whether more reach it, and whether fewer do. Nothing where the file holds a number that makes no rule.
    judges: Vec<Option<(Judge, Judge)>>,
    split: Option<Judge>,
    last: Option<GoalsMeasured>,
    anew: u32,
}

/// What was counted of one side.
#[derive(Debug, Clone, Default)]
struct Side {
    clients: u64,
    goals: Vec<Conversions>,
}

impl Trying {
    pub(super) fn new(experiment: &Experiment, sides: Sides, alpha: Probability) -> Self {
        let (goals, share) = (experiment.goals.clone(), experiment.share);
        let mut trying = Self { goals, share, sides, alpha, judges: Vec::new(), split: None, last: None, anew: 0 };
        trying.begin();
        trying
    }

    /// With nothing seen.
    fn begin(&mut self) {
        let chance = chance(self.share);
        let rest = chance.and_then(|share| Probability::new(1.0 - share.get()).ok());
        self.judges = self
            .goals
            .iter()
            .map(|goal| {
                let margin = Probability::new(goal.effect.to_f64().max(ANY)).ok()?;
                let judge = |share| Judge::new(&Rule::new(Question::ReachesMore { margin, share }, self.alpha));
                Some((judge(chance), judge(rest)))
            })
            .collect();
        self.split = chance.and_then(split);
    }

    /// Whether nothing was counted since the last look.
    pub(super) fn knows(&self, now: &GoalsMeasured) -> bool {
        self.last.as_ref() == Some(now)
    }

    pub(super) fn take(&mut self, look: &Look) {
        let Some(now) = &look.goals else { return };
        let goes_on = self.last.as_ref().is_some_and(|last| goes_on(last, now));
        if self.last.is_some() && !goes_on {
            // Whoever comes again counts again: what was seen before would count twice.
            self.anew = self.anew.saturating_add(1);
            self.begin();
        }
        let before = self.last.take().filter(|_| goes_on);
        let ((new, old), (new_before, old_before)) = (self.sums(Some(now)), self.sums(before.as_ref()));
        let evidence = |seen| Evidence { from: look.from, until: look.until, seen };
        for (place, judges) in self.judges.iter_mut().enumerate() {
            let Some((more, fewer)) = judges else { continue };
            let (new, old) = (since(&new, &new_before, place), since(&old, &old_before, place));
            more.take(&evidence(Seen::Goal { new, reference: old }));
            fewer.take(&evidence(Seen::Goal { new: old, reference: new }));
        }
        if let Some(split) = &mut self.split {
            let came = |now: &Side, before: &Side| Counts {
                clients: now.clients.saturating_sub(before.clients),
                ..Counts::default()
            };
            let (new, reference) = (came(&new, &new_before), Some(came(&old, &old_before)));
            split.take(&evidence(Seen::Counts { new, reference }));
        }
        self.last = Some(now.clone());
    }

    /// Both sides: those who came by chance; where there is no share, those of a match and all others.
    fn sums(&self, measured: Option<&GoalsMeasured>) -> (Side, Side) {
        let by_chance: &[Part] = &[Part::Share, Part::Baseline];
        let of_new = if self.share == Share::NONE { &[Part::Matched] } else { by_chance };
        let arms = measured.map_or(&[][..], |measured| &measured.arms);
        let sum = |revision: Option<RevisionId>, parts: &[Part]| {
            let mut sum = Side { clients: 0, goals: vec![Conversions::default(); self.goals.len()] };
            for arm in arms.iter().filter(|arm| Some(arm.revision) == revision && parts.contains(&arm.part)) {
                sum.add(arm);
            }
            sum
        };
        (sum(Some(self.sides.new), of_new), sum(self.sides.old, by_chance))
    }

    /// What it says now; `in_full` with all that it rests on.
    pub(super) fn said(&self, in_full: bool) -> ExperimentSaid {
        let (new, old) = self.sums(self.last.as_ref());
        let goals = self.goals.iter().zip(&self.judges).enumerate().map(|(place, (goal, judges))| {
            let (new, old) = (new.goals[place], old.goals[place]);
            goal_said(goal, judges.as_ref(), (new, old), in_full)
        });
        let goals = goals.collect();
        let split = self.split.as_ref().map(|split| split_said(split, self.share));
        let split = crossing::said(split, self.last.as_ref(), (new.clients, old.clients));
        ExperimentSaid { new: new.clients, old: old.clients, goals, split, anew: self.anew }
    }
}

impl Side {
    fn add(&mut self, arm: &GoalArm) {
        self.clients = self.clients.saturating_add(arm.clients);
        for (sum, goal) in self.goals.iter_mut().zip(&arm.goals) {
            sum.clients = sum.clients.saturating_add(goal.clients);
            sum.requests = sum.requests.saturating_add(goal.requests);
        }
    }
}

/// Whether `later` counts on from `earlier`.
fn goes_on(earlier: &GoalsMeasured, later: &GoalsMeasured) -> bool {
    (earlier.experiment, earlier.since) == (later.experiment, later.since)
}

/// What came and reached the goal at `place` between two readings.
fn since(now: &Side, before: &Side, place: usize) -> Reached {
    Reached {
        clients: now.clients.saturating_sub(before.clients),
        reached: now.goals[place].clients.saturating_sub(before.goals[place].clients),
    }
}

fn chance(share: Share) -> Option<Probability> {
    Probability::new(f64::from(share.basis_points()) / f64::from(Share::ALL.basis_points())).ok()
}

fn split(share: Probability) -> Option<Judge> {
    let tolerance = Probability::new(ANY).ok()?;
    let question = Question::SplitOff { share, tolerance, by: SplitBy::Clients };
    Some(Judge::new(&Rule::new(question, Probability::new(SPLIT_FALSE_ALARMS).ok()?)))
}

fn split_said(split: &Judge, share: Share) -> SplitSaid {
    let said = split.verdict();
    let verdict = match said.outcome {
        Outcome::Pass => Verdict::Pass,
        Outcome::Fail => Verdict::Fail,
        Outcome::Inconclusive => Verdict::Inconclusive,
    };
    let numbers = match said.new {
        Some(new) => format!(
            "{} of {} clients came to the new revision, where {share} were to",
            percent(new),
            said.seen + said.reference_seen.unwrap_or_default()
        ),
        None => "nobody came yet".to_owned(),
    };
    let why = match verdict {
        Verdict::Fail => format!("{numbers}; that is no chance"),
        Verdict::Pass | Verdict::Inconclusive => numbers,
    };
    SplitSaid { verdict, why }
}

fn goal_said(
    goal: &Goal,
    judges: Option<&(Judge, Judge)>,
    (new, old): (Conversions, Conversions),
    in_full: bool,
) -> GoalSaid {
    let name = goal.name.clone();
    let Some((more, fewer)) = judges else {
        let why = "the file holds a number of which no rule can be made".to_owned();
        let (low, high) = (Decimal::default(), Decimal::default());
        let (verdict, effect, evidence) = (GoalVerdict::Undecided, None, Value::Null);
        return GoalSaid { name, verdict, new, old, effect, low, high, why, evidence };
    };
    let said = more.verdict();
    let is_more = more.outcome() == Outcome::Fail;
    let is_fewer = fewer.outcome() == Outcome::Fail;
    let verdict = match (is_more, is_fewer, goal.better) {
        (true, false, Better::Higher) | (false, true, Better::Lower) => GoalVerdict::Won,
        (true, false, Better::Lower) | (false, true, Better::Higher) => GoalVerdict::Lost,
        (true, true, _) | (false, false, _) => GoalVerdict::Undecided,
    };
    let evidence = if in_full { evidence(&said, &fewer.verdict()) } else { Value::Null };
    let low = said.interval.low.map_or(Decimal::from_millionths(-1_000_000), decimal);
    let high = said.interval.high.map_or(Decimal::from_millionths(1_000_000), decimal);
    let why = words(&said, verdict);
    GoalSaid { name, verdict, new, old, effect: said.effect.map(decimal), low, high, why, evidence }
}

fn evidence(more: &Judged, fewer: &Judged) -> Value {
    let more = serde_json::to_value(more).unwrap_or(Value::Null);
    let fewer = serde_json::to_value(fewer).unwrap_or(Value::Null);
    serde_json::json!({ "more": more, "fewer": fewer })
}

/// `15.20 % of 1003 clients against 5.10 % of 997: +10.10 points, between +6.11 and +14.20`.
fn words(said: &Judged, verdict: GoalVerdict) -> String {
    let (Some(new), Some(old), Some(effect)) = (said.new, said.reference, said.effect) else {
        return format!("{} clients against {}", said.seen, said.reference_seen.unwrap_or_default());
    };
    let numbers = format!(
        "{} of {} clients against {} of {}: {} points, between {} and {}",
        percent(new),
        said.seen,
        percent(old),
        said.reference_seen.unwrap_or_default(),
        points(effect),
        points(said.interval.low.unwrap_or(-1.0)),
        points(said.interval.high.unwrap_or(1.0)),
    );
    match verdict {
        GoalVerdict::Won | GoalVerdict::Lost => numbers,
        GoalVerdict::Undecided => format!("{numbers}; nothing is proven yet"),
    }
}

/// In points, rounded as a report's table rounds the millionths that it holds.
fn points(part: f64) -> String {
    format!("{:+.2}", decimal(part).to_f64() * 100.0)
}

fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}

fn decimal(part: f64) -> Decimal {
    // A part of one, or a difference of two.
    #[expect(clippy::cast_possible_truncation, reason = "at most a million either way")]
    let millionths = (part * 1e6).round() as i64;
    Decimal::from_millionths(millionths)
}

#[cfg(test)]
#[path = "trying_tests.rs"]
mod tests;
