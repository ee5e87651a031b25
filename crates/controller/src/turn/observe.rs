//! Looking at the world before a decision.

use std::sync::Arc;

use switchover_model::record::Event;
use switchover_model::seam::{SeamError, Seen};
use switchover_model::{AppName, RevisionId};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::bounds::{OBSERVE_PLATFORM, OBSERVE_SCHEMA, OBSERVE_TRAFFIC};
use crate::clock;

use super::{Turner, draft};

impl Turner {
    pub(super) async fn observe(&mut self) {
        let place = self.databases.place(&self.app, &self.parts.builder).await;
        let name = &self.app.name;
        let schema = async {
            match &place {
                Some(place) => Some(timeout(OBSERVE_SCHEMA, self.parts.schema.observe(place)).await),
                None => None,
            }
        };
        let (platform, traffic, schema) = tokio::join!(
            timeout(OBSERVE_PLATFORM, self.parts.platform.observe(name)),
            timeout(OBSERVE_TRAFFIC, self.parts.traffic.observe(name)),
            schema,
        );
        let mut seen = Seen {
            platform: known(platform, "platform", name),
            traffic: known(traffic, "traffic", name),
            schema: schema.and_then(|schema| known(schema, "database", name)),
        };
        if seen.platform.is_some() {
            self.platform.clone_from(&seen.platform);
        }
        if let Some(platform) = &mut seen.platform {
            self.acts.show_refused(platform);
        }
        self.seen = Arc::new(seen);
        self.seen_is_stale = false;
        self.note_lost_requests();
        self.note_what_the_platform_tells().await;
    }

    /// What ended meanwhile otherwise than it should, for the release that is on its way or was the last.
    async fn note_what_the_platform_tells(&mut self) {
        let release = self.app.all_releases().next_back().map(|release| release.id);
        for problem in self.parts.platform.take_notes(&self.app.name).await {
            tracing::warn!(app = %self.app.name, %problem, "the platform tells");
            self.pending.push(draft(clock::now(), Event::Noted { release, problem }));
        }
    }

    /// The router counts what a killed predecessor had in flight; the journal says so once.
    fn note_lost_requests(&mut self) {
        let Some(traffic) = &self.seen.traffic else { return };
        let lost = traffic.ledger.lost_with_router;
        let before = self.lost_with_router.replace(lost).unwrap_or(lost);
        if lost > before {
            let revision = self.app.live().map_or(RevisionId(0), |arm| arm.revision);
            let lost = [(revision, lost - before)].into();
            self.pending.push(draft(clock::now(), Event::RouterRestarted { lost }));
        }
    }
}

fn known<T>(asked: Result<Result<T, SeamError>, Elapsed>, what: &str, app: &AppName) -> Option<T> {
    match asked {
        Ok(Ok(seen)) => Some(seen),
        Ok(Err(error)) => {
            tracing::warn!(%app, %error, "the {what} could not be asked");
            None
        }
        Err(_) => {
            tracing::warn!(%app, "the {what} did not answer in time");
            None
        }
    }
}
