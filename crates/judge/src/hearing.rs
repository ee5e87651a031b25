//! One look after another from one moment on, until there is a verdict.

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

/// A question under way. What it takes does not grow with the number of looks.
#[derive(Debug, Clone)]
pub(crate) struct Hearing {
    /// With the part of alpha that this one has.
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
    ErrorsAbove(Box<ErrorsAbove>),
    LatencyLonger(Box<LatencyLonger>),
    LatencyAbove(LatencyAbove),
    ReachesMore(Box<ReachesMore>),
    SplitOff(SplitOff),
    Mean(Box<Mean>),
    Each(Each),
}

impl Hearing {
    /// A question of which nothing is known yet.
    pub(crate) fn new(rule: &Rule) -> Self {
        let gathered = match rule.question {
            Question::ErrorsWorse { .. } => Gathered::ErrorsWorse(Box::default()),
            Question::ErrorsAbove { .. } => Gathered::ErrorsAbove(Box::default()),
            Question::LatencyLonger { .. } => Gathered::LatencyLonger(Box::default()),
            Question::LatencyAbove { .. } => Gathered::LatencyAbove(LatencyAbove::default()),
            Question::ReachesMore { .. } => Gathered::ReachesMore(Box::default()),
            Question::SplitOff { .. } => Gathered::SplitOff(SplitOff::default()),
            Question::Mean { .. } => Gathered::Mean(Box::new(Mean::new(rule))),
            Question::Each { .. } => Gathered::Each(Each::default()),
        };
        Self::of(rule, gathered)
    }

    /// Begun anew, by a rule of its own: nothing is known but what was before it, where that is what is compared with.
    pub(crate) fn anew(&self, rule: &Rule) -> Self {
        match &self.gathered {
            Gathered::ErrorsWorse(errors) if rule.past => {
                Self::of(rule, Gathered::ErrorsWorse(Box::new(errors.anew())))
            }
            Gathered::LatencyLonger(latency) if rule.past => {
                Self::of(rule, Gathered::LatencyLonger(Box::new(latency.anew())))
            }
            Gathered::ErrorsWorse(_)
            | Gathered::ErrorsAbove(_)
            | Gathered::LatencyLonger(_)
            | Gathered::LatencyAbove(_)
            | Gathered::ReachesMore(_)
            | Gathered::SplitOff(_)
            | Gathered::Mean(_)
            | Gathered::Each(_) => Self::new(rule),
        }
    }

    fn of(rule: &Rule, gathered: Gathered) -> Self {
        let mut hearing = Self {
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
        hearing.reading = hearing.read();
        hearing
    }

    /// Takes the next look. One that cannot be used is told in the verdict and changes nothing but the time.
    pub(crate) fn take(&mut self, look: &Look) {
        let is_after = self.is_after(look);
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

    /// Whether a look follows those that were taken.
    pub(crate) fn is_after(&self, look: &Look) -> bool {
        self.ended.is_none_or(|ended| ended <= look.from) && look.from <= look.until
    }

    /// When its first look began.
    pub(crate) fn began(&self) -> Option<Timestamp> {
        self.began
    }

    fn gather(&mut self, look: &Look) -> Result<(), Unfit> {
        match (&mut self.gathered, self.rule.question) {
            (Gathered::LatencyLonger(latency), Question::LatencyLonger { quantile, .. }) => {
                latency.take(look, &self.rule, quantile)
            }
            (Gathered::SplitOff(split), Question::SplitOff { by, .. }) => split.take(look, by),
            (Gathered::Mean(mean), _) => mean.take(look),
            (Gathered::Each(each), Question::Each { worse, limit, .. }) => each.take(look, worse, limit),
            (Gathered::ErrorsWorse(errors), _) => errors.take(look, &self.rule),
            (Gathered::ErrorsAbove(errors), _) => errors.take(look),
            (Gathered::LatencyAbove(latency), _) => latency.take(look),
            (Gathered::ReachesMore(clients), Question::ReachesMore { share, .. }) => clients.take(look, share),
            (Gathered::LatencyLonger(_) | Gathered::ReachesMore(_) | Gathered::SplitOff(_) | Gathered::Each(_), _) => {
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
            (Gathered::Mean(mean), Question::Mean { worse, limit }) => mean.reading(worse, limit),
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
        } else if reading.is_proven_worse && reading.is_measured_bad && !reading.are_clients_too_few {
            Some((Outcome::Fail, "it is proven to be worse, and what was measured matters"))
        } else if before.is_some() || reading.is_good_by_one_client {
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
    pub(crate) fn outcome(&self) -> Outcome {
        self.decided.as_ref().map_or(Outcome::Inconclusive, |(outcome, ..)| *outcome)
    }

    /// When it was decided.
    pub(crate) fn decided(&self) -> Option<Timestamp> {
        self.decided.as_ref().map(|(_, at, _)| *at)
    }

    /// The verdict so far.
    pub(crate) fn verdict(&self) -> Verdict {
        let reading = self.reading;
        let (outcome, decided, why) = match &self.decided {
            Some((outcome, at, why)) => (*outcome, Some(*at), why.clone()),
            None => (Outcome::Inconclusive, None, self.why_not(&reading)),
        };
        let past = if reading.is_past_used_up && reading.seen.1 > 0 {
            "; the past is used up, so the upper end of its interval is held against"
        } else {
            ""
        };
        let ten = std::f64::consts::LN_10;
        Verdict {
            outcome,
            why: format!("{why}{past}"),
            rule: self.rule.words(),
            decided,
            since: None,
            past_used_up: reading.is_past_used_up,
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
                .map(|reached| Evidence { reached: reached / ten, needed: -self.rule.alpha_of_bets().get().log10() }),
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
        } else if reading.is_past_used_up && reading.seen.1 == 0 {
            "nothing is known of the past".to_owned()
        } else if reading.fewest() == 0 && reading.has_reference && reading.seen.0 > 0 {
            "the reference was not seen yet".to_owned()
        } else if reading.seen.0 == 0 {
            "nothing was seen of the new slot".to_owned()
        } else if reading.is_proven_worse && reading.is_measured_bad && reading.are_clients_too_few {
            format!("it is proven to be worse, and its errors are of fewer than {} clients", self.rule.clients)
        } else if reading.is_good_by_one_client {
            "most requests were one client's, and those of all others are as bad as matters".to_owned()
        } else if reading.is_proven_worse {
            "it is proven to be worse, and by less than what matters".to_owned()
        } else {
            "neither is proven yet".to_owned()
        };
        if self.is_over() { format!("{nothing}, and the wait is over") } else { nothing }
    }
}
