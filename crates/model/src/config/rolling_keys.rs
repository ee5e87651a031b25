//! The keys of `[release] rolling`.

use crate::time::Span;

use super::Part;
use super::key::{Key, Kind, MAX_INSTANCES, key};
use super::rolling::Surge;
use super::text_rule::TextRule;

pub(super) const ROLLING: Key = key(
    "rolling",
    Kind::Table(ROLLING_KEYS),
    Part::Policy,
    None,
    "rolling = { surge = \"25%\", every = \"1m\" }",
    "The batches of `strategy = \"rolling\"`.",
);

const PERCENT: TextRule = TextRule {
    what: "a number of instances from 1 to 100, or a percentage",
    pattern: "^0*([1-9][0-9]?|100)%$",
    breaks: |text| text.parse::<Surge>().err().map(|error| error.to_string()),
};

static ROLLING_KEYS: &[Key] = &[
    key(
        "surge",
        Kind::CountOrText { most: MAX_INSTANCES, rule: PERCENT },
        Part::Policy,
        Some("25%"),
        "surge = 1",
        "How many instances of each process type may run beyond its scale, both slots together: a number of instances, or a percentage of the scale, rounded up. At least one, at most as many again.",
    ),
    key(
        "every",
        Kind::Duration { least: Span::ZERO },
        Part::Policy,
        Some("10s"),
        "every = \"1m\"",
        "How long each batch stays at least, counted from when its share is seen in force.",
    ),
];
