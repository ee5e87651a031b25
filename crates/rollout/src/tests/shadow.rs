//! A release whose answers to copies of live requests are compared before any traffic moves.

use expect_test::expect;
use switchover_model::config::{Canary, NoEvidence, OnCrash, Shadow, Step, Strategy};
use switchover_model::evidence::{CheckVerdict, ChecksSeen, SHADOW_CHECK, SPLIT_CHECK, Verdict};
use switchover_model::record::Event;
use switchover_model::release::{Command, Outcome, Stage};
use switchover_model::seam::MirrorRules;
use switchover_model::{Problem, ReleaseId, RevisionId, Share, Slot, Span};

use super::bed::{Bed, file, hook, sick};
use crate::{view, watch};

const MINUTE: Span = Span::from_secs(60);

/// `v1` live, and a file whose releases are compared for a minute.
fn bed() -> Bed {
    let mut bed = Bed::with_v1_live(file());
    bed.file.release.shadow =
        Some(Shadow { rules: MirrorRules::of(Share::ALL), stays: MINUTE, enough: 500, tolerate: Share::NONE });
    bed
}

impl Bed {
    /// The revision that gets copies in the world.
    fn copies_to(&self) -> Option<RevisionId> {
        let routes = self.seen.traffic.as_ref()?.routes.as_ref()?;
        routes.mirror.as_ref().map(|mirror| mirror.arm.revision)
    }

    /// The built-in check says this of what is watched now.
    fn it_says(&mut self, check: usize, verdict: Verdict) {
        let watch = watch(&self.app).expect("something is watched");
        let said = CheckVerdict {
            check,
            name: "shadow".into(),
            verdict,
            why: "600 compared".into(),
            detail: vec!["body /price: 600 differ, 0 by noise".into()],
            evidence: serde_json::Value::Null,
        };
        self.seen.checks = Some(ChecksSeen {
            watch,
            at: self.now,
            answered: [(said.check, self.now)].into(),
            verdicts: vec![said],
            experiment: None,
        });
        self.run();
    }

    fn stage_of(&self, release: ReleaseId) -> Option<Stage> {
        self.app.any_release(release).and_then(crate::Release::stage)
    }

    fn promote_shadow(&mut self, release: ReleaseId) -> Result<Option<ReleaseId>, Problem> {
        self.command(Command::Promote { release, stage: Stage::Verify, step: None, full: false })
    }
}

fn code(outcome: Option<Outcome>) -> (String, Vec<String>) {
    match outcome {
        Some(Outcome::Aborted { cause: Some(cause) }) => (cause.code, cause.detail),
        other => panic!("not aborted: {other:?}"),
    }
}

