//! An experiment under way: what was counted of its goals, look by look, and what the judge makes of it.

use serde_json::Value;
use switchover_judge::{
    Counts, Judge, Look as Evidence, Outcome, Probability, Question, Reached, Rule, Seen, SplitBy, Verdict as Judged,
};
use switchover_model::config::{Better, Experiment, Goal, GoalSource};
use switchover_model::decimal::Decimal;
use switchover_model::evidence::{Look, Rules, Verdict};
use switchover_model::experiment::{Conversions, ExperimentSaid, GoalSaid, GoalVerdict, SplitSaid};
use switchover_model::seam::{GOAL_GROUPS, GoalArm, GoalsMeasured, Part};
use switchover_model::{RevisionId, Share, Timestamp};

use super::counter::{Both, Came, Counter, at_most};
use super::crossing;
use super::rules::Sides;

/// Tests of an experiment that its release may be undone or promoted by mistake by: whether more reach its goal, and fewer.
pub(super) const TESTS: u32 = 2;
/// The chance that a split that is as it was set is taken for another one.
const SPLIT_FALSE_ALARMS: f64 = 0.001;
/// What is left of each chance of a false alarm when what was counted begins anew: all that it is begun together have the whole.
const LEFT_ANEW: f64 = 0.1;
/// The smallest deviation of a split, or effect, where any matters.
const ANY: f64 = 1e-6;

/// What is said of a split whose clients were dealt by two keys.
const DEALT_ANEW: &str = "the router deals clients by another key than before: some have seen both revisions";

/// One experiment, and what was seen of it so far.
pub(super) struct Trying {
    goals: Vec<Tried>,
    share: Share,
    sides: Sides,
    alpha: Probability,
    split: Option<Judge>,
    last: Option<GoalsMeasured>,
    anew: u32,
    /// What clients are dealt by, as far as it was told.
    key: u64,
    /// That was another one meanwhile.
    dealt_anew: bool,
}

/// One goal of it.
struct Tried {
    goal: Goal,
    source: Source,
    /// Whether more reach it, and whether fewer do. Nothing where the file holds a number that makes no rule.
    judges: Option<(Judge, Judge)>,
    /// What they have taken: of the new side and of the old one.
    taken: (Reached, Reached),
}

/// What tells who reached it.
enum Source {
    /// The router: so many requests of the file stand before it.
    Requests(usize),
    Number(Box<Counter>),
}

/// What the router counted of one side: its clients, and what became of each request that is a goal.
#[derive(Debug, Clone, Default)]
struct Side {
    clients: u64,
    requests: Vec<Conversions>,
}

impl Trying {
    pub(super) fn new(experiment: &Experiment, sides: Sides, alpha: Probability) -> Self {
        let mut requests = 0_usize..;
        let tried = |(place, goal): (usize, &Goal)| {
            let source = match &goal.source {
                GoalSource::Request(_) => Source::Requests(requests.next().unwrap_or_default()),
                GoalSource::Number(number) => Source::Number(Box::new(Counter::new(place, number.lag))),
            };
            Tried { goal: goal.clone(), source, judges: None, taken: Default::default() }
        };
        let goals = experiment.goals.iter().enumerate().map(tried).collect();
        let mut trying = Self {
            goals,
            share: experiment.share,
            sides,
            alpha,
            split: None,
            last: None,
            anew: 0,
            key: 0,
            dealt_anew: false,
        };
        trying.begin();
        trying
    }

    /// Is judged by these rules from the first look on.
    pub(super) fn follow(&mut self, rules: Rules) {
        for goal in &mut self.goals {
            match &mut goal.source {
                Source::Requests(_) => {}
                Source::Number(counter) => counter.follow(rules),
            }
        }
    }

    /// With nothing seen.
    fn begin(&mut self) {
        let chance = chance(self.share);
        let rest = chance.and_then(|share| Probability::new(1.0 - share.get()).ok());
        let alpha = spent(self.alpha.get(), self.anew);
        self.goals.iter_mut().for_each(|goal| goal.begin((chance, rest), alpha));
        self.split = chance.and_then(|share| split(share, spent(SPLIT_FALSE_ALARMS, self.anew)?));
    }

    /// Whether nothing was counted since the last look.
    pub(super) fn knows(&self, now: &GoalsMeasured) -> bool {
        self.last.as_ref() == Some(now)
    }

