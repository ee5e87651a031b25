//! What lasts: replay, snapshots, bounded memory, receipts that tile.

use proptest::prelude::*;
use switchover_model::release::{Command, Stage};
use switchover_model::seam::Evidence;
use switchover_model::view::StageState;
use switchover_model::{ReleaseId, RevisionId, Slot, Span};

use super::bed::{Bed, file, file_with_worker, sick};
use crate::{App, limits, receipt::receipt, view};

fn serve(bed: &mut Bed, requests: u64) {
    let served = bed.served().expect("somebody has the traffic").1;
    let ledger = bed.ledger();
    ledger.accepted += requests;
    ledger.by_revision.entry(served).or_default().answered[1] += requests;
}

#[test]
fn receipts_close_and_no_request_is_in_two_of_them() {
    let mut bed = Bed::new(file());
    let mut counted = 0;
    bed.deploy("v1");
    for content in ["v2", "v3", "v4"] {
        serve(&mut bed, 10);
        bed.deploy(content);
        serve(&mut bed, 100);
        bed.command(Command::Rollback { to: None, release: None, detach: false }).unwrap();
        serve(&mut bed, 1_000);
    }
    bed.pass(Span::from_secs(7_200));
    serve(&mut bed, 7);
    let now = bed.now;
    let ledger = bed.ledger().clone();
    for release in view::history(&bed.app) {
        let receipt = receipt(&bed.app, release.release, Some(&ledger), now, Evidence::EveryRequest).unwrap();
        assert!(receipt.balanced && receipt.closed, "{receipt:?}");
        assert_eq!(receipt.lost, 0);
        counted += receipt.accepted;
        if release.release > ReleaseId(1) {
            assert_eq!(receipt.switches.len(), 2);
            assert!(receipt.switches.iter().all(|switch| switch.decision_to_flip.is_some() && switch.drain.is_some()));
        }
    }
    assert!(counted <= ledger.accepted, "{counted} of {}", ledger.accepted);
    assert_eq!(counted, 10 + 3 * 100, "what came while a release was on, none of it twice");
}

#[test]
fn a_reading_is_as_large_as_what_is_kept_and_every_receipt_closes_all_the_same() {
    let mut file = file();
    file.release.keep_revisions = 2;
    let mut bed = Bed::new(file);
    for number in 1..=40 {
        bed.deploy(&format!("v{number}"));
        serve(&mut bed, 10);
        if number % 3 == 0 {
            bed.command(Command::Rollback { to: None, release: None, detach: false }).unwrap();
            serve(&mut bed, 100);
        }
        if number % 4 == 0 {
            bed.pass(Span::from_secs(7_200));
            serve(&mut bed, 1_000);
        }
    }
    let (now, ledger) = (bed.now, bed.ledger().clone());
    assert_eq!(ledger.by_revision.len(), 40);
    for release in bed.app.all_releases() {
        let readings = [&release.opened_ledger, &release.switched_ledger, &release.settled_ledger];
        for reading in readings.into_iter().flatten() {
            assert!(reading.by_revision.len() <= 8, "{}: {:?}", release.id, reading.by_revision.keys());
        }
        let receipt = receipt(&bed.app, release.id, Some(&ledger), now, Evidence::EveryRequest).unwrap();
        assert!(receipt.balanced, "{receipt:?}");
        let between: u64 = receipt.since_last.by_revision.values().flat_map(|counted| counted.answered).sum();
        assert_eq!(between, receipt.accepted_since_last, "{receipt:?}");
    }
}

#[test]
fn what_came_after_the_way_back_is_not_told_of_the_switch_before_it() {
    for (moved_back_first, last_on_old) in [(false, true), (true, false)] {
        let mut bed = Bed::with_v2_baking(file());
        let release = bed.app.moving().expect("v2 bakes").id;
        let at = if moved_back_first { bed.now + Span::from_secs(10) } else { bed.now };
        bed.pass(Span::from_secs(1));
        serve(&mut bed, 1);
        bed.ledger().by_revision.entry(RevisionId(1)).or_default().last_request = Some(at);
        bed.ledger().by_revision.entry(RevisionId(2)).or_default().first_request = Some(at);
        bed.command(Command::Rollback { to: None, release: None, detach: false }).unwrap();
        let (now, ledger) = (bed.now, bed.ledger().clone());
        let told = receipt(&bed.app, release, Some(&ledger), now, Evidence::EveryRequest).unwrap();
        assert_eq!(told.switches.len(), 2);
        assert_eq!(told.switches[0].last_on_old.is_some(), last_on_old, "{told:?}");
        assert_eq!(told.switches[0].first_on_new.is_some(), last_on_old, "{told:?}");
    }
}

