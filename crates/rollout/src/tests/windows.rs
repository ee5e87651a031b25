//! Releases that wait for a time window.

use switchover_model::config::{Canary, Step, Strategy, Windows};
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::{ReleaseId, RevisionId, Share, Slot, Span, Timestamp};

use super::bed::{BACK, Bed, file};
use super::schema::quiet_since;
use super::schema_bed::file_with_database;
use crate::view;

/// An hour of the first days of 1970, which began on a Thursday.
fn at(hour: u64, minute: u64) -> Timestamp {
    Timestamp::from_micros((hour * 60 + minute) * 60_000_000)
}

/// `v1` live, and a file whose releases move traffic from 09:00 to 10:00 UTC, by two steps of ten minutes.
fn bed() -> Bed {
    let mut bed = Bed::with_v1_live(file());
    assert!(bed.now < at(9, 0));
    let share = |percent: u16| Share::from_basis_points(percent * 100).unwrap();
    let step = |percent| Step { share: share(percent), stays: Span::from_secs(600), approve: false };
    bed.file.release.strategy = Strategy::Canary(Canary::Steps(vec![step(5), step(50)]));
    bed.file.release.windows = Windows { allow: vec!["Mon-Sun 09:00-10:00 UTC".parse().unwrap()], freeze: Vec::new() };
    bed
}

impl Bed {
    fn go_to(&mut self, moment: Timestamp) {
        let span = moment.since(self.now);
        self.pass(span);
    }

    fn waiting(&self) -> Option<&str> {
        Some(self.app.releases.last()?.waiting.as_ref()?.reason.as_str())
    }

    fn of_green(&self) -> String {
        let routes = self.seen.traffic.as_ref().and_then(|traffic| traffic.routes.as_ref()).unwrap();
        let green = routes.arms.iter().find(|arm| arm.slot == Slot::Green);
        green.map_or(Share::NONE, |arm| arm.share).to_string()
    }
}

const WINDOW: Option<&str> = Some("its time window to open");

#[test]
fn traffic_begins_to_move_when_the_window_opens_and_rests_while_it_is_closed() {
    let mut bed = bed();
    bed.deploy("v2");
    assert_eq!((bed.stage(), bed.waiting()), (Some(Stage::Verify), WINDOW));
    assert_eq!(bed.last.wake, Some(at(9, 0)));
    assert!(bed.story().contains("note WINDOW-CLOSED"));
    let status = view::status(&bed.app, &bed.seen, bed.now);
    let shown = status.releases.last().unwrap();
    assert!(shown.at_gate && shown.opens_at == Some(at(9, 0)), "{shown:?}");
    let note = bed.app.notes.iter().find(|note| note.problem.code == "WINDOW-CLOSED").unwrap();
    assert_eq!(
        note.problem.cause,
        "release 2 moves no more traffic until the app's time window opens, Thu 1970-01-01 09:00 UTC."
    );
    bed.go_to(at(8, 59));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
    bed.go_to(at(9, 5));
    assert_eq!(bed.of_green(), "5%");
    let release = ReleaseId(2);
    bed.command(Command::Pause { release }).unwrap();
    bed.go_to(at(9, 50));
    bed.command(Command::Resume { release }).unwrap();
    bed.go_to(at(9, 59));
    assert_eq!(bed.of_green(), "50%", "its time went on when it was let go");
    bed.go_to(at(32, 59));
    assert_eq!((bed.of_green().as_str(), bed.waiting()), ("50%", WINDOW), "the window of the day is over");
    bed.go_to(at(33, 1));
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
}

