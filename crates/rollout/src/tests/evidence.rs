//! What follows from checks, moment by moment.

use switchover_model::config::{
    AppConfig, Bound, Canary, Check, CheckSource, During, Happening, Measure, NoEvidence, OnCrash, Step, Strategy,
};
use switchover_model::decimal::Decimal;
use switchover_model::evidence::{CheckVerdict, ChecksSeen, Verdict};
use switchover_model::record::Event;
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::{ReleaseId, Share, Span, Timestamp};

use super::bed::{Bed, file, hook};
use crate::{Teller, limits, watch};

/// A file with one check, and a step of a minute where it is looked at in the shift.
fn checked(during: &[During]) -> AppConfig {
    let mut file = file();
    file.release.evidence.checks.push(Check {
        name: "errors".into(),
        source: CheckSource::Traffic { process: None, measure: Measure::Errors },
        bound: Bound::Most { limit: Decimal::from_millionths(10_000) },
        enough: None,
        during: during.to_vec(),
    });
    file
}

fn canary(mut file: AppConfig, approve: bool) -> AppConfig {
    let share = Share::from_basis_points(500).unwrap();
    let steps = vec![Step { share, stays: Span::from_secs(60), approve }];
    file.release.strategy = Strategy::Canary(Canary::Steps(steps));
    file
}

/// What the check says from now on, last heard of at `heard`.
fn say(bed: &mut Bed, verdict: Verdict, heard: Timestamp) {
    let verdicts = vec![CheckVerdict {
        check: 0,
        name: "errors".into(),
        verdict,
        why: String::new(),
        detail: Vec::new(),
        evidence: serde_json::Value::Null,
    }];
    let answered = [(0, heard)].into();
    bed.seen.checks =
        watch(&bed.app).map(|watch| ChecksSeen { watch, at: bed.now, verdicts, answered, experiment: None });
}

fn says(bed: &mut Bed, verdict: Verdict) {
    let now = bed.now;
    say(bed, verdict, now);
}

fn blip(bed: &mut Bed) {
    let platform = bed.seen.platform.take();
    bed.turn();
    bed.seen.platform = platform;
    bed.run();
}

fn judged(bed: &Bed) -> usize {
    bed.records.iter().filter(|record| matches!(record.event, Event::Judged { .. })).count()
}

fn promote(bed: &mut Bed, release: ReleaseId) {
    bed.command(Command::Promote { release, stage: Stage::Shift, step: Some(1), full: false }).unwrap();
}

#[test]
fn a_hold_is_no_part_of_the_time_for_evidence() {
    let mut bed = Bed::with_v1_live(canary(checked(&[During::Shift]), false));
    let release = bed.deploy("v2");
    bed.pass(Span::from_secs(100));
    bed.command(Command::Pause { release }).unwrap();
    bed.pass(Span::from_secs(3_600));
    bed.command(Command::Resume { release }).unwrap();
    assert_eq!(bed.outcome(release), None);
    assert_eq!(bed.stage(), Some(Stage::Shift), "it still has most of the time for its evidence");
}

#[test]
fn the_wait_for_evidence_ends_whatever_else_is_waited_for_now_and_then() {
    let mut bed = Bed::with_v1_live(canary(checked(&[During::Shift]), false));
    let release = bed.deploy("v2");
    bed.pass(Span::from_secs(61));
    for _ in 0..3 {
        bed.pass(Span::from_secs(540));
        blip(&mut bed);
    }
    assert!(
        matches!(bed.outcome(release), Some(Outcome::RolledBack { cause: Some(cause) }) if cause.code == "NO-EVIDENCE")
    );
}

#[test]
fn people_are_told_of_a_gate_once() {
    let mut bed = Bed::with_v1_live(canary(file(), true));
    bed.deploy("v2");
    bed.pass(Span::from_secs(61));
    for _ in 0..5 {
        bed.pass(Span::from_secs(10));
        blip(&mut bed);
    }
    let mut teller = Teller::default();
    let notices = bed.records.iter().filter_map(|record| teller.read(record));
    assert_eq!(notices.filter(|notice| notice.what == Happening::Paused).count(), 1);
}

#[test]
fn an_opened_gate_still_asks_for_evidence() {
    let mut bed = Bed::with_v1_live(canary(checked(&[During::Shift]), true));
    let release = bed.deploy("v2");
    bed.pass(Span::from_secs(120));
    says(&mut bed, Verdict::Inconclusive);
    promote(&mut bed, release);
    assert_eq!(bed.stage(), Some(Stage::Shift));
    bed.pass(Span::from_secs(5));
    says(&mut bed, Verdict::Pass);
    bed.run();
    assert_eq!((bed.stage(), judged(&bed)), (Some(Stage::Bake), 1));
}

