//! Instances that are ill or silent: no traffic goes to them, and they are replaced.

use expect_test::expect;
use switchover_model::config::Drift;
use switchover_model::record::Event;
use switchover_model::release::{Command, Stage};
use switchover_model::seam::Phase;
use switchover_model::view::WayBack;
use switchover_model::{ReleaseId, RevisionId, Slot, Span, Timestamp};

use super::bed::{BACK, Bed, file, ill_since, sick};
use crate::view::way_back;

#[test]
fn a_rollback_that_leads_to_a_slot_with_one_ill_instance_is_at_once_and_has_it_replaced() {
    let mut bed = Bed::with_v2_baking(file());
    let ill = bed.instances_mut().iter_mut().find(|seen| seen.slot == Slot::Blue).unwrap();
    ill.phase = sick();
    let gone = ill.id.clone();
    bed.command(BACK).unwrap();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
    bed.pass(Span::from_secs(10));
    assert!(bed.instances_mut().iter().all(|seen| seen.id != gone));
}

#[test]
fn a_rollback_has_silent_instances_replaced_and_waits_for_that_unless_nothing_else_can_serve() {
    let silent = |bed: &mut Bed, slot, ago| {
        let since = earlier(bed.now, ago);
        let of_slot = bed.instances_mut().iter_mut().filter(|seen| seen.slot == slot);
        of_slot.for_each(|seen| seen.unanswered_since = Some(since));
    };
    let mut bed = Bed::with_v2_baking(file());
    silent(&mut bed, Slot::Blue, Span::from_secs(2));
    assert!(matches!(way_back(&bed.app, &bed.seen, bed.now), WayBack::Instant { .. }), "answers may take a while");
    silent(&mut bed, Slot::Blue, Span::from_millis(2_001));
    let WayBack::Start { why, .. } = way_back(&bed.app, &bed.seen, bed.now) else { panic!("it is not known") };
    expect![
        "r1 in blue is not healthy: each of 2 instances (i1, i2): asked for its health for 2.0 s, and no good answer."
    ]
    .assert_eq(&why);
    bed.boots_forever = true;
    bed.command(BACK).unwrap();
    assert!(!bed.story().contains("replaced"), "after a start of the daemon nobody has been asked yet");
    bed.pass(Span::from_secs(3));
    assert!(bed.story().contains("2: 2 ill in blue are replaced"));
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
    let now = bed.now;
    bed.make(Slot::Blue, &Phase::Healthy { since: now });
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));

    let mut bed = Bed::with_v2_baking(file());
    silent(&mut bed, Slot::Blue, Span::from_secs(3));
    bed.make(Slot::Green, &sick());
    bed.boots_forever = true;
    bed.pass(Span::from_millis(260));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))), "it may answer; the other one does not");
    assert!(!bed.story().contains("replaced"), "and it is left to answer");
    let left = bed.instances_mut().iter().filter(|seen| seen.slot == Slot::Blue && seen.unanswered_since.is_some());
    assert_eq!(left.count(), 2);
}