    pub(super) fn take(&mut self, look: &Look) {
        let evidence = |seen| Evidence { from: look.from, until: look.until, seen };
        if let Some(now) = &look.goals {
            let goes_on = self.last.as_ref().is_some_and(|last| goes_on(last, now));
            if self.last.is_some() && !goes_on {
                // Whoever comes again counts again: what was seen before would count twice.
                self.anew = self.anew.saturating_add(1);
                self.begin();
            }
            // A router of an earlier version does not tell.
            if now.key != 0 {
                let before = std::mem::replace(&mut self.key, now.key);
                self.dealt_anew |= before != 0 && before != now.key;
            }
            let before = self.last.take().filter(|_| goes_on);
            let ((new, old), (new_before, old_before)) = (self.sums(Some(now)), self.sums(before.as_ref()));
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
        let (new, old) = self.sums(self.last.as_ref());
        let since = self.last.as_ref().map(|last| Timestamp::from_micros(last.since));
        let clients = Both { new: new.clients, old: old.clients };
        let is_fresh = look.goals.is_some();
        let (of_new, of_old) = groups(self.share);
        let at_most = Both { new: at_most(new.clients, of_new), old: at_most(old.clients, of_old) };
        let came = since.map(|since| Came { since, at: look.until, clients, at_most, is_fresh });
        for goal in &mut self.goals {
            let is_news = match &mut goal.source {
                Source::Requests(_) => is_fresh,
                Source::Number(counter) => counter.take(&look.numbers, came),
            };
            if is_news {
                let since = goal.since_taken(&new, &old);
                goal.judge(since, evidence);
            }
        }
    }

    /// Both sides: those who came by chance; where there is no share, those of a match and all others.
    fn sums(&self, measured: Option<&GoalsMeasured>) -> (Side, Side) {
        let by_chance: &[Part] = &[Part::Share, Part::Baseline];
        let of_new = if self.share == Share::NONE { &[Part::Matched] } else { by_chance };
        let arms = measured.map_or(&[][..], |measured| &measured.arms);
        let requests = self.goals.iter().filter(|goal| matches!(goal.source, Source::Requests(_))).count();
        let sum = |revision: Option<RevisionId>, parts: &[Part]| {
            let mut sum = Side { clients: 0, requests: vec![Conversions::default(); requests] };
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
        let goals = self.goals.iter().map(|goal| goal.said(goal.conversions(&new, &old), in_full)).collect();
        let split = self.split.as_ref().map(|split| split_said(split, self.share));
        let split = match self.dealt_anew {
            true => Some(SplitSaid { verdict: Verdict::Fail, why: DEALT_ANEW.to_owned() }),
            false => crossing::said(split, self.last.as_ref(), (new.clients, old.clients)),
        };
        ExperimentSaid { new: new.clients, old: old.clients, goals, split, anew: self.anew }
    }
}

impl Side {
    fn add(&mut self, arm: &GoalArm) {
        self.clients = self.clients.saturating_add(arm.clients);
        for (sum, goal) in self.requests.iter_mut().zip(&arm.goals) {
            sum.clients = sum.clients.saturating_add(goal.clients);
            sum.requests = sum.requests.saturating_add(goal.requests);
        }
    }
}

impl Tried {
    /// With nothing seen. The share is the new side's and the old one's, where it is by chance.
    fn begin(&mut self, (chance, rest): (Option<Probability>, Option<Probability>), alpha: Option<Probability>) {
        let margin = Probability::new(self.goal.effect.to_f64().max(ANY)).ok();
        self.judges = margin.zip(alpha).map(|(margin, alpha)| {
            let judge = |share| Judge::new(&Rule::new(Question::ReachesMore { margin, share }, alpha));
            (judge(chance), judge(rest))
        });
        self.taken = Default::default();
        if let Source::Number(counter) = &mut self.source {
            counter.begin();
        }
    }

    /// How often each side reached it.
    fn conversions(&self, new: &Side, old: &Side) -> (Conversions, Conversions) {
        match &self.source {
            Source::Requests(place) => {
                let of = |side: &Side| side.requests.get(*place).copied().unwrap_or_default();
                (of(new), of(old))
            }
            Source::Number(counter) => {
                let Both { new, old } = counter.reached();
                let clients = |clients| Conversions { clients, requests: 0 };
                (clients(new), clients(old))
            }
        }
    }

    /// Who came and reached it since the judges were told, which they are now.
    fn since_taken(&mut self, new: &Side, old: &Side) -> (Reached, Reached) {
        let (new_reached, old_reached) = self.conversions(new, old);
        let now = (
            Reached { clients: new.clients, reached: new_reached.clients },
            Reached { clients: old.clients, reached: old_reached.clients },
        );
        let before = std::mem::replace(&mut self.taken, now);
        let since = |now: Reached, before: Reached| Reached {
            clients: now.clients.saturating_sub(before.clients),
            reached: now.reached.saturating_sub(before.reached),
        };
        (since(now.0, before.0), since(now.1, before.1))
    }

    /// The judges take what came of the new side beside the old one.
    fn judge(&mut self, (new, reference): (Reached, Reached), evidence: impl Fn(Seen) -> Evidence) {
        let Some((more, fewer)) = &mut self.judges else { return };
        more.take(&evidence(Seen::Goal { new, reference }));
        fewer.take(&evidence(Seen::Goal { new: reference, reference: new }));
    }

    /// What it says; `in_full` with all that it rests on.
    fn said(&self, (new, old): (Conversions, Conversions), in_full: bool) -> GoalSaid {
        let name = self.goal.name.clone();
        let (blind, answers) = match &self.source {
            Source::Requests(_) => (None, &[][..]),
            Source::Number(counter) => (counter.blind(), counter.answers()),
        };
        let (is_blind, answers) = (blind.is_some(), if in_full { answers.to_vec() } else { Vec::new() });
        let Some((more, fewer)) = &self.judges else {
            let why = "the file holds a number of which no rule can be made".to_owned();
            let (low, high) = (Decimal::default(), Decimal::default());
            let (verdict, effect, evidence) = (GoalVerdict::Undecided, None, Value::Null);
            return GoalSaid { name, verdict, new, old, effect, low, high, why, is_blind, answers, evidence };
        };
        let said = more.verdict();
        let is_more = more.outcome() == Outcome::Fail;
        let is_fewer = fewer.outcome() == Outcome::Fail;
        let verdict = match (is_more, is_fewer, self.goal.better) {
            (true, false, Better::Higher) | (false, true, Better::Lower) => GoalVerdict::Won,
            (true, false, Better::Lower) | (false, true, Better::Higher) => GoalVerdict::Lost,
            (true, true, _) | (false, false, _) => GoalVerdict::Undecided,
        };
        // What is not known any more proves nothing, whatever it was.
        let verdict = if is_blind { GoalVerdict::Undecided } else { verdict };
        let evidence = if in_full { evidence(&said, &fewer.verdict()) } else { Value::Null };
        let low = said.interval.low.map_or(Decimal::from_millionths(-1_000_000), decimal);
        let high = said.interval.high.map_or(Decimal::from_millionths(1_000_000), decimal);
        let why = blind.unwrap_or_else(|| words(&said, verdict));
        let effect = said.effect.map(decimal);
        GoalSaid { name, verdict, new, old, effect, low, high, why, is_blind, answers, evidence }
    }
}

/// Whether `later` counts on from `earlier`.
fn goes_on(earlier: &GoalsMeasured, later: &GoalsMeasured) -> bool {
    (earlier.experiment, earlier.since) == (later.experiment, later.since)
}

/// The groups that clients of both sides fall into. Those of a match may fall into any.
fn groups(share: Share) -> (f64, f64) {
    let all = GOAL_GROUPS as f64;
    let of = |share: Share| f64::from(share.basis_points()) / f64::from(Share::ALL.basis_points()) * all;
    if share == Share::NONE { (all, all) } else { (of(share), of(share.rest())) }
}

fn chance(share: Share) -> Option<Probability> {
    Probability::new(f64::from(share.basis_points()) / f64::from(Share::ALL.basis_points())).ok()
}

/// The part of a chance of a false alarm that is for what is counted after it began anew so many times.
fn spent(alpha: f64, anew: u32) -> Option<Probability> {
    let times = i32::try_from(anew).unwrap_or(i32::MAX);
    Probability::new((alpha * (1.0 - LEFT_ANEW) * LEFT_ANEW.powi(times)).max(f64::MIN_POSITIVE)).ok()
}

fn split(share: Probability, alpha: Probability) -> Option<Judge> {
    let tolerance = Probability::new(ANY).ok()?;
    let question = Question::SplitOff { share, tolerance, by: SplitBy::Clients };
    Some(Judge::new(&Rule::new(question, alpha)))
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
