//! Do more clients of one arm reach a goal than of the other? Clients come and reach it at different times.
//!
//! Whoever reaches it is of the new arm with the chance that the split was set to, when it makes no difference: whenever it came,
//! however long it took, and whatever else was seen of others. So each of them is a fair bet on which arm it is of (the
//! likelihood ratio of a rate that is so many times as high). A test of who is at risk at a time, such as the log-rank test, is no
//! such bet here: it takes those of the last minutes, who are the likeliest to reach it soon, for as many on each side as of all.
//! Where the split was not by chance, the part of all clients that came to the new arm stands in its place: that is near.

use crate::look::{Look, Reached, Unfit};
use crate::mixture::ln_sum;
use crate::number::Probability;
use crate::rate::Rate;
use crate::reading::Reading;
use crate::rule::Rule;
use crate::verdict::Interval;

/// How many times as high the rate may be, and how much of the stake lies on each. Goals move by less than errors do: most lies on
/// what takes thousands of clients to see.
const BETS: [(f64, f64); 9] = [
    (1.02, 0.05),
    (1.05, 0.10),
    (1.1, 0.20),
    (1.2, 0.20),
    (1.4, 0.15),
    (1.8, 0.12),
    (3.0, 0.10),
    (6.0, 0.05),
    (20.0, 0.03),
];

/// Clients of two arms.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReachesMore {
    ratios: [f64; BETS.len()],
    new: Rate,
    reference: Rate,
}

impl ReachesMore {
    /// Takes an interval; `share` is the part of all clients that the new arm was set to get, where it is by chance.
    pub(crate) fn take(&mut self, look: &Look, share: Option<Probability>) -> Result<(), Unfit> {
        let (new, reference) = look.reached()?;
        let add = |known: Rate, more: Reached| Rate {
            requests: known.requests.saturating_add(more.clients),
            bad: known.bad.saturating_add(more.reached),
        };
        let (all_new, all_reference) = (add(self.new, new), add(self.reference, reference));
        if all_new.bad > all_new.requests || all_reference.bad > all_reference.requests {
            return Err(Unfit::Contradiction);
        }
        (self.new, self.reference) = (all_new, all_reference);
        let came = (all_new.requests as f64 + 0.5, all_reference.requests as f64 + 0.5);
        let share = share.map_or(came.0 / (came.0 + came.1), Probability::get);
        for (sum, (ratio, _)) in self.ratios.iter_mut().zip(BETS) {
            // Of those who reach it at a rate that is `ratio` times as high, so many more are the new arm's.
            let all = (ratio - 1.0).mul_add(share, 1.0).ln();
            *sum += new.reached as f64 * (ratio.ln() - all) - reference.reached as f64 * all;
        }
        Ok(())
    }

    /// The logarithm of what a stake of 1 on "more" has become.
    fn evidence(&self) -> f64 {
        let weighted: Vec<f64> = BETS.iter().zip(self.ratios).map(|((_, weight), ratio)| weight.ln() + ratio).collect();
        ln_sum(&weighted)
    }

    pub(crate) fn reading(&self, rule: &Rule, margin: Probability) -> Reading {
        let each = rule.miss.divided(2.0);
        let ((new_low, new_high), (low, high)) = (self.new.interval(each), self.reference.interval(each));
        let (new, reference) = (self.new.estimate(), self.reference.estimate());
        let effect = new.zip(reference).map(|(new, reference)| new - reference);
        let evidence = self.evidence();
        Reading {
            seen: (self.new.requests, self.reference.requests),
            has_reference: true,
            new,
            reference,
            effect,
            interval: Interval { low: Some(new_low - high), high: Some(new_high - low) },
            evidence: Some(evidence),
            is_measured_bad: effect.is_some_and(|effect| effect >= margin.get()),
            is_proven_worse: evidence >= -rule.alpha.get().ln(),
            is_ruled_out: new_high - low < margin.get(),
            are_clients_too_few: false,
            is_good_by_one_client: false,
            is_past_used_up: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_stake_and_no_more_is_bet() {
        assert!((BETS.iter().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(ReachesMore::default().evidence().abs() < 1e-12);
    }
}
