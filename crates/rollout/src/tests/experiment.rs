//! A release that is an experiment.

use std::collections::BTreeMap;

use switchover_model::config::{Better, Experiment, Goal, GoalSource, Strategy, Undecided};
use switchover_model::decimal::Decimal;
use switchover_model::evidence::{ChecksSeen, Verdict};
use switchover_model::experiment::{Conversions, Ending, ExperimentSaid, GoalSaid, GoalVerdict, SplitSaid};
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::seam::{Condition, Match};
use switchover_model::{ReleaseId, RevisionId, Share, Slot, Span};

use super::bed::{Bed, file};

fn experiment(share: &str, undecided: Undecided) -> Experiment {
    Experiment {
        share: share.parse().unwrap(),
        matches: vec![Condition::Header { name: "X-Beta".parse().unwrap(), value: "1".to_owned() }],
        lasts: Span::from_secs(600),
        at_least: Span::from_secs(60),
        undecided,
        goals: vec![Goal {
            name: "checkout".to_owned(),
            source: GoalSource::Request("POST /checkout 2xx".parse().unwrap()),
            primary: true,
            better: Better::Higher,
            effect: Decimal::default(),
        }],
    }
}

/// `v1` live in blue, and `v2` on trial in green.
fn on_trial(share: &str, undecided: Undecided) -> (Bed, ReleaseId) {
    let mut bed = Bed::with_v1_live(file());
    bed.file.release.strategy = Strategy::Ab(Box::new(experiment(share, undecided)));
    let release = bed.deploy("v2");
    assert_eq!(bed.stage(), Some(Stage::Shift));
    (bed, release)
}

impl Bed {
    /// What is seen of the experiment from now on.
    fn says(&mut self, verdict: GoalVerdict, split: Verdict, clients: u64) {
        let goal = GoalSaid {
            name: "checkout".to_owned(),
            verdict,
            new: Conversions::default(),
            old: Conversions::default(),
            effect: None,
            low: Decimal::default(),
            high: Decimal::default(),
            why: "5 % against 15 %".to_owned(),
            is_blind: false,
            answers: Vec::new(),
            evidence: serde_json::Value::Null,
        };
        let split = Some(SplitSaid { verdict: split, why: "40 % came".to_owned() });
        let said = ExperimentSaid { new: clients, old: clients, goals: vec![goal], split, anew: 0 };
        let watch = crate::watch(&self.app).expect("it is watched");
        let experiment = Some(Box::new(said));
        self.seen.checks =
            Some(ChecksSeen { watch, at: self.now, verdicts: Vec::new(), answered: BTreeMap::new(), experiment });
        self.run();
    }

    fn code(&self, release: ReleaseId) -> Option<String> {
        match self.outcome(release)? {
            Outcome::RolledBack { cause } => cause.map(|cause| cause.code),
            outcome => Some(format!("{outcome:?}")),
        }
    }

    fn ending(&self) -> Option<Ending> {
        let release = self.app.all_releases().next_back()?;
        release.judged.iter().find_map(|judged| judged.experiment.as_ref()).map(|decided| decided.ending)
    }
}

#[test]
fn its_routes_split_lead_by_rule_and_count() {
    let (bed, _) = on_trial("30%", Undecided::Drop);
    let routes = bed.app.routes.as_ref().unwrap();
    assert_eq!(routes.goal.arms[0].share.to_string(), "30%");
    let Match { slot, revision, when } = &routes.goal.matches[0];
    assert_eq!((*slot, *revision, when.len()), (Slot::Green, RevisionId(2), 1));
    let goals = routes.goal.goals.as_ref().unwrap();
    assert_eq!((goals.experiment, goals.requests.len()), (routes.version, 1));
}

#[test]
fn a_won_goal_goes_on_after_the_least_time_and_not_before() {
    let (mut bed, release) = on_trial("50%", Undecided::Drop);
    bed.says(GoalVerdict::Won, Verdict::Inconclusive, 100);
    assert_eq!((bed.ending(), bed.served()), (None, None), "still split");
    bed.pass(Span::from_secs(61));
    assert_eq!((bed.ending(), bed.served()), (Some(Ending::Won), Some((Slot::Green, RevisionId(2)))));
    assert_eq!(bed.app.routes.as_ref().unwrap().goal.goals, None);
    bed.pass(Span::from_secs(3_600));
    assert!(matches!(bed.outcome(release), Some(Outcome::Succeeded { .. })));
}

#[test]
fn a_lost_goal_goes_back_and_says_why() {
    let (mut bed, release) = on_trial("50%", Undecided::Promote);
    bed.says(GoalVerdict::Lost, Verdict::Pass, 100);
    bed.pass(Span::from_secs(70));
    assert_eq!((bed.code(release).as_deref(), bed.ending()), (Some("EXPERIMENT-LOST"), Some(Ending::Lost)));
    assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))));
}

