//! Hooks: what comes before a stage keeps it from beginning, what says not yet is asked again, what fails is tried again.

use switchover_model::config::{AppConfig, Happening, OnCrash, When};
use switchover_model::record::{Attempt, AttemptResult, Event};
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::seam::Phase;
use switchover_model::view::WayBack;
use switchover_model::{Problem, ReleaseId, RevisionId, Slot, Span};

use super::bed::{Bed, file, hook, ill_since};
use crate::{Teller, limits};

fn before(stage: Stage) -> AppConfig {
    let mut file = file();
    file.release.hooks.push(hook(stage, OnCrash::Fail));
    file.release.hooks[0].when = When::Before;
    file
}

fn running(bed: &Bed) -> Option<switchover_model::record::AttemptId> {
    bed.app.releases.iter().flat_map(crate::Release::running_attempts).map(|state| state.id).next()
}

fn asked(bed: &Bed) -> usize {
    let is_hook = |event: &Event| matches!(event, Event::AttemptStarted { what: Attempt::Hook { .. }, .. });
    bed.records.iter().filter(|record| is_hook(&record.event)).count()
}

fn answer(bed: &mut Bed, result: AttemptResult) {
    let attempt = running(bed).expect("a hook is asked");
    bed.end(attempt, result);
    bed.turn();
}

fn runs_in_blue(bed: &Bed) -> bool {
    let platform = bed.seen.platform.as_ref().expect("seen");
    platform.instances.iter().any(|seen| seen.slot == Slot::Blue && matches!(seen.phase, Phase::Healthy { .. }))
}

fn passed() -> AttemptResult {
    AttemptResult::Passed { output: Vec::new() }
}

fn not_yet() -> AttemptResult {
    AttemptResult::NotYet { output: Vec::new() }
}

fn failed() -> AttemptResult {
    AttemptResult::Failed { cause: Problem::new("HOOK-FAILED", "it said no.", "Look.") }
}

#[test]
fn a_hook_before_a_stage_keeps_it_from_beginning() {
    let stages = [Stage::Provision, Stage::Verify, Stage::Shift, Stage::Bake];
    for stage in stages {
        let mut bed = Bed::with_v1_live(before(stage));
        let asked_before = asked(&bed);
        bed.hooks_hang = true;
        bed.deploy("v2");
        assert_eq!(asked(&bed), asked_before + 1, "{stage}");
        assert!(bed.stage() < Some(stage), "{stage}: {:?}", bed.stage());
        let served = if stage == Stage::Bake { Slot::Green } else { Slot::Blue };
        assert_eq!(bed.served().map(|(slot, _)| slot), Some(served), "{stage}");
        answer(&mut bed, passed());
        bed.pass(Span::from_secs(5));
        assert!(bed.stage() >= Some(stage), "{stage}: {:?}", bed.stage());
    }
}

#[test]
fn a_hook_before_the_shift_that_fails_leaves_the_traffic_where_it_is() {
    let mut bed = Bed::with_v1_live(before(Stage::Shift));
    bed.hooks_hang = true;
    bed.deploy("v2");
    answer(&mut bed, failed());
    bed.pass(Span::from_secs(60));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
    let outcome = bed.outcome(ReleaseId(2));
    assert!(
        matches!(&outcome, Some(Outcome::Aborted { cause: Some(cause) }) if cause.code == "HOOK-FAILED"),
        "{outcome:?}"
    );
}

#[test]
fn a_hook_that_says_not_yet_is_asked_again_after_its_pause_until_its_timeout() {
    let mut file = file();
    file.release.hooks.push(hook(Stage::Verify, OnCrash::Fail));
    let mut bed = Bed::with_v1_live(file);
    let before = asked(&bed);
    bed.hooks_hang = true;
    bed.deploy("v2");
    for question in 1..12 {
        assert_eq!(asked(&bed), before + question);
        answer(&mut bed, not_yet());
        bed.pass(Span::from_secs(4));
        assert_eq!(asked(&bed), before + question, "before its pause is over");
        bed.pass(Span::from_secs(1));
    }
    // A minute is over with the twelfth.
    answer(&mut bed, not_yet());
    bed.pass(Span::from_secs(5));
    assert_eq!(asked(&bed), before + 12);
    let outcome = bed.outcome(ReleaseId(2));
    assert!(
        matches!(&outcome, Some(Outcome::Aborted { cause: Some(cause) }) if cause.code == "HOOK-NOT-YET"),
        "{outcome:?}"
    );
}

