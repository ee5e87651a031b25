//! From the text of `switchover.toml` to an [`AppConfig`], or to every mistake in it.

mod checks;
mod database;
mod experiment;
mod goal_source;
mod hooks;
mod notify;
mod rolling;
mod shadow;
mod steps;
mod sticky;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use toml::de::DeTable;

use crate::name::{AppName, Host, ProcessName};
use crate::time::Span;

use super::check::{Mistakes, Node, check_table};
use super::keys::FILE_KEYS;
use super::mistake::Mistake;
use super::names::Word;
use super::{
    AppConfig, Build, Drift, Handover, Health, OnCrash, PreviewRule, Process, ProcessKind, ReleasePolicy, Route, Stop,
    StopSignal, routed_scale,
};

/// The longest file that is read, in bytes.
pub const LONGEST_FILE: usize = 1 << 20;

/// Parses `text`, the content of the file named `file_name` in the directory `base_dir`.
///
/// Guarantees: reads nothing but its arguments; a value that is returned has passed every rule of the file.
/// Errors: every mistake at once, in the order of the file; never an empty list.
pub fn parse(text: &str, file_name: &str, base_dir: &Path) -> Result<AppConfig, Vec<Mistake>> {
    let mut mistakes = Mistakes::new(text, file_name);
    if text.len() > LONGEST_FILE {
        mistakes.add(0..0, format!("the file is longer than {LONGEST_FILE} bytes"), "write a shorter one");
        return Err(mistakes.in_order());
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().unwrap_or(0..0);
        mistakes.add(at, format!("not TOML: {}", error.message()), "see https://toml.io for how TOML is written");
    }
    // What was misread on a broken line is no mistake of its own.
    let broken = mistakes.lines();
    mistakes.is_broken = !errors.is_empty();
    let root = check_table(document.get_ref(), 0..0, FILE_KEYS, "", &mut mistakes);
    let config = File { root: &root, base_dir }.read(&mut mistakes);
    if mistakes.is_broken {
        mistakes.drop_on_lines(errors.len(), &broken);
    }
    match config {
        Some(config) if mistakes.is_empty() => Ok(config),
        Some(_) | None => Err(mistakes.in_order()),
    }
}

/// The `name` of a file, also of one with mistakes elsewhere; nothing when it has no valid one.
#[must_use]
pub fn app_name(text: &str) -> Option<AppName> {
    let text = text.get(..LONGEST_FILE.min(text.len()))?;
    let (document, _) = DeTable::parse_recoverable(text);
    document.get_ref().get("name")?.get_ref().as_str()?.parse().ok()
}

/// The checked tables, about to become an [`AppConfig`]. Each method adds the contradictions it finds.
struct File<'a> {
    root: &'a Node,
    base_dir: &'a Path,
}

