//! Plain numbers, of whatever source: their mean, or each of them against a limit.

use crate::look::{Look, Unfit};
use crate::mean::MeanSequence;
use crate::number::Finite;
use crate::reading::Reading;
use crate::rule::{Rule, Worse};
use crate::verdict::Interval;

/// The mean of values.
#[derive(Debug, Clone)]
pub(crate) struct Mean {
    /// At the rule's alpha, for a fail; at its miss, for a pass.
    for_fail: MeanSequence,
    for_pass: MeanSequence,
    count: u64,
    mean: f64,
}

impl Mean {
    pub(crate) fn new(rule: &Rule) -> Self {
        let (for_fail, for_pass) = (MeanSequence::new(rule.alpha), MeanSequence::new(rule.miss));
        Self { for_fail, for_pass, count: 0, mean: 0.0 }
    }

    pub(crate) fn take(&mut self, look: &Look) -> Result<(), Unfit> {
        let value = look.value_seen()?;
        self.for_fail.add(value);
        self.for_pass.add(value);
        self.count += 1;
        self.mean += (value - self.mean) / self.count as f64;
        Ok(())
    }

    pub(crate) fn reading(&self, worse: Worse, limit: Finite) -> Reading {
        let has_any = self.count > 0;
        let limit = worse.signed(limit.get());
        // Both so that higher is worse.
        let turned = |(low, high): (f64, f64)| match worse {
            Worse::Higher => (low, high),
            Worse::Lower => (-high, -low),
        };
        let (low, _) = turned(self.for_fail.interval());
        let (_, high) = turned(self.for_pass.interval());
        let seen = self.for_pass.interval();
        let open = |end: f64| end.is_finite().then_some(end);
        let mean = has_any.then_some(self.mean);
        Reading {
            seen: (self.count, 0),
            new: mean,
            effect: mean,
            interval: Interval { low: open(seen.0), high: open(seen.1) },
            is_measured_bad: has_any && worse.signed(self.mean) > limit,
            is_proven_worse: has_any && low > limit,
            is_ruled_out: has_any && high < limit,
            ..Reading::default()
        }
    }
}

/// How many values are beyond a limit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Each {
    count: u64,
    beyond: u64,
    last: Option<f64>,
}

impl Each {
    pub(crate) fn take(&mut self, look: &Look, worse: Worse, limit: Finite) -> Result<(), Unfit> {
        let value = look.value_seen()?;
        self.count += 1;
        self.beyond += u64::from(worse.signed(value) > worse.signed(limit.get()));
        self.last = Some(value);
        Ok(())
    }

    pub(crate) fn reading(&self, allowed: u32, enough: u32) -> Reading {
        let is_bad = self.beyond > u64::from(allowed);
        Reading {
            seen: (self.count, 0),
            new: self.last,
            effect: (self.count > 0).then_some(self.beyond as f64),
            is_measured_bad: is_bad,
            is_proven_worse: is_bad,
            is_ruled_out: !is_bad && self.count > 0 && self.count >= u64::from(enough),
            ..Reading::default()
        }
    }
}
