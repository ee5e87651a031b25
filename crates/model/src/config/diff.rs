//! What differs between two files of an app: the answer to "what would `apply` or `deploy` change?".

mod checks;
mod experiment;
mod shadow;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::seam::Sticky;

use super::names::{FrameworkKind, Word};
use super::{
    AppConfig, Asks, Backup, Canary, Commands, Database, Framework, Hook, Invariant, Level, Notify, Part, Process,
    ProcessKind, Rolling, Step, Strategy, Tells,
};

/// One setting that differs. Values of environment variables are never in it, only their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The key, such as `process.web.instances`.
    pub key: String,
    /// What it belongs to: policy changes with `apply`, the rest with the next revision.
    pub part: Part,
    /// What holds now; nothing when it is not set.
    pub old: Option<String>,
    /// What would hold; nothing when it is no longer set.
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) if old == new => write!(f, "~ {}: another value (not shown)", self.key),
            (Some(old), Some(new)) => write!(f, "~ {}: {old} -> {new}", self.key),
            (None, Some(new)) => write!(f, "+ {}: {new}", self.key),
            (Some(old), None) => write!(f, "- {}: {old}", self.key),
            (None, None) => write!(f, "  {}", self.key),
        }
    }
}

/// Every setting in which `new` differs from `old`, by key. With nothing before, every setting is new.
#[must_use]
pub fn diff(old: Option<&AppConfig>, new: &AppConfig) -> Vec<Change> {
    let before = old.map(settings).unwrap_or_default();
    let after = settings(new);
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| Change {
            key: key.clone(),
            part: after.get(key).or_else(|| before.get(key)).map_or(Part::Policy, |setting| setting.part),
            old: before.get(key).map(Setting::shown),
            new: after.get(key).map(Setting::shown),
        })
        .collect()
}

/// One setting, comparable, and how it is shown.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    part: Part,
    value: String,
    /// In its place, where not all of it may be seen.
    shown: Option<String>,
}

impl Setting {
    fn shown(&self) -> String {
        self.shown.as_ref().unwrap_or(&self.value).clone()
    }
}

struct Settings(BTreeMap<String, Setting>);

impl Settings {
    fn put(&mut self, key: impl Into<String>, part: Part, value: impl fmt::Display) {
        self.0.insert(key.into(), Setting { part, value: value.to_string(), shown: None });
    }

    /// A whole URL, of which the query is not shown: it may hold a secret.
    fn put_url(&mut self, key: impl Into<String>, part: Part, whole: &str, shown: impl fmt::Display) {
        self.0.insert(key.into(), Setting { part, value: whole.to_owned(), shown: Some(shown.to_string()) });
    }

    fn put_text(&mut self, key: impl Into<String>, part: Part, value: &str) {
        self.put(key, part, format_args!("{value:?}"));
    }

    fn put_list<T: fmt::Display>(&mut self, key: impl Into<String>, part: Part, values: impl Iterator<Item = T>) {
        let values: Vec<String> = values.map(|value| value.to_string()).collect();
        if !values.is_empty() {
            self.put(key, part, values.join(", "));
        }
    }
}

