//! The schema of apps as releases need it: what was decided is carried out in the background, one app by one worker, and
//! what is there is looked at all the time, so that a decision never waits for a database.

mod look;
mod place;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use switchover_model::framework::{Pending, Placed};
use switchover_model::schema::{
    InvariantSeen, RestorePoint, Schema, SchemaFailure, SchemaGoal, SchemaOrder, SchemaPlace, SchemaSeen, SchemaWork,
};
use switchover_model::seam::SeamError;
use switchover_model::{AppName, Problem, ReleaseId};
use tokio::task::JoinHandle;

/// Looks at and changes the schemas of apps on PostgreSQL.
///
/// Guarantees: dropping it ends its own tasks alone; what was done to a schema stays, noted there, and the next one goes on.
#[derive(Debug, Default)]
pub struct PostgresSchema {
    desks: Mutex<BTreeMap<AppName, Desk>>,
}

/// One app's database.
#[derive(Debug)]
struct Desk {
    url: String,
    told: Arc<Mutex<Told>>,
    _watcher: Task,
    worker: Option<(SchemaGoal, Task)>,
}

/// A task that ends with its owner.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What watcher and worker know together.
#[derive(Debug)]
struct Told {
    place: SchemaPlace,
    seen: Option<SchemaSeen>,
    unreachable: Option<String>,
    doing: Option<SchemaWork>,
    failed: Option<SchemaFailure>,
    invariants: Vec<InvariantSeen>,
    points: BTreeMap<ReleaseId, RestorePoint>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PostgresSchema {
    /// The desk of the app, made anew where its database is another one now.
    fn at_desk<T>(&self, place: &SchemaPlace, act: impl FnOnce(&mut Desk) -> T) -> T {
        let mut desks = lock(&self.desks);
        let is_same = |desk: &Desk| desk.url == place.url && lock(&desk.told).place.rules.schema == place.rules.schema;
        if desks.get(&place.app).is_some_and(|desk| !is_same(desk)) {
            desks.remove(&place.app);
        }
        let desk = desks.entry(place.app.clone()).or_insert_with(|| Desk::open(place));
        lock(&desk.told).place = place.clone();
        act(desk)
    }
}

impl Desk {
    fn open(place: &SchemaPlace) -> Self {
        let told = Arc::new(Mutex::new(Told {
            place: place.clone(),
            seen: None,
            unreachable: None,
            doing: None,
            failed: None,
            invariants: Vec::new(),
            points: BTreeMap::new(),
        }));
        let watcher = Task(tokio::spawn(look::watch(Arc::clone(&told))));
        Self { url: place.url.clone(), told, _watcher: watcher, worker: None }
    }

    /// Ends what is being done: between two steps, or in the middle of one, which the server then takes back.
    fn rest(&mut self) {
        self.worker = None;
        let mut told = lock(&self.told);
        told.doing = None;
        told.failed = None;
    }
}

#[async_trait]
impl Schema for PostgresSchema {
    async fn observe(&self, place: &SchemaPlace) -> Result<SchemaSeen, SeamError> {
        self.at_desk(place, |desk| {
            let told = lock(&desk.told);
            let Some(seen) = told.seen.clone() else {
                return Err(told.unreachable.clone().map_or(SeamError::NotYet, SeamError::Unreachable));
            };
            Ok(SchemaSeen {
                doing: told.doing.clone(),
                failed: told.failed.clone(),
                invariants: told.invariants.clone(),
                restore_points: told.points.clone(),
                ..seen
            })
        })
    }

    async fn ensure(&self, place: &SchemaPlace, order: &SchemaOrder) -> Result<(), SeamError> {
        self.at_desk(place, |desk| {
            let works = desk.worker.as_ref().is_some_and(|(goal, task)| *goal == order.goal && !task.0.is_finished());
            let failed = lock(&desk.told).failed.as_ref().is_some_and(|failed| failed.goal == order.goal);
            if works || failed {
                return;
            }
            desk.rest();
            let task = Task(tokio::spawn(work::work(Arc::clone(&desk.told), order.clone())));
            desk.worker = Some((order.goal.clone(), task));
        });
        Ok(())
    }

    async fn place(&self, place: &SchemaPlace, pending: &[Pending]) -> Result<Placed, Problem> {
        place::place(place, pending).await
    }

    async fn rest(&self, app: &AppName) -> Result<(), SeamError> {
        if let Some(desk) = lock(&self.desks).get_mut(app) {
            desk.rest();
        }
        Ok(())
    }

    async fn mark(&self, place: &SchemaPlace, release: ReleaseId) -> Result<(), SeamError> {
        let told = self.at_desk(place, |desk| Arc::clone(&desk.told));
        if lock(&told).points.contains_key(&release) {
            return Ok(());
        }
        let point = work::restore_point(place, release).await;
        lock(&told).points.insert(release, point);
        Ok(())
    }
}
