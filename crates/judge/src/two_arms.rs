//! Do bad ones come up more often in one arm than in the other? Exact, also where they are rare.
//!
//! Of the `bad` ones of an interval, how many are the new arm's? When the arms are alike and the split did not look at how a
//! request would end, that number is hypergeometric, whatever the rate was and however it changes from one interval to the
//! next: a rate that rises for both at once is no evidence. If the odds of the new arm are `ratio` times as high, it is Fisher's
//! noncentral hypergeometric distribution. Each interval multiplies the stake by the likelihood of the one over that of the other.

use crate::look::MOST_COUNTED;
use crate::mixture::{WORSE, evidence, ln_choose};
use crate::number::Probability;
use crate::rate::Rate;

/// Terms of a sum that are smaller than this part of the largest one do not change it.
const NEGLIGIBLE: f64 = 1e-18;

/// What two arms did in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Pair {
    /// Requests and bad ones of the new arm. Never more bad ones than requests.
    pub(crate) new: (u64, u64),
    /// The same of the arm that it is compared with.
    pub(crate) reference: (u64, u64),
}

/// The evidence that the odds of the new arm are higher.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct TwoArms {
    ratios: [f64; WORSE.len()],
}

impl TwoArms {
    /// Takes an interval.
    ///
    /// Assumes: no count is above [`MOST_COUNTED`], or only because intervals were put together; then it is taken as that many.
    pub(crate) fn add(&mut self, pair: Pair) {
        let bounded = |(requests, bad): (u64, u64)| (requests.min(MOST_COUNTED), bad.min(MOST_COUNTED));
        let pair = Pair { new: bounded(pair.new), reference: bounded(pair.reference) };
        let bad = pair.new.1 + pair.reference.1;
        let is_silent = bad == 0 || pair.new.0 == 0 || pair.reference.0 == 0;
        if is_silent {
            return;
        }
        for (sum, (ratio, _)) in self.ratios.iter_mut().zip(WORSE) {
            *sum += ln_ratio(pair, ratio);
        }
    }

    /// Takes requests of the new arm that nobody stands beside: the bets go on, on its rate being above `limit`.
    ///
    /// Assumes: `limit` is no less than the rate of the arm that it was compared with so far, but for a chance that is paid for
    /// elsewhere; and none of the other arm's requests is taken any more.
    pub(crate) fn add_alone(&mut self, new: Rate, limit: Probability) {
        for (sum, (ratio, _)) in self.ratios.iter_mut().zip(WORSE) {
            *sum += new.ln_ratio_above(limit, ratio);
        }
    }

    /// The logarithm of the stake that 1 has become.
    pub(crate) fn evidence(&self) -> f64 {
        evidence(self.ratios.iter().copied())
    }
}

/// The logarithm of the likelihood of `pair`, given its bad ones, at this odds ratio over that at 1.
fn ln_ratio(pair: Pair, ratio: f64) -> f64 {
    let (new, reference) = (pair.new.0, pair.reference.0);
    let bad = pair.new.1 + pair.reference.1;
    let (least, most) = (bad.saturating_sub(reference), bad.min(new));
    if least == most {
        return 0.0;
    }
    // How many times as likely one more is than `at`.
    let step = |at: u64| {
        ratio * ((new - at) as f64 / (at + 1) as f64) * ((bad - at) as f64 / (reference + at + 1 - bad) as f64)
    };
    let (mut low, mut high) = (least, most);
    while low < high {
        let middle = low + (high - low) / 2;
        if step(middle) >= 1.0 {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let likeliest = low;
    let mut sum = 1.0;
    let mut term = 1.0;
    for at in likeliest..most {
        term *= step(at);
        sum += term;
        if term < NEGLIGIBLE * sum {
            break;
        }
    }
    term = 1.0;
    for at in (least..likeliest).rev() {
        term /= step(at);
        sum += term;
        if term < NEGLIGIBLE * sum {
            break;
        }
    }
    let ln_ways = ln_choose(new, likeliest) + ln_choose(reference, bad - likeliest) - ln_choose(new + reference, bad);
    (pair.new.1 as f64 - likeliest as f64) * ratio.ln() - ln_ways - sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of the likelihood ratio under "alike" is 1 in every interval: that is what the promise rests on.
    #[test]
    fn nothing_is_won_on_average_where_the_arms_are_alike() {
        for (new, reference, bad) in [(1, 1, 1), (5, 5, 3), (40, 400, 7), (300, 20, 25), (1000, 1000, 900), (7, 3, 9)] {
            for (ratio, _) in WORSE {
                let mut mean = 0.0;
                let least = u64::saturating_sub(bad, reference);
                for of_new in least..=bad.min(new) {
                    let pair = Pair { new: (new, of_new), reference: (reference, bad - of_new) };
                    let ln_alike =
                        ln_choose(new, of_new) + ln_choose(reference, bad - of_new) - ln_choose(new + reference, bad);
                    mean += (ln_alike + ln_ratio(pair, ratio)).exp();
                }
                assert!((mean - 1.0).abs() < 1e-8, "{new} {reference} {bad} at {ratio}: {mean}");
            }
        }
    }

    #[test]
    fn one_bad_request_of_one_each_nearly_doubles_the_stake() {
        let pair = Pair { new: (1, 1), reference: (1, 0) };
        assert!((ln_ratio(pair, 3.0) - (2.0_f64 * 0.75).ln()).abs() < 1e-12);
    }

    #[test]
    fn intervals_that_say_nothing_leave_the_stake_as_it_is() {
        let mut arms = TwoArms::default();
        for pair in [
            Pair { new: (100, 0), reference: (100, 0) },
            Pair { new: (100, 100), reference: (50, 50) },
            Pair { new: (0, 0), reference: (9, 4) },
            Pair { new: (9, 4), reference: (0, 0) },
        ] {
            arms.add(pair);
            assert!(arms.evidence().abs() < 1e-9, "{pair:?}: {}", arms.evidence());
        }
    }

    #[test]
    fn large_counts_are_still_judged() {
        let mut arms = TwoArms::default();
        arms.add(Pair { new: (u64::MAX, u64::MAX / 2), reference: (u64::MAX, u64::MAX / 2) });
        assert!(arms.evidence().is_finite());
        let mut arms = TwoArms::default();
        arms.add(Pair { new: (50_000_000, 500_000), reference: (50_000_000, 500_000) });
        assert!(arms.evidence() < 0.0 && arms.evidence().is_finite());
        arms.add(Pair { new: (50_000_000, 50_000_000), reference: (50_000_000, 0) });
        assert!(arms.evidence() > 1000.0);
    }
}
