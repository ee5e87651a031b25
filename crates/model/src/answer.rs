//! The answers of the control API: every one is an object that begins with `schema_version`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::evidence::Replayed;
use crate::name::{AppName, InstanceId, ProcessName, ReleaseId, RevisionId, Slot};
use crate::problem::Problem;
use crate::receipt::Receipt;
use crate::record::IdempotencyKey;
use crate::release::Stage;
use crate::seam::{Evidence, TrafficSeen};
use crate::time::Timestamp;
use crate::timeline::Timeline;
use crate::view::ReleaseView;

/// The daemon itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonView {
    /// [`crate::view::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Its process.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// The state folder.
    pub state: String,
    /// Where requests are taken, such as `http://127.0.0.1:8080`.
    pub http: Option<String>,
    /// The router's lanes, as it told them when the daemon started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lanes: Option<usize>,
    /// Since when it runs.
    pub started_at: Timestamp,
}

/// Every app that the daemon knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppsView {
    /// [`crate::view::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Their names, sorted.
    pub apps: Vec<AppName>,
}

/// A command was admitted and is journaled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandAnswer {
    /// [`crate::view::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The app.
    pub app: AppName,
    /// The key that it came with.
    pub key: IdempotencyKey,
    /// The journal's sequence of the command.
    pub sequence: u64,
    /// The release that it opened or that it is about.
    pub release: Option<ReleaseId>,
    /// Whether it had been given before under the same key: nothing was done now.
    pub repeated: bool,
    /// What one should know about it: a way back that it closes, a setting that waits for the next deploy.
    pub notes: Vec<Problem>,
}

/// One stage of what a command would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStage {
    /// Which.
    pub stage: Stage,
    /// What it would do.
    pub does: String,
    /// How a rollback would go from there.
    pub way_back: String,
}

/// What a command would do; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// [`crate::view::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The app.
    pub app: AppName,
    /// The command's name.
    pub command: String,
    /// Why it would be refused now.
    pub refused: Option<Problem>,
    /// The release it would open.
    pub release: Option<ReleaseId>,
    /// The revision it would bring.
    pub revision: Option<RevisionId>,
    /// The revision that is live.
    pub from: Option<RevisionId>,
    /// The slot it would go to.
    pub slot: Option<Slot>,
    /// Stage by stage.
    pub stages: Vec<PlanStage>,
    /// How the traffic would move in time; nothing where there is nobody to move it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// What one should know.
    pub notes: Vec<Problem>,
    /// The settings that differ from the ones in force; names only where a value may be a secret.
    pub changes: Vec<String>,
}

/// Every release of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryView {
    /// [`crate::view::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The app.
    pub app: AppName,
    /// Oldest first.
    pub releases: Vec<ReleaseView>,
}

/// Every moment at which something followed from the checks of an app's releases, judged again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayView {
    /// Version of this form.
    pub schema_version: u32,
    /// The app.
    pub app: AppName,
    /// In order.
    pub moments: Vec<Replayed>,
}

/// Whether an app's journal is as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalView {
    /// [`crate::view::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The app.
    pub app: AppName,
    /// Whether every record follows from the one before and is as it was written.
    pub whole: bool,
    /// How many records were found to be so.
    pub records: u64,
    /// The last hash of a whole journal, in hexadecimal: whoever notes it down can tell later that nothing before it was
    /// changed.
    pub head: Option<String>,
    /// What is wrong with the first record that is not as it was written.
    pub broken: Option<String>,
}

/// A release's receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptView {
    /// [`crate::view::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The app.
    pub app: AppName,
    /// The receipt's fields.
    #[serde(flatten)]
    pub receipt: Receipt,
}

/// The traffic of an app, as seen now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficView {
    /// [`crate::view::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The app.
    pub app: AppName,
    /// What the numbers rest on.
    pub evidence: Evidence,
    /// What was seen; nothing when the router could not be asked.
    pub seen: Option<TrafficSeen>,
    /// Last sequence of the app's journal.
    pub sequence: u64,
}

/// One line of an instance's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Whose.
    pub instance: InstanceId,
    /// In which slot.
    pub slot: Slot,
    /// Of which process type.
    pub process: ProcessName,
    /// What it printed.
    pub line: String,
}

/// How far an instance's log was told: what follows is asked for from here. Written as `INSTANCE:FILE:OFFSET`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlace {
    /// Whose.
    pub instance: InstanceId,
    /// Which of the log's files; a number that means something to the platform alone.
    pub file: u64,
    /// The first byte of it that was not told.
    pub offset: u64,
}

/// A text that is no [`LogPlace`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a place in a log is INSTANCE:FILE:OFFSET")]
pub struct NoLogPlace;

impl fmt::Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.instance, self.file, self.offset)
    }
}

impl FromStr for LogPlace {
    type Err = NoLogPlace;

    fn from_str(text: &str) -> Result<Self, NoLogPlace> {
        let mut parts = text.splitn(3, ':');
        let place = (|| {
            let instance = parts.next()?.parse().ok()?;
            Some(Self { instance, file: parts.next()?.parse().ok()?, offset: parts.next()?.parse().ok()? })
        })();
        place.ok_or(NoLogPlace)
    }
}

/// What a followed log tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LogNews {
    /// A line.
    Line(LogLine),
    /// Everything of an instance up to here was told.
    Place(LogPlace),
    /// The log of an instance is no longer kept.
    Gone {
        /// Whose.
        gone: InstanceId,
    },
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitUntil {
    /// The release has all the traffic and the workers (or an outcome).
    Switched,
    /// Nothing of the release is left to do.
    Settled,
}

/// What a wait has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitAnswer {
    /// [`crate::view::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The app.
    pub app: AppName,
    /// Whether what was waited for is so, or the release has an outcome.
    pub done: bool,
    /// Whether the wait ended by its limit: ask again.
    pub timed_out: bool,
    /// The release as it stands.
    pub release: ReleaseView,
}