#[test]
fn a_bake_that_its_operator_ends_is_undone_and_one_that_fails_has_failed() {
    let state_of_bake = |bed: &Bed| {
        let stages = view::history(&bed.app).pop().expect("a release").stages;
        stages.into_iter().find(|stage| stage.stage == Stage::Bake).map(|stage| stage.state)
    };
    let mut bed = Bed::with_v2_baking(file());
    bed.command(Command::Rollback { to: None, release: None, detach: false }).unwrap();
    assert_eq!(state_of_bake(&bed), Some(StageState::Undone));
    let mut bed = Bed::with_v2_baking(file());
    let live = bed.served().expect("v2 is live").0;
    bed.make(live, &sick());
    bed.run();
    bed.pass(Span::from_secs(60));
    assert_eq!(state_of_bake(&bed), Some(StageState::Failed));
}

#[test]
fn a_release_opened_while_the_traffic_could_not_be_asked_takes_no_request_of_another() {
    let mut bed = Bed::with_v1_live(file());
    bed.attempts_hang = true;
    for content in ["v2", "v3", "v4"] {
        serve(&mut bed, 10);
        let traffic = (content == "v3").then(|| bed.seen.traffic.take()).flatten();
        bed.deploy(content);
        if traffic.is_some() {
            bed.seen.traffic = traffic;
        }
        bed.now = bed.now + Span::from_secs(1);
    }
    serve(&mut bed, 10);
    bed.attempts_hang = false;
    bed.pass(Span::from_secs(7_200));
    let now = bed.now;
    let ledger = bed.ledger().clone();
    let receipts = view::history(&bed.app).into_iter().map(|release| {
        receipt(&bed.app, release.release, Some(&ledger), now, Evidence::EveryRequest).expect("a receipt")
    });
    let receipts: Vec<_> = receipts.collect();
    for pair in receipts.windows(2) {
        assert!(pair[0].from <= pair[0].to && pair[0].to <= pair[1].from, "{receipts:#?}");
    }
    assert!(receipts.iter().all(|receipt| receipt.balanced), "{receipts:#?}");
    assert_eq!(receipts.iter().map(|receipt| receipt.accepted).collect::<Vec<_>>(), [0, 20, 0, 10], "{receipts:#?}");
}

#[test]
fn a_receipt_that_does_not_add_up_says_so() {
    let mut bed = Bed::new(file());
    bed.deploy("v1");
    bed.ledger().accepted += 1;
    let ledger = bed.ledger().clone();
    let receipt = receipt(&bed.app, ReleaseId(1), Some(&ledger), bed.now, Evidence::EveryRequest).unwrap();
    assert!(!receipt.balanced);
    assert!(!receipt.closed);
}

#[test]
fn memory_is_bounded() {
    let mut bed = Bed::new(file());
    for number in 0..=limits::ARCHIVED_RELEASES + 5 {
        let mut release = bed.app.archive.last().cloned().unwrap_or_else(|| {
            let mut first = Bed::new(file());
            first.deploy("v1");
            first.app.releases.remove(0)
        });
        release.id = ReleaseId(u32::try_from(number).unwrap());
        bed.app.releases.push(release.clone());
        let event = switchover_model::record::Event::Settled { release: release.id, ledger: None };
        let sequence = bed.app.sequence + 1;
        let actor = switchover_model::record::Actor::Controller;
        bed.app.apply(&switchover_model::record::Record { sequence, at: bed.now, actor, event });
    }
    assert_eq!(bed.app.archive.len(), limits::ARCHIVED_RELEASES);
}