/// Every setting of a file by its key.
fn settings(config: &AppConfig) -> BTreeMap<String, Setting> {
    let AppConfig { name, build, env, secrets_file, processes, shared, route, release, database, drift, notify } =
        config;
    let mut all = Settings(BTreeMap::new());
    all.put("name", Part::Identity, name);
    all.put("drift", Part::Policy, drift.word());
    if let Some(build) = build {
        if let Some(command) = &build.command {
            all.put_text("build.command", Part::Build, command);
        }
        if let Some(source) = &build.source {
            all.put("build.source", Part::Build, source.display());
        }
        all.put("build.timeout", Part::Build, build.timeout);
        all.put("build.on_crash", Part::Build, build.on_crash.word());
    }
    for (name, value) in env {
        let setting = Setting { part: Part::Revision, value: value.clone(), shown: Some("(not shown)".to_owned()) };
        all.0.insert(format!("env.{name}"), setting);
    }
    if let Some(file) = secrets_file {
        all.put("secrets.file", Part::Revision, file.display());
    }
    for (name, process) in processes {
        put_process(&mut all, &format!("process.{name}"), process);
    }
    all.put_list("shared.paths", Part::Revision, shared.iter().map(|path| path.display()));
    all.put_list("route.hosts", Part::Policy, route.hosts.iter());
    if let Some(preview) = &route.preview {
        all.put("route.preview.host", Part::Policy, &preview.host);
        all.put_list("route.preview.networks", Part::Policy, preview.networks.iter());
    }
    all.put("route.drain", Part::Policy, route.drain);
    all.put("route.sticky", Part::Policy, sticky(&route.sticky));
    put_strategy(&mut all, &release.strategy);
    all.put_list("release.allow", Part::Policy, release.windows.allow.iter());
    all.put_list("release.freeze", Part::Policy, release.windows.freeze.iter());
    all.put("release.approve", Part::Policy, release.approve);
    if release.approve || release.strategy.asks_a_person() {
        all.put("release.approve_timeout", Part::Policy, release.approve_timeout);
    }
    all.put("release.bake", Part::Policy, release.bake);
    if !matches!(release.strategy, Strategy::Rolling(_)) {
        all.put("release.keep_warm", Part::Policy, release.keep_warm);
    }
    all.put("release.keep_revisions", Part::Policy, release.keep_revisions);
    for (at, hook) in release.hooks.iter().enumerate() {
        put_hook(&mut all, &format!("release.hook.{}", at + 1), hook);
    }
    checks::put_evidence(&mut all, &release.evidence);
    if let Some(shadow) = &release.shadow {
        shadow::put_shadow(&mut all, shadow);
    }
    for (at, one) in notify.iter().enumerate() {
        put_notify(&mut all, &format!("notify.{}", at + 1), one);
    }
    if let Some(database) = database {
        put_database(&mut all, database);
    }
    all.0
}

fn put_strategy(all: &mut Settings, strategy: &Strategy) {
    all.put("release.strategy", Part::Policy, strategy.word());
    match strategy {
        Strategy::BlueGreen => {}
        Strategy::Canary(Canary::Preset(preset)) => all.put("release.canary", Part::Policy, preset.word()),
        Strategy::Canary(Canary::Steps(steps)) => {
            for (at, Step { share, stays, approve }) in steps.iter().enumerate() {
                let key = format!("release.step.{}", at + 1);
                all.put(format!("{key}.share"), Part::Policy, share);
                all.put(format!("{key}.for"), Part::Policy, stays);
                all.put(format!("{key}.approve"), Part::Policy, approve);
            }
        }
        Strategy::Ab(experiment) => experiment::put_experiment(all, experiment),
        Strategy::Linear { by, every } => {
            all.put("release.linear.by", Part::Policy, by);
            all.put("release.linear.every", Part::Policy, every);
        }
        Strategy::Rolling(Rolling { surge, every }) => {
            all.put("release.rolling.surge", Part::Policy, surge);
            all.put("release.rolling.every", Part::Policy, every);
        }
    }
}

/// As it is written in the file.
fn sticky(sticky: &Sticky) -> String {
    match sticky {
        Sticky::Cookie => "cookie".to_owned(),
        Sticky::Address => "address".to_owned(),
        Sticky::None => "none".to_owned(),
        Sticky::AppCookie { name } => format!("{{ cookie = \"{name}\" }}"),
        Sticky::Header { name } => format!("{{ header = \"{name}\" }}"),
    }
}

fn put_process(all: &mut Settings, key: &str, process: &Process) {
    let Process { command, instances, kind, stop } = process;
    all.put_text(format!("{key}.command"), Part::Revision, command);
    all.put(format!("{key}.instances"), Part::Policy, instances);
    match kind {
        ProcessKind::Routed { paths, health } => {
            all.put_list(format!("{key}.route"), Part::Revision, paths.iter());
            if health.any_below_500 {
                all.put(
                    format!("{key}.health.path"),
                    Part::Revision,
                    format_args!("{} (any answer below 500)", health.path),
                );
            } else {
                all.put(format!("{key}.health.path"), Part::Revision, &health.path);
            }
            all.put(format!("{key}.health.interval"), Part::Revision, health.interval);
            all.put(format!("{key}.health.timeout"), Part::Revision, health.timeout);
            all.put(format!("{key}.health.deadline"), Part::Revision, health.deadline);
        }
        ProcessKind::Worker { handover } => all.put(format!("{key}.handover"), Part::Revision, handover.word()),
    }
    all.put(format!("{key}.stop.signal"), Part::Revision, stop.signal.word());
    all.put(format!("{key}.stop.grace"), Part::Revision, stop.grace);
}

