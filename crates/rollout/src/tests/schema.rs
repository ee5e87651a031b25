//! The schema goes along: expanded before the slot starts, contracted when nothing old is left, and back again.

use expect_test::expect;
use switchover_model::config::{Backup, Invariant};
use switchover_model::record::{Attempt, AttemptResult};
use switchover_model::release::{Command, Outcome};
use switchover_model::schema::{Found, InvariantSeen, SchemaFailure, SchemaGoal};
use switchover_model::seam::Phase;
use switchover_model::{Problem, ReleaseId, RevisionId, Span, Timestamp};

use super::bed::{BACK, Bed};
use super::schema_bed::file_with_database;

/// `v1` without migrations is live and settled.
fn bed() -> Bed {
    let mut bed = Bed::new(file_with_database());
    bed.deploy_with("v1", &[]);
    quiet_since(&mut bed, Some(0));
    bed.pass(Span::from_secs(3_600));
    bed.log.clear();
    bed
}

/// Since when nothing of an older version is used; nothing: it is used all the time.
pub(super) fn quiet_since(bed: &mut Bed, since: Option<u64>) {
    bed.old_is_used = since.is_none();
    if let Some(schema) = &mut bed.seen.schema {
        schema.watched_since = Some(Timestamp::default());
        schema.used = since.map(|since| ("older".to_owned(), Timestamp::from_micros(since))).into_iter().collect();
    }
}

#[test]
fn a_release_expands_before_it_provisions_and_contracts_after_its_old_slot_is_gone() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a", "b"]);
    assert_eq!(bed.known(), "a expanded, b expanded");
    bed.pass(Span::from_secs(3_600));
    expect![[r#"
        deploy asked for
        2: opened with r2
        2: build
        2: expand
        schema: expand a
        schema: expand b
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
        schema: contract a
        schema: contract b
        2: settled
    "#]]
    .assert_eq(&bed.story());
    assert_eq!(bed.known(), "a contracted, b contracted");
}

#[test]
fn a_contract_waits_until_nothing_old_was_in_use_for_the_apps_time() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a"]);
    quiet_since(&mut bed, None);
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.known(), "a expanded");
    assert_eq!(bed.app.releases[0].waiting.as_ref().unwrap().reason, crate::wait::QUIET);
    let now = bed.now.as_micros();
    quiet_since(&mut bed, Some(now));
    bed.pass(Span::from_secs(9));
    assert_eq!(bed.known(), "a expanded");
    bed.pass(Span::from_secs(2));
    assert_eq!(bed.known(), "a contracted");
}

#[test]
fn a_contract_that_never_comes_to_rest_is_said_and_stays_pending() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a"]);
    quiet_since(&mut bed, None);
    bed.pass(Span::from_secs(8 * 24 * 3_600));
    assert!(bed.app.releases.is_empty());
    assert!(bed.story().contains("note OLD-STILL-USED"));
    assert_eq!(bed.known(), "a expanded");
}

#[test]
fn a_rollback_leaves_what_was_added_and_the_mended_release_goes_on_with_it() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a"]);
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.known(), "a expanded");
    bed.log.clear();
    bed.deploy_with("v2 mended", &["a"]);
    assert!(!bed.story().contains("schema: expand"), "nothing is expanded again");
}

#[test]
fn a_release_without_it_takes_a_pending_migration_back_and_an_edited_one_is_done_anew() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a"]);
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(3_600));
    bed.deploy_with("v3", &["a#2"]);
    assert!(bed.story().contains("schema: undo a\nschema: expand a"));
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(3_600));
    bed.deploy_with("v4", &["c"]);
    assert_eq!(bed.known(), "c expanded");
}