impl File<'_> {
    fn read(&self, mistakes: &mut Mistakes<'_>) -> Option<AppConfig> {
        let processes = self.processes(mistakes);
        let shared = self.shared(mistakes);
        let hosts = self.hosts(mistakes);
        let release = self.release(&processes, mistakes);
        let notify = self.notify(mistakes);
        let database = self.database(&shared, mistakes);
        let name = self.root.text("name").and_then(|name| name.parse().ok());
        // Without a valid name there is no default preview host to compare; the name's own mistake is told.
        let name = name?;
        let route = self.route(&name, hosts, mistakes);
        Some(AppConfig {
            name,
            build: self.root.has("build").then(|| self.build()),
            env: self.root.environment("env"),
            secrets_file: self.root.table("secrets").text("file").map(|file| absolute(self.base_dir, &file)),
            processes,
            shared,
            route: route?,
            release,
            database,
            drift: word::<Drift>(self.root, "drift").unwrap_or_default(),
            notify,
        })
    }

    fn build(&self) -> Build {
        let build = self.root.table("build");
        Build {
            command: build.text("command"),
            source: build.text("source").map(PathBuf::from),
            timeout: build.duration("timeout"),
            on_crash: word(&build, "on_crash").unwrap_or(OnCrash::Rerun),
        }
    }

    fn processes(&self, mistakes: &mut Mistakes<'_>) -> BTreeMap<ProcessName, Process> {
        let nodes = self.root.processes("process");
        let routed = |name: &str, node: &Node| {
            node.has("route") || node.has("health") || (!node.has("handover") && (name == "web" || nodes.len() == 1))
        };
        let routed_count = nodes.iter().filter(|(name, node)| routed(name, node)).count();
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        let mut processes = BTreeMap::new();
        for (name, node) in nodes {
            let kind = if routed(name, node) {
                refuse_handover(name, node, mistakes);
                let paths = paths(name, node, routed_count, mistakes);
                for (path, at) in &paths {
                    if let Some(other) = taken.insert(path.clone(), name.as_str()) {
                        mistakes.add(
                            at.clone(),
                            format!("\"{path}\" goes to two places: process.{other} and process.{name}"),
                            "give each process its own path prefixes",
                        );
                    }
                }
                let paths = paths.into_iter().map(|(path, _)| path).collect();
                ProcessKind::Routed { paths, health: health(&node.table("health"), mistakes) }
            } else {
                ProcessKind::Worker { handover: word(node, "handover").unwrap_or(Handover::StopFirst) }
            };
            let stop = node.table("stop");
            let process = Process {
                command: node.text("command").unwrap_or_default(),
                instances: node.whole("instances"),
                kind,
                stop: Stop { signal: word(&stop, "signal").unwrap_or(StopSignal::Term), grace: stop.duration("grace") },
            };
            if let Ok(name) = name.parse() {
                processes.insert(name, process);
            }
        }
        processes
    }

    fn shared(&self, mistakes: &mut Mistakes<'_>) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = Vec::new();
        for (path, at) in self.root.table("shared").list("paths") {
            let path: PathBuf =
                Path::new(path).components().filter(|part| matches!(part, Component::Normal(_))).collect();
            if let Some(other) = paths.iter().find(|other| path.starts_with(other) || other.starts_with(&path)) {
                let cause = format!("\"{}\" and \"{}\" lie in each other", path.display(), other.display());
                mistakes.add(at.clone(), cause, "share the outer one alone");
                continue;
            }
            paths.push(path);
        }
        paths
    }

    fn hosts(&self, mistakes: &mut Mistakes<'_>) -> Vec<Host> {
        let mut hosts = Vec::new();
        for (text, at) in self.root.table("route").list("hosts") {
            let Ok(host) = text.parse::<Host>() else { continue };
            if hosts.contains(&host) {
                mistakes.add(at.clone(), format!("the host \"{host}\" stands here twice"), "leave one of them out");
            } else {
                hosts.push(host);
            }
        }
        hosts
    }

    fn route(&self, app: &AppName, hosts: Vec<Host>, mistakes: &mut Mistakes<'_>) -> Option<Route> {
        let route = self.root.table("route");
        let preview = route.table("preview");
        let default = match hosts.first() {
            Some(first) => format!("preview.{first}"),
            None => format!("{app}.preview.localhost"),
        };
        let written = preview.text("host");
        let host = match written.clone().unwrap_or(default).parse::<Host>() {
            Ok(host) => host,
            Err(error) => {
                let cause = format!("there is no default for the preview host: {error}");
                mistakes.add(route.place("hosts"), cause, "write: preview = { host = \"preview.shop.example.com\" }");
                return None;
            }
        };
        if hosts.contains(&host) {
            let place = if written.is_some() { preview.place("host") } else { route.place("hosts") };
            let cause =
                format!("\"{host}\" is the preview host and one of the app's hosts: a request could mean either slot");
            mistakes.add(
                place,
                cause,
                "give the preview a host of its own: preview = { host = \"idle.shop.example.com\" }",
            );
        }
        let sticky = sticky::sticky(&route, mistakes);
        let networks = preview.list("networks").iter().map(|(network, _)| network.clone()).collect();
        Some(Route { hosts, preview: Some(PreviewRule { host, networks }), drain: route.duration("drain"), sticky })
    }

    fn release(&self, processes: &BTreeMap<ProcessName, Process>, mistakes: &mut Mistakes<'_>) -> ReleasePolicy {
        let release = self.root.table("release");
        let approve = release.flag("approve");
        let strategy = steps::strategy(&release, mistakes);
        if strategy.experiment().is_some() {
            experiment::refuse_unsticky(&self.root.table("route"), mistakes);
        }
        let asks = approve || strategy.asks_a_person() || release.text("no_evidence").as_deref() == Some("pause");
        if release.has("approve_timeout") && !asks {
            mistakes.add(
                release.place("approve_timeout"),
                "\"approve_timeout\" has no effect: nobody is asked to approve",
                "add: approve = true, or leave approve_timeout out",
            );
        }
        let hooks = self.hooks(&release, mistakes);
        rolling::refuse_contradictions(&release, processes, &strategy, mistakes);
        let has_steps = !strategy.steps(&routed_scale(processes)).is_empty();
        let evidence =
            checks::evidence(&release, processes, self.root.table("secrets").was_tried("file"), has_steps, mistakes);
        rolling::refuse_warm_checks(&release, &strategy, &evidence, mistakes);
        ReleasePolicy {
            windows: windows::windows(&release, mistakes),
            approve,
            approve_timeout: release.duration("approve_timeout"),
            bake: release.duration("bake"),
            keep_warm: rolling::keep_warm(&release, &strategy),
            keep_revisions: release.whole("keep_revisions"),
            hooks,
            evidence,
            strategy,
            shadow: shadow::shadow(&release, processes, mistakes),
        }
    }
}

