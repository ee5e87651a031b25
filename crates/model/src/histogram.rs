//! Latencies, counted in buckets that are the same for everyone and for ever: what was journaled can always be merged.

use serde::{Deserialize, Serialize};

/// Buckets to an octave: a bucket is at most 1/64 (1.6 %) of its value wide, so a value told by its middle is at most 0.8 % off.
const PER_OCTAVE: u64 = 64;
const OCTAVE_BITS: u32 = PER_OCTAVE.ilog2();
/// The last bucket holds everything from 2^40 microseconds (about 12 days) on.
const LAST: u16 = ((40 - OCTAVE_BITS as u16 + 1) * PER_OCTAVE as u16) + PER_OCTAVE as u16 - 1;

/// How many buckets there are: a dense array of counts has so many places.
pub const BUCKETS: usize = LAST as usize + 1;

/// How often each latency was seen, in microseconds.
///
/// Below 128 us a bucket is one microsecond; above it there are 64 buckets to a doubling.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(u16, u64)>", into = "Vec<(u16, u64)>")]
pub struct Histogram {
    /// Bucket and count, rising; none is zero.
    counts: Vec<(u16, u64)>,
}

impl From<Vec<(u16, u64)>> for Histogram {
    /// Of buckets and counts in any order; as they are told, they are taken as they are.
    fn from(counts: Vec<(u16, u64)>) -> Self {
        let is_told = counts.is_sorted_by(|(before, _), (after, _)| before < after)
            && counts.iter().all(|(bucket, count)| *bucket <= LAST && *count > 0);
        if is_told {
            return Self { counts };
        }
        let mut histogram = Self::default();
        counts.into_iter().filter(|(_, count)| *count > 0).for_each(|(bucket, count)| histogram.add(bucket, count));
        histogram
    }
}

impl From<Histogram> for Vec<(u16, u64)> {
    fn from(histogram: Histogram) -> Self {
        histogram.counts
    }
}

impl Histogram {
    /// Counts one latency.
    pub fn record(&mut self, micros: u64) {
        self.record_many(micros, 1);
    }

    /// Counts one latency `count` times.
    pub fn record_many(&mut self, micros: u64, count: u64) {
        if count > 0 {
            self.add(bucket(micros), count);
        }
    }

    /// Adds what another has counted. Counts stop at the largest number instead of wrapping.
    pub fn merge(&mut self, other: &Self) {
        for &(bucket, count) in &other.counts {
            self.add(bucket, count);
        }
    }

    /// What was counted since `earlier`, a reading of the same histogram; nothing where it began anew meanwhile.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let mut rest = self.clone();
        for &(bucket, count) in &earlier.counts {
            let at = rest.counts.binary_search_by_key(&bucket, |(other, _)| *other).ok()?;
            rest.counts[at].1 = rest.counts[at].1.checked_sub(count)?;
        }
        rest.counts.retain(|(_, count)| *count > 0);
        Some(rest)
    }

    /// Buckets and counts, rising; none is zero.
    #[must_use]
    pub fn counts(&self) -> &[(u16, u64)] {
        &self.counts
    }

    /// How many latencies were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// How many of them lie in buckets above the one of `micros`.
    #[must_use]
    pub fn above(&self, micros: u64) -> u64 {
        self.above_bucket(bucket(micros))
    }

    /// The latency below which the share `quantile` of them lies, as the middle of its bucket; `None` of nothing.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        self.quantile_bucket(quantile).map(middle)
    }

    /// The lowest bucket with at most the share `1 - quantile` above it.
    #[must_use]
    pub fn quantile_bucket(&self, quantile: f64) -> Option<u16> {
        let total = self.total();
        // The smallest epsilon that keeps 0.99 of 100 at one above, whatever 1 - 0.99 is in binary.
        let allowed = (1.0 - quantile) * total as f64 * (1.0 + 1e-12);
        self.lowest_with_at_most(allowed)
    }

    /// The lowest bucket with at most `allowed` counts above it; `None` of nothing.
    #[must_use]
    pub fn lowest_with_at_most(&self, allowed: f64) -> Option<u16> {
        let mut above = 0_u64;
        let mut lowest = self.counts.last()?.0;
        for &(bucket, count) in self.counts.iter().rev() {
            if above as f64 > allowed {
                break;
            }
            lowest = bucket;
            above = above.saturating_add(count);
        }
        Some(lowest)
    }

    /// How many lie in buckets above this one.
    #[must_use]
    pub fn above_bucket(&self, bucket: u16) -> u64 {
        let from = self.counts.partition_point(|(other, _)| *other <= bucket);
        self.counts[from..].iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    fn add(&mut self, bucket: u16, count: u64) {
        // What was read back from a journal may name a bucket that there is not.
        let bucket = bucket.min(LAST);
        match self.counts.binary_search_by_key(&bucket, |(other, _)| *other) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(count),
            Err(at) => self.counts.insert(at, (bucket, count)),
        }
    }
}

