//! What the control thread holds and does: the apps' routes, the switch over all lanes, the sums of their readings.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use switchover_model::receipt::Ledger;
use switchover_model::seam::{Measured, Routes, ShadowSeen, TrafficSeen};
use switchover_model::{AppName, Problem, RevisionId, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::accept::LaneCommand;
use crate::change::{Change, change};
use crate::control::Asked;
use crate::generation::Generation;
use crate::handover;
use crate::identity;
use crate::incarnations::Living;
use crate::kept::{Apps, InForce, Kept};
use crate::lane::Lane;
use crate::ledger::{self, Kind, LaneLedger, Owner};
use crate::measured;
use crate::table::Table;
use crate::wire::{Answer, Command, LaneApp, LaneSeen, RouterStatus, Setting};

/// How long a lane may take to answer. It answers between two requests, so this is a lane that hangs.
const LANE_ANSWER_TIME: Duration = Duration::from_secs(2);

/// How long after the first setting hosts that no app names stay unconfirmed, when the kept table could not be read: the
/// controller sets its apps one after the other.
const CONFIRM_TIME: Duration = Duration::from_secs(30);
/// When it is tried again, if the confirmed table could not be put in force.
const CONFIRM_AGAIN: Duration = Duration::from_secs(5);

/// What the switchboard begins with.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) directory: PathBuf,
    pub(crate) http: SocketAddr,
    pub(crate) generation: Generation,
    pub(crate) lanes: Vec<mpsc::Sender<LaneCommand>>,
    /// Counters of lanes that a predecessor had and we have not.
    pub(crate) left_over: Vec<LaneLedger>,
    /// Counters of a predecessor that still finishes what it has.
    pub(crate) living: Vec<Living>,
    pub(crate) kept: Kept,
    pub(crate) apps: Apps,
    /// What is counted of the experiments in the table.
    pub(crate) goals: crate::goals::Kept,
    /// What tells one key of the split from another.
    pub(crate) split_key: u64,
    pub(crate) kept_problem: Option<String>,
    /// Nobody knows which other hosts are served.
    pub(crate) is_incomplete: bool,
}

/// The control thread's state.
#[derive(Debug)]
pub(crate) struct Switchboard {
    begin: Begin,
    is_incomplete: bool,
    /// When it began, which nothing before or after it did: what it has measured began at nothing then.
    began: Timestamp,
    /// When the apps that were set are taken for all there are; nothing before the first is set.
    confirmed_at: Option<Instant>,
    is_stopping: bool,
    /// The table in force is not safe on disk, as far as is known; only a sync that has ended well says that it is.
    must_be_kept: bool,
    settings: HashMap<AppName, Setting>,
    syncing: Option<JoinHandle<std::io::Result<()>>>,
    /// Until when at the longest a router before this one may route new requests; nothing when none does.
    before_routes_until: Option<Instant>,
    /// Switches that wait for that, in their order.
    put_off: Vec<Asked>,
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Refused(#[from] Problem),
    #[error("a lane of the router does not answer")]
    LaneSilent,
}

impl Switchboard {
    pub(crate) fn new(begin: Begin) -> Self {
        let is_incomplete = begin.is_incomplete;
        let follows_another = !begin.living.is_empty() || handover::is_handed_over(&begin.directory);
        Self {
            begin,
            is_incomplete,
            began: Lane::exact_now(),
            confirmed_at: None,
            is_stopping: false,
            must_be_kept: false,
            settings: HashMap::new(),
            syncing: None,
            before_routes_until: follows_another.then(|| Instant::now() + handover::BEFORE_ROUTES_TIME),
            put_off: Vec::new(),
        }
    }

    /// Carries out one command, a switch not before it can be one: as long as a router before this one may route new
    /// requests by its own table, a client could see new, then old.
    ///
    /// Guarantees: whatever is no switch (other instances of the same decision, every look) never waits.
    /// Assumes: [`Self::look_at_those_before`] is called regularly. A client waits for its answer, so no more wait than
    /// there may be clients.
    pub(crate) async fn take(&mut self, (command, to): Asked) {
        if self.before_routes_until.is_some() && self.is_switch(&command) {
            self.put_off.push((command, to));
        } else {
            // A client that went away needs no answer.
            let _ = to.send(self.answer(command).await);
        }
    }

    fn is_switch(&self, command: &Command) -> bool {
        match command {
            Command::Ensure { routes, .. } => {
                let known = self.begin.apps.get(&routes.app).map(|app| &app.routes);
                matches!(change(known, routes), Ok(Change::Routes))
            }
            Command::Remove { .. } => true,
            Command::Status | Command::Observe { .. } | Command::ObserveAll | Command::Shutdown => false,
        }
    }

