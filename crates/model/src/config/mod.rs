//! The parsed `switchover.toml`. A value of [`AppConfig`] has passed every rule of the file.
//!
//! `keys` holds the one table of keys; `check` and `value` hold a document against it; `parse` makes the types of this file from
//! what is left and finds the contradictions; `schema`, `reference` and `diff` show the same keys to others.

mod check;
mod check_keys;
mod database;
mod database_keys;
mod diff;
mod evidence;
mod experiment;
mod experiment_keys;
mod goal_keys;
mod hook;
mod hook_keys;
mod key;
mod keys;
mod mistake;
mod names;
mod nearest;
mod notify;
mod notify_keys;
mod parse;
mod reach;
mod reference;
mod release_keys;
mod rolling;
mod rolling_keys;
mod route_keys;
mod schema;
mod shadow;
mod shadow_keys;
mod step_keys;
mod strategy;
#[cfg(test)]
mod tests;
mod text_rule;
mod value;
mod window_error;
mod window_keys;
mod windows;
mod wording;

pub use database::{
    BACKFILL_LAG, Backup, Commands, DEFAULT_SCHEMA, DEFAULT_URL_VARIABLE, Database, Framework, Invariant, Level,
    OldRows,
};
pub use diff::{Change, diff};
pub use evidence::{
    Bound, Check, During, EvidencePolicy, MAX_CHECKS, Measure, NoEvidence, NumberFrom, Source as CheckSource, Worse,
};
pub use experiment::{ANSWERS_BEFORE, Better, Experiment, Goal, GoalNumber, GoalSource, Undecided};
pub use hook::{Asks, Hook, HookMethod, When};
pub use key::{MAX_INSTANCES, MAX_KEPT_REVISIONS};
pub use mistake::Mistake;
pub use nearest::nearest;
pub use notify::{Happening, Notify, Tells};
pub use parse::{LONGEST_FILE, app_name, parse};
pub use reference::reference;
pub use rolling::{Fraction, Rolling, Surge, SurgeError};
pub use schema::schema;
pub use shadow::Shadow;
pub use strategy::{Canary, MAX_STEPS, Preset, Step, Strategy};
pub use text_rule::breaks_env_name;
pub use window_error::WindowError;
pub use windows::{Freeze, LONGEST_FREEZE_DAYS, MAX_WINDOWS, Window, Windows};

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::name::{AppName, Host, ProcessName};
use crate::seam::Sticky;
use crate::time::Span;

/// One app's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppConfig {
    /// `name`.
    pub name: AppName,
    /// `[build]`.
    pub build: Option<Build>,
    /// `[env]`: part of the revision.
    pub env: BTreeMap<String, String>,
    /// `[secrets] file`: absolute after parsing. Part of the revision; only its digest is journaled.
    pub secrets_file: Option<PathBuf>,
    /// `[process.NAME]`: at least one.
    pub processes: BTreeMap<ProcessName, Process>,
    /// `[shared] paths`: relative, inside the revision's directory; writable, outlive revisions, seen by both slots.
    pub shared: Vec<PathBuf>,
    /// `[route]`.
    pub route: Route,
    /// `[release]`.
    pub release: ReleasePolicy,
    /// `[database]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    /// `drift`: what to do about changes made behind the tool's back.
    pub drift: Drift,
    /// `[[notify]]`: who is told of what happens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Notify>,
}

impl AppConfig {
    /// The scale of each process that takes requests.
    #[must_use]
    pub fn routed_scale(&self) -> Vec<u32> {
        routed_scale(&self.processes)
    }
}

/// The scale of each process that takes requests.
fn routed_scale(processes: &BTreeMap<ProcessName, Process>) -> Vec<u32> {
    let routed = processes.values().filter(|process| matches!(process.kind, ProcessKind::Routed { .. }));
    routed.map(|process| process.instances).collect()
}

/// `[build]`: how a source becomes an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Run by `/bin/sh -c` in the revision's final directory, on a copy of the source.
    pub command: Option<String>,
    /// What is copied, relative to the file's directory; default: the git-tracked files, or the whole directory where there is no git.
    pub source: Option<PathBuf>,
    /// How long the command may take; default 15m.
    pub timeout: Span,
    /// What a build lost in a crash of the controller means.
    pub on_crash: OnCrash,
}

/// What a lost attempt (a hook or build whose end nobody saw) means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnCrash {
    /// It may run again.
    Rerun,
    /// It counts as failed.
    Fail,
}