#[test]
fn a_promotion_passes_a_closed_window_once() {
    let mut bed = bed();
    let release = bed.deploy("v2");
    let promote = |stage, step| Command::Promote { release, stage, step, full: false };
    assert_eq!(bed.command(promote(Stage::Verify, Some(1))).unwrap_err().code, "STALE-COMMAND");
    bed.command(promote(Stage::Verify, None)).unwrap();
    assert_eq!(bed.of_green(), "5%");
    bed.pass(Span::from_secs(700));
    assert_eq!((bed.of_green().as_str(), bed.waiting()), ("5%", WINDOW), "the next step asks again");
    assert_eq!(bed.command(promote(Stage::Shift, Some(2))).unwrap_err().code, "STALE-COMMAND");
    bed.command(promote(Stage::Shift, Some(1))).unwrap();
    assert_eq!(bed.of_green(), "50%");
    bed.command(promote(Stage::Shift, Some(2))).unwrap();
    assert_eq!((bed.of_green().as_str(), bed.waiting()), ("50%", WINDOW), "the step's time was ended, not the window");
    bed.command(promote(Stage::Shift, Some(2))).unwrap();
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));
}

#[test]
fn a_way_back_never_waits_for_a_window() {
    let mut bed = bed();
    let release = bed.deploy("v2");
    bed.go_to(at(9, 5));
    bed.go_to(at(9, 15));
    bed.command(Command::Pause { release }).unwrap();
    bed.go_to(at(11, 0));
    bed.command(BACK).unwrap();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
    bed.go_to(at(32, 0));
    let second = bed.deploy("v3");
    bed.go_to(at(34, 0));
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(3))));
    bed.go_to(at(40, 0));
    assert!(matches!(bed.outcome(second), Some(Outcome::Succeeded { .. })));
    bed.command(BACK).unwrap();
    bed.run();
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))), "a return is a way back too");
}

#[test]
fn what_keeps_a_release_from_its_shift_is_not_waited_for_from_window_to_window() {
    let mut bed = Bed::new(file_with_database());
    bed.deploy_with("v1", &[]);
    quiet_since(&mut bed, Some(0));
    bed.pass(Span::from_secs(3_600));
    let begin = bed.now.as_micros() / 60_000_000 + 1;
    let clock = |minute: u64| format!("{:02}:{:02}", minute / 60, minute % 60);
    let allow = (begin..begin + 90).step_by(2).map(|at| format!("Mon-Sun {}-{} UTC", clock(at), clock(at + 1)));
    bed.file.release.windows = Windows { allow: allow.map(|text| text.parse().unwrap()).collect(), freeze: Vec::new() };
    let release = bed.deploy_with("v2", &["a"]);
    assert_eq!(bed.waiting(), WINDOW);
    bed.seen.schema.as_mut().unwrap().migrations.clear();
    bed.schema_stays = true;
    bed.pass(Span::from_secs(1_000));
    let outcome = bed.outcome(release);
    assert!(matches!(&outcome, Some(Outcome::Aborted { cause: Some(_) })), "{outcome:?} {:?}", bed.waiting());
}

#[test]
fn an_apply_without_the_window_lets_what_waits_go_on() {
    let mut bed = bed();
    bed.deploy("v2");
    assert_eq!(bed.waiting(), WINDOW);
    let mut file = bed.file.clone();
    file.release.windows = Windows::default();
    bed.command(Command::Apply { config: Box::new(file) }).unwrap();
    assert_eq!(bed.of_green(), "5%");
}

#[test]
fn a_freeze_holds_all_that_is_forward_and_a_release_may_be_aborted_in_it() {
    let mut bed = bed();
    bed.file.release.windows.freeze = vec!["1970-01-01..1970-01-10 UTC".parse().unwrap()];
    let release = bed.deploy("v2");
    bed.go_to(at(9, 30));
    assert_eq!((bed.stage(), bed.waiting()), (Some(Stage::Verify), WINDOW));
    assert_eq!(bed.last.wake, Some(at(10 * 24 + 9, 0)));
    bed.command(Command::Abort { release }).unwrap();
    bed.pass(Span::from_secs(60));
    assert!(matches!(bed.outcome(release), Some(Outcome::Aborted { cause: None })));
}
