//! How the false-alarm rate of a release is shared out over all that may raise an alarm in it.
//!
//! By the union bound: whatever the checks have to do with each other, the chance that any of them is wrong is at most the sum
//! of their own. A test that may be looked at any time needs its part once, not once a look.

use std::num::NonZeroU32;

use crate::number::Probability;

/// What a release is allowed when nothing else is said: one false alarm in a thousand releases that are no worse.
#[must_use]
pub fn of_a_release() -> Probability {
    // The one number of this kind that is written by us and not by a user.
    Probability::new(0.001).unwrap_or_else(|_| unreachable!("it is above 0 and below 1"))
}

/// The part of one test, when it is known how many there are: checks times the steps that each is asked in.
#[must_use]
pub fn each(release: Probability, tests: NonZeroU32) -> Probability {
    release.divided(f64::from(tests.get()))
}

/// The part of the `nth` test (from 1) of a row whose end is not known, such as a watch that begins anew every hour.
///
/// `release / (n * (n + 1))`: the parts of any number of tests sum up to less than the whole.
#[must_use]
pub fn nth(release: Probability, nth: NonZeroU32) -> Probability {
    let nth = f64::from(nth.get());
    release.divided(nth * (nth + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("it is not zero")
    }

    #[test]
    fn the_parts_are_never_more_than_the_whole() {
        let release = of_a_release();
        for tests in [1, 3, 7, 50, 4096] {
            let sum: f64 = (0..tests).map(|_| each(release, number(tests)).get()).sum();
            assert!((sum / release.get() - 1.0).abs() < 1e-9, "{tests}: {sum}");
        }
        let sum: f64 = (1..=100_000).map(|n| nth(release, number(n)).get()).sum();
        assert!(sum < release.get() && sum > 0.999 * release.get(), "{sum}");
    }
}
