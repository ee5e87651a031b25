//! A release that rolls: batches within the capacity.

use expect_test::expect;
use switchover_model::config::{Handover, Rolling, Strategy, Surge};
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::seam::{Action, Phase};
use switchover_model::{Problem, ReleaseId, Share, Slot, Span, Timestamp};

use super::bed::{Bed, file, file_with_worker, sick};

/// `v1` live in blue with four instances, and a file whose releases roll by one.
pub(super) fn bed() -> Bed {
    with(file())
}

fn with(mut file: switchover_model::config::AppConfig) -> Bed {
    file.processes.values_mut().for_each(|process| process.instances = 4);
    let worker = "mailer".parse().unwrap();
    file.processes.entry(worker).and_modify(|process| process.instances = 1);
    let mut bed = Bed::with_v1_live(file);
    let rolling = Rolling { surge: Surge::Instances(1), every: Span::from_secs(60) };
    bed.file.release.strategy = Strategy::Rolling(rolling);
    bed.file.release.keep_warm = Span::ZERO;
    bed
}

impl Bed {
    /// The share of green in the world, and the instances of both slots, those that leave in brackets.
    pub(super) fn split(&self) -> String {
        let routes = self.seen.traffic.as_ref().and_then(|traffic| traffic.routes.as_ref()).unwrap();
        let green = routes.arms.iter().find(|arm| arm.slot == Slot::Green).map_or(Share::NONE, |arm| arm.share);
        let seen = &self.seen.platform.as_ref().unwrap().instances;
        let count = |slot, leaves| {
            let here = seen.iter().filter(|seen| seen.slot == slot && seen.address.is_some());
            here.filter(|seen| matches!(seen.phase, Phase::Stopping { .. }) == leaves).count()
        };
        let one = |slot| match (count(slot, false), count(slot, true)) {
            (stay, 0) => stay.to_string(),
            (stay, leave) => format!("{stay}({leave})"),
        };
        format!("{green}: {} green, {} blue", one(Slot::Green), one(Slot::Blue))
    }

    fn wait(&self) -> String {
        let waiting = self.app.releases.last().and_then(|release| release.waiting.clone());
        waiting.map(|waiting| waiting.reason).unwrap_or_default()
    }

    /// Who was told to leave is gone.
    pub(super) fn those_who_leave_go(&mut self) {
        self.instances_mut().retain(|seen| !matches!(seen.phase, Phase::Stopping { .. }));
        self.run();
    }

    pub(super) fn rolls(&mut self) -> ReleaseId {
        let release = self.deploy("v2");
        self.log.clear();
        release
    }
}

