//! What the judge promises, held against thousands of simulated releases. The page `docs/judge.md` shows the same numbers;
//! `UPDATE_EXPECT=1` writes them anew.

mod chance;
mod page;
mod plot;

use std::sync::OnceLock;

use chance::Chance;
use switchover_judge::fixed::binomial_interval;
use switchover_judge::{
    Counts, Finite, Judge, LatencyMargin, Look, Outcome, Probability, Question, Rule, Seen, SplitBy, Worse, judge,
};
use switchover_model::histogram::Histogram;
use switchover_model::{Span, Timestamp};

/// Releases of each series.
const RUNS: u64 = 2_000;
/// Requests of a past that is used up.
const PAST: u64 = 5_000;
/// Requests of each arm after which a judge is begun anew, and for which all is well.
const PERIOD: u64 = 2_000;
const WELL: u64 = 20_000;

/// One series of simulated releases.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) alpha: f64,
    /// Requests of each arm (or values) in one release, at most.
    pub(crate) most: u64,
    /// Requests of each arm when it failed, for those that did; sorted.
    pub(crate) failed_after: Vec<u64>,
}

impl Series {
    pub(crate) fn share(&self) -> f64 {
        self.failed_after.len() as f64 / RUNS as f64
    }

    /// Where the share lies, with 95 %.
    pub(crate) fn interval(&self) -> (f64, f64) {
        binomial_interval(self.failed_after.len() as u64, RUNS, chance(0.05))
    }

    /// The requests of each arm after which half of all releases had failed.
    pub(crate) fn median(&self) -> Option<u64> {
        self.failed_after.get(RUNS as usize / 2).copied()
    }

    fn run(
        name: &'static str,
        rule: &Rule,
        most: u64,
        batch: u64,
        next: impl Fn(&mut Chance, u64) -> Seen + Sync,
    ) -> Self {
        // Each release has its own seed, so it does not matter who runs it.
        let of_half = |half: u64| -> Vec<u64> {
            (0..RUNS)
                .filter(|seed| seed % 2 == half)
                .filter_map(|seed| failed_after(rule, seed, most, batch, &next))
                .collect()
        };
        let mut failed_after = std::thread::scope(|scope| {
            let other = scope.spawn(|| of_half(1));
            let mut own = of_half(0);
            own.extend(other.join().expect("the other half"));
            own
        });
        failed_after.sort_unstable();
        Self { name, alpha: rule.alpha.get(), most, failed_after }
    }

    fn of_errors(name: &'static str, alpha: f64, (most, batch): (u64, u64), new: f64, reference: f64) -> Self {
        let rule = Rule::new(Question::ErrorsWorse { margin: chance(0.005) }, chance(alpha));
        Self::run(name, &rule, most, batch, |chance, _| {
            let errors = |chance: &mut Chance, rate| Counts::of_errors(batch, chance.successes(batch, rate));
            both(errors(chance, new), errors(chance, reference))
        })
    }

    /// Against a past of [`PAST`] requests with 1 % errors; `after` is the rate once it is used up.
    fn of_past(name: &'static str, alpha: f64, after: f64) -> Self {
        const BATCH: u64 = 100;
        let question = Question::ErrorsWorse { margin: chance(0.005) };
        let rule = Rule { past: true, ..Rule::new(question, chance(alpha)) };
        Self::run(name, &rule, 3 * PAST, BATCH, |chance, before| {
            let is_left = before < PAST;
            let mut errors = |rate| Counts::of_errors(BATCH, chance.successes(BATCH, rate));
            let new = errors(if is_left { 0.01 } else { after });
            Seen::Counts { new, reference: is_left.then(|| errors(0.01)) }
        })
    }

    /// Begun anew after each [`PERIOD`] requests of each arm; both have 1 % errors, and the new one `then` after [`WELL`] of them.
    fn of_renewed(name: &'static str, alpha: f64, renewed: bool, then: f64) -> Self {
        const BATCH: u64 = 100;
        let question = Question::ErrorsWorse { margin: chance(0.005) };
        // A batch takes a second.
        let renewed = renewed.then(|| Span::from_secs(PERIOD / BATCH));
        let rule = Rule { renewed, ..Rule::new(question, chance(alpha)) };
        Self::run(name, &rule, 2 * WELL, BATCH, |chance, before| {
            let mut errors = |rate| Counts::of_errors(BATCH, chance.successes(BATCH, rate));
            both(errors(if before < WELL { 0.01 } else { then }), errors(0.01))
        })
    }