#[test]
fn a_rollback_leads_to_nobody_who_has_not_answered_since_it_was_asked_for() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(20));
    // They hung a moment ago: their last answers were good, and the next question is yet to come.
    bed.is_mute = true;
    bed.command(BACK).unwrap();
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
    let asked = bed.now;
    bed.pass(Span::from_millis(1_900));
    assert!(!bed.story().contains("replaced"), "an answer may take so long");
    let of_old_slot = |event: &Event| matches!(event, Event::Waiting { reason, .. } if reason == crate::wait::OLD_SLOT);
    assert!(!bed.records.iter().any(|record| of_old_slot(&record.event)), "nor is that a wait to tell of");
    bed.instances_mut().iter_mut().for_each(|seen| seen.unanswered_since = Some(asked));
    bed.pass(Span::from_secs(1));
    assert!(bed.story().contains("2: 2 ill in blue are replaced"));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))), "the new ones answer");

    // One of them answers: who asks gets what can serve.
    let mut bed = Bed::with_v2_baking(file());
    bed.is_mute = true;
    bed.command(BACK).unwrap();
    let since = bed.now;
    bed.instances_mut().iter_mut().find(|seen| seen.slot == Slot::Blue).unwrap().answered_since = Some(since);
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))), "the other one may be about to");
    bed.pass(Span::from_millis(260));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));

    // Nobody does, and green can not serve any more: they may answer yet.
    let mut bed = Bed::with_v2_baking(file());
    bed.is_mute = true;
    bed.make(Slot::Green, &sick());
    bed.pass(Span::from_millis(260));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn those_that_fall_ill_later_are_replaced_too_and_no_more_than_the_slot_has() {
    let mut bed = Bed::with_v2_baking(file());
    bed.boots_forever = true;
    let old: Vec<_> =
        bed.instances_mut().iter().filter(|seen| seen.slot == Slot::Blue).map(|seen| seen.id.clone()).collect();
    let make_ill = |bed: &mut Bed, id: &switchover_model::InstanceId| {
        bed.instances_mut().iter_mut().find(|seen| seen.id == *id).unwrap().phase = sick();
    };
    // Green is well, and it is no operator who asks: the old slot has to be whole.
    make_ill(&mut bed, &old[0]);
    let cause = Some(switchover_model::Problem::new("X", "it is bad.", ""));
    bed.note(Event::Undoing { release: ReleaseId(2), cause, detach: false });
    bed.run();
    make_ill(&mut bed, &old[1]);
    bed.run();
    bed.make(Slot::Blue, &sick());
    bed.run();
    let story = bed.story();
    assert_eq!(story.matches("2: 1 ill in blue are replaced").count(), 2, "{story}");
    assert_eq!(story.matches("are replaced").count(), 2, "{story}");
}

#[test]
fn a_new_slot_that_is_silent_does_not_get_the_traffic() {
    let mut file = file();
    file.release.approve = true;
    let mut bed = Bed::with_v1_live_approving(file);
    let release = bed.deploy("v2");
    let since = earlier(bed.now, Span::from_secs(3));
    bed.instances_mut().iter_mut().for_each(|seen| seen.unanswered_since = Some(since));
    bed.command(Command::Promote { release, stage: Stage::Approve, step: None, full: false }).unwrap();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
    bed.instances_mut().iter_mut().for_each(|seen| seen.unanswered_since = None);
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
}

#[test]
fn who_stays_ill_in_the_live_slot_or_the_warm_one_is_replaced_and_not_again_and_again() {
    for (drift, replaced) in [(Drift::Correct, true), (Drift::Report, false)] {
        let mut file = file();
        file.drift = drift;
        file.release.keep_warm = Span::from_secs(3600);
        let mut bed = Bed::with_v2_baking(file);
        bed.pass(Span::from_secs(120));
        assert!(bed.app.heading().is_some() && bed.outcome(ReleaseId(2)).is_some(), "the bake is over");
        for (slot, revision) in [(Slot::Green, "r2 in green"), (Slot::Blue, "r1 in blue")] {
            let phase = ill_since(bed.now);
            let one = bed.instances_mut().iter_mut().find(|seen| seen.slot == slot).unwrap();
            one.phase = phase;
            let ill = one.id.clone();
            bed.story();
            bed.pass(Span::from_secs(29));
            assert_eq!(bed.story(), "\n", "it may recover for as long as one may boot");
            bed.boots_forever = true;
            bed.pass(Span::from_secs(2));
            let told = if replaced { format!("1 ill in {slot} are replaced\n") } else { String::new() };
            let drifted = format!("drift: {revision}: ill for long: {ill}. (put right: {replaced})\n");
            assert_eq!(bed.story(), format!("{told}{drifted}"));
            assert_eq!(bed.instances_mut().iter().any(|seen| seen.id == ill), !replaced);
            if replaced {
                // The new one does no better.
                let now = bed.now;
                bed.make(slot, &ill_since(now));
                bed.pass(Span::from_secs(290));
                assert!(!bed.story().contains("replaced"));
                bed.pass(Span::from_secs(20));
                assert!(bed.story().contains("are replaced"));
                let now = bed.now;
                bed.make(slot, &Phase::Healthy { since: now });
            }
        }
    }
}

