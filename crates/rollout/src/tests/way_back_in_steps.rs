//! The way back out of a step: an old slot that does not answer, or ends again and again, is not given all the traffic.

use switchover_model::config::{Canary, Step, Strategy};
use switchover_model::release::Outcome;
use switchover_model::seam::Phase;
use switchover_model::{ReleaseId, RevisionId, Share, Slot, Span};

use super::bed::{BACK, Bed, file, ill_since};
use crate::limits;

const OLD: Option<(Slot, RevisionId)> = Some((Slot::Blue, RevisionId(1)));

/// Release 2 in its step of a half.
fn in_a_step() -> Bed {
    let mut bed = Bed::with_v1_live(file());
    let share = Share::from_basis_points(5_000).unwrap();
    let step = Step { share, stays: Span::from_secs(600), approve: false };
    bed.file.release.strategy = Strategy::Canary(Canary::Steps(vec![step]));
    bed.deploy("v2");
    bed
}

fn is_split(bed: &Bed) -> bool {
    bed.app.routes().is_some_and(|(_, goal)| crate::routes::is_split(goal))
}

#[test]
fn a_split_goes_back_when_its_old_slot_answers_and_not_before() {
    let mut bed = in_a_step();
    bed.is_mute = true;
    bed.command(BACK).unwrap();
    assert!(is_split(&bed), "nobody has answered");
    bed.is_mute = false;
    bed.pass(Span::from_secs(1));
    assert_eq!((bed.served(), is_split(&bed)), (OLD, false));
}

#[test]
fn an_old_slot_that_ends_again_and_again_is_not_gone_back_to_in_a_healthy_moment() {
    let mut bed = in_a_step();
    let now = bed.now;
    for seen in bed.instances_mut().iter_mut().filter(|seen| seen.slot == Slot::Blue) {
        seen.restarts = limits::CRASHES;
        seen.phase = Phase::Healthy { since: now };
    }
    bed.command(BACK).unwrap();
    assert!(is_split(&bed));
    bed.pass(limits::DIP);
    assert_eq!((bed.served(), is_split(&bed)), (OLD, false), "it has stayed");
}

#[test]
fn a_part_of_the_old_slot_is_not_given_everything_while_the_rest_is_started_again() {
    let mut bed = in_a_step();
    let now = bed.now;
    bed.boots_forever = true;
    let ill = ill_since(now);
    let first = bed.instances_mut().iter_mut().find(|seen| seen.slot == Slot::Blue);
    first.unwrap().phase = ill;
    bed.make_undone(ReleaseId(2));
    bed.pass(Span::from_secs(5));
    assert!(is_split(&bed), "one of two answers, the other one is replaced");
    bed.pass(Span::from_secs(120));
    // It can not be made whole: the known bad one does not stay for that.
    assert_eq!((bed.served(), is_split(&bed)), (OLD, false));
    assert!(matches!(bed.outcome(ReleaseId(2)), Some(Outcome::Failed { .. })));
}

impl Bed {
    /// Has the release undone as by a check that failed.
    fn make_undone(&mut self, release: ReleaseId) {
        let cause = switchover_model::Problem::new("CHECK-FAILED", "a check failed.", "Look.");
        self.note(switchover_model::record::Event::Undoing { release, cause: Some(cause), detach: false });
        self.run();
    }
}