#[test]
fn it_goes_by_batches_and_leaves_nobody_in_the_old_slot() {
    let mut bed = with(file_with_worker(Handover::StopFirst));
    bed.deploy("v2");
    bed.pass(Span::from_secs(3_600));
    expect![[r#"
        deploy asked for
        note POLICY-CHANGED
        2: opened with r2
        2: build
        2: provision in green
        2: green has 0 of 1 and a batch
        2: verify in green
        2: shift in green
        2: step 1 of 3
        routes 2: [25% to r2 in green, 75% to r1 in blue]
        routes 2 in force
        2: green has 1 of 4
        2: green has 1 of 4 and a batch
        2: step 2 of 3
        routes 3: [50% to r2 in green, 50% to r1 in blue]
        routes 3 in force
        2: green has 2 of 4
        2: green has 2 of 4 and a batch
        2: step 3 of 3
        routes 4: [75% to r2 in green, 25% to r1 in blue]
        routes 4 in force
        2: green has 3 of 4
        2: green has 3 of 4 and a batch
        routes 5: [r2 in green]
        routes 5 in force
        blue drained, 0 left
        2: workers to green
        2: switched
        2: green has all
        2: bake
        2: succeeded, proven: false
        2: retire
        blue told to stop
        blue empty
        2: settled
    "#]]
    .assert_eq(&bed.story());
}

#[test]
fn a_batch_starts_when_those_who_leave_are_gone_and_rises_when_it_is_healthy() {
    let mut bed = bed();
    bed.rolls();
    assert_eq!(bed.split(), "25%: 1 green, 4 blue");
    bed.stops_slowly = true;
    bed.pass(Span::from_secs(61));
    assert_eq!(bed.split(), "25%: 1 green, 3(1) blue");
    assert_eq!(bed.wait(), "the instances that leave to be gone, to have room for its next batch");
    bed.pass(Span::from_secs(20));
    assert_eq!(bed.split(), "25%: 1 green, 3(1) blue", "they have not gone");
    bed.boots_forever = true;
    bed.those_who_leave_go();
    assert_eq!(bed.split(), "25%: 2 green, 3 blue");
    assert_eq!(bed.wait(), "every instance of its next batch to be healthy");
    bed.pass(Span::from_secs(20));
    assert_eq!(bed.split(), "25%: 2 green, 3 blue", "it boots, and that is no ailment of the slot");
    bed.make(Slot::Green, &Phase::Healthy { since: bed.now });
    bed.run();
    assert_eq!(bed.split(), "50%: 2 green, 3 blue");
    bed.pass(Span::from_secs(59));
    assert_eq!(bed.split(), "50%: 2 green, 3 blue");
    bed.pass(Span::from_secs(2));
    assert_eq!(bed.split(), "50%: 2 green, 2(1) blue");
}

#[test]
fn who_leaves_is_told_to_stop_when_it_is_seen_to_have_nothing_and_not_where_nobody_knows() {
    let idle = |bed: &Bed| -> usize {
        let specs = bed.last.actions.iter().filter_map(|action| match action {
            Action::Ensure(spec) => Some(spec.idle.len()),
            _ => None,
        });
        specs.sum()
    };
    let mut bed = bed();
    bed.rolls();
    bed.stops_slowly = true;
    bed.pass(Span::from_secs(61));
    assert_eq!((bed.split().as_str(), idle(&bed)), ("25%: 1 green, 3(1) blue", 0), "nobody knows");
    let leaving =
        bed.instances_mut().iter().find(|seen| matches!(seen.phase, Phase::Stopping { .. })).unwrap().id.clone();
    bed.seen.traffic.as_mut().unwrap().busy = Some([(leaving.clone(), 1)].into());
    bed.run();
    assert_eq!(idle(&bed), 0, "it has a request");
    bed.seen.traffic.as_mut().unwrap().busy = Some([(leaving, 0)].into());
    bed.run();
    assert_eq!(idle(&bed), 1);
    bed.seen.traffic = None;
    bed.run();
    assert_eq!(idle(&bed), 0, "nobody could look");
}

#[test]
fn a_batch_that_does_not_get_healthy_or_has_no_room_undoes_the_release() {
    for case in ["no room", "not healthy"] {
        let mut bed = bed();
        let release = bed.rolls();
        bed.stops_slowly = case == "no room";
        bed.boots_forever = case == "not healthy";
        bed.pass(Span::from_secs(61 + 75));
        bed.boots_forever = false;
        bed.make(Slot::Blue, &Phase::Healthy { since: bed.now });
        bed.stops_slowly = false;
        bed.those_who_leave_go();
        bed.pass(Span::from_secs(3_600));
        let code = if case == "no room" { "BATCH-NOT-GONE" } else { "HEALTH-NEVER-GREEN" };
        let outcome = bed.outcome(release);
        assert!(
            matches!(&outcome, Some(Outcome::RolledBack { cause: Some(cause) }) if cause.code == code),
            "{case}: {outcome:?}"
        );
        assert_eq!(bed.split(), "0%: 0 green, 4 blue", "{case}");
    }
}

#[test]
fn a_deploy_in_its_bake_closes_no_way_back_that_is_one_switch() {
    let mut bed = bed();
    bed.rolls();
    bed.pass(Span::from_secs(215));
    assert_eq!(bed.stage(), Some(Stage::Bake));
    bed.log.clear();
    bed.deploy("v3");
    assert!(!bed.story().contains("WAY-BACK-CLOSES"));
}

#[test]
fn a_person_sends_it_through_its_batches_holds_it_and_lets_it_go_on() {
    let mut bed = bed();
    let release = bed.rolls();
    let promote = |step, full| Command::Promote { release, stage: Stage::Shift, step, full };
    let stale: Problem = bed.command(promote(Some(2), false)).unwrap_err();
    assert_eq!(stale.code, "STALE-COMMAND");
    bed.command(promote(Some(1), false)).unwrap();
    assert_eq!(bed.split(), "50%: 2 green, 3 blue");
    bed.command(Command::Pause { release }).unwrap();
    bed.pass(Span::from_secs(600));
    assert_eq!(bed.split(), "50%: 2 green, 3 blue");
    bed.command(Command::Resume { release }).unwrap();
    bed.command(promote(None, true)).unwrap();
    assert_eq!(bed.split(), "100%: 4 green, 0 blue", "by batches, without their time");
    let shares: Vec<String> =
        bed.app.any_release(release).unwrap().steps.iter().map(|step| step.share.to_string()).collect();
    assert_eq!(shares, ["25%", "50%", "75%"]);
}

#[test]
fn the_share_does_not_rise_while_somebody_of_the_old_slot_is_ill_for_a_minute() {
    let mut file = file();
    file.drift = switchover_model::config::Drift::Report;
    let mut bed = with(file);
    bed.rolls();
    let ill = sick();
    let first = bed.instances_mut().iter_mut().find(|seen| seen.slot == Slot::Blue).unwrap();
    first.phase = ill;
    bed.pass(Span::from_secs(62));
    assert_eq!(bed.split(), "25%: 1 green, 4 blue");
    assert_eq!(bed.wait(), "every instance of the old slot to be healthy again");
    bed.pass(Span::from_secs(60));
    assert_ne!(bed.split(), "25%: 1 green, 4 blue", "what ails there is no reason to stay");
}

#[test]
fn a_scale_that_changes_in_the_middle_is_followed_within_the_surge() {
    let mut bed = bed();
    bed.rolls();
    bed.pass(Span::from_secs(70));
    assert_eq!(bed.split(), "50%: 2 green, 3 blue");
    bed.file.processes.values_mut().for_each(|process| process.instances = 8);
    bed.command(Command::Apply { config: Box::new(bed.file.clone()) }).unwrap();
    assert_eq!(bed.split(), "50%: 3 green, 6 blue", "eight and the surge of one");
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.split(), "100%: 8 green, 0 blue");
}

#[test]
fn the_first_revision_and_one_instance_need_no_batches() {
    let mut file = file();
    file.release.strategy = Strategy::Rolling(Rolling { surge: Surge::Percent(25), every: Span::ZERO });
    let mut bed = Bed::new(file);
    bed.deploy("v1");
    bed.pass(Span::from_secs(600));
    assert_eq!((bed.split(), bed.app.sized), ("0%: 0 green, 2 blue".to_owned(), None));
    bed.file.processes.values_mut().for_each(|process| process.instances = 1);
    bed.command(Command::Apply { config: Box::new(bed.file.clone()) }).unwrap();
    let release = bed.deploy("v2");
    assert_eq!(bed.split(), "100%: 1 green, 0 blue");
    assert!(bed.app.any_release(release).unwrap().steps.is_empty());
}

#[test]
fn an_app_of_before_there_were_batches_is_read() {
    let bed = bed();
    let text = serde_json::to_string(&bed.app).unwrap();
    assert!(!text.contains("\"sized\""), "and written as it was");
    assert_eq!(serde_json::from_str::<crate::App>(&text).unwrap(), bed.app);
    let stepped = r#"{"event":"stepped","release":2,"step":1,"of":3,"share":500}"#;
    let event: switchover_model::record::Event = serde_json::from_str(stepped).unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), stepped);
    assert!(bed.now > Timestamp::default());
}
