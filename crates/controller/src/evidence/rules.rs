//! From a check of the file to a rule of the judge, and from what was seen to what it judges.

use std::num::NonZeroU32;

use switchover_judge::{
    Counts, Finite, LEAST_CLIENTS, LatencyMargin, Look as Evidence, NumberError, Probability, Question, RENEWED_AFTER,
    Rule, Seen, Then, Unfit, Wait, Worse as Side, budget,
};
use switchover_model::config::{AppConfig, Bound, Check, CheckSource, During, EvidencePolicy, Measure, Worse};
use switchover_model::evidence::{Blind, Look, NumberSeen, Rules, Side as Slot, Watch};
use switchover_model::seam::{ArmMeasured, Part};
use switchover_model::{RevisionId, Share};

/// The smallest rate that is told from none: `max = "0%"` fails when more than this is proven.
const LEAST_RATE: f64 = 1e-6;

/// The revisions whose traffic is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) new: RevisionId,
    pub(super) old: Option<RevisionId>,
}

/// The chance of a false alarm that each check of a release has in each watch: the whole of it shared by all that may raise one,
/// of which so many are `built_in`.
pub(super) fn alpha(policy: &EvidencePolicy, steps: u32, built_in: u32) -> Probability {
    let watches = |check: &Check| {
        let of = |during: &During| match during {
            During::Shift => steps,
            During::Bake | During::Warm | During::Shadow => 1,
        };
        if is_counted_out(check) { 0 } else { check.during.iter().map(of).sum() }
    };
    let tests: u32 = policy.checks.iter().map(watches).fold(built_in, u32::saturating_add);
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

/// The rule of a check in a watch.
///
/// Errors: a number that the file should have refused.
pub(super) fn rule(check: &Check, alpha: Probability, watch: Watch, rules: Rules) -> Result<Rule, NumberError> {
    let mut rule = Rule::new(question(check)?, alpha);
    if let (CheckSource::Traffic { .. }, Some(enough), Some(longest)) = (&check.source, check.enough, watch.length) {
        rule.wait = Some(Wait { longest, enough: u64::from(enough), then: Then::Pass });
    }
    match rules {
        Rules::First => {}
        Rules::Second | Rules::Third => {
            rule.renewed = Some(RENEWED_AFTER);
            let is_compared =
                matches!((&check.source, check.bound), (CheckSource::Traffic { .. }, Bound::WorseBy { .. }));
            rule.past = is_compared && watch.during != During::Shift;
            if let CheckSource::Traffic { measure: Measure::Errors, .. } = check.source {
                rule.clients = LEAST_CLIENTS;
                rule.others_too = rules == Rules::Third;
            }
        }
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
    Ok(Question::Mean { worse, limit: Finite::new(limit)? })
}

fn side_of(bound: Bound, worse: Worse) -> Side {
    match (bound, worse) {
        (Bound::Most { .. }, _) | (Bound::WorseBy { .. }, Worse::Higher) => Side::Higher,
        (Bound::Least { .. }, _) | (Bound::WorseBy { .. }, Worse::Lower) => Side::Lower,
    }
}

// === What was seen, as the judge takes it ===

/// By what a watch's looks are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct By {
    pub(super) sides: Sides,
    pub(super) during: During,
    pub(super) rules: Rules,
}

/// What a look says of one check: at most one piece of evidence from the traffic, or one from each number that came.
pub(super) fn evidence(check: &Check, place: usize, by: By, look: &Look) -> Vec<Evidence> {
    match &check.source {
        CheckSource::Traffic { process, measure } => {
            let is_of = |arm: &&ArmMeasured| process.as_ref().is_none_or(|process| *process == arm.process);
            let arms: Vec<&ArmMeasured> = look.arms.iter().filter(is_of).collect();
            vec![of_traffic(check, *measure, by, look, &arms)]
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

fn of_traffic(check: &Check, measure: Measure, by: By, look: &Look, arms: &[&ArmMeasured]) -> Evidence {
    let sides = by.sides;
    let seen = match (look.blind, measure) {
        (Some(Blind::BeganAnew), _) => Seen::Unfit(Unfit::AnotherEpoch),
        (Some(Blind::NotMeasured), _) => Seen::Unfit(Unfit::NoAnswer("the traffic could not be read".to_owned())),
        (None, Measure::Requests) => {
            let requests = counts(arms, measure, |arm| arm.revision == sides.new).requests;
            let seconds = look.until.since(look.from).to_std().as_secs_f64();
            return Evidence::value(look.until, requests as f64 / seconds);
        }
        (None, Measure::Errors | Measure::Latency { .. } | Measure::UpgradesCut) => {
            let new = counts(arms, measure, |arm| arm.revision == sides.new);
            let is_compared = matches!(check.bound, Bound::WorseBy { .. });
            let old = sides.old.filter(|old| is_compared && !has_ended(look, *old, by.rules));
            let reference = old.map(|old| reference(arms, measure, old, by));
            Seen::Counts { new, reference }
        }
    };
    Evidence { from: look.from, until: look.until, seen }
}

/// Whether nothing is left of the past: what was given out last still stands beside what came meanwhile.
fn has_ended(look: &Look, old: RevisionId, rules: Rules) -> bool {
    match rules {
        Rules::First => false,
        Rules::Second | Rules::Third => look.past_used_up && look.arms.iter().all(|arm| arm.revision != old),
    }
}

/// The live slot's requests. In steps a group as large as the new slot's is set aside: that one alone, so that both sides are of a
/// size and of the same kind, also when it had nothing to do. A past was never set aside.
fn reference(arms: &[&ArmMeasured], measure: Measure, old: RevisionId, by: By) -> Counts {
    let is_set_aside = match by.rules {
        Rules::First => arms.iter().any(|arm| arm.revision == old && arm.part == Part::Baseline),
        Rules::Second | Rules::Third => by.during == During::Shift,
    };
    let part = if is_set_aside { Part::Baseline } else { Part::Share };
    counts(arms, measure, |arm| arm.revision == old && arm.part == part)
}

fn counts(arms: &[&ArmMeasured], measure: Measure, is_meant: impl Fn(&ArmMeasured) -> bool) -> Counts {
    let mut sum = Counts::default();
    for arm in arms.iter().filter(|arm| is_meant(arm)) {
        let (requests, errors) = match measure {
            Measure::Errors | Measure::Requests => {
                sum.requests_by.merge(&arm.requests_by);
                sum.errors_by.merge(&arm.errors_by);
                (arm.requests(), arm.errors())
            }
            // A router of an earlier version does not tell which ended.
            Measure::UpgradesCut => (arm.upgrades_ended.unwrap_or(arm.upgrades_opened), arm.upgrades_cut),
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
        return Evidence::value(new.at, value);
    };
    match old.map(|old| (old, old.value)) {
        Some((_, Some(reference))) => {
            let allowed = effect.to_f64() * reference.abs();
            let limit = match worse {
                Worse::Higher => reference + allowed,
                Worse::Lower => reference - allowed,
            };
            Evidence::value(new.at, value - limit)
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
