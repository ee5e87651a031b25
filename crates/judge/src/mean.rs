//! Where a mean lies at every look at once.

use crate::number::Probability;

/// Before so many values nothing is said of their mean.
pub const LEAST_VALUES: u64 = 30;

/// It is narrowest after so many values: half an hour of one every fifteen seconds.
const NARROWEST_AT: f64 = 120.0;

/// A confidence sequence of the mean of values of any size that come one by one.
///
/// Right in the limit: assumes that the values are independent, that their mean stays the same, and that after [`LEAST_VALUES`] it
/// is nearly normal. Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences" (2024),
/// theorem 2.2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeanSequence {
    alpha: f64,
    count: u64,
    mean: f64,
    /// Sum of squared distances from the mean (Welford).
    squares: f64,
}

impl MeanSequence {
    pub(crate) fn new(alpha: Probability) -> Self {
        Self { alpha: alpha.get(), count: 0, mean: 0.0, squares: 0.0 }
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// Lower and upper end; infinite where nothing is known.
    pub(crate) fn interval(&self) -> (f64, f64) {
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
    fn it_holds_the_mean_and_narrows() {
        let mut sequence = MeanSequence::new(Probability::new(0.05).expect("a probability"));
        let mut width = f64::INFINITY;
        for round in 1..=4000_u32 {
            sequence.add(if round % 2 == 0 { 4.0 } else { 6.0 });
            if [100, 1000, 4000].contains(&round) {
                let (low, high) = sequence.interval();
                assert!(low < 5.0 && 5.0 < high && high - low < width, "{round}: {low} to {high}");
                width = high - low;
            }
        }
        assert!(width < 0.5, "{width}");
    }

    #[test]
    fn nothing_is_known_of_nothing() {
        let alpha = Probability::new(0.05).expect("a probability");
        assert_eq!(MeanSequence::new(alpha).interval(), (f64::NEG_INFINITY, f64::INFINITY));
    }
}
