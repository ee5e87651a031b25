//! Making true what was decided: what is due is asked of the world, all at once, and attempts are started.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use switchover_model::record::{Attempt, Event};
use switchover_model::release::Stage;
use switchover_model::schema::{SchemaOrder, SchemaPlace};
use switchover_model::seam::{Action, ArmGoal, HookCall, Routes, RoutesGoal, SeamError};
use switchover_model::{AppName, Problem, ReleaseId, RevisionId, Share, Slot, Span};
use switchover_rollout::{Try, current_try, limits};
use tokio::time::timeout;

use crate::acts::{About, begins_something, is_full};
use crate::attempts::Build;
use crate::bounds::ACT;
use crate::clock;
use crate::framework::Job;
use crate::hooks::Call;
use crate::routes;
use crate::world::Parts;

use super::{Turner, draft};

impl Turner {
    /// Makes true what is not yet. Returns whether anything was asked of the world that changes what is to be decided.
    pub(super) async fn act(&mut self, actions: Vec<Action>) -> bool {
        let mut about = Vec::new();
        let mut asked = Vec::new();
        for action in actions {
            match &action {
                Action::Build { .. } | Action::Hook { .. } | Action::Backup { .. } | Action::Migrate { .. } => {
                    self.attempt(&action);
                }
                Action::Schema(_) => {
                    about.push(About::Schema);
                    asked.push((About::Schema, action));
                }
                Action::MarkSchema { .. } => {
                    about.push(About::RestorePoint);
                    asked.push((About::RestorePoint, action));
                }
                Action::CancelAttempt { attempt } => self.attempts.cancel(*attempt),
                Action::Route(_) => {
                    about.push(About::Routes);
                    asked.push((About::Routes, action));
                }
                Action::Ensure(spec) => {
                    about.push(About::Slot(spec.slot));
                    asked.push((About::Slot(spec.slot), action));
                }
                Action::Stop { slot } => {
                    about.push(About::Slot(*slot));
                    asked.push((About::Slot(*slot), action));
                }
                Action::KeepRevisions { .. } => {
                    about.push(About::Revisions);
                    asked.push((About::Revisions, action));
                }
            }
        }
        if let Some(goal) = routes::before_the_first(&self.app) {
            about.push(About::Routes);
            asked.push((About::Routes, Action::Route(Box::new(goal))));
        }
        self.acts.keep_only(&about);
        if self.databases.works && !about.contains(&About::Schema) {
            self.databases.works = self.parts.schema.rest(&self.app.name).await.is_err();
        }
        self.ask(asked).await
    }

    /// Asks for what is due, all at once, each within its bound.
    async fn ask(&mut self, wanted: Vec<(About, Action)>) -> bool {
        let instances = self.platform.as_ref().map(|seen| seen.instances.clone()).unwrap_or_default();
        let mut due = Vec::new();
        for (about, action) in wanted {
            let routes = match &action {
                Action::Route(goal) => match self.routes_to_set(goal) {
                    Some(routes) => Some(routes),
                    None => continue,
                },
                Action::Ensure(_)
                | Action::Stop { .. }
                | Action::KeepRevisions { .. }
                | Action::Schema(_)
                | Action::MarkSchema { .. } => None,
                Action::Build { .. }
                | Action::Hook { .. }
                | Action::Backup { .. }
                | Action::Migrate { .. }
                | Action::CancelAttempt { .. } => continue,
            };
            let is_new_route =
                routes.as_ref().is_some_and(|routes| !self.is_in_force_as_far_as_an_older_router_keeps_it(routes));
            if self.acts.is_due(about, &action, &instances) || (is_new_route && !self.acts.fails(about)) {
                due.push((about, action, routes));
            }
        }
        if due.is_empty() {
            return false;
        }
        self.seen_is_stale = true;
        let place = self.databases.place(&self.app, &self.parts.builder).await;
        let mut orders = BTreeMap::new();
        for (about, action, _) in &due {
            if let Action::Schema(goal) = action {
                self.databases.works = true;
                orders.insert(*about, self.databases.order(&self.app, goal, &self.parts.builder).await);
            }
        }
        let (place, orders) = (&place, &orders);
        let parts = &self.parts;
        let app = &self.app;
        let done = join_all(due.into_iter().map(async |(about, action, routes)| {
            let asked = Asked { routes: routes.as_ref(), place: place.as_ref(), order: orders.get(&about) };
            let bounded = async || {
                timeout(ACT, perform(parts, &app.name, &action, asked)).await.unwrap_or_else(|_| {
                    Err(SeamError::Unreachable(format!("there was no answer within {} s", ACT.as_secs())))
                })
            };
            let mut outcome = bounded().await;
            if is_full(&outcome) && !begins_something(app, &action) && parts.journal.give_space().await {
                outcome = bounded().await;
            }
            (about, action, outcome)
        }))
        .await;
        let mut moved = false;
        for (about, action, outcome) in done {
            if let Err(error) = &outcome {
                tracing::warn!(app = %self.app.name, ?about, %error, "an action failed");
            }
            moved |= outcome.is_ok() && about == About::Routes;
            if let Some(problem) = self.acts.done(about, action, &instances, outcome) {
                let release = self.app.moving().map(|release| release.id);
                self.pending.push(draft(clock::now(), Event::Noted { release, problem }));
            }
        }
        moved
    }

