//! The way back of a release that rolls: the same batches backwards, within the same capacity.

use expect_test::expect;
use switchover_model::release::{Outcome, Stage};
use switchover_model::seam::Phase;
use switchover_model::view::WayBack;
use switchover_model::{RevisionId, Slot, Span};

use super::bed::{BACK, Bed, sick};
use super::rolling::bed;
use crate::view;

#[test]
fn a_rollback_goes_back_by_the_same_batches() {
    let mut bed = bed();
    let release = bed.rolls();
    bed.pass(Span::from_secs(130));
    assert_eq!(bed.split(), "75%: 3 green, 2 blue");
    let WayBack::Start { to, why, .. } = view::way_back(&bed.app, &bed.seen, bed.now) else {
        panic!("it takes a while")
    };
    assert_eq!(to, RevisionId(1));
    expect![
        "a rolling release has left it 2 of 4 of its instances; each batch takes a boot and a drain of at most 34s"
    ]
    .assert_eq(&why);
    bed.log.clear();
    bed.command(BACK).unwrap();
    expect![[r#"
        rollback asked for
        2: undoing, asked for
        routes 5: [50% to r2 in green, 50% to r1 in blue]
        routes 5 in force
        2: blue has 2 of 4
        2: blue has 2 of 4 and a batch
        routes 6: [25% to r2 in green, 75% to r1 in blue]
        routes 6 in force
        2: blue has 3 of 4
        2: blue has 3 of 4 and a batch
        routes 7: [r1 in blue]
        routes 7 in force
        green drained, 0 left
        2: blue has all
        2: rolled back, asked for
        green told to stop
        green empty
        2: settled
    "#]]
    .assert_eq(&bed.story());
    bed.pass(Span::from_secs(60));
    assert_eq!(bed.story().trim(), "", "that is all");
    assert_eq!(bed.outcome(release), Some(Outcome::RolledBack { cause: None }));
    assert_eq!(bed.split(), "0%: 0 green, 4 blue");
}

#[test]
fn a_rollback_in_the_first_batch_is_one_switch() {
    let mut bed = bed();
    bed.rolls();
    let way = view::way_back(&bed.app, &bed.seen, bed.now);
    assert!(matches!(way, WayBack::Instant { to: RevisionId(1), .. }), "{way:?}");
    bed.command(BACK).unwrap();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_rollback_in_the_bake_starts_the_old_revision_by_batches() {
    let mut bed = bed();
    let release = bed.rolls();
    bed.pass(Span::from_secs(215));
    assert_eq!(bed.stage(), Some(Stage::Bake));
    assert_eq!(bed.split(), "100%: 4 green, 0 blue");
    let WayBack::Start { to, why, .. } = view::way_back(&bed.app, &bed.seen, bed.now) else {
        panic!("it has to be started")
    };
    assert_eq!(to, RevisionId(1));
    expect!["a rolling release leaves no instance of it; each batch takes a boot and a drain of at most 34s"]
        .assert_eq(&why);
    bed.boots_forever = true;
    bed.command(BACK).unwrap();
    assert_eq!(bed.split(), "100%: 4 green, 1 blue");
    bed.boots_forever = false;
    bed.make(Slot::Blue, &Phase::Healthy { since: bed.now });
    bed.pass(Span::from_secs(60));
    assert_eq!(bed.outcome(release), Some(Outcome::RolledBack { cause: None }));
    assert_eq!(bed.split(), "0%: 0 green, 4 blue");
    let switches = &bed.app.archive.last().unwrap().switches;
    assert_eq!(switches.iter().map(|switch| switch.back).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn while_it_goes_back_by_batches_the_status_says_how_far_it_is() {
    let mut bed = bed();
    bed.rolls();
    bed.pass(Span::from_secs(130));
    assert_eq!(bed.split(), "75%: 3 green, 2 blue");
    bed.boots_forever = true;
    bed.command(BACK).unwrap();
    let told = |bed: &Bed| match view::way_back(&bed.app, &bed.seen, bed.now) {
        WayBack::None { why } => why,
        other @ (WayBack::Start { .. } | WayBack::Instant { .. } | WayBack::Abort { .. }) => panic!("{other:?}"),
    };
    expect!["release 2 goes back to r1 already, by batches: r2 has 50% of the requests still, 2 batches are to come"]
        .assert_eq(&told(&bed));
    bed.boots_forever = false;
    bed.stops_slowly = true;
    bed.make(Slot::Blue, &Phase::Healthy { since: bed.now });
    bed.run();
    expect!["release 2 goes back to r1 already, by batches: r2 has 25% of the requests still, 1 batch is to come"]
        .assert_eq(&told(&bed));
}

#[test]
fn a_slot_that_gets_a_share_again_drains_no_more_and_has_left_nobody() {
    let mut bed = bed();
    let release = bed.rolls();
    bed.pass(Span::from_secs(170));
    bed.seen.traffic.as_mut().unwrap().in_flight.insert(RevisionId(1), 3);
    bed.pass(Span::from_secs(20));
    assert_eq!((bed.stage(), bed.app.draining.is_some()), (Some(Stage::Bake), true), "{}", bed.split());
    bed.boots_forever = true;
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(36));
    assert_eq!(bed.split(), "75%: 3 green, 2 blue");
    let switches = &bed.app.any_release(release).unwrap().switches;
    assert_eq!((switches[0].left, switches[0].drained_at), (0, None), "{}", bed.story());
}

#[test]
fn a_way_back_to_what_boots_no_more_ends_where_most_of_the_instances_are_and_a_person_is_asked() {
    let mut bed = bed();
    let release = bed.rolls();
    bed.pass(Span::from_secs(130));
    assert_eq!(bed.split(), "75%: 3 green, 2 blue");
    bed.boots_forever = true;
    bed.command(BACK).unwrap();
    assert!(bed.split().starts_with("50%"), "what the old slot still has: {}", bed.split());
    bed.pass(Span::from_secs(3_600));
    let outcome = bed.outcome(release);
    assert!(
        matches!(&outcome, Some(Outcome::Failed { cause }) if cause.code == "NO-HEALTHY-WAY-BACK"),
        "nothing more was led to what does not come up: {outcome:?}"
    );
    // Two are healthy on each side, and the old one can not be made whole.
    assert!(bed.split().starts_with("100%"), "{}", bed.split());
}

#[test]
fn who_hangs_in_the_old_slot_is_gone_before_its_heir_comes_where_the_surge_leaves_no_room_for_both() {
    let mut bed = bed();
    let release = bed.rolls();
    bed.pass(Span::from_secs(130));
    assert_eq!(bed.split(), "75%: 3 green, 2 blue");
    bed.stops_slowly = true;
    bed.make(Slot::Blue, &sick());
    bed.command(BACK).unwrap();
    assert_eq!(bed.split(), "75%: 3 green, 0(2) blue", "five at any time");
    bed.pass(Span::from_secs(20));
    assert_eq!(bed.split(), "75%: 3 green, 0(2) blue");
    bed.those_who_leave_go();
    bed.stops_slowly = false;
    bed.pass(Span::from_secs(60));
    assert_eq!(bed.split(), "0%: 0 green, 4 blue");
    assert_eq!(bed.outcome(release), Some(Outcome::RolledBack { cause: None }));
}

#[test]
fn an_heir_of_who_does_not_leave_comes_after_all_the_time_to_leave() {
    let mut bed = bed();
    let release = bed.rolls();
    bed.pass(Span::from_secs(130));
    bed.stops_slowly = true;
    bed.make(Slot::Blue, &sick());
    bed.command(BACK).unwrap();
    // 34 s for its requests, 35 s for itself.
    bed.pass(Span::from_secs(68));
    assert_eq!(bed.split(), "75%: 3 green, 0(2) blue");
    bed.pass(Span::from_secs(10));
    assert!(bed.split().ends_with("2(2) blue"), "{}", bed.split());
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.outcome(release), Some(Outcome::RolledBack { cause: None }), "{}", bed.split());
}

#[test]
fn a_new_slot_that_answers_nothing_is_left_at_once_and_the_old_one_is_made_whole() {
    let mut bed = bed();
    let release = bed.rolls();
    bed.pass(Span::from_secs(130));
    assert_eq!(bed.split(), "75%: 3 green, 2 blue");
    bed.stops_slowly = true;
    bed.make(Slot::Green, &sick());
    bed.run();
    assert_eq!(bed.split(), "0%: 0(3) green, 2 blue", "all traffic goes to what there is");
    bed.those_who_leave_go();
    bed.pass(Span::from_secs(60));
    assert_eq!(bed.split(), "0%: 0 green, 4 blue");
    assert!(matches!(bed.outcome(release), Some(Outcome::RolledBack { cause: Some(_) })));
}

#[test]
fn a_revision_that_dies_in_the_bake_goes_back_though_nobody_is_left_of_the_old_one() {
    let mut bed = bed();
    let release = bed.rolls();
    bed.pass(Span::from_secs(215));
    bed.make(Slot::Green, &sick());
    bed.pass(Span::from_secs(120));
    let outcome = bed.outcome(release);
    assert!(
        matches!(&outcome, Some(Outcome::RolledBack { cause: Some(cause) }) if cause.code == "HEALTH-LOST"),
        "{outcome:?}"
    );
    assert_eq!(bed.split(), "0%: 0 green, 4 blue");
}