#[test]
fn a_status_tells_what_is_going_on() {
    let mut bed = Bed::with_v2_baking(file());
    let status = view::status(&bed.app, &bed.seen, bed.now);
    assert_eq!(status.live, Some(Slot::Green));
    assert_eq!(status.slots[&Slot::Blue].revision, Some(RevisionId(1)));
    assert_eq!(status.slots[&Slot::Green].share.unwrap().basis_points(), 10_000);
    assert_eq!(status.releases[0].stages.last().unwrap().stage, Stage::Bake);
    assert!(status.problems.is_empty() && status.unknown.is_empty());
    bed.seen.traffic = None;
    bed.make(Slot::Blue, &sick());
    let status = view::status(&bed.app, &bed.seen, bed.now);
    assert_eq!(status.unknown, ["traffic"]);
    assert_eq!(status.problems.len(), 2);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Deploy(u8),
    Rollback,
    RollbackTo(u32),
    Abort,
    Pause,
    Resume,
    Sicken(Slot),
    Heal(Slot),
    Deafen(bool),
    Hang(bool),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let slot = prop_oneof![Just(Slot::Blue), Just(Slot::Green)];
    let step = prop_oneof![
        3 => (0..4_u8).prop_map(Step::Deploy),
        2 => Just(Step::Rollback),
        1 => (1..6_u32).prop_map(Step::RollbackTo),
        1 => Just(Step::Abort),
        1 => Just(Step::Pause),
        1 => Just(Step::Resume),
        1 => slot.clone().prop_map(Step::Sicken),
        2 => slot.prop_map(Step::Heal),
        1 => any::<bool>().prop_map(Step::Deafen),
        1 => any::<bool>().prop_map(Step::Hang),
        3 => (0..700_u64).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..25)
}

fn take(bed: &mut Bed, step: Step) {
    let current = bed.app.releases.last().map_or(ReleaseId(1), |release| release.id);
    let command = match step {
        Step::Deploy(content) => {
            bed.content = format!("v{content}");
            bed.deploy_command(content % 2 == 0)
        }
        Step::Rollback => Command::Rollback { to: None, release: None, detach: false },
        Step::RollbackTo(id) => Command::Rollback { to: Some(RevisionId(id)), release: None, detach: false },
        Step::Abort => Command::Abort { release: current },
        Step::Pause => Command::Pause { release: current },
        Step::Resume => Command::Resume { release: current },
        Step::Sicken(slot) => return bed.make(slot, &sick()),
        Step::Heal(slot) => {
            let since = bed.now;
            return bed.make(slot, &switchover_model::seam::Phase::Healthy { since });
        }
        Step::Deafen(deaf) => return bed.router_is_deaf = deaf,
        Step::Hang(hang) => return bed.attempts_hang = hang,
        Step::Pass(seconds) => return bed.pass(Span::from_secs(seconds)),
    };
    // A refusal is an answer too.
    let _refused = bed.command(command).is_err();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// The bed itself checks after each append that the journal replays to the same app, and before each action that
    /// the same values give the same decision.
    #[test]
    fn whatever_happens_every_release_ends_and_the_snapshot_is_the_fold(steps in steps(), lease in any::<bool>()) {
        use switchover_model::config::Handover;
        let mut bed = Bed::new(file_with_worker(if lease { Handover::Lease } else { Handover::StopFirst }));
        for step in steps {
            take(&mut bed, step);
            bed.run();
        }
        let snapshot = serde_json::to_string(&bed.app).unwrap();
        prop_assert_eq!(&serde_json::from_str::<App>(&snapshot).unwrap(), &bed.app);
        bed.router_is_deaf = false;
        bed.attempts_hang = false;
        bed.pass(Span::from_secs(9 * 24 * 3_600));
        prop_assert!(bed.app.releases.is_empty(), "{:?}", bed.app.releases);
        prop_assert_eq!(bed.last.wake, None);
        let live = bed.app.heading().map(|arm| (arm.slot, arm.revision));
        prop_assert_eq!(bed.served(), live);
    }
}

#[test]
fn what_a_drain_cut_after_the_next_release_was_opened_is_told_with_its_switch() {
    let mut bed = Bed::with_v2_baking(file());
    bed.seen.traffic.as_mut().unwrap().upgrades.insert(RevisionId(2), 20);
    bed.command(Command::Rollback { to: None, release: None, detach: false }).unwrap();
    bed.attempts_hang = true;
    bed.deploy("v3");
    bed.ledger().by_revision.entry(RevisionId(2)).or_default().upgrades_cut = 19;
    bed.seen.traffic.as_mut().unwrap().upgrades.insert(RevisionId(2), 1);
    bed.pass(Span::from_secs(40));
    let receipt = receipt(&bed.app, ReleaseId(2), None, bed.now, Evidence::EveryRequest).unwrap();
    let back = receipt.switches.last().unwrap();
    assert_eq!((back.upgrades_cut, back.left), (19, 1));
}