#[test]
fn an_expand_of_the_next_release_comes_after_the_contract_of_the_one_before() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a"]);
    bed.log.clear();
    bed.deploy_with("v3", &["a", "b"]);
    expect![[r#"
        deploy asked for
        3: opened with r3
        note WAY-BACK-CLOSES
        3: build
        3: expand
        2: succeeded, proven: false
        2: retire
        blue told to stop
        blue empty
        2: contract
        schema: contract a
        2: settled
        schema: expand b
        3: provision in blue
        3: verify in blue
        3: shift in blue
        routes 3: [r3 in blue]
        routes 3 in force
        green drained, 0 left
        3: workers to blue
        3: switched
        3: bake
    "#]]
    .assert_eq(&bed.story());
}

#[test]
fn a_release_without_an_expand_of_its_own_leaves_the_contract_pending() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a"]);
    bed.deploy_with("v3", &["a"]);
    assert_eq!(bed.known(), "a expanded");
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.known(), "a contracted");
}

#[test]
fn a_rollback_after_the_contract_brings_the_old_schema_back_first() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a"]);
    bed.pass(Span::from_secs(3_600));
    bed.log.clear();
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(3_600));
    expect![[r#"
        rollback asked for
        3: opened with r1
        3: expand
        schema: restore a
        3: provision in blue
        3: verify in blue
        3: shift in blue
        routes 3: [r1 in blue]
        routes 3 in force
        green drained, 0 left
        3: workers to blue
        3: switched
        3: bake
        3: succeeded, proven: false
        3: retire
        green told to stop
        green empty
        3: settled
    "#]]
    .assert_eq(&bed.story());
    assert_eq!(bed.known(), "a expanded");
}

#[test]
fn what_the_schema_refuses_undoes_the_release_before_anything_starts() {
    let mut bed = bed();
    bed.schema_stays = true;
    let release = bed.deploy_with("v2", &["a"]);
    let goal = SchemaGoal::Serve { release, revision: RevisionId(2), beside: vec![RevisionId(1)] };
    let problem = Problem::new("ROWS-IN-THE-WAY", "Two users have one name.", "Mend them.");
    bed.seen.schema.as_mut().unwrap().failed = Some(SchemaFailure { goal, problem });
    bed.run();
    assert!(bed.story().ends_with("2: undoing, ROWS-IN-THE-WAY\n2: aborted, ROWS-IN-THE-WAY\n2: settled\n"));
}

#[test]
fn nothing_shifts_to_what_the_schema_does_not_serve() {
    let mut bed = bed();
    bed.boots_forever = true;
    bed.deploy_with("v2", &["a"]);
    // Somebody takes it back by hand while the new slot boots.
    bed.seen.schema.as_mut().unwrap().migrations.clear();
    bed.schema_stays = true;
    bed.boots_forever = false;
    let now = bed.now;
    bed.instances_mut().iter_mut().for_each(|seen| seen.phase = Phase::Healthy { since: now });
    bed.pass(Span::from_secs(600));
    assert!(bed.story().contains("undoing, SCHEMA-NOT-SERVED"), "{}", bed.story());
    assert_eq!(bed.served().unwrap().1, RevisionId(1));
}

#[test]
fn a_database_that_can_not_be_asked_forbids_the_way_forward_and_no_way_back() {
    let mut bed = bed();
    let schema = bed.seen.schema.take();
    bed.deploy_with("v2", &["a"]);
    bed.pass(Span::from_secs(600));
    assert!(bed.story().contains("undoing, DATABASE-UNKNOWN"), "{}", bed.story());
    bed.seen.schema = schema;
    bed.deploy_with("v3", &["a"]);
    bed.seen.schema = None;
    bed.command(BACK).unwrap();
    assert_eq!(bed.served().unwrap().1, RevisionId(1));
}

pub(super) fn with_invariant(found: Found) -> Bed {
    let mut file = file_with_database();
    let rule = Invariant { name: "users".into(), query: "SELECT 1".into(), timeout: Span::from_secs(5) };
    file.database.as_mut().unwrap().invariants = vec![rule];
    let mut bed = Bed::new(file);
    find(&mut bed, Found::Holds);
    bed.deploy_with("v1", &[]);
    bed.pass(Span::from_secs(3_600));
    bed.log.clear();
    find(&mut bed, found);
    bed
}

pub(super) fn find(bed: &mut Bed, found: Found) {
    let at = bed.now;
    bed.seen.schema.as_mut().unwrap().invariants = vec![InvariantSeen { name: "users".into(), at, found }];
}

#[test]
fn a_broken_invariant_stops_a_release_before_its_shift() {
    let mut bed = with_invariant(Found::Broken { keys: vec!["17".into()] });
    bed.deploy_with("v2", &["a"]);
    assert!(bed.story().contains("undoing, INVARIANT-BROKEN"), "{}", bed.story());
    assert_eq!(bed.served().unwrap().1, RevisionId(1));
}

#[test]
fn an_invariant_of_which_nothing_is_known_is_no_pass() {
    let mut bed = with_invariant(Found::Unknown { why: "it took too long".into() });
    bed.deploy_with("v2", &["a"]);
    assert_eq!(bed.served().unwrap().1, RevisionId(1));
    bed.pass(Span::from_secs(600));
    assert!(bed.story().contains("undoing, INVARIANT-UNKNOWN"), "{}", bed.story());
}

#[test]
fn an_invariant_that_breaks_in_the_bake_detaches_and_goes_back() {
    let mut bed = with_invariant(Found::Holds);
    bed.deploy_with("v2", &["a"]);
    assert_eq!(bed.served().unwrap().1, RevisionId(2));
    bed.log.clear();
    find(&mut bed, Found::Broken { keys: vec!["17".into(), "18".into()] });
    bed.run();
    assert_eq!(bed.served().unwrap().1, RevisionId(1));
    assert_eq!(bed.known(), "a detached");
    find(&mut bed, Found::Holds);
    bed.pass(Span::from_secs(3_600));
    bed.log.clear();
    bed.deploy_with("v3", &["a"]);
    assert!(bed.story().contains("schema: attach a"), "{}", bed.story());
}

#[test]
fn an_operator_says_that_the_database_is_the_reason() {
    let mut bed = bed();
    bed.deploy_with("v2", &["a"]);
    bed.command(Command::Rollback { to: None, release: None, detach: true }).unwrap();
    assert_eq!(bed.known(), "a detached");
    assert_eq!(bed.served().unwrap().1, RevisionId(1));
}

#[test]
fn a_contract_waits_for_a_backup_that_is_tried_again() {
    let mut file = file_with_database();
    file.database.as_mut().unwrap().backup =
        Some(Backup { command: "./backup.sh".into(), timeout: Span::from_secs(60) });
    let mut bed = Bed::new(file);
    bed.deploy_with("v1", &[]);
    quiet_since(&mut bed, Some(0));
    bed.pass(Span::from_secs(3_600));
    bed.deploy_with("v2", &["a"]);
    bed.attempts_hang = true;
    bed.pass(Span::from_secs(700));
    assert_eq!(bed.known(), "a expanded");
    let attempt = bed.app.open_attempts().next().expect("the backup runs").0;
    let cause = Problem::new("BACKUP-FAILED", "The disk is full.", "Free some.");
    bed.end(attempt, AttemptResult::Failed { cause });
    bed.run();
    assert_eq!(bed.known(), "a expanded");
    bed.attempts_hang = false;
    bed.pass(Span::from_secs(700));
    assert_eq!(bed.known(), "a contracted");
}

/// A contract that asks for a backup has begun and is not done.
fn contracting() -> Bed {
    let mut file = file_with_database();
    file.database.as_mut().unwrap().backup =
        Some(Backup { command: "./backup.sh".into(), timeout: Span::from_secs(60) });
    let mut bed = Bed::new(file);
    bed.deploy_with("v1", &[]);
    quiet_since(&mut bed, Some(0));
    bed.pass(Span::from_secs(3_600));
    bed.deploy_with("v2", &["a"]);
    bed.schema_stays = true;
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.app.releases[0].waiting.as_ref().unwrap().reason, crate::wait::CONTRACT);
    assert_eq!(backups(&bed), 1);
    bed
}

