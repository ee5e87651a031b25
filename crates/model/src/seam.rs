//! The seams: what the controller may ask of the world, and what it sees there.
//!
//! `Seen` is what `rollout::decide` reads; an [`Action`] is what it asks for. An action says what shall be true, never
//! "do this once more"; acting twice is acting once. Whatever could not be observed is `None`: unknown, neither good nor bad.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::config::{AppConfig, Database};
use crate::framework::{Listed, Order, Step};
use crate::name::{AppName, InstanceId, ProcessName, ReleaseId, RevisionId, Slot};
use crate::problem::Problem;
use crate::record::AttemptId;
use crate::release::Stage;
use crate::revision::{Revision, Source};
use crate::schema::{MigrationFile, SchemaGoal};
use crate::time::{Span, Timestamp};

mod abilities;
mod client_groups;
mod goals;
mod hook_call;
mod left_out;
mod measured;
mod routes;
mod seen;
mod shadow;
mod split;

pub use abilities::{Abilities, Ability, lacks, lacks_for};
pub use client_groups::{CLIENT_GROUPS, ClientGroups};
pub use goals::{GOAL_GROUPS, GOALS_MAX, GoalArm, GoalCount, GoalError, GoalRequest, GoalStatus, Goals, GoalsMeasured};
pub use hook_call::HookCall;
pub use left_out::LeftOut;
pub use measured::{ArmMeasured, Measured, Part, SplitSeen, SplitSide};
pub use routes::{Arm, ArmGoal, Endpoint, Preview, RoutedProcess, Routes, RoutesGoal};
pub use seen::{Evidence, InstanceSeen, Phase, PlatformSeen, Seen, TrafficSeen};
pub use shadow::{
    COMPARED_HEADERS, CompareRules, FieldSeen, MIRROR_BODY_BYTES, MIRROR_BODY_BYTES_MAX, MIRROR_HEADERS_MAX,
    MIRROR_IGNORED_MAX, MIRROR_METHODS_MAX, Mirror, MirrorError, MirrorGoal, MirrorRules, SHADOW_EXAMPLES_MAX,
    SHADOW_FIELD, SHADOW_FIELDS_KEPT, SHADOW_FIELDS_MAX, ShadowExample, ShadowSeen,
};
pub use split::{
    CONDITION_VALUE_BYTES_MAX, CONDITIONS_MAX, Condition, MATCHES_MAX, Match, MatchError, PARAMETER_BYTES_MAX, Sticky,
    StickyKind, check_matches,
};

// === What shall be true ===

/// What a slot shall run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotSpec {
    /// The app.
    pub app: AppName,
    /// The slot.
    pub slot: Slot,
    /// The sealed revision it runs.
    pub revision: Revision,
    /// How many of each process type, and whether they work or stand by.
    pub processes: BTreeMap<ProcessName, ProcessGoal>,
    /// How long an instance that is too many and takes requests may go on answering those that it has, after it was
    /// first shown as [`Phase::Stopping`] and before it is told to stop. A platform that is started anew may begin it anew.
    pub drain: Span,
    /// Routed instances that shall be none of it, because they are ill: each gives its place to a new one at once. One
    /// that is not there is nobody.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<InstanceId>,
    /// Of those that are too many, who is known to have no request any more and to get none: its drain is over. One that is
    /// not there, or not too many, is nobody.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub idle: BTreeSet<InstanceId>,
    /// Each routed instance shall be asked for its health after this moment, at once where this is new. That it has answered
    /// well is seen as [`InstanceSeen::answered_since`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_since: Option<Timestamp>,
}

/// What one process type of a slot shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessGoal {
    /// Instances wanted.
    pub count: u32,
    /// Working or standing by. Routed processes are always active.
    pub role: Role,
}

/// Whether a worker does its work.
///
/// Standing by means, for `handover = "lease"`: running, its role file says `standby`, the lease is not held; for every
/// other handover: not running (a standing-by instance that runs is told to stop and given its grace).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It works.
    Active,
    /// It does not.
    Standby,
}

