//! What is shown of an app: status and history, computed from its fold and what is seen now.

use std::collections::BTreeMap;

use switchover_model::Timestamp;
use switchover_model::seam::Seen;
use switchover_model::view::{ReleaseView, SCHEMA_VERSION, StageView, StatusView, WayBack};

use crate::app::App;
use crate::release::Release;

/// The status of `app`. `url` and the preview's token are the controller's to fill in.
#[must_use]
pub fn status(app: &App, seen: &Seen, now: Timestamp) -> StatusView {
    let _ = (seen, now);
    StatusView {
        schema_version: SCHEMA_VERSION,
        app: app.name.clone(),
        sequence: app.sequence,
        live: app.live().map(|arm| arm.slot),
        slots: BTreeMap::new(),
        releases: app.releases.iter().map(release_view).collect(),
        way_back: WayBack::None { why: String::new() },
        hosts: Vec::new(),
        url: None,
        preview: None,
        problems: Vec::new(),
        unknown: Vec::new(),
    }
}

/// Every remembered release, oldest first.
#[must_use]
pub fn history(app: &App) -> Vec<ReleaseView> {
    app.all_releases().map(release_view).collect()
}

fn release_view(release: &Release) -> ReleaseView {
    ReleaseView {
        release: release.id,
        kind: release.kind.clone(),
        revision: release.revision,
        from: release.from,
        slot: release.slot,
        by: release.by.clone(),
        opened_at: release.opened_at,
        stages: release
            .stages
            .iter()
            .map(|stage| StageView {
                stage: stage.stage,
                entered_at: stage.entered_at,
                left_at: stage.left_at,
                state: stage.state,
                note: stage.note.clone(),
            })
            .collect(),
        waiting: release.waiting.as_ref().map(|waiting| waiting.reason.clone()),
        paused: release.paused.is_some(),
        undoing: release.is_undoing(),
        switched_at: release.switched_at,
        outcome: release.outcome.clone(),
        settled_at: release.settled_at,
    }
}
