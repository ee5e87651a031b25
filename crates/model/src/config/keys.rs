//! The one table of keys of `switchover.toml`: the parser, its suggestions, the JSON Schema and the reference in
//! `docs/configuration.md` are all made from it, so they cannot say different things.

use std::net::IpAddr;

use crate::name::{AppName, Host, ProcessName};
use crate::time::Span;

use super::database_keys::DATABASE_KEYS;
use super::{Part, names};

/// The most instances a process type may have in a slot.
pub const MAX_INSTANCES: u32 = 100;
/// The most revisions that may be kept on disk.
pub const MAX_KEPT_REVISIONS: u32 = 100;
/// The shortest interval between two health questions.
pub(super) const SHORTEST_INTERVAL: Span = Span::from_millis(10);
/// The longest of any duration in the file: what is longer is a mistake in the unit.
pub(super) const LONGEST_SPAN: Span = Span::from_secs(366 * 24 * 3600);

/// One key of the file.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// How it is written, as a whole line or table header.
    pub(super) example: &'static str,
    /// What holds when it is not written, as it would be written (without quotes); nothing when it is required or has no value then.
    pub(super) default: Option<&'static str>,
    pub(super) required: bool,
    /// Whether it belongs to the revision or to the policy of the app.
    pub(super) part: Part,
    pub(super) doc: &'static str,
}

