//! Going back: at once while warm, by a new release after that, and when it fails.

use expect_test::expect;
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::seam::{Action, Phase};
use switchover_model::view::WayBack;
use switchover_model::{ReleaseId, RevisionId, Share, Slot, Span};

use super::bed::{BACK, Bed, file, sick};
use crate::view::way_back;

/// `rollback --to rID`.
fn to(id: u32) -> Command {
    Command::Rollback { to: Some(RevisionId(id)), release: None, detach: false }
}

#[test]
fn a_rollback_while_warm_is_one_switch_decided_at_once() {
    let mut bed = Bed::with_v2_baking(file());
    assert_eq!(
        way_back(&bed.app, &bed.seen, bed.now),
        WayBack::Instant { to: RevisionId(1), until: None, ailing: None }
    );
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(60));
    expect![[r#"
        rollback asked for
        2: undoing, asked for
        routes 3: [r1 in blue]
        routes 3 in force
        green drained, 0 left
        2: workers to blue
        2: rolled back, asked for
        green told to stop
        green empty
        2: settled
    "#]]
    .assert_eq(&bed.story());
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn the_first_decision_after_a_rollback_holds_the_flip() {
    let mut bed = Bed::with_v2_baking(file());
    bed.router_is_deaf = true;
    bed.command(BACK).unwrap();
    let Action::Route(goal) = &bed.last.actions[0] else { panic!("{:?}", bed.last.actions) };
    assert_eq!((goal.arms[0].revision, goal.arms[0].share), (RevisionId(1), Share::ALL));
}

#[test]
fn a_rollback_in_keep_warm_takes_back_a_release_that_had_succeeded() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(100));
    assert_eq!(bed.stage(), Some(Stage::Retire));
    assert!(matches!(way_back(&bed.app, &bed.seen, bed.now), WayBack::Instant { until: Some(_), .. }));
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(60));
    assert_eq!(bed.outcome(ReleaseId(2)), Some(Outcome::RolledBack { cause: None }));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_rollback_after_retire_is_a_release_of_the_revision_before_without_a_build() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(3_600));
    assert!(matches!(way_back(&bed.app, &bed.seen, bed.now), WayBack::Start { to: RevisionId(1), .. }));
    bed.story();
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(10));
    expect![[r#"
        rollback asked for
        3: opened with r1
        3: provision in blue
        3: verify in blue
        3: shift in blue
        routes 3: [r1 in blue]
        routes 3 in force
        green drained, 0 left
        3: workers to blue
        3: switched
        3: bake
    "#]]
    .assert_eq(&bed.story());
    bed.command(Command::Abort { release: ReleaseId(3) }).unwrap();
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))), "while it is warm that is taken back by one switch");
}

#[test]
fn a_rollback_before_the_shift_aborts() {
    let mut bed = Bed::with_v1_live(file());
    bed.boots_forever = true;
    let release = bed.deploy("v2");
    bed.command(BACK).unwrap();
    assert_eq!(bed.outcome(release), Some(Outcome::Aborted { cause: None }));
    bed.pass(Span::from_secs(60));
    expect![[r#"
        deploy asked for
        2: opened with r2
        2: build
        2: provision in green
        rollback asked for
        2: undoing, asked for
        2: aborted, asked for
        green told to stop
        green empty
        2: settled
    "#]]
    .assert_eq(&bed.story());
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn there_is_nothing_to_go_back_to_after_a_first_release() {
    let mut bed = Bed::new(file());
    assert_eq!(bed.command(BACK).unwrap_err().code, "NOTHING-TO-ROLL-BACK");
    bed.deploy("v1");
    let records = bed.records.len();
    assert_eq!(bed.command(BACK).unwrap_err().code, "NOTHING-TO-ROLL-BACK");
    assert_eq!(bed.records.len(), records, "a refusal changes nothing");
}

#[test]
fn a_rollback_has_the_ill_instances_of_the_old_slot_replaced() {
    let mut bed = Bed::with_v2_baking(file());
    bed.story();
    bed.make(Slot::Blue, &sick());
    assert!(matches!(way_back(&bed.app, &bed.seen, bed.now), WayBack::Start { to: RevisionId(1), .. }));
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(60));
    expect![[r#"
        rollback asked for
        2: undoing, asked for
        2: 2 ill in blue are replaced
        routes 3: [r1 in blue]
        routes 3 in force
        green drained, 0 left
        2: workers to blue
        2: rolled back, asked for
        green told to stop
        green empty
        2: settled
    "#]]
    .assert_eq(&bed.story());
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_rollback_waits_for_an_old_slot_that_died_and_leaves_the_traffic_where_it_is_healthy() {
    let mut bed = Bed::with_v2_baking(file());
    bed.boots_forever = true;
    bed.make(Slot::Blue, &sick());
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(20));
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
    let now = bed.now;
    bed.make(Slot::Blue, &Phase::Healthy { since: now });
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
    assert_eq!(bed.outcome(ReleaseId(2)), Some(Outcome::RolledBack { cause: None }));
}

#[test]
fn a_rollback_whose_old_slot_never_recovers_asks_for_a_person() {
    let mut file = file();
    file.release.hooks.push(super::bed::hook(Stage::Retire, switchover_model::config::OnCrash::Fail));
    let mut bed = Bed::with_v2_baking(file);
    bed.boots_forever = true;
    bed.make(Slot::Blue, &sick());
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(120));
    bed.boots_forever = false;
    let Some(Outcome::Failed { cause }) = bed.outcome(ReleaseId(2)) else { panic!("{:?}", bed.outcome(ReleaseId(2))) };
    expect!["NO-HEALTHY-WAY-BACK: r1 in blue was to take the traffic back and was not seen healthy within 40s: each of 2 instances (i5, i6): no answer yet. The traffic was left on r2 in green. Deploy a good revision, or `switchover rollback --to` an older one."].assert_eq(&cause.to_string());
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
    bed.pass(Span::from_secs(700));
    assert!(bed.app.releases.is_empty(), "it is settled");
    assert!(!bed.story().contains("retire hook"), "what failed is not retired as if it had succeeded");
    bed.deploy("v3");
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(3))), "the next release goes its way");
}