/// Something that shall be true or be attempted. Repeating one changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Build (or unpack) and seal a revision. An attempt: journaled before, its end is a record.
    Build {
        /// The attempt.
        attempt: AttemptId,
        /// The revision to make.
        revision: RevisionId,
        /// From where.
        source: Source,
    },
    /// Run one of the app's hooks. An attempt.
    Hook {
        /// The attempt.
        attempt: AttemptId,
        /// The release it belongs to.
        release: ReleaseId,
        /// The stage and the hook's place among the hooks of that stage.
        stage: Stage,
        /// Index in `AppConfig::release.hooks`.
        hook: usize,
        /// Slot that is looked at.
        slot: Slot,
        /// Revision in it.
        revision: RevisionId,
    },
    /// Make, or look for, the backup that contract waits for. An attempt.
    Backup {
        /// The attempt.
        attempt: AttemptId,
        /// The release it belongs to.
        release: ReleaseId,
        /// The revision in whose directory and environment it runs.
        revision: RevisionId,
    },
    /// Have the app's own framework carry out its migrations. An attempt.
    Migrate {
        /// The attempt.
        attempt: AttemptId,
        /// The release it belongs to.
        release: ReleaseId,
        /// The revision in whose directory and environment it runs.
        revision: RevisionId,
        /// In which part of the release.
        step: Step,
    },
    /// Stop an attempt that nobody needs any more (superseded, aborted).
    CancelAttempt {
        /// The attempt.
        attempt: AttemptId,
    },
    /// The slot runs this.
    Ensure(Box<SlotSpec>),
    /// The slot runs nothing.
    Stop {
        /// The slot.
        slot: Slot,
    },
    /// The traffic goes like this.
    Route(Box<RoutesGoal>),
    /// The schema serves this. Without this action among a decision's, what is being done to the schema rests.
    Schema(SchemaGoal),
    /// A named restore point is set for the release.
    MarkSchema {
        /// The release.
        release: ReleaseId,
    },
    /// Revisions not named here are no longer needed on disk.
    KeepRevisions {
        /// The ones to keep.
        keep: Vec<RevisionId>,
    },
}

// === The traits ===

/// Why a seam could not do or see what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeamError {
    /// It could not be reached or did not answer in time: unknown, try again.
    #[error("{0}")]
    Unreachable(String),
    /// Nobody looked at it yet: unknown, ask again.
    #[error("it was not looked at yet")]
    NotYet,
    /// It says no, and will say no again: the problem tells why.
    #[error("{0}")]
    Refused(Problem),
}

/// What runs a slot's instances.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Everything of `app` that exists.
    ///
    /// Flow: called before each decision. Guarantees: includes instances started by an earlier controller.
    /// Assumes: bounded by the caller's time-out.
    async fn observe(&self, app: &AppName) -> Result<PlatformSeen, SeamError>;

    /// Makes the slot run `spec`, and returns when that has begun, not when it is done.
    ///
    /// Flow: called for each [`Action::Ensure`]. Guarantees: repeating it changes nothing; instances of another revision
    /// in the slot are stopped; surplus ones are shown as [`Phase::Stopping`] at once, so that nobody is sent there any more, and
    /// stopped, those that took requests after [`SlotSpec::drain`]; missing ones are started.
    async fn ensure(&self, spec: &SlotSpec) -> Result<(), SeamError>;

    /// Makes the slot run nothing: stop signals go out, graces run. Returns when that has begun.
    async fn stop(&self, app: &AppName, slot: Slot) -> Result<(), SeamError>;

    /// What happened to instances of `app` that is not to be seen any more and that a person should know: one that was
    /// killed because its grace was over. Each is told once: called after each `observe`, what it gives is journaled.
    async fn take_notes(&self, _app: &AppName) -> Vec<Problem> {
        Vec::new()
    }
}

/// What splits the traffic between slots.
#[async_trait]
pub trait Traffic: Send + Sync {
    /// What is seen to be in force.
    async fn observe(&self, app: &AppName) -> Result<TrafficSeen, SeamError>;

    /// Puts `routes` in force and returns when every lane serves them.
    ///
    /// Guarantees: repeating it changes nothing; no client sees new, then old; a `version` older than the one in force is refused.
    async fn ensure(&self, routes: &Routes) -> Result<(), SeamError>;

    /// Takes the app out of the table.
    async fn remove(&self, app: &AppName) -> Result<(), SeamError>;

    /// What its numbers rest on.
    fn evidence(&self) -> Evidence;

    /// What it can do beyond a switch of all requests at once.
    fn abilities(&self) -> Abilities;
}

/// What makes a revision: build or unpack, digest, seal.
#[async_trait]
pub trait Builder: Send + Sync {
    /// Makes revision `id` of `config` from `source` and seals it; `output` gets the build's lines as they come.
    ///
    /// Flow: called for each [`Action::Build`]. Guarantees: a half-made directory of an earlier attempt is cleared first;
    /// dropping the future stops the build's process group. Errors: the build failed, with its last lines.
    async fn build(
        &self,
        config: &AppConfig,
        id: RevisionId,
        source: &Source,
        env: &BTreeMap<String, String>,
    ) -> Result<Revision, Problem>;

    /// Runs hook number `hook` of `config`, which is a command, in the revision's directory and environment.
    ///
    /// Errors: it failed, with its last lines.
    async fn hook(&self, config: &AppConfig, revision: &Revision, call: &HookCall) -> Result<HookAnswer, Problem>;

