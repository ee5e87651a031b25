//! Workers move with the switch, both ways.

use switchover_model::config::Handover;
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::seam::{Phase, Role};
use switchover_model::{ReleaseId, Slot, Span};

use super::bed::{Bed, file_with_worker, sick};

/// Workers as seen: for each slot, the working and healthy ones, and all.
fn workers(bed: &mut Bed) -> [(usize, usize); 2] {
    Slot::BOTH.map(|slot| {
        let of = bed.instances_mut().iter().filter(|seen| seen.slot == slot && seen.process.as_str() == "mailer");
        let all = of.clone().count();
        let working = of.filter(|seen| seen.role == Role::Active && matches!(seen.phase, Phase::Healthy { .. }));
        (working.count(), all)
    })
}

fn finish_stops(bed: &mut Bed) {
    bed.instances_mut().retain(|seen| !matches!(seen.phase, Phase::Stopping { .. }));
    bed.run();
}

#[test]
fn a_stop_first_worker_starts_when_the_old_one_is_gone_both_ways() {
    let mut bed = Bed::with_v1_live(file_with_worker(Handover::StopFirst));
    assert_eq!(workers(&mut bed), [(1, 1), (0, 0)]);
    bed.stops_slowly = true;
    bed.deploy("v2");
    assert_eq!(workers(&mut bed), [(0, 1), (0, 0)], "the old one finishes, the new one waits");
    assert_eq!(bed.stage(), Some(Stage::Shift));
    finish_stops(&mut bed);
    assert_eq!(workers(&mut bed), [(0, 0), (1, 1)]);
    assert_eq!(bed.stage(), Some(Stage::Bake));
    bed.command(Command::Rollback { to: None, release: None, detach: false }).unwrap();
    assert_eq!(workers(&mut bed), [(0, 0), (0, 1)]);
    finish_stops(&mut bed);
    assert_eq!(workers(&mut bed)[0], (1, 1));
}

#[test]
fn a_start_first_worker_stops_when_the_new_one_works() {
    let mut bed = Bed::with_v1_live(file_with_worker(Handover::StartFirst));
    bed.boots_forever = true;
    bed.deploy("v2");
    let now = bed.now;
    bed.make(Slot::Green, &Phase::Healthy { since: now });
    bed.run();
    assert_eq!(workers(&mut bed), [(1, 1), (0, 1)], "the new one boots, the old one works");
    let now = bed.now;
    bed.make(Slot::Green, &Phase::Healthy { since: now });
    bed.run();
    assert_eq!(workers(&mut bed), [(0, 0), (1, 1)]);
    assert_eq!(bed.stage(), Some(Stage::Bake));
}

#[test]
fn a_worker_that_ends_again_and_again_undoes_the_shift_at_once() {
    let mut bed = Bed::with_v1_live(file_with_worker(Handover::StopFirst));
    bed.stops_slowly = true;
    bed.deploy("v2");
    bed.stops_slowly = false;
    bed.boots_forever = true;
    finish_stops(&mut bed);
    assert_eq!(bed.stage(), Some(Stage::Shift), "the new worker boots");
    let mailer =
        bed.instances_mut().iter_mut().find(|seen| seen.slot == Slot::Green && seen.process.as_str() == "mailer");
    let mailer = mailer.unwrap();
    mailer.restarts = 3;
    let Phase::Unhealthy { since, cause } = sick() else { panic!("sick is unhealthy") };
    mailer.phase = Phase::Crashed { cause, retry_at: since };
    bed.boots_forever = false;
    bed.run();
    let cause = bed.app.any_release(ReleaseId(2)).unwrap().undoing.as_ref().unwrap().cause.clone().unwrap();
    assert_eq!(cause.code, "INSTANCE-EXITED");
}

#[test]
fn a_draining_worker_may_finish_after_the_switch() {
    let mut bed = Bed::with_v1_live(file_with_worker(Handover::Drain));
    bed.stops_slowly = true;
    bed.deploy("v2");
    assert_eq!(workers(&mut bed), [(0, 1), (1, 1)]);
    assert_eq!(bed.stage(), Some(Stage::Bake));
}

#[test]
fn a_lease_is_given_when_the_old_worker_let_go_of_it() {
    let mut bed = Bed::with_v1_live(file_with_worker(Handover::Lease));
    bed.deploy("v2");
    assert_eq!(workers(&mut bed), [(0, 1), (1, 1)], "the old one stands by");
    bed.command(Command::Rollback { to: None, release: None, detach: false }).unwrap();
    assert_eq!(workers(&mut bed)[0], (1, 1));
}

#[test]
fn a_worker_whose_handover_was_or_becomes_a_lease_moves_both_ways() {
    use Handover::{Drain, Lease, StartFirst, StopFirst};
    let changes = [StopFirst, StartFirst, Drain].map(|other| [(Lease, other), (other, Lease)]);
    for (before, after) in changes.into_iter().flatten() {
        let mut bed = Bed::with_v1_live(file_with_worker(before));
        bed.file = file_with_worker(after);
        bed.deploy("v2");
        let [(old, _), new] = workers(&mut bed);
        assert_eq!((old, new, bed.stage()), (0, (1, 1), Some(Stage::Bake)), "{before:?} to {after:?}");
        bed.command(Command::Rollback { to: None, release: None, detach: false }).unwrap();
        let [old, (new, _)] = workers(&mut bed);
        assert_eq!((old, new), ((1, 1), 0), "{after:?} back to {before:?}");
    }
}

#[test]
fn a_worker_that_never_works_takes_the_traffic_back_with_it() {
    let mut bed = Bed::with_v1_live(file_with_worker(Handover::StopFirst));
    bed.boots_forever = true;
    bed.deploy("v2");
    let now = bed.now;
    bed.make(Slot::Green, &Phase::Healthy { since: now });
    bed.run();
    assert_eq!(workers(&mut bed), [(0, 0), (0, 1)]);
    bed.boots_forever = false;
    bed.pass(Span::from_secs(200));
    let story = bed.story();
    assert!(story.contains("2: undoing, WORKERS-NOT-HANDED-OVER"), "{story}");
    assert!(story.contains("2: workers to blue"), "{story}");
    assert_eq!(workers(&mut bed), [(1, 1), (0, 0)]);
    assert_eq!(bed.served().map(|(slot, _)| slot), Some(Slot::Blue));
    assert!(bed.app.any_release(ReleaseId(2)).unwrap().settled_at.is_some());
}

#[test]
fn workers_stay_with_the_traffic_when_a_rollback_in_mid_shift_finds_no_healthy_way_back() {
    let mut bed = Bed::with_v1_live(file_with_worker(Handover::StopFirst));
    bed.router_is_deaf = true;
    bed.deploy("v2");
    assert_eq!(bed.stage(), Some(Stage::Shift));
    bed.boots_forever = true;
    bed.make(Slot::Blue, &sick());
    bed.command(Command::Rollback { to: None, release: None, detach: false }).unwrap();
    bed.pass(Span::from_secs(120));
    assert!(matches!(bed.outcome(ReleaseId(2)), Some(Outcome::Failed { .. })));
    assert!(bed.story().contains("2: workers to green"), "the traffic is led there, so the work is done there");
}
