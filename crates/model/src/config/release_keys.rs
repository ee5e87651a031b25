//! The keys of `[release]`, as part of the one table of keys.

use crate::time::Span;

use super::key::{Key, Kind, MAX_KEPT_REVISIONS, key, later, required};
use super::step_keys::{CANARY, LINEAR, STEP};
use super::text_rule::COMMAND;
use super::window_keys::{ALLOW, FREEZE_KEY};
use super::{Part, names};

pub(super) static RELEASE_KEYS: &[Key] = &[
    key(
        "strategy",
        Kind::Choice { known: names::STRATEGY, later: names::LATER_STRATEGIES },
        Part::Policy,
        Some("blue-green"),
        "strategy = \"blue-green\"",
        "How traffic moves: `blue-green` is all at once, `canary` by small shares first, `linear` by equal steps (see [strategies](strategies.md)).",
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
        "How long that yes is waited for, and the one of a step; then the release is undone. Only with an `approve = true`.",
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
    STEP,
    CANARY,
    LINEAR,
    ALLOW,
    FREEZE_KEY,
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
