//! What came out, and what it rests on: what a journal keeps and a person reads.

use serde::{Deserialize, Serialize};
use switchover_model::Timestamp;

use crate::look::Unfit;

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// What matters is ruled out, or was not seen at the end of a wait with enough data.
    Pass,
    /// It is worse.
    Fail,
    /// Neither, so far.
    Inconclusive,
}

/// A verdict with its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The answer.
    pub outcome: Outcome,
    /// Why, in a sentence.
    pub why: String,
    /// The rule that decided, in words.
    pub rule: String,
    /// When it was decided: the end of that look. A fail stays a fail; a pass stays one unless it is followed by a fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Timestamp>,
    /// Since when that was seen on which it failed, where that is not all from the beginning on but what came after it was begun anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The reference was a past, and nothing is left of it: the upper end of its interval is held against.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub past_used_up: bool,
    /// The longest wait is over: more looks will not be waited for.
    pub is_over: bool,
    /// Requests, clients or values that were seen of the new slot.
    pub seen: u64,
    /// The same of the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_seen: Option<u64>,
    /// The new slot's value as measured: a share, microseconds, or the metric's own unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<f64>,
    /// The reference's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<f64>,
    /// What is asked about: a difference of shares or values, the part by which a latency is longer, or the value itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<f64>,
    /// Where it lies, at every look at once but for a chance of the rule's `miss`.
    pub interval: Interval,
    /// The evidence that it is worse, where the rule bets on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Looks that were used.
    pub looks: u64,
    /// Looks that were not used.
    pub not_used: u64,
    /// The first of them, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused: Vec<Unused>,
    /// The interval over time, thinned out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub course: Vec<Point>,
}

/// Two ends; one that is not known is open.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

/// A stake of 1 on "it is worse", after all bets; as logarithms to base 10, because it may be of any size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it has become: 3 is a thousandfold.
    pub reached: f64,
    /// From here on it is proven.
    pub needed: f64,
}

/// A look that was not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unused {
    /// When it ended.
    pub until: Timestamp,
    /// Why.
    pub why: Unfit,
}

/// What was known after one look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When the look ended.
    pub at: Timestamp,
    /// The effect as measured until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<f64>,
    /// Where it lies.
    pub interval: Interval,
}

/// At most so many points are kept of a course; then every second one is left out and they come half as often.
const POINTS: usize = 64;

/// A course under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Course {
    points: Vec<Point>,
    latest: Option<Point>,
    /// Looks between two points, as a power of two.
    halved: u32,
    looks: u64,
}

impl Course {
    pub(crate) fn add(&mut self, point: Point) {
        self.latest = Some(point);
        if self.looks.is_multiple_of(1 << self.halved) {
            self.points.push(point);
        }
        self.looks += 1;
        if self.points.len() >= POINTS && self.halved < u64::BITS - 1 {
            let mut place = 0_usize;
            self.points.retain(|_| {
                place += 1;
                !place.is_multiple_of(2)
            });
            self.halved += 1;
        }
    }

    /// The points, the latest always among them.
    pub(crate) fn points(&self) -> Vec<Point> {
        let latest = self.latest.filter(|latest| self.points.last() != Some(latest));
        self.points.iter().copied().chain(latest).collect()
    }
}