#[test]
fn what_proves_nothing_ends_as_the_file_says_and_nobody_is_never_enough() {
    for (undecided, clients, code) in [
        (Undecided::Drop, 100, Some("EXPERIMENT-UNDECIDED")),
        (Undecided::Promote, 100, None),
        (Undecided::Promote, 0, Some("EXPERIMENT-UNDECIDED")),
    ] {
        let (mut bed, release) = on_trial("50%", undecided);
        bed.says(GoalVerdict::Undecided, Verdict::Inconclusive, clients);
        bed.pass(Span::from_secs(590));
        assert_eq!(bed.ending(), None);
        bed.pass(Span::from_secs(60));
        assert_eq!(bed.ending(), Some(Ending::TimeOver));
        assert_eq!(bed.code(release).as_deref().filter(|code| code.starts_with("EXP")), code, "{undecided:?}");
        let served = if code.is_some() { (Slot::Blue, RevisionId(1)) } else { (Slot::Green, RevisionId(2)) };
        assert_eq!(bed.served(), Some(served), "{undecided:?} with {clients}");
    }
    // Nobody looked at all.
    let (mut bed, release) = on_trial("50%", Undecided::Promote);
    bed.pass(Span::from_secs(660));
    assert_eq!(bed.code(release).as_deref(), Some("EXPERIMENT-UNDECIDED"));
}

#[test]
fn a_goal_of_which_nothing_is_known_decides_nothing_and_promotes_nothing() {
    for verdict in [GoalVerdict::Won, GoalVerdict::Lost, GoalVerdict::Undecided] {
        let (mut bed, release) = on_trial("50%", Undecided::Promote);
        bed.says(verdict, Verdict::Inconclusive, 100);
        bed.seen.checks.as_mut().unwrap().experiment.as_mut().unwrap().goals[0].is_blind = true;
        bed.pass(Span::from_secs(590));
        assert_eq!((bed.ending(), bed.served()), (None, None), "{verdict:?}: still split");
        bed.pass(Span::from_secs(60));
        assert_eq!(bed.ending(), Some(Ending::TimeOver), "{verdict:?}");
        assert_eq!(bed.code(release).as_deref(), Some("EXPERIMENT-UNDECIDED"), "{verdict:?}");
    }
}

#[test]
fn it_may_wait_for_a_person_at_its_end_for_a_bounded_time() {
    let (mut bed, release) = on_trial("50%", Undecided::Ask);
    bed.says(GoalVerdict::Undecided, Verdict::Inconclusive, 100);
    bed.pass(Span::from_secs(660));
    assert_eq!(bed.ending(), Some(Ending::TimeOver));
    bed.command(Command::Promote { release, stage: Stage::Shift, step: Some(1), full: false }).unwrap();
    assert_eq!(bed.served(), Some((Slot::Green, RevisionId(2))));

    let (mut bed, release) = on_trial("50%", Undecided::Ask);
    bed.says(GoalVerdict::Undecided, Verdict::Inconclusive, 100);
    bed.pass(Span::from_secs(600 + 25 * 3_600));
    assert_eq!(bed.code(release).as_deref(), Some("EXPERIMENT-UNDECIDED"));
}

#[test]
fn a_split_that_is_off_decides_nothing_and_is_told_once() {
    let (mut bed, release) = on_trial("50%", Undecided::Promote);
    bed.says(GoalVerdict::Won, Verdict::Fail, 100);
    bed.pass(Span::from_secs(300));
    assert_eq!(bed.ending(), None);
    assert_eq!(bed.app.notes.iter().filter(|note| note.problem.code == "SAMPLE-RATIO").count(), 1);
    bed.pass(Span::from_secs(360));
    assert_eq!(bed.code(release).as_deref(), Some("EXPERIMENT-UNDECIDED"), "and is never promoted by itself");
}

#[test]
fn a_person_may_promote_it_at_any_time_and_a_pause_does_not_count() {
    let (mut bed, release) = on_trial("50%", Undecided::Drop);
    bed.command(Command::Pause { release }).unwrap();
    bed.pass(Span::from_secs(3_600));
    bed.command(Command::Resume { release }).unwrap();
    bed.pass(Span::from_secs(500));
    assert_eq!((bed.ending(), bed.served()), (None, None), "still split");
    bed.command(Command::Promote { release, stage: Stage::Shift, step: None, full: true }).unwrap();
    assert_eq!((bed.ending(), bed.served()), (Some(Ending::Promoted), Some((Slot::Green, RevisionId(2)))));
}

#[test]
fn one_by_match_alone_is_not_told_as_a_share_of_nothing() {
    let (bed, _) = on_trial("0%", Undecided::Drop);
    let shown = crate::view::status(&bed.app, &bed.seen, bed.now).releases.pop().unwrap();
    assert_eq!(shown.stages.last().unwrap().note.as_deref(), Some("step 1 of 1, the clients of a match"));
}

#[test]
fn what_follows_when_nothing_is_proven_can_still_be_done() {
    let (mut bed, release) = on_trial("50%", Undecided::Drop);
    bed.pass(Span::from_secs(660));
    let Some(Outcome::RolledBack { cause: Some(cause) }) = bed.outcome(release) else { panic!("it was undone") };
    assert!(cause.next.contains("Deploy it again") && cause.next.contains("while it runs"), "{}", cause.next);
}

#[test]
fn one_by_match_alone_is_taken_back_and_drained_like_a_split() {
    let (mut bed, release) = on_trial("0%", Undecided::Drop);
    assert!(crate::routes::is_split(&bed.app.routes.as_ref().unwrap().goal));
    bed.command(Command::Rollback { release: Some(release), to: None, detach: false }).unwrap();
    let routes = bed.app.routes.as_ref().unwrap();
    assert!(routes.goal.matches.is_empty() && routes.goal.goals.is_none());
    assert_eq!(routes.goal.arms[0].share, Share::ALL);
    bed.pass(Span::from_secs(60));
    assert!(bed.log.iter().any(|line| format!("{line:?}").contains("drained")), "{:?}", bed.log);
    assert!(matches!(bed.outcome(release), Some(Outcome::RolledBack { .. })));
}
