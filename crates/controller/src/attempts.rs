//! Builds and hooks on their way: owned tasks, started only when their start is journaled.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchover_fetch::Client;
use switchover_model::config::AppConfig;
use switchover_model::record::{Actor, AttemptId, AttemptResult, Draft, Event};
use switchover_model::revision::{Revision, Source};
use switchover_model::schema::Schema;
use switchover_model::seam::{Builder, HookAnswer};
use switchover_model::{Problem, ReleaseId, RevisionId, Timestamp};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use crate::clock;
use crate::framework::{Carried, Job};
use crate::hooks::Call;
use crate::values::Vault;

/// What an attempt that ran to its end gives.
pub(crate) enum Made {
    /// A sealed revision.
    Revision(Box<Revision>),
    /// The output of a backup.
    Output(Vec<String>),
    /// What a hook answered.
    Answer(HookAnswer),
    /// What the app's own framework did.
    Migrated(Box<Carried>),
}

/// What is to be built.
pub(crate) struct Build {
    pub(crate) config: AppConfig,
    pub(crate) revision: RevisionId,
    pub(crate) source: Source,
    pub(crate) env: BTreeMap<String, String>,
    /// Where the values of both are.
    pub(crate) vault: Vault,
}

impl Build {
    /// The same with the values that the journal does not hold.
    async fn with_values(mut self) -> Result<Self, Problem> {
        let opened = tokio::task::spawn_blocking(move || {
            self.vault.open(&mut self.config.env)?;
            self.vault.open(&mut self.env)?;
            Ok(self)
        });
        opened.await.unwrap_or_else(|error| {
            let cause = format!("The values of the environment could not be read: {error}.");
            Err(Problem::new("VALUES-MISSING", cause, "Deploy again: the values come with each deploy."))
        })
    }
}

/// The running attempts of one app.
#[derive(Default)]
pub(crate) struct Attempts {
    tasks: JoinSet<Result<Made, Problem>>,
    client: Client,
    running: BTreeMap<AttemptId, Running>,
}

struct Running {
    task: AbortHandle,
    since: Timestamp,
}

impl Attempts {
    /// Whether `attempt` runs here.
    pub(crate) fn runs(&self, attempt: AttemptId) -> bool {
        self.running.contains_key(&attempt)
    }

    /// Starts a build.
    pub(crate) fn build(&mut self, attempt: AttemptId, builder: Arc<dyn Builder>, build: Build) {
        let task = self.tasks.spawn(async move {
            let build = build.with_values().await?;
            let made = builder.build(&build.config, build.revision, &build.source, &build.env).await?;
            Ok(Made::Revision(Box::new(made)))
        });
        self.running.insert(attempt, Running { task, since: clock::now() });
    }

    /// Asks a hook.
    pub(crate) fn hook(&mut self, attempt: AttemptId, builder: Arc<dyn Builder>, call: Call) {
        let client = self.client.clone();
        let task = self.tasks.spawn(async move { call.ask(builder, client).await.map(Made::Answer) });
        self.running.insert(attempt, Running { task, since: clock::now() });
    }

    /// Starts a backup.
    pub(crate) fn backup(
        &mut self,
        attempt: AttemptId,
        builder: Arc<dyn Builder>,
        config: AppConfig,
        revision: Revision,
        release: ReleaseId,
    ) {
        let task = self.tasks.spawn(async move { builder.backup(&config, &revision, release).await.map(Made::Output) });
        self.running.insert(attempt, Running { task, since: clock::now() });
    }

    /// Starts a run of the app's own framework.
    pub(crate) fn migrate(&mut self, attempt: AttemptId, builder: Arc<dyn Builder>, schema: Arc<dyn Schema>, job: Job) {
        let task =
            self.tasks.spawn(async move { job.run(builder, schema).await.map(|done| Made::Migrated(Box::new(done))) });
        self.running.insert(attempt, Running { task, since: clock::now() });
    }

    /// An attempt that can not even be started.
    pub(crate) fn fail(&mut self, attempt: AttemptId, cause: Problem) {
        let task = self.tasks.spawn(async move { Err(cause) });
        self.running.insert(attempt, Running { task, since: clock::now() });
    }

    /// Stops an attempt; its end comes as [`AttemptResult::Cancelled`].
    pub(crate) fn cancel(&self, attempt: AttemptId) {
        if let Some(running) = self.running.get(&attempt) {
            running.task.abort();
        }
    }

    /// The records of the next attempt that ends; waits for ever when none runs. Cancellation safe.
    pub(crate) async fn ended(&mut self) -> Vec<Draft> {
        loop {
            match self.tasks.join_next_with_id().await {
                Some(Ok((id, outcome))) => {
                    if let Some(drafts) = self.drafts(id, Ok(outcome)) {
                        return drafts;
                    }
                }
                Some(Err(error)) => {
                    if let Some(drafts) = self.drafts(error.id(), Err(error)) {
                        return drafts;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Stops all of them and waits until they have. Their ends are not recorded: the next controller counts them as lost.
    pub(crate) async fn shut_down(&mut self) {
        self.tasks.shutdown().await;
        self.running.clear();
    }

    fn drafts(&mut self, id: Id, outcome: Result<Result<Made, Problem>, JoinError>) -> Option<Vec<Draft>> {
        let attempt = *self.running.iter().find(|(_, running)| running.task.id() == id)?.0;
        let since = self.running.remove(&attempt)?.since;
        let at = clock::now();
        let (result, more) = match outcome {
            Ok(Ok(Made::Revision(revision))) => {
                (AttemptResult::Passed { output: Vec::new() }, Some(Event::Sealed { revision }))
            }
            Ok(Ok(Made::Migrated(carried))) => {
                let Carried { release, migrated, output } = *carried;
                let migrated = migrated.map(|migrated| Event::Migrated { release, migrated: Box::new(migrated) });
                (AttemptResult::Passed { output: last_lines(output) }, migrated)
            }
            Ok(Ok(Made::Answer(HookAnswer::NotYet(output)))) => {
                (AttemptResult::NotYet { output: last_lines(output) }, None)
            }
            Ok(Ok(Made::Output(output) | Made::Answer(HookAnswer::Passed(output)))) => {
                (AttemptResult::Passed { output: last_lines(output) }, None)
            }
            Ok(Err(cause)) => (AttemptResult::Failed { cause }, None),
            Err(error) if error.is_cancelled() => (AttemptResult::Cancelled, None),
            Err(error) => {
                let cause = Problem::new(
                    "ATTEMPT-BROKEN",
                    format!("A part of Switchover itself broke down in this attempt: {error}."),
                    "Report it with the daemon's log; the next deploy tries again.",
                );
                (AttemptResult::Failed { cause }, None)
            }
        };
        let record = |event| Draft { at, actor: Actor::Controller, event };
        let mut drafts = vec![record(Event::AttemptEnded { attempt, result, took: at.since(since) })];
        drafts.extend(more.map(record));
        Some(drafts)
    }
}

fn last_lines(mut output: Vec<String>) -> Vec<String> {
    output.split_off(output.len().saturating_sub(Problem::DETAIL_LINES))
}
