//! The controller as the API sees it, and the supervisor of the apps' tasks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchover_model::answer::{CommandAnswer, DaemonView};
use switchover_model::record::{Actor, IdempotencyKey};
use switchover_model::release::Command;
use switchover_model::seam::Seen;
use switchover_model::view::SCHEMA_VERSION;
use switchover_model::{AppName, Problem, Timestamp};
use switchover_rollout::App;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::app_task::{AppTask, Ask};
use crate::bounds::{APPS, COMMAND, COMMANDS, RELOAD, SHUTDOWN};
use crate::clock;
use crate::keeper::{keep_up, stopped};
use crate::notify::{Notifier, Troubles};
use crate::refusals;
use crate::shown::{Publisher, Shown};
use crate::world::Parts;

/// The controller: one task an app, found again by name. Clones are the same controller.
#[derive(Clone)]
pub struct Controller {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Arc<Parts>,
    started_at: Timestamp,
    apps: Mutex<BTreeMap<AppName, Handle>>,
    /// Commands that bring hosts are admitted one at a time, whatever app they are for.
    hosts_turn: Arc<Semaphore>,
    new: mpsc::Sender<AppName>,
    stop: watch::Sender<bool>,
    router_problem: watch::Receiver<Option<Problem>>,
    tasks: Mutex<Option<JoinHandle<()>>>,
}

/// The way to one app's task.
#[derive(Clone)]
struct Handle {
    asks: mpsc::Sender<Ask>,
    shown: watch::Receiver<Shown>,
    count: watch::Receiver<u64>,
    troubles: Troubles,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("state", &self.inner.parts.state).finish_non_exhaustive()
    }
}

impl Controller {
    /// Looks after every app of the journal from now on.
    ///
    /// Flow: called once, with the parts of the real world or of a test. Guarantees: releases that an earlier controller
    /// left go on from where its journal ends. Errors: the journal can not be read.
    pub async fn with(parts: Parts) -> Result<Self, Problem> {
        let known = parts.journal.apps().await.map_err(|error| error.problem())?;
        let (new, asked_for) = mpsc::channel(COMMANDS);
        let (problem, router_problem) = watch::channel(None);
        let inner = Arc::new(Inner {
            parts: Arc::new(parts),
            started_at: clock::now(),
            apps: Mutex::default(),
            hosts_turn: Arc::new(Semaphore::new(1)),
            new,
            stop: watch::Sender::new(false),
            router_problem,
            tasks: Mutex::default(),
        });
        let supervisor =
            Supervisor { inner: Arc::clone(&inner), asked_for, tasks: JoinSet::new(), names: BTreeMap::new() };
        let task = tokio::spawn(supervisor.run(known.clone(), problem));
        *lock(&inner.tasks) = Some(task);
        let controller = Self { inner };
        for app in known {
            // Its task was asked for above; it is there as soon as the supervisor has run once.
            controller.handle_soon(&app).await;
        }
        Ok(controller)
    }

    /// The daemon itself.
    #[must_use]
    pub fn daemon(&self) -> DaemonView {
        DaemonView {
            schema_version: SCHEMA_VERSION,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: self.inner.parts.state.display().to_string(),
            http: self.inner.parts.http.clone(),
            lanes: self.inner.parts.lanes,
            started_at: self.inner.started_at,
        }
    }

    /// Every app that has a record, by name.
    #[must_use]
    pub fn apps(&self) -> Vec<AppName> {
        let apps = lock(&self.inner.apps);
        let known = apps.iter().filter(|(_, handle)| {
            let shown = handle.shown.borrow();
            !shown.is_loaded || shown.app.sequence > 0
        });
        known.map(|(name, _)| name.clone()).collect()
    }

