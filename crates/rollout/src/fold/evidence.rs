//! What the records tell of the checks of a release.

use switchover_model::Timestamp;
use switchover_model::config::During;
use switchover_model::evidence::{CheckVerdict, Judged, Watch};

use crate::app::App;
use crate::release::Looked;

impl App {
    /// The looks of a release's watch begin, or go on.
    pub(super) fn looked(&mut self, watch: Watch) {
        let from = self.sequence;
        self.with(watch.release, |release| {
            if release.looked.is_none_or(|looked| looked.watch != watch) {
                release.looked = Some(Looked { watch, from });
            }
        });
    }

    /// Without what the verdicts rest on: that is in the record.
    pub(super) fn judged(&mut self, watch: Watch, verdicts: &[CheckVerdict], at: Timestamp) {
        let verdicts = verdicts.iter().map(|said| CheckVerdict { evidence: serde_json::Value::Null, ..said.clone() });
        let judged = Judged { watch, at, verdicts: verdicts.collect() };
        self.with(watch.release, |release| {
            if let (During::Shadow, [said]) = (watch.during, &judged.verdicts[..]) {
                release.note(format!("shadow {}: {}", said.verdict.name(), said.why));
            }
            release.judged.retain(|before| before.watch != watch);
            release.judged.push(judged);
        });
    }

    /// The first record of the looks that the checks are judged by now; nothing when there are none.
    #[must_use]
    pub fn looked_from(&self) -> Option<u64> {
        let watch = crate::watch(self)?;
        self.release(watch.release)?.looked.filter(|looked| looked.watch == watch).map(|looked| looked.from)
    }
}