fn put_database(all: &mut Settings, database: &Database) {
    let Database { url, schema, level, vouch, lock_timeout, backfill_timeout, quiet, attic, .. } = database;
    let Database { restore_point, backup, invariants, backfill_rate, backfill_lag, old_rows, .. } = database;
    all.put("database.url", Part::Revision, url);
    all.put("database.schema", Part::Revision, schema);
    put_level(all, level);
    all.put_list("database.vouch", Part::Policy, vouch.iter());
    all.put("database.lock_timeout", Part::Policy, lock_timeout);
    all.put("database.backfill_timeout", Part::Policy, backfill_timeout);
    if let Some(rate) = backfill_rate {
        all.put("database.backfill_rate", Part::Policy, rate);
    }
    all.put("database.backfill_lag", Part::Policy, backfill_lag);
    all.put("database.old_rows", Part::Policy, old_rows.word());
    all.put("database.quiet", Part::Policy, quiet);
    all.put("database.attic", Part::Policy, attic);
    all.put("database.restore_point", Part::Policy, restore_point);
    if let Some(Backup { command, timeout }) = backup {
        all.put_text("database.backup.command", Part::Policy, command);
        all.put("database.backup.timeout", Part::Policy, timeout);
    }
    for (at, Invariant { name, query, timeout }) in invariants.iter().enumerate() {
        let key = format!("database.invariant.{}", at + 1);
        all.put_text(format!("{key}.name"), Part::Policy, name);
        all.put_text(format!("{key}.query"), Part::Policy, query);
        all.put(format!("{key}.timeout"), Part::Policy, timeout);
    }
}

fn put_level(all: &mut Settings, level: &Level) {
    match level {
        Level::Files(migrations) => all.put("database.migrations", Part::Revision, migrations.display()),
        Level::Framework(Framework::Django { command }) => {
            all.put("database.framework", Part::Revision, FrameworkKind::Django.word());
            all.put_text("database.command", Part::Revision, command);
        }
        Level::Framework(Framework::Alembic { command }) => {
            all.put("database.framework", Part::Revision, FrameworkKind::Alembic.word());
            all.put_text("database.command", Part::Revision, command);
        }
        Level::Framework(Framework::Commands(Commands { status, expand, contract, sql })) => {
            let named = [("status", Some(status)), ("expand", Some(expand)), ("contract", contract.as_ref())];
            for (name, command) in named.into_iter().chain([("sql", sql.as_ref())]) {
                if let Some(command) = command {
                    all.put_text(format!("database.commands.{name}"), Part::Revision, command);
                }
            }
        }
    }
}

fn put_hook(all: &mut Settings, key: &str, hook: &Hook) {
    let Hook { stage, when, asks, timeout, retries, pause, on_crash } = hook;
    all.put(format!("{key}.stage"), Part::Policy, stage);
    all.put(format!("{key}.when"), Part::Policy, when.word());
    match asks {
        Asks::Command { command } => all.put_text(format!("{key}.command"), Part::Policy, command),
        Asks::Http { url, method, token } => {
            all.put_url(format!("{key}.url"), Part::Policy, &url.whole(), url);
            all.put(format!("{key}.method"), Part::Policy, method);
            if let Some(token) = token {
                all.put(format!("{key}.token"), Part::Policy, token);
            }
        }
    }
    all.put(format!("{key}.timeout"), Part::Policy, timeout);
    all.put(format!("{key}.retries"), Part::Policy, retries);
    all.put(format!("{key}.pause"), Part::Policy, pause);
    all.put(format!("{key}.on_crash"), Part::Policy, on_crash.word());
}

fn put_notify(all: &mut Settings, key: &str, notify: &Notify) {
    let Notify { tells, events, timeout } = notify;
    match tells {
        Tells::Webhook { url, secret } => {
            all.put_url(format!("{key}.url"), Part::Policy, &url.whole(), url);
            all.put(format!("{key}.secret"), Part::Policy, secret);
        }
        Tells::Command { command } => all.put_text(format!("{key}.command"), Part::Policy, command),
    }
    let events: Vec<&str> = events.iter().map(|event| event.as_str()).collect();
    all.put(format!("{key}.events"), Part::Policy, events.join(", "));
    all.put(format!("{key}.timeout"), Part::Policy, timeout);
}