#[test]
fn a_long_timeout_has_no_more_than_so_many_questions() {
    let mut file = file();
    file.release.hooks.push(hook(Stage::Verify, OnCrash::Fail));
    file.release.hooks[0].timeout = Span::from_secs(24 * 3_600);
    let mut bed = Bed::with_v1_live(file);
    let before = asked(&bed);
    bed.hooks_hang = true;
    bed.deploy("v2");
    while bed.outcome(ReleaseId(2)).is_none() {
        if running(&bed).is_some() {
            answer(&mut bed, not_yet());
        }
        bed.pass(Span::from_secs(60));
    }
    let questions = (asked(&bed) - before) as u64;
    assert!((400..=limits::QUESTIONS + 1).contains(&questions), "{questions}");
}

#[test]
fn a_hook_that_fails_is_tried_again_as_often_as_the_file_says() {
    let mut file = file();
    file.release.hooks.push(hook(Stage::Verify, OnCrash::Fail));
    file.release.hooks[0].retries = 2;
    for (answers, passes) in [
        (vec![failed(), failed(), passed()], true),
        (vec![failed(), failed(), failed()], false),
        (vec![not_yet(), failed(), not_yet(), failed(), passed()], true),
    ] {
        let mut bed = Bed::with_v1_live(file.clone());
        let before = asked(&bed);
        bed.hooks_hang = true;
        bed.deploy("v2");
        let questions = answers.len();
        for result in answers {
            answer(&mut bed, result);
            bed.pass(Span::from_secs(5));
        }
        assert_eq!(asked(&bed), before + questions);
        let undone = matches!(bed.outcome(ReleaseId(2)), Some(Outcome::Aborted { .. }));
        assert_eq!(undone, !passes);
    }
}

/// Live with v2, whose hook before retire is being asked.
fn asked_before_retire(mut file: AppConfig) -> Bed {
    file.release.keep_warm = Span::from_secs(10);
    let mut bed = Bed::with_v1_live(file);
    bed.deploy("v2");
    bed.pass(Span::from_secs(65));
    bed.hooks_hang = true;
    bed.pass(Span::from_secs(20));
    assert!(runs_in_blue(&bed), "asked, not stopped");
    bed
}

fn let_go(bed: &mut Bed) -> Result<Option<ReleaseId>, Problem> {
    bed.command(Command::Promote { release: ReleaseId(2), stage: Stage::Retire, step: None, full: false })
}

fn settled(bed: &Bed) -> bool {
    bed.app.release(ReleaseId(2)).is_none()
}

fn paused(bed: &Bed) -> usize {
    let mut teller = Teller::default();
    let told = bed.records.iter().filter_map(|record| teller.read(record));
    told.filter(|notice| notice.what == Happening::Paused).count()
}

