//! One look after another, until there is a verdict.

use switchover_model::Timestamp;

use crate::errors::{ErrorsAbove, ErrorsWorse};
use crate::latency::{LatencyAbove, LatencyLonger};
use crate::look::{Look, Unfit};
use crate::numbers::{Each, Mean};
use crate::reach::ReachesMore;
use crate::reading::Reading;
use crate::rule::{Question, Rule, Then};
use crate::split::SplitOff;
use crate::verdict::{Course, Evidence, Outcome, Point, Unused, Verdict};

/// So many looks that were not used are told one by one; of the rest only the number.
const UNUSED_TOLD: usize = 16;

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
    gathered: Gathered,
    /// What the looks so far say.
    reading: Reading,
    began: Option<Timestamp>,
    ended: Option<Timestamp>,
    looks: u64,
    not_used: u64,
    unused: Vec<Unused>,
    course: Course,
    decided: Option<(Outcome, Timestamp, String)>,
}

/// What each kind of question gathers.
#[derive(Debug, Clone)]
enum Gathered {
    ErrorsWorse(Box<ErrorsWorse>),
    ErrorsAbove(ErrorsAbove),
    LatencyLonger(Box<LatencyLonger>),
    LatencyAbove(LatencyAbove),
    ReachesMore(Box<ReachesMore>),
    SplitOff(SplitOff),
    Mean(Box<Mean>),
    Each(Each),
}

impl Judge {
    /// A question of which nothing is known yet.
    #[must_use]
    pub fn new(rule: &Rule) -> Self {
        let gathered = match rule.question {
            Question::ErrorsWorse { .. } => Gathered::ErrorsWorse(Box::default()),
            Question::ErrorsAbove { .. } => Gathered::ErrorsAbove(ErrorsAbove::default()),
            Question::LatencyLonger { .. } => Gathered::LatencyLonger(Box::default()),
            Question::LatencyAbove { .. } => Gathered::LatencyAbove(LatencyAbove::default()),
            Question::ReachesMore { .. } => Gathered::ReachesMore(Box::default()),
            Question::SplitOff { .. } => Gathered::SplitOff(SplitOff::default()),
            Question::Mean { worse: _, than, range } => Gathered::Mean(Box::new(Mean::new(rule, than, range))),
            Question::Each { .. } => Gathered::Each(Each::default()),
        };
        let mut judge = Self {
            rule: *rule,
            gathered,
            reading: Reading::default(),
            began: None,
            ended: None,
            looks: 0,
            not_used: 0,
            unused: Vec::new(),
            course: Course::default(),
            decided: None,
        };
        judge.reading = judge.read();
        judge
    }

    /// Takes the next look. One that cannot be used is told in the verdict and changes nothing but the time.
    pub fn take(&mut self, look: &Look) {
        let is_after = self.ended.is_none_or(|ended| ended <= look.from) && look.from <= look.until;
        let taken = if is_after { self.gather(look) } else { Err(Unfit::Overlaps) };
        if is_after {
            self.began = self.began.or(Some(look.from));
            self.ended = Some(look.until);
        }
        match taken {
            Ok(()) => self.looks += 1,
            Err(why) => {
                self.not_used += 1;
                if self.unused.len() < UNUSED_TOLD {
                    self.unused.push(Unused { until: look.until, why });
                }
                if !is_after {
                    return;
                }
            }
        }
        let reading = self.read();
        self.reading = reading;
        self.course.add(Point { at: look.until, effect: reading.effect, interval: reading.interval });
        self.decide(&reading, look.until);
    }

    fn gather(&mut self, look: &Look) -> Result<(), Unfit> {
        match (&mut self.gathered, self.rule.question) {
            (Gathered::LatencyLonger(latency), Question::LatencyLonger { quantile, .. }) => {
                latency.take(look, quantile)
            }
            (Gathered::SplitOff(split), Question::SplitOff { by, .. }) => split.take(look, by),
            (Gathered::Mean(mean), Question::Mean { than, range, .. }) => mean.take(look, than, range),
            (Gathered::Each(each), Question::Each { worse, limit, .. }) => each.take(look, worse, limit),
            (Gathered::ErrorsWorse(errors), _) => errors.take(look),
            (Gathered::ErrorsAbove(errors), _) => errors.take(look),
            (Gathered::ReachesMore(clients), Question::ReachesMore { share, .. }) => clients.take(look, share),
            (Gathered::LatencyAbove(latency), _) => latency.take(look),
            (
                Gathered::LatencyLonger(_)
                | Gathered::ReachesMore(_)
                | Gathered::SplitOff(_)
                | Gathered::Mean(_)
                | Gathered::Each(_),
                _,
            ) => {
                unreachable!("what is gathered is of the question that it was made for")
            }
        }
    }

