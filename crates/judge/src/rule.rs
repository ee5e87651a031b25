//! What is asked, and what it takes to answer.

use serde::{Deserialize, Serialize};
use switchover_model::Span;

use crate::number::{Finite, LatencyMargin, Probability};

/// A question and the rule that decides it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What is asked.
    pub question: Question,
    /// The chance to fail what is no worse, over all looks: a part of the release's own (see [`crate::budget`]).
    pub alpha: Probability,
    /// The chance to pass what is worse by the margin that matters, over all looks; also what the interval leaves out.
    #[serde(default = "usual_miss")]
    pub miss: Probability,
    /// How long an answer is waited for; without it for as long as looks come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// It is begun anew each time that so much has gone by, beside what goes on from the beginning: so a change is found soon
    /// after it, however long all was well. Without it, it is begun once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed: Option<Span>,
    /// The reference is what was before, and ends: from there on, the upper end of its interval is what is held against.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub past: bool,
    /// Errors must be of so many different clients to fail, or of all that came where those are fewer; none where clients are not
    /// told apart.
    #[serde(default, skip_serializing_if = "is_none")]
    pub clients: u32,
    /// Where one client sent more than half of the requests, those of all others together must not be measured as bad to pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub others_too: bool,
}

fn is_none(clients: &u32) -> bool {
    *clients == 0
}

/// Usual for [`Rule::renewed`].
pub const RENEWED_AFTER: Span = Span::from_secs(3_600);

/// Usual for [`Rule::clients`]: one client that repeats a failing request, or a few, are no evidence against a revision.
pub const LEAST_CLIENTS: u32 = 5;

/// The part of a rule's alpha that is kept for the interval of a past: one in so many.
const PART_OF_THE_PAST: f64 = 10.0;

/// One in twenty, as is the custom.
fn usual_miss() -> Probability {
    Probability::new(0.05).unwrap_or_else(|_| unreachable!("it is above 0 and below 1"))
}

impl Rule {
    /// A rule with the usual miss and no end of waiting.
    #[must_use]
    pub fn new(question: Question, alpha: Probability) -> Self {
        Self {
            question,
            alpha,
            miss: usual_miss(),
            wait: None,
            renewed: None,
            past: false,
            clients: 0,
            others_too: false,
        }
    }

    /// The part of alpha that the bets have: all but what the interval of a past takes.
    pub(crate) fn alpha_of_bets(&self) -> Probability {
        if self.past { self.alpha.divided(PART_OF_THE_PAST / (PART_OF_THE_PAST - 1.0)) } else { self.alpha }
    }

    /// The chance that a past is not where its interval says.
    pub(crate) fn alpha_of_the_past(&self) -> Probability {
        self.alpha.divided(PART_OF_THE_PAST)
    }
}

/// The end of waiting for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// From the beginning of the first look to the end of the last one.
    pub longest: Span,
    /// Requests of each arm that is asked about, or values, which must have been seen for `then` to be more than inconclusive.
    pub enough: u64,
    /// What it is then.
    pub then: Then,
}

/// What an answer is that did not come in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// Inconclusive.
    Inconclusive,
    /// A pass where enough was seen and the value measured is not worse by the margin or beyond the limit.
    Pass,
}

/// What is asked of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Question {
    /// Does a larger share of its requests end as errors than of the reference's, by `margin` (0.005 is half a percent of all requests)?
    ErrorsWorse {
        /// The smallest difference that matters.
        margin: Probability,
    },
    /// Does a larger share of its requests than `limit` end as errors?
    ErrorsAbove {
        /// The largest share that is allowed.
        limit: Probability,
    },
    /// Is this quantile of its latency longer than the reference's, by the part `margin` of it?
    LatencyLonger {
        /// 0.99 is p99.
        quantile: Probability,
        /// The smallest part that matters.
        margin: LatencyMargin,
    },
    /// Is this quantile of its latency above a limit?
    LatencyAbove {
        /// 0.99 is p99.
        quantile: Probability,
        /// The longest that is allowed, in microseconds; counted to the end of its bucket, at most 1.6 % further.
        limit_micros: u64,
    },
    /// Does a larger share of its clients reach a goal than of the reference's, by `margin` of all clients? Asked with the sides
    /// exchanged, whether a smaller one does.
    ReachesMore {
        /// The smallest difference that matters.
        margin: Probability,
        /// The part of all clients that it was set to get; nothing where it is not chance that says who.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        share: Option<Probability>,
    },
    /// Is its part of what it and the reference got together another one than was set?
    SplitOff {
        /// The part that was set.
        share: Probability,
        /// The smallest deviation that matters.
        tolerance: Probability,
        /// What is counted.
        by: SplitBy,
    },
    /// Is the mean of its values beyond a limit? Of values that describe a difference, the limit is the largest one that is allowed.
    Mean {
        /// Which side is worse.
        worse: Worse,
        /// The limit.
        limit: Finite,
    },
    /// Are more than `allowed` of its values beyond a limit? Counts, and no statistics.
    Each {
        /// Which side is worse.
        worse: Worse,
        /// The limit; a value at it is right.
        limit: Finite,
        /// So many values may be beyond it.
        allowed: u32,
        /// So many values pass, when no more than `allowed` of them are beyond the limit.
        enough: u32,
    },
}

/// Which side is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Worse {
    /// Higher is worse.
    Higher,
    /// Lower is worse.
    Lower,
}