    /// Gives `command` to `app`; it is journaled when this returns, and carried out from then on.
    ///
    /// Flow: a deploy or apply for an app that is not known makes it known. Guarantees: the same key twice is one command.
    /// Errors: why it is refused; nothing is changed then.
    pub async fn command(
        &self,
        app: &AppName,
        command: Command,
        key: IdempotencyKey,
        actor: Actor,
    ) -> Result<CommandAnswer, Problem> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            let mut hosts_turn = None;
            if let Command::Apply { config } | Command::Deploy { config, .. } = &command {
                // One at a time, so that of two apps that want a host the second one sees the first.
                let turn = Arc::clone(&self.inner.hosts_turn).acquire_owned().await;
                hosts_turn = Some(turn.map_err(|_| refusals::shutting_down())?);
                refusals::if_hosts_are_taken(app, config, &self.configs())?;
                refusals::if_the_traffic_lacks(config, &self.parts().traffic.abilities())?;
            }
            let handle = self.handle_for(app, &command).await?;
            let ask = Ask { command, key, actor, answer, hosts_turn };
            handle.asks.send(ask).await.map_err(|_| refusals::shutting_down())?;
            answered.await.map_err(|_| refusals::shutting_down())?
        };
        timeout(COMMAND, asked).await.unwrap_or_else(|_| Err(refusals::timed_out(app)))
    }

    /// Counts changes of what is shown of `app`: wait on it instead of asking again and again.
    pub fn changes(&self, app: &AppName) -> Result<watch::Receiver<u64>, Problem> {
        Ok(self.handle(app)?.count)
    }

    /// Ends the apps' tasks, and waits for them. Instances and the router go on; running attempts are stopped.
    pub async fn shutdown(&self) {
        self.inner.stop.send_replace(true);
        let task = lock(&self.inner.tasks).take();
        if let Some(mut task) = task
            && timeout(SHUTDOWN, &mut task).await.is_err()
        {
            tracing::warn!("an app's task did not end in time and was broken off");
            task.abort();
        }
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.inner.parts
    }

    pub(crate) fn router_problem(&self) -> Option<Problem> {
        self.inner.router_problem.borrow().clone()
    }

    /// What is shown of an app that has a record, once its journal was read.
    pub(crate) async fn shown(&self, app: &AppName) -> Result<Shown, Problem> {
        let mut shown = self.handle(app)?.shown;
        let loaded = shown.wait_for(|shown| shown.is_loaded || !shown.problems.is_empty());
        let shown = match timeout(COMMAND, loaded).await {
            Ok(Ok(shown)) => shown.clone(),
            Ok(Err(_)) => return Err(refusals::shutting_down()),
            Err(_) => return Err(refusals::timed_out(app)),
        };
        match shown.problems.first() {
            Some(problem) if !shown.is_loaded => Err(problem.clone()),
            Some(_) | None if shown.app.sequence == 0 => Err(self.unknown(app)),
            Some(_) | None => Ok(shown),
        }
    }

    pub(crate) fn watch(&self, app: &AppName) -> Result<watch::Receiver<Shown>, Problem> {
        Ok(self.handle(app)?.shown)
    }

    fn handle(&self, app: &AppName) -> Result<Handle, Problem> {
        self.known(app).ok_or_else(|| self.unknown(app))
    }

    fn known(&self, app: &AppName) -> Option<Handle> {
        lock(&self.inner.apps).get(app).cloned()
    }

    fn unknown(&self, app: &AppName) -> Problem {
        refusals::unknown_app(app, &self.apps())
    }

    async fn handle_for(&self, app: &AppName, command: &Command) -> Result<Handle, Problem> {
        match (self.handle(app), command) {
            (Err(_), Command::Apply { .. } | Command::Deploy { .. }) => {
                if lock(&self.inner.apps).len() >= APPS {
                    return Err(refusals::too_many_apps());
                }
                self.inner.new.send(app.clone()).await.map_err(|_| refusals::shutting_down())?;
                self.handle_soon(app).await.ok_or_else(|| refusals::timed_out(app))
            }
            (
                known,
                Command::Apply { .. }
                | Command::Deploy { .. }
                | Command::Promote { .. }
                | Command::Pause { .. }
                | Command::Resume { .. }
                | Command::Abort { .. }
                | Command::Rollback { .. },
            ) => known,
        }
    }

    /// The handle of an app whose task was asked for.
    async fn handle_soon(&self, app: &AppName) -> Option<Handle> {
        let there = async {
            loop {
                if let Some(handle) = self.known(app) {
                    return handle;
                }
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(COMMAND, there).await.ok()
    }

    /// What stands in the way of telling people what happens to `app`.
    pub(crate) fn untold(&self, app: &AppName) -> Vec<Problem> {
        self.known(app).map(|handle| lock(&handle.troubles).clone()).unwrap_or_default()
    }

    /// Every other app as it is known now.
    pub(crate) fn configs(&self) -> Vec<Arc<App>> {
        lock(&self.inner.apps).values().map(|handle| Arc::clone(&handle.shown.borrow().app)).collect()
    }
}

// === The supervisor ===

/// Owns the apps' tasks: starts one where it is asked for, and again when one broke down.
struct Supervisor {
    inner: Arc<Inner>,
    asked_for: mpsc::Receiver<AppName>,
    tasks: JoinSet<()>,
    names: BTreeMap<Id, AppName>,
}

/// Begins a task later, at once when everything stops.
async fn begin_after(after: Duration, mut stop: watch::Receiver<bool>, task: impl Future<Output = ()>) {
    tokio::select! {
        () = stopped(&mut stop) => {}
        () = sleep(after) => {}
    }
    task.await;
}

impl Supervisor {
    async fn run(mut self, known: Vec<AppName>, router_problem: watch::Sender<Option<Problem>>) {
        let mut stop = self.inner.stop.subscribe();
        let mut keeper = self.start_keeper(&stop, &router_problem, Duration::ZERO);
        for app in known {
            self.start(app, Duration::ZERO);
        }
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(app) = self.asked_for.recv() => {
                    if !lock(&self.inner.apps).contains_key(&app) {
                        self.start(app, Duration::ZERO);
                    }
                }
                Some(ended) = self.tasks.join_next_with_id() => {
                    let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, ())| *id);
                    if let Some(app) = self.names.remove(&id) {
                        tracing::error!(%app, "the app's task broke down and is started again");
                        self.start(app, RELOAD);
                    } else if keeper == Some(id) {
                        tracing::error!("the router's keeper broke down and is started again");
                        keeper = self.start_keeper(&stop, &router_problem, RELOAD);
                    } else if let Err(error) = ended {
                        tracing::error!(%error, "what tells people of an app broke down until the daemon is started again");
                    }
                }
            }
        }
        while self.tasks.join_next().await.is_some() {}
        lock(&self.inner.apps).clear();
    }

    /// Nothing when somebody else keeps the router up.
    fn start_keeper(
        &mut self,
        stop: &watch::Receiver<bool>,
        problem: &watch::Sender<Option<Problem>>,
        after: Duration,
    ) -> Option<Id> {
        let keeper = self.inner.parts.keeper.clone()?;
        let task = keep_up(keeper, stop.clone(), problem.clone());
        Some(self.tasks.spawn(begin_after(after, stop.clone(), task)).id())
    }

    /// Starts what tells people of an app. It ends with the app's own task, whose changes it follows.
    fn tell_of(&mut self, name: &AppName, shown: &watch::Receiver<Shown>, after: Duration) -> Troubles {
        let troubles = Troubles::default();
        let notifier = Notifier {
            name: name.clone(),
            parts: Arc::clone(&self.inner.parts),
            shown: shown.clone(),
            stop: self.inner.stop.subscribe(),
            unkept: None,
            troubles: Arc::clone(&troubles),
        };
        self.tasks.spawn(begin_after(after, self.inner.stop.subscribe(), notifier.run()));
        troubles
    }

    /// Starts an app's task, which begins `after`: what is asked of it meanwhile waits in its queue.
    fn start(&mut self, name: AppName, after: Duration) {
        let (asks, asked) = mpsc::channel(COMMANDS);
        let (shown, seen) = watch::channel(Shown {
            app: Arc::new(App::new(name.clone())),
            told_by: 0,
            seen: Arc::new(Seen::default()),
            problems: Vec::new(),
            token: None,
            is_loaded: false,
        });
        let (counted, count) = watch::channel(0);
        let task = AppTask {
            name: name.clone(),
            parts: Arc::clone(&self.inner.parts),
            asks: asked,
            shown: Publisher::new(shown, counted),
            stop: self.inner.stop.subscribe(),
        };
        let troubles = self.tell_of(&name, &seen, after);
        let stop = self.inner.stop.subscribe();
        let id = self.tasks.spawn(begin_after(after, stop, task.run())).id();
        self.names.insert(id, name.clone());
        lock(&self.inner.apps).insert(name, Handle { asks, shown: seen, count, troubles });
    }
}

/// Nothing is done under these locks that could panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
