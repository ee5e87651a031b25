//! How many instances each slot has in a rolling release, as it is decided and journaled.

use serde::{Deserialize, Serialize};

use crate::config::{Fraction, Surge};
use crate::name::Slot;

/// The sizes of both slots, as parts of the scale of each process that takes requests.
///
/// Guarantees, whatever the scale is and becomes: both slots together have at most the scale and the surge of each process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// The slot that grows: the new one, or the old one on the way back.
    pub to: Slot,
    /// What it has for certain; the other slot has the rest.
    pub held: Fraction,
    /// Whether it has its next batch as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grows: bool,
    /// Whether the other slot has nobody any more, though this one is not whole yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// What may run beyond the scale.
    pub surge: Surge,
}

impl Sizes {
    /// What the slot that grows shall have: what it holds, or what it has after its next batch. `scale`: of each process that
    /// takes requests in either slot.
    #[must_use]
    pub fn target(&self, scale: &[u32]) -> Fraction {
        if self.grows { self.held.next(scale, self.surge) } else { self.held }
    }

    /// What `slot` shall have.
    #[must_use]
    pub fn part(&self, slot: Slot, scale: &[u32]) -> Fraction {
        match (slot == self.to, self.alone) {
            (true, _) => self.target(scale),
            (false, true) => Fraction::NONE,
            (false, false) => self.held.rest(),
        }
    }
}

/// The instances that take requests once a batch of a rolling release is whole, and the old slot has made room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// In the new slot.
    pub new: u32,
    /// In the old one.
    pub old: u32,
}
