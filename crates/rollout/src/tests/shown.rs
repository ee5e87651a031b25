//! What a person is shown of a release while it goes on.

use switchover_model::config::{Asks, Handover, Hook, OnCrash, When};
use switchover_model::release::{Command, Stage};
use switchover_model::view::ReleaseView;

use super::bed::{Bed, file, file_with_worker, hook};
use crate::view;

fn shown(bed: &Bed) -> ReleaseView {
    view::status(&bed.app, &bed.seen, bed.now).releases.pop().expect("a release goes on")
}

fn note(bed: &Bed, of: Stage) -> Option<String> {
    shown(bed).stages.into_iter().rev().find(|stage| stage.stage == of).and_then(|stage| stage.note)
}

#[test]
fn a_hook_is_named_by_its_command() {
    let mut file = file();
    file.release.hooks.push(hook(Stage::Verify, OnCrash::Fail));
    let command = "./smoke.sh --with every --option that --fits not --on a --line".into();
    file.release.hooks[0].asks = Asks::Command { command };
    let mut bed = Bed::new(file);
    bed.deploy("v1");
    assert_eq!(
        note(&bed, Stage::Verify).as_deref().and_then(|note| note.split_once(" passed")).map(|(hook, _)| hook),
        Some("hook `./smoke.sh --with every --option that --…`")
    );
}

#[test]
fn a_hook_before_a_stage_is_told_as_such_by_the_stage_that_it_is_asked_in() {
    let mut file = file();
    let asked = hook(Stage::Shift, OnCrash::Fail);
    file.release.hooks.push(Hook { when: When::Before, ..asked });
    let mut bed = Bed::new(file);
    bed.deploy("v1");
    let told = note(&bed, Stage::Verify).unwrap_or_default();
    assert!(told.starts_with("hook before shift `") && told.contains("` passed in "), "{told}");
}

#[test]
fn provision_counts_what_it_waits_for() {
    let mut bed = Bed::with_v1_live(file_with_worker(Handover::StopFirst));
    bed.boots_forever = true;
    bed.deploy("v2");
    assert_eq!(note(&bed, Stage::Provision).as_deref(), Some("0 of 2 instances healthy"));

    let mut bed = Bed::with_v1_live(file_with_worker(Handover::Lease));
    bed.boots_forever = true;
    bed.deploy("v2");
    assert_eq!(note(&bed, Stage::Provision).as_deref(), Some("0 of 3 instances healthy"));
}

#[test]
fn a_release_that_was_promoted_while_it_is_held_waits_for_no_promotion() {
    let mut file = file();
    file.release.approve = true;
    let mut bed = Bed::new(file);
    let release = bed.deploy("v1");
    assert_eq!((shown(&bed).waiting.as_deref(), shown(&bed).at_gate), (Some("a person to promote it"), true));
    bed.command(Command::Pause { release }).unwrap();
    bed.command(Command::Promote { release, stage: Stage::Approve, step: None, full: false }).unwrap();
    let shown = shown(&bed);
    assert_eq!((shown.waiting, shown.at_gate, shown.paused), (None, false, true));
}
