//! Tests that look once: for a report at the end of an experiment, where the number of requests was fixed before.
//!
//! Not for a release under way: who looks again and again until such a test is significant will be misled.

use crate::mixture::{ln_beta, ln_choose};
use crate::number::Probability;
use crate::rate::turn;

/// Outcomes as likely as the one seen but for rounding count as likely, as R's `binom.test` does.
const ROUNDING: f64 = 1e-7;

/// The chance of a number of successes that is as unlikely as `successes` or more, where each of `trials` succeeds with `chance`: the
/// exact two-sided binomial test. `successes` above `trials` are taken as all.
#[must_use]
pub fn binomial(successes: u64, trials: u64, chance: Probability) -> f64 {
    let successes = successes.min(trials);
    let ln_each = |count: u64| ln_binomial(count, trials, chance.get());
    let seen = ln_each(successes) + ROUNDING;
    (0..=trials).map(ln_each).filter(|ln| *ln <= seen).map(f64::exp).sum::<f64>().min(1.0)
}

/// Where the chance of a success lies, but for `alpha`: Clopper and Pearson's interval.
#[must_use]
pub fn binomial_interval(successes: u64, trials: u64, alpha: Probability) -> (f64, f64) {
    let successes = successes.min(trials);
    let half = alpha.get() / 2.0;
    let estimate = successes as f64 / trials.max(1) as f64;
    let sum = |counts: std::ops::RangeInclusive<u64>, chance: f64| -> f64 {
        counts.map(|count| ln_binomial(count, trials, chance).exp()).sum()
    };
    let low = if successes == 0 { 0.0 } else { turn(estimate, 0.0, |chance| sum(successes..=trials, chance) < half) };
    let high = if successes == trials { 1.0 } else { turn(estimate, 1.0, |chance| sum(0..=successes, chance) < half) };
    (low, high)
}

/// The logarithm of the chance of `count` successes.
fn ln_binomial(count: u64, trials: u64, chance: f64) -> f64 {
    let part = |count: u64, chance: f64| if count == 0 { 0.0 } else { count as f64 * chance.ln() };
    ln_choose(trials, count) + part(count, chance) + part(trials - count, 1.0 - chance)
}

/// The chance of a chi-square of so many degrees of freedom that is at least `statistic`.
fn chi_square_tail(statistic: f64, degrees: usize) -> f64 {
    // The upper incomplete gamma function from Q(1/2, x) or Q(1, x) on: Q(a + 1, x) = Q(a, x) + x^a e^-x / gamma(a + 1).
    let x = statistic / 2.0;
    let (mut a, mut tail) = if degrees.is_multiple_of(2) { (1.0, (-x).exp()) } else { (0.5, libm::erfc(x.sqrt())) };
    while a < degrees as f64 / 2.0 {
        tail += (a * x.ln() - x - libm::lgamma(a + 1.0)).exp();
        a += 1.0;
    }
    tail.min(1.0)
}

/// Pearson's chi-square of counts against the shares that were set, and the chance to see one as large or larger; `None` of nothing,
/// or where counts and shares do not belong together.
#[must_use]
pub fn chi_square(counts: &[u64], shares: &[f64]) -> Option<(f64, f64)> {
    let total: f64 = counts.iter().map(|count| *count as f64).sum();
    let whole: f64 = shares.iter().sum();
    let are_right = shares.iter().all(|share| share.is_finite() && *share > 0.0);
    if counts.len() != shares.len() || counts.len() < 2 || total == 0.0 || !are_right {
        return None;
    }
    let expected = |share: f64| total * share / whole;
    let statistic = counts
        .iter()
        .zip(shares)
        .map(|(count, share)| (*count as f64 - expected(*share)).powi(2) / expected(*share))
        .sum();
    let chance = if statistic == 0.0 { 1.0 } else { chi_square_tail(statistic, counts.len() - 1) };
    Some((statistic, chance))
}

/// The logarithm of the evidence that counts are not split as the shares say, which may be looked at any time: a Dirichlet mixture
/// over all splits against the one that was set; proven from `ln(1 / alpha)` on. `None` as for [`chi_square`].
#[must_use]
pub fn split_evidence(counts: &[u64], shares: &[f64]) -> Option<f64> {
    chi_square(counts, shares)?;
    let whole: f64 = shares.iter().sum();
    // A Dirichlet(1/2, ..., 1/2), taken apart: one share after the other against those that are left.
    let mut rest: u64 = counts.iter().sum();
    let mut parts = counts.len() as f64;
    let mut evidence = 0.0;
    for (count, share) in counts.iter().zip(shares) {
        if *count > 0 {
            evidence -= *count as f64 * (share / whole).ln();
        }
        parts -= 1.0;
        if parts > 0.0 {
            rest -= count;
            evidence += ln_beta(*count as f64 + 0.5, rest as f64 + parts / 2.0) - ln_beta(0.5, parts / 2.0);
        }
    }
    Some(evidence)
}
