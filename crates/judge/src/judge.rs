//! A question with all its hearings: one from the first look on, and beside it the last ones that were begun anew.
//!
//! What was well for a day dilutes what is wrong since a minute: both the stake and what is measured have to turn. So after each
//! period a hearing begins that knows nothing of what was before. It fails when any of those under way fails. It passes by the one from
//! the first look on alone, so that beginning anew makes no false pass.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use switchover_model::Timestamp;

use crate::budget;
use crate::hearing::Hearing;
use crate::look::Look;
use crate::number::Probability;
use crate::rule::Rule;
use crate::verdict::{Outcome, Verdict};

/// So many that were begun anew are under way: when the newest has just begun, the one before it knows a whole period.
const ANEW_AT_A_TIME: usize = 2;

/// The verdict of `rule` on `looks`, in the order in which they were made.
///
/// Guarantees: the same as a [`Judge`] that was given them one by one; no looks are never a pass.
/// Assumes: the split does not depend on how a request will end.
#[must_use]
pub fn judge(rule: &Rule, looks: &[Look]) -> Verdict {
    let mut judge = Judge::new(rule);
    looks.iter().for_each(|look| judge.take(look));
    judge.verdict()
}

/// A question under way. What it takes does not grow with the number of looks.
#[derive(Debug, Clone)]
pub struct Judge {
    rule: Rule,
    whole: Hearing,
    anew: VecDeque<Hearing>,
    /// How many hearings were begun, the one from the first look on among them.
    begun: NonZeroU32,
    newest_began: Option<Timestamp>,
}

impl Judge {
    /// A question of which nothing is known yet.
    #[must_use]
    pub fn new(rule: &Rule) -> Self {
        let begun = NonZeroU32::MIN;
        let whole = Hearing::new(&Rule { alpha: alpha(rule, begun), ..*rule });
        Self { rule: *rule, whole, anew: VecDeque::new(), begun, newest_began: None }
    }

    /// Takes the next look. One that cannot be used is told in the verdict and changes nothing but the time.
    pub fn take(&mut self, look: &Look) {
        if self.whole.is_after(look) {
            self.begin_anew(look.from);
            self.anew.iter_mut().for_each(|hearing| hearing.take(look));
        }
        self.whole.take(look);
    }

    /// Begins a hearing where one is due. After a fail there is nothing more to find.
    fn begin_anew(&mut self, now: Timestamp) {
        let newest = *self.newest_began.get_or_insert(now);
        let is_due = self.rule.renewed_after().is_some_and(|period| now.since(newest) >= period);
        if !is_due || self.outcome() == Outcome::Fail {
            return;
        }
        self.begun = self.begun.saturating_add(1);
        self.newest_began = Some(now);
        if self.anew.len() >= ANEW_AT_A_TIME {
            self.anew.pop_front();
        }
        let rule = Rule { alpha: alpha(&self.rule, self.begun), wait: None, ..self.rule };
        self.anew.push_back(self.whole.anew(&rule));
    }

    /// The hearing that failed first.
    fn failed(&self) -> Option<&Hearing> {
        let all = std::iter::once(&self.whole).chain(&self.anew);
        all.filter(|hearing| hearing.outcome() == Outcome::Fail).min_by_key(|hearing| hearing.decided())
    }

    /// The answer so far, without its numbers.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.failed().unwrap_or(&self.whole).outcome()
    }

    /// The verdict so far: the numbers are those from the first look on, or those on which it failed.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let told = self.failed().unwrap_or(&self.whole);
        let mut verdict = Verdict { rule: self.rule.words(), ..told.verdict() };
        if let (false, Some(began), Some(decided)) = (std::ptr::eq(told, &self.whole), told.began(), told.decided()) {
            verdict.since = Some(began);
            verdict.why = format!("in the last {} {}", decided.since(began).rounded(), verdict.why);
        }
        verdict
    }
}

/// The part of the rule's alpha that the `nth` hearing has: all of it where there is only one.
fn alpha(rule: &Rule, nth: NonZeroU32) -> Probability {
    match rule.renewed_after() {
        Some(_) => budget::nth(rule.alpha, nth),
        None => rule.alpha,
    }
}
