//! The keys of `[[release.goal]]`: what an experiment is judged by.

use crate::seam::GoalRequest;
use crate::time::Span;

use super::check_keys::{QUERY, TOKEN};
use super::hook_keys::URL;
use super::key::{Key, Kind, key, required};
use super::text_rule::{COMMAND, TextRule};
use super::{Part, names};

/// The longest name of a goal, in bytes.
const LONGEST_NAME: usize = 60;

const NAME: TextRule = TextRule { what: "a name", pattern: "^[^\\u0000-\\u001f\\u007f]+$", breaks: breaks_name };
const REQUEST: TextRule = TextRule {
    what: "a request with its answer",
    pattern: "^[A-Z-]{1,32} /[!\"$-)+->@-~]*[*]? ([1-5]xx|[1-5][0-9][0-9])$",
    breaks: |text| text.parse::<GoalRequest>().err().map(|error| error.to_string()),
};
const EFFECT: TextRule = TextRule { what: "a percentage", pattern: "^[0-9]{1,2}(\\.[0-9]{1,4})?%$", breaks: |_| None };

pub(super) const GOAL: Key = key(
    "goal",
    Kind::Tables(GOAL_KEYS),
    Part::Policy,
    None,
    "[[release.goal]]",
    "What the clients of an experiment shall do: a request, counted at the router, or a number that somebody else knows of each side. At most 8. Only with `strategy = \"ab\"`.",
);

static GOAL_KEYS: &[Key] = &[
    required(key("name", Kind::Text(NAME), Part::Policy, None, "name = \"checkout\"", "What people call it.")),
    key(
        "request",
        Kind::Text(REQUEST),
        Part::Policy,
        None,
        "request = \"POST /checkout 2xx\"",
        "The request that reaches it; it, `prometheus`, `command` or `url` has to be there. Method, path without its query (all of it, or its beginning with a `*` at the end), and the status of the answer (a class, or one number). A client reaches it once, however often it does so.",
    ),
    key(
        "prometheus",
        Kind::Text(URL),
        Part::Policy,
        None,
        "prometheus = \"http://127.0.0.1:9090\"",
        "A Prometheus server that is asked `query`, in the place of `request`.",
    ),
    key(
        "query",
        Kind::Text(QUERY),
        Part::Policy,
        None,
        "query = \"sum(signed_up_total{revision=\\\"$REVISION\\\"}) or vector(0)\"",
        "The instant query; it gives one number: how many clients of the slot or the revision reached the goal. `$SLOT`, `$REVISION`, `$APP` and `$RELEASE` stand for what is asked about, and one of the first two must stand in it; `$SINCE` for the moment from which it is counted, `lag` after the experiment began, in seconds since 1970.",
    ),
    key(
        "command",
        Kind::Text(COMMAND),
        Part::Policy,
        None,
        "command = \"./buyers.sh\"",
        "Prints that number as its last line, in the place of `request`. Run by `/bin/sh -c` once in each revision's directory, with its environment, its secrets and the variables of hooks: `SWITCHOVER_REVISION` and `SWITCHOVER_SLOT` say of whom, and `SWITCHOVER_SINCE` from when on it is counted: `lag` after the experiment began, in seconds since 1970.",
    ),
    key(
        "url",
        Kind::Text(URL),
        Part::Policy,
        None,
        "url = \"http://127.0.0.1:9000/buyers?revision=$REVISION\"",
        "Answers GET with that number, in the place of `request`. `$SLOT`, `$REVISION`, `$APP` and `$RELEASE` stand for what is asked about, and one of the first two must stand in it; `$SINCE` for the moment from which it is counted, `lag` after the experiment began, in seconds since 1970.",
    ),
    TOKEN,
    key(
        "interval",
        Kind::Duration { least: Span::from_secs(1) },
        Part::Policy,
        Some("10s"),
        "interval = \"10s\"",
        "How often the number is asked for; in a long experiment no more often than it is looked at. Only with `prometheus`, `command` or `url`.",
    ),
    key(
        "timeout",
        Kind::Duration { least: Span::from_millis(10) },
        Part::Policy,
        Some("5s"),
        "timeout = \"5s\"",
        "How long an answer may take; then it says nothing. Only with `prometheus`, `command` or `url`.",
    ),
    key(
        "lag",
        Kind::Duration { least: Span::ZERO },
        Part::Policy,
        Some("1m"),
        "lag = \"1m\"",
        "How long after a client came it may be counted: the time it takes to reach the goal, and until the number shows it (a scrape). What is counted before so much of the experiment has gone by is left out: it may be of clients from before it, who were all on the old revision. At most a tenth of `for`. Only with `prometheus`, `command` or `url`.",
    ),
    key(
        "primary",
        Kind::Flag,
        Part::Policy,
        Some("false"),
        "primary = true",
        "Whether the experiment is decided by it: exactly one is, or the only one.",
    ),
    key(
        "better",
        Kind::Choice(names::BETTER),
        Part::Policy,
        Some("higher"),
        "better = \"higher\"",
        "Whether more clients that reach it are better, or fewer.",
    ),
    key(
        "effect",
        Kind::Text(EFFECT),
        Part::Policy,
        None,
        "effect = \"1%\"",
        "The smallest difference that matters, in points of all clients (`1%`: 6 % against 5 %). What is proven and measured smaller decides nothing. Without it any difference that is proven decides.",
    ),
];

fn breaks_name(text: &str) -> Option<String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Some("a goal's name is visible text".to_owned());
    }
    (text.len() > LONGEST_NAME).then(|| format!("a goal's name has at most {LONGEST_NAME} bytes"))
}
