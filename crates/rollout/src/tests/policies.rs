//! When a file comes into force: what goes on is not changed by what waits, and a split deals nobody anew.

use switchover_model::config::{Canary, Happening, Notify, Step, Strategy, Tells};
use switchover_model::release::{Command, Outcome};
use switchover_model::seam::Sticky;
use switchover_model::{ReleaseId, RevisionId, Share, Slot, Span};

use super::bed::{BACK, Bed, file, sick};
use crate::{Admission, Teller, admit};

fn by(name: &str) -> Sticky {
    Sticky::Header { name: name.parse().unwrap() }
}

/// In the one step of release 2, by a file that tells clients apart by `X-One`.
fn in_a_step() -> Bed {
    let mut bed = Bed::with_v1_live(file());
    let share = Share::from_basis_points(500).unwrap();
    let step = Step { share, stays: Span::from_secs(60), approve: false };
    bed.file.release.strategy = Strategy::Canary(Canary::Steps(vec![step]));
    bed.file.route.sticky = by("X-One");
    bed.deploy("v2");
    assert_eq!(bed.app.sticky(), by("X-One"));
    bed.file.route.sticky = by("X-Two");
    bed.file.route.drain = Span::from_secs(7);
    bed
}

fn apply(bed: &mut Bed) {
    let config = Box::new(bed.file.clone());
    bed.command(Command::Apply { config }).unwrap();
}

fn drain(bed: &Bed) -> u64 {
    bed.app.config.as_ref().unwrap().route.drain.as_micros() / 1_000_000
}

#[test]
fn a_file_applied_while_the_traffic_is_split_deals_nobody_anew() {
    let mut bed = in_a_step();
    apply(&mut bed);
    bed.pass(Span::from_secs(30));
    assert_eq!((bed.app.sticky(), drain(&bed)), (by("X-One"), 7));
    bed.pass(Span::from_secs(60));
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
    assert_eq!(bed.app.sticky(), by("X-Two"));
}

#[test]
fn nobody_is_dealt_anew_while_a_split_that_is_undone_waits_for_its_old_slot() {
    let mut bed = in_a_step();
    apply(&mut bed);
    bed.make(Slot::Blue, &sick());
    bed.boots_forever = true;
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(5));
    assert_eq!(bed.app.sticky(), by("X-One"));
}

#[test]
fn a_deploy_that_waits_changes_nothing_of_what_goes_on_until_it_begins() {
    let mut bed = in_a_step();
    bed.file.release.approve = true;
    let waits = bed.deploy("v3");
    bed.pass(Span::from_secs(30));
    assert_eq!((bed.app.sticky(), drain(&bed)), (by("X-One"), 30));
    assert!(!bed.app.config.as_ref().unwrap().release.approve);
    let note = bed.app.notes.iter().rfind(|note| note.problem.code == "POLICY-CHANGED").unwrap();
    assert!(note.problem.cause.contains("when this release begins, once release 2"), "{}", note.problem.cause);
    bed.pass(Span::from_secs(120));
    assert_eq!(bed.app.release(waits).unwrap().slot, Some(Slot::Blue));
    assert_eq!((bed.app.sticky(), drain(&bed)), (by("X-Two"), 7));
}

#[test]
fn a_deploy_that_replaces_brings_its_file_when_it_begins_and_what_gives_way_brings_none() {
    let mut bed = in_a_step();
    let command = bed.deploy_command(true);
    bed.command(command).unwrap();
    bed.pass(Span::from_secs(30));
    assert_eq!(drain(&bed), 7);

    let mut bed = in_a_step();
    let waits = bed.deploy("v3");
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(300));
    assert!(matches!(bed.outcome(waits), Some(Outcome::Aborted { .. })));
    assert_eq!((bed.served(), drain(&bed)), (Some((Slot::Blue, RevisionId(1))), 30));
}

#[test]
fn a_file_that_is_applied_is_newer_than_one_that_waits() {
    let mut bed = in_a_step();
    bed.deploy("v3");
    bed.file.route.drain = Span::from_secs(9);
    apply(&mut bed);
    assert_eq!(drain(&bed), 9);
    bed.pass(Span::from_secs(300));
    assert_eq!(drain(&bed), 9);
}

#[test]
fn a_snapshot_between_the_command_and_its_release_loses_no_file() {
    let bed = in_a_step();
    let command = bed.deploy_command(false);
    let actor = switchover_model::record::Actor::Controller;
    let key = switchover_model::record::IdempotencyKey("x".into());
    let Ok(Admission::New { drafts, .. }) = admit(&bed.app, &command, &key, &actor, bed.now) else {
        panic!("admitted")
    };
    let mut whole = bed.app.clone();
    let mut cut = bed.app.clone();
    for (sequence, draft) in (bed.app.sequence + 1..).zip(drafts) {
        let record =
            switchover_model::record::Record { sequence, at: draft.at, actor: draft.actor, event: draft.event };
        whole.apply(&record);
        cut.apply(&record);
        cut = serde_json::from_str(&serde_json::to_string(&cut).unwrap()).unwrap();
    }
    assert_eq!(cut, whole);
    assert!(whole.releases.last().unwrap().brings_policy);
}

#[test]
fn who_is_told_of_what_goes_on_is_not_who_stands_in_a_file_that_waits() {
    let tells = |command: &str| {
        let tells = Tells::Command { command: command.to_owned() };
        vec![Notify { tells, events: vec![Happening::Switched], timeout: Span::from_secs(15) }]
    };
    let mut bed = in_a_step();
    bed.file.notify = tells("one");
    apply(&mut bed);
    bed.file.notify = tells("two");
    let waits = bed.deploy("v3");
    bed.pass(Span::from_secs(300));
    let mut teller = Teller::default();
    let told = bed.records.iter().filter_map(|record| {
        let notice = teller.read(record)?;
        let who = teller.targets.first().map(|target| target.tells.to_string());
        (notice.what == Happening::Switched).then_some((notice.release, who))
    });
    let told: Vec<_> = told.collect();
    let who = |name: &str| Some(format!("`{name}`"));
    assert_eq!(told[1..], [(ReleaseId(2), who("one")), (waits, who("two"))]);
}
