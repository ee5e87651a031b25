//! `[release.shadow]`: live requests copied to the new slot before any user is led there, and its answers compared.

use serde::{Deserialize, Serialize};

use crate::name::Share;
use crate::seam::MirrorRules;
use crate::time::Span;

/// The most of the compared requests that a file may tolerate: what would let more differ compares nothing.
pub(in crate::config) const MOST_TOLERATED: Share = match Share::from_basis_points(10_00) {
    Some(share) => share,
    None => Share::NONE,
};
/// The most compared requests that a file may ask for.
pub(super) const MOST_ENOUGH: u32 = 10_000_000;

/// What a release waits for before it moves any traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// Which requests are copied, and how answers are compared.
    pub rules: MirrorRules,
    /// `for`: how long copies are made at least, counted from when the mirror is seen in force.
    #[serde(rename = "for")]
    pub stays: Span,
    /// How many requests have to be compared for a pass.
    pub enough: u32,
    /// Which part of the compared requests may differ beyond noise in one field.
    pub tolerate: Share,
}

impl Shadow {
    /// The methods that are copied and change something, so that it is done twice.
    pub fn unsafe_methods(&self) -> impl Iterator<Item = &str> {
        let safe = MirrorRules::safe_methods();
        self.rules.methods.iter().filter(move |method| !safe.contains(method)).map(String::as_str)
    }
}
