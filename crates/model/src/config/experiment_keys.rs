//! The keys of `[release]` that say what an experiment is.

use crate::seam::{Condition, Match, check_matches};
use crate::time::Span;
use crate::{RevisionId, Slot};

use super::key::{Key, Kind, key, required};
use super::text_rule::{COOKIE, FIELD, SHARE, TextRule};
use super::{Part, names};

const VALUE: TextRule =
    TextRule { what: "a value", pattern: "^[^\\u0000-\\u001f\\u007f]{0,256}$", breaks: breaks_value };
const PARAMETER: TextRule = TextRule {
    what: "the name of a query parameter",
    pattern: "^[^\\u0000-\\u001f\\u007f]{1,64}$",
    breaks: breaks_parameter,
};

pub(super) const EXPERIMENT: Key = key(
    "experiment",
    Kind::Table(EXPERIMENT_KEYS),
    Part::Policy,
    None,
    "[release.experiment]",
    "Who gets the new revision, and for how long. Only with `strategy = \"ab\"` (see [experiments](experiments.md)).",
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
