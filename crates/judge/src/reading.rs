//! What a question's evidence says at one moment.

use crate::verdict::Interval;

/// What is known after the looks so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Reading {
    /// Requests (or clients, or values) seen of the new arm and of the reference.
    pub(crate) seen: (u64, u64),
    /// Whether the question has a reference at all.
    pub(crate) has_reference: bool,
    /// The new arm's value.
    pub(crate) new: Option<f64>,
    /// The reference's.
    pub(crate) reference: Option<f64>,
    /// What the question is about: a difference, or the value itself.
    pub(crate) effect: Option<f64>,
    /// Where it lies.
    pub(crate) interval: Interval,
    /// The logarithm of what a stake of 1 has become, where the answer rests on one.
    pub(crate) evidence: Option<f64>,
    /// The effect as measured is one that matters.
    pub(crate) is_measured_bad: bool,
    /// It is proven to be worse.
    pub(crate) is_proven_worse: bool,
    /// An effect that matters is ruled out.
    pub(crate) is_ruled_out: bool,
    /// Its errors are of fewer clients than it takes.
    pub(crate) are_clients_too_few: bool,
    /// Most requests are one client's, and those of all others are measured as bad.
    pub(crate) is_good_by_one_client: bool,
    /// The reference was a past, and has ended.
    pub(crate) is_past_used_up: bool,
}

impl Reading {
    /// The fewer of what was seen of the arms that are asked about.
    pub(crate) fn fewest(&self) -> u64 {
        if self.has_reference { self.seen.0.min(self.seen.1) } else { self.seen.0 }
    }
}