#[test]
fn an_older_revision_is_reached_by_its_name() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(3_600));
    bed.deploy("v3");
    assert_eq!(bed.command(to(3)).unwrap_err().code, "ALREADY-LIVE");
    assert_eq!(bed.command(to(9)).unwrap_err().code, "REVISION-UNKNOWN");
    bed.command(to(1)).unwrap();
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(1))));
    bed.command(to(3)).unwrap();
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(3))), "a named revision that is warm is one switch away");
}

#[test]
fn a_warm_revision_is_one_switch_away_while_a_newer_release_has_not_taken_its_slot() {
    let mut bed = Bed::with_v2_baking(file());
    bed.attempts_hang = true;
    bed.deploy("v3");
    bed.story();
    let undone = bed.command(to(1));
    bed.attempts_hang = false;
    bed.run();
    assert_eq!(undone, Ok(Some(ReleaseId(2))));
    expect![[r#"
        rollback asked for
        3: undoing, asked for
        note RELEASE-SUPERSEDED
        2: undoing, asked for
        3: aborted, asked for
        routes 3: [r1 in blue]
        3: settled
        routes 3 in force
        green drained, 0 left
        2: workers to blue
        2: rolled back, asked for
        green told to stop
        green empty
        2: settled
    "#]]
    .assert_eq(&bed.story());
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

/// v2 is live, its bake is over, and what comes after it waits for a hook; the slot that it came from is empty.
fn with_v2_retiring() -> Bed {
    let mut file = file();
    file.release.hooks.push(super::bed::hook(Stage::Retire, switchover_model::config::OnCrash::Fail));
    file.release.keep_warm = Span::ZERO;
    let mut bed = Bed::with_v2_baking(file);
    bed.attempts_hang = true;
    bed.pass(Span::from_secs(62));
    assert_eq!((bed.stage(), bed.app.slot(Slot::Blue).revision), (Some(Stage::Retire), None));
    bed
}

#[test]
fn a_named_return_that_waits_at_a_gate_is_not_overtaken_by_itself() {
    let mut bed = with_v2_retiring();
    let mut gated = bed.app.config.clone().unwrap();
    gated.release.approve = true;
    bed.command(Command::Apply { config: Box::new(gated) }).unwrap();
    bed.command(to(1)).unwrap();
    assert_eq!(bed.stage(), Some(Stage::Approve), "{}", bed.story());
    assert_eq!(bed.command(to(1)).unwrap_err().code, "ALREADY-LIVE");
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
}

#[test]
fn two_releases_never_undo_each_other() {
    let mut bed = with_v2_retiring();
    bed.command(to(1)).unwrap();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))), "{}", bed.story());
    bed.router_is_deaf = true;
    bed.command(Command::Abort { release: ReleaseId(3) }).unwrap();
    let _ = bed.command(to(1));
    bed.router_is_deaf = false;
    bed.run();
    assert!(bed.served().is_some(), "{}", bed.story());
}

#[test]
fn a_rollback_that_was_typed_twice_goes_back_once() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(3_600));
    bed.deploy("v3");
    bed.command(BACK).unwrap();
    let refused = bed.command(BACK).unwrap_err();
    expect!["ROLLED-BACK-ALREADY: release 3 was rolled back, and r2 is live. Nothing is left to do, or name where to: `switchover rollback --to r1`."].assert_eq(&refused.to_string());
    assert!(matches!(way_back(&bed.app, &bed.seen, bed.now), WayBack::None { .. }), "status says the same");
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.command(BACK).unwrap_err().code, "ROLLED-BACK-ALREADY", "a later one neither");
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
}