    /// By how much the new slot's value is more than 1.3 times the other's: counts of a time with a mean of 20, and `more` times
    /// as many.
    fn of_values(name: &'static str, alpha: f64, more: f64) -> Self {
        let question = Question::Mean { worse: Worse::Higher, limit: Finite::new(0.0).expect("finite") };
        Self::run(name, &Rule::new(question, chance(alpha)), 360, 1, |chance, _| {
            let mut count = |rate| chance.successes(100, rate) as f64;
            Seen::Value(count(0.2 * more) - 1.3 * count(0.2))
        })
    }

    /// p99: latencies with a median of 50 ms, log-normal, those of the new arm changed by `slower`.
    fn of_latency(name: &'static str, alpha: f64, slower: fn(f64) -> f64) -> Self {
        const BATCH: u64 = 400;
        let margin = LatencyMargin::new(0.15).expect("a margin");
        let rule = Rule::new(Question::LatencyLonger { quantile: chance(0.99), margin }, chance(alpha));
        Self::run(name, &rule, 20_000, BATCH, |chance, _| {
            let mut counts = |slower: fn(f64) -> f64| {
                let mut latency = Histogram::default();
                for _ in 0..BATCH {
                    latency.record(slower(50_000.0 * libm::exp(0.5 * chance.normal())) as u64);
                }
                Counts { requests: BATCH, latency, ..Counts::default() }
            };
            both(counts(slower), counts(|micros| micros))
        })
    }

    fn of_split(name: &'static str, alpha: f64, share: f64) -> Self {
        let question = Question::SplitOff { share: chance(0.5), tolerance: chance(0.01), by: SplitBy::Clients };
        Self::run(name, &Rule::new(question, chance(alpha)), 10_000, 100, |chance, _| {
            let new = chance.successes(200, share);
            let clients = |clients| Counts { clients, ..Counts::default() };
            both(clients(new), clients(200 - new))
        })
    }
}

fn both(new: Counts, reference: Counts) -> Seen {
    Seen::Counts { new, reference: Some(reference) }
}

/// After how many requests of each arm the release of `seed` fails.
fn failed_after(rule: &Rule, seed: u64, most: u64, batch: u64, next: impl Fn(&mut Chance, u64) -> Seen) -> Option<u64> {
    let mut chance = Chance::new(seed);
    let mut judge = Judge::new(rule);
    for round in 1..=most / batch {
        let seen = next(&mut chance, (round - 1) * batch);
        let at = |round: u64| Timestamp::from_micros(round * 1_000_000);
        judge.take(&Look { from: at(round - 1), until: at(round), seen });
        if judge.outcome() == Outcome::Fail {
            return Some(round * batch);
        }
    }
    None
}

pub(crate) fn chance(value: f64) -> Probability {
    Probability::new(value).expect("a probability")
}

/// Every series; made once, whoever asks.
pub(crate) fn all() -> &'static [Series] {
    static ALL: OnceLock<Vec<Series>> = OnceLock::new();
    ALL.get_or_init(|| {
        let ten_thousand = (10_000, 100);
        let mut all = Vec::new();
        for alpha in [0.05, 0.01, 0.001] {
            all.push(Series::of_errors("errors: 1 % in both arms", alpha, ten_thousand, 0.01, 0.01));
        }
        for alpha in [0.05, 0.01, 0.001] {
            all.push(Series::of_errors("errors: 2 % instead of 1 %", alpha, ten_thousand, 0.02, 0.01));
        }
        all.push(Series::of_errors("errors: 100 % instead of 1 %", 0.001, (20, 1), 1.0, 0.01));
        all.push(Series::of_latency("latency: the same in both arms", 0.05, |micros| micros));
        all.push(Series::of_latency("latency: the same in both arms", 0.01, |micros| micros));
        all.push(Series::of_latency("latency: all 30 % longer", 0.001, |micros| 1.3 * micros));
        // 95 ms is about the ninetieth of a hundred, 160 ms the ninety-ninth.
        all.push(Series::of_latency("latency: the tail alone, p99 30 % longer", 0.001, |micros| {
            if micros < 95_000.0 { micros } else { micros + 48_000.0 * ((micros - 95_000.0) / 65_000.0).min(1.0) }
        }));
        for alpha in [0.05, 0.01] {
            all.push(Series::of_past("errors: as in a past of 5,000 requests, which is used up", alpha, 0.01));
        }
        all.push(Series::of_past("errors: 5 % once a past of 5,000 requests with 1 % is used up", 0.001, 0.05));
        for alpha in [0.05, 0.01] {
            all.push(Series::of_renewed("errors: begun anew every 2,000, 1 % in both arms", alpha, true, 0.01));
        }
        all.push(Series::of_renewed("errors: begun anew every 2,000, 3 % after 20,000 with 1 %", 0.001, true, 0.03));
        all.push(Series::of_renewed("errors: begun once, 3 % after 20,000 with 1 %", 0.001, false, 0.03));
        for alpha in [0.05, 0.01] {
            all.push(Series::of_values("values: the same in both arms, 30 % more allowed", alpha, 1.0));
        }
        all.push(Series::of_values("values: 60 % more, 30 % more allowed", 0.001, 1.6));
        all.push(Series::of_split("split: half, as was set", 0.05, 0.5));
        all.push(Series::of_split("split: half, as was set", 0.01, 0.5));
        all.push(Series::of_split("split: 48 % instead of half", 0.001, 0.48));
        all
    })
}