    async fn answer(&mut self, command: Command) -> Answer {
        let answered = match command {
            Command::Status => self.status().await.map(|status| Answer::Status(Box::new(status))),
            Command::Ensure { routes, setting } => self.ensure(*routes, setting).await.map(|()| Answer::Done),
            Command::Remove { app } => self.remove(&app).await.map(|()| Answer::Done),
            Command::Observe { app, .. } => self.observe(app).await.map(|seen| Answer::Seen(Box::new(seen))),
            Command::ObserveAll => self.observe_all().await.map(|apps| Answer::All { apps }),
            Command::Shutdown => {
                self.is_stopping = true;
                Ok(Answer::Done)
            }
        };
        answered.unwrap_or_else(|failure| match failure {
            Failure::Refused(problem) => Answer::Refused(problem),
            Failure::LaneSilent => Answer::Failed { cause: failure.to_string() },
        })
    }

    /// From now on status says that the router ends.
    pub(crate) fn begin_stopping(&mut self) {
        self.is_stopping = true;
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping
    }

    /// Tells every lane to end within `time`; what comes back is ready when all have.
    pub(crate) async fn stop_lanes(&self, time: Duration) -> impl Future<Output = ()> + use<> {
        let mut waiting = Vec::with_capacity(self.begin.lanes.len());
        for lane in &self.begin.lanes {
            let (sender, stopped) = oneshot::channel();
            // A lane that is gone needs no telling.
            let _ = lane.send(LaneCommand::Stop(time, sender)).await;
            waiting.push(stopped);
        }
        async move {
            for stopped in waiting {
                let _ = stopped.await;
            }
        }
    }

    /// Waits for what is still being written.
    pub(crate) async fn finish_writing(&mut self) {
        self.finish_sync().await;
    }

    // === Changing ===

    async fn ensure(&mut self, routes: Routes, setting: Setting) -> Result<(), Failure> {
        let app = routes.app.clone();
        if let Some(last) = self.settings.get(&app)
            && last.client == setting.client
            && last.serial >= setting.serial
        {
            return Err(Failure::Refused(Problem::new(
                "ROUTES-STALE",
                format!("a newer setting of {app} was carried out before this one."),
                "Nothing: the newer one is in force.",
            )));
        }
        let change = change(self.begin.apps.get(&app).map(|app| &app.routes), &routes)?;
        if change != Change::Nothing {
            let mut apps = self.begin.apps.clone();
            // Other instances of the same decision are no new one.
            let known = apps.get(&app).filter(|_| change == Change::Endpoints).map(|known| known.since);
            apps.insert(app.clone(), InForce { routes, since: known.unwrap_or_else(Lane::exact_now) });
            let anew = known.is_none().then_some(&app);
            self.switch(apps, anew).await?;
        }
        if self.is_incomplete && self.confirmed_at.is_none() {
            self.confirmed_at = Some(Instant::now() + CONFIRM_TIME);
        }
        self.settings.insert(app, setting);
        Ok(())
    }

    /// Called again and again: takes the apps that were set for all there are, when their time is over.
    pub(crate) async fn confirm(&mut self) {
        if !self.is_incomplete || self.confirmed_at.is_none_or(|at| Instant::now() < at) {
            return;
        }
        self.is_incomplete = false;
        if let Err(error) = self.switch(self.begin.apps.clone(), None).await {
            tracing::warn!(%error, "hosts that no app names stay unconfirmed");
            self.is_incomplete = true;
            self.confirmed_at = Some(Instant::now() + CONFIRM_AGAIN);
        }
    }

    /// Called again and again: the counters of a predecessor that has ended are those of a dead one, and what was put
    /// off is done when none of them routes new requests any more.
    pub(crate) async fn look_at_those_before(&mut self) {
        let ended = self.begin.living.extract_if(.., |living| living.has_ended());
        self.begin.left_over.extend(ended.map(|living| living.ledger));
        let Some(until) = self.before_routes_until else { return };
        if self.follows_a_living_one() && Instant::now() < until {
            return;
        }
        self.before_routes_until = None;
        for (command, to) in std::mem::take(&mut self.put_off) {
            // A client that went away needs no answer.
            let _ = to.send(self.answer(command).await);
        }
    }

    /// Whether a router of before may still answer requests: which instances have them is not known.
    fn follows_a_living_one(&self) -> bool {
        !self.begin.living.is_empty() || handover::is_handed_over(&self.begin.directory)
    }

    /// Counters that no lane of ours writes.
    fn others(&self) -> impl Iterator<Item = &LaneLedger> {
        self.begin.left_over.iter().chain(self.begin.living.iter().map(|living| &living.ledger))
    }

    async fn remove(&mut self, app: &AppName) -> Result<(), Failure> {
        if self.begin.apps.contains_key(app) {
            let mut apps = self.begin.apps.clone();
            apps.remove(app);
            self.switch(apps, None).await?;
        }
        self.settings.remove(app);
        Ok(())
    }

