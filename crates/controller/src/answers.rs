//! What the controller answers: computed from an app's fold and what is seen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use switchover_journal::{Broken, Verified};
use switchover_model::answer::{
    HistoryView, JournalView, LogNews, ReceiptView, ReplayView, TrafficView, WaitAnswer, WaitUntil,
};
use switchover_model::experiment::ExperimentReport;
use switchover_model::record::{History, Record};
use switchover_model::seam::TrafficSeen;
use switchover_model::view::{PreviewView, ReleaseView, SCHEMA_VERSION, StatusView};
use switchover_model::{AppName, Problem, ProcessName, ReleaseId};
use switchover_platform::LogQuery;
use switchover_rollout::{App, notes, receipt, view};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::bounds::{OBSERVE_TRAFFIC, WAIT};
use crate::clock;
use crate::controller::Controller;
use crate::evidence::{replay, report};
use crate::redact::without_values;
use crate::refusals;
use crate::shown::Shown;

impl Controller {
    /// The status of `app`, as of its last look at the world.
    pub async fn status(&self, app: &AppName) -> Result<StatusView, Problem> {
        let shown = self.shown(app).await?;
        let mut status = view::status(&shown.app, &shown.seen, clock::now());
        status.url.clone_from(&self.parts().http);
        status.preview = preview(&shown);
        status.notes.extend(notes(&shown.app));
        status.problems.extend(shown.problems);
        status.problems.extend(self.router_problem());
        status.problems.extend(self.untold(app));
        Ok(status)
    }

    /// Every release of `app` that is remembered.
    pub async fn history(&self, app: &AppName) -> Result<HistoryView, Problem> {
        let shown = self.shown(app).await?;
        Ok(HistoryView { schema_version: SCHEMA_VERSION, app: app.clone(), releases: view::history(&shown.app) })
    }

    /// The receipt of a release; of the newest when none is named. An open one rests on counters read now.
    pub async fn receipt(&self, app: &AppName, release: Option<ReleaseId>) -> Result<ReceiptView, Problem> {
        let shown = self.shown(app).await?;
        let found = match release {
            Some(release) => shown.app.any_release(release),
            None => shown.app.all_releases().next_back(),
        };
        let Some(found) = found.map(|found| found.id) else { return Err(refusals::unknown_release(app, release)) };
        let seen = self.traffic_now(app).await;
        let ledger = seen.as_ref().map(|seen| &seen.ledger);
        let evidence = self.parts().traffic.evidence();
        // The app again: it may have moved on while the traffic was asked.
        let shown = self.shown(app).await?;
        let receipt = receipt::receipt(&shown.app, found, ledger, clock::now(), evidence)
            .ok_or_else(|| refusals::no_receipt(app, found))?;
        Ok(ReceiptView { schema_version: SCHEMA_VERSION, app: app.clone(), receipt })
    }

    /// The traffic of `app`, asked now.
    pub async fn traffic(&self, app: &AppName) -> Result<TrafficView, Problem> {
        let shown = self.shown(app).await?;
        Ok(TrafficView {
            schema_version: SCHEMA_VERSION,
            app: app.clone(),
            evidence: self.parts().traffic.evidence(),
            seen: self.traffic_now(app).await,
            sequence: shown.app.sequence,
        })
    }

    /// At most `limit` records of `app` after `after`, in order, with the values of its environment taken out.
    pub async fn records(&self, app: &AppName, after: u64, limit: usize) -> Result<Vec<Record>, Problem> {
        self.shown(app).await?;
        let mut records = self.parts().journal.read(app, after, limit).await.map_err(|error| error.problem())?;
        records.iter_mut().for_each(without_values);
        Ok(records)
    }

    /// Whether `app`'s journal is as it was written: its whole chain is walked.
    pub async fn verify(&self, app: &AppName) -> Result<JournalView, Problem> {
        self.shown(app).await?;
        let verified = self.parts().journal.verify(app).await.map_err(|error| error.problem())?;
        let (schema_version, app) = (SCHEMA_VERSION, app.clone());
        Ok(match verified {
            Verified::Whole { records, head } => {
                JournalView { schema_version, app, whole: true, records, head: Some(head), broken: None }
            }
            Verified::Broken(Broken { sequence, what }) => {
                let records = sequence.saturating_sub(1);
                let broken = Some(format!("record {sequence}: {what}"));
                JournalView { schema_version, app, whole: false, records, head: None, broken }
            }
        })
    }

