//! What a controller works with: the seams, behind which are real processes or a test's own.

use std::path::PathBuf;
use std::sync::Arc;

use switchover_journal::Journal;
use switchover_model::answer::LogNews;
use switchover_model::schema::Schema;
use switchover_model::seam::{Builder, Platform, Traffic};
use switchover_model::{AppName, InstanceId, ProcessName};
use switchover_platform::LogQuery;
use tokio::sync::{mpsc, watch};

use crate::keeper::Keeper;

/// The instances of an app that have kept their output, with their process types.
pub type Kept = Arc<dyn Fn(&AppName) -> Vec<(InstanceId, ProcessName)> + Send + Sync>;

/// The instances' output.
#[derive(Clone)]
pub struct Logs {
    /// Gives the lines that a query asks for.
    pub lines: Arc<dyn Fn(LogQuery) -> mpsc::Receiver<LogNews> + Send + Sync>,
    /// Names the instances of an app whose output is there, oldest first, each with its process type.
    pub kept: Kept,
}

/// The parts of a controller.
#[derive(Clone)]
pub struct Parts {
    /// Where what is decided is written down.
    pub journal: Arc<dyn Journal>,
    /// What runs instances.
    pub platform: Arc<dyn Platform>,
    /// What makes revisions and runs hooks.
    pub builder: Arc<dyn Builder>,
    /// What leads requests.
    pub traffic: Arc<dyn Traffic>,
    /// What changes apps' schemas.
    pub schema: Arc<dyn Schema>,
    /// Keeps the traffic's own process up; nothing when somebody else does.
    pub keeper: Option<Arc<dyn Keeper>>,
    /// Changes whenever the platform has something new to show; nothing: it is asked often instead.
    pub changed: Option<watch::Receiver<u64>>,
    /// The instances' output, where there is any.
    pub logs: Option<Logs>,
    /// The state directory.
    pub state: PathBuf,
    /// Where requests are taken, such as `http://127.0.0.1:8080`.
    pub http: Option<String>,
    /// The router's lanes, as it told them itself at the start.
    pub lanes: Option<usize>,
}