    /// Puts a table in force in all lanes at once. `anew` is the app whose routes come into force with it.
    async fn switch(&mut self, apps: Apps, anew: Option<&AppName>) -> Result<(), Failure> {
        let number = self.begin.generation.now() + 1;
        let mut table = Table::compile(number, apps.values().map(|app| &app.routes), self.is_incomplete)?;
        self.begin.goals.give(&mut table, |app| apps.get(app)?.routes.goals.as_ref());
        let table = Arc::new(table);
        self.ask_all(|done| LaneCommand::Ready(Arc::clone(&table), done)).await?;
        // Before the flip, so that a router killed now does not come back with a table older than what users saw.
        let kept = self.begin.kept.write(number, &apps, self.is_incomplete);
        self.begin.generation.flip(number);
        let flipped = Lane::exact_now();
        self.begin.apps = apps;
        let in_force = anew.and_then(|app| self.begin.apps.get_mut(app));
        let kept = match (kept, in_force) {
            // Once more with the moment of the flip.
            (Ok(_), Some(in_force)) => {
                in_force.since = flipped;
                self.begin.kept.write(number, &self.begin.apps, self.is_incomplete)
            }
            (kept, _) => kept,
        };
        let settled = self.ask_all(LaneCommand::Settle).await;
        self.finish_sync().await;
        self.was_written(kept);
        settled.map(|_| ())
    }

    /// Called again and again: a table that could not be kept is written once more, until it is safe.
    pub(crate) async fn keep(&mut self) {
        if self.syncing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish_sync().await;
        }
        if self.must_be_kept && self.syncing.is_none() {
            let number = self.begin.generation.now();
            let kept = self.begin.kept.write(number, &self.begin.apps, self.is_incomplete);
            self.was_written(kept);
        }
    }

    fn was_written(&mut self, kept: std::io::Result<File>) {
        match kept {
            Ok(file) => {
                let directory = self.begin.directory.clone();
                self.syncing = Some(tokio::task::spawn_blocking(move || Kept::sync(&file, &directory)));
            }
            // A full disk never forbids a switch; a router killed now would come back with the table before.
            Err(error) => self.is_not_kept(&format!("the table can not be kept on disk: {error}")),
        }
    }

    async fn finish_sync(&mut self) {
        if let Some(task) = self.syncing.take() {
            match task.await {
                Ok(Ok(())) => {
                    self.must_be_kept = false;
                    self.begin.kept_problem = None;
                }
                Ok(Err(error)) => self.is_not_kept(&format!("the table is not safe on disk: {error}")),
                Err(error) => self.is_not_kept(&format!("the table is not safe on disk: {error}")),
            }
        }
    }

    fn is_not_kept(&mut self, problem: &str) {
        self.must_be_kept = true;
        if self.begin.kept_problem.as_deref() != Some(problem) {
            tracing::error!("{problem}");
            self.begin.kept_problem = Some(problem.to_owned());
        }
    }