/// A process that takes requests does so in both slots at once; only a worker hands over.
fn refuse_handover(name: &str, node: &Node, mistakes: &mut Mistakes<'_>) {
    if node.has("handover") {
        let other = if node.has("route") { "route" } else { "health" };
        mistakes.add(
            node.place("handover"),
            format!("process.{name} has \"handover\" and \"{other}\": a worker takes no requests, so nobody routes to it or asks for its health"),
            format!("leave out \"handover\" (it takes requests) or \"{other}\" (it is a worker)"),
        );
    }
}

/// The path prefixes of a routed process with their places, without a slash at the end.
fn paths(name: &str, node: &Node, routed: usize, mistakes: &mut Mistakes<'_>) -> Vec<(String, Range<usize>)> {
    if !node.has("route") {
        if routed > 1 {
            mistakes.add(
                node.at.clone(),
                format!("{routed} processes take requests, and process.{name} does not say which ones"),
                "write: route = \"/\", or another path prefix; a background process needs: handover = \"stop-first\"",
            );
            return Vec::new();
        }
        return vec![("/".to_owned(), node.at.clone())];
    }
    let mut seen = BTreeSet::new();
    let mut paths = Vec::new();
    for (text, at) in node.list("route") {
        let path = match text.trim_end_matches('/') {
            "" => "/",
            trimmed => trimmed,
        };
        if seen.insert(path.to_owned()) {
            paths.push((path.to_owned(), at.clone()));
        } else {
            mistakes.add(at.clone(), format!("the path prefix \"{path}\" stands here twice"), "leave one of them out");
        }
    }
    paths
}

fn health(node: &Node, mistakes: &mut Mistakes<'_>) -> Health {
    let health = Health {
        path: node.text("path").unwrap_or_else(|| "/".to_owned()),
        any_below_500: !node.has("path"),
        interval: within_deadline(node, "interval"),
        timeout: within_deadline(node, "timeout"),
        deadline: node.duration("deadline"),
    };
    for (name, span) in [("timeout", health.timeout), ("interval", health.interval)] {
        if span > health.deadline {
            mistakes.add(
                node.place(name),
                format!("health.{name} is {span}, longer than health.deadline, which is {}", health.deadline),
                format!("write a {name} that is shorter than the deadline"),
            );
        }
    }
    health
}

/// The duration of key `name`; a default gives way to a shorter deadline.
fn within_deadline(node: &Node, name: &str) -> Span {
    let span = node.duration(name);
    if node.has(name) { span } else { span.min(node.duration("deadline")) }
}

/// The value that the word of key `name` stands for: the written one, or the default of the table of keys.
fn word<T: Word>(node: &Node, name: &str) -> Option<T> {
    node.text(name).and_then(|text| T::from_word(&text))
}

/// `file` beside the directory `base`, without `.` and `..`.
fn absolute(base: &Path, file: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in base.join(file).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => path.push(part),
        }
    }
    path
}
