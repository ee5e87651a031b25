//! Errors: more than the reference has, or more than a limit allows.

use crate::look::{Look, Unfit};
use crate::number::Probability;
use crate::rate::Rate;
use crate::reading::Reading;
use crate::rule::Rule;
use crate::two_arms::{Pair, TwoArms};
use crate::verdict::Interval;

/// Errors of two arms.
#[derive(Debug, Clone, Default)]
pub(crate) struct ErrorsWorse {
    arms: TwoArms,
    new: Rate,
    reference: Rate,
    /// Intervals in which one of the arms had no request, put together with those that follow.
    waiting: Pair,
}

impl ErrorsWorse {
    pub(crate) fn take(&mut self, look: &Look) -> Result<(), Unfit> {
        let (new, reference) = look.pair()?;
        let (new, reference) = ((new.requests, new.errors), (reference.requests, reference.errors));
        self.new.add(new);
        self.reference.add(reference);
        let add = |sum: (u64, u64), more: (u64, u64)| (sum.0.saturating_add(more.0), sum.1.saturating_add(more.1));
        self.waiting = Pair { new: add(self.waiting.new, new), reference: add(self.waiting.reference, reference) };
        // Looks only at how many there were, not at how they ended: so the bet stays fair.
        if self.waiting.new.0 > 0 && self.waiting.reference.0 > 0 {
            self.arms.add(std::mem::take(&mut self.waiting));
        }
        Ok(())
    }

    pub(crate) fn reading(&self, rule: &Rule, margin: Probability) -> Reading {
        let each = rule.miss.divided(2.0);
        let ((new_low, new_high), (low, high)) = (self.new.interval(each), self.reference.interval(each));
        let interval = Interval { low: Some(new_low - high), high: Some(new_high - low) };
        let (new, reference) = (self.new.estimate(), self.reference.estimate());
        let effect = new.zip(reference).map(|(new, reference)| new - reference);
        let evidence = self.arms.evidence();
        Reading {
            seen: (self.new.requests, self.reference.requests),
            has_reference: true,
            new,
            reference,
            effect,
            interval,
            evidence: Some(evidence),
            is_measured_bad: effect.is_some_and(|effect| effect >= margin.get()),
            is_proven_worse: evidence >= -rule.alpha.get().ln(),
            is_ruled_out: new_high - low < margin.get(),
        }
    }
}

/// The share of bad ones of one arm, against the largest that is allowed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ErrorsAbove {
    rate: Rate,
}

impl ErrorsAbove {
    pub(crate) fn take(&mut self, look: &Look) -> Result<(), Unfit> {
        let counts = look.alone()?;
        self.rate.add((counts.requests, counts.errors));
        Ok(())
    }

    pub(crate) fn reading(&self, rule: &Rule, limit: Probability) -> Reading {
        above(self.rate, rule, limit)
    }
}

/// What is known of a rate that shall not be above `limit`.
pub(crate) fn above(rate: Rate, rule: &Rule, limit: Probability) -> Reading {
    let (low, high) = rate.interval(rule.miss);
    let evidence = rate.evidence_above(limit);
    let estimate = rate.estimate();
    Reading {
        seen: (rate.requests, 0),
        new: estimate,
        effect: estimate,
        interval: Interval { low: Some(low), high: Some(high) },
        evidence: Some(evidence),
        is_measured_bad: estimate.is_some_and(|estimate| estimate > limit.get()),
        is_proven_worse: evidence >= -rule.alpha.get().ln(),
        is_ruled_out: high < limit.get(),
        ..Reading::default()
    }
}
