//! The keys of `[release]` that say by which steps the traffic moves.

use crate::time::Span;

use super::key::{Key, Kind, key, required};
use super::text_rule::SHARE;
use super::{Part, names};

pub(super) const STEP: Key = key(
    "step",
    Kind::Tables(STEP_KEYS),
    Part::Policy,
    None,
    "[[release.step]]",
    "One step of a canary, in the order of the file; after the last one comes all traffic. Only with `strategy = \"canary\"`.",
);

pub(super) const CANARY: Key = key(
    "canary",
    Kind::Choice(names::CANARY),
    Part::Policy,
    None,
    "canary = \"careful\"",
    "Steps that have a name, in the place of `[[release.step]]` (see [strategies](strategies.md#canary)). Only with `strategy = \"canary\"`.",
);

pub(super) const LINEAR: Key = key(
    "linear",
    Kind::Table(LINEAR_KEYS),
    Part::Policy,
    None,
    "linear = { by = \"20%\", every = \"5m\" }",
    "The equal steps of `strategy = \"linear\"`.",
);

static STEP_KEYS: &[Key] = &[
    required(key(
        "share",
        Kind::Text(SHARE),
        Part::Policy,
        None,
        "share = \"5%\"",
        "The share of the new slot: more than in the step before, less than all.",
    )),
    key(
        "for",
        Kind::Duration { least: Span::from_secs(1) },
        Part::Policy,
        None,
        "for = \"10m\"",
        "How long it stays at this share at least, counted from when the share is seen in force. Needed where `approve` is not `true`.",
    ),
    key(
        "approve",
        Kind::Flag,
        Part::Policy,
        Some("false"),
        "approve = true",
        "Whether a person says yes (`switchover promote`) after that time, before the next step. Waited for as long as `approve_timeout`.",
    ),
];

static LINEAR_KEYS: &[Key] = &[
    key(
        "by",
        Kind::Text(SHARE),
        Part::Policy,
        Some("10%"),
        "by = \"20%\"",
        "How much the share of the new slot grows by with each step, at least 1%.",
    ),
    key(
        "every",
        Kind::Duration { least: Span::from_secs(1) },
        Part::Policy,
        Some("5m"),
        "every = \"5m\"",
        "How long each step stays at least, counted from when its share is seen in force.",
    ),
];
