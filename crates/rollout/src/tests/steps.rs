//! A release whose traffic moves by steps.

use expect_test::expect;
use switchover_model::config::{Canary, Handover, Step, Strategy};
use switchover_model::record::Event;
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::seam::{Phase, Role};
use switchover_model::view::WayBack;
use switchover_model::{Problem, ReleaseId, RevisionId, Share, Slot, Span};

use super::bed::{BACK, Bed, file, file_with_worker, sick};
use crate::{StepState, receipt, view};

fn step(percent: u16, seconds: u64, approve: bool) -> Step {
    let share = Share::from_basis_points(percent * 100).unwrap();
    Step { share, stays: Span::from_secs(seconds), approve }
}

/// `v1` live in blue, and a file whose releases go by these steps.
fn bed(steps: &[Step]) -> Bed {
    let mut bed = Bed::with_v1_live(file());
    bed.file.release.strategy = Strategy::Canary(Canary::Steps(steps.to_vec()));
    bed
}

/// In the first of two steps of a minute each, the share of it in force.
fn in_the_first_step() -> (Bed, ReleaseId) {
    let mut bed = bed(&[step(5, 60, false), step(50, 60, false)]);
    let release = bed.deploy("v2");
    bed.log.clear();
    (bed, release)
}

impl Bed {
    /// The share of green in the world.
    fn share(&self) -> String {
        let routes = self.seen.traffic.as_ref().and_then(|traffic| traffic.routes.as_ref()).unwrap();
        let green = routes.arms.iter().find(|arm| arm.slot == Slot::Green);
        green.map_or(Share::NONE, |arm| arm.share).to_string()
    }

    fn promote(&mut self, release: ReleaseId, step: Option<u32>, full: bool) -> Result<Option<ReleaseId>, Problem> {
        self.command(Command::Promote { release, stage: Stage::Shift, step, full })
    }

    fn waits_for(&self) -> Option<String> {
        self.app.releases.last().and_then(|release| release.waiting.clone()).map(|waiting| waiting.reason)
    }
}