fn backups(bed: &Bed) -> usize {
    let attempts = bed.app.releases[0].attempts.iter();
    attempts.filter(|attempt| matches!(attempt.what, Attempt::Backup { .. })).count()
}

/// The contract goes on with a backup of its own, and with no older one.
fn goes_on_with_a_backup_of_now(mut bed: Bed) {
    bed.schema_stays = false;
    bed.pass(Span::from_secs(30));
    assert_eq!((bed.known().as_str(), backups(&bed)), ("a expanded", 2));
    let attempt = bed.running();
    bed.end(attempt, AttemptResult::Passed { output: Vec::new() });
    bed.run();
    assert_eq!(bed.known(), "a contracted");
}

#[test]
fn a_contract_that_waited_for_a_newer_release_is_preceded_by_another_backup() {
    let mut bed = contracting();
    bed.boots_forever = true;
    bed.deploy_with("v3", &["a"]);
    bed.attempts_hang = true;
    assert_eq!(bed.app.releases[0].waiting.as_ref().unwrap().reason, crate::wait::NEWER);
    bed.pass(Span::from_secs(20));
    bed.command(Command::Abort { release: ReleaseId(3) }).unwrap();
    goes_on_with_a_backup_of_now(bed);
}

#[test]
fn a_contract_that_waited_for_its_database_is_preceded_by_another_backup() {
    let mut bed = contracting();
    bed.attempts_hang = true;
    let schema = bed.seen.schema.take();
    bed.pass(Span::from_secs(1_800));
    bed.seen.schema = schema;
    bed.set_now(bed.now);
    goes_on_with_a_backup_of_now(bed);
}

