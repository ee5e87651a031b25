//! Commands at the wrong moment.

use expect_test::expect;
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::{ReleaseId, RevisionId, Slot, Span};

use super::bed::{Bed, file};

#[test]
fn a_repeated_key_is_the_same_command() {
    let mut bed = Bed::new(file());
    let deploy = bed.deploy_command(false);
    let first = bed.command_with_key(&deploy, "k").unwrap();
    let records = bed.records.len();
    assert_eq!(bed.command_with_key(&deploy, "k").unwrap(), first);
    assert_eq!(bed.records.len(), records);
    let other_body = bed.deploy_command(true);
    for other in [Command::Rollback { to: None, release: None, detach: false }, other_body] {
        assert_eq!(bed.command_with_key(&other, "k").unwrap_err().code, "KEY-REUSED", "{other:?}");
    }
    assert_eq!(bed.records.len(), records);
}

#[test]
fn a_stale_command_is_refused_and_told_which_release_is_current() {
    let mut file = file();
    file.release.approve = true;
    let mut bed = Bed::new(file);
    let first = bed.deploy("v1");
    let second = bed.deploy("v2");
    assert_eq!(bed.outcome(first), Some(Outcome::Superseded { by: second }));
    let promote = Command::Promote { release: first, stage: Stage::Approve, step: None, full: false };
    let refusal = bed.command(promote).unwrap_err();
    expect!["STALE-COMMAND: release 1 is not going on; the current one is release 2 in stage approve. Look with `switchover status`, then name the current one."].assert_eq(&refusal.to_string());
    let wrong_stage = Command::Promote { release: second, stage: Stage::Verify, step: None, full: false };
    assert_eq!(bed.command(wrong_stage).unwrap_err().code, "STALE-COMMAND");
    for command in [Command::Pause { release: first }, Command::Abort { release: first }] {
        assert_eq!(bed.command(command).unwrap_err().code, "STALE-COMMAND");
    }
    assert_eq!(bed.command(Command::Resume { release: second }).unwrap_err().code, "NOT-PAUSED");
}

#[test]
fn a_gate_that_is_open_is_not_said_to_be_of_another_release() {
    let mut file = file();
    file.release.approve = true;
    let mut bed = Bed::new(file);
    let release = bed.deploy("v1");
    let promote = Command::Promote { release, stage: Stage::Approve, step: None, full: false };
    bed.command(Command::Pause { release }).unwrap();
    bed.command(promote.clone()).unwrap();
    let refusal = bed.command(promote).unwrap_err();
    expect!["NOT-AT-A-GATE: the gate of release 1 is open already. Nothing is left to do: `switchover status` shows what it waits for, and what its hooks have answered."].assert_eq(&refusal.to_string());
}

#[test]
fn a_deploy_before_the_shift_supersedes_and_its_slot_is_reused_once_empty() {
    let mut bed = Bed::with_v1_live(file());
    bed.boots_forever = true;
    bed.deploy("v2");
    bed.boots_forever = false;
    bed.deploy("v3");
    expect![[r#"
        deploy asked for
        2: opened with r2
        2: build
        2: provision in green
        deploy asked for
        2: superseded by 3
        note RELEASE-SUPERSEDED
        3: opened with r3
        green told to stop
        3: build
        green empty
        2: settled
        3: provision in green
        3: verify in green
        3: shift in green
        routes 2: [r3 in green]
        routes 2 in force
        blue drained, 0 left
        3: workers to green
        3: switched
        3: bake
    "#]]
    .assert_eq(&bed.story());
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(3))));
}

#[test]
fn a_deploy_during_a_shift_waits_and_the_newest_wins() {
    let mut bed = Bed::with_v1_live(file());
    bed.router_is_deaf = true;
    bed.deploy("v2");
    bed.deploy("v3");
    let third = bed.deploy("v4");
    assert_eq!(bed.stage(), None, "it has not begun");
    assert_eq!(bed.outcome(ReleaseId(3)), Some(Outcome::Superseded { by: third }));
    bed.router_is_deaf = false;
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(4))));
    assert_eq!(bed.outcome(ReleaseId(2)), Some(Outcome::Succeeded { proven: false }), "its bake was cut short");
}

#[test]
fn a_deploy_that_replaces_undoes_the_shift_first() {
    let mut bed = Bed::with_v1_live(file());
    bed.router_is_deaf = true;
    bed.deploy("v2");
    bed.content = "v3".into();
    bed.command(bed.deploy_command(true)).unwrap();
    bed.router_is_deaf = false;
    bed.run();
    expect![[r#"
        deploy asked for
        2: opened with r2
        2: build
        2: provision in green
        2: verify in green
        2: shift in green
        routes 2: [r2 in green]
        deploy asked for
        2: undoing, REPLACED
        3: opened with r3
        note WAITS
        routes 3: [r1 in blue]
        routes 3 in force
        green drained, 0 left
        2: rolled back, REPLACED
        3: build
        green told to stop
        green empty
        2: settled
        3: provision in green
        3: verify in green
        3: shift in green
        routes 4: [r3 in green]
        routes 4 in force
        blue drained, 0 left
        3: workers to green
        3: switched
        3: bake
    "#]]
    .assert_eq(&bed.story());
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(3))));
}

