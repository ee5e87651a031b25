//! A world that does not do as it is told, or cannot be seen.

use expect_test::expect;
use switchover_model::config::{Drift, OnCrash};
use switchover_model::record::{AttemptResult, Event};
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::revision::Source;
use switchover_model::seam::{Action, Phase};
use switchover_model::{Problem, ReleaseId, RevisionId, Slot, Span, Timestamp};

use super::bed::{Bed, file, hook, sick};

fn code_of(outcome: Option<Outcome>) -> String {
    match outcome {
        Some(
            Outcome::Aborted { cause: Some(cause) }
            | Outcome::RolledBack { cause: Some(cause) }
            | Outcome::Failed { cause },
        ) => cause.code,
        other => format!("{other:?}"),
    }
}

#[test]
fn a_slot_that_never_gets_healthy_is_undone_with_the_apps_last_lines() {
    let mut bed = Bed::with_v1_live(file());
    bed.boots_forever = true;
    let release = bed.deploy("v2");
    bed.make(Slot::Green, &sick());
    bed.pass(Span::from_secs(60));
    expect![[r#"
        deploy asked for
        2: opened with r2
        2: build
        2: provision in green
        2: undoing, HEALTH-NEVER-GREEN
        2: aborted, HEALTH-NEVER-GREEN
        green told to stop
        green empty
        2: settled
    "#]]
    .assert_eq(&bed.story());
    let Some(Outcome::Aborted { cause: Some(cause) }) = bed.outcome(release) else { panic!() };
    expect![[r#"HEALTH-NEVER-GREEN: r2 in green was not healthy within its deadline, 30.0 s after its start: each of 2 instances (i3, i4): answers 500. Read the app's last lines; check `health` in the file (path, deadline). Then deploy again. ["boom", "boom"]"#]].assert_eq(&format!("{cause} {:?}", cause.detail));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn what_the_platform_says_to_do_about_an_instance_is_the_next_step() {
    let mut bed = Bed::with_v1_live(file());
    bed.boots_forever = true;
    let release = bed.deploy("v2");
    let cause = Problem::new("HEALTH-NEVER-GREEN", "/up answered 400.", "Let the app accept its first host.");
    bed.make(Slot::Green, &Phase::Unhealthy { since: Timestamp::from_micros(0), cause });
    bed.pass(Span::from_secs(60));
    let Some(Outcome::Aborted { cause: Some(cause) }) = bed.outcome(release) else { panic!() };
    assert_eq!(cause.next, "Let the app accept its first host. Then deploy again.");
}

#[test]
fn an_app_that_exits_at_once_is_undone_without_waiting_for_its_deadline() {
    let mut bed = Bed::with_v1_live(file());
    bed.boots_forever = true;
    let release = bed.deploy("v2");
    let cause = Problem::new("EXITED", "exited with 1.", "");
    bed.make(Slot::Green, &Phase::Crashed { cause, retry_at: Timestamp::from_micros(0) });
    bed.run();
    assert_eq!(bed.stage(), Some(Stage::Provision), "once is not a crash loop");
    bed.instances_mut().iter_mut().for_each(|seen| seen.restarts = 2);
    bed.run();
    assert_eq!(code_of(bed.outcome(release)), "INSTANCE-EXITED");
}

#[test]
fn an_app_that_cannot_run_at_all_is_undone_with_the_platforms_own_reason() {
    let mut bed = Bed::with_v1_live(file());
    bed.boots_forever = true;
    let release = bed.deploy("v2");
    let cause = Problem::new("COMMAND-NOT-FOUND", "\"bin/app\" was not found.", "Write a path.");
    bed.make(Slot::Green, &Phase::Crashed { cause, retry_at: Timestamp::from_micros(0) });
    bed.instances_mut().iter_mut().for_each(|seen| seen.restarts = 2);
    bed.run();
    let Some(Outcome::Aborted { cause: Some(cause) }) = bed.outcome(release) else { panic!() };
    assert_eq!((cause.code.as_str(), cause.next.as_str()), ("COMMAND-NOT-FOUND", "Write a path. Then deploy again."));
}

#[test]
fn a_lack_of_headroom_is_said_before_anything_is_started() {
    let mut bed = Bed::with_v1_live(file());
    let lack = Problem::new("NO-HEADROOM", "needs 2 GiB, 1 GiB is free.", "Free memory.");
    bed.seen.platform.as_mut().unwrap().headroom = Some(lack);
    let release = bed.deploy("v2");
    assert_eq!(code_of(bed.outcome(release)), "NO-HEADROOM");
    assert!(!bed.story().contains("provision"));
}

#[test]
fn a_failed_build_ends_the_release() {
    let mut bed = Bed::with_v1_live(file());
    bed.attempts_hang = true;
    let release = bed.deploy("v2");
    let cause = Problem::new("BUILD-FAILED", "exited with 1.", "Mend it.");
    bed.end(bed.running(), AttemptResult::Failed { cause });
    bed.run();
    assert_eq!(code_of(bed.outcome(release)), "BUILD-FAILED");
    assert!(bed.app.releases.is_empty());
}

#[test]
fn a_build_that_hangs_is_given_up_and_cancelled() {
    let mut bed = Bed::with_v1_live(file());
    bed.attempts_hang = true;
    let release = bed.deploy("v2");
    bed.pass(Span::from_secs(3_600));
    assert_eq!(code_of(bed.outcome(release)), "ATTEMPT-TIMED-OUT");
    assert_eq!(bed.app.open_attempts().count(), 0);
}

#[test]
fn a_breach_in_the_bake_rolls_back_by_itself() {
    let mut bed = Bed::with_v2_baking(file());
    bed.make(Slot::Green, &sick());
    bed.run();
    expect![[r#"
        2: undoing, HEALTH-LOST
        routes 3: [r1 in blue]
        routes 3 in force
        green drained, 0 left
        2: workers to blue
        2: rolled back, HEALTH-LOST
        green told to stop
        green empty
        2: settled
    "#]]
    .assert_eq(&bed.story());
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn one_instance_of_two_may_be_down_for_a_moment_only() {
    let mut bed = Bed::with_v2_baking(file());
    let place = bed.instances_mut().iter().position(|seen| seen.slot == Slot::Green).unwrap();
    bed.instances_mut()[place].phase = sick();
    bed.pass(Span::from_secs(5));
    assert_eq!(bed.stage(), Some(Stage::Bake));
    assert!(bed.outcome(ReleaseId(2)).is_none());
    bed.pass(Span::from_secs(10));
    assert_eq!(code_of(bed.outcome(ReleaseId(2))), "HEALTH-LOST");
}

#[test]
fn a_slot_that_starts_again_after_a_reboot_is_given_the_time_for_it() {
    for starts in [true, false] {
        let mut bed = Bed::with_v2_baking(file());
        bed.pass(Span::from_secs(5));
        let now = bed.now;
        bed.seen.platform.as_mut().unwrap().since = now;
        bed.make(Slot::Green, &Phase::Starting { since: now, last: None });
        bed.pass(Span::from_secs(8));
        assert_eq!(bed.stage(), Some(Stage::Bake), "the old slot was started sooner");
        if starts {
            bed.make(Slot::Green, &Phase::Healthy { since: now });
        }
        bed.pass(Span::from_secs(5));
        let outcome = bed.outcome(ReleaseId(2)).map(|outcome| code_of(Some(outcome)));
        assert_eq!(outcome.as_deref(), (!starts).then_some("HEALTH-LOST"));
    }
}

#[test]
fn a_breach_without_a_way_back_keeps_serving_and_asks_for_a_person() {
    let mut bed = Bed::new(file());
    bed.deploy("v1");
    bed.make(Slot::Blue, &sick());
    bed.pass(Span::from_secs(600));
    assert_eq!(code_of(bed.outcome(ReleaseId(1))), "NO-HEALTHY-SLOT");
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_slot_that_falls_ill_before_the_shift_never_gets_the_traffic() {
    let mut file = file();
    file.release.approve = true;
    let mut bed = Bed::with_v1_live_approving(file);
    let release = bed.deploy("v2");
    bed.make(Slot::Green, &sick());
    bed.command(Command::Promote { release, stage: Stage::Approve, step: None, full: false }).unwrap();
    bed.pass(Span::from_secs(30));
    assert_eq!(bed.stage(), Some(Stage::Approve));
    bed.pass(Span::from_secs(31));
    assert_eq!(code_of(bed.outcome(release)), "HEALTH-LOST");
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn an_unknown_platform_is_waited_for_and_then_the_release_is_undone() {
    let mut bed = Bed::with_v1_live(file());
    bed.boots_forever = true;
    let release = bed.deploy("v2");
    let platform = bed.seen.platform.take();
    bed.pass(Span::from_secs(60));
    assert_eq!(code_of(bed.outcome(release)), "PLATFORM-UNKNOWN");
    assert!(!bed.last.actions.iter().any(|action| matches!(action, Action::Ensure(_) | Action::Stop { .. })));
    bed.seen.platform = platform;
    bed.run();
    assert!(bed.app.releases.is_empty(), "once seen, the slot is cleared");
}

#[test]
fn an_old_observation_is_none() {
    let mut bed = Bed::with_v1_live(file());
    bed.boots_forever = true;
    bed.deploy("v2");
    let now = bed.now;
    bed.make(Slot::Green, &Phase::Healthy { since: now });
    let later = bed.now + Span::from_secs(11);
    let decision = crate::decide(&bed.app, &bed.seen, later);
    assert!(decision.drafts.iter().all(|draft| !matches!(draft.event, Event::Entered { .. })));
}

#[test]
fn a_switch_that_is_not_seen_in_force_is_undone() {
    let mut bed = Bed::with_v1_live(file());
    bed.router_is_deaf = true;
    let release = bed.deploy("v2");
    bed.pass(Span::from_secs(31));
    assert!(bed.app.release(release).unwrap().is_undoing());
    bed.router_is_deaf = false;
    bed.run();
    assert_eq!(code_of(bed.outcome(release)), "SWITCH-NOT-SEEN");
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
    assert!(bed.app.releases.is_empty());
}

#[test]
fn a_router_that_never_answers_ends_in_a_failure_that_says_what_to_do() {
    let mut bed = Bed::with_v1_live(file());
    bed.router_is_deaf = true;
    let release = bed.deploy("v2");
    bed.pass(Span::from_secs(120));
    let Some(Outcome::Failed { cause }) = bed.outcome(release) else { panic!("{:?}", bed.outcome(release)) };
    expect!["SWITCH-NOT-SEEN: the switch back from r2 in green was decided and is asked for, but was not seen in force within 30s. It was undone because the switch to r2 in green was not seen in force within 30s. Look whether the router runs; once it does, it is told again by itself."].assert_eq(&cause.to_string());
}

#[test]
fn a_router_that_lost_its_table_is_told_again_without_a_decision() {
    let mut bed = Bed::with_v1_live(file());
    bed.seen.traffic.as_mut().unwrap().routes = None;
    let records = bed.records.len();
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
    assert_eq!(bed.records.len(), records);
}

#[test]
fn routes_changed_by_another_hand_are_put_right_or_left_as_the_app_says() {
    for (drift, served) in [(Drift::Correct, 1), (Drift::Report, 7)] {
        let mut file = file();
        file.drift = drift;
        let mut bed = Bed::with_v1_live(file);
        let routes = bed.seen.traffic.as_mut().unwrap().routes.as_mut().unwrap();
        routes.version += 5;
        routes.arms[0].revision = RevisionId(7);
        bed.run();
        assert_eq!(bed.served().map(|(_, revision)| revision), Some(RevisionId(served)));
        let story = bed.story();
        assert_eq!(story.matches("drift: ").count(), 1, "{story}");
    }
}

#[test]
fn strangers_in_an_empty_slot_are_stopped_or_only_reported_as_the_app_says() {
    for (drift, left) in [(Drift::Correct, 0), (Drift::Report, 1)] {
        let mut file = file();
        file.drift = drift;
        let mut bed = Bed::with_v1_live(file);
        let mut stranger = bed.instances_mut()[0].clone();
        stranger.slot = Slot::Green;
        stranger.id = "stranger".parse().unwrap();
        bed.instances_mut().push(stranger);
        bed.run();
        assert_eq!(bed.instances_mut().iter().filter(|seen| seen.slot == Slot::Green).count(), left);
        assert_eq!(bed.story().matches("drift: ").count(), 1);
    }
}

#[test]
fn a_slot_that_does_not_get_empty_in_time_is_said_and_does_not_hold_the_release_for_ever() {
    let mut bed = Bed::with_v2_baking(file());
    bed.stops_slowly = true;
    bed.pass(Span::from_secs(3_600));
    let story = bed.story();
    assert!(story.contains("note SLOT-NOT-EMPTY\n2: settled"), "{story}");
    let release = bed.deploy("v3");
    bed.pass(Span::from_secs(60));
    assert_eq!(code_of(bed.outcome(release)), "SLOT-NOT-EMPTY", "a slot is not reused before it is empty");
}

#[test]
fn a_first_release_that_is_undone_in_its_shift_leaves_the_traffic_to_nobody() {
    let mut bed = Bed::new(file());
    bed.router_is_deaf = true;
    let release = bed.deploy("v1");
    bed.command(Command::Abort { release }).unwrap();
    let goal = bed.app.routes().unwrap().1;
    assert!(goal.arms.is_empty(), "an arm without a share does not stand alone: {goal:?}");
    bed.router_is_deaf = false;
    bed.run();
    assert_eq!(bed.outcome(release), Some(Outcome::RolledBack { cause: None }));
    assert!(bed.instances_mut().is_empty());
}

#[test]
fn a_release_is_switched_only_in_a_look_that_shows_its_routes() {
    let mut bed = Bed::with_v1_live(super::bed::file_with_worker(switchover_model::config::Handover::StopFirst));
    bed.stops_slowly = true;
    bed.deploy("v2");
    assert_eq!(bed.stage(), Some(Stage::Shift), "the routes are in force, the old worker finishes");
    bed.instances_mut().retain(|seen| !matches!(seen.phase, Phase::Stopping { .. }));
    let traffic = bed.seen.traffic.take();
    bed.run();
    assert_eq!(bed.app.release(ReleaseId(2)).unwrap().switched_at, None);
    bed.seen.traffic = traffic;
    bed.run();
    assert!(bed.app.release(ReleaseId(2)).unwrap().switched_at.is_some());
}

#[test]
fn a_receipt_is_not_closed_with_a_reading_older_than_its_first() {
    let mut bed = Bed::with_v1_live(file());
    let stale = bed.seen.clone();
    bed.now = bed.now + Span::from_secs(1);
    let deploy = bed.deploy_command(false);
    let key = switchover_model::record::IdempotencyKey("k".into());
    let admission = crate::admit(&bed.app, &deploy, &key, &switchover_model::record::Actor::Controller, bed.now);
    let Ok(crate::Admission::New { drafts, .. }) = admission else { panic!("{admission:?}") };
    bed.append(drafts);
    bed.attempts_hang = true;
    bed.seen = stale;
    bed.turn();
    let cause = Problem::new("BUILD-FAILED", "exited with 1.", "Mend it.");
    bed.end(bed.running(), AttemptResult::Failed { cause });
    bed.turn();
    assert!(bed.app.release(ReleaseId(2)).unwrap().settled_at.is_none(), "the last look is older than the release");
    bed.run();
    assert!(bed.app.releases.is_empty());
}

#[test]
fn what_can_not_be_cleared_is_noted_once_though_the_counters_can_not_be_read() {
    let mut bed = Bed::with_v2_baking(file());
    bed.stops_slowly = true;
    bed.pass(Span::from_secs(665));
    assert!(bed.app.slot(Slot::Blue).stopping.is_some());
    let traffic = bed.seen.traffic.take();
    bed.pass(Span::from_secs(60));
    bed.seen.traffic = traffic;
    bed.run();
    assert_eq!(bed.story().matches("note SLOT-NOT-EMPTY").count(), 1);
    assert!(bed.app.releases.is_empty());
}

#[test]
fn what_was_told_to_stop_while_the_controller_was_away_gets_its_whole_time() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(659));
    // The order is written down, and nobody carries it out for an hour.
    bed.note(Event::Stopped { slot: Slot::Blue });
    bed.story();
    bed.stops_slowly = true;
    bed.set_now(bed.now + Span::from_secs(3_600));
    bed.run();
    assert!(!bed.story().contains("SLOT-NOT-EMPTY"), "it was not even told");
    bed.instances_mut().retain(|seen| seen.slot != Slot::Blue);
    bed.pass(Span::from_secs(60));
    assert!(bed.story().ends_with("blue empty\n2: settled\n"));
}

#[test]
fn a_slot_that_may_still_have_the_traffic_is_not_cleared_for_a_newer_release() {
    let mut bed = Bed::new(file());
    bed.router_is_deaf = true;
    let release = bed.deploy("v1");
    bed.command(Command::Abort { release }).unwrap();
    bed.pass(Span::from_secs(40));
    assert_eq!(code_of(bed.outcome(release)), "SWITCH-NOT-SEEN");
    bed.story();
    let next = bed.deploy("v2");
    bed.pass(Span::from_secs(40));
    assert_eq!(code_of(bed.outcome(next)), "SWITCH-NOT-SEEN");
    assert!(!bed.story().contains("told to stop"), "requests may still come to it");
    bed.router_is_deaf = false;
    let next = bed.deploy("v3");
    bed.run();
    assert!(bed.app.release(next).unwrap().switched_at.is_some());
}

#[test]
fn a_failed_bake_hook_undoes_its_release_though_the_slot_is_ill_and_a_newer_one_waits() {
    let mut file = file();
    file.release.hooks.push(hook(Stage::Bake, OnCrash::Fail));
    file.release.bake = Span::ZERO;
    let mut bed = Bed::with_v1_live(file);
    bed.attempts_hang = true;
    let release = bed.deploy("v2");
    let build = bed.running();
    let source = Source::Directory { path: "/src".into() };
    let sealed = bed.revision(RevisionId(2), source);
    bed.note(Event::Sealed { revision: Box::new(sealed) });
    bed.end(build, AttemptResult::Passed { output: Vec::new() });
    bed.run();
    let hook = bed.running();
    bed.instances_mut().iter_mut().rfind(|seen| seen.slot == Slot::Green).unwrap().phase = sick();
    bed.end(hook, AttemptResult::Failed { cause: Problem::new("HOOK-FAILED", "exited with 1.", "Mend it.") });
    bed.run();
    assert_eq!(
        bed.app.any_release(release).unwrap().undoing.as_ref().unwrap().cause.as_ref().unwrap().code,
        "HOOK-FAILED"
    );
}
