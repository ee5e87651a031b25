//! What the judge promises, held against thousands of simulated releases. The page `docs/judge.md` shows the same numbers;
//! `UPDATE_EXPECT=1` writes them anew.

mod chance;
mod page;
mod plot;

use std::sync::OnceLock;

use chance::Chance;
use switchover_judge::fixed::binomial_interval;
use switchover_judge::{
    Counts, Judge, LatencyMargin, Look, Outcome, Probability, Question, Rule, Seen, SplitBy, judge,
};
use switchover_model::Timestamp;
use switchover_model::histogram::Histogram;

/// Releases of each series.
const RUNS: u64 = 2_000;

/// One series of simulated releases.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) alpha: f64,
    /// Requests of each arm in one release, at most.
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
        next: impl Fn(&mut Chance) -> (Counts, Counts) + Sync,
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
        Self::run(name, &rule, most, batch, |chance| {
            let errors = |chance: &mut Chance, rate| Counts::of_errors(batch, chance.successes(batch, rate));
            (errors(chance, new), errors(chance, reference))
        })
    }

    /// p99: latencies with a median of 50 ms, log-normal, those of the new arm changed by `slower`.
    fn of_latency(name: &'static str, alpha: f64, slower: fn(f64) -> f64) -> Self {
        const BATCH: u64 = 400;
        let margin = LatencyMargin::new(0.15).expect("a margin");
        let rule = Rule::new(Question::LatencyLonger { quantile: chance(0.99), margin }, chance(alpha));
        Self::run(name, &rule, 20_000, BATCH, |chance| {
            let mut counts = |slower: fn(f64) -> f64| {
                let mut latency = Histogram::default();
                for _ in 0..BATCH {
                    latency.record(slower(50_000.0 * libm::exp(0.5 * chance.normal())) as u64);
                }
                Counts { requests: BATCH, latency, ..Counts::default() }
            };
            (counts(slower), counts(|micros| micros))
        })
    }

    fn of_split(name: &'static str, alpha: f64, share: f64) -> Self {
        let question = Question::SplitOff { share: chance(0.5), tolerance: chance(0.01), by: SplitBy::Clients };
        Self::run(name, &Rule::new(question, chance(alpha)), 10_000, 100, |chance| {
            let new = chance.successes(200, share);
            let clients = |clients| Counts { clients, ..Counts::default() };
            (clients(new), clients(200 - new))
        })
    }
}

/// After how many requests of each arm the release of `seed` fails.
fn failed_after(
    rule: &Rule,
    seed: u64,
    most: u64,
    batch: u64,
    next: impl Fn(&mut Chance) -> (Counts, Counts),
) -> Option<u64> {
    let mut chance = Chance::new(seed);
    let mut judge = Judge::new(rule);
    for round in 1..=most / batch {
        let (new, reference) = next(&mut chance);
        let at = |round: u64| Timestamp::from_micros(round * 1_000_000);
        let seen = Seen::Counts { new, reference: Some(reference) };
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
    for name in ["errors: 1 % in both", "latency: the same", "split: half"] {
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