/// What a key's value must be.
#[derive(Debug)]
pub(super) enum Kind {
    /// A text that keeps a rule.
    Text(TextRule),
    /// One text or a list of them.
    TextOrList(TextRule),
    /// A list of texts.
    List(TextRule),
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Whole { least: u32, most: u32 },
    /// A duration with its unit.
    Duration { least: Span },
    /// One of these words; those of `later` are of the design but not carried out yet.
    Choice { known: &'static [&'static str], later: &'static [&'static str] },
    /// A table with these keys.
    Table(&'static [Key]),
    /// A list of tables with these keys.
    Tables(&'static [Key]),
    /// A table of tables: the name of each is a process name.
    Processes(&'static [Key]),
    /// A table of environment variables.
    Environment,
    /// A key of the design that is not carried out yet; `instead` says what to do today.
    Later { instead: &'static str },
}

/// A rule that a text keeps.
#[derive(Debug)]
pub(super) struct TextRule {
    /// What the text is, for people: `a host name`.
    pub(super) what: &'static str,
    /// The rule as a regular expression of JSON Schema (ECMA 262); empty when it cannot be said so.
    pub(super) pattern: &'static str,
    /// Why the text breaks the rule, or nothing.
    pub(super) breaks: fn(&str) -> Option<String>,
}

pub(super) const fn key(
    name: &'static str,
    kind: Kind,
    part: Part,
    default: Option<&'static str>,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, kind, example, default, required: false, part, doc }
}

pub(super) const fn required(mut key: Key) -> Key {
    key.required = true;
    key
}

pub(super) const fn later(name: &'static str, example: &'static str, instead: &'static str) -> Key {
    key(name, Kind::Later { instead }, Part::Policy, None, example, "")
}

const APP_NAME: TextRule = TextRule {
    what: "an app name",
    pattern: "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$",
    breaks: |text| text.parse::<AppName>().err().map(|error| error.to_string()),
};
pub(super) const COMMAND: TextRule = TextRule { what: "a command", pattern: "\\S", breaks: breaks_command };
const FILE: TextRule = TextRule { what: "a path", pattern: "^[^\\u0000]+$", breaks: breaks_path };
pub(super) const INSIDE: TextRule = TextRule {
    what: "a path inside the app's directory",
    pattern: "^(?!/)(?!(.*/)?\\.\\.(/|$))[^\\u0000]+$",
    breaks: breaks_inside,
};
const PREFIX: TextRule = TextRule { what: "a path prefix", pattern: "^/[!\"$-;=@-~]*$", breaks: breaks_prefix };
const TARGET: TextRule = TextRule { what: "a path that is asked for", pattern: "^/[!\"$-~]*$", breaks: breaks_target };
const HOST: TextRule = TextRule {
    what: "a host name",
    pattern: "^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$",
    breaks: breaks_host,
};
const NETWORK: TextRule = TextRule { what: "a network", pattern: "^[0-9a-fA-F.:]+/[0-9]+$", breaks: breaks_network };

/// The keys at the top of the file, in the order of the reference.
pub(super) static FILE_KEYS: &[Key] = &[
    required(key(
        "name",
        Kind::Text(APP_NAME),
        Part::Identity,
        None,
        "name = \"shop\"",
        "The name under which the app is released. Another name is another app.",
    )),
    key(
        "drift",
        Kind::Choice { known: names::DRIFT, later: &[] },
        Part::Policy,
        Some("correct"),
        "drift = \"report\"",
        "What to do about a change made behind the tool's back: `correct` puts it right and records it, `report` only records it.",
    ),
    key(
        "build",
        Kind::Table(BUILD_KEYS),
        Part::Build,
        None,
        "[build]",
        "How a source becomes an artifact. Without it the source is taken as it is.",
    ),
    key(
        "env",
        Kind::Environment,
        Part::Revision,
        None,
        "[env]\nRAILS_ENV = \"production\"",
        "Environment variables of all processes, part of the revision: they come back with it. `PORT` and names that begin with `SWITCHOVER_` are set by Switchover itself.",
    ),
    key(
        "secrets",
        Kind::Table(SECRETS_KEYS),
        Part::Revision,
        None,
        "[secrets]",
        "Secrets by reference. They are never journaled and never shown.",
    ),
    required(key(
        "process",
        Kind::Processes(PROCESS_KEYS),
        Part::Revision,
        None,
        "[process.web]\ncommand = \"bin/shop --port $PORT\"",
        "The app's process types, at least one. The only process, one named `web`, and one with `health` or `route` take requests; every other one works in the background.",
    )),
    key("shared", Kind::Table(SHARED_KEYS), Part::Revision, None, "[shared]", "What outlives revisions."),
    key(
        "route",
        Kind::Table(ROUTE_KEYS),
        Part::Policy,
        None,
        "[route]",
        "Which requests are for this app. Without it the app answers for every host that no other app names.",
    ),
    key("release", Kind::Table(RELEASE_KEYS), Part::Policy, None, "[release]", "How a release goes."),
    later("platform", "[platform]", "leave it out: instances are processes on this machine"),
    later("traffic", "[traffic]", "leave it out: requests come through the built-in router"),
    key(
        "database",
        Kind::Table(DATABASE_KEYS),
        Part::Revision,
        None,
        "[database]",
        "The PostgreSQL database whose schema goes along with the releases. Without it releases touch no database.",
    ),
    later("flags", "[flags]", "leave it out"),
];

static BUILD_KEYS: &[Key] = &[
    key(
        "command",
        Kind::Text(COMMAND),
        Part::Build,
        None,
        "command = \"./build.sh\"",
        "Run by `/bin/sh -c` in the revision's final directory, on a copy of the source.",
    ),
    key(
        "source",
        Kind::Text(INSIDE),
        Part::Build,
        None,
        "source = \"app\"",
        "What is copied, relative to the file's directory. Without it: the files that git tracks, or the whole directory where there is no git.",
    ),
    key(
        "timeout",
        Kind::Duration { least: Span::from_secs(1) },
        Part::Build,
        Some("15m"),
        "timeout = \"15m\"",
        "How long the command may take; then it is killed and the release is aborted.",
    ),
    key(
        "on_crash",
        Kind::Choice { known: names::ON_CRASH, later: &[] },
        Part::Build,
        Some("rerun"),
        "on_crash = \"rerun\"",
        "What a build means whose end nobody saw because the daemon was killed: `rerun` it, or count it as failed (`fail`).",
    ),
];

static SECRETS_KEYS: &[Key] = &[required(key(
    "file",
    Kind::Text(FILE),
    Part::Revision,
    None,
    "file = \"/etc/shop/secrets.env\"",
    "A file with one `KEY=value` a line; a relative path is looked up beside this file. Its content is sealed into the revision, readable by its owner only; the journal gets its digest. Where it lies inside the source or an artifact directory, it is left out of the revision's files, also when git tracks it.",
))];

static PROCESS_KEYS: &[Key] = &[
    required(key(
        "command",
        Kind::Text(COMMAND),
        Part::Revision,
        None,
        "command = \"bin/shop --port $PORT\"",
        "Run by `/bin/sh -c` in the revision's directory. A process that takes requests listens on `$PORT`.",
    )),
    key(
        "instances",
        Kind::Whole { least: 1, most: MAX_INSTANCES },
        Part::Policy,
        Some("1"),
        "instances = 2",
        "How many run in a slot. Scale is the app's: it follows `apply` and is not rolled back.",
    ),
    key(
        "route",
        Kind::TextOrList(PREFIX),
        Part::Revision,
        None,
        "route = \"/api\"",
        "Path prefix, or a list of them, whose requests go to this process; matched at segment boundaries, the longest wins. Needed when more than one process takes requests; `/` otherwise.",
    ),
    key(
        "health",
        Kind::Table(HEALTH_KEYS),
        Part::Revision,
        None,
        "health = { path = \"/up\" }",
        "How it is asked whether it is healthy, with the app's first host in `Host`.",
    ),
    key(
        "stop",
        Kind::Table(STOP_KEYS),
        Part::Revision,
        None,
        "stop = { signal = \"SIGTERM\", grace = \"30s\" }",
        "How it is stopped.",
    ),
    key(
        "handover",
        Kind::Choice { known: names::HANDOVER, later: &[] },
        Part::Revision,
        Some("stop-first"),
        "handover = \"stop-first\"",
        "For a worker: how its work moves with the switch, both ways. `stop-first`: never two at once. `start-first`: never none. `drain`: the old one finishes what it has while the new one starts. `lease`: both run, a lease tells which one works.",
    ),
];

static HEALTH_KEYS: &[Key] = &[
    key(
        "path",
        Kind::Text(TARGET),
        Part::Revision,
        None,
        "path = \"/up\"",
        "Path and query that is asked for; healthy is an answer of 200 to 299. Without it `/` is asked for and any answer below 500 is healthy.",
    ),
    key(
        "interval",
        Kind::Duration { least: SHORTEST_INTERVAL },
        Part::Revision,
        Some("500ms"),
        "interval = \"500ms\"",
        "Time between two questions once it is healthy; while it boots it is asked more often.",
    ),
    key(
        "timeout",
        Kind::Duration { least: SHORTEST_INTERVAL },
        Part::Revision,
        Some("2s"),
        "timeout = \"2s\"",
        "How long one answer may take.",
    ),
    key(
        "deadline",
        Kind::Duration { least: Span::from_millis(100) },
        Part::Revision,
        Some("60s"),
        "deadline = \"60s\"",
        "How long it may take from its start to the first healthy answer; then the release is undone.",
    ),
];

static STOP_KEYS: &[Key] = &[
    key(
        "signal",
        Kind::Choice { known: names::STOP_SIGNAL, later: &[] },
        Part::Revision,
        Some("SIGTERM"),
        "signal = \"SIGTERM\"",
        "Sent to the main process.",
    ),
    key(
        "grace",
        Kind::Duration { least: Span::ZERO },
        Part::Revision,
        Some("30s"),
        "grace = \"30s\"",
        "After it the whole process group is killed.",
    ),
];

static SHARED_KEYS: &[Key] = &[required(key(
    "paths",
    Kind::List(INSIDE),
    Part::Revision,
    None,
    "paths = [\"media\"]",
    "Directories inside the revision that stay writable, outlive revisions and are seen by both slots. They lie in `apps/NAME/shared` of the state folder; the first revision that brings one fills it.",
))];

static ROUTE_KEYS: &[Key] = &[
    key(
        "hosts",
        Kind::List(HOST),
        Part::Policy,
        None,
        "hosts = [\"shop.example.com\"]",
        "Hosts it answers for. Without it: every host that no other app names. The first one is what a health question says in `Host`.",
    ),
    key(
        "preview",
        Kind::Table(PREVIEW_KEYS),
        Part::Policy,
        None,
        "preview = { host = \"preview.shop.example.com\" }",
        "The address of the idle slot. It asks for the app's preview token, which `switchover status` shows.",
    ),
    key(
        "drain",
        Kind::Duration { least: Span::ZERO },
        Part::Policy,
        Some("30s"),
        "drain = \"30s\"",
        "How long requests on the old slot may go on after a switch; then its WebSockets and other upgrades are closed.",
    ),
    later("tls", "tls = \"auto\"", "leave it out and terminate TLS in front of Switchover"),
    later("static", "static = { \"/assets/\" = \"public/assets\" }", "leave it out and let the app serve these files"),
];

static PREVIEW_KEYS: &[Key] = &[
    key(
        "host",
        Kind::Text(HOST),
        Part::Policy,
        None,
        "host = \"preview.shop.example.com\"",
        "Host that leads to the new revision while a release is prepared there (from its first hook after the build, or its gate, until the switch); at other times the router answers 404 there itself. Without it: `preview.` and the first of `hosts`, or the app's name and `.preview.localhost`.",
    ),
    key(
        "networks",
        Kind::List(NETWORK),
        Part::Policy,
        None,
        "networks = [\"10.0.0.0/8\"]",
        "Networks whose clients need no token.",
    ),
];

static RELEASE_KEYS: &[Key] = &[
    key(
        "strategy",
        Kind::Choice { known: names::STRATEGY, later: names::LATER_STRATEGIES },
        Part::Policy,
        Some("blue-green"),
        "strategy = \"blue-green\"",
        "How traffic moves: `blue-green` is all at once.",
    ),
    key(
        "approve",
        Kind::Flag,
        Part::Policy,
        Some("false"),
        "approve = true",
        "Whether a person says yes (`switchover promote`) before traffic moves.",
    ),
    key(
        "approve_timeout",
        Kind::Duration { least: Span::from_secs(1) },
        Part::Policy,
        Some("24h"),
        "approve_timeout = \"24h\"",
        "How long that yes is waited for; then the release is undone. Only with `approve = true`.",
    ),
    key(
        "bake",
        Kind::Duration { least: Span::ZERO },
        Part::Policy,
        Some("10m"),
        "bake = \"10m\"",
        "How long full traffic on the new slot is watched before the release counts as succeeded.",
    ),
    key(
        "keep_warm",
        Kind::Duration { least: Span::ZERO },
        Part::Policy,
        Some("1h"),
        "keep_warm = \"1h\"",
        "How long the old slot stays at full scale after the bake, so that going back is one switch.",
    ),
    key(
        "keep_revisions",
        Kind::Whole { least: 1, most: MAX_KEPT_REVISIONS },
        Part::Policy,
        Some("5"),
        "keep_revisions = 5",
        "How many revisions that served well stay on disk. Those that failed or were taken back do not count: of them the newest stays. One that is in a slot, belongs to an unsettled release or was live before the live one always stays.",
    ),
    key(
        "hook",
        Kind::Tables(HOOK_KEYS),
        Part::Policy,
        None,
        "[[release.hook]]",
        "A command of your own at a stage of the release.",
    ),
    later("step", "[[release.step]]", "leave it out: traffic moves all at once"),
    later("steps", "steps = [\"10%\", \"50%\"]", "leave it out: traffic moves all at once"),
    later("check", "[[release.check]]", "write the check as a command in a [[release.hook]]"),
    later("checks", "checks = []", "write each check as a command in a [[release.hook]]"),
];

static HOOK_KEYS: &[Key] = &[
    required(key(
        "stage",
        Kind::Choice { known: names::HOOK_STAGE, later: &[] },
        Part::Policy,
        None,
        "stage = \"verify\"",
        "When it runs: as the last step of this stage. A failed hook undoes the release; one at `retire`, when nothing is left to undo, is told.",
    )),
    required(key(
        "command",
        Kind::Text(COMMAND),
        Part::Policy,
        None,
        "command = \"./smoke.sh\"",
        "Run by `/bin/sh -c` in the revision's directory with its environment, its secrets and the variables of hooks (see \"What instances are given\").",
    )),
    key(
        "timeout",
        Kind::Duration { least: Span::from_millis(1) },
        Part::Policy,
        Some("1m"),
        "timeout = \"2m\"",
        "How long it may take; then its process group is killed and it counts as failed.",
    ),
    key(
        "on_crash",
        Kind::Choice { known: names::ON_CRASH, later: &[] },
        Part::Policy,
        Some("fail"),
        "on_crash = \"fail\"",
        "What a hook means whose end nobody saw because the daemon was killed: count it as failed (`fail`), or `rerun` it.",
    ),
];

fn breaks_command(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        Some("a command is empty".to_owned())
    } else if text.contains('\0') {
        Some("a command contains a zero byte".to_owned())
    } else {
        None
    }
}

fn breaks_path(text: &str) -> Option<String> {
    if text.is_empty() {
        Some("a path is empty".to_owned())
    } else if text.contains('\0') {
        Some("a path contains a zero byte".to_owned())
    } else {
        None
    }
}

fn breaks_inside(text: &str) -> Option<String> {
    if let Some(why) = breaks_path(text) {
        return Some(why);
    }
    let path = std::path::Path::new(text);
    if path.is_absolute() {
        return Some(format!("\"{text}\" is absolute; it must lie inside the app's directory"));
    }
    let mut named = false;
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                return Some(format!("\"{text}\" leads out of the app's directory with \"..\""));
            }
            std::path::Component::Normal(_) => named = true,
            std::path::Component::CurDir | std::path::Component::RootDir | std::path::Component::Prefix(_) => {}
        }
    }
    if named { None } else { Some(format!("\"{text}\" is the app's directory itself")) }
}