#[test]
fn a_canary_goes_through_its_steps_and_hands_over_with_the_last() {
    let mut bed = Bed::with_v1_live(file_with_worker(Handover::StopFirst));
    bed.file.release.strategy = Strategy::Canary(Canary::Steps(vec![step(5, 60, false), step(50, 120, false)]));
    bed.deploy("v2");
    bed.pass(Span::from_secs(3_600));
    expect![[r#"
        deploy asked for
        note POLICY-CHANGED
        2: opened with r2
        2: build
        2: provision in green
        2: verify in green
        2: shift in green
        2: step 1 of 2
        routes 2: [5% to r2 in green, 95% to r1 in blue]
        routes 2 in force
        2: step 2 of 2
        routes 3: [50% to r2 in green, 50% to r1 in blue]
        routes 3 in force
        routes 4: [r2 in green]
        routes 4 in force
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
    let release = bed.app.archive.last().unwrap();
    let seconds = |step: &StepState| step.left_at.unwrap().since(step.in_force_at.unwrap()).as_micros() / 1_000_000;
    assert_eq!(release.steps.iter().map(seconds).collect::<Vec<_>>(), [60, 120]);
    let told = receipt::receipt(&bed.app, release.id, None, bed.now, switchover_model::seam::Evidence::EveryRequest);
    assert_eq!(told.unwrap().steps.iter().map(|step| step.share.to_string()).collect::<Vec<_>>(), ["5%", "50%"]);
}

#[test]
fn a_step_begins_its_time_when_its_share_is_seen_in_force() {
    let mut bed = bed(&[step(5, 10, false)]);
    bed.router_is_deaf = true;
    let release = bed.deploy("v2");
    bed.pass(Span::from_secs(20));
    assert_eq!(bed.waits_for().as_deref(), Some("the switch to be seen in force"));
    bed.router_is_deaf = false;
    bed.pass(Span::from_secs(9));
    assert_eq!(bed.share(), "5%");
    bed.pass(Span::from_secs(2));
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
    let step = &bed.app.release(release).unwrap().steps[0];
    assert!(step.in_force_at.unwrap().since(step.decided_at) >= Span::from_secs(20), "{step:?}");
}

#[test]
fn a_share_that_is_never_seen_in_force_undoes_the_release() {
    let mut bed = bed(&[step(5, 10, false)]);
    bed.router_is_deaf = true;
    let release = bed.deploy("v2");
    bed.pass(Span::from_secs(31));
    bed.router_is_deaf = false;
    bed.pass(Span::from_secs(600));
    let outcome = bed.outcome(release);
    assert!(
        matches!(&outcome, Some(Outcome::RolledBack { cause: Some(cause) }) if cause.code == "SWITCH-NOT-SEEN"),
        "{outcome:?}"
    );
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_hold_stops_the_clock_of_the_step_it_falls_into() {
    let (mut bed, release) = in_the_first_step();
    bed.pass(Span::from_secs(50));
    bed.command(Command::Pause { release }).unwrap();
    bed.pass(Span::from_secs(1_000));
    assert_eq!(bed.share(), "5%");
    assert_eq!(view::history(&bed.app).last().unwrap().steps[0].until, None, "nobody knows until when");
    bed.command(Command::Resume { release }).unwrap();
    bed.pass(Span::from_secs(9));
    assert_eq!(bed.share(), "5%");
    bed.pass(Span::from_secs(2));
    assert_eq!(bed.share(), "50%");
    bed.command(Command::Pause { release }).unwrap();
    bed.pass(Span::from_secs(1_000));
    assert_eq!(bed.share(), "50%", "nor is all traffic taken");
}

#[test]
fn a_promotion_ends_the_step_that_it_names_and_no_other() {
    let (mut bed, release) = in_the_first_step();
    assert_eq!(bed.promote(release, Some(2), false).unwrap_err().code, "STALE-COMMAND");
    assert_eq!(bed.promote(ReleaseId(1), Some(1), false).unwrap_err().code, "STALE-COMMAND");
    let approve = Command::Promote { release, stage: Stage::Approve, step: Some(1), full: false };
    assert_eq!(bed.command(approve).unwrap_err().code, "STALE-COMMAND");
    assert_eq!(bed.share(), "5%");
    bed.promote(release, Some(1), false).unwrap();
    assert_eq!(bed.share(), "50%");
    let stale = bed.promote(release, Some(1), false).unwrap_err();
    assert_eq!(stale.cause, "release 2 is at step 2 of 2, not at step 1; the current one is release 2 in stage shift.");
    bed.promote(release, Some(2), false).unwrap();
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
    assert!(bed.promote(release, Some(2), false).is_err(), "it is at no step any more");
}

#[test]
fn a_promotion_in_full_skips_what_is_left_once_the_slot_is_well() {
    let (mut bed, release) = in_the_first_step();
    let now = bed.now;
    for seen in bed.instances_mut().iter_mut().filter(|seen| seen.slot == Slot::Green) {
        seen.unanswered_since = Some(now);
    }
    bed.pass(Span::from_secs(3));
    bed.promote(release, None, true).unwrap();
    assert_eq!(bed.share(), "5%", "it is asked for its health and says nothing");
    assert_eq!(bed.waits_for().as_deref(), Some("the new slot to be seen healthy before its next step"));
    for seen in bed.instances_mut() {
        seen.unanswered_since = None;
    }
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
    assert!(bed.promote(release, None, true).is_err());
}

#[test]
fn a_gate_after_a_step_waits_for_a_person_and_undoes_the_release_without_one() {
    let mut bed = bed(&[step(5, 60, true)]);
    bed.file.release.approve_timeout = Span::from_secs(600);
    let first = bed.deploy("v2");
    bed.pass(Span::from_secs(500));
    assert_eq!(bed.waits_for().as_deref(), Some("a person to promote it from this step"));
    let shown = view::history(&bed.app).pop().unwrap();
    assert!(shown.at_gate && shown.steps[0].approve);
    bed.pass(Span::from_secs(200));
    let outcome = bed.outcome(first);
    assert!(
        matches!(&outcome, Some(Outcome::RolledBack { cause: Some(cause) }) if cause.code == "APPROVAL-TIMED-OUT"),
        "{outcome:?}"
    );
    bed.pass(Span::from_secs(600));
    let second = bed.deploy("v3");
    bed.pass(Span::from_secs(100));
    bed.promote(second, Some(1), false).unwrap();
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(3))));
}

