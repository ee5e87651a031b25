//! What was seen in one interval: what a journal keeps, so that a verdict can be reached again.

use serde::{Deserialize, Serialize};
use switchover_model::histogram::Histogram;
use switchover_model::seam::ClientGroups;
use switchover_model::{Span, Timestamp};

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
#[expect(clippy::large_enum_variant, reason = "a look is made, taken and gone, and nearly all hold counts")]
pub enum Seen {
    /// Requests of the new slot's arm, and of the arm that it is compared with.
    Counts {
        /// The new slot's.
        new: Counts,
        /// The arm that it is compared with; nothing where there is none, or where a past is used up.
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
    /// A value; finite.
    Value(f64),
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
    /// A value that is not finite.
    NoNumber,
    /// It describes a time before the question was asked: this much of what a value covers was not over yet.
    ReachesBack(Span),
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
            Self::NoNumber => "a value is no finite number".to_owned(),
            Self::ReachesBack(reach) => {
                format!("it describes the {} before it, of which a part was before this began", reach.rounded())
            }
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
    /// The requests by groups of clients; none where clients are not told apart.
    #[serde(default, skip_serializing_if = "ClientGroups::is_empty")]
    pub requests_by: ClientGroups,
    /// The errors by groups of clients.
    #[serde(default, skip_serializing_if = "ClientGroups::is_empty")]
    pub errors_by: ClientGroups,
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
    pub fn value(at: Timestamp, value: f64) -> Self {
        let seen = if value.is_finite() { Seen::Value(value) } else { Seen::Unfit(Unfit::NoNumber) };
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
            Seen::Counts { reference: None, .. } | Seen::Goal { .. } | Seen::Value(_) => Err(Unfit::OtherKind),
        }
    }

    /// Counts of the new arm, and of the reference for as long as there is one; or why they cannot be used. Where the reference is no
    /// `past` it never ends.
    pub(crate) fn pair_or_end(&self, past: bool) -> Result<(&Counts, Option<&Counts>), Unfit> {
        match &self.seen {
            Seen::Counts { new, reference: None } if past && new.is_right() => Ok((new, None)),
            Seen::Counts { reference: None, .. } if past => Err(Unfit::Contradiction),
            Seen::Counts { .. } | Seen::Goal { .. } | Seen::Value(_) | Seen::Unfit(_) => {
                self.pair().map(|(new, reference)| (new, Some(reference)))
            }
        }
    }

    /// Counts of the new arm, or why they cannot be used.
    pub(crate) fn alone(&self) -> Result<&Counts, Unfit> {
        match &self.seen {
            Seen::Counts { new, .. } if new.is_right() => Ok(new),
            Seen::Counts { .. } => Err(Unfit::Contradiction),
            Seen::Unfit(why) => Err(why.clone()),
            Seen::Goal { .. } | Seen::Value(_) => Err(Unfit::OtherKind),
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
            Seen::Counts { .. } | Seen::Value(_) => Err(Unfit::OtherKind),
        }
    }

    /// The value, or why it cannot be used.
    pub(crate) fn value_seen(&self) -> Result<f64, Unfit> {
        match &self.seen {
            Seen::Value(value) if value.is_finite() => Ok(*value),
            Seen::Value(_) => Err(Unfit::NoNumber),
            Seen::Unfit(why) => Err(why.clone()),
            Seen::Counts { .. } | Seen::Goal { .. } => Err(Unfit::OtherKind),
        }
    }
}
