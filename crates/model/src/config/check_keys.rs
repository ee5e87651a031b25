//! The keys of `[[release.check]]`, as part of the one table of keys.

use crate::time::Span;

use super::hook_keys::{SECRET, URL};
use super::key::{Key, Kind, key, required};
use super::reach::reach;
use super::text_rule::{COMMAND, TextRule};
use super::{Part, names};

/// The longest name of a check, in bytes.
const LONGEST_NAME: usize = 60;
/// The longest query, in bytes.
const LONGEST_QUERY: usize = 4096;
/// The most values that may be allowed to be beyond a limit.
const MOST_VALUES: u32 = 1000;
/// The most values or requests that may be asked for.
const MOST_ENOUGH: u32 = 100_000_000;

const NAME: TextRule = TextRule { what: "a name", pattern: "^[^\\u0000-\\u001f\\u007f]+$", breaks: breaks_name };
const PROCESS: TextRule =
    TextRule { what: "the name of a process type", pattern: "", breaks: super::text_rule::breaks_process_name };
const QUANTILE: TextRule = TextRule { what: "a quantile", pattern: "^p[0-9]{1,2}(\\.[0-9]{1,4})?$", breaks: no_rule };
const BOUND: TextRule = TextRule {
    what: "a number with its unit",
    pattern: "^-?[0-9]+(\\.[0-9]{1,6})?(%|us|ms|s|m|h|/s)?$",
    breaks: no_rule,
};
pub(super) const QUERY: TextRule = TextRule { what: "a query", pattern: "\\S", breaks: breaks_query };
const WHEN: TextRule =
    TextRule { what: "\"shift\", \"bake\" or \"warm\"", pattern: "^(shift|bake|warm)$", breaks: breaks_when };

/// The token of who is asked for a number.
pub(super) const TOKEN: Key = key(
    "token",
    Kind::Text(SECRET),
    Part::Policy,
    None,
    "token = \"METRICS_TOKEN\"",
    "The variable of the secrets file whose value goes along as `Authorization: Bearer`. It is read when the number is asked for, and never journaled or shown. Only with `prometheus` or `url`.",
);

