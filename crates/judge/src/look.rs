//! What was seen in one interval: what a journal keeps, so that a verdict can be reached again.

use serde::{Deserialize, Serialize};
use switchover_model::Timestamp;
use switchover_model::histogram::Histogram;

/// One interval, or one value at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// When the interval began.
    pub from: Timestamp,
    /// When it ended; the same for a value of a moment.
    pub until: Timestamp,
    /// What was seen.
    pub seen: Seen,
}

/// What was seen in an interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// Requests of the new slot's arm, and of the arm that it is compared with.
    Counts {
        /// The new slot's.
        new: Counts,
        /// The arm that it is compared with; nothing where there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<Counts>,
    },
    /// Clients of the new slot, and of the reference, who came or reached a goal.
    Goal {
        /// The new slot's.
        new: Reached,
        /// The reference's.
        reference: Reached,
    },
    /// A value of the new slot, and the same of the reference.
    Value {
        /// The new slot's; finite.
        new: f64,
        /// The reference's at the same moment; finite.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<f64>,
    },
    /// Nothing that can be used.
    Unfit(Unfit),
}

/// Why an interval cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unfit {
    /// Counts began anew within it.
    AnotherEpoch,
    /// More errors than requests, or more than [`MOST_COUNTED`] of anything.
    Contradiction,
    /// A value that is not finite, or outside of the range that was said.
    NoNumber,
    /// Nothing came: an empty answer, or an error; the text is the provider's.
    NoAnswer(String),
    /// It overlaps one that was taken already, or ends before it begins.
    Overlaps,
    /// It holds something else than the question is about.
    OtherKind,
}

impl Unfit {
    /// The reason as a person reads it.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::AnotherEpoch => "the counts began anew".to_owned(),
            Self::Contradiction => "its counts contradict each other".to_owned(),
            Self::NoNumber => "a value is no finite number, or out of its range".to_owned(),
            Self::NoAnswer(text) => format!("no answer: {text}"),
            Self::Overlaps => "it overlaps an interval that was taken already".to_owned(),
            Self::OtherKind => "it does not hold what is asked about".to_owned(),
        }
    }
}

/// An interval has at most so many requests: a million a second would need twelve days for them.
pub const MOST_COUNTED: u64 = 1 << 40;

/// Clients of one arm in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reached {
    /// Who came for the first time.
    pub clients: u64,
    /// Who reached the goal for the first time, whenever they came.
    pub reached: u64,
}

/// What one arm did in an interval.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that ended, but for those that their client left.
    pub requests: u64,
    /// Of them, errors.
    pub errors: u64,
    /// Clients that came for the first time.
    #[serde(default)]
    pub clients: u64,
    /// Latencies of the requests.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub latency: Histogram,
}

fn is_empty(latency: &Histogram) -> bool {
    latency.counts().is_empty()
}

impl Counts {
    /// Requests and errors alone.
    #[must_use]
    pub fn of_errors(requests: u64, errors: u64) -> Self {
        Self { requests, errors, ..Self::default() }
    }

    fn is_right(&self) -> bool {
        let most = self.requests.max(self.clients).max(self.latency.total());
        self.errors <= self.requests && most <= MOST_COUNTED
    }
}

impl Look {
    /// A value of a moment; one that is no finite number is unfit.
    #[must_use]
    pub fn value(at: Timestamp, new: f64, reference: Option<f64>) -> Self {
        let is_number = new.is_finite() && reference.is_none_or(f64::is_finite);
        let seen = if is_number { Seen::Value { new, reference } } else { Seen::Unfit(Unfit::NoNumber) };
        Self { from: at, until: at, seen }
    }

    /// Counts of both arms, or why they cannot be used.
    pub(crate) fn pair(&self) -> Result<(&Counts, &Counts), Unfit> {
        match &self.seen {
            Seen::Counts { new, reference: Some(reference) } if new.is_right() && reference.is_right() => {
                Ok((new, reference))
            }
            Seen::Counts { reference: Some(_), .. } => Err(Unfit::Contradiction),
            Seen::Unfit(why) => Err(why.clone()),
            Seen::Counts { reference: None, .. } | Seen::Goal { .. } | Seen::Value { .. } => Err(Unfit::OtherKind),
        }
    }

    /// Counts of the new arm, or why they cannot be used.
    pub(crate) fn alone(&self) -> Result<&Counts, Unfit> {
        match &self.seen {
            Seen::Counts { new, .. } if new.is_right() => Ok(new),
            Seen::Counts { .. } => Err(Unfit::Contradiction),
            Seen::Unfit(why) => Err(why.clone()),
            Seen::Goal { .. } | Seen::Value { .. } => Err(Unfit::OtherKind),
        }
    }

    /// Clients of both arms, or why they cannot be used.
    pub(crate) fn reached(&self) -> Result<(Reached, Reached), Unfit> {
        match &self.seen {
            Seen::Goal { new, reference } => {
                let most = new.clients.max(new.reached).max(reference.clients).max(reference.reached);
                if most <= MOST_COUNTED { Ok((*new, *reference)) } else { Err(Unfit::Contradiction) }
            }
            Seen::Unfit(why) => Err(why.clone()),
            Seen::Counts { .. } | Seen::Value { .. } => Err(Unfit::OtherKind),
        }
    }

    /// The value of the new slot and of the reference, or why they cannot be used.
    pub(crate) fn values(&self) -> Result<(f64, Option<f64>), Unfit> {
        match &self.seen {
            Seen::Value { new, reference } if new.is_finite() && reference.is_none_or(f64::is_finite) => {
                Ok((*new, *reference))
            }
            Seen::Value { .. } => Err(Unfit::NoNumber),
            Seen::Unfit(why) => Err(why.clone()),
            Seen::Counts { .. } | Seen::Goal { .. } => Err(Unfit::OtherKind),
        }
    }
}
