use super::*;
use MigrationPhase::{Contracted, Contracting, Detached, Expanded, Expanding, Undoing};

fn id(name: &str) -> MigrationId {
    let (name, checksum) = name.split_once('#').unwrap_or((name, "1"));
    MigrationId { name: name.to_owned(), checksum: checksum.to_owned() }
}

fn schema(names: &str) -> RevisionSchema {
    RevisionSchema {
        migrations: names.split_whitespace().map(id).collect(),
        version: String::new(),
        schema: String::new(),
        url: String::new(),
    }
}

/// The names of the steps until the goal is reached, each carried out on `known`.
fn walk(known: &[(&str, MigrationPhase)], road: Road<'_>) -> Vec<String> {
    let mut known: Vec<MigrationSeen> =
        known.iter().map(|(name, phase)| MigrationSeen { id: id(name), phase: *phase }).collect();
    let mut told = Vec::new();
    for _ in 0..20 {
        let step = match road.next(&known) {
            Ok(Some(step)) => step,
            Ok(None) => return told,
            Err(error) => {
                told.push(error.to_string());
                return told;
            }
        };
        let mut set = |name: &str, phase| {
            if let Some(seen) = known.iter_mut().find(|seen| seen.id.name == name) {
                seen.phase = phase;
            }
        };
        told.push(match &step {
            Step::Expand(id) => {
                set(&id.name, Expanded);
                if !known.iter().any(|seen| seen.id == *id) {
                    known.push(MigrationSeen { id: id.clone(), phase: Expanded });
                }
                format!("expand {}", id.name)
            }
            Step::Attach(name) => {
                set(name, Expanded);
                format!("attach {name}")
            }
            Step::Contract(name) => {
                set(name, Contracted);
                format!("contract {name}")
            }
            Step::Undo(name) => {
                known.retain(|seen| seen.id.name != *name);
                format!("undo {name}")
            }
            Step::Restore(name) => {
                set(name, Expanded);
                format!("restore {name}")
            }
            Step::Detach(name) => {
                set(name, Detached);
                format!("detach {name}")
            }
        });
    }
    panic!("no end: {told:?}");
}

#[test]
fn what_is_missing_is_expanded_in_order_beside_the_live_one() {
    let (wanted, beside) = (schema("a b c"), [schema("a")]);
    let road = Road::Serve { wanted: &wanted, beside: &beside };
    assert_eq!(walk(&[("a", Contracted)], road), ["expand b", "expand c"]);
    assert_eq!(walk(&[("a", Contracted), ("b", Expanding)], road), ["expand b", "expand c"]);
    assert_eq!(walk(&[("a", Contracted), ("b", Detached)], road), ["attach b", "expand c"]);
    assert!(walk(&[("a", Contracted), ("b", Expanded), ("c", Expanded)], road).is_empty());
}

#[test]
fn what_neither_revision_knows_is_taken_back_first_and_an_edited_file_is_done_anew() {
    let (wanted, beside) = (schema("a b#2 c"), [schema("a")]);
    let road = Road::Serve { wanted: &wanted, beside: &beside };
    let known = [("a", Contracted), ("b#1", Expanded), ("x", Expanded)];
    assert_eq!(walk(&known, road), ["undo x", "undo b", "expand b", "expand c"]);
    assert_eq!(walk(&[("a", Contracted), ("x", Undoing)], road), ["undo x", "expand b", "expand c"]);
    assert_eq!(walk(&[("a", Contracted), ("b#1", Contracted)], road), ["migration b was edited after its contract"]);
}

#[test]
fn what_the_live_revision_stands_on_is_not_done_anew() {
    let (wanted, beside) = (schema("a#2"), [schema("a#1")]);
    let road = Road::Serve { wanted: &wanted, beside: &beside };
    let told = walk(&[("a#1", Expanded)], road);
    assert_eq!(told, ["migration a was edited, and a revision that is live or kept warm stands on it as it was"]);
}

#[test]
fn what_an_older_revision_does_not_know_comes_back_from_the_attic() {
    let (wanted, beside) = (schema("a"), [schema("a b c")]);
    let road = Road::Serve { wanted: &wanted, beside: &beside };
    assert_eq!(walk(&[("a", Contracted), ("b", Contracted), ("c", Contracted)], road), ["restore c", "restore b"]);
    assert_eq!(walk(&[("a", Contracted), ("b", Contracting)], road), ["contract b", "restore b"]);
}

#[test]
fn nothing_is_taken_back_from_under_what_is_in_use() {
    let (wanted, beside) = (schema("a c"), [schema("a c")]);
    let road = Road::Serve { wanted: &wanted, beside: &beside };
    let told = walk(&[("a", Contracted), ("x", Expanded), ("c", Expanded)], road);
    assert_eq!(told, ["migration x has to be taken back, and c, which is in use, stands on it"]);
}

#[test]
fn what_only_others_needed_goes() {
    let wanted = schema("a b");
    let road = Road::Leave { wanted: &wanted };
    assert_eq!(
        walk(&[("a", Expanded), ("b", Expanded), ("x", Expanded)], road),
        ["undo x", "contract a", "contract b"]
    );
    assert_eq!(walk(&[("a", Contracted), ("b", Detached)], road), ["attach b", "contract b"]);
    assert!(walk(&[("a", Contracted), ("b", Contracted)], road).is_empty());
}

#[test]
fn what_is_undone_is_detached_alone() {
    let (wanted, beside) = (schema("a b"), schema("a"));
    let road = Road::Detach { wanted: &wanted, beside: &beside };
    assert_eq!(walk(&[("a", Expanded), ("b", Expanded)], road), ["detach b"]);
}
