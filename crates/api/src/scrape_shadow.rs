//! What came of copies, in the words of Prometheus: one family, whose labels are bounded by the revisions that get copies.

use std::fmt::Error;

use prometheus_client::encoding::DescriptorEncoder;
use switchover_model::AppName;
use switchover_model::seam::{LeftOut, ShadowSeen};

use crate::scrape::{Labels, counters};

/// Requests that were drawn to be copied, by what came of them. Every outcome is told, so that its first one is a rise.
pub(crate) fn encode<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    seen: impl Iterator<Item = (&'a AppName, &'a ShadowSeen)>,
) -> Result<(), Error> {
    let samples = seen.flat_map(|(app, seen)| {
        let left_out = |why: &LeftOut| seen.left_out.get(why).copied().unwrap_or(0);
        let ended = [("dropped", seen.dropped), ("equal", seen.equal), ("different", seen.differing)];
        let all = ended.into_iter().chain(LeftOut::ALL.map(|why| (why.name(), left_out(&why))));
        all.map(|(outcome, count)| (labels(app, seen, outcome), count)).collect::<Vec<_>>()
    });
    let help = "Requests drawn to be copied, by what came of it: compared, dropped, or why it was left out";
    counters(encoder, "switchover_shadow_requests", help, samples)
}

fn labels(app: &AppName, seen: &ShadowSeen, outcome: &str) -> Labels {
    vec![("app", app.to_string()), ("revision", seen.revision.to_string()), ("outcome", outcome.to_owned())]
}
