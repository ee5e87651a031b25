//! The app's own framework goes along: run before the slot starts and again when nothing old is left, and never backwards.

use expect_test::expect;
use switchover_model::record::AttemptResult;
use switchover_model::release::{Command, Outcome};
use switchover_model::view::WayBack;
use switchover_model::{Problem, RevisionId, Span, Timestamp};

use super::bed::{BACK, Bed};
use super::schema_bed::file_with_framework;
use crate::view;

fn back_to(revision: u32) -> Command {
    Command::Rollback { to: Some(RevisionId(revision)), release: None, detach: false }
}

/// `v1` with migration `a` is live and settled.
fn bed() -> Bed {
    let mut bed = Bed::new(file_with_framework());
    if let Some(schema) = &mut bed.seen.schema {
        schema.watched_since = Some(Timestamp::default());
    }
    bed.deploy_with("v1", &["a"]);
    bed.pass(Span::from_secs(3_600));
    bed.log.clear();
    bed
}

#[test]
fn what_both_can_live_with_comes_before_the_slot_and_the_rest_when_the_old_one_is_gone() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a", "b", "-c"]);
    assert!(!bed.carried.contains("-c"));
    bed.pass(Span::from_secs(3_600));
    expect![[r#"
        deploy asked for
        2: opened with r2
        2: build
        2: expand
        2: framework asked to expand
        2: did ["b"], waiting ["-c"]
        2: provision in green
        2: verify in green
        2: shift in green
        routes 2: [r2 in green]
        routes 2 in force
        blue drained, 0 left
        2: workers to green
        2: switched
        2: bake
        2: succeeded, proven: false
        2: retire
        blue told to stop
        blue empty
        2: contract
        2: framework asked to contract
        2: settled
    "#]]
    .assert_eq(&bed.story());
    assert!(bed.carried.contains("-c"));
}

#[test]
fn what_never_served_can_not_come_back_once_another_one_was_migrated_with_nobody_beside_it() {
    let mut bed = Bed::new(file_with_framework());
    bed.boots_forever = true;
    let first = bed.deploy_with("v1", &["a"]);
    bed.command(Command::Abort { release: first }).unwrap();
    bed.boots_forever = false;
    bed.deploy_with("v2", &["a", "-b"]);
    assert!(bed.carried.contains("-b"), "nobody is live that would need it");
    let refused = bed.command(back_to(1)).unwrap_err();
    assert_eq!(refused.code, "SCHEMA-GONE-ON");
    assert!(refused.cause.contains("-b"), "{refused}");
}

#[test]
fn a_release_that_takes_nothing_away_has_nothing_to_contract() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a", "b"]);
    bed.pass(Span::from_secs(3_600));
    let story = bed.story();
    assert!(story.contains("framework asked to expand") && !story.contains("asked to contract"), "{story}");
    assert!(bed.app.releases.is_empty());
}

#[test]
fn before_the_contract_a_rollback_runs_nothing_and_the_mended_release_goes_on() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a", "b", "-c"]);
    bed.log.clear();
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(3_600));
    bed.command(back_to(2)).unwrap();
    bed.pass(Span::from_secs(5));
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(3_600));
    assert!(!bed.story().contains("framework"), "nothing is run on a way back, or again");
    bed.deploy_with("v3", &["a", "b", "-c"]);
    bed.pass(Span::from_secs(3_600));
    assert!(bed.story().contains("framework asked to contract"));
}

#[test]
fn after_the_contract_a_revision_without_it_is_refused_with_the_reason() {
    for names_nothing in [false, true] {
        let mut bed = bed();
        bed.names_nothing = names_nothing;
        bed.deploy_with("v2", &["a", "-c"]);
        bed.pass(Span::from_secs(3_600));
        for command in [BACK, back_to(1)] {
            let refused = bed.command(command).unwrap_err();
            assert_eq!(refused.code, "SCHEMA-GONE-ON");
            assert!(refused.cause.contains("r1 was made without migration -c"), "{refused}");
        }
        let way = view::way_back(&bed.app, &bed.seen, bed.now);
        assert!(matches!(&way, WayBack::None { why } if why.contains("-c")), "{way:?}");
        // Who knows it can be gone to, and come back from.
        bed.deploy_with("v3", &["a", "-c"]);
        bed.pass(Span::from_secs(3_600));
        bed.command(back_to(2)).unwrap();
        bed.pass(Span::from_secs(3_600));
        assert_eq!(bed.served().unwrap().1, RevisionId(2));
    }
}

#[test]
fn a_deploy_of_older_content_after_the_contract_is_undone_before_its_slot_starts() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a", "-c"]);
    bed.pass(Span::from_secs(3_600));
    bed.log.clear();
    let id = bed.deploy_with("v1 again", &["a"]);
    bed.pass(Span::from_secs(5));
    assert!(
        matches!(bed.outcome(id), Some(Outcome::Aborted { cause: Some(cause) }) if cause.code == "SCHEMA-GONE-ON"),
        "{}",
        bed.story()
    );
    assert!(!bed.story().contains("provision"));
}

#[test]
fn the_contract_of_the_live_release_comes_before_the_next_expand() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a", "-c"]);
    bed.log.clear();
    bed.deploy_with("v3", &["a", "-c", "d"]);
    bed.pass(Span::from_secs(3_600));
    let story = bed.story();
    let at = |what: &str| story.find(what).unwrap_or_else(|| panic!("{what}: {story}"));
    assert!(at("2: framework asked to contract") < at("3: framework asked to expand"), "{story}");
    assert!(bed.carried.contains("d"));
}

#[test]
fn a_lost_run_is_run_again_and_a_failed_one_undoes_the_release() {
    let mut bed = bed();
    bed.attempts_hang = true;
    let id = bed.deploy_with("v2", &["a", "b"]);
    let build = bed.running();
    let sealed = bed.revision(RevisionId(2), bed.app.releases[0].source.clone());
    bed.note(switchover_model::record::Event::Sealed { revision: Box::new(sealed) });
    bed.end(build, AttemptResult::Passed { output: Vec::new() });
    bed.pass(Span::from_secs(1));
    let first = bed.running();
    bed.end(first, AttemptResult::Lost);
    bed.pass(Span::from_secs(1));
    let second = bed.running();
    assert_ne!(first, second);
    let cause = Problem::new("MIGRATIONS-REFUSED", "the live revision can not go on.", "Write it otherwise.");
    bed.end(second, AttemptResult::Failed { cause });
    bed.pass(Span::from_secs(1));
    assert!(
        matches!(bed.outcome(id), Some(Outcome::Aborted { cause: Some(cause) }) if cause.code == "MIGRATIONS-REFUSED")
    );
}