#[test]
fn who_ends_the_wait_for_evidence_leaves_a_trace_of_what_it_was() {
    let mut bed = Bed::with_v1_live(canary(checked(&[During::Shift]), false));
    let release = bed.deploy("v2");
    bed.pass(Span::from_secs(10));
    says(&mut bed, Verdict::Inconclusive);
    promote(&mut bed, release);
    assert_eq!((bed.stage(), judged(&bed)), (Some(Stage::Bake), 1));
}

#[test]
fn a_pass_that_nothing_is_heard_of_any_more_lets_no_step_on() {
    let mut bed = Bed::with_v1_live(canary(checked(&[During::Shift]), false));
    bed.deploy("v2");
    bed.pass(Span::from_secs(10));
    let heard = bed.now;
    bed.pass(Span::from_secs(60));
    say(&mut bed, Verdict::Pass, heard);
    bed.run();
    assert_eq!(bed.stage(), Some(Stage::Shift));
    says(&mut bed, Verdict::Pass);
    bed.run();
    assert_eq!(bed.stage(), Some(Stage::Bake));
    assert!(limits::ANSWER_AGE < Span::from_secs(60));
}

#[test]
fn a_bake_that_ends_on_a_pass_of_long_ago_is_not_proven_and_says_why() {
    let mut bed = Bed::with_v1_live(checked(&[During::Bake]));
    let release = bed.deploy("v2");
    let heard = bed.now;
    bed.pass(Span::from_secs(50));
    say(&mut bed, Verdict::Pass, heard);
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.outcome(release), Some(Outcome::Succeeded { proven: false }));
    let told = bed.records.iter().filter(|record| match &record.event {
        Event::Noted { release: Some(of), problem } => *of == release && problem.code == "NO-EVIDENCE",
        _ => false,
    });
    assert_eq!(told.count(), 1);
}

#[test]
fn all_traffic_is_watched_from_the_switch_on_while_the_bake_is_waited_for() {
    let mut file = checked(&During::ALL);
    file.release.hooks.push(hook(Stage::Shift, OnCrash::Fail));
    let mut bed = Bed::with_v1_live(file);
    bed.hooks_hang = true;
    let release = bed.deploy("v2");
    assert_eq!(bed.stage(), Some(Stage::Shift));
    assert_eq!(watch(&bed.app).map(|watch| watch.during), Some(During::Bake));
    says(&mut bed, Verdict::Fail);
    bed.run();
    assert!(bed.app.release(release).is_none_or(|release| release.undoing.is_some()), "a breach then undoes it");
}

#[test]
fn what_is_known_to_be_bad_and_has_no_way_back_fails_and_is_told() {
    let mut bed = Bed::new(checked(&[During::Bake]));
    let release = bed.deploy("v1");
    says(&mut bed, Verdict::Fail);
    bed.run();
    bed.pass(Span::from_secs(70));
    says(&mut bed, Verdict::Fail);
    bed.pass(Span::from_secs(3_600));
    assert!(matches!(bed.outcome(release), Some(Outcome::Failed { cause }) if cause.code == "CHECK-FAILED"));
    let mut teller = Teller::default();
    let notices: Vec<_> =
        bed.records.iter().filter_map(|record| teller.read(record)).map(|notice| notice.what).collect();
    assert_eq!(
        notices.iter().filter(|what| **what == Happening::Failed).count(),
        2,
        "at once, and at its end: {notices:?}"
    );
}

#[test]
fn a_person_who_is_asked_for_lack_of_evidence_has_their_own_time() {
    let mut file = canary(checked(&[During::Shift]), false);
    file.release.evidence.no_evidence = NoEvidence::Pause;
    let mut bed = Bed::with_v1_live(file);
    let release = bed.deploy("v2");
    bed.pass(Span::from_secs(3_600));
    blip(&mut bed);
    assert_eq!(bed.stage(), Some(Stage::Shift));
    promote(&mut bed, release);
    assert_eq!(bed.stage(), Some(Stage::Bake));
}

#[test]
fn another_bake_of_the_policy_takes_none_of_the_evidence_away() {
    let mut bed = Bed::with_v1_live(checked(&[During::Bake]));
    bed.deploy("v2");
    let before = watch(&bed.app);
    let mut other = checked(&[During::Bake]);
    other.release.bake = Span::from_secs(7_200);
    bed.command(Command::Apply { config: Box::new(other) }).unwrap();
    assert_eq!(watch(&bed.app), before);
}