#[test]
fn a_deploy_during_the_bake_says_which_way_back_it_closes_and_closes_it_only_when_built() {
    let mut bed = Bed::with_v2_baking(file());
    bed.attempts_hang = true;
    bed.deploy("v3");
    assert_eq!(bed.app.slot(Slot::Blue).revision, Some(RevisionId(1)));
    bed.attempts_hang = false;
    bed.run();
    expect![[r#"
        deploy asked for
        3: opened with r3
        note WAY-BACK-CLOSES
        3: build
        2: succeeded, proven: false
        2: retire
        blue told to stop
        blue empty
        2: settled
        3: provision in blue
        3: verify in blue
        3: shift in blue
        routes 3: [r3 in blue]
        routes 3 in force
        green drained, 0 left
        3: workers to blue
        3: switched
        3: bake
    "#]]
    .assert_eq(&bed.story());
}

#[test]
fn a_rollback_during_a_shift_takes_what_waits_behind_it_back_too() {
    let mut bed = Bed::with_v1_live(file());
    bed.router_is_deaf = true;
    bed.deploy("v2");
    bed.deploy("v3");
    bed.command(Command::Rollback { to: None, release: None, detach: false }).unwrap();
    bed.router_is_deaf = false;
    bed.run();
    assert_eq!(bed.outcome(ReleaseId(2)), Some(Outcome::RolledBack { cause: None }));
    assert_eq!(bed.outcome(ReleaseId(3)), Some(Outcome::Aborted { cause: None }));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_paused_release_holds_before_its_next_step_until_it_is_resumed() {
    let mut bed = Bed::with_v1_live(file());
    bed.boots_forever = true;
    let release = bed.deploy("v2");
    bed.command(Command::Pause { release }).unwrap();
    let now = bed.now;
    bed.make(Slot::Green, &switchover_model::seam::Phase::Healthy { since: now });
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.stage(), Some(Stage::Provision));
    bed.command(Command::Resume { release }).unwrap();
    assert_eq!(bed.stage(), Some(Stage::Bake));
    bed.command(Command::Pause { release }).unwrap();
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.stage(), Some(Stage::Bake));
}

#[test]
fn an_end_comes_to_every_pause() {
    let mut bed = Bed::with_v1_live(file());
    bed.boots_forever = true;
    let release = bed.deploy("v2");
    bed.command(Command::Pause { release }).unwrap();
    let now = bed.now;
    bed.make(Slot::Green, &switchover_model::seam::Phase::Healthy { since: now });
    bed.pass(Span::from_secs(8 * 24 * 3_600));
    assert!(
        matches!(bed.outcome(release), Some(Outcome::Aborted { cause: Some(cause) }) if cause.code == "PAUSED-TOO-LONG")
    );
}

#[test]
fn apply_scales_live_and_warm_slots_routes_new_hosts_and_names_what_waits_for_a_deploy() {
    let mut bed = Bed::with_v2_baking(file());
    let mut file = file();
    let web = file.processes.values_mut().next().unwrap();
    web.instances = 3;
    web.command = "bin/web --fast".into();
    file.env.insert("TOKEN".into(), "s3cret".into());
    file.route.hosts = vec!["new.example".parse().unwrap()];
    bed.command(Command::Apply { config: Box::new(file) }).unwrap();
    let counts = Slot::BOTH.map(|slot| bed.instances_mut().iter().filter(|seen| seen.slot == slot).count());
    assert_eq!(counts, [3, 3]);
    expect![[r#"
        apply asked for
        note POLICY-CHANGED
        note NEEDS-A-DEPLOY
        routes 3: [r2 in green]
        routes 3 in force
    "#]]
    .assert_eq(&bed.story());
    let notes: Vec<_> = bed.app.notes.iter().rev().take(2).map(|note| note.problem.detail.join("\n")).collect();
    expect![[r#"
        env.TOKEN changed
        processes.web.command: bin/web -> bin/web --fast
        processes.web.instances: 2 -> 3
        route.hosts.0: shop.example -> new.example"#]]
    .assert_eq(&notes.join("\n"));
}

#[test]
fn a_file_of_another_app_is_refused() {
    let mut bed = Bed::new(file());
    bed.file.name = "other".parse().unwrap();
    let deploy = bed.deploy_command(false);
    assert_eq!(bed.command(deploy).unwrap_err().code, "APP-MISMATCH");
}

#[test]
fn a_release_in_retire_whose_old_slot_is_taken_by_the_next_can_not_be_undone() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(100));
    assert_eq!(bed.stage(), Some(Stage::Retire));
    bed.boots_forever = true;
    let traffic = bed.seen.traffic.take();
    bed.deploy("v3");
    assert_eq!(bed.stage(), Some(Stage::Provision), "blue is prepared for r3");
    assert!(bed.app.release(ReleaseId(2)).is_some(), "its receipt waits for the router's counters");
    let refused = bed.command(Command::Abort { release: ReleaseId(2) }).unwrap_err();
    assert_eq!(refused.code, "NOTHING-TO-ROLL-BACK");
    bed.seen.traffic = traffic;
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))), "r3, unverified, is no way back");
}