/// The bucket of a latency in microseconds.
#[must_use]
pub fn bucket(micros: u64) -> u16 {
    if micros < PER_OCTAVE {
        return micros as u16;
    }
    let shift = micros.ilog2() - OCTAVE_BITS;
    let index = u64::from(shift) * PER_OCTAVE + (micros >> shift);
    index.min(u64::from(LAST)) as u16
}

/// The lowest latency of a bucket, in microseconds.
#[must_use]
pub fn lower_edge(bucket: u16) -> f64 {
    let index = u64::from(bucket);
    if index < 2 * PER_OCTAVE {
        return index as f64;
    }
    let shift = index / PER_OCTAVE - 1;
    ((index % PER_OCTAVE + PER_OCTAVE) << shift) as f64
}

/// The middle of a bucket, in microseconds: what its latencies are told as.
#[must_use]
pub fn middle(bucket: u16) -> f64 {
    (lower_edge(bucket) + lower_edge(bucket + 1) - 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_lies_between_the_edges_of_its_bucket() {
        for micros in (0..4000).chain([65_535, 65_536, 1_000_000, 123_456_789, (1 << 40) - 1]) {
            let bucket = bucket(micros);
            let (low, high) = (lower_edge(bucket), lower_edge(bucket + 1));
            assert!(low <= micros as f64 && (micros as f64) < high, "{micros} in {bucket}: {low} to {high}");
            assert!(high - low <= (low / 64.0).max(1.0), "{bucket} is too wide");
        }
        assert_eq!(bucket(u64::MAX), LAST);
    }

    #[test]
    fn quantiles_are_within_the_error_that_is_promised() {
        let mut histogram = Histogram::default();
        (1..=100_000).for_each(|micros| histogram.record(micros));
        for (quantile, exact) in [(0.5, 50_000.0), (0.9, 90_000.0), (0.99, 99_000.0), (0.999, 99_900.0)] {
            let found = histogram.quantile(quantile).expect("there are counts");
            assert!((found / exact - 1.0).abs() < 0.01, "{quantile}: {found}");
        }
    }

    #[test]
    fn nothing_has_no_quantile_and_one_value_has_them_all() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.record(100);
        assert_eq!((histogram.quantile(0.01), histogram.quantile(0.999)), (Some(100.0), Some(100.0)));
        assert_eq!((histogram.above(99), histogram.above(100)), (1, 0));
    }

    #[test]
    fn what_is_read_is_put_in_order() {
        let read = Histogram::from(vec![(70, 2), (3, 0), (9, 1), (70, 1), (u16::MAX, 1)]);
        assert_eq!((read.total(), read.above(9), read.above(70)), (5, 4, 1));
        for (told, is_read_as) in [
            (vec![(3, 1), (70, 3)], vec![(3, 1), (70, 3)]),
            (vec![(3, 1), (70, 2), (70, 1)], vec![(3, 1), (70, 3)]),
            (vec![(3, 1), (70, 0)], vec![(3, 1)]),
            (vec![(3, 1), (LAST + 1, 2)], vec![(3, 1), (LAST, 2)]),
        ] {
            assert_eq!(Histogram::from(told).counts(), is_read_as);
        }
    }

    #[test]
    fn what_came_since_an_earlier_reading_is_told_and_a_new_beginning_is_noticed() {
        let earlier = Histogram::from(vec![(3, 2), (9, 1)]);
        let later = Histogram::from(vec![(3, 2), (9, 4), (70, 1)]);
        assert_eq!(later.since(&earlier), Some(Histogram::from(vec![(9, 3), (70, 1)])));
        assert_eq!(later.since(&later), Some(Histogram::default()));
        assert_eq!(earlier.since(&later), None);
    }

    #[test]
    fn merging_is_counting_together_and_never_wraps() {
        let (mut left, mut right, mut both) = (Histogram::default(), Histogram::default(), Histogram::default());
        for micros in [5, 900, 900, 70_000] {
            left.record(micros);
            both.record(micros);
        }
        for micros in [6, 900, 1_000_000] {
            right.record(micros);
            both.record(micros);
        }
        left.merge(&right);
        assert_eq!(left, both);
        left.record_many(5, u64::MAX);
        left.record_many(6, u64::MAX);
        assert_eq!(left.total(), u64::MAX);
        assert_eq!(left.above(900), 2);
    }
}