/// `[process.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Run by `/bin/sh -c` in the revision's directory.
    pub command: String,
    /// How many run in a slot. Policy: follows `apply`.
    pub instances: u32,
    /// Whether it takes requests or works in the background.
    pub kind: ProcessKind,
    /// How it is stopped.
    pub stop: Stop,
}

/// What a process type does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ProcessKind {
    /// Takes requests on `$PORT`, for these path prefixes (`/` when the file says nothing).
    Routed {
        /// Path prefixes, each beginning with `/`.
        paths: Vec<String>,
        /// How it is asked whether it is healthy.
        health: Health,
    },
    /// Works in the background.
    Worker {
        /// How its work moves with the switch.
        handover: Handover,
    },
}

/// `health`: asked over HTTP with the app's first host and the public scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Path and query; default `/` (healthy below 500), otherwise healthy is 2xx.
    pub path: String,
    /// Whether any answer below 500 is healthy (no `health.path` was written) rather than 2xx alone.
    pub any_below_500: bool,
    /// Time between two questions once it is healthy; while it boots it is asked more often.
    pub interval: Span,
    /// How long one answer may take.
    pub timeout: Span,
    /// How long it may take from start to the first healthy answer.
    pub deadline: Span,
}

/// `stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Sent to the main process.
    pub signal: StopSignal,
    /// After it the whole process group is killed.
    pub grace: Span,
}

/// The signals an app may be stopped with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopSignal {
    /// The default.
    #[serde(rename = "SIGTERM")]
    Term,
    /// What a terminal's Ctrl-C sends.
    #[serde(rename = "SIGINT")]
    Int,
    /// Graceful stop of several servers.
    #[serde(rename = "SIGQUIT")]
    Quit,
    /// Used by some job runners.
    #[serde(rename = "SIGUSR1")]
    Usr1,
    /// Used by some servers.
    #[serde(rename = "SIGUSR2")]
    Usr2,
    /// Hang up.
    #[serde(rename = "SIGHUP")]
    Hup,
}

/// How a worker's work moves with the switch, both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handover {
    /// The old one has stopped before the new one starts: never two at once.
    StopFirst,
    /// The new one runs before the old one stops: never none.
    StartFirst,
    /// The old one is told to stop and finishes what it has while the new one starts at once.
    Drain,
    /// Both run; a lease tells which one works: the old one has let go of it before the new one gets it.
    Lease,
}

/// `[route]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Route {
    /// Hosts it answers for; none means every host that no other app names.
    pub hosts: Vec<Host>,
    /// `preview`: the address of the idle slot. The parser always fills it in.
    pub preview: Option<PreviewRule>,
    /// How long requests on the old slot may go on after a switch, then upgrades are closed; default 30s.
    pub drain: Span,
    /// `sticky`: what keeps a client on its side of a split; default a cookie of the router's own. A file that was read
    /// before there was this key meant the address.
    #[serde(default, skip_serializing_if = "Sticky::is_address")]
    pub sticky: Sticky,
}

/// `[route] preview`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewRule {
    /// Host of the idle slot; default `preview.` and the app's first host, or `<app>.preview.localhost`.
    pub host: Host,
    /// Networks (CIDR) that need no token.
    pub networks: Vec<String>,
}

/// `[release]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasePolicy {
    /// How traffic moves.
    pub strategy: Strategy,
    /// `allow` and `freeze`: when traffic may move forward.
    #[serde(default, skip_serializing_if = "Windows::is_empty")]
    pub windows: Windows,
    /// Whether a person opens the gate before the shift.
    pub approve: bool,
    /// How long an approval is waited for, then the release is undone; default 24h.
    pub approve_timeout: Span,
    /// How long full traffic on the new slot is watched; default 10m.
    pub bake: Span,
    /// How long the old slot stays at full scale after the bake; default 1h.
    pub keep_warm: Span,
    /// How many revisions stay on disk; default 5. A revision in a slot or of an unsettled release always stays.
    pub keep_revisions: u32,
    /// `[[release.hook]]`.
    pub hooks: Vec<Hook>,
    /// `[[release.check]]`, and what holds for all of them.
    #[serde(default)]
    pub evidence: EvidencePolicy,
    /// `[release.shadow]`: what is compared before any traffic moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
}

/// `drift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// Put right and recorded.
    #[default]
    Correct,
    /// Recorded only.
    Report,
}

/// What a key of the file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Tells apps apart.
    Identity,
    /// Shapes the making of the next revision.
    Build,
    /// Shapes instances: it is sealed into a revision and comes back with it.
    Revision,
    /// Steers the app: it follows `apply` and is not rolled back.
    Policy,
}
