//! What is bet on: how many times as high the odds may be. One table for every test of the house.

use libm::lgamma as ln_gamma;

/// Odds ratios and how much of the stake lies on each; the weights sum up to 1.
///
/// Most lies on a doubling, which is the smallest change that ten thousand requests show at a rate of one in a hundred; the
/// far ones find within a few requests what is broken altogether.
pub(crate) const WORSE: [(f64, f64); 9] = [
    (1.25, 0.08),
    (1.5, 0.15),
    (2.0, 0.30),
    (3.0, 0.20),
    (6.0, 0.11),
    (20.0, 0.06),
    (100.0, 0.04),
    (1_000.0, 0.03),
    (100_000.0, 0.03),
];

/// The logarithm of the weighted sum of likelihood ratios, given the logarithm of each.
///
/// An e-process: when nothing is worse, the chance that it ever reaches `ln(1 / alpha)` is at most `alpha` (Ville).
pub(crate) fn evidence(logarithms: impl Iterator<Item = f64>) -> f64 {
    let weighted: Vec<f64> =
        WORSE.iter().zip(logarithms).map(|((_, weight), logarithm)| weight.ln() + logarithm).collect();
    ln_sum(&weighted)
}

/// `ln(sum(exp(each)))`, whatever their size.
pub(crate) fn ln_sum(logarithms: &[f64]) -> f64 {
    let most = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + logarithms.iter().map(|logarithm| (logarithm - most).exp()).sum::<f64>().ln()
}

/// The logarithm of the number of ways to take `taken` of `all`.
pub(crate) fn ln_choose(all: u64, taken: u64) -> f64 {
    ln_gamma(all as f64 + 1.0) - ln_gamma(taken as f64 + 1.0) - ln_gamma((all - taken) as f64 + 1.0)
}

/// The logarithm of the beta function.
pub(crate) fn ln_beta(one: f64, other: f64) -> f64 {
    ln_gamma(one) + ln_gamma(other) - ln_gamma(one + other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_stake_and_no_more_is_bet() {
        assert!((WORSE.iter().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(evidence(std::iter::repeat(0.0)).abs() < 1e-12);
    }

    #[test]
    fn sums_of_logarithms_neither_overflow_nor_vanish() {
        assert!((ln_sum(&[1000.0, 1000.0]) - 1000.0 - 2_f64.ln()).abs() < 1e-12);
        assert!((ln_sum(&[-5000.0, f64::NEG_INFINITY]) + 5000.0).abs() < 1e-12);
        assert_eq!(ln_sum(&[f64::NEG_INFINITY]), f64::NEG_INFINITY);
    }
}
