//! What a release's checks say, line by line.

use switchover_model::config::During;
use switchover_model::evidence::{CheckVerdict, Watch};

use crate::say::printable;

/// The part of a release in which they are looked at.
pub(crate) fn place(watch: &Watch) -> String {
    match (watch.during, watch.step) {
        (During::Shift, Some(step)) => format!("step {step}"),
        (During::Shift, None) => "shift".to_owned(),
        (During::Shadow, _) => "the shadow comparison".to_owned(),
        (During::Bake, _) => "bake".to_owned(),
        (During::Warm, _) => "kept warm".to_owned(),
    }
}

/// Each check with its verdict and its numbers, and what it rests on where it tells that.
pub(crate) fn lines(verdicts: &[CheckVerdict]) -> Vec<String> {
    let width = verdicts.iter().map(|said| said.name.chars().count()).max().unwrap_or_default();
    let line = |said: &CheckVerdict| {
        format!("check {:width$}  {:12}  {}", printable(&said.name), said.verdict.name(), printable(&said.why))
    };
    let detail =
        |said: &CheckVerdict| said.detail.iter().map(|line| format!("  {}", printable(line))).collect::<Vec<_>>();
    verdicts.iter().flat_map(|said| std::iter::once(line(said)).chain(detail(said))).collect()
}