    /// The routes for `goal`, unless they are what is seen in force, or the platform was never seen.
    fn routes_to_set(&self, goal: &RoutesGoal) -> Option<Routes> {
        let in_force = self.seen.traffic.as_ref().and_then(|traffic| traffic.routes.as_ref());
        let routes = routes::fill(&self.app, goal, self.platform.as_ref()?, in_force, &self.token);
        // Routes that no decision of ours made are a decision's matter.
        let is_foreign = self.app.routes.is_none() && in_force.is_some_and(|known| known.version > 0);
        (in_force != Some(&routes) && !is_foreign).then_some(routes)
    }

    /// A router of an older version keeps neither the preview's host nor what tells clients apart: it is told now and then, not
    /// at every turn.
    fn is_in_force_as_far_as_an_older_router_keeps_it(&self, routes: &Routes) -> bool {
        let in_force = self.seen.traffic.as_ref().and_then(|traffic| traffic.routes.as_ref());
        in_force.is_some_and(|known| {
            let (preview_host, sticky) = (known.preview_host.clone(), known.sticky.clone());
            *known == Routes { preview_host, sticky, ..routes.clone() }
        })
    }

    /// While nothing can be recorded, what was decided before still holds: dead instances leave the table.
    pub(super) async fn keep_routes_healthy(&mut self) {
        let Some((_, goal)) = self.app.routes() else { return };
        let action = Action::Route(Box::new(goal.clone()));
        self.ask(vec![(About::Routes, action)]).await;
    }

    fn attempt(&mut self, action: &Action) {
        let builder = Arc::clone(&self.parts.builder);
        match action {
            Action::Build { attempt, revision, source } if !self.attempts.runs(*attempt) => {
                let Some((config, env)) = self.app.making(*revision) else {
                    return self.attempts.fail(*attempt, no_config(*revision));
                };
                let (config, env) = (config.clone(), env.clone());
                let build =
                    Build { config, revision: *revision, source: source.clone(), env, vault: self.vault.clone() };
                self.attempts.build(*attempt, builder, build);
            }
            Action::Hook { attempt, release, stage, hook, slot, revision } if !self.attempts.runs(*attempt) => {
                match self.question((*release, *stage, *hook), *slot, *revision) {
                    Some(call) => self.attempts.hook(*attempt, builder, call),
                    None => self.attempts.fail(*attempt, no_config(*revision)),
                }
            }
            Action::Backup { attempt, release, revision } if !self.attempts.runs(*attempt) => {
                let (Some(config), Some(sealed)) = (self.app.config.clone(), self.app.revision(*revision)) else {
                    return self.attempts.fail(*attempt, no_config(*revision));
                };
                self.attempts.backup(*attempt, builder, config, sealed.clone(), *release);
            }
            Action::Migrate { attempt, release, revision, step } if !self.attempts.runs(*attempt) => {
                match Job::of(&self.app, *release, *revision, *step) {
                    Some(job) => self.attempts.migrate(*attempt, builder, Arc::clone(&self.parts.schema), job),
                    None => self.attempts.fail(*attempt, no_config(*revision)),
                }
            }
            // It runs already, or is no attempt.
            Action::Build { .. }
            | Action::Hook { .. }
            | Action::Backup { .. }
            | Action::Migrate { .. }
            | Action::CancelAttempt { .. }
            | Action::Ensure(_)
            | Action::Stop { .. }
            | Action::Route(_)
            | Action::Schema(_)
            | Action::MarkSchema { .. }
            | Action::KeepRevisions { .. } => {}
        }
    }

