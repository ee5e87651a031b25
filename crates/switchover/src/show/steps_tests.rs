//! How the steps of a shift are shown.

use expect_test::{Expect, expect};
use switchover_model::release::{ReleaseKind, Stage};
use switchover_model::sizes::Batch;
use switchover_model::view::{ReleaseView, StageState, StageView, StepView};
use switchover_model::{ReleaseId, RevisionId, Slot, Span, Timestamp};

use super::{history, steps};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000) + Span::from_secs(seconds)
}

fn in_the_second_step() -> ReleaseView {
    let step = |number: u32, share: &str| StepView {
        batch: None,
        step: number,
        share: share.parse().unwrap(),
        decided_at: None,
        in_force_at: None,
        until: None,
        approve: false,
        left_at: None,
    };
    let first = StepView { decided_at: Some(at(0)), in_force_at: Some(at(1)), left_at: Some(at(601)), ..step(1, "5%") };
    let until = Some(at(1_202));
    let second =
        StepView { decided_at: Some(at(601)), in_force_at: Some(at(602)), until, approve: true, ..step(2, "20%") };
    ReleaseView {
        release: ReleaseId(7),
        kind: ReleaseKind::Deploy,
        revision: RevisionId(5),
        from: Some(RevisionId(4)),
        slot: Some(Slot::Green),
        by: "ann".into(),
        opened_at: at(0),
        stages: vec![StageView {
            stage: Stage::Shift,
            entered_at: at(0),
            left_at: None,
            state: StageState::Running,
            note: None,
        }],
        hooks: Vec::new(),
        checks: None,
        judged: Vec::new(),
        shadow: None,
        steps: vec![first, second, step(3, "50%")],
        waiting: Some("the end of its time at this share".into()),
        at_gate: false,
        waits_for_window: false,
        opens_at: None,
        paused: false,
        undoing: false,
        switched_at: None,
        outcome: None,
        settled_at: None,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "expect! makes a value")]
fn check(release: &ReleaseView, now: Timestamp, expected: Expect) {
    expected.assert_eq(&steps::line(release, now).unwrap_or_default());
}

#[test]
fn the_steps_tell_what_was_is_and_will_be() {
    let release = in_the_second_step();
    check(
        &release,
        at(732),
        expect!["steps: 5% done in 10m 0s; 20% for 2m 10s, 7m 50s to go, then a person; 50%; all"],
    );
    let said = steps::waited_for(&release);
    assert_eq!(said.as_deref(), Some("10m 0s at least, then a person, then 50%"));
    for (waiting, undoing) in
        [("the old slot to be healthy, to go back to it", true), ("the verdicts of its checks", false)]
    {
        let other = ReleaseView { waiting: Some(waiting.into()), undoing, ..release.clone() };
        assert_eq!(steps::waited_for(&other), None, "{waiting}");
    }
    let mut held = release.clone();
    held.paused = true;
    held.steps[1].until = None;
    check(&held, at(732), expect!["steps: 5% done in 10m 0s; 20% for 2m 10s, held, then a person; 50%; all"]);
    let table = history::table(&[release], None, at(732), &jiff::tz::TimeZone::UTC).join("\n");
    assert!(table.contains("in shift, step 2 of 3 at 20%"), "{table}");
}

#[test]
fn a_release_that_went_back_shows_the_steps_that_it_took() {
    let mut undone = in_the_second_step();
    undone.undoing = true;
    undone.steps.truncate(2);
    undone.steps[1].until = None;
    undone.steps[1].left_at = Some(at(700));
    check(&undone, at(732), expect!["steps: 5% done in 10m 0s; 20% done in 1m 38s"]);
}

#[test]
fn a_batch_shows_the_instances_of_both_slots() {
    let mut rolling = in_the_second_step();
    rolling.steps[0].batch = Some(Batch { new: 1, old: 3 });
    rolling.steps[1].batch = Some(Batch { new: 2, old: 2 });
    check(
        &rolling,
        at(732),
        expect![
            "steps: 5% (1 new, 3 old) done in 10m 0s; 20% (until 2 new, 2 old) for 2m 10s, 7m 50s to go, then a person; 50%; all"
        ],
    );
}

#[test]
fn one_that_a_match_alone_leads_to_is_no_share_of_nothing() {
    let mut by_match = in_the_second_step();
    by_match.steps.truncate(1);
    by_match.steps[0] = StepView { share: switchover_model::Share::NONE, left_at: None, ..by_match.steps[0].clone() };
    check(&by_match, at(10), expect!["steps: by match for 9.0 s; all"]);
    let table = history::table(&[by_match], None, at(10), &jiff::tz::TimeZone::UTC).join("\n");
    assert!(table.contains("in shift, step 1 of 1 by match"), "{table}");
}
