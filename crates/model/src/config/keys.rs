//! The one table of keys of `switchover.toml`: the parser, its suggestions, the JSON Schema and the reference in
//! `docs/configuration.md` are all made from it, so they cannot say different things.

use crate::time::Span;

use super::database_keys::DATABASE_KEYS;
use super::key::{MAX_INSTANCES, SHORTEST_INTERVAL};
use super::notify_keys::NOTIFY_KEYS;
use super::release_keys::RELEASE_KEYS;
use super::route_keys::ROUTE_KEYS;
use super::text_rule::{APP_NAME, FILE, PREFIX, TARGET};
use super::{Part, names};

pub(super) use super::key::{Key, Kind, key, later, required};
pub(super) use super::text_rule::{COMMAND, INSIDE, TextRule, breaks_env_name};

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
        Kind::Choice(names::DRIFT),
        Part::Policy,
        Some("correct"),
        "drift = \"report\"",
        "What to do about a change made behind the tool's back, and about instances in service that stay ill: `correct` puts it right (who stays ill for its `health.deadline` is replaced) and records it, `report` only records it.",
    ),
    key(
        "notify",
        Kind::Tables(NOTIFY_KEYS),
        Part::Policy,
        None,
        "[[notify]]",
        "Who is told of what happens to releases: that one waits for a person, is switched, was taken back, has failed. See docs/notifications.md.",
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
        Kind::Choice(names::ON_CRASH),
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
        Kind::Choice(names::HANDOVER),
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
        Kind::Choice(names::STOP_SIGNAL),
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
