//! Latency quantiles: longer than the reference's, or above a limit.

use switchover_model::histogram::Histogram;

use crate::errors::above;
use crate::look::{Look, Unfit};
use crate::mixture::ln_sum;
use crate::number::{LatencyMargin, Probability};
use crate::quantile;
use crate::rate::Rate;
use crate::reading::Reading;
use crate::rule::Rule;
use crate::two_arms::{Pair, TwoArms};
use crate::verdict::Interval;

/// Latencies of two arms.
///
/// Slow is what lies beyond the quantile of both arms together, this interval's included: that line does not know which
/// request was whose, so where the arms are alike the slow ones fall to them by chance. It is drawn twice, above its bucket and
/// below it: where many latencies share a bucket, only one of the lines may have something on both sides.
///
/// A reference that is a past ends. Then slow is what lies beyond the upper end of its quantile, of which there may be no more
/// than the quantile leaves; what of the reference should come later is not taken any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct LatencyLonger {
    above: TwoArms,
    from: TwoArms,
    new: Histogram,
    reference: Histogram,
    both: Histogram,
    waiting: (Histogram, Histogram),
    /// What a past had been before this was begun.
    earlier: Histogram,
    has_ended: bool,
    /// Since then: the upper end of its quantile, in microseconds; open where too little was seen.
    limit_micros: Option<f64>,
}

impl LatencyLonger {
    /// The same begun anew: nothing is known but what the past was.
    pub(crate) fn anew(&self) -> Self {
        let mut earlier = self.earlier.clone();
        earlier.merge(&self.reference);
        Self { earlier, ..Self::default() }
    }

    pub(crate) fn take(&mut self, look: &Look, rule: &Rule, quantile: Probability) -> Result<(), Unfit> {
        let (new, reference) = look.pair_or_end(rule.past)?;
        self.new.merge(&new.latency);
        self.waiting.0.merge(&new.latency);
        match reference.filter(|_| !self.has_ended) {
            Some(reference) => {
                self.reference.merge(&reference.latency);
                self.both.merge(&new.latency);
                self.both.merge(&reference.latency);
                self.waiting.1.merge(&reference.latency);
                self.bet(quantile);
            }
            None => self.bet_alone(rule, quantile),
        }
        Ok(())
    }

    fn bet(&mut self, quantile: Probability) {
        let are_both_there = self.waiting.0.total() > 0 && self.waiting.1.total() > 0;
        if are_both_there && let Some(line) = self.both.quantile_bucket(quantile.get()) {
            let (new, reference) = std::mem::take(&mut self.waiting);
            let beyond = |count: fn(&Histogram, u16) -> u64| Pair {
                new: (new.total(), count(&new, line)),
                reference: (reference.total(), count(&reference, line)),
            };
            self.above.add(beyond(Histogram::above_bucket));
            self.from.add(beyond(|latency, line| match line.checked_sub(1) {
                Some(below) => latency.above_bucket(below),
                None => latency.total(),
            }));
        }
    }

    fn bet_alone(&mut self, rule: &Rule, quantile: Probability) {
        if !self.has_ended {
            self.has_ended = true;
            self.reference.merge(&std::mem::take(&mut self.earlier));
            (_, self.limit_micros) = quantile::interval(&self.reference, quantile, rule.alpha_of_the_past());
        }
        let (new, _) = std::mem::take(&mut self.waiting);
        if let (Some(limit), Ok(allowed)) = (self.limit_micros, Probability::new(1.0 - quantile.get())) {
            let slow = Rate { requests: new.total(), bad: new.above(limit as u64) };
            self.above.add_alone(slow, allowed);
            self.from.add_alone(slow, allowed);
        }
    }

    pub(crate) fn reading(&self, rule: &Rule, quantile: Probability, margin: LatencyMargin) -> Reading {
        let each = rule.miss.divided(2.0);
        let (new_low, new_high) = quantile::interval(&self.new, quantile, each);
        let (low, high) = quantile::interval(&self.reference, quantile, each);
        // No time is shorter than the microsecond that it is counted in.
        let longer = |new: f64, reference: f64| new.max(1.0) / reference.max(1.0) - 1.0;
        let interval = Interval {
            low: high.map(|high| longer(new_low, high)),
            high: new_high.filter(|_| low > 0.0 || high.is_some()).map(|new_high| longer(new_high, low)),
        };
        let (new, reference) = (self.new.quantile(quantile.get()), self.reference.quantile(quantile.get()));
        let effect = new.zip(reference).map(|(new, reference)| longer(new, reference));
        let half = -2_f64.ln();
        let evidence = ln_sum(&[half + self.above.evidence(), half + self.from.evidence()]);
        Reading {
            seen: (self.new.total(), self.reference.total()),
            has_reference: true,
            new,
            reference,
            effect,
            interval,
            evidence: Some(evidence),
            is_measured_bad: effect.is_some_and(|effect| effect >= margin.get()),
            is_proven_worse: evidence >= -rule.alpha_of_bets().get().ln(),
            is_ruled_out: interval.high.is_some_and(|high| high < margin.get()),
            is_past_used_up: self.has_ended,
            ..Reading::default()
        }
    }
}

/// Latencies of one arm, against a limit.
#[derive(Debug, Clone, Default)]
pub(crate) struct LatencyAbove {
    latency: Histogram,
}

impl LatencyAbove {
    pub(crate) fn take(&mut self, look: &Look) -> Result<(), Unfit> {
        self.latency.merge(&look.alone()?.latency);
        Ok(())
    }

    pub(crate) fn reading(&self, rule: &Rule, quantile: Probability, limit_micros: u64) -> Reading {
        let rate = Rate { requests: self.latency.total(), bad: self.latency.above(limit_micros) };
        let Ok(allowed) = Probability::new(1.0 - quantile.get()) else { return Reading::default() };
        let (low, high) = quantile::interval(&self.latency, quantile, rule.miss);
        let value = self.latency.quantile(quantile.get());
        Reading { new: value, effect: value, interval: Interval { low: Some(low), high }, ..above(rate, rule, allowed) }
    }
}
