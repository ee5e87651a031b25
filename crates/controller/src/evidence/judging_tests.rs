//! What of a look is evidence, by the rules of today and of journals.

use switchover_model::config::{During, Measure, NumberFrom, Worse};
use switchover_model::decimal::Decimal;
use switchover_model::evidence::{NumberSeen, Side};
use switchover_model::seam::{ArmMeasured, Part};
use switchover_model::{ReleaseId, RevisionId};

use super::*;

const SIDES: Sides = Sides { new: RevisionId(2), old: Some(RevisionId(1)) };

fn at(second: u64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn watch(during: During) -> Watch {
    Watch { release: ReleaseId(1), during, step: None, since: at(0), length: None }
}

fn check(source: CheckSource, bound: Bound) -> Check {
    Check { name: "it".to_owned(), source, bound, enough: Some(5), during: During::ALL.to_vec() }
}

fn traffic(measure: Measure) -> CheckSource {
    CheckSource::Traffic { process: None, measure }
}

fn worse_by(millionths: i64) -> Bound {
    Bound::WorseBy { effect: Decimal::from_millionths(millionths) }
}

fn arm(revision: u32, part: Part, (requests, errors): (u64, u64)) -> ArmMeasured {
    let answered = [0, requests - errors, 0, 0, errors];
    ArmMeasured { answered, ..ArmMeasured::none(RevisionId(revision), "web".parse().unwrap(), part) }
}

/// A check in one watch, and its looks.
struct Bed {
    under_way: UnderWay,
    by: By,
    second: u64,
}

impl Bed {
    fn new(check: Check, during: During, rules: Rules) -> Self {
        let alpha = Probability::new(0.001).expect("a probability");
        let under_way = UnderWay::new(0, check, (alpha, watch(during), rules));
        Self { under_way, by: By { sides: SIDES, during, rules }, second: 0 }
    }

    fn look(&mut self, arms: Vec<ArmMeasured>, past_used_up: bool, numbers: Vec<NumberSeen>) {
        let (from, until) = (at(self.second), at(self.second + 1));
        let rules = self.by.rules;
        let look = Look { from, until, arms, past_used_up, numbers, rules, ..Look::default() };
        self.under_way.take(&look, self.by, at(0));
        self.second += 1;
    }

    fn said(&self) -> switchover_judge::Verdict {
        self.under_way.judge.as_ref().expect("a rule").verdict()
    }
}

#[test]
fn upgrades_that_are_cut_in_a_burst_long_after_they_were_opened_fail() {
    let mut bed = Bed::new(
        check(traffic(Measure::UpgradesCut), Bound::Most { limit: Decimal::from_millionths(10_000) }),
        During::Bake,
        Rules::NEWEST,
    );
    let upgrades = |opened, ended, cut| {
        let none = ArmMeasured::none(RevisionId(2), "web".parse().unwrap(), Part::Share);
        vec![ArmMeasured { upgrades_opened: opened, upgrades_ended: Some(ended), upgrades_cut: cut, ..none }]
    };
    (0..1_200).for_each(|_| bed.look(upgrades(1, 1, 0), false, Vec::new()));
    assert_eq!(bed.said().outcome, Outcome::Pass);
    (0..60).for_each(|_| bed.look(upgrades(1, 20, 20), false, Vec::new()));
    let said = bed.said();
    assert_eq!((said.outcome, said.not_used), (Outcome::Fail, 0), "{said:?}");
}

#[test]
fn in_steps_the_baseline_alone_is_compared_with() {
    let arms = |baseline: &[(u64, u64)]| {
        let mut arms = vec![arm(2, Part::Share, (10, 1)), arm(1, Part::Share, (990, 0))];
        arms.extend(baseline.iter().map(|counts| arm(1, Part::Baseline, *counts)));
        arms
    };
    for (rules, during, seen) in [
        (Rules::Second, During::Shift, 10),
        (Rules::First, During::Shift, 1_000),
        // A past was never set aside.
        (Rules::Second, During::Bake, 1_980),
    ] {
        let mut bed = Bed::new(check(traffic(Measure::Errors), worse_by(5_000)), during, rules);
        bed.look(arms(&[(10, 0)]), false, Vec::new());
        bed.look(arms(&[]), false, Vec::new());
        assert_eq!(bed.said().reference_seen, Some(seen), "{rules:?} {during:?}");
    }
}

#[test]
fn a_past_that_is_used_up_is_told_and_still_fails_what_breaks_then() {
    for (rules, outcome) in [(Rules::Second, Outcome::Fail), (Rules::First, Outcome::Pass)] {
        let mut bed = Bed::new(check(traffic(Measure::Errors), worse_by(5_000)), During::Warm, rules);
        for second in 0..600_u64 {
            let errors = second % 2;
            bed.look(
                vec![arm(2, Part::Share, (100, errors)), arm(1, Part::Share, (100, 1 - errors))],
                false,
                Vec::new(),
            );
        }
        assert_eq!(bed.said().outcome, Outcome::Pass);
        (0..60).for_each(|_| bed.look(vec![arm(2, Part::Share, (100, 100))], true, Vec::new()));
        let said = bed.said();
        // What is judged by the rules of an earlier version goes on as it was.
        assert_eq!((said.outcome, said.past_used_up), (outcome, rules == Rules::Second), "{}", said.why);
    }
}

/// A query over the last minute, asked every ten seconds: by how much the new one is more than the old one, as `worse_by` has it.
fn values(bound: Bound, rules: Rules, seconds: u64, value: f64) -> switchover_judge::Verdict {
    let query = "sum(rate(errors{slot=\"$SLOT\"}[1m]))".to_owned();
    let from = NumberFrom::Prometheus { url: "http://127.0.0.1:9090".to_owned(), query, token: None };
    let (interval, timeout) = (Span::from_secs(10), Span::from_secs(5));
    let source = CheckSource::Number { from, interval, timeout, allowed: 0, worse: Worse::Higher };
    let mut bed = Bed::new(check(source, bound), During::Shift, rules);
    for second in (0..seconds).step_by(10) {
        bed.second = second;
        let number = |side, value: f64| NumberSeen {
            check: 0,
            side,
            at: at(second),
            asked: String::new(),
            answer: String::new(),
            value: Some(value),
        };
        bed.look(Vec::new(), false, vec![number(Side::New, value), number(Side::Old, 1.0)]);
    }
    bed.said()
}

#[test]
fn values_of_a_query_describe_no_time_twice_and_none_from_before_the_watch() {
    let limit = Bound::Most { limit: Decimal::from_millionths(5_000_000) };
    // Five values are enough; those of the first minute describe what was before.
    let early = values(limit, Rules::Second, 60, 1.0);
    assert_eq!((early.outcome, early.looks, early.not_used), (Outcome::Inconclusive, 0, 6));
    assert!(early.why.contains("it describes the 1m 0s before it"), "{}", early.why);
    assert_eq!(values(limit, Rules::Second, 110, 1.0).outcome, Outcome::Pass);
    assert_eq!(values(limit, Rules::First, 60, 1.0).outcome, Outcome::Pass);
    // A mean takes one value a minute, each of both sides.
    let compared = |rules, seconds| values(worse_by(300_000), rules, seconds, 2.0);
    assert_eq!((compared(Rules::Second, 1_790).looks, compared(Rules::First, 1_790).looks), (29, 179));
    assert_eq!(compared(Rules::Second, 1_790).outcome, Outcome::Inconclusive);
    assert_eq!(compared(Rules::Second, 1_810).outcome, Outcome::Fail);
}

#[test]
fn a_watch_is_judged_by_what_its_first_look_says() {
    let text = r#"{"from": 0, "until": 1}"#;
    let old: Look = serde_json::from_str(text).expect("a look of an earlier version");
    assert_eq!((old.rules, old.past_used_up), (Rules::First, false));
    let kept = serde_json::to_value(&old).expect("JSON");
    assert_eq!((kept.get("rules"), kept.get("past_used_up")), (None, None), "nor is anything added to it");
    let of = |rules| {
        let check = check(traffic(Measure::Errors), worse_by(5_000));
        UnderWay::new(0, check, (Probability::new(0.001).expect("a probability"), watch(During::Bake), rules))
    };
    let needed = |rules: Rules| {
        let mut judging = Judging {
            watch: watch(During::Bake),
            sides: SIDES,
            rules: Rules::NEWEST,
            alpha: Probability::new(0.001).expect("a probability"),
            at: at(0),
            has_looked: false,
            checks: vec![of(Rules::NEWEST)],
            split: None,
            compared: None,
            trial: None,
        };
        let arms = vec![arm(2, Part::Share, (10, 0)), arm(1, Part::Share, (10, 0))];
        judging.take(&Look { arms: arms.clone(), rules, ..old.clone() });
        // What follows is of the same watch, whatever it says.
        judging.take(&Look { arms, from: at(1), until: at(2), rules: Rules::NEWEST, ..old.clone() });
        assert_eq!(judging.rules(), rules);
        judging.checks[0].judge.as_ref().expect("a rule").verdict().evidence.expect("a bet").needed
    };
    assert!((needed(Rules::First) - 3.0).abs() < 1e-9 && needed(Rules::Second) > 3.3);
}