#[test]
fn an_abort_in_a_step_leads_all_traffic_back_at_once_and_stops_the_new_slot_when_it_is_drained() {
    for back in [BACK, Command::Abort { release: ReleaseId(2) }, to_the_first()] {
        let (mut bed, release) = in_the_first_step();
        bed.seen.traffic.as_mut().unwrap().in_flight.insert(RevisionId(2), 3);
        bed.command(back).unwrap();
        expect![[r#"
            routes 3: [r1 in blue]
            routes 3 in force
            2: rolled back, asked for
        "#]]
        .assert_eq(&bed.story().lines().skip(2).map(|line| format!("{line}\n")).collect::<String>());
        assert!(bed.app.slot(Slot::Green).revision.is_some(), "its requests go on");
        bed.seen.traffic.as_mut().unwrap().in_flight.clear();
        bed.pass(Span::from_secs(60));
        assert_eq!(bed.story(), "green drained, 0 left\ngreen told to stop\ngreen empty\n2: settled\n");
        let told = &bed.app.any_release(release).unwrap().switches;
        assert!(told.len() == 1 && told[0].back && told[0].from == Some(RevisionId(2)), "{told:?}");
        assert_eq!(bed.command(BACK).unwrap_err().code, "ROLLED-BACK-ALREADY");
    }
}

fn to_the_first() -> Command {
    Command::Rollback { to: Some(RevisionId(1)), release: None, detach: false }
}

#[test]
fn a_new_slot_that_falls_ill_in_a_step_is_left() {
    let (mut bed, release) = in_the_first_step();
    bed.make(Slot::Green, &sick());
    bed.run();
    let outcome = bed.outcome(release);
    assert!(
        matches!(&outcome, Some(Outcome::RolledBack { cause: Some(cause) }) if cause.code == "HEALTH-LOST"),
        "{outcome:?}"
    );
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_new_slot_that_is_partly_ill_takes_no_step_and_is_left_when_it_stays_so() {
    let (mut bed, release) = in_the_first_step();
    bed.pass(Span::from_secs(55));
    let one = bed.instances_mut().iter_mut().find(|seen| seen.slot == Slot::Green).unwrap();
    one.phase = sick();
    bed.pass(Span::from_secs(9));
    assert_eq!(bed.share(), "5%");
    bed.pass(Span::from_secs(2));
    assert!(matches!(bed.outcome(release), Some(Outcome::RolledBack { cause: Some(_) })));
}

#[test]
fn a_platform_that_can_not_be_asked_takes_no_step_and_leads_back_in_the_end() {
    let (mut bed, release) = in_the_first_step();
    let platform = bed.seen.platform.take();
    bed.pass(Span::from_secs(100));
    assert_eq!(bed.share(), "5%");
    bed.pass(Span::from_secs(25));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))), "the old slot has a part of the traffic as it is");
    bed.seen.platform = platform;
    bed.pass(Span::from_secs(60));
    assert!(matches!(bed.outcome(release), Some(Outcome::RolledBack { cause: Some(_) })));
}

#[test]
fn a_split_that_can_not_go_back_is_gathered_where_somebody_answers() {
    let (mut bed, release) = in_the_first_step();
    bed.make(Slot::Blue, &sick());
    bed.boots_forever = true;
    bed.command(BACK).unwrap();
    assert_eq!(bed.share(), "5%", "the old revision is provisioned anew first");
    assert!(bed.story().contains("2 ill in blue are replaced"));
    bed.pass(Span::from_secs(60));
    let outcome = bed.outcome(release);
    assert!(matches!(&outcome, Some(Outcome::Failed { cause }) if cause.code == "NO-HEALTHY-WAY-BACK"), "{outcome:?}");
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
    assert_eq!(bed.app.working.map(|working| working.slot), Some(Slot::Green));
    bed.pass(Span::from_secs(3_600));
    let left: Vec<Slot> = bed.seen.platform.iter().flat_map(|seen| &seen.instances).map(|seen| seen.slot).collect();
    assert_eq!(left, [Slot::Green, Slot::Green], "the old slot is stopped when its warm time is over");
}

#[test]
fn a_deploy_in_a_step_waits_and_one_that_replaces_undoes_it() {
    let (mut bed, release) = in_the_first_step();
    let next = bed.deploy("v3");
    assert_eq!(bed.app.release(next).unwrap().stage(), None);
    let replacing = bed.command(bed.deploy_command(true)).unwrap().unwrap();
    assert!(
        matches!(bed.outcome(release), Some(Outcome::RolledBack { cause: Some(cause) }) if cause.code == "REPLACED")
    );
    assert!(matches!(bed.outcome(next), Some(Outcome::Superseded { by }) if by == replacing));
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(4))));
}

#[test]
fn what_waits_behind_a_shift_in_steps_gives_way_to_its_rollback() {
    for back in [BACK, to_the_first()] {
        let (mut bed, release) = in_the_first_step();
        let next = bed.deploy("v3");
        bed.command(back).unwrap();
        bed.pass(Span::from_secs(3_600));
        assert!(matches!(bed.outcome(release), Some(Outcome::RolledBack { cause: None })));
        assert!(matches!(bed.outcome(next), Some(Outcome::Aborted { cause: None })), "{:?}", bed.outcome(next));
        assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
    }
}

