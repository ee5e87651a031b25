//! Arrows between rooms go downward only.

use std::collections::BTreeSet;

use crate::tree::{manifest, none, rooms};

/// Each room and the rooms it may know.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("http1", &[]),
    ("rollout", &["model"]),
    ("judge", &["model"]),
    ("migration", &["model"]),
    ("journal", &["model"]),
    ("platform", &["migration", "model"]),
    ("router", &["http1", "model"]),
    ("fetch", &["model"]),
    ("postgres", &["migration", "model"]),
    ("controller", &["fetch", "journal", "judge", "model", "platform", "postgres", "rollout", "router"]),
    ("api", &["controller", "model"]),
    (
        "switchover",
        &["api", "controller", "journal", "judge", "migration", "model", "platform", "postgres", "router", "testkit"],
    ),
    ("testkit", &["model"]),
];

#[test]
fn rooms_know_only_what_lies_below_them() {
    let mut faults = Vec::new();
    for (room, allowed) in MAY_KNOW {
        let manifest = manifest(room);
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        for name in dependencies.keys().filter_map(|name| name.strip_prefix("switchover-")) {
            if !allowed.contains(&name) {
                faults.push(format!("{room} knows {name}"));
            }
        }
    }
    none("an arrow goes up or sideways", &faults);
}

#[test]
fn every_room_has_its_floor_and_something_in_it() {
    let known: BTreeSet<_> = MAY_KNOW.iter().map(|(room, _)| (*room).to_owned()).collect();
    let found: BTreeSet<_> = rooms().into_iter().collect();
    assert_eq!(known, found, "rooms of the table and rooms on disk differ");
    let thin: Vec<_> = found
        .iter()
        .filter(|room| crate::tree::room(room).iter().map(|(_, text)| text.lines().count()).sum::<usize>() < 200)
        .cloned()
        .collect();
    none("a room with nothing in it", &thin);
}
