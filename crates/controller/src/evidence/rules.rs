//! From a check of the file to a rule of the judge, and from what was seen to what it judges.

use std::num::NonZeroU32;

use switchover_judge::{
    Against, Counts, Finite, LatencyMargin, Look as Evidence, NumberError, Probability, Question, Rule, Seen, Then,
    Unfit, Wait, Worse as Side, budget,
};
use switchover_model::config::{AppConfig, Bound, Check, CheckSource, During, EvidencePolicy, Measure, Worse};
use switchover_model::evidence::{Blind, Look, NumberSeen, Side as Slot, Watch};
use switchover_model::seam::{ArmMeasured, Part};
use switchover_model::{RevisionId, Share, Span};

/// The smallest rate that is told from none: `max = "0%"` fails when more than this is proven.
const LEAST_RATE: f64 = 1e-6;

/// The revisions whose traffic is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) new: RevisionId,
    pub(super) old: Option<RevisionId>,
}

/// The chance of a false alarm that each check of a release has in each watch: the whole of it shared by all that may raise one.
///
/// `tried`: so many tests more, of an experiment.
pub(super) fn alpha(policy: &EvidencePolicy, steps: u32, tried: u32) -> Probability {
    let watches = |check: &Check| {
        let of = |during: &During| match during {
            During::Shift => steps,
            During::Bake | During::Warm => 1,
        };
        if is_counted_out(check) { 0 } else { check.during.iter().map(of).sum() }
    };
    let tests: u32 = policy.checks.iter().map(watches).fold(tried, u32::saturating_add);
    let release = rate(policy.false_alarms).unwrap_or_else(budget::of_a_release);
    budget::each(release, NonZeroU32::new(tests).unwrap_or(NonZeroU32::MIN))
}

fn rate(share: Share) -> Option<Probability> {
    Probability::new(f64::from(share.basis_points()) / f64::from(Share::ALL.basis_points())).ok()
}

/// Values held against a limit one by one: a count that has no chance of a false alarm to share.
fn is_counted_out(check: &Check) -> bool {
    matches!((&check.source, check.bound), (CheckSource::Number { .. }, Bound::Most { .. } | Bound::Least { .. }))
}

/// The rule of a check. `length` is how long its watch lasts by itself.
///
/// Errors: a number that the file should have refused.
pub(super) fn rule(check: &Check, alpha: Probability, length: Option<Span>) -> Result<Rule, NumberError> {
    let mut rule = Rule::new(question(check)?, alpha);
    if let (CheckSource::Traffic { .. }, Some(enough), Some(longest)) = (&check.source, check.enough, length) {
        rule.wait = Some(Wait { longest, enough: u64::from(enough), then: Then::Pass });
    }
    Ok(rule)
}

fn question(check: &Check) -> Result<Question, NumberError> {
    let part = |number: f64| Probability::new(number.max(LEAST_RATE));
    match (&check.source, check.bound) {
        (CheckSource::Traffic { measure: Measure::Errors | Measure::UpgradesCut, .. }, bound) => Ok(match bound {
            Bound::Most { limit } | Bound::Least { limit } => Question::ErrorsAbove { limit: part(limit.to_f64())? },
            Bound::WorseBy { effect } => Question::ErrorsWorse { margin: part(effect.to_f64())? },
        }),
        (CheckSource::Traffic { measure: Measure::Latency { quantile }, .. }, bound) => {
            let quantile = Probability::new(quantile.to_f64())?;
            Ok(match bound {
                // A limit in seconds is kept in millionths of them.
                Bound::Most { limit } | Bound::Least { limit } => {
                    Question::LatencyAbove { quantile, limit_micros: limit.millionths().unsigned_abs() }
                }
                Bound::WorseBy { effect } => {
                    Question::LatencyLonger { quantile, margin: LatencyMargin::new(effect.to_f64())? }
                }
            })
        }
        (CheckSource::Traffic { measure: Measure::Requests, .. }, bound) => mean(side_of(bound, Worse::Lower), bound),
        (CheckSource::Number { worse, .. }, bound @ Bound::WorseBy { .. }) => mean(side_of(bound, *worse), bound),
        (CheckSource::Number { allowed, .. }, bound @ (Bound::Most { limit } | Bound::Least { limit })) => {
            Ok(Question::Each {
                worse: side_of(bound, Worse::Higher),
                limit: Finite::new(limit.to_f64())?,
                allowed: *allowed,
                enough: check.enough.unwrap_or(1),
            })
        }
    }
}

/// A mean held against a limit. What is compared with the live slot comes as what it is beyond the allowed difference, so the
/// limit is none of it.
fn mean(worse: Side, bound: Bound) -> Result<Question, NumberError> {
    let limit = match bound {
        Bound::Most { limit } | Bound::Least { limit } => limit.to_f64(),
        Bound::WorseBy { .. } => 0.0,
    };
    Ok(Question::Mean { worse, than: Against::Limit(Finite::new(limit)?), range: None })
}

