//! Is the split as it was set? One that is not makes every comparison of its arms doubtful.

use crate::look::{Look, Unfit};
use crate::number::Probability;
use crate::rate::Rate;
use crate::reading::Reading;
use crate::rule::{Rule, SplitBy};
use crate::verdict::Interval;

/// How many of all went to the new arm.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SplitOff {
    new: Rate,
}

impl SplitOff {
    pub(crate) fn take(&mut self, look: &Look, by: SplitBy) -> Result<(), Unfit> {
        let (new, reference) = look.pair()?;
        let (new, reference) = match by {
            SplitBy::Clients => (new.clients, reference.clients),
            SplitBy::Requests => (new.requests, reference.requests),
        };
        self.new.add((new.saturating_add(reference), new));
        Ok(())
    }

    pub(crate) fn reading(&self, rule: &Rule, share: Probability, tolerance: Probability) -> Reading {
        let (low, high) = self.new.interval(rule.miss);
        let evidence = self.new.evidence_against(share.get());
        let value = self.new.estimate();
        let effect = value.map(|value| value - share.get());
        let interval = Interval { low: Some(low - share.get()), high: Some(high - share.get()) };
        Reading {
            seen: (self.new.bad, self.new.requests - self.new.bad),
            has_reference: true,
            new: value,
            reference: None,
            effect,
            interval,
            evidence: Some(evidence),
            is_measured_bad: effect.is_some_and(|effect| effect.abs() >= tolerance.get()),
            is_proven_worse: evidence >= -rule.alpha.get().ln(),
            is_ruled_out: low - share.get() > -tolerance.get() && high - share.get() < tolerance.get(),
            ..Reading::default()
        }
    }
}
