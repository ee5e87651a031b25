//! A rate that is looked at again and again: where it lies, and whether it is above a limit.
//!
//! Assumes that requests are bad independently of each other, at one rate.

use crate::mixture::{WORSE, evidence, ln_beta};
use crate::number::Probability;

/// Where, on the way from `inside` to `outside`, `is_out` begins to hold.
pub(crate) fn turn(mut inside: f64, mut outside: f64, is_out: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(inside, outside);
        if is_out(middle) {
            outside = middle;
        } else {
            inside = middle;
        }
    }
    outside
}

/// Halvings that bring an interval's end to the thirteenth digit.
const HALVINGS: u32 = 45;

/// How often bad ones came up so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rate {
    pub(crate) requests: u64,
    /// Never more than `requests`.
    pub(crate) bad: u64,
}

impl Rate {
    pub(crate) fn add(&mut self, (requests, bad): (u64, u64)) {
        self.requests = self.requests.saturating_add(requests);
        self.bad = self.bad.saturating_add(bad);
    }

    /// The share that was bad; `None` of nothing.
    pub(crate) fn estimate(self) -> Option<f64> {
        (self.requests > 0).then(|| self.bad as f64 / self.requests as f64)
    }

    /// The logarithm of the likelihood at `rate`.
    fn ln_likelihood(self, rate: f64) -> f64 {
        let part = |count: u64, chance: f64| if count == 0 { 0.0 } else { count as f64 * chance.ln() };
        part(self.bad, rate) + part(self.requests - self.bad, 1.0 - rate)
    }

    /// The evidence against `rate`: the likelihood mixed over all rates (Krichevsky and Trofimov: a Beta(1/2, 1/2)) over the one at
    /// `rate`. When it is the rate, the chance that this ever reaches `ln(1 / alpha)` is at most `alpha`.
    pub(crate) fn evidence_against(self, rate: f64) -> f64 {
        self.ln_mixture() - self.ln_likelihood(rate)
    }

    fn ln_mixture(self) -> f64 {
        let (bad, good) = (self.bad as f64 + 0.5, (self.requests - self.bad) as f64 + 0.5);
        ln_beta(bad, good) - std::f64::consts::PI.ln()
    }

    /// Where the rate lies at every look at once, but for a chance of `alpha`.
    pub(crate) fn interval(self, alpha: Probability) -> (f64, f64) {
        let Some(estimate) = self.estimate() else { return (0.0, 1.0) };
        let (needed, mixture) = (-alpha.get().ln(), self.ln_mixture());
        let is_out = |rate: f64| mixture - self.ln_likelihood(rate) >= needed;
        let end = |inside: f64, outside: f64| if is_out(outside) { turn(inside, outside, is_out) } else { outside };
        (end(estimate, 0.0), end(estimate, 1.0))
    }

    /// The evidence that the rate is above `limit`, from the same bets as with two arms.
    pub(crate) fn evidence_above(self, limit: Probability) -> f64 {
        evidence(WORSE.iter().map(|(ratio, _)| self.ln_ratio_above(limit, *ratio)))
    }

    /// The logarithm of the likelihood at odds that are `ratio` times those of `limit`, over the one at `limit`.
    pub(crate) fn ln_ratio_above(self, limit: Probability, ratio: f64) -> f64 {
        // ln of (higher / limit) and of (1 - higher) / (1 - limit), with higher = ratio * limit / (1 - limit + ratio * limit)
        let shrink = -((ratio - 1.0) * limit.get()).ln_1p();
        self.bad as f64 * (ratio.ln() + shrink) + (self.requests - self.bad) as f64 * shrink
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(value: f64) -> Probability {
        Probability::new(value).expect("a probability")
    }

    #[test]
    fn an_interval_holds_its_estimate_and_narrows() {
        let alpha = chance(0.05);
        let mut width = 1.0;
        for requests in [10, 100, 1000, 10_000, 1_000_000] {
            let rate = Rate { requests, bad: requests / 10 };
            let (low, high) = rate.interval(alpha);
            assert!(low < 0.1 && 0.1 < high && high - low < width, "{requests}: {low} to {high}");
            width = high - low;
        }
        assert_eq!(Rate::default().interval(alpha), (0.0, 1.0));
        let (low, high) = Rate { requests: 1000, bad: 0 }.interval(alpha);
        assert!(low == 0.0 && high > 0.004 && high < 0.01, "{low} to {high}");
        let (low, high) = Rate { requests: 1000, bad: 1000 }.interval(alpha);
        assert!(high == 1.0 && low > 0.99 && low < 0.996, "{low} to {high}");
    }

    /// Over every way that 300 requests can end, counted exactly: the limit is crossed at any look with a chance of at most alpha.
    #[test]
    fn a_rate_at_its_limit_raises_an_alarm_at_most_as_often_as_was_set() {
        for (limit, alpha) in [(0.01, 0.05), (0.1, 0.05), (0.3, 0.01)] {
            let needed = -f64::ln(alpha);
            let crossed = |rate: Rate| rate.evidence_above(chance(limit)) >= needed;
            let alarms = chance_of_ever(limit, 300, crossed);
            assert!(alarms <= alpha && alarms > alpha / 20.0, "{limit}: {alarms}");
            let out = chance_of_ever(limit, 300, |rate| rate.evidence_against(limit) >= needed);
            assert!(out <= alpha, "{limit}: {out}");
        }
    }

    /// The chance that `crossed` is ever so within `requests` requests that are bad at `rate`.
    fn chance_of_ever(rate: f64, requests: usize, crossed: impl Fn(Rate) -> bool) -> f64 {
        let mut alive = vec![0.0; requests + 1];
        alive[0] = 1.0;
        let mut out = 0.0;
        for count in 1..=requests {
            for bad in (0..=count).rev() {
                let more = if bad > 0 { alive[bad - 1] * rate } else { 0.0 };
                alive[bad] = alive[bad] * (1.0 - rate) + more;
                if crossed(Rate { requests: count as u64, bad: bad as u64 }) {
                    out += std::mem::take(&mut alive[bad]);
                }
            }
        }
        out
    }
}