#[test]
fn a_deploy_of_what_is_live_and_ill_is_a_release_of_it() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(120));
    let phase = ill_since(bed.now);
    bed.instances_mut().iter_mut().find(|seen| seen.slot == Slot::Green).unwrap().phase = phase;
    bed.deploy("v2");
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(3))));
}

fn earlier(now: Timestamp, ago: Span) -> Timestamp {
    Timestamp::from_micros(now.as_micros() - ago.as_micros())
}

#[test]
fn a_daemon_that_begins_in_the_middle_of_a_way_back_asks_before_it_replaces_or_gives_up() {
    let mut bed = Bed::with_v2_baking(file());
    bed.is_mute = true;
    bed.command(BACK).unwrap();
    // Away for longer than the whole way back may take; whoever is back has asked nobody.
    let now = bed.now + Span::from_secs(600);
    bed.set_now(now);
    bed.seen.platform.as_mut().unwrap().since = now;
    bed.run();
    bed.pass(Span::from_millis(1_900));
    assert_eq!(bed.story(), "rollback asked for\n2: undoing, asked for\n");
    bed.is_mute = false;
    bed.make(Slot::Blue, &Phase::Healthy { since: Timestamp::from_micros(1) });
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
    assert!(!bed.story().contains("replaced"));
}

#[test]
fn of_a_process_type_that_is_ill_as_a_whole_one_is_replaced_at_a_time() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(120));
    let phase = ill_since(bed.now);
    bed.make(Slot::Green, &phase);
    bed.boots_forever = true;
    bed.pass(Span::from_secs(31));
    assert!(bed.story().contains("1 ill in green are replaced"), "the cause may lie elsewhere");
}

#[test]
fn a_deploy_that_only_scales_what_is_live_is_no_release_of_it() {
    let mut bed = Bed::with_v2_baking(file());
    bed.pass(Span::from_secs(120));
    bed.boots_forever = true;
    bed.file.processes.values_mut().for_each(|process| process.instances += 1);
    bed.deploy("v2");
    assert!(bed.story().contains("ALREADY-LIVE"), "one more boots, and nobody is ill");
}

#[test]
fn after_a_way_back_that_failed_a_rollback_goes_there_as_soon_as_it_can() {
    let mut bed = Bed::with_v2_baking(file());
    bed.boots_forever = true;
    bed.make(Slot::Blue, &sick());
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(120));
    assert!(bed.story().contains("failed, NO-HEALTHY-WAY-BACK"));
    let now = bed.now;
    bed.make(Slot::Blue, &Phase::Healthy { since: now });
    bed.run();
    let WayBack::Start { to, why, .. } = way_back(&bed.app, &bed.seen, bed.now) else { panic!("there is one") };
    assert_eq!((to, why.as_str()), (RevisionId(1), "by a release that finds it running in blue"));
    bed.command(BACK).unwrap();
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn a_way_back_whose_slot_was_given_up_leaves_the_traffic_where_it_is() {
    let mut bed = Bed::with_v2_baking(file());
    bed.boots_forever = true;
    bed.make(Slot::Blue, &sick());
    bed.command(BACK).unwrap();
    bed.note(Event::Stopped { slot: Slot::Blue });
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
    assert!(bed.story().contains("failed, NO-HEALTHY-WAY-BACK"));
    bed.pass(Span::from_secs(600));
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
}
