//! What the records tell of the checks of a release.

use switchover_model::Timestamp;
use switchover_model::config::During;
use switchover_model::evidence::{CheckVerdict, Judged, Watch};
use switchover_model::experiment::Decided;

use crate::app::App;
use crate::release::{Looked, Release};

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
        let verdicts: Vec<CheckVerdict> = verdicts.collect();
        self.with(watch.release, |release| {
            if let (During::Shadow, [said]) = (watch.during, &verdicts[..]) {
                release.note(format!("shadow {}: {}", said.verdict.name(), said.why));
            }
            let before = release.take_judged(watch);
            let experiment = before.and_then(|before| before.experiment);
            release.judged.push(Judged { watch, at, verdicts, experiment });
        });
    }

    /// Without what it rests on: that is in the record.
    pub(super) fn decided(&mut self, watch: Watch, decided: &Decided, at: Timestamp) {
        let mut decided = Box::new(decided.clone());
        decided.said.goals.iter_mut().for_each(|goal| goal.evidence = serde_json::Value::Null);
        self.with(watch.release, |release| {
            let verdicts = release.take_judged(watch).map(|before| before.verdicts).unwrap_or_default();
            release.judged.push(Judged { watch, at, verdicts, experiment: Some(decided) });
            release.wait_for(None, at);
        });
    }

    /// The first record of the looks that the checks are judged by now; nothing when there are none.
    #[must_use]
    pub fn looked_from(&self) -> Option<u64> {
        let watch = crate::watch(self)?;
        self.release(watch.release)?.looked.filter(|looked| looked.watch == watch).map(|looked| looked.from)
    }
}

impl Release {
    fn take_judged(&mut self, watch: Watch) -> Option<Judged> {
        let place = self.judged.iter().position(|before| before.watch == watch)?;
        Some(self.judged.remove(place))
    }
}
