//! Where a quantile of latencies lies, at every look at once.
//!
//! A latency is too short to be the quantile when more lie above it than can be, and too long when fewer lie at or above it
//! than must: both are questions about a rate. Only those at the true quantile have to be right, so no price is paid for
//! asking about every bucket. Latencies that all lie in one bucket are no special case: the quantile then is that bucket.

use switchover_model::histogram::{Histogram, lower_edge};

use crate::number::Probability;
use crate::rate::Rate;

/// The shortest and the longest latency that the quantile may be, in microseconds; an end that is not known is open.
pub(crate) fn interval(latency: &Histogram, quantile: Probability, alpha: Probability) -> (f64, Option<f64>) {
    let requests = latency.total();
    let above = 1.0 - quantile.get();
    let needed = -alpha.divided(2.0).get().ln();
    let is_out = |bad: u64| Rate { requests, bad }.evidence_against(above) >= needed;
    let expected = (above * requests as f64) as u64;
    // The fewest that are too many above it, and the fewest that are enough at or above it.
    let too_many = first(expected, requests.saturating_add(1), |bad| bad > requests || is_out(bad));
    let low = if too_many > requests {
        0.0
    } else {
        latency.lowest_with_at_most(too_many.saturating_sub(1) as f64).map_or(0.0, lower_edge)
    };
    let fewest = first(0, expected, |bad| !is_out(bad));
    // The highest bucket with so many at or above it is the lowest one with fewer than so many above it.
    let high = fewest
        .checked_sub(1)
        .and_then(|fewer| latency.lowest_with_at_most(fewer as f64))
        .map(|bucket| (lower_edge(bucket + 1) - 1.0).max(lower_edge(bucket)));
    (low, high)
}

/// The first number of `from..to` for which `is` holds, which from there on it does; `to` where it never does.
fn first(mut from: u64, mut to: u64, is: impl Fn(u64) -> bool) -> u64 {
    while from < to {
        let middle = from + (to - from) / 2;
        if is(middle) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(value: f64) -> Probability {
        Probability::new(value).expect("a probability")
    }

    #[test]
    fn an_interval_holds_the_quantile_and_narrows() {
        let mut width = f64::INFINITY;
        for each in [20, 100, 1000] {
            let mut latency = Histogram::default();
            (1..=100).for_each(|micros| latency.record_many(micros, each));
            let (low, high) = interval(&latency, chance(0.9), chance(0.05));
            let high = high.expect("enough was seen");
            assert!(low <= 90.0 && 90.0 <= high && high - low < width, "{each}: {low} to {high}");
            width = high - low;
        }
    }

    #[test]
    fn one_bucket_is_an_interval_and_too_few_requests_leave_its_end_open() {
        let mut latency = Histogram::default();
        assert_eq!(interval(&latency, chance(0.99), chance(0.05)), (0.0, None));
        latency.record_many(100, 50);
        assert_eq!(interval(&latency, chance(0.99), chance(0.05)), (100.0, None));
        latency.record_many(100, 1950);
        assert_eq!(interval(&latency, chance(0.99), chance(0.05)), (100.0, Some(100.0)));
    }
}
