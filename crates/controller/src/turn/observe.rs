//! Looking at the world before a decision.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchover_model::record::Event;
use switchover_model::seam::{SeamError, Seen};
use switchover_model::{AppName, Problem, RevisionId};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::bounds::{OBSERVE_PLATFORM, OBSERVE_SCHEMA, OBSERVE_TRAFFIC};
use crate::clock;

use super::{Turner, draft};

/// What the database is called where it can not be looked at.
const DATABASE: &str = "database";

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
        let unseen = &mut self.unseen;
        if schema.is_none() {
            unseen.remove(DATABASE);
        }
        let mut seen = Seen {
            platform: known(platform, "platform", name, unseen),
            traffic: known(traffic, "router", name, unseen),
            schema: schema.and_then(|schema| known(schema, DATABASE, name, unseen)),
            checks: None,
        };
        if seen.platform.is_some() {
            self.platform.clone_from(&seen.platform);
        }
        if let Some(platform) = &mut seen.platform {
            self.acts.show_refused(platform);
        }
        self.look(&mut seen);
        self.seen = Arc::new(seen);
        self.seen_is_stale = false;
        self.note_lost_requests();
        self.note_what_the_platform_tells().await;
    }

    /// Looks at what the checks go by. A look goes with the next append; until that has gone well there is no other one.
    fn look(&mut self, seen: &mut Seen) {
        let now = clock::now();
        if !self.pending.iter().any(|draft| matches!(draft.event, Event::Looked { .. })) {
            let looked = self.watcher.look(&self.app, seen, &self.parts.builder, now);
            self.pending.extend(looked.map(|event| draft(now, event)));
        }
        seen.checks = self.watcher.said();
    }

    /// Why a release may wait for its database.
    pub(super) fn unseen_database(&self) -> Option<Problem> {
        let cause = format!("the database can not be looked at: {}.", self.unseen.get(DATABASE)?);
        let next = "Look whether it runs, and whether user and password are right; it is tried again by itself.";
        Some(Problem::new("DATABASE-UNREACHABLE", cause, next))
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

/// What was seen. Where nothing was, `unseen` says why; the log does when that is another reason than before.
fn known<T>(
    asked: Result<Result<T, SeamError>, Elapsed>,
    what: &'static str,
    app: &AppName,
    unseen: &mut BTreeMap<&'static str, String>,
) -> Option<T> {
    let why = match asked {
        Ok(Ok(seen)) => {
            unseen.remove(what);
            return Some(seen);
        }
        // Between two looks, as after the first question: what was known stays.
        Ok(Err(SeamError::NotYet)) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it did not answer in time".to_owned(),
    };
    if unseen.get(what) != Some(&why) {
        tracing::warn!(%app, "the {what} can not be looked at: {why}");
        unseen.insert(what, why);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_looked_at_yet_is_no_trouble() {
        let app: AppName = "shop".parse().unwrap();
        let mut unseen = BTreeMap::new();
        assert_eq!(known::<u8>(Ok(Err(SeamError::NotYet)), "database", &app, &mut unseen), None);
        assert!(unseen.is_empty());
        let fails = Ok(Err(SeamError::Unreachable("it is away".to_owned())));
        assert_eq!(known::<u8>(fails, "database", &app, &mut unseen), None);
        assert_eq!(known::<u8>(Ok(Err(SeamError::NotYet)), "database", &app, &mut unseen), None);
        assert_eq!(unseen.get("database").map(String::as_str), Some("it is away"));
        assert_eq!(known(Ok(Ok(7)), "database", &app, &mut unseen), Some(7));
        assert!(unseen.is_empty());
    }
}
