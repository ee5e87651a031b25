//! The app's database as its revisions name it: where it is, and what a goal takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchover_model::revision::RevisionSchema;
use switchover_model::schema::{SchemaGoal, SchemaOrder, SchemaPlace};
use switchover_model::seam::{Builder, RevisionDatabase, SeamError};
use switchover_model::{Problem, RevisionId};
use switchover_rollout::App;
use tokio::time::{Instant, timeout};

use crate::bounds::{READ_AGAIN, READ_DATABASE};

/// What the sealed revisions say of their database, read once each; what could not be read is tried again after a while.
#[derive(Default)]
pub(crate) struct Databases {
    known: BTreeMap<RevisionId, Read>,
    /// What was asked for last goes on until it is told to rest.
    pub(crate) works: bool,
}

struct Read {
    database: Result<Arc<RevisionDatabase>, Problem>,
    at: Instant,
}

impl Databases {
    /// Where the schema is that releases are about now: as the newest revision that is on its way, or the live one, names
    /// it. Nothing when the app has no database or no revision that needs one.
    pub(crate) async fn place(&mut self, app: &App, builder: &Arc<dyn Builder>) -> Option<SchemaPlace> {
        let rules = app.config.as_ref()?.database.clone()?;
        let moving = app.moving().map(|release| release.revision);
        let live = app.heading().map(|live| live.revision);
        let others = app.revisions.keys().rev().copied();
        let needs = |id: &RevisionId| app.revision(*id).is_some_and(|revision| revision.schema.is_some());
        let revision = moving.into_iter().chain(live).chain(others).find(needs)?;
        self.known.retain(|id, _| app.revisions.contains_key(id));
        let database = self.of(app, revision, builder).await.ok()?;
        let asks = app.releases.iter().any(switchover_rollout::Release::is_open);
        Some(SchemaPlace { app: app.name.clone(), url: database.url.clone(), rules, epoch: epoch(app), asks })
    }

    async fn of(
        &mut self,
        app: &App,
        id: RevisionId,
        builder: &Arc<dyn Builder>,
    ) -> Result<Arc<RevisionDatabase>, Problem> {
        let still_holds = |read: &&Read| read.database.is_ok() || read.at.elapsed() < READ_AGAIN;
        if let Some(known) = self.known.get(&id).filter(still_holds) {
            return known.database.clone();
        }
        let (Some(revision), Some(rules)) =
            (app.revision(id), app.revisions.get(&id).and_then(|state| state.config.database.as_ref()))
        else {
            let cause = format!("nothing is known of the database of {id}.");
            return Err(Problem::new("REVISION-UNKNOWN", cause, "Deploy again."));
        };
        let read = timeout(READ_DATABASE, builder.database(&app.name, revision, rules)).await;
        let database = read.unwrap_or_else(|_| Err(too_slow(id))).map(Arc::new);
        if let Err(problem) = &database {
            tracing::warn!(app = %app.name, %problem, "what a revision says of its database could not be read");
        }
        self.known.insert(id, Read { database: database.clone(), at: Instant::now() });
        database
    }

    /// The goal with what it takes to carry it out.
    pub(crate) async fn order(
        &mut self,
        app: &App,
        goal: &SchemaGoal,
        builder: &Arc<dyn Builder>,
    ) -> Result<SchemaOrder, SeamError> {
        let (revision, beside) = match goal {
            SchemaGoal::Serve { revision, beside, .. } => (*revision, beside.clone()),
            SchemaGoal::Leave { revision, .. } => (*revision, Vec::new()),
            SchemaGoal::Detach { revision, beside, .. } => (*revision, vec![*beside]),
        };
        let needs = |id: RevisionId| app.revision(id).and_then(|revision| revision.schema.clone());
        let wanted = needs(revision).ok_or_else(|| {
            let cause = format!("nothing is known of what {revision} needs of the schema.");
            SeamError::Refused(Problem::new("REVISION-UNKNOWN", cause, "Deploy again."))
        })?;
        let files = self.of(app, revision, builder).await.map_err(SeamError::Refused)?.files.clone();
        let beside: Vec<RevisionSchema> = beside.into_iter().filter_map(needs).collect();
        Ok(SchemaOrder { goal: goal.clone(), wanted, files, beside })
    }
}

fn too_slow(id: RevisionId) -> Problem {
    let cause = format!(
        "what {id} says of its database could not be read from its files within {} s.",
        READ_DATABASE.as_secs()
    );
    Problem::new("MIGRATIONS-UNREADABLE", cause, "Look at the disk of the state directory; it is tried again.")
}

/// Rises with what is journaled, so that a controller that was away can not go on where another one is further.
fn epoch(app: &App) -> u64 {
    app.sequence
}
