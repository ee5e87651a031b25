//! What people are told of, from the records of a whole life.

use switchover_model::config::Happening;
use switchover_model::release::Command;
use switchover_model::{ReleaseId, Span};

use super::bed::{Bed, file, sick};
use crate::{Notice, Teller};

/// What is told of everything that is recorded.
fn told(bed: &Bed) -> Vec<Notice> {
    let mut teller = Teller::default();
    bed.records.iter().filter_map(|record| teller.read(record)).collect()
}

fn words(bed: &Bed) -> Vec<(u32, Happening)> {
    told(bed).into_iter().map(|notice| (notice.release.0, notice.what)).collect()
}

#[test]
fn a_gate_a_switch_and_an_end_are_told_once_each() {
    let mut config = file();
    config.release.approve = true;
    let mut bed = Bed::new(config);
    bed.deploy("v1");
    bed.pass(Span::from_secs(5));
    let stage = bed.stage().unwrap();
    bed.command(Command::Promote { release: ReleaseId(1), stage, step: None, full: false }).unwrap();
    bed.pass(Span::from_secs(3_600));
    assert_eq!(words(&bed), [(1, Happening::Paused), (1, Happening::Switched), (1, Happening::Unproven)]);
}

#[test]
fn a_breach_in_the_bake_is_told_with_its_cause_and_without_the_apps_output() {
    let mut bed = Bed::with_v2_baking(file());
    let slot = bed.served().unwrap().0;
    bed.make(slot, &sick());
    bed.pass(Span::from_secs(300));
    let last = told(&bed).pop().unwrap();
    assert_eq!((last.release, last.what), (ReleaseId(2), Happening::RolledBack));
    let cause = last.cause.unwrap();
    assert!(!cause.code.is_empty() && cause.detail.is_empty(), "{cause:?}");
}

#[test]
fn a_hold_is_told_and_what_an_operator_gives_up_before_the_switch_is_not() {
    let mut config = file();
    config.release.approve = true;
    let mut bed = Bed::new(config);
    bed.deploy("v1");
    bed.pass(Span::from_secs(5));
    bed.command(Command::Pause { release: ReleaseId(1) }).unwrap();
    bed.command(Command::Abort { release: ReleaseId(1) }).unwrap();
    bed.pass(Span::from_secs(60));
    assert_eq!(words(&bed), [(1, Happening::Paused), (1, Happening::Paused)]);
}

#[test]
fn reading_on_from_a_kept_place_tells_the_same() {
    let bed = Bed::with_v2_baking(file());
    let whole = told(&bed);
    for cut in 0..bed.records.len() {
        let mut teller = Teller::default();
        let mut notices: Vec<Notice> = bed.records[..cut].iter().filter_map(|record| teller.read(record)).collect();
        let kept = serde_json::to_string(&teller).unwrap();
        let mut teller: Teller = serde_json::from_str(&kept).unwrap();
        notices.extend(bed.records[cut..].iter().filter_map(|record| teller.read(record)));
        assert_eq!(notices, whole);
    }
}
