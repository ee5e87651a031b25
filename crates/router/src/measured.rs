//! What the lanes have measured of one app, added up.

use switchover_model::Timestamp;
use switchover_model::seam::Measured;

use crate::came;
use crate::lane::Lane;
use crate::meter::Sum;
use crate::wire::LaneSeen;

/// Taken out of what the lanes tell; nothing when one of them can not say it all. They `began` then, and deal clients by the key of this
/// fingerprint. What no lane knows by itself is left open.
pub(crate) fn sum(lanes: &mut [LaneSeen], began: Timestamp, split_key: u64) -> Option<Measured> {
    let (mut epoch, mut sum) = (began, Sum::default());
    for lane in &mut *lanes {
        let (since, arms) = lane.measured.take()?;
        epoch = epoch.max(since.unwrap_or(epoch));
        arms.into_iter().for_each(|arm| sum.add(arm));
    }
    let split = came::sum((began.as_micros(), split_key), lanes.iter_mut().map(|lane| lane.came.take()));
    let (at, arms) = (Lane::exact_now(), sum.arms());
    Some(Measured { at, epoch: epoch.as_micros(), version: None, arms, goals: None, split })
}