    /// Asks every lane at the same time and waits for all of them.
    async fn ask_all<T>(&self, command: impl Fn(oneshot::Sender<T>) -> LaneCommand) -> Result<Vec<T>, Failure> {
        let mut waiting = Vec::with_capacity(self.begin.lanes.len());
        for lane in &self.begin.lanes {
            let (sender, answer) = oneshot::channel();
            lane.try_send(command(sender)).map_err(|_| Failure::LaneSilent)?;
            waiting.push(answer);
        }
        let deadline = Instant::now() + LANE_ANSWER_TIME;
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            let answer = tokio::time::timeout_at(deadline, answer).await;
            answers.push(answer.ok().and_then(Result::ok).ok_or(Failure::LaneSilent)?);
        }
        Ok(answers)
    }

    // === Seeing ===

    async fn look(&self, app: Option<&AppName>) -> Result<Vec<LaneSeen>, Failure> {
        self.ask_all(|answer| LaneCommand::Look(app.cloned(), answer)).await
    }

    async fn observe(&self, app: AppName) -> Result<TrafficSeen, Failure> {
        let mut lanes = self.look(Some(&app)).await?;
        let measured = self.measured(&app, &mut lanes);
        let shadow = lanes.iter_mut().filter_map(|lane| lane.shadow.take()).reduce(both);
        let unrouted = self.nobody(&lanes).own;
        let seen = self.sum(lanes).remove(&app).unwrap_or_else(|| self.untouched(&app)).seen;
        Ok(TrafficSeen { unrouted, measured, shadow, ..seen })
    }

    /// What the lanes have measured together; nothing when one of them can not say it all.
    fn measured(&self, app: &AppName, lanes: &mut [LaneSeen]) -> Option<Measured> {
        let version = self.begin.apps.get(app).map(|known| known.routes.version);
        let goals = self.begin.goals.read(app, self.begin.split_key);
        Some(Measured { version, goals, ..measured::sum(lanes, self.began, self.begin.split_key)? })
    }

    async fn observe_all(&self) -> Result<Vec<(AppName, TrafficSeen)>, Failure> {
        let lanes = self.look(None).await?;
        let unrouted = self.nobody(&lanes).own;
        let mut sums = self.sum(lanes);
        for app in self.begin.apps.keys() {
            sums.entry(app.clone()).or_insert_with(|| self.untouched(app));
        }
        let told = |sum: Sum| TrafficSeen { unrouted: unrouted.clone(), ..sum.seen };
        Ok(sums.into_iter().map(|(app, sum)| (app, told(sum))).collect())
    }

    fn untouched(&self, app: &AppName) -> Sum {
        let in_force = self.begin.apps.get(app);
        let seen = TrafficSeen {
            at: Lane::exact_now(),
            routes: in_force.map(|app| app.routes.clone()),
            in_force_since: in_force.map(|app| app.since),
            busy: (!self.follows_a_living_one()).then(BTreeMap::new),
            ..TrafficSeen::default()
        };
        Sum { seen, preview: Ledger::default() }
    }

    fn sum(&self, lanes: Vec<LaneSeen>) -> BTreeMap<AppName, Sum> {
        let mut sums: BTreeMap<AppName, Sum> = BTreeMap::new();
        for LaneApp { app, in_flight, busy, live, preview } in lanes.into_iter().flat_map(|lane| lane.apps) {
            let sum = sums.entry(app.clone()).or_insert_with(|| self.untouched(&app));
            sum.hold(in_flight);
            for (instance, count) in busy {
                sum.seen.busy.iter_mut().for_each(|busy| *busy.entry(instance.clone()).or_default() += count);
            }
            ledger::add(&mut sum.seen.ledger, live);
            ledger::add(&mut sum.preview, preview);
        }
        for other in self.others() {
            for (app, sum) in &mut sums {
                ledger::add(&mut sum.seen.ledger, other.read(&Owner { app: Some(app.clone()), kind: Kind::Live }));
                ledger::add(&mut sum.preview, other.read(&Owner { app: Some(app.clone()), kind: Kind::Preview }));
            }
        }
        for living in &self.begin.living {
            for (app, sum) in &mut sums {
                sum.hold(living.ledger.held(&Owner { app: Some(app.clone()), kind: Kind::Live }));
            }
        }
        sums
    }

    /// What came for no app.
    fn nobody(&self, lanes: &[LaneSeen]) -> Ledger {
        let mut nobody = Ledger::default();
        for lane in lanes {
            ledger::add(&mut nobody, lane.nobody.clone());
        }
        for other in self.others() {
            ledger::add(&mut nobody, other.read(&Owner::NOBODY));
        }
        nobody
    }

    async fn status(&self) -> Result<RouterStatus, Failure> {
        let lanes = self.look(None).await?;
        let nobody = self.nobody(&lanes);
        let pid = std::process::id();
        Ok(RouterStatus {
            pid,
            started_ticks: identity::started_ticks(pid).unwrap_or(0),
            boot_id: identity::boot_id(),
            http: self.begin.http,
            lanes: lanes.len(),
            generation: lanes.iter().map(|lane| lane.generation).min().unwrap_or(0),
            connections: lanes.iter().map(|lane| lane.connections).sum(),
            is_stopping: self.is_stopping,
            counters_persist: lanes.iter().all(|lane| lane.counters_persist),
            kept_problem: self.begin.kept_problem.clone(),
            nobody,
            previews: self.sum(lanes).into_iter().map(|(app, sum)| (app, sum.preview)).collect(),
            at: Lane::exact_now(),
        })
    }
}

/// What two lanes have seen of copies: the newer revision's, where one of them has not copied for it yet.
fn both(mut one: ShadowSeen, other: ShadowSeen) -> ShadowSeen {
    match one.revision.cmp(&other.revision) {
        std::cmp::Ordering::Equal => {
            one.add(other);
            one
        }
        std::cmp::Ordering::Less => other,
        std::cmp::Ordering::Greater => one,
    }
}

struct Sum {
    seen: TrafficSeen,
    preview: Ledger,
}

impl Sum {
    fn hold(&mut self, in_flight: Vec<(RevisionId, u64, u64)>) {
        for (revision, requests, tunnels) in in_flight {
            if requests > 0 {
                *self.seen.in_flight.entry(revision).or_default() += requests;
            }
            if tunnels > 0 {
                *self.seen.upgrades.entry(revision).or_default() += tunnels;
            }
        }
    }
}

#[cfg(test)]
#[path = "switchboard_tests.rs"]
mod tests;