fn breaks_target(text: &str) -> Option<String> {
    if !text.starts_with('/') {
        return Some(format!("\"{text}\" does not begin with \"/\""));
    }
    text.bytes()
        .any(|byte| !byte.is_ascii_graphic() || byte == b'#')
        .then(|| format!("\"{text}\" holds a character that cannot stand in a request's path: write it as %XX"))
}

fn breaks_prefix(text: &str) -> Option<String> {
    breaks_target(text).or_else(|| {
        if text.contains(['?', '*', '<', '>']) {
            Some(format!("\"{text}\" is a pattern or a query; a prefix is plain text"))
        } else if text.contains("//") || text.split('/').any(|segment| segment == "." || segment == "..") {
            Some(format!("\"{text}\" holds an empty, \".\" or \"..\" segment"))
        } else {
            None
        }
    })
}

fn breaks_host(text: &str) -> Option<String> {
    let error = text.parse::<Host>().err()?;
    if text.starts_with("*.") {
        return Some(format!("\"{text}\": hosts with a wildcard are not carried out yet"));
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && host.parse::<Host>().is_ok()
    {
        return Some(format!("\"{text}\" has a port; a host is written without one: \"{host}\""));
    }
    if text.contains("://") {
        return Some(format!("\"{text}\" is a URL; only its host is written here"));
    }
    let lower = text.to_lowercase();
    if lower.parse::<Host>().is_ok() {
        return Some(format!("\"{text}\" has capital letters; write \"{lower}\""));
    }
    Some(error.to_string())
}

fn breaks_network(text: &str) -> Option<String> {
    let parsed = text.split_once('/').and_then(|(address, bits)| {
        let address: IpAddr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(())
    });
    match parsed {
        Some(()) => None,
        None => Some(format!("\"{text}\" is not a network: write an address and its length, such as \"10.0.0.0/8\"")),
    }
}

/// Why `name` cannot name an environment variable of the app, or nothing.
pub fn breaks_env_name(name: &str) -> Option<String> {
    if name == "PORT" || name.starts_with("SWITCHOVER_") {
        return Some(format!("\"{name}\" is set by Switchover itself"));
    }
    let well_formed = name
        .bytes()
        .enumerate()
        .all(|(at, byte)| byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()));
    if name.is_empty() || !well_formed {
        return Some(format!(
            "\"{name}\" is not a name of an environment variable: letters, digits and \"_\", no digit first"
        ));
    }
    None
}

/// Why `name` cannot name a process type, or nothing.
pub(super) fn breaks_process_name(name: &str) -> Option<String> {
    name.parse::<ProcessName>().err().map(|error| error.to_string())
}

/// The known word nearest to `word`, when it is near enough to have been meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = match word.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let lower = word.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|candidate| {
            let plain = candidate.to_lowercase().replace('-', "_");
            (strsim::damerau_levenshtein(&lower, &plain), candidate)
        })
        .filter(|(distance, candidate)| *distance <= most && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