fn series(name: &str) -> Vec<&'static Series> {
    let found: Vec<_> = all().iter().filter(|series| series.name.starts_with(name)).collect();
    assert!(!found.is_empty(), "there is no series {name}");
    found
}

#[test]
fn what_is_no_worse_fails_at_most_at_the_rate_that_was_set() {
    for name in [
        "errors: 1 % in both",
        "errors: as in a past",
        "errors: begun anew every 2,000, 1 %",
        "latency: the same",
        "values: the same",
        "split: half",
    ] {
        for series in series(name) {
            assert!(series.share() <= series.alpha, "{name} at {}: {}", series.alpha, series.share());
        }
    }
}

#[test]
fn doubled_errors_are_found_within_ten_thousand_requests() {
    for series in series("errors: 2 %") {
        assert!(series.share() >= 0.95, "at {}: {}", series.alpha, series.share());
    }
}

#[test]
fn what_goes_wrong_once_the_past_is_used_up_is_found() {
    for series in series("errors: 5 % once a past") {
        assert!(series.share() >= 0.95, "at {}: {}", series.alpha, series.share());
    }
}

#[test]
fn what_goes_wrong_late_is_found_sooner_when_it_is_begun_anew() {
    let of = |name: &str| *series(name).last().expect("there is one");
    let (anew, once) = (of("errors: begun anew every 2,000, 3 %"), of("errors: begun once"));
    assert!(anew.share() >= 0.95, "{}", anew.share());
    assert_eq!(anew.failed_after.partition_point(|after| *after <= WELL), 0, "all was well until then");
    let late = |series: &Series| series.median().expect("half of them") - WELL;
    assert!(2 * late(anew) <= late(once), "{} and {} requests after the change", late(anew), late(once));
}

#[test]
fn a_mean_that_is_worse_by_twice_what_is_allowed_is_found() {
    for series in series("values: 60 %") {
        assert!(series.share() >= 0.95, "at {}: {}", series.alpha, series.share());
    }
}

#[test]
fn what_is_broken_altogether_is_found_within_twenty_requests() {
    for series in series("errors: 100 %") {
        assert!(series.share() >= 0.999, "at {}: {}", series.alpha, series.share());
    }
}

#[test]
fn a_p99_that_is_longer_by_thirty_percent_is_found_within_twenty_thousand_requests() {
    for name in ["latency: all", "latency: the tail"] {
        for series in series(name) {
            assert!(series.share() >= 0.95, "{name} at {}: {}", series.alpha, series.share());
        }
    }
}

#[test]
fn what_is_worse_by_the_margin_passes_at_most_at_the_rate_that_was_set() {
    let rule = Rule::new(Question::ErrorsWorse { margin: chance(0.005) }, chance(0.001));
    let mut passed = 0;
    for seed in 0..RUNS / 4 {
        let mut chance = Chance::new(seed);
        let looks: Vec<Look> = (0..60)
            .map(|round| {
                let mut errors = |rate| Counts::of_errors(1000, chance.successes(1000, rate));
                let seen = Seen::Counts { new: errors(0.015), reference: Some(errors(0.01)) };
                Look { from: Timestamp::from_micros(round), until: Timestamp::from_micros(round + 1), seen }
            })
            .collect();
        passed += u64::from(judge(&rule, &looks).outcome == Outcome::Pass);
    }
    assert!(passed as f64 <= 0.05 * (RUNS / 4) as f64, "{passed}");
}
