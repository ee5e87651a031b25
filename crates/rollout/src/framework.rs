//! The app's own migration framework: run before the new revision serves and again when the old one is gone, each time as an
//! attempt. What it did is in its records; nothing of it is ever run backwards.

use switchover_model::config::OnCrash;
use switchover_model::framework::Step;
use switchover_model::record::{Attempt, AttemptId, AttemptResult};
use switchover_model::schema::FrameworkSeen;
use switchover_model::{Problem, ReleaseId, RevisionId};

use crate::app::App;
use crate::attempts::{self, Progress};
use crate::contract::Contract;
use crate::release::AttemptState;
use crate::turn::Turn;
use crate::{limits, schema};

impl App {
    /// Whether the app's own framework changes the schema for this revision.
    #[must_use]
    pub fn has_framework(&self, revision: RevisionId) -> bool {
        let database = self.revisions.get(&revision).and_then(|state| state.config.database.as_ref());
        database.is_some_and(|database| database.framework().is_some())
    }

    /// A migration that was contracted, or begun to be, and that `revision` was made without: it can not run any more.
    #[must_use]
    pub fn contracted_without(&self, revision: RevisionId) -> Option<String> {
        let state = self.revisions.get(&revision)?;
        let known = self.known(revision);
        let vouched = state.config.database.as_ref().map(|database| &database.vouch);
        let lacks = |known: &[String], name: &String| {
            !known.contains(name) && !vouched.is_some_and(|vouched| vouched.contains(name))
        };
        let contracted = self.contracted.iter().find(|(name, by)| match known {
            Some(known) => lacks(known, name),
            // Whoever came after it was made from what was there then.
            None => revision < **by,
        });
        let by_alone = || {
            let alone = self.migrated_alone.filter(|alone| revision < *alone)?;
            match known.zip(self.known(alone)) {
                Some((known, all)) => all.iter().find(|name| lacks(known, name)).cloned(),
                None => Some(format!("of {alone}")),
            }
        };
        contracted.map(|(name, _)| name.clone()).or_else(by_alone)
    }

    /// Every migration that the framework of `revision` has; nothing where that was not learnt.
    fn known(&self, revision: RevisionId) -> Option<&[String]> {
        self.revisions.get(&revision)?.migrated.as_ref()?.known.as_deref()
    }

    /// Where nothing else is live, all that the revision has may be carried out before it serves.
    pub(crate) fn begin_expand(&mut self, release: ReleaseId, what: &Attempt) {
        let own = self.release(release).map(|release| release.revision).filter(|_| *what == EXPAND);
        if own.is_some() && self.heading().is_none_or(|live| Some(live.revision) == own) {
            self.migrated_alone = self.migrated_alone.max(own);
        }
    }

    /// What the framework of `revision` has still to do in contract.
    #[must_use]
    pub fn waits_for_contract(&self, revision: RevisionId) -> &[String] {
        let migrated = self.revisions.get(&revision).and_then(|state| state.migrated.as_ref());
        migrated.map_or(&[], |migrated| &migrated.waiting)
    }

    /// From here on what waits for this contract may be carried out.
    pub(crate) fn begin_contract(&mut self, release: ReleaseId, what: &Attempt) {
        if *what != CONTRACT {
            return;
        }
        let Some(revision) = self.release(release).map(|release| release.revision) else { return };
        for name in self.waits_for_contract(revision).to_vec() {
            self.contracted.entry(name).or_insert(revision);
        }
    }

    /// What waited for a contract that ended well is done.
    pub(crate) fn end_contract(&mut self, attempt: AttemptId, result: &AttemptResult) {
        let is_it = |state: &AttemptState| state.id == attempt && state.result.is_none() && state.what == CONTRACT;
        let release = self.releases.iter().find(|release| release.attempts.iter().any(is_it));
        let passed = matches!(result, AttemptResult::Passed { .. });
        if let Some(revision) = release.filter(|_| passed).map(|release| release.revision)
            && let Some(migrated) = self.revisions.get_mut(&revision).and_then(|state| state.migrated.as_mut())
        {
            migrated.waiting.clear();
        }
    }
}

/// Why `revision` can not run on what its framework has left; nothing when it can.
pub(crate) fn in_the_way(app: &App, revision: RevisionId) -> Option<String> {
    if let Some(name) = app.contracted_without(revision) {
        return Some(format!("migration {name}, which it does not know, is contracted"));
    }
    let is_done = app.revisions.get(&revision).is_some_and(|state| state.migrated.is_some());
    (!is_done).then(|| "the migrations of its framework were not run".to_owned())
}

/// What is shown of the framework; nothing where it changes no schema.
pub(crate) fn seen(app: &App) -> Option<FrameworkSeen> {
    let revision = app.heading().map(|live| live.revision).filter(|live| app.has_framework(*live))?;
    let waiting = app.waits_for_contract(revision).to_vec();
    Some(FrameworkSeen { revision, waiting, contracted: app.contracted.keys().cloned().collect() })
}

const EXPAND: Attempt = Attempt::Migrate { step: Step::Expand };
const CONTRACT: Attempt = Attempt::Migrate { step: Step::Contract };

/// Has what both revisions can live with carried out. It asks the framework first, so a lost run is just run again.
pub(crate) fn expand(turn: &mut Turn<'_>, id: ReleaseId, revision: RevisionId) {
    if let Some(name) = turn.app.contracted_without(revision) {
        let problem = gone_on(revision, &name);
        return turn.undo(id, problem);
    }
    match run(turn, id, &EXPAND) {
        Progress::Running => {}
        Progress::Failed(problem) => turn.undo(id, problem),
        Progress::Passed => {
            let why = schema::obstacle(turn, revision).unwrap_or_default();
            let cause = format!("{revision} can not run on the schema that is there: {why}.");
            turn.undo(id, Problem::new("SCHEMA-NOT-SERVED", cause, "Deploy again."));
        }
    }
}

/// Has carried out what only this revision can live with.
pub(crate) fn contract(turn: &mut Turn<'_>, id: ReleaseId) -> Contract {
    match run(turn, id, &CONTRACT) {
        Progress::Running | Progress::Passed => Contract::Work,
        Progress::Failed(problem) => Contract::Pending(problem),
    }
}

fn run(turn: &mut Turn<'_>, id: ReleaseId, what: &Attempt) -> Progress {
    let limit = schema::rules(&turn.app).map_or(limits::EXPAND, |rules| limits::expand(rules.backfill_timeout));
    attempts::attempt(turn, id, what, limit, OnCrash::Rerun)
}

/// The refusal of a revision that the schema has left behind.
#[must_use]
pub fn gone_on(revision: RevisionId, name: &str) -> Problem {
    let cause = format!(
        "{revision} was made without migration {name}, which is carried out whole: what only older revisions needed may be \
         gone, so it can not run on the schema that is there, and nothing of a framework is run backwards."
    );
    let next = "Deploy a revision that has this migration: for the older content, put its code back beside a new \
                migration that makes what it needs. Rows come from your backup.";
    Problem::new("SCHEMA-GONE-ON", cause, next)
}