    /// The value of a variable of the app's secrets `file`, as it is there now: for what asks others in the app's name.
    ///
    /// Errors: the app has no such file, it can not be read, or it has no such variable.
    async fn secret(&self, file: Option<&Path>, name: &str) -> Result<String, Problem> {
        let _ = file;
        let cause = format!("nothing here keeps the secret {name}.");
        Err(Problem::new("SECRET-MISSING", cause, "Write it into the secrets file of the app."))
    }

    /// Runs the command of a check in the revision's directory and environment, as a hook's, and gives the last lines of its
    /// output. Asked again and again, so nothing of it is logged.
    ///
    /// Errors: it can not be run, failed or took too long.
    async fn number(&self, config: &AppConfig, revision: &Revision, call: &NumberCall) -> Result<Vec<String>, Problem> {
        let _ = (config, revision, call);
        let cause = "what makes this app's revisions runs no commands of checks.";
        Err(Problem::new("CHECK-NOT-HERE", cause, "Write the check with prometheus or url."))
    }

    /// Runs a command of the machine that is told `message` on its standard input.
    ///
    /// Errors: it did not end well within `limit`.
    async fn tell(&self, app: &AppName, command: &str, message: &str, limit: Span) -> Result<(), Problem> {
        let _ = (app, command, message, limit);
        Err(Problem::new("NOTIFY-FAILING", "nothing here runs commands", "Tell a server."))
    }

    /// Runs the command of `[database] backup` in the revision's directory and environment.
    async fn backup(
        &self,
        config: &AppConfig,
        revision: &Revision,
        release: ReleaseId,
    ) -> Result<Vec<String>, Problem> {
        let _ = (config, revision, release);
        Err(no_database())
    }

    /// What the framework of a sealed revision has still to do, asked for `step`; with its SQL where that is wanted and shown.
    /// Changes nothing.
    ///
    /// Errors: one of its commands failed, or printed what it should not.
    async fn pending(
        &self,
        config: &AppConfig,
        revision: &Revision,
        step: Step,
        shows_sql: bool,
    ) -> Result<Listed, Problem> {
        let _ = (config, revision, step, shows_sql);
        Err(no_database())
    }

    /// Has the framework of a sealed revision carry `order` out, and gives the last lines of its output.
    ///
    /// Flow: called after [`Builder::pending`] said what of the order is pending. Guarantees: nothing that the app meets
    /// is waited for longer than the time of one try; dropping the future ends it.
    async fn migrate(&self, config: &AppConfig, revision: &Revision, order: &Order) -> Result<Vec<String>, Problem> {
        let _ = (config, revision, order);
        Err(no_database())
    }

    /// What a sealed revision says of its database: the URL from its environment, and its migrations' files.
    async fn database(
        &self,
        app: &AppName,
        revision: &Revision,
        rules: &Database,
    ) -> Result<RevisionDatabase, Problem> {
        let _ = (app, revision, rules);
        Err(no_database())
    }

    /// Ends what builds and hooks of `app` have left running whose end nobody saw, with everything they have started.
    ///
    /// Flow: called before an attempt of an earlier controller is recorded as lost, while none of this one runs.
    /// Guarantees: bounded. Errors: something of them cannot be ended.
    async fn end_lost(&self, app: &AppName) -> Result<(), SeamError> {
        let _ = app;
        Ok(())
    }

    /// Removes sealed revisions of `app` that are not in `keep`.
    async fn keep(&self, app: &AppName, keep: &[RevisionId]) -> Result<(), SeamError>;
}

fn no_database() -> Problem {
    let cause = "what makes this app's revisions knows no databases.";
    Problem::new("DATABASE-NOT-HERE", cause, "Leave [database] out, or run the app on a platform that has one.")
}

/// What a sealed revision says of its database. The URL is a secret.
#[derive(Clone)]
pub struct RevisionDatabase {
    /// The URL as its environment or secrets give it.
    pub url: String,
    /// The files of its migrations, oldest first.
    pub files: Vec<MigrationFile>,
}

impl std::fmt::Debug for RevisionDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RevisionDatabase").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

/// One call of a check's command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberCall {
    /// What is run.
    pub command: String,
    /// How long it may take.
    pub timeout: Span,
    /// The release it belongs to.
    pub release: ReleaseId,
    /// The check's place in `AppConfig::release.evidence`; from [`FIRST_GOAL`](crate::evidence::FIRST_GOAL) on it is a goal's.
    pub check: usize,
    /// The slot that is asked about.
    pub slot: Slot,
    /// From when on a goal is counted; nothing where a check asks.
    pub since: Option<Timestamp>,
}

/// What a hook answered, with the last lines of its output. That it failed is a [`Problem`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookAnswer {
    /// Go on.
    Passed(Vec<String>),
    /// Ask again later.
    NotYet(Vec<String>),
}
