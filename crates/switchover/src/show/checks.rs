//! What a release's checks say, line by line.

use switchover_model::config::During;
use switchover_model::evidence::{CheckVerdict, Watch};

use crate::say::printable;

/// The part of a release in which they are looked at.
pub(crate) fn place(watch: &Watch) -> String {
    match (watch.during, watch.step) {
        (During::Shift, Some(step)) => format!("step {step}"),
        (During::Shift, None) => "shift".to_owned(),
        (During::Bake, _) => "bake".to_owned(),
        (During::Warm, _) => "kept warm".to_owned(),
    }
}

/// Each check with its verdict and its numbers.
pub(crate) fn lines(verdicts: &[CheckVerdict]) -> Vec<String> {
    let width = verdicts.iter().map(|said| said.name.chars().count()).max().unwrap_or_default();
    let line = |said: &CheckVerdict| {
        format!("check {:width$}  {:12}  {}", printable(&said.name), said.verdict.name(), printable(&said.why))
    };
    verdicts.iter().map(line).collect()
}