#[test]
fn a_hook_before_retire_that_fails_keeps_the_old_slot_warm_until_a_person_lets_it_go() {
    let mut bed = asked_before_retire(before(Stage::Retire));
    assert_eq!(let_go(&mut bed).map_err(|problem| problem.code), Err("NOT-AT-A-GATE".to_owned()));
    answer(&mut bed, failed());
    for _ in 0..10 {
        bed.pass(Span::from_secs(600));
    }
    assert!(runs_in_blue(&bed) && !settled(&bed));
    assert_eq!(paused(&bed), 1);
    let noted = bed.records.iter().filter(|record| matches!(&record.event,
        Event::Noted { problem, .. } if problem.code == "HOOK-FAILED" && problem.cause.contains("slot blue was not stopped")));
    assert_eq!(noted.count(), 1);
    let status = crate::view::status(&bed.app, &bed.seen, bed.now);
    assert!(status.releases.iter().any(|release| release.release == ReleaseId(2) && release.at_gate));
    assert!(
        matches!(status.way_back, WayBack::Instant { to: RevisionId(1), until: None, .. }),
        "{:?}",
        status.way_back
    );
    let is_noted = |bed: &Bed| crate::notes(&bed.app).iter().any(|note| note.next.contains("to stop the slot"));
    assert!(is_noted(&bed));
    let_go(&mut bed).expect("it waits for that");
    assert!(!is_noted(&bed), "it was let go");
    bed.pass(Span::from_secs(60));
    assert!(!runs_in_blue(&bed) && settled(&bed) && !is_noted(&bed));
}

#[test]
fn an_ill_instance_of_a_slot_that_waits_to_be_stopped_is_replaced() {
    let mut bed = asked_before_retire(before(Stage::Retire));
    answer(&mut bed, failed());
    let since = bed.now;
    bed.make(Slot::Blue, &ill_since(since));
    for _ in 0..10 {
        bed.pass(Span::from_secs(600));
    }
    assert!(bed.records.iter().any(|record| matches!(&record.event, Event::Renewed { slot: Slot::Blue, .. })));
}

#[test]
fn a_slot_that_nobody_lets_go_is_stopped_in_the_end() {
    let mut bed = asked_before_retire(before(Stage::Retire));
    answer(&mut bed, failed());
    bed.pass(limits::PAUSE);
    bed.pass(Span::from_secs(60));
    assert!(!runs_in_blue(&bed) && settled(&bed));
}

#[test]
fn a_slot_that_waits_to_be_stopped_is_taken_by_the_next_release_and_gone_back_to_by_a_rollback() {
    let mut bed = asked_before_retire(before(Stage::Retire));
    answer(&mut bed, failed());
    bed.hooks_hang = false;
    bed.deploy("v3");
    bed.pass(Span::from_secs(200));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(3))));
    assert!(settled(&bed));

    let mut bed = asked_before_retire(before(Stage::Retire));
    answer(&mut bed, failed());
    bed.pass(Span::from_secs(600));
    bed.command(Command::Rollback { to: None, release: None, detach: false }).expect("the old slot is warm");
    bed.pass(Span::from_secs(5));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_hook_after_retire_that_fails_is_told_and_the_release_settles() {
    let mut file = file();
    file.release.keep_warm = Span::from_secs(10);
    file.release.hooks.push(hook(Stage::Retire, OnCrash::Fail));
    let mut bed = Bed::with_v1_live(file);
    bed.deploy("v2");
    bed.pass(Span::from_secs(65));
    bed.hooks_hang = true;
    bed.pass(Span::from_secs(60));
    answer(&mut bed, failed());
    bed.pass(Span::from_secs(60));
    assert!(settled(&bed) && !runs_in_blue(&bed));
    assert!(crate::notes(&bed.app).iter().any(|note| note.code == "HOOK-FAILED"));
}

#[test]
fn what_failed_asks_no_hook_before_its_old_slot_is_stopped() {
    let mut bed = Bed::with_v2_baking(before(Stage::Retire));
    let asked_before = asked(&bed);
    bed.boots_forever = true;
    bed.make(Slot::Blue, &ill_since(bed.now));
    bed.make(Slot::Green, &ill_since(bed.now));
    bed.pass(Span::from_secs(300));
    assert!(matches!(bed.outcome(ReleaseId(2)), Some(Outcome::Failed { .. })));
    bed.pass(Span::from_secs(4 * 3_600));
    assert_eq!(asked(&bed), asked_before);
    let left = bed.seen.platform.iter().flat_map(|seen| &seen.instances).filter(|seen| seen.slot == Slot::Blue);
    assert_eq!(left.count(), 0);
    assert!(settled(&bed));
}