#[test]
fn a_first_release_and_a_way_back_take_no_steps() {
    let mut file = file();
    file.release.strategy = Strategy::Canary(Canary::Steps(vec![step(5, 60, false)]));
    let mut bed = Bed::new(file);
    bed.boots_forever = true;
    bed.deploy("v1");
    assert!(view::history(&bed.app)[0].steps.is_empty(), "none are shown either");
    let now = bed.now;
    bed.make(Slot::Blue, &Phase::Healthy { since: now });
    bed.boots_forever = false;
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
    bed.pass(Span::from_secs(3_600));
    bed.deploy("v2");
    assert_eq!(bed.share(), "5%");
    bed.pass(Span::from_secs(3_600));
    bed.command(to_the_first()).unwrap();
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_status_tells_the_step_and_the_way_back_in_it() {
    let (mut bed, _) = in_the_first_step();
    bed.pass(Span::from_secs(5));
    let status = view::status(&bed.app, &bed.seen, bed.now);
    assert_eq!(status.live, Some(Slot::Blue));
    assert!(
        matches!(status.way_back, WayBack::Instant { to: RevisionId(1), until: None, .. }),
        "{:?}",
        status.way_back
    );
    let release = status.releases.last().unwrap();
    assert_eq!(release.stages.last().unwrap().note.as_deref(), Some("step 1 of 2, 5% of the requests"));
    assert_eq!(release.waiting.as_deref(), Some("the end of its time at this share"));
    let steps: Vec<(u32, String, bool)> =
        release.steps.iter().map(|step| (step.step, step.share.to_string(), step.until.is_some())).collect();
    assert_eq!(steps, [(1, "5%".to_owned(), true), (2, "50%".to_owned(), false)]);
    let shares = Slot::BOTH.map(|slot| status.slots[&slot].share.unwrap().to_string());
    assert_eq!(shares, ["95%", "5%"]);
}

#[test]
fn workers_stay_in_the_old_slot_until_all_traffic_moves() {
    let mut bed = Bed::with_v1_live(file_with_worker(Handover::Lease));
    bed.file.release.strategy = Strategy::Canary(Canary::Steps(vec![step(50, 60, false)]));
    bed.deploy("v2");
    let active = |bed: &Bed| -> Vec<Slot> {
        let seen = bed.seen.platform.iter().flat_map(|platform| &platform.instances);
        let workers = seen.filter(|seen| seen.process.as_str() == "mailer" && seen.role == Role::Active);
        workers.map(|seen| seen.slot).collect()
    };
    assert_eq!((bed.share().as_str(), active(&bed)), ("50%", vec![Slot::Blue]));
    bed.pass(Span::from_secs(61));
    assert_eq!(active(&bed), [Slot::Green]);
}

#[test]
fn a_controller_that_comes_back_in_a_step_goes_on_from_its_records() {
    let (mut bed, _) = in_the_first_step();
    bed.pass(Span::from_secs(30));
    let text = serde_json::to_string(&bed.app).unwrap();
    bed.app = serde_json::from_str(&text).unwrap();
    bed.pass(Span::from_secs(31));
    assert_eq!(bed.share(), "50%");
}

#[test]
fn what_was_written_before_there_were_steps_is_read_and_a_promotion_of_a_stage_is_written_as_it_was() {
    let mut bed = Bed::with_v1_live(file());
    bed.deploy("v2");
    let mut text = serde_json::to_value(&bed.app).unwrap();
    for release in text["releases"].as_array_mut().into_iter().flatten() {
        let release = release.as_object_mut().unwrap();
        for new in ["steps", "full", "waived"] {
            assert!(release.remove(new).is_some(), "{new}");
        }
    }
    assert_eq!(serde_json::from_value::<crate::App>(text).unwrap(), bed.app);
    let promote = Command::Promote { release: ReleaseId(2), stage: Stage::Approve, step: None, full: false };
    let written = serde_json::to_string(&promote).unwrap();
    assert_eq!(written, r#"{"command":"promote","release":2,"stage":"approve"}"#);
    assert_eq!(serde_json::from_str::<Command>(&written).unwrap(), promote);
}

#[test]
fn a_slot_is_never_told_to_stop_while_it_has_a_share() {
    let (mut bed, release) = in_the_first_step();
    bed.router_is_deaf = true;
    bed.command(Command::Abort { release }).unwrap();
    bed.pass(Span::from_secs(3_600));
    let stopped = bed.records.iter().any(|record| matches!(record.event, Event::Stopped { slot: Slot::Green }));
    assert!(!stopped, "the split is still in force");
    assert!(
        bed.instances_mut().iter().any(|seen| seen.slot == Slot::Green && matches!(seen.phase, Phase::Healthy { .. }))
    );
}
