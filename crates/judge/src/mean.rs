//! Where a mean lies at every look at once.

use crate::number::{Probability, Range};

/// A confidence sequence of the mean of values that come one by one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MeanSequence {
    /// Values lie between known ends; nothing else is assumed than that their mean stays the same.
    Bounded(Bounded),
    /// Values of any size. Right in the limit: assumes that after [`LEAST_VALUES`] their mean is nearly normal.
    Asymptotic(Asymptotic),
}

/// Before so many values the asymptotic sequence says nothing.
pub(crate) const LEAST_VALUES: u64 = 30;

/// The asymptotic sequence is narrowest after so many values: half an hour of one every fifteen seconds.
const NARROWEST_AT: f64 = 120.0;

impl MeanSequence {
    pub(crate) fn new(range: Option<Range>, alpha: Probability) -> Self {
        match range {
            Some(range) => Self::Bounded(Bounded::new(range, alpha)),
            None => Self::Asymptotic(Asymptotic { alpha: alpha.get(), ..Asymptotic::default() }),
        }
    }

    pub(crate) fn add(&mut self, value: f64) {
        match self {
            Self::Bounded(bounded) => bounded.add(value),
            Self::Asymptotic(asymptotic) => asymptotic.add(value),
        }
    }

    /// Lower and upper end; infinite where nothing is known.
    pub(crate) fn interval(&self) -> (f64, f64) {
        match self {
            Self::Bounded(bounded) => bounded.interval(),
            Self::Asymptotic(asymptotic) => asymptotic.interval(),
        }
    }
}

/// Empirical Bernstein with predictable plug-in: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
/// betting" (2023), theorem 2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounded {
    range: Range,
    /// `ln(2 / alpha)`.
    ln_needed: f64,
    count: f64,
    /// Sum of the values, and of their squared distances from the mean known then; values scaled to 0..=1.
    sum: f64,
    squares: f64,
    /// Sums of the bets, of the bets times the values, and of what they cost.
    bets: f64,
    bet_values: f64,
    cost: f64,
}

/// No more is bet, so that one value cannot take all.
const LARGEST_BET: f64 = 0.5;

impl Bounded {
    fn new(range: Range, alpha: Probability) -> Self {
        let ln_needed = (2.0 / alpha.get()).ln();
        Self { range, ln_needed, count: 0.0, sum: 0.0, squares: 0.0, bets: 0.0, bet_values: 0.0, cost: 0.0 }
    }

    fn add(&mut self, value: f64) {
        let value = (value - self.range.low()) / (self.range.high() - self.range.low());
        let mean_before = (0.5 + self.sum) / (self.count + 1.0);
        let variance_before = (0.25 + self.squares) / (self.count + 1.0);
        self.count += 1.0;
        let bet = (2.0 * self.ln_needed / (variance_before * self.count * self.count.ln_1p())).sqrt().min(LARGEST_BET);
        self.bets += bet;
        self.bet_values += bet * value;
        // 4 (x - mean)^2 times psi(bet) = (-ln(1 - bet) - bet) / 4.
        self.cost += (value - mean_before).powi(2) * (-(-bet).ln_1p() - bet);
        self.sum += value;
        let mean = (0.5 + self.sum) / (self.count + 1.0);
        self.squares += (value - mean).powi(2);
    }

    fn interval(&self) -> (f64, f64) {
        if self.count == 0.0 {
            return (self.range.low(), self.range.high());
        }
        let (middle, half) = (self.bet_values / self.bets, (self.ln_needed + self.cost) / self.bets);
        let unscaled = |value: f64| self.range.low() + value.clamp(0.0, 1.0) * (self.range.high() - self.range.low());
        (unscaled(middle - half), unscaled(middle + half))
    }
}

/// Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences" (2024),
/// theorem 2.2.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asymptotic {
    alpha: f64,
    count: u64,
    mean: f64,
    /// Sum of squared distances from the mean (Welford).
    squares: f64,
}

impl Asymptotic {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    fn interval(&self) -> (f64, f64) {
        if self.count < LEAST_VALUES {
            return (f64::NEG_INFINITY, f64::INFINITY);
        }
        let count = self.count as f64;
        let variance = self.squares / (count - 1.0);
        let ln_alpha = -2.0 * self.alpha.ln();
        // What makes it narrowest at that count; the paper's equation for rho.
        let rho = (ln_alpha + ln_alpha.ln_1p()) / NARROWEST_AT;
        let grown = count * rho + 1.0;
        let half = (variance * 2.0 * grown / (count * count * rho) * (grown.sqrt() / self.alpha).ln()).sqrt();
        (self.mean - half, self.mean + half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_hold_the_mean_and_narrow() {
        let alpha = Probability::new(0.05).expect("a probability");
        for range in [Some(Range::new(0.0, 10.0).expect("a range")), None] {
            let mut sequence = MeanSequence::new(range, alpha);
            let mut width = f64::INFINITY;
            for round in 1..=4000_u32 {
                sequence.add(if round % 2 == 0 { 4.0 } else { 6.0 });
                if [100, 1000, 4000].contains(&round) {
                    let (low, high) = sequence.interval();
                    assert!(low < 5.0 && 5.0 < high && high - low < width, "{range:?}, {round}: {low} to {high}");
                    width = high - low;
                }
            }
            assert!(width < 0.5, "{range:?}: {width}");
        }
    }

    #[test]
    fn nothing_is_known_of_nothing() {
        let alpha = Probability::new(0.05).expect("a probability");
        assert_eq!(MeanSequence::new(None, alpha).interval(), (f64::NEG_INFINITY, f64::INFINITY));
        let range = Range::new(-1.0, 3.0).expect("a range");
        assert_eq!(MeanSequence::new(Some(range), alpha).interval(), (-1.0, 3.0));
    }
}