    /// The next question to a hook, with what is left of its time.
    fn question(&self, (id, stage, hook): (ReleaseId, Stage, usize), slot: Slot, revision: RevisionId) -> Option<Call> {
        let (release, config) = (self.app.release(id)?, self.app.config_of(id)?);
        let timeout = config.release.hooks.get(hook).map_or(Span::ZERO, |hook| hook.timeout);
        let Try { number, since } = current_try(release, &Attempt::Hook { stage, hook });
        let left = (since + timeout).since(clock::now()).max(timeout.min(limits::LAST_QUESTION));
        let call = self.hook_call((id, hook), slot, revision, left);
        let sealed = self.app.revision(revision).cloned();
        Some(Call { config: config.clone(), revision, sealed, stage, number, call })
    }

    /// `SWITCHOVER_URL` is the instance itself where one routed process answers for everything, so that a plain `curl`
    /// reaches the slot under test; with several it is the router, which asks for the preview's host and token.
    fn hook_call(
        &self,
        (release, hook): (ReleaseId, usize),
        slot: Slot,
        revision: RevisionId,
        limit: Span,
    ) -> HookCall {
        let arm = ArmGoal { slot, revision, share: Share::NONE };
        let processes =
            self.platform.as_ref().map(|seen| routes::healthy_endpoints(&self.app, &arm, seen)).unwrap_or_default();
        let direct = match processes.as_slice() {
            [only] => only.endpoints.first().map(|endpoint| format!("http://{}", endpoint.address)),
            _ => None,
        };
        let preview = self.app.config.as_ref().and_then(|config| config.route.preview.as_ref());
        HookCall {
            hook,
            limit,
            release,
            slot,
            url: direct.or_else(|| self.parts.http.clone()).unwrap_or_default(),
            preview_token: self.token.secret().to_owned(),
            preview_host: preview.map(|rule| rule.host.clone()),
        }
    }
}

/// What an action takes beside itself.
#[derive(Clone, Copy)]
struct Asked<'a> {
    routes: Option<&'a Routes>,
    place: Option<&'a SchemaPlace>,
    order: Option<&'a Result<SchemaOrder, SeamError>>,
}

async fn perform(parts: &Parts, app: &AppName, action: &Action, asked: Asked<'_>) -> Result<(), SeamError> {
    let placed = || {
        asked.place.ok_or_else(|| SeamError::Unreachable("where the app's database is could not be read".to_owned()))
    };
    match action {
        Action::Schema(_) => match asked.order {
            Some(Ok(order)) => parts.schema.ensure(placed()?, order).await,
            Some(Err(error)) => Err(error.clone()),
            None => Ok(()),
        },
        Action::MarkSchema { release } => parts.schema.mark(placed()?, *release).await,
        Action::Route(_) => match asked.routes {
            Some(routes) => {
                if routes.version == 0 {
                    // Before the first decision the hosts may change under the same number; nobody is led by them.
                    parts.traffic.remove(app).await?;
                }
                parts.traffic.ensure(routes).await
            }
            None => Ok(()),
        },
        Action::Ensure(spec) => parts.platform.ensure(spec).await,
        Action::Stop { slot } => parts.platform.stop(app, *slot).await,
        Action::KeepRevisions { keep } => parts.builder.keep(app, keep).await,
        // Attempts are tasks of their own.
        Action::Build { .. }
        | Action::Hook { .. }
        | Action::Backup { .. }
        | Action::Migrate { .. }
        | Action::CancelAttempt { .. } => Ok(()),
    }
}

fn no_config(revision: RevisionId) -> Problem {
    let cause = format!("Nothing is known of how {revision} is made.");
    Problem::new("REVISION-UNKNOWN", cause, "Deploy again.")
}
