//! Mann and Whitney's test with Hodges and Lehmann's shift and its interval, as R's `wilcox.test` computes them.

use libm::erfc;

use crate::mixture::ln_choose;
use crate::number::Probability;
use crate::rate::turn;

/// With fewer values than this in both samples, and no ties, the distribution is counted out; R's own bound.
const EXACT_BELOW: usize = 50;

/// Beyond so many standard deviations the normal distribution has nothing that a double can hold.
const FARTHEST: f64 = 39.0;

/// How one sample lies beside another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MannWhitney {
    /// Pairs in which the first sample's value is higher; ties count half.
    pub u: f64,
    /// The chance of a shift as large or larger in either direction, where there is none.
    pub p: f64,
    /// By how much the first sample is higher: the median of all differences.
    pub shift: f64,
    /// Where the shift lies.
    pub low: f64,
    /// Its other end.
    pub high: f64,
}

/// Compares `first` with `second`; the interval leaves out a chance of `alpha`. `None` where a sample is empty or has a value that
/// is not finite.
///
/// Exact for small samples without ties; else by the normal distribution with R's corrections for ties and continuity.
#[must_use]
pub fn mann_whitney(first: &[f64], second: &[f64], alpha: Probability) -> Option<MannWhitney> {
    let are_numbers = first.iter().chain(second).all(|value| value.is_finite());
    if first.is_empty() || second.is_empty() || !are_numbers {
        return None;
    }
    let mut differences: Vec<f64> = first.iter().flat_map(|one| second.iter().map(move |other| one - other)).collect();
    differences.sort_unstable_by(f64::total_cmp);
    let pairs = differences.len();
    let above = differences.iter().filter(|difference| **difference > 0.0).count() as f64;
    let ties = differences.iter().filter(|difference| **difference == 0.0).count() as f64;
    let u = above + ties / 2.0;
    let shift = f64::midpoint(differences[(pairs - 1) / 2], differences[pairs / 2]);
    let mut all: Vec<f64> = first.iter().chain(second).copied().collect();
    let has_ties = tie_sum(&mut all) > 0.0;
    let is_exact = first.len() < EXACT_BELOW && second.len() < EXACT_BELOW && !has_ties;
    let (p, place) =
        if is_exact { exact(first.len(), second.len(), u, alpha) } else { normal(first, second, u, alpha) };
    // The interval's ends are as many places from the ends of the differences.
    let place = place.clamp(1, pairs.div_ceil(2));
    Some(MannWhitney { u, p, shift, low: differences[place - 1], high: differences[pairs - place] })
}

/// The p-value, and the place (from 1) of the interval's lower end among the differences: R's `qwilcox(alpha / 2)`, at least 1.
fn exact(first: usize, second: usize, u: f64, alpha: Probability) -> (f64, usize) {
    let ln_all = ln_choose((first + second) as u64, first as u64);
    let chances: Vec<f64> = ways(first, second).into_iter().map(|ways| (ways.ln() - ln_all).exp()).collect();
    let lower: f64 = chances.iter().take(u as usize + 1).sum();
    let upper: f64 = chances.iter().skip(u as usize).sum();
    let p = (2.0 * lower.min(upper)).min(1.0);
    let mut sum = 0.0;
    // As R does it: rounding must not move the quantile to the next one.
    let place = chances.iter().take_while(|chance| {
        sum += **chance;
        sum < alpha.get() / 2.0 * (1.0 - 1e-13)
    });
    (p, place.count().max(1))
}

/// In how many orders of both samples each U comes about. Only sums, so that nothing of a small number is lost.
fn ways(first: usize, second: usize) -> Vec<f64> {
    let top = first * second;
    // Of no values of the first sample, and so many of the second: always 0.
    let mut of = vec![vec![0.0; top + 1]; second + 1];
    of.iter_mut().for_each(|ways| ways[0] = 1.0);
    for _ in 0..first {
        for others in 1..=second {
            // The largest value is of the first sample and above all the others, or it is of the second.
            let (before, rest) = of.split_at_mut(others);
            for u in (0..=top).rev() {
                rest[0][u] = u.checked_sub(others).map_or(0.0, |less| rest[0][less]) + before[others - 1][u];
            }
        }
    }
    of.pop().unwrap_or_default()
}

fn normal(first: &[f64], second: &[f64], u: f64, alpha: Probability) -> (f64, usize) {
    let (m, n) = (first.len() as f64, second.len() as f64);
    let spread = |ties: f64| (m * n / 12.0 * ((m + n + 1.0) - ties / ((m + n) * (m + n - 1.0)))).max(0.0).sqrt();
    let mut all: Vec<f64> = first.iter().chain(second).copied().collect();
    let sigma = spread(tie_sum(&mut all));
    let beyond = u - m * n / 2.0;
    let z = if sigma > 0.0 { (beyond.abs() - 0.5).max(0.0) / sigma } else { 0.0 };
    let p = erfc(z / std::f64::consts::SQRT_2).min(1.0);
    // Between two differences only ties within each sample are left.
    let sigma = spread(tie_sum(&mut first.to_vec()) + tie_sum(&mut second.to_vec()));
    let quantile = turn(0.0, FARTHEST, |z| erfc(z / std::f64::consts::SQRT_2) <= alpha.get());
    let above = m * n / 2.0 + quantile * sigma + 0.5;
    let place = (m * n - above).floor();
    (p, if place < 0.0 { 1 } else { place as usize + 1 })
}

/// The sum of `t^3 - t` over every value that comes `t` times. Sorts the values.
fn tie_sum(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.chunk_by(|one, other| one == other).map(|ties| ties.len() as f64).map(|t| t * t * t - t).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_lie_apart_have_the_smallest_chance_there_is() {
        let low: Vec<f64> = (0..40).map(f64::from).collect();
        let high: Vec<f64> = (100..140).map(f64::from).collect();
        let alpha = Probability::new(0.02).expect("a probability");
        let least = (2_f64.ln() - ln_choose(80, 40)).exp();
        for (first, second, shift) in [(&low, &high, -100.0), (&high, &low, 100.0)] {
            let test = mann_whitney(first, second, alpha).expect("values");
            assert!((test.p / least - 1.0).abs() < 1e-9, "{test:?}");
            assert!(test.shift == shift && test.low < shift && shift < test.high, "{test:?}");
        }
    }
}
