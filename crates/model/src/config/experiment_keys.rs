//! The keys of `[release]` that say what an experiment is and what it is judged by.

use crate::seam::{Condition, GoalRequest, Match, check_matches};
use crate::time::Span;
use crate::{RevisionId, Slot};

use super::key::{Key, Kind, key, required};
use super::text_rule::{COOKIE, FIELD, SHARE, TextRule};
use super::{Part, names};

/// The longest name of a goal, in bytes.
const LONGEST_NAME: usize = 60;

const NAME: TextRule = TextRule { what: "a name", pattern: "^[^\\u0000-\\u001f\\u007f]+$", breaks: breaks_name };
const REQUEST: TextRule = TextRule {
    what: "a request with its answer",
    pattern: "^[A-Z-]{1,32} /[!\"$-)+->@-~]*[*]? ([1-5]xx|[1-5][0-9][0-9])$",
    breaks: |text| text.parse::<GoalRequest>().err().map(|error| error.to_string()),
};
const VALUE: TextRule =
    TextRule { what: "a value", pattern: "^[^\\u0000-\\u001f\\u007f]{0,256}$", breaks: breaks_value };
const PARAMETER: TextRule = TextRule {
    what: "the name of a query parameter",
    pattern: "^[^\\u0000-\\u001f\\u007f]{1,64}$",
    breaks: breaks_parameter,
};
const EFFECT: TextRule = TextRule { what: "a percentage", pattern: "^[0-9]{1,2}(\\.[0-9]{1,4})?%$", breaks: |_| None };

pub(super) const EXPERIMENT: Key = key(
    "experiment",
    Kind::Table(EXPERIMENT_KEYS),
    Part::Policy,
    None,
    "[release.experiment]",
    "Who gets the new revision, and for how long. Only with `strategy = \"ab\"` (see [experiments](experiments.md)).",
);

pub(super) const GOAL: Key = key(
    "goal",
    Kind::Tables(GOAL_KEYS),
    Part::Policy,
    None,
    "[[release.goal]]",
    "What the clients of an experiment shall do: counted at the router, on both sides. At most 8. Only with `strategy = \"ab\"`.",
);

static EXPERIMENT_KEYS: &[Key] = &[
    key(
        "share",
        Kind::Text(SHARE),
        Part::Policy,
        None,
        "share = \"50%\"",
        "The share of the clients that get the new revision, by chance. Without it `match` alone says who does.",
    ),
    key(
        "match",
        Kind::Tables(MATCH_KEYS),
        Part::Policy,
        None,
        "match = [{ header = \"X-Beta\", value = \"1\" }]",
        "Who gets the new revision whatever the share: whose request meets any of these.",
    ),
    required(key(
        "for",
        Kind::Duration { least: Span::from_secs(1) },
        Part::Policy,
        None,
        "for = \"7d\"",
        "When it ends at the latest, counted from when it is seen in force. Time in which a person pauses the release does not count.",
    )),
    key(
        "at_least",
        Kind::Duration { least: Span::ZERO },
        Part::Policy,
        Some("0s"),
        "at_least = \"1d\"",
        "It is not decided before, so that each time of the day, or day of the week, has its part in it.",
    ),
    key(
        "undecided",
        Kind::Choice(names::UNDECIDED),
        Part::Policy,
        Some("drop"),
        "undecided = \"drop\"",
        "What follows when it ends and nothing is proven: all clients return to the old revision (`drop`), all go to the new one (`promote`), or it waits for a person as long as `approve_timeout` says (`ask`). One whose split was not as it was set is never promoted by itself.",
    ),
];

static MATCH_KEYS: &[Key] = &[
    key("header", Kind::Text(FIELD), Part::Policy, None, "header = \"X-Beta\"", "A header."),
    key("cookie", Kind::Text(COOKIE), Part::Policy, None, "cookie = \"beta\"", "A cookie of the app's."),
    key("query", Kind::Text(PARAMETER), Part::Policy, None, "query = \"beta\"", "A query parameter, after decoding."),
    required(key("value", Kind::Text(VALUE), Part::Policy, None, "value = \"1\"", "Its value, compared exactly.")),
];

static GOAL_KEYS: &[Key] = &[
    required(key("name", Kind::Text(NAME), Part::Policy, None, "name = \"checkout\"", "What people call it.")),
    required(key(
        "request",
        Kind::Text(REQUEST),
        Part::Policy,
        None,
        "request = \"POST /checkout 2xx\"",
        "The request that reaches it: method, path without its query (all of it, or its beginning with a `*` at the end), and the status of the answer (a class, or one number). A client reaches it once, however often it does so.",
    )),
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

fn breaks_condition(condition: Condition) -> Option<String> {
    let rule = Match { slot: Slot::Green, revision: RevisionId(0), when: vec![condition] };
    check_matches(&[rule]).err().map(|error| error.to_string())
}

fn breaks_value(text: &str) -> Option<String> {
    breaks_condition(Condition::Query { name: "value".to_owned(), value: text.to_owned() })
}

fn breaks_parameter(text: &str) -> Option<String> {
    breaks_condition(Condition::Query { name: text.to_owned(), value: String::new() })
}
