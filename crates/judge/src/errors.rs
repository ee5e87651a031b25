//! Errors: more than the reference has, or more than a limit allows.

use crate::clients::Clients;
use crate::look::{Look, Unfit};
use crate::number::Probability;
use crate::rate::Rate;
use crate::reading::Reading;
use crate::rule::Rule;
use crate::two_arms::{Pair, TwoArms};
use crate::verdict::Interval;

/// Errors of two arms.
///
/// A reference that is a past ends. Then the new arm's rate is bet on alone, against the upper end of the reference's interval;
/// what of the reference should come later is not taken any more, so the limit of the bets stays what it was.
#[derive(Debug, Clone, Default)]
pub(crate) struct ErrorsWorse {
    arms: TwoArms,
    new: Rate,
    reference: Rate,
    /// Intervals in which one of the arms had no request, put together with those that follow.
    waiting: Pair,
    /// What a past had been before this was begun. It says nothing of the bets on both arms, and all of it of where the rate lies.
    earlier: Rate,
    /// Since the reference has ended: the upper end of its interval.
    limit: Option<f64>,
    clients: Clients,
}

impl ErrorsWorse {
    /// The same begun anew: nothing is known but what the past was.
    pub(crate) fn anew(&self) -> Self {
        let mut earlier = self.earlier;
        earlier.add((self.reference.requests, self.reference.bad));
        Self { earlier, ..Self::default() }
    }

    pub(crate) fn take(&mut self, look: &Look, rule: &Rule) -> Result<(), Unfit> {
        let (counts, reference) = look.pair_or_end(rule.past)?;
        let new = (counts.requests, counts.errors);
        self.new.add(new);
        self.clients.take(counts);
        let add = |sum: (u64, u64), more: (u64, u64)| (sum.0.saturating_add(more.0), sum.1.saturating_add(more.1));
        self.waiting.new = add(self.waiting.new, new);
        match reference.filter(|_| self.limit.is_none()) {
            Some(reference) => {
                let reference = (reference.requests, reference.errors);
                self.reference.add(reference);
                self.waiting.reference = add(self.waiting.reference, reference);
                // Looks only at how many there were, not at how they ended: so the bet stays fair.
                if self.waiting.new.0 > 0 && self.waiting.reference.0 > 0 {
                    self.arms.add(std::mem::take(&mut self.waiting));
                }
            }
            None => self.bet_alone(rule),
        }
        Ok(())
    }

    fn bet_alone(&mut self, rule: &Rule) {
        let limit = self.limit.unwrap_or_else(|| {
            let earlier = std::mem::take(&mut self.earlier);
            self.reference.add((earlier.requests, earlier.bad));
            self.reference.interval(rule.alpha_of_the_past()).1
        });
        self.limit = Some(limit);
        let (requests, bad) = std::mem::take(&mut self.waiting).new;
        // Of a past of which nothing is known, the interval holds every rate: nothing can be above it.
        if let Ok(limit) = Probability::new(limit) {
            self.arms.add_alone(Rate { requests, bad }, limit);
        }
    }

    pub(crate) fn reading(&self, rule: &Rule, margin: Probability) -> Reading {
        let each = rule.miss.divided(2.0);
        let ((new_low, new_high), (low, high)) = (self.new.interval(each), self.reference.interval(each));
        let interval = Interval { low: Some(new_low - high), high: Some(new_high - low) };
        let (new, reference) = (self.new.estimate(), self.reference.estimate());
        let effect = new.zip(reference).map(|(new, reference)| new - reference);
        let evidence = self.arms.evidence();
        let others = self.clients.rate_of_the_others().zip(reference).map(|(others, reference)| others - reference);
        Reading {
            seen: (self.new.requests, self.reference.requests),
            has_reference: true,
            new,
            reference,
            effect,
            interval,
            evidence: Some(evidence),
            is_measured_bad: effect.is_some_and(|effect| effect >= margin.get()),
            is_proven_worse: evidence >= -rule.alpha_of_bets().get().ln(),
            is_ruled_out: new_high - low < margin.get(),
            are_clients_too_few: self.clients.are_too_few(rule.clients),
            is_good_by_one_client: rule.others_too && others.is_some_and(|others| others >= margin.get()),
            is_past_used_up: self.limit.is_some(),
        }
    }
}

/// The share of bad ones of one arm, against the largest that is allowed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ErrorsAbove {
    rate: Rate,
    clients: Clients,
}

impl ErrorsAbove {
    pub(crate) fn take(&mut self, look: &Look) -> Result<(), Unfit> {
        let counts = look.alone()?;
        self.rate.add((counts.requests, counts.errors));
        self.clients.take(counts);
        Ok(())
    }

    pub(crate) fn reading(&self, rule: &Rule, limit: Probability) -> Reading {
        let others = self.clients.rate_of_the_others();
        Reading {
            are_clients_too_few: self.clients.are_too_few(rule.clients),
            is_good_by_one_client: rule.others_too && others.is_some_and(|others| others > limit.get()),
            ..above(self.rate, rule, limit)
        }
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
