//! How verdicts come about, and that they come about again.

use proptest::prelude::*;
use switchover_judge::{
    Counts, Finite, Judge, LatencyMargin, Look, Outcome, Probability, Question, Rule, Seen, SplitBy, Then, Unfit,
    Verdict, Wait, Worse, judge,
};
use switchover_model::histogram::Histogram;
use switchover_model::{Span, Timestamp};

fn chance(value: f64) -> Probability {
    Probability::new(value).expect("a probability")
}

fn rule(question: Question) -> Rule {
    Rule::new(question, chance(0.001))
}

fn errors() -> Rule {
    rule(Question::ErrorsWorse { margin: chance(0.005) })
}

fn p99() -> Rule {
    rule(Question::LatencyLonger { quantile: chance(0.99), margin: LatencyMargin::new(0.2).expect("a margin") })
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn look(second: u64, new: Counts, reference: Counts) -> Look {
    Look { from: at(second), until: at(second + 1), seen: Seen::Counts { new, reference: Some(reference) } }
}

fn of_latency(micros: &[(u64, u64)]) -> Counts {
    let mut latency = Histogram::default();
    micros.iter().for_each(|(micros, count)| latency.record_many(*micros, *count));
    Counts { requests: latency.total(), latency, ..Counts::default() }
}

/// The verdict when every second brings the same.
fn every_second(rule: &Rule, seconds: u64, new: &Counts, reference: &Counts) -> Verdict {
    let looks: Vec<Look> = (0..seconds).map(|second| look(second, new.clone(), reference.clone())).collect();
    judge(rule, &looks)
}

#[test]
fn no_data_is_never_a_pass() {
    let wait = Some(Wait { longest: Span::from_secs(3), enough: 0, then: Then::Pass });
    let mean = Question::Mean { worse: Worse::Higher, limit: Finite::new(1.0).expect("finite") };
    let each = Question::Each { worse: Worse::Higher, limit: Finite::new(1.0).expect("finite"), allowed: 0, enough: 0 };
    let split = Question::SplitOff { share: chance(0.5), tolerance: chance(0.1), by: SplitBy::Clients };
    let limit = Question::ErrorsAbove { limit: chance(0.1) };
    let latency = Question::LatencyAbove { quantile: chance(0.5), limit_micros: 1000 };
    for question in [errors().question, p99().question, mean, each, split, limit, latency] {
        let rule = Rule { wait, ..rule(question) };
        assert_eq!(judge(&rule, &[]).outcome, Outcome::Inconclusive);
        let nothing = every_second(&rule, 9, &Counts::default(), &Counts::default());
        assert_eq!(nothing.outcome, Outcome::Inconclusive, "{nothing:?}");
        let unfit: Vec<Look> = (0..9).map(|second| Look::value(at(second), f64::NAN)).collect();
        let verdict = judge(&rule, &unfit);
        assert_eq!((verdict.outcome, verdict.not_used), (Outcome::Inconclusive, 9), "{verdict:?}");
        assert!(verdict.is_over && verdict.why.contains("nothing could be used"), "{verdict:?}");
    }
}

#[test]
fn an_arm_without_requests_is_never_a_pass() {
    let wait = Some(Wait { longest: Span::from_secs(3), enough: 0, then: Then::Pass });
    for (new, reference) in
        [(Counts::of_errors(500, 0), Counts::default()), (Counts::default(), Counts::of_errors(500, 0))]
    {
        let verdict = every_second(&Rule { wait, ..errors() }, 9, &new, &reference);
        assert_eq!(verdict.outcome, Outcome::Inconclusive, "{verdict:?}");
    }
}

#[test]
fn arms_without_any_error_pass_once_enough_is_seen() {
    let none = Counts::of_errors(100, 0);
    assert_eq!(every_second(&errors(), 2, &none, &none).outcome, Outcome::Inconclusive);
    let verdict = every_second(&errors(), 40, &none, &none);
    assert_eq!(verdict.outcome, Outcome::Pass, "{verdict:?}");
    assert!(verdict.interval.high.expect("an end") < 0.005);
}

#[test]
fn a_fail_stays_and_follows_a_pass() {
    let good = Counts::of_errors(1000, 5);
    let mut looks: Vec<Look> = (0..60).map(|second| look(second, good.clone(), good.clone())).collect();
    assert_eq!(judge(&errors(), &looks).outcome, Outcome::Pass);
    looks.extend((60..70).map(|second| look(second, Counts::of_errors(1000, 400), good.clone())));
    let failed = judge(&errors(), &looks);
    assert_eq!(failed.outcome, Outcome::Fail, "{failed:?}");
    looks.extend((70..400).map(|second| look(second, Counts::of_errors(1000, 0), good.clone())));
    let later = judge(&errors(), &looks);
    assert_eq!((later.outcome, later.decided), (Outcome::Fail, failed.decided));
}

#[test]
fn what_is_worse_by_less_than_matters_does_not_fail() {
    // A quarter of a percent more, proven by a million requests.
    let verdict = every_second(&errors(), 500, &Counts::of_errors(10_000, 125), &Counts::of_errors(10_000, 100));
    assert_eq!(verdict.outcome, Outcome::Pass, "{verdict:?}");
    assert!(verdict.evidence.is_some_and(|evidence| evidence.reached > evidence.needed), "{verdict:?}");
}

#[test]
fn a_rate_that_rises_for_both_is_no_evidence() {
    let looks: Vec<Look> = (0..200_u64)
        .map(|second| look(second, Counts::of_errors(100, second / 2), Counts::of_errors(100, second / 2)))
        .collect();
    let verdict = judge(&errors(), &looks);
    assert_ne!(verdict.outcome, Outcome::Fail, "{verdict:?}");
}

#[test]
fn latencies_that_all_lie_in_one_bucket_come_to_a_verdict() {
    let (same, longer, little) = (of_latency(&[(100, 50)]), of_latency(&[(130, 50)]), of_latency(&[(103, 50)]));
    let passed = every_second(&p99(), 60, &same, &same);
    assert_eq!(passed.outcome, Outcome::Pass, "{passed:?}");
    assert_eq!((passed.effect, passed.interval.high), (Some(0.0), Some(0.0)));
    assert_eq!(every_second(&p99(), 1, &same, &same).outcome, Outcome::Inconclusive);
    assert_eq!(every_second(&p99(), 2, &longer, &same).outcome, Outcome::Fail);
    assert_eq!(every_second(&p99(), 60, &same, &longer).outcome, Outcome::Pass);
    assert_eq!(every_second(&p99(), 60, &little, &same).outcome, Outcome::Pass);
    let nothing = of_latency(&[(0, 50)]);
    assert_eq!(every_second(&p99(), 60, &nothing, &nothing).outcome, Outcome::Pass);
}

#[test]
fn a_tail_that_grows_is_found_where_the_rest_shares_a_bucket() {
    // 0.5 % of the old ones and 3 % of the new ones are slow: p99 is 1 ms here and 50 ms there.
    let (old, new) = (of_latency(&[(1000, 995), (50_000, 5)]), of_latency(&[(1000, 970), (50_000, 30)]));
    let verdict = every_second(&p99(), 5, &new, &old);
    assert_eq!(verdict.outcome, Outcome::Fail, "{verdict:?}");
}

#[test]
fn a_latency_limit_passes_and_fails() {
    let question = Question::LatencyAbove { quantile: chance(0.95), limit_micros: 200_000 };
    let (fast, slow) = (of_latency(&[(50_000, 97), (150_000, 3)]), of_latency(&[(50_000, 80), (900_000, 20)]));
    let none = Counts::default();
    assert_eq!(every_second(&rule(question), 20, &fast, &none).outcome, Outcome::Pass);
    assert_eq!(every_second(&rule(question), 20, &slow, &none).outcome, Outcome::Fail);
}

#[test]
fn a_split_that_is_off_is_found_and_one_that_is_right_passes() {
    let question = Question::SplitOff { share: chance(0.1), tolerance: chance(0.02), by: SplitBy::Clients };
    let clients = |clients| Counts { clients, ..Counts::default() };
    assert_eq!(every_second(&rule(question), 100, &clients(10), &clients(90)).outcome, Outcome::Pass);
    assert_eq!(every_second(&rule(question), 100, &clients(15), &clients(85)).outcome, Outcome::Fail);
    assert_eq!(every_second(&rule(question), 100, &clients(0), &clients(10)).outcome, Outcome::Fail);
}

#[test]
fn values_are_held_against_a_limit_one_by_one_or_by_their_mean() {
    let values = |question: Question, mean: f64| {
        let wobble = |second: u64| if second.is_multiple_of(2) { 0.5 } else { -0.5 };
        let value = |second: u64| Look::value(at(second), mean + wobble(second));
        judge(&rule(question), &(0..400).map(value).collect::<Vec<_>>()).outcome
    };
    let limit = Finite::new(10.0).expect("finite");
    let question = Question::Mean { worse: Worse::Higher, limit };
    assert_eq!((values(question, 5.0), values(question, 15.0)), (Outcome::Pass, Outcome::Fail));
    let question = Question::Mean { worse: Worse::Lower, limit };
    assert_eq!((values(question, 15.0), values(question, 5.0)), (Outcome::Pass, Outcome::Fail));
    let each = Question::Each { worse: Worse::Lower, limit: Finite::new(4.0).expect("finite"), allowed: 3, enough: 50 };
    assert_eq!((values(each, 5.0), values(each, 4.2)), (Outcome::Pass, Outcome::Fail));
}

#[test]
fn the_end_of_the_wait_passes_only_with_enough_and_only_what_is_not_bad() {
    let wait = |enough| Some(Wait { longest: Span::from_secs(10), enough, then: Then::Pass });
    let (good, bad) = (Counts::of_errors(50, 1), Counts::of_errors(50, 2));
    let ended = |enough, seconds, new: &Counts| {
        every_second(&Rule { wait: wait(enough), ..errors() }, seconds, new, &good).outcome
    };
    assert_eq!(ended(500, 10, &good), Outcome::Pass);
    assert_eq!(ended(500, 9, &good), Outcome::Inconclusive);
    assert_eq!(ended(501, 10, &good), Outcome::Inconclusive);
    assert_eq!(ended(500, 10, &bad), Outcome::Inconclusive);
    let stays = Some(Wait { longest: Span::from_secs(10), enough: 1, then: Then::Inconclusive });
    let verdict = every_second(&Rule { wait: stays, ..errors() }, 12, &good, &good);
    assert_eq!((verdict.outcome, verdict.is_over), (Outcome::Inconclusive, true));
}

#[test]
fn an_interval_that_overlaps_or_contradicts_itself_is_not_used() {
    let one = look(5, Counts::of_errors(10, 1), Counts::of_errors(10, 1));
    let wrong = look(6, Counts::of_errors(10, 11), Counts::of_errors(10, 1));
    let before = look(3, Counts::of_errors(10, 1), Counts::of_errors(10, 1));
    let verdict = judge(&errors(), &[one.clone(), one, before, wrong]);
    let why: Vec<Unfit> = verdict.unused.into_iter().map(|unused| unused.why).collect();
    assert_eq!(why, [Unfit::Overlaps, Unfit::Overlaps, Unfit::Contradiction]);
    assert_eq!((verdict.looks, verdict.seen), (1, 10));
}

#[test]
fn a_rule_is_said_in_words() {
    let rule = Rule { wait: Some(Wait { longest: Span::from_secs(600), enough: 500, then: Then::Pass }), ..p99() };
    expect_test::expect!["Fails when more slow requests are proven and a p99 longer by 20 % or more is measured. Passes when a p99 longer by 20 % is ruled out. Over all looks together, a false alarm has a chance of at most 0.1 %, a false pass one of 5 %. After 10m 0s it passes if at least 500 were seen and what was measured is not that bad."]
    .assert_eq(&rule.words());
}

#[test]
fn a_rule_is_read_strictly() {
    let text = serde_json::to_string(&p99()).expect("JSON");
    assert_eq!(serde_json::from_str::<Rule>(&text).expect("a rule"), p99());
    for wrong in [
        text.replace("0.99", "1.99"),
        text.replace("0.2", "0.001"),
        text.replace("margin", "margins"),
        text.replace("\"miss\"", "\"mist\""),
    ] {
        assert!(serde_json::from_str::<Rule>(&wrong).is_err(), "{wrong}");
    }
}

fn any_counts() -> impl Strategy<Value = Counts> {
    (0_u64..60, 0_u64..10, 0_u64..9, prop::collection::vec((1_u64..500, 1_u64..20), 0..4)).prop_map(
        |(good, errors, clients, micros)| {
            let latency = of_latency(&micros).latency;
            Counts { requests: good + errors, errors, clients, latency, ..Counts::default() }
        },
    )
}

fn any_look() -> impl Strategy<Value = (u64, Seen)> {
    let counts =
        (any_counts(), prop::option::of(any_counts())).prop_map(|(new, reference)| Seen::Counts { new, reference });
    let value = (-5.0..5.0).prop_map(Seen::Value);
    let seen = prop_oneof![6 => counts, 3 => value, 1 => Just(Seen::Unfit(Unfit::AnotherEpoch))];
    (0_u64..4, seen)
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let limit = Finite::new(0.5).expect("finite");
    let renewed = Some(Span::from_secs(20));
    prop_oneof![
        Just(errors()),
        Just(Rule { renewed, past: true, clients: 3, ..errors() }),
        Just(p99()),
        Just(Rule { renewed, past: true, ..p99() }),
        Just(rule(Question::ErrorsAbove { limit: chance(0.05) })),
        Just(rule(Question::LatencyAbove { quantile: chance(0.9), limit_micros: 300 })),
        Just(rule(Question::SplitOff { share: chance(0.5), tolerance: chance(0.1), by: SplitBy::Clients })),
        Just(Rule { renewed, ..rule(Question::Mean { worse: Worse::Lower, limit }) }),
    ]
}

proptest! {
    #[test]
    fn looks_one_by_one_or_read_back_from_a_journal_give_the_same_verdict(
        rule in any_rule(),
        seen in prop::collection::vec(any_look(), 0..150),
    ) {
        let mut second = 0;
        let looks: Vec<Look> = seen
            .into_iter()
            .map(|(gap, seen)| {
                // Now and then one begins before the last has ended.
                let from = second + gap;
                second = from + 1;
                Look { from: at(from.saturating_sub(u64::from(gap == 3) * 4)), until: at(from + 1), seen }
            })
            .collect();
        let whole = judge(&rule, &looks);
        let mut one_by_one = Judge::new(&rule);
        let mut failed = false;
        for look in &looks {
            one_by_one.take(look);
            let now = one_by_one.verdict().outcome;
            prop_assert!(!failed || now == Outcome::Fail);
            failed = now == Outcome::Fail;
        }
        prop_assert_eq!(&one_by_one.verdict(), &whole);
        let kept = serde_json::to_string(&looks).expect("JSON");
        let read: Vec<Look> = serde_json::from_str(&kept).expect("looks");
        prop_assert_eq!(&judge(&rule, &read), &whole);
        let told = serde_json::to_string(&whole).expect("JSON");
        let read: Verdict = serde_json::from_str(&told).expect("a verdict");
        prop_assert_eq!(read.outcome, whole.outcome);
        prop_assert!(whole.course.len() <= 65);
    }
}