#[test]
fn a_rollback_by_a_new_release_that_was_typed_twice_goes_back_once() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(3_600));
    bed.boots_forever = true;
    let release = bed.command(BACK).unwrap();
    assert_eq!(bed.stage(), Some(Stage::Provision));
    assert_eq!(bed.command(BACK).unwrap(), release, "while it boots the second one is the same rollback");
    bed.boots_forever = false;
    let now = bed.now;
    bed.make(Slot::Blue, &Phase::Healthy { since: now });
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
    assert_eq!(bed.command(BACK).unwrap(), release, "nor while it is watched");
    assert!(matches!(way_back(&bed.app, &bed.seen, bed.now), WayBack::None { .. }), "status says the same");
    bed.pass(Span::from_secs(100));
    assert_eq!(bed.command(BACK).unwrap_err().code, "ROLLED-BACK-ALREADY");
    bed.command(to(2)).unwrap();
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))), "by its name it is one switch away");
}

#[test]
fn a_rollback_that_was_itself_taken_back_leaves_its_way_back() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(3_600));
    bed.command(BACK).unwrap();
    bed.command(Command::Abort { release: ReleaseId(3) }).unwrap();
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
    assert!(matches!(way_back(&bed.app, &bed.seen, bed.now), WayBack::Start { to: RevisionId(1), .. }));
    bed.command(BACK).unwrap();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_rollback_takes_back_the_deploy_that_waits_behind_a_rollback_and_not_that() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(3_600));
    bed.router_is_deaf = true;
    bed.command(BACK).unwrap();
    let waiting = bed.deploy("v4");
    assert!(matches!(way_back(&bed.app, &bed.seen, bed.now), WayBack::None { .. }));
    bed.command(BACK).unwrap();
    bed.router_is_deaf = false;
    bed.run();
    assert_eq!(bed.outcome(waiting), Some(Outcome::Aborted { cause: None }));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn of_two_who_cancel_one_deploy_none_moves_the_live_revision() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(3_600));
    bed.boots_forever = true;
    let third = bed.deploy("v3");
    assert_eq!(
        way_back(&bed.app, &bed.seen, bed.now),
        WayBack::Abort { release: third },
        "status says what it will do"
    );
    bed.command(BACK).unwrap();
    let named = Command::Rollback { to: None, release: Some(third), detach: false };
    assert_eq!(bed.command(named.clone()).unwrap_err().code, "STALE-COMMAND");
    let refused = bed.command(BACK).unwrap_err();
    expect!["ROLLED-BACK-ALREADY: release 3 was taken back a moment ago, before its switch, and r2 is live as before. Nothing is left to do. To go back from r2, name where to: `switchover rollback --to r1`."].assert_eq(&refused.to_string());
    bed.boots_forever = false;
    bed.pass(Span::from_secs(120));
    assert_eq!(bed.command(named).unwrap_err().code, "STALE-COMMAND", "named, it never means another one");
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
    bed.command(BACK).unwrap();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))), "later it means the live one");
}

#[test]
fn releases_that_fail_one_after_the_other_leave_the_way_back_on_disk() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(3_600));
    bed.boots_forever = true;
    for content in ["v3", "v4", "v5", "v6", "v7", "v8"] {
        bed.deploy(content);
        bed.pass(Span::from_secs(120));
    }
    bed.boots_forever = false;
    let kept: Vec<u32> = bed.app.kept_revisions().iter().map(|id| id.0).collect();
    assert_eq!(kept, [1, 2, 8], "the newest one that failed stays to be looked into");
    bed.command(BACK).unwrap();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_full_disk_forbids_a_deploy_and_no_return() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(3_600));
    let lack = switchover_model::Problem::new("DISK-FULL", "7 MiB is free.", "Free some.");
    bed.seen.platform.as_mut().unwrap().headroom = Some(lack);
    let third = bed.deploy("v3");
    assert!(matches!(bed.outcome(third), Some(Outcome::Aborted { cause: Some(_) })));
    bed.command(to(1)).unwrap();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_rollback_that_names_an_older_release_is_refused() {
    let mut bed = Bed::with_v2_baking(file());
    bed.boots_forever = true;
    let newer = bed.deploy("v3");
    let named = |release| Command::Rollback { to: None, release: Some(release), detach: false };
    let refused = bed.command(named(ReleaseId(2))).unwrap_err();
    assert_eq!(refused.code, "STALE-COMMAND", "{refused}");
    bed.command(named(newer)).unwrap();
    assert_eq!(bed.outcome(newer), Some(Outcome::Aborted { cause: None }));
}