    /// Every moment at which something followed from the checks of `release` (of each that the journal holds, when none is
    /// named), with what the journal's looks give now.
    pub async fn replay(&self, app: &AppName, release: Option<ReleaseId>) -> Result<ReplayView, Problem> {
        self.shown(app).await?;
        let records = self.parts().journal.read(app, 0, usize::MAX).await.map_err(|error| error.problem())?;
        let history = History { app: app.clone(), records };
        let replayed = tokio::task::spawn_blocking(move || replay(&history, release)).await;
        let moments = replayed.map_err(|error| {
            let cause =
                format!("A part of Switchover itself broke down while it replayed the checks of {app}: {error}.");
            Problem::new("REPLAY-BROKEN", cause, "Report it with the daemon's log.")
        })?;
        Ok(ReplayView { schema_version: SCHEMA_VERSION, app: app.clone(), moments })
    }

    /// The report of the experiment that `release` is; of the newest one, when none is named.
    pub async fn experiment(&self, app: &AppName, release: Option<ReleaseId>) -> Result<ExperimentReport, Problem> {
        self.shown(app).await?;
        let records = self.parts().journal.read(app, 0, usize::MAX).await.map_err(|error| error.problem())?;
        let history = History { app: app.clone(), records };
        let reported = tokio::task::spawn_blocking(move || report(&history, release)).await;
        let found = reported.map_err(|error| {
            let cause = format!("A part of Switchover itself broke down while it reported on {app}: {error}.");
            Problem::new("REPLAY-BROKEN", cause, "Report it with the daemon's log.")
        })?;
        found.map_err(|none| refusals::no_experiment(app, release, none))
    }

    /// The output that `query` asks for. Errors: it names a process type or an instance that there is not.
    pub fn logs(&self, query: LogQuery) -> Result<mpsc::Receiver<LogNews>, Problem> {
        let shown = self.watch(&query.app)?;
        let logs = self.parts().logs.as_ref().ok_or_else(refusals::no_logs)?;
        if query.process.is_some() || query.instance.is_some() {
            let kept = (logs.kept)(&query.app);
            if let Some(instance) = &query.instance
                && kept.iter().all(|(known, _)| known != instance)
            {
                return Err(refusals::unknown_instance(&query.app, instance, &kept));
            }
            // One of the file may have no instance yet, and an instance's type may have left the file.
            let app = Arc::clone(&shown.borrow().app);
            let of_the_file = app.config.iter().flat_map(|config| config.processes.keys());
            let known: BTreeSet<&ProcessName> = of_the_file.chain(kept.iter().map(|(_, process)| process)).collect();
            if let Some(process) = query.process.as_ref().filter(|process| !known.contains(process)) {
                return Err(refusals::unknown_process(&query.app, process, &known));
            }
        }
        Ok((logs.lines)(query))
    }

    /// Waits until `release` has come as far as `until` says, or has an outcome; at most `limit`.
    pub async fn wait(
        &self,
        app: &AppName,
        release: ReleaseId,
        until: WaitUntil,
        limit: Duration,
    ) -> Result<WaitAnswer, Problem> {
        self.shown(app).await?;
        let mut shown = self.watch(app)?;
        let there = shown.wait_for(|shown| is_there(&shown.app, release, until).is_none_or(|(done, _)| done));
        let ended = timeout(limit.min(WAIT), there).await;
        let timed_out = ended.is_err();
        drop(ended);
        let app_now = Arc::clone(&shown.borrow().app);
        let Some((done, release)) = is_there(&app_now, release, until) else {
            return Err(refusals::unknown_release(app, Some(release)));
        };
        Ok(WaitAnswer {
            schema_version: SCHEMA_VERSION,
            app: app.clone(),
            done,
            timed_out: timed_out && !done,
            release,
        })
    }

    async fn traffic_now(&self, app: &AppName) -> Option<TrafficSeen> {
        timeout(OBSERVE_TRAFFIC, self.parts().traffic.observe(app)).await.ok()?.ok()
    }
}

fn is_there(app: &App, release: ReleaseId, until: WaitUntil) -> Option<(bool, ReleaseView)> {
    let view = view::history(app).into_iter().find(|view| view.release == release)?;
    let done = match until {
        WaitUntil::Switched => (view.switched_at.is_some() && !view.undoing) || view.outcome.is_some(),
        WaitUntil::Settled => view.settled_at.is_some(),
    };
    Some((done, view))
}

fn preview(shown: &Shown) -> Option<PreviewView> {
    let rule = shown.app.config.as_ref()?.route.preview.as_ref()?;
    let goal = shown.app.routes.as_ref().and_then(|routes| routes.goal.preview);
    Some(PreviewView {
        host: rule.host.clone(),
        token: shown.token.as_ref()?.secret().to_owned(),
        slot: goal.map(|arm| arm.slot),
    })
}
