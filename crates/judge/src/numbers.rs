//! Plain numbers, of whatever source: their mean, or each of them against a limit.

use crate::look::{Look, Unfit};
use crate::mean::MeanSequence;
use crate::number::{Finite, Range};
use crate::reading::Reading;
use crate::rule::{Against, Rule, Worse};
use crate::verdict::Interval;

/// The mean of values.
///
/// Of values with a reference it is the mean of the differences of each moment: what moves both at once is no evidence.
#[derive(Debug, Clone)]
pub(crate) struct Mean {
    /// At the rule's alpha, for a fail; at its miss, for a pass.
    for_fail: MeanSequence,
    for_pass: MeanSequence,
    count: u64,
    new: f64,
    reference: f64,
}

impl Mean {
    pub(crate) fn new(rule: &Rule, than: Against, range: Option<Range>) -> Self {
        // A difference of two values in a range lies in one that is twice as wide.
        let range = range.map(|range| match than {
            Against::Limit(_) => range,
            Against::Reference(_) => {
                let width = range.high() - range.low();
                Range::new(-width, width).unwrap_or(range)
            }
        });
        let sequence = |alpha| MeanSequence::new(range, alpha);
        Self { for_fail: sequence(rule.alpha), for_pass: sequence(rule.miss), count: 0, new: 0.0, reference: 0.0 }
    }

    pub(crate) fn take(&mut self, look: &Look, than: Against, range: Option<Range>) -> Result<(), Unfit> {
        let (new, reference) = look.values()?;
        let is_out = |value: f64| range.is_some_and(|range| !range.holds(value));
        let value = match (than, reference) {
            (Against::Limit(_), _) if !is_out(new) => new,
            (Against::Reference(_), Some(reference)) if !is_out(new) && !is_out(reference) => new - reference,
            (Against::Reference(_), None) => return Err(Unfit::OtherKind),
            (Against::Limit(_) | Against::Reference(_), _) => return Err(Unfit::NoNumber),
        };
        if !value.is_finite() {
            return Err(Unfit::NoNumber);
        }
        self.for_fail.add(value);
        self.for_pass.add(value);
        self.count += 1;
        self.new += (new - self.new) / self.count as f64;
        self.reference += (reference.unwrap_or(0.0) - self.reference) / self.count as f64;
        Ok(())
    }

    pub(crate) fn reading(&self, worse: Worse, than: Against) -> Reading {
        let has_any = self.count > 0;
        let (is_compared, proven_beyond, matters_from) = match than {
            Against::Limit(limit) => (false, worse.signed(limit.get()), worse.signed(limit.get())),
            Against::Reference(margin) => (true, 0.0, margin.get()),
        };
        // Both so that higher is worse.
        let turned = |(low, high): (f64, f64)| match worse {
            Worse::Higher => (low, high),
            Worse::Lower => (-high, -low),
        };
        let (low, _) = turned(self.for_fail.interval());
        let (_, high) = turned(self.for_pass.interval());
        let effect = if is_compared { self.new - self.reference } else { self.new };
        let seen = self.for_pass.interval();
        let open = |end: f64| end.is_finite().then_some(end);
        let measured = worse.signed(effect);
        Reading {
            seen: (self.count, if is_compared { self.count } else { 0 }),
            has_reference: is_compared,
            new: has_any.then_some(self.new),
            reference: (has_any && is_compared).then_some(self.reference),
            effect: has_any.then_some(effect),
            interval: Interval { low: open(seen.0), high: open(seen.1) },
            evidence: None,
            is_measured_bad: has_any && if is_compared { measured >= matters_from } else { measured > matters_from },
            is_proven_worse: has_any && low > proven_beyond,
            is_ruled_out: has_any && high < matters_from,
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
        let (value, _) = look.values()?;
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