    fn read(&self) -> Reading {
        let rule = &self.rule;
        match (&self.gathered, rule.question) {
            (Gathered::ErrorsWorse(errors), Question::ErrorsWorse { margin }) => errors.reading(rule, margin),
            (Gathered::ErrorsAbove(errors), Question::ErrorsAbove { limit }) => errors.reading(rule, limit),
            (Gathered::LatencyLonger(latency), Question::LatencyLonger { quantile, margin }) => {
                latency.reading(rule, quantile, margin)
            }
            (Gathered::LatencyAbove(latency), Question::LatencyAbove { quantile, limit_micros }) => {
                latency.reading(rule, quantile, limit_micros)
            }
            (Gathered::ReachesMore(clients), Question::ReachesMore { margin, .. }) => clients.reading(rule, margin),
            (Gathered::SplitOff(split), Question::SplitOff { share, tolerance, .. }) => {
                split.reading(rule, share, tolerance)
            }
            (Gathered::Mean(mean), Question::Mean { worse, than, .. }) => mean.reading(worse, than),
            (Gathered::Each(each), Question::Each { allowed, enough, .. }) => each.reading(allowed, enough),
            (
                Gathered::ErrorsWorse(_)
                | Gathered::ErrorsAbove(_)
                | Gathered::LatencyLonger(_)
                | Gathered::LatencyAbove(_)
                | Gathered::ReachesMore(_)
                | Gathered::SplitOff(_)
                | Gathered::Mean(_)
                | Gathered::Each(_),
                _,
            ) => unreachable!("what is gathered is of the question that it was made for"),
        }
    }

    fn decide(&mut self, reading: &Reading, at: Timestamp) {
        let before = self.decided.as_ref().map(|(outcome, ..)| *outcome);
        if before == Some(Outcome::Fail) {
            return;
        }
        let decided = if reading.seen == (0, 0) {
            None
        } else if reading.is_proven_worse && reading.is_measured_bad {
            Some((Outcome::Fail, "it is proven to be worse, and what was measured matters"))
        } else if before.is_some() {
            None
        } else if reading.is_ruled_out && reading.fewest() > 0 {
            Some((Outcome::Pass, "what would matter is ruled out"))
        } else if self.passes_at_the_end(reading) {
            Some((Outcome::Pass, "the wait is over, enough was seen, and what was measured does not matter"))
        } else {
            None
        };
        if let Some((outcome, why)) = decided {
            self.decided = Some((outcome, at, why.to_owned()));
        }
    }

    fn is_over(&self) -> bool {
        let waited = self.began.zip(self.ended).map(|(began, ended)| ended.since(began));
        self.rule.wait.zip(waited).is_some_and(|(wait, waited)| waited >= wait.longest)
    }

    fn passes_at_the_end(&self, reading: &Reading) -> bool {
        self.rule.wait.is_some_and(|wait| {
            wait.then == Then::Pass
                && self.is_over()
                && reading.effect.is_some()
                && !reading.is_measured_bad
                && reading.fewest() >= wait.enough.max(1)
        })
    }

    /// The answer so far, without its numbers.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.decided.as_ref().map_or(Outcome::Inconclusive, |(outcome, ..)| *outcome)
    }

    /// The verdict so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let reading = self.reading;
        let (outcome, decided, why) = match &self.decided {
            Some((outcome, at, why)) => (*outcome, Some(*at), why.clone()),
            None => (Outcome::Inconclusive, None, self.why_not(&reading)),
        };
        let ten = std::f64::consts::LN_10;
        Verdict {
            outcome,
            why,
            rule: self.rule.words(),
            decided,
            is_over: self.is_over(),
            seen: reading.seen.0,
            reference_seen: reading.has_reference.then_some(reading.seen.1),
            new: reading.new,
            reference: reading.reference,
            effect: reading.effect,
            interval: reading.interval,
            evidence: reading
                .evidence
                // No data can make it infinite, and JSON has no word for that.
                .filter(|reached| reached.is_finite())
                .map(|reached| Evidence { reached: reached / ten, needed: -self.rule.alpha.get().log10() }),
            looks: self.looks,
            not_used: self.not_used,
            unused: self.unused.clone(),
            course: self.course.points(),
        }
    }

    /// Why there is no answer.
    fn why_not(&self, reading: &Reading) -> String {
        let nothing = if self.looks == 0 && self.not_used > 0 {
            let last = self.unused.last().map(|unused| unused.why.words()).unwrap_or_default();
            format!("nothing could be used: {last}")
        } else if reading.fewest() == 0 && reading.has_reference && reading.seen.0 > 0 {
            "the reference was not seen yet".to_owned()
        } else if reading.seen.0 == 0 {
            "nothing was seen of the new slot".to_owned()
        } else if reading.is_proven_worse {
            "it is proven to be worse, and by less than what matters".to_owned()
        } else {
            "neither is proven yet".to_owned()
        };
        if self.is_over() { format!("{nothing}, and the wait is over") } else { nothing }
    }
}