pub(super) static CHECK_KEYS: &[Key] = &[
    required(key("name", Kind::Text(NAME), Part::Policy, None, "name = \"errors\"", "What people call it.")),
    key(
        "measure",
        Kind::Choice(names::MEASURE),
        Part::Policy,
        None,
        "measure = \"errors\"",
        "What the router counts of the requests led to a slot: `errors` (the part of them that ended with 5xx or without a whole answer), `latency` (of their `quantile`), `requests` (a second) or `upgrades-cut` (the part of the upgraded connections opened that the router had to cut).",
    ),
    key(
        "process",
        Kind::Text(PROCESS),
        Part::Policy,
        None,
        "process = \"web\"",
        "The process type whose requests count. Without it those of all of them together. Only with `measure`.",
    ),
    key(
        "quantile",
        Kind::Text(QUANTILE),
        Part::Policy,
        None,
        "quantile = \"p99\"",
        "Which latency: `p99` is the one that 99 of 100 requests stay below. Only with `measure = \"latency\"`.",
    ),
    key(
        "prometheus",
        Kind::Text(URL),
        Part::Policy,
        None,
        "prometheus = \"http://127.0.0.1:9090\"",
        "A Prometheus server that is asked `query`.",
    ),
    key(
        "query",
        Kind::Text(QUERY),
        Part::Policy,
        None,
        "query = \"sum(rate(http_errors_total{slot=\\\"$SLOT\\\"}[1m]))\"",
        "The instant query; it gives one number. `$SLOT`, `$REVISION`, `$APP` and `$RELEASE` stand for what is looked at, and one of the first two must stand in it: a number of both slots together says nothing of the new one. Values are used from one range (`[1m]`) after a step or the bake began; with `worse_by` one for each range.",
    ),
    key(
        "command",
        Kind::Text(COMMAND),
        Part::Policy,
        None,
        "command = \"./queue-length.sh\"",
        "Prints a number as its last line. Run by `/bin/sh -c` in the revision's directory with its environment, its secrets and the variables of hooks.",
    ),
    key(
        "url",
        Kind::Text(URL),
        Part::Policy,
        None,
        "url = \"http://127.0.0.1:9000/lag?slot=$SLOT\"",
        "Answers GET with a number. `$SLOT`, `$REVISION`, `$APP` and `$RELEASE` stand for what is looked at.",
    ),
    TOKEN,
    key(
        "max",
        Kind::Text(BOUND),
        Part::Policy,
        None,
        "max = \"1%\"",
        "What it may be at most: `1%` of errors or cut upgrades, `300ms` of latency, `50/s` of requests, a plain number of anything else.",
    ),
    key("min", Kind::Text(BOUND), Part::Policy, None, "min = \"5/s\"", "What it must be at least."),
    key(
        "worse_by",
        Kind::Text(BOUND),
        Part::Policy,
        None,
        "worse_by = \"0.5%\"",
        "What would matter: by how much it may not be worse than the live slot at the same time on the same share. For errors and cut upgrades in points (`0.5%`: 1.5 % against 1 %), for latency and numbers of your own as a part of the live slot's (`30%`: 130 ms against 100 ms). All at once there is no live slot beside it: then it is held against what the old one did in the time before.",
    ),
    key(
        "worse",
        Kind::Choice(names::WORSE),
        Part::Policy,
        Some("higher"),
        "worse = \"higher\"",
        "Which way a number of your own gets worse. Only with `worse_by` and `prometheus`, `command` or `url`.",
    ),
    key(
        "interval",
        Kind::Duration { least: Span::from_secs(1) },
        Part::Policy,
        Some("10s"),
        "interval = \"10s\"",
        "How often it is asked for. Only with `prometheus`, `command` or `url`: what the router counts is read each second.",
    ),
    key(
        "timeout",
        Kind::Duration { least: Span::from_millis(10) },
        Part::Policy,
        Some("5s"),
        "timeout = \"5s\"",
        "How long an answer may take; then it says nothing.",
    ),
    key(
        "allowed",
        Kind::Whole { least: 0, most: MOST_VALUES },
        Part::Policy,
        Some("0"),
        "allowed = 1",
        "How many values may be beyond `max` or `min`; one more fails. Only with `prometheus`, `command` or `url`.",
    ),
    key(
        "enough",
        Kind::Whole { least: 1, most: MOST_ENOUGH },
        Part::Policy,
        None,
        "enough = 100",
        "How many values a pass rests on at least; 5 when it is not written. With `measure`: a check that has neither ruled out nor proven what would matter when the step's own time is over passes all the same, if each side had so many requests and what was measured is not that bad. Without it such a check stays inconclusive.",
    ),
    key(
        "during",
        Kind::TextOrList(WHEN),
        Part::Policy,
        None,
        "during = [\"shift\", \"bake\"]",
        "When it is looked at: in each step of the shift, in the bake, and while the old slot is kept warm after it (`warm`). All three when it is not written.",
    ),
];

fn no_rule(_: &str) -> Option<String> {
    None
}

fn breaks_when(text: &str) -> Option<String> {
    (!names::DURING.contains(&text)).then(|| format!("\"{text}\" is no time at which a check is looked at"))
}

fn breaks_name(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("a name is empty".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Some("a name contains a control character".to_owned());
    }
    (text.len() > LONGEST_NAME).then(|| format!("\"{text}\" is longer than {LONGEST_NAME} bytes"))
}

fn breaks_query(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("a query is empty".to_owned());
    }
    if text.len() > LONGEST_QUERY {
        return Some(format!("a query is longer than {LONGEST_QUERY} bytes"));
    }
    if text.contains('\0') {
        return Some("a query contains a zero byte".to_owned());
    }
    if reach(text).is_none() {
        return Some(
            "a range of the query is no duration such as [5m], so how far back it looks is not known".to_owned(),
        );
    }
    let names_it = text.contains("$SLOT") || text.contains("$REVISION");
    (!names_it).then(|| "the query names no slot: it would give the number of both slots together".to_owned())
}
