//! Instances whose files were removed: known by their shims and processes alone.

use std::sync::Arc;

use switchover_model::AppName;
use switchover_model::revision::Revision;

use crate::durable;
use crate::instance::InstanceSpec;
use crate::process_platform::{Shared, lock};
use crate::processes;
use crate::watched::Watched;

impl Shared {
    /// The app's instances that are none of `known`, whose directories are there, and are not over.
    pub(crate) fn without_files(&self, app: &AppName, known: &[Arc<Watched>]) -> Vec<Arc<Watched>> {
        let watched = lock(&self.watched);
        let others = watched.values().filter(|watched| {
            watched.spec.app == *app
                && !watched.view().is_over
                && !known.iter().any(|known| known.spec.id == watched.spec.id)
        });
        others.cloned().collect()
    }

    /// Finds the app's living shims whose directories are gone, once: from then on they are known. Those whose revision is
    /// none of ours are to stop.
    pub(crate) fn find_adrift(&self, app: &AppName) {
        if !lock(&self.searched).insert(app.clone()) {
            return;
        }
        for shim in processes::with_prefix(processes::SHIM_VARIABLE, &self.home.mark()) {
            let spec = processes::variable(shim.pid, processes::SPEC_VARIABLE);
            let spec: Option<InstanceSpec> = spec.and_then(|spec| serde_json::from_str(&spec).ok());
            let Some(spec) = spec.filter(|spec| spec.app == *app && self.is_current(spec)) else { continue };
            let dir = self.layout.instance(app, &spec.id);
            if dir.root.exists() {
                continue;
            }
            let record = durable::read_json::<Revision>(&self.layout.revision(app, spec.revision).record());
            let is_ours = record.ok().flatten().is_some_and(|sealed| Some(sealed.artifact) == spec.artifact);
            let found = Watched::adrift(dir, spec, shim, !is_ours);
            self.note(app, found.lost_its_files());
            lock(&self.watched).insert(found.spec.id.clone(), Arc::new(found));
        }
    }
}
