//! The keys of `[release]`, as part of the one table of keys.

use crate::time::Span;

use super::check_keys::CHECK_KEYS;
use super::experiment_keys::EXPERIMENT;
use super::goal_keys::GOAL;
use super::hook_keys::HOOK_KEYS;
use super::key::{Key, Kind, MAX_KEPT_REVISIONS, key, later};
use super::rolling_keys::ROLLING;
use super::shadow_keys::SHADOW;
use super::step_keys::{CANARY, LINEAR, STEP};
use super::text_rule::TextRule;
use super::window_keys::{ALLOW, FREEZE_KEY};
use super::{Part, names};

const RATE: TextRule = TextRule { what: "a percentage", pattern: "^[0-9]{1,2}(\\.[0-9]{1,2})?%$", breaks: |_| None };

pub(super) static RELEASE_KEYS: &[Key] = &[
    key(
        "strategy",
        Kind::Choice(names::STRATEGY),
        Part::Policy,
        Some("blue-green"),
        "strategy = \"blue-green\"",
        "How traffic moves: `blue-green` is all at once, `canary` by small shares first, `linear` by equal steps, `rolling` by batches within the capacity, `ab` an experiment on some of the clients (see [strategies](strategies.md)).",
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
        "How long the old slot stays at full scale after the bake, so that going back is one switch. Not with `strategy = \"rolling\"`, which leaves no old slot to keep.",
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
        "A command or a server of your own that is asked at a stage of the release. See docs/hooks.md.",
    ),
    key(
        "check",
        Kind::Tables(CHECK_KEYS),
        Part::Policy,
        None,
        "[[release.check]]",
        "A measured verdict on the new slot: pass, fail or inconclusive. A failed one undoes the release; one without a verdict keeps it waiting.",
    ),
    key(
        "false_alarms",
        Kind::Text(RATE),
        Part::Policy,
        None,
        "false_alarms = \"0.1%\"",
        "How many of the releases that are as good as the live revision may be undone by mistake, over all checks and steps of a release together; 0.1% when it is not written. What rests on numbers of your own has no such promise.",
    ),
    key(
        "evidence_timeout",
        Kind::Duration { least: Span::from_secs(1) },
        Part::Policy,
        Some("10m"),
        "evidence_timeout = \"10m\"",
        "How long a step, or a shadow comparison, waits for the verdicts of its checks after its own time is over.",
    ),
    key(
        "no_evidence",
        Kind::Choice(names::NO_EVIDENCE),
        Part::Policy,
        Some("undo"),
        "no_evidence = \"undo\"",
        "What follows when, before full traffic, verdicts are missing then: the release is undone (`undo`), or waits for a person as long as `approve_timeout` says (`pause`). In the bake it ends unproven.",
    ),
    SHADOW,
    STEP,
    CANARY,
    LINEAR,
    ROLLING,
    EXPERIMENT,
    GOAL,
    ALLOW,
    FREEZE_KEY,
    later("checks", "checks = []", "write each as a table: [[release.check]]"),
];
