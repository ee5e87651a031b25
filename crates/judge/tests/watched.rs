//! What is watched for long: a past that is used up, a change after a long time, one client that repeats itself.

use switchover_judge::{
    Counts, Judge, LEAST_CLIENTS, LatencyMargin, Look, Outcome, Probability, Question, RENEWED_AFTER, Rule, Seen, Then,
    Verdict, Wait, judge,
};
use switchover_model::histogram::Histogram;
use switchover_model::{Span, Timestamp};

fn chance(value: f64) -> Probability {
    Probability::new(value).expect("a probability")
}

fn errors_worse() -> Rule {
    Rule::new(Question::ErrorsWorse { margin: chance(0.005) }, chance(0.001 / 4.0))
}

fn errors_above() -> Rule {
    Rule::new(Question::ErrorsAbove { limit: chance(0.01) }, chance(0.001 / 4.0))
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn look(second: u64, new: Counts, reference: Option<Counts>) -> Look {
    Look { from: at(second), until: at(second + 1), seen: Seen::Counts { new, reference } }
}

fn of_latency(micros: u64, slow: u64) -> Counts {
    let mut latency = Histogram::default();
    latency.record_many(micros, 100 - slow);
    latency.record_many(10_000_000, slow);
    Counts { requests: 100, latency, ..Counts::default() }
}

/// Ten minutes of a past with half a percent of errors, of which the new slot has as many.
fn after_a_past(rule: &Rule) -> Judge {
    let mut judge = Judge::new(rule);
    for second in 0..600_u64 {
        let errors = |is_odd: bool| Counts::of_errors(100, u64::from(second.is_multiple_of(2) == is_odd));
        judge.take(&look(second, errors(true), Some(errors(false))));
    }
    assert_eq!(judge.outcome(), Outcome::Pass);
    judge
}

#[test]
fn what_breaks_once_the_past_is_used_up_fails() {
    let mut judge = after_a_past(&Rule { past: true, ..errors_worse() });
    let mut second = 600;
    while judge.outcome() != Outcome::Fail {
        assert!(second < 660, "{:?}", judge.verdict());
        judge.take(&look(second, Counts::of_errors(100, 100), None));
        second += 1;
    }
    let verdict = judge.verdict();
    assert!(verdict.past_used_up && verdict.why.contains("the past is used up"), "{}", verdict.why);
    assert!(second <= 605, "{second}");
}

#[test]
fn what_goes_on_as_it_was_does_not_fail_once_the_past_is_used_up() {
    let mut judge = after_a_past(&Rule { past: true, ..errors_worse() });
    for second in 600..20_000 {
        judge.take(&look(second, Counts::of_errors(100, u64::from(second.is_multiple_of(2))), None));
    }
    assert_eq!(judge.outcome(), Outcome::Pass, "{:?}", judge.verdict());
    // Nor is a past that comes back after its end taken for more than it was.
    let before = judge.verdict();
    judge.take(&look(20_000, Counts::of_errors(100, 1), Some(Counts::of_errors(1_000_000, 0))));
    assert_eq!(judge.verdict().reference_seen, before.reference_seen);
}

#[test]
fn of_a_past_of_which_nothing_is_known_nothing_is_said() {
    let mut judge = Judge::new(&Rule { past: true, ..errors_worse() });
    for second in 0..600 {
        judge.take(&look(second, Counts::of_errors(100, 100), None));
    }
    let verdict = judge.verdict();
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert!(verdict.why.contains("nothing is known of the past"), "{}", verdict.why);
    assert!(!verdict.why.contains("used up"), "of nothing there is no interval: {}", verdict.why);
    // Where it is no past, a look without the other arm is not used.
    let beside = judge_all(&errors_worse(), &[look(0, Counts::of_errors(9, 9), None)]);
    assert_eq!((beside.looks, beside.not_used), (0, 1));
}

fn judge_all(rule: &Rule, looks: &[Look]) -> Verdict {
    judge(rule, looks)
}

#[test]
fn latencies_that_grow_once_the_past_is_used_up_fail() {
    let question =
        Question::LatencyLonger { quantile: chance(0.95), margin: LatencyMargin::new(0.3).expect("a margin") };
    let rule = Rule { past: true, renewed: Some(RENEWED_AFTER), ..Rule::new(question, chance(0.001)) };
    let mut judge = Judge::new(&rule);
    for second in 0..600 {
        judge.take(&look(second, of_latency(50_000, 0), Some(of_latency(50_000, 0))));
    }
    for second in 600..9_000 {
        judge.take(&look(second, of_latency(50_000, 1), None));
    }
    assert_eq!(judge.outcome(), Outcome::Pass, "{:?}", judge.verdict());
    let mut second = 9_000;
    while judge.outcome() != Outcome::Fail {
        assert!(second < 9_600, "{:?}", judge.verdict());
        judge.take(&look(second, of_latency(50_000, 20), None));
        second += 1;
    }
}

/// Seconds after `well` seconds with a tenth of a percent of errors until `then` of a hundred fail.
fn found_after(rule: &Rule, well: u64, then: u64) -> (u64, Verdict) {
    let mut judge = Judge::new(rule);
    for second in 0..well {
        judge.take(&look(second, Counts::of_errors(100, u64::from(second.is_multiple_of(10))), None));
    }
    assert_eq!(judge.outcome(), Outcome::Pass);
    for second in well.. {
        judge.take(&look(second, Counts::of_errors(100, then), None));
        if judge.outcome() == Outcome::Fail {
            return (second + 1 - well, judge.verdict());
        }
    }
    unreachable!("a row without an end")
}

#[test]
fn after_a_day_that_was_well_a_change_is_found_within_the_hour() {
    const DAY: u64 = 86_400;
    let renewed = Rule { renewed: Some(RENEWED_AFTER), ..errors_above() };
    let ((all, verdict), (part, _)) = (found_after(&renewed, DAY, 100), found_after(&renewed, DAY, 10));
    assert!(all <= 2 && part <= 60, "{all} s and {part} s");
    assert!(verdict.why.starts_with("in the last ") && verdict.since.is_some(), "{verdict:?}");
    // Begun once: the day dilutes it.
    let (all, part) = (found_after(&errors_above(), DAY, 100).0, found_after(&errors_above(), DAY, 10).0);
    assert!(all > 600 && part > 3_600, "{all} s and {part} s");
    // Just before the next is begun, two hours are the most that there is to dilute it.
    let (part, _) = found_after(&renewed, DAY + 3_599, 10);
    assert!(part <= 600, "{part} s");
}

#[test]
fn what_failed_stays_failed_however_long_all_is_well_after_it() {
    let rule = Rule { renewed: Some(RENEWED_AFTER), ..errors_above() };
    let mut judge = Judge::new(&rule);
    let well = |second| look(second, Counts::of_errors(100, 0), None);
    (0..8_000).for_each(|second| judge.take(&well(second)));
    (8_000..8_120).for_each(|second| judge.take(&look(second, Counts::of_errors(100, 60), None)));
    let failed = judge.verdict();
    assert_eq!(failed.outcome, Outcome::Fail);
    (8_120..40_000).for_each(|second| judge.take(&well(second)));
    let later = judge.verdict();
    assert_eq!((later.outcome, later.decided, later.since), (Outcome::Fail, failed.decided, failed.since));
}

#[test]
fn one_client_that_repeats_a_failing_request_fails_nothing() {
    let of_clients = |erring: &[u16]| {
        let mut counts = Counts::of_errors(20, erring.len() as u64);
        (0..20).for_each(|client| counts.requests_by.count(client, 1));
        erring.iter().for_each(|client| counts.errors_by.count(*client, 1));
        counts
    };
    let well = of_clients(&[]);
    for rule in [errors_worse(), errors_above()] {
        let rule = Rule { clients: LEAST_CLIENTS, ..rule };
        let ends = |erring: &[u16]| {
            let looks: Vec<Look> =
                (0..600).map(|second| look(second, of_clients(erring), Some(well.clone()))).collect();
            judge(&rule, &looks)
        };
        let one = ends(&[7, 7]);
        assert_eq!(one.outcome, Outcome::Inconclusive, "{one:?}");
        assert!(one.why.contains("fewer than 5 clients"), "{}", one.why);
        assert_eq!(ends(&[1, 2, 3, 4]).outcome, Outcome::Inconclusive);
        assert_eq!(ends(&[1, 2, 3, 4, 5]).outcome, Outcome::Fail);
    }
}

#[test]
fn clients_that_are_few_or_not_told_apart_still_fail_what_is_broken() {
    let rule = Rule { clients: LEAST_CLIENTS, ..errors_worse() };
    let fails = |clients: &[u16]| {
        let mut counts = Counts::of_errors(6, 6);
        clients.iter().for_each(|client| {
            counts.requests_by.count(*client, 6 / clients.len() as u64);
            counts.errors_by.count(*client, 6 / clients.len() as u64);
        });
        let looks: Vec<Look> =
            (0..10).map(|second| look(second, counts.clone(), Some(Counts::of_errors(6, 0)))).collect();
        judge(&rule, &looks).outcome
    };
    assert_eq!([fails(&[]), fails(&[3]), fails(&[3, 4])], [Outcome::Fail; 3]);
}

#[test]
fn one_client_that_asks_much_and_well_lets_nothing_pass_that_is_bad_for_all_others() {
    // Of what the others ask a quarter fails.
    let of = |one: u64, others: u64, erring: u64| {
        let mut counts = Counts::of_errors(one + others, erring);
        counts.requests_by.count(3, one);
        (0..others).for_each(|client| counts.requests_by.count(4 + client as u16, 1));
        (0..erring).for_each(|client| counts.errors_by.count(4 + client as u16, 1));
        counts
    };
    let wait = Wait { longest: Span::from_secs(20), enough: 30, then: Then::Pass };
    for rule in [errors_worse(), errors_above()] {
        let ends = |(one, others, erring): (u64, u64, u64), others_too: bool| {
            let rule = Rule { clients: LEAST_CLIENTS, others_too, wait: Some(wait), ..rule };
            let looks = (0..20).map(|second| {
                let erring = if second % 4 == 0 { erring } else { 0 };
                look(second, of(one, others, erring), Some(Counts::of_errors(30, 0)))
            });
            judge(&rule, &looks.collect::<Vec<_>>())
        };
        let said = ends((400, 4, 4), true);
        assert_eq!(said.outcome, Outcome::Inconclusive, "{said:?}");
        assert!(said.why.contains("most requests were one client's"), "{}", said.why);
        assert_eq!(ends((400, 4, 4), false).outcome, Outcome::Pass, "as it was judged before");
        assert_eq!(ends((400, 4, 0), true).outcome, Outcome::Pass, "it is good for all");
        assert_eq!(ends((400, 0, 0), true).outcome, Outcome::Pass, "there is nobody else");
    }
}