fn side_of(bound: Bound, worse: Worse) -> Side {
    match (bound, worse) {
        (Bound::Most { .. }, _) | (Bound::WorseBy { .. }, Worse::Higher) => Side::Higher,
        (Bound::Least { .. }, _) | (Bound::WorseBy { .. }, Worse::Lower) => Side::Lower,
    }
}

// === What was seen, as the judge takes it ===

/// What a look says of one check: at most one piece of evidence from the traffic, or one from each number that came.
pub(super) fn evidence(check: &Check, place: usize, sides: Sides, look: &Look) -> Vec<Evidence> {
    match &check.source {
        CheckSource::Traffic { process, measure } => {
            let is_of = |arm: &&ArmMeasured| process.as_ref().is_none_or(|process| *process == arm.process);
            let arms: Vec<&ArmMeasured> = look.arms.iter().filter(is_of).collect();
            vec![of_traffic(check, *measure, sides, look, &arms)]
        }
        CheckSource::Number { .. } => {
            let numbers: Vec<&NumberSeen> = look.numbers.iter().filter(|number| number.check == place).collect();
            let news = numbers.iter().filter(|number| number.side == Slot::New);
            news.map(|new| {
                let old = numbers.iter().find(|old| old.side == Slot::Old && old.at == new.at);
                of_number(check, new, old.copied())
            })
            .collect()
        }
    }
}

fn of_traffic(check: &Check, measure: Measure, sides: Sides, look: &Look, arms: &[&ArmMeasured]) -> Evidence {
    let seen = match (look.blind, measure) {
        (Some(Blind::BeganAnew), _) => Seen::Unfit(Unfit::AnotherEpoch),
        (Some(Blind::NotMeasured), _) => Seen::Unfit(Unfit::NoAnswer("the traffic could not be read".to_owned())),
        (None, Measure::Requests) => {
            let requests = counts(arms, measure, |arm| arm.revision == sides.new).requests;
            let seconds = look.until.since(look.from).to_std().as_secs_f64();
            return Evidence::value(look.until, requests as f64 / seconds, None);
        }
        (None, Measure::Errors | Measure::Latency { .. } | Measure::UpgradesCut) => {
            let new = counts(arms, measure, |arm| arm.revision == sides.new);
            let is_compared = matches!(check.bound, Bound::WorseBy { .. });
            let reference = sides.old.filter(|_| is_compared).map(|old| reference(arms, measure, old));
            Seen::Counts { new, reference }
        }
    };
    Evidence { from: look.from, until: look.until, seen }
}

/// The live slot's requests: those of its baseline where one is set aside, all of them otherwise.
fn reference(arms: &[&ArmMeasured], measure: Measure, old: RevisionId) -> Counts {
    let has_baseline = arms.iter().any(|arm| arm.revision == old && arm.part == Part::Baseline);
    let part = if has_baseline { Part::Baseline } else { Part::Share };
    counts(arms, measure, |arm| arm.revision == old && arm.part == part)
}

fn counts(arms: &[&ArmMeasured], measure: Measure, is_meant: impl Fn(&ArmMeasured) -> bool) -> Counts {
    let mut sum = Counts::default();
    for arm in arms.iter().filter(|arm| is_meant(arm)) {
        let (requests, errors) = match measure {
            Measure::Errors | Measure::Requests => (arm.requests(), arm.errors()),
            Measure::UpgradesCut => (arm.upgrades_opened, arm.upgrades_cut),
            Measure::Latency { .. } => {
                sum.latency.merge(&arm.latency);
                (arm.requests(), 0)
            }
        };
        sum.requests = sum.requests.saturating_add(requests);
        sum.errors = sum.errors.saturating_add(errors);
    }
    sum
}

/// A number, or by how much it is beyond the difference to the live slot's that is allowed: above none is too high, below too
/// low.
fn of_number(check: &Check, new: &NumberSeen, old: Option<&NumberSeen>) -> Evidence {
    let unfit = |why: String| Evidence { from: new.at, until: new.at, seen: Seen::Unfit(Unfit::NoAnswer(why)) };
    let no_answer = |of: &NumberSeen| unfit(format!("{}: {}", of.asked, of.answer));
    let Some(value) = new.value else { return no_answer(new) };
    let (Bound::WorseBy { effect }, CheckSource::Number { worse, .. }) = (check.bound, &check.source) else {
        return Evidence::value(new.at, value, None);
    };
    match old.map(|old| (old, old.value)) {
        Some((_, Some(reference))) => {
            let allowed = effect.to_f64() * reference.abs();
            let limit = match worse {
                Worse::Higher => reference + allowed,
                Worse::Lower => reference - allowed,
            };
            Evidence::value(new.at, value - limit, None)
        }
        Some((old, None)) => no_answer(old),
        None => unfit("the live slot was not asked".to_owned()),
    }
}

/// The checks that a watch looks at, with their places in the file.
pub(super) fn looked_at(config: &AppConfig, watch: Watch) -> impl Iterator<Item = (usize, &Check)> {
    let checks = config.release.evidence.checks.iter().enumerate();
    checks.filter(move |(_, check)| check.during.contains(&watch.during))
}
