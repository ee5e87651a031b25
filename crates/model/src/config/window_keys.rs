//! The keys of `[release]` that say when traffic may move.

use super::Part;
use super::key::{Key, Kind, key};
use super::text_rule::{FREEZE, WINDOW};

pub(super) const ALLOW: Key = key(
    "allow",
    Kind::TextOrList(WINDOW),
    Part::Policy,
    None,
    "allow = [\"Mon-Thu 09:00-16:00 Europe/Berlin\"]",
    "The only times at which a release may begin to move traffic or take its next step; else it waits. A way back never waits (see [strategies](strategies.md#time-windows-and-freezes)).",
);

pub(super) const FREEZE_KEY: Key = key(
    "freeze",
    Kind::TextOrList(FREEZE),
    Part::Policy,
    None,
    "freeze = [\"2026-12-20..2027-01-03 Europe/Berlin\"]",
    "Whole days, from the first to the last one, on which no release moves traffic forward.",
);
