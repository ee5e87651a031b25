//! A controller that does nothing but ensure two instances and wait to be killed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use switchover_model::revision::Revision;
use switchover_model::seam::{Phase, Platform, ProcessGoal, Role, SlotSpec};
use switchover_model::{Slot, Span};
use switchover_platform::ProcessPlatform;

/// Runs the revision in `spec_file` in the blue slot and writes `spec.ready` beside it when two instances are healthy.
pub(crate) fn run(state: &str, app: &str, spec_file: &str) -> ExitCode {
    let revision: Revision = serde_json::from_slice(&std::fs::read(spec_file).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let platform = ProcessPlatform::new(state.as_ref(), std::env::current_exe().unwrap()).unwrap();
        let app = app.parse().unwrap();
        let goal = ProcessGoal { count: 2, role: Role::Active };
        let processes = revision.processes.keys().map(|name| (name.clone(), goal)).collect();
        let spec = SlotSpec {
            app,
            slot: Slot::Blue,
            revision,
            processes,
            drain: Span::ZERO,
            without: BTreeSet::new(),
            idle: BTreeSet::new(),
            asked_since: None,
        };
        platform.ensure(&spec).await.unwrap();
        loop {
            let seen = platform.observe(&spec.app).await.unwrap().instances;
            if seen.len() == 2 && seen.iter().all(|seen| matches!(seen.phase, Phase::Healthy { .. })) {
                std::fs::write(Path::new(spec_file).with_extension("ready"), "").unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
}
