//! The receipt of a release: the difference of two readings of the router's counters, and its switches.

use switchover_model::receipt::{Ledger, Receipt};
use switchover_model::seam::Evidence;
use switchover_model::{ReleaseId, Timestamp};

use crate::app::App;

/// The receipt of `release`, with `current` as the counters now (for a window that is still open).
#[must_use]
pub fn receipt(
    app: &App,
    release: ReleaseId,
    current: Option<&Ledger>,
    now: Timestamp,
    evidence: Evidence,
) -> Option<Receipt> {
    let _ = (app, release, current, now, evidence);
    None
}