#[test]
fn copies_begin_after_the_hooks_and_end_with_a_pass_before_any_traffic_moves() {
    let mut bed = bed();
    bed.file.release.hooks.push(hook(Stage::Verify, OnCrash::Fail));
    bed.hooks_hang = true;
    let release = bed.deploy("v2");
    assert_eq!((bed.copies_to(), bed.stage_of(release)), (None, Some(Stage::Verify)), "its hook is asked first");
    bed.hooks_hang = false;
    let attempt = bed.app.open_attempts().next().unwrap().0;
    bed.end(attempt, switchover_model::record::AttemptResult::Passed { output: Vec::new() });
    bed.log.clear();
    bed.run();
    assert_eq!((bed.copies_to(), bed.served()), (Some(RevisionId(2)), Some((Slot::Blue, RevisionId(1)))));
    bed.it_says(SHADOW_CHECK, Verdict::Pass);
    bed.pass(Span::from_secs(58));
    assert_eq!((bed.stage_of(release), bed.served()), (Some(Stage::Verify), Some((Slot::Blue, RevisionId(1)))));
    bed.it_says(SHADOW_CHECK, Verdict::Pass);
    bed.pass(Span::from_secs(3));
    assert_eq!((bed.copies_to(), bed.served()), (None, Some((Slot::Green, RevisionId(2)))));
    expect![[r#"
        routes 3: [r1 in blue], preview
        routes 3 in force
        2: judged, shadow pass
        routes 4: [r1 in blue], preview
        routes 4 in force
        2: shift in green
        routes 5: [r2 in green]
        routes 5 in force
        blue drained, 0 left
        2: workers to green
        2: switched
        2: bake
    "#]]
    .assert_eq(&bed.story());
    let shown = view::history(&bed.app).pop().unwrap();
    let shadow = shown.shadow.unwrap();
    assert_eq!(shadow.left_at.unwrap().since(shadow.in_force_at.unwrap()).rounded(), "1m 0s");
    assert_eq!(shown.judged[0].verdicts[0].verdict, Verdict::Pass);
}

#[test]
fn answers_that_differ_undo_the_release_at_once_and_name_the_field() {
    let mut bed = bed();
    let release = bed.deploy("v2");
    bed.it_says(SHADOW_CHECK, Verdict::Fail);
    let (code, detail) = code(bed.outcome(release));
    assert_eq!(code, "SHADOW-DIFFERS");
    assert_eq!(detail, ["shadow: 600 compared", "body /price: 600 differ, 0 by noise"]);
    assert_eq!((bed.copies_to(), bed.served()), (None, Some((Slot::Blue, RevisionId(1)))));
    assert!(!bed.records.iter().any(|record| matches!(record.event, Event::Switched { release: ReleaseId(2), .. })));
}

#[test]
fn without_evidence_it_waits_and_is_undone_or_asks_a_person() {
    let mut bed = bed();
    bed.file.release.evidence.timeout = MINUTE;
    let release = bed.deploy("v2");
    bed.pass(Span::from_secs(119));
    assert_eq!((bed.stage_of(release), bed.outcome(release)), (Some(Stage::Verify), None));
    bed.pass(Span::from_secs(3));
    assert_eq!(code(bed.outcome(release)).0, "NO-EVIDENCE");
    assert_eq!(bed.copies_to(), None);

    bed.file.release.evidence.no_evidence = NoEvidence::Pause;
    bed.pass(MINUTE);
    let release = bed.deploy("v3");
    bed.pass(Span::from_secs(200));
    let shown = view::status(&bed.app, &bed.seen, bed.now).releases.pop().unwrap();
    assert!(shown.at_gate && bed.copies_to() == Some(RevisionId(3)), "{shown:?}");
    bed.promote_shadow(release).unwrap();
    assert_eq!((bed.copies_to(), bed.served()), (None, Some((Slot::Green, RevisionId(3)))));
}

#[test]
fn a_person_ends_the_wait_and_opens_no_other_gate_by_it() {
    let mut bed = bed();
    bed.file.release.approve = true;
    let release = bed.deploy("v2");
    bed.it_says(SHADOW_CHECK, Verdict::Inconclusive);
    bed.promote_shadow(release).unwrap();
    assert_eq!((bed.stage_of(release), bed.copies_to()), (Some(Stage::Approve), None));
    assert_eq!(bed.app.release(release).unwrap().promoted, None);
    assert_eq!(bed.app.release(release).unwrap().judged.len(), 1, "what was known then is recorded");
    assert!(bed.promote_shadow(release).is_err(), "a stale one is refused");
}

#[test]
fn a_hold_stops_its_clock_and_what_differs_meanwhile_is_undone() {
    let mut bed = bed();
    let release = bed.deploy("v2");
    bed.it_says(SHADOW_CHECK, Verdict::Pass);
    bed.pass(Span::from_secs(30));
    bed.command(Command::Pause { release }).unwrap();
    bed.pass(Span::from_secs(600));
    assert_eq!((bed.stage_of(release), bed.copies_to()), (Some(Stage::Verify), Some(RevisionId(2))));
    bed.command(Command::Resume { release }).unwrap();
    bed.pass(Span::from_secs(25));
    assert_eq!(bed.stage_of(release), Some(Stage::Verify));
    bed.command(Command::Pause { release }).unwrap();
    bed.it_says(SHADOW_CHECK, Verdict::Fail);
    assert_eq!(code(bed.outcome(release)).0, "SHADOW-DIFFERS");
}

#[test]
fn the_mirror_is_taken_off_however_the_comparison_ends() {
    let abort = |bed: &mut Bed, release| {
        bed.command(Command::Abort { release }).unwrap();
    };
    let superseded = |bed: &mut Bed, _| {
        bed.file.release.shadow = None;
        bed.content = "v3".into();
        bed.command(bed.deploy_command(false)).unwrap();
    };
    let falls_ill = |bed: &mut Bed, _| {
        for seen in bed.instances_mut().iter_mut().filter(|seen| seen.slot == Slot::Green) {
            seen.phase = sick();
        }
        bed.pass(Span::from_secs(200));
    };
    for (name, end) in
        [("abort", &abort as &dyn Fn(&mut Bed, ReleaseId)), ("superseded", &superseded), ("ill", &falls_ill)]
    {
        let mut bed = bed();
        let release = bed.deploy("v2");
        assert_eq!(bed.copies_to(), Some(RevisionId(2)), "{name}");
        end(&mut bed, release);
        assert_eq!(bed.copies_to(), None, "{name}");
        assert!(bed.app.any_release(release).unwrap().outcome.is_some(), "{name}");
    }
}

#[test]
fn copies_that_are_never_seen_to_begin_undo_the_release() {
    let mut bed = bed();
    let release = bed.deploy_deaf("v2");
    bed.pass(Span::from_secs(40));
    assert_eq!(code(bed.outcome(release)).0, "MIRROR-NOT-SEEN");
}

impl Bed {
    fn deploy_deaf(&mut self, content: &str) -> ReleaseId {
        self.router_is_deaf = true;
        self.deploy(content)
    }
}

#[test]
fn a_first_release_and_a_way_back_are_not_compared() {
    let mut bed = bed();
    let file = bed.file.clone();
    let mut first = Bed::new(file);
    first.deploy("v1");
    assert_eq!(first.served(), Some((Slot::Blue, RevisionId(1))));
    let release = bed.deploy("v2");
    bed.promote_shadow(release).unwrap();
    bed.pass(Span::from_secs(3_600));
    bed.command(Command::Rollback { to: Some(RevisionId(1)), release: None, detach: false }).unwrap();
    assert_eq!(bed.served().map(|(_, revision)| revision), Some(RevisionId(1)));
}

#[test]
fn a_split_that_is_off_is_told_and_keeps_the_step() {
    let mut bed = Bed::with_v1_live(file());
    let share: Share = "5%".parse().unwrap();
    bed.file.release.strategy = Strategy::Canary(Canary::Steps(vec![Step { share, stays: MINUTE, approve: false }]));
    bed.file.release.evidence.timeout = MINUTE;
    let release = bed.deploy("v2");
    bed.it_says(SPLIT_CHECK, Verdict::Inconclusive);
    bed.pass(Span::from_secs(30));
    bed.it_says(SPLIT_CHECK, Verdict::Fail);
    assert_eq!(bed.app.notes.back().unwrap().problem.code, "SAMPLE-RATIO");
    bed.pass(Span::from_secs(80));
    assert_eq!(bed.outcome(release), None, "it is not undone for it at once");
    bed.pass(Span::from_secs(15));
    let outcome = bed.outcome(release);
    assert!(
        matches!(&outcome, Some(Outcome::RolledBack { cause: Some(cause) }) if cause.code == "SAMPLE-RATIO"),
        "{outcome:?}"
    );
    assert_eq!(bed.app.notes.iter().filter(|note| note.problem.code == "SAMPLE-RATIO").count(), 1, "once");

    let release = bed.deploy("v3");
    bed.it_says(SPLIT_CHECK, Verdict::Inconclusive);
    bed.pass(Span::from_secs(61));
    assert!(bed.app.release(release).unwrap().switched_at.is_some(), "too few clients keep no step");
}
