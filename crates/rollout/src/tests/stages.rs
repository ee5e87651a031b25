//! A release that goes as it should, stage by stage.

use expect_test::expect;
use switchover_model::config::OnCrash;
use switchover_model::record::AttemptResult;
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::seam::{Action, Phase};
use switchover_model::{ReleaseId, RevisionId, Slot, Span};

use super::bed::{Bed, file, hook};

#[test]
fn a_first_release_goes_to_blue_and_the_next_one_to_green() {
    let mut bed = Bed::new(file());
    bed.deploy("v1");
    bed.pass(Span::from_secs(3_600));
    expect![[r#"
        deploy asked for
        1: opened with r1
        1: build
        1: provision in blue
        1: verify in blue
        1: shift in blue
        routes 1: [r1 in blue]
        routes 1 in force
        1: workers to blue
        1: switched
        1: bake
        1: succeeded, proven: false
        1: retire
        1: settled
    "#]]
    .assert_eq(&bed.story());
    bed.deploy("v2");
    bed.pass(Span::from_secs(3_600));
    expect![[r#"
        deploy asked for
        2: opened with r2
        2: build
        2: provision in green
        2: verify in green
        2: shift in green
        routes 2: [r2 in green]
        routes 2 in force
        blue drained, 0 left
        2: workers to green
        2: switched
        2: bake
        2: succeeded, proven: false
        2: retire
        blue told to stop
        blue empty
        2: settled
    "#]]
    .assert_eq(&bed.story());
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
    assert_eq!(bed.last.wake, None, "a settled app waits for nothing");
}

#[test]
fn a_healthy_app_goes_from_provision_to_the_flip_in_one_decision() {
    let mut bed = Bed::with_v1_live(file());
    bed.boots_forever = true;
    bed.deploy("v2");
    assert_eq!(bed.stage(), Some(Stage::Provision));
    let now = bed.now;
    bed.make(Slot::Green, &Phase::Healthy { since: now });
    bed.turn();
    assert!(matches!(&bed.last.actions[0], Action::Route(goal) if goal.arms[0].revision == RevisionId(2)));
    assert_eq!(bed.stage(), Some(Stage::Shift));
}

#[test]
fn hooks_of_each_stage_run_as_its_last_step_and_the_preview_is_shown_to_them_first() {
    let mut file = file();
    for stage in Stage::ALL {
        file.release.hooks.push(hook(stage, OnCrash::Fail));
    }
    let mut bed = Bed::with_v1_live(file);
    bed.deploy("v2");
    bed.pass(Span::from_secs(3_600));
    expect![[r#"
        deploy asked for
        2: opened with r2
        2: build
        2: build hook 0
        2: provision in green
        routes 3: [r1 in blue], preview
        routes 3 in force
        2: provision hook 2
        2: verify in green
        2: verify hook 3
        2: approve
        2: approve hook 4
        2: shift in green
        routes 4: [r2 in green]
        routes 4 in force
        blue drained, 0 left
        2: workers to green
        2: switched
        2: shift hook 5
        2: bake
        2: bake hook 6
        2: succeeded, proven: false
        2: retire
        blue told to stop
        blue empty
        2: retire hook 7
        2: settled
    "#]]
    .assert_eq(&bed.story());
}

#[test]
fn an_approve_stage_waits_for_a_person_and_is_undone_when_nobody_comes() {
    let mut file = file();
    file.release.approve = true;
    let mut bed = Bed::new(file);
    let release = bed.deploy("v1");
    bed.pass(Span::from_secs(60));
    assert_eq!(bed.stage(), Some(Stage::Approve));
    bed.command(Command::Promote { release, stage: Stage::Approve, step: None, full: false }).unwrap();
    assert_eq!(bed.stage(), Some(Stage::Bake));
    bed.pass(Span::from_secs(3_600));
    let second = bed.deploy("v2");
    bed.pass(Span::from_secs(3_600));
    let outcome = bed.outcome(second);
    assert!(
        matches!(&outcome, Some(Outcome::Aborted { cause: Some(cause) }) if cause.code == "APPROVAL-TIMED-OUT"),
        "{outcome:?}"
    );
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_lost_hook_runs_again_or_fails_as_its_file_says() {
    for (on_crash, code) in [(OnCrash::Fail, Some("ATTEMPT-LOST")), (OnCrash::Rerun, None)] {
        let mut file = file();
        file.release.hooks.push(hook(Stage::Verify, on_crash));
        let mut bed = Bed::with_v1_live(file);
        bed.deploy("v2");
        bed.pass(Span::from_secs(3_600));
        bed.attempts_hang = true;
        let release = bed.deploy("v3");
        let build = bed.running();
        bed.end(build, AttemptResult::Lost);
        bed.attempts_hang = false;
        bed.turn();
        bed.attempts_hang = true;
        bed.run();
        assert_eq!(bed.stage(), Some(Stage::Verify));
        let lost = bed.running();
        bed.end(lost, AttemptResult::Lost);
        bed.attempts_hang = false;
        bed.run();
        match (bed.outcome(release), code) {
            (Some(Outcome::Aborted { cause: Some(cause) }), Some(code)) => assert_eq!(cause.code, code),
            (None, None) => assert_eq!(bed.stage(), Some(Stage::Bake)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_bake_is_proven_by_answers_it_saw_and_by_nothing_else() {
    for (answers, proven) in [(5, true), (0, false)] {
        let mut bed = Bed::with_v2_baking(file());
        let counted = bed.ledger().by_revision.entry(RevisionId(2)).or_default();
        counted.answered[1] = answers;
        bed.pass(Span::from_secs(61));
        assert_eq!(bed.outcome(ReleaseId(2)), Some(Outcome::Succeeded { proven }));
    }
}

#[test]
fn a_bake_that_nobody_could_watch_keeps_serving_and_ends_unproven() {
    let mut bed = Bed::with_v2_baking(file());
    bed.ledger().by_revision.entry(RevisionId(2)).or_default().answered[1] = 5;
    let platform = bed.seen.platform.take();
    bed.pass(Span::from_secs(30));
    assert_eq!(bed.stage(), Some(Stage::Bake));
    bed.seen.platform = platform;
    bed.pass(Span::from_secs(31));
    assert_eq!(bed.outcome(ReleaseId(2)), Some(Outcome::Succeeded { proven: false }));
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
}

#[test]
fn a_deploy_of_what_is_live_changes_nothing_and_leaves_the_way_back_open() {
    let mut bed = Bed::with_v2_baking(file());
    bed.deploy("v2");
    expect![[r#"
        deploy asked for
        3: opened with r3
        note WAY-BACK-CLOSES
        3: build
        3: undoing, ALREADY-LIVE
        3: aborted, ALREADY-LIVE
        3: settled
    "#]]
    .assert_eq(&bed.story());
    assert_eq!(bed.app.slot(Slot::Blue).revision, Some(RevisionId(1)), "v1 is still warm");
}

#[test]
fn the_old_slot_is_stopped_only_when_its_requests_are_over_or_their_time_is() {
    let mut file = file();
    file.release.bake = Span::ZERO;
    file.release.keep_warm = Span::ZERO;
    let mut bed = Bed::with_v1_live(file);
    bed.seen.traffic.as_mut().unwrap().in_flight.insert(RevisionId(1), 3);
    bed.deploy("v2");
    assert!(bed.app.slot(Slot::Blue).revision.is_some());
    bed.pass(Span::from_secs(20));
    assert!(bed.app.slot(Slot::Blue).revision.is_some());
    bed.pass(Span::from_secs(15));
    let story = bed.story();
    assert!(story.contains("blue drained, 3 left\nblue told to stop\nblue empty\n2: settled"), "{story}");
}

#[test]
fn what_is_needed_is_kept_and_older_revisions_are_forgotten() {
    let mut file = file();
    file.release.keep_revisions = 2;
    let mut bed = Bed::new(file);
    for content in ["v1", "v2", "v3", "v4"] {
        bed.deploy(content);
        bed.pass(Span::from_secs(3_600));
    }
    let kept: Vec<RevisionId> = bed.app.revisions.keys().copied().collect();
    assert_eq!(kept, [RevisionId(3), RevisionId(4)]);
    assert!(bed.last.actions.contains(&Action::KeepRevisions { keep: kept }));
}