#[test]
fn a_backup_that_ends_while_the_old_version_is_used_again_is_not_the_last() {
    let mut bed = contracting();
    let schema = bed.seen.schema.take();
    bed.pass(Span::from_secs(60));
    bed.seen.schema = schema;
    bed.attempts_hang = true;
    bed.set_now(bed.now);
    bed.run();
    let attempt = bed.running();
    quiet_since(&mut bed, None);
    bed.pass(Span::from_secs(60));
    bed.end(attempt, AttemptResult::Passed { output: Vec::new() });
    bed.schema_stays = false;
    bed.pass(Span::from_secs(60));
    let now = bed.now.as_micros();
    quiet_since(&mut bed, Some(now));
    bed.pass(Span::from_secs(30));
    assert_eq!((bed.known().as_str(), backups(&bed)), ("a expanded", 3));
}

#[test]
fn a_restore_point_is_set_before_the_switch_and_stands_in_the_receipt() {
    let mut file = file_with_database();
    file.database.as_mut().unwrap().restore_point = true;
    let mut bed = Bed::new(file);
    let release = bed.deploy_with("v1", &[]);
    let story = bed.story();
    let (point, shift) = (story.find("1: restore point release-1").unwrap(), story.find("1: shift").unwrap());
    assert!(point < shift, "{story}");
    assert_eq!(bed.app.release(release).unwrap().restore_point.as_ref().unwrap().lsn.as_deref(), Some("0/1"));
}

#[test]
fn a_superseded_expand_is_gone_on_with_by_the_next_release() {
    let mut bed = bed();
    bed.schema_stays = true;
    bed.deploy_with("v2", &["a"]);
    let newer = bed.deploy_with("v3", &["a", "b"]);
    assert!(matches!(bed.app.any_release(ReleaseId(newer.0 - 1)).unwrap().outcome, Some(Outcome::Superseded { .. })));
    bed.schema_stays = false;
    bed.pass(Span::from_secs(1));
    assert_eq!(bed.known(), "a expanded, b expanded");
    assert_eq!(bed.served().unwrap().1, RevisionId(3));
}