impl Worse {
    /// `value` so that higher is worse.
    pub(crate) fn signed(self, value: f64) -> f64 {
        match self {
            Self::Higher => value,
            Self::Lower => -value,
        }
    }
}

/// What a split is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitBy {
    /// Different clients: right where a client stays on its side, because its requests are not independent of each other.
    Clients,
    /// Requests: right where every request is led by itself.
    Requests,
}

// === In words ===

impl Rule {
    /// The rule as a person reads it.
    #[must_use]
    pub fn words(&self) -> String {
        let (fails, passes) = self.question.words();
        let end = match self.wait {
            None => String::new(),
            Some(Wait { longest, enough, then: Then::Inconclusive }) => {
                format!(" After {} without either ({enough} expected) it stays inconclusive.", longest.rounded())
            }
            Some(Wait { longest, enough, then: Then::Pass }) => format!(
                " After {} it passes if at least {enough} were seen and what was measured is not that bad.",
                longest.rounded()
            ),
        };
        let chances = match self.question {
            Question::Each { .. } => String::new(),
            Question::ErrorsWorse { .. }
            | Question::ErrorsAbove { .. }
            | Question::LatencyLonger { .. }
            | Question::LatencyAbove { .. }
            | Question::ReachesMore { .. }
            | Question::SplitOff { .. }
            | Question::Mean { .. } => format!(
                " Over all looks together, a false alarm has a chance of at most {}, a false pass one of {}.",
                percent(self.alpha.get()),
                percent(self.miss.get())
            ),
        };
        let others = self.other_words();
        format!("Fails when {fails}. Passes when {passes}.{others}{chances}{end}")
    }

    /// What else it goes by.
    fn other_words(&self) -> String {
        let mut words = String::new();
        if self.clients > 0 {
            words += &format!(
                " Errors of fewer than {} clients do not fail it, unless fewer came and all had some.",
                self.clients
            );
        }
        if self.others_too {
            words += " Where one client sent more than half of the requests, what is bad for all others does not pass.";
        }
        if self.past {
            words += " Once the past is used up, it is held against the upper end of its interval.";
        }
        if let Some(period) = self.renewed_after() {
            words += &format!(
                " What the last {} to {} say alone fails it too.",
                period.rounded(),
                Span::from_micros(period.as_micros().saturating_mul(2)).rounded()
            );
        }
        words
    }

    /// How often it is begun anew; a question without chances has nothing to gain from it.
    pub(crate) fn renewed_after(&self) -> Option<Span> {
        self.renewed.filter(|_| !matches!(self.question, Question::Each { .. }))
    }
}

impl Question {
    /// When it fails, and when it passes.
    fn words(self) -> (String, String) {
        match self {
            Self::ErrorsWorse { margin } => {
                let margin = percent(margin.get());
                (
                    format!("more errors are proven and {margin} of all requests or more are measured"),
                    format!("{margin} of all requests more is ruled out"),
                )
            }
            Self::ErrorsAbove { limit } => {
                let limit = percent(limit.get());
                (format!("an error rate above {limit} is proven"), format!("one of {limit} is ruled out"))
            }
            Self::LatencyLonger { quantile, margin } => {
                let (name, margin) = (name(quantile), percent(margin.get()));
                (
                    format!("more slow requests are proven and a {name} longer by {margin} or more is measured"),
                    format!("a {name} longer by {margin} is ruled out"),
                )
            }
            Self::LatencyAbove { quantile, limit_micros } => {
                let (name, limit) = (name(quantile), Span::from_micros(limit_micros).rounded());
                (format!("a {name} above {limit} is proven"), "it is ruled out".to_owned())
            }
            Self::ReachesMore { margin, share: _ } => more_reach(&percent(margin.get())),
            Self::SplitOff { share, tolerance, by } => {
                let (share, tolerance) = (percent(share.get()), percent(tolerance.get()));
                let what = match by {
                    SplitBy::Clients => "clients",
                    SplitBy::Requests => "requests",
                };
                (
                    format!("another split of {what} than {share} is proven and it is off by {tolerance} or more"),
                    format!("a deviation of {tolerance} is ruled out"),
                )
            }
            Self::Mean { worse, limit } => {
                (format!("a mean {} {} is proven", side(worse), limit.get()), "it is ruled out".to_owned())
            }
            Self::Each { worse, limit, allowed, enough } => {
                let (side, limit) = (side(worse), limit.get());
                (
                    format!("more than {allowed} values are {side} {limit}"),
                    format!("{enough} values were seen and no more than {allowed} are"),
                )
            }
        }
    }
}

/// When more clients reach a goal by `margin`, and when not.
fn more_reach(margin: &str) -> (String, String) {
    (
        format!("more clients that reach the goal are proven and {margin} of all clients or more are measured"),
        format!("{margin} of all clients more is ruled out"),
    )
}

fn side(worse: Worse) -> &'static str {
    match worse {
        Worse::Higher => "above",
        Worse::Lower => "below",
    }
}

/// `p99`, `p99.9`.
fn name(quantile: Probability) -> String {
    format!("p{}", tidy(quantile.get() * 100.0))
}

/// A part as a percentage.
pub(crate) fn percent(part: f64) -> String {
    format!("{} %", tidy(part * 100.0))
}

/// A number with at most five digits after the point, and no zeros at its end.
fn tidy(number: f64) -> String {
    let text = format!("{number:.5}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
