//! What an experiment is seen to say in the world, and what must follow from it.

use switchover_model::config::{Better, Experiment, Goal, GoalSource, Undecided};
use switchover_model::decimal::Decimal;
use switchover_model::evidence::{Verdict, Watch};
use switchover_model::experiment::{Conversions, Decided, Ending, ExperimentSaid, GoalSaid, GoalVerdict, SplitSaid};
use switchover_model::release::ReleaseKind;
use switchover_model::seam::Condition;
use switchover_model::{ReleaseId, Share, Span};
use switchover_rollout::experiment;

use super::book::Entry;
use super::dice::Dice;
use super::state::World;
use super::watch_steps::Taken;

/// The longest that an experiment takes to say something, in microseconds.
const SLOWEST: u64 = 6_000_000;

/// The experiment of some files.
pub(crate) fn thrown(dice: &mut Dice) -> Experiment {
    let condition = Condition::Query { name: "beta".to_owned(), value: "1".to_owned() };
    Experiment {
        share: Share::from_basis_points(dice.pick(&[1_000, 5_000, 9_000])).expect("a share"),
        matches: if dice.chance(300) { vec![condition] } else { Vec::new() },
        lasts: Span::from_millis(dice.pick(&[2_000, 5_000, 9_000])),
        at_least: Span::from_millis(dice.pick(&[0, 0, 1_500])),
        undecided: dice.pick(&[Undecided::Drop, Undecided::Promote, Undecided::Promote, Undecided::Ask]),
        goals: vec![Goal {
            name: "checkout".to_owned(),
            source: GoalSource::Request("POST /checkout 2xx".parse().expect("a goal")),
            primary: true,
            better: Better::Higher,
            effect: Decimal::default(),
        }],
    }
}

/// What an experiment will say in a watch.
struct Fate {
    verdict: GoalVerdict,
    /// After so long.
    after: u64,
    /// Its split is off.
    is_off: bool,
    /// Nobody comes.
    is_alone: bool,
    /// Its numbers are not known.
    is_blind: bool,
}

fn fate(watch: &Watch) -> Fate {
    let mut dice = Dice::new(watch.since.as_micros() ^ (u64::from(watch.release.0) << 40));
    let verdict = dice.pick(&[GoalVerdict::Won, GoalVerdict::Won, GoalVerdict::Lost, GoalVerdict::Undecided]);
    let (after, is_off, is_alone) = (dice.below(SLOWEST), dice.chance(150), dice.chance(150));
    Fate { verdict, after, is_off, is_alone, is_blind: dice.chance(150) }
}

impl World {
    /// What the experiment that is watched says now.
    pub(crate) fn says_of_experiment(&self, watch: &Watch) -> Option<Box<ExperimentSaid>> {
        let app = &self.memory.as_ref()?.app;
        experiment(app, app.release(watch.release)?).filter(|_| watch.step.is_some())?;
        let Fate { verdict, after, is_off, is_alone, is_blind } = fate(watch);
        let is_reached = self.now >= watch.since.as_micros() + after && !is_alone;
        let clients = if is_alone { 0 } else { 100 };
        let none = Decimal::default();
        let goal = GoalSaid {
            name: "checkout".to_owned(),
            verdict: if is_reached { verdict } else { GoalVerdict::Undecided },
            new: Conversions::default(),
            old: Conversions::default(),
            effect: None,
            low: none,
            high: none,
            why: String::new(),
            is_blind,
            answers: Vec::new(),
            evidence: serde_json::Value::Null,
        };
        let split = if is_off && is_reached { Verdict::Fail } else { Verdict::Inconclusive };
        let split = Some(SplitSaid { verdict: split, why: String::new() });
        Some(Box::new(ExperimentSaid { new: clients, old: clients, goals: vec![goal], split, anew: 0 }))
    }

    /// Why an experiment may not have ended like this.
    pub(crate) fn broken_by_decided(&self, release: ReleaseId, decided: &Decided) -> Option<(&'static str, String)> {
        let entry = self.book.releases.get(&release)?;
        let tries = tried(entry)?;
        let Some(last) = entry.steps.last().filter(|_| !entry.undoing && entry.outcome.is_none()) else {
            return Some(("only an experiment that goes on is decided", format!("{decided:?}")));
        };
        if let Some(before) = &last.decided {
            return Some(("an experiment is decided once", format!("{before:?}, {decided:?}")));
        }
        if entry.paused {
            return Some(("a paused release does not go on", String::new()));
        }
        let known = decided.said.goals.first().filter(|goal| !goal.is_blind);
        let verdict = known.map_or(GoalVerdict::Undecided, |goal| goal.verdict);
        let has_had = |span: Span| last.in_force_at.is_some_and(|at| self.now >= at + last.held + span.as_micros());
        let is_right = match decided.ending {
            Ending::Promoted => last.promoted || entry.full,
            Ending::Won => verdict == GoalVerdict::Won && !is_off(&decided.said) && has_had(tries.at_least),
            Ending::Lost => verdict == GoalVerdict::Lost && !is_off(&decided.said) && has_had(tries.at_least),
            Ending::TimeOver => (verdict == GoalVerdict::Undecided || is_off(&decided.said)) && has_had(tries.lasts),
        };
        (!is_right).then(|| ("an experiment ends by what it said, or when its time is over", format!("{decided:?}")))
    }

    /// Why an experiment may not be left for all the traffic.
    pub(crate) fn broken_by_proving_nothing(&self, entry: &Entry, last: &Taken) -> Option<(&'static str, String)> {
        let tries = tried(entry)?;
        let may_go_on = last.decided.as_ref().is_some_and(|decided| match decided.ending {
            Ending::Won | Ending::Promoted => true,
            Ending::Lost => false,
            Ending::TimeOver => {
                let said = &decided.said;
                let is_known = said.goals.first().is_some_and(|goal| !goal.is_blind);
                tries.undecided == Undecided::Promote && said.new > 0 && said.old > 0 && is_known && !is_off(said)
            }
        });
        (!may_go_on)
            .then(|| ("an experiment goes on when it is won, by a person, or as its file says", format!("{last:?}")))
    }
}

/// The experiment that a release is.
pub(crate) fn tried(entry: &Entry) -> Option<&Experiment> {
    let config = entry.config.as_ref().filter(|_| entry.kind == ReleaseKind::Deploy)?;
    config.release.strategy.experiment()
}

fn is_off(said: &ExperimentSaid) -> bool {
    said.split.as_ref().is_some_and(|split| split.verdict == Verdict::Fail)
}
