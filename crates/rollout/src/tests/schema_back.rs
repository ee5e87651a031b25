//! The way back to a revision whose slot is retired, with a database in trouble: what the bad release did to the data, and
//! who can not be asked, are no reason to stay with the bad release.

use expect_test::expect;
use switchover_model::release::{Command, Outcome};
use switchover_model::schema::{Found, MigrationPhase};
use switchover_model::seam::Phase;
use switchover_model::{ReleaseId, RevisionId, Slot, Span};

use super::bed::{BACK, Bed};
use super::schema::{find, quiet_since, with_invariant};
use super::schema_bed::file_with_database;

/// `r1` with `old` and `r2` with `new` were released one after the other; the slot of `r1` is retired, contract is done.
fn retired(mut bed: Bed, old: &[&'static str], new: &[&'static str]) -> Bed {
    quiet_since(&mut bed, Some(0));
    bed.deploy_with("old", old);
    bed.pass(Span::from_secs(3_600));
    bed.deploy_with("new", new);
    bed.pass(Span::from_secs(3_600));
    assert!(bed.app.releases.is_empty(), "both are settled");
    bed.log.clear();
    bed
}

fn broken() -> Found {
    Found::Broken { keys: vec!["17".into()] }
}

fn unknown() -> Found {
    Found::Unknown { why: "it took too long".into() }
}

#[test]
fn an_invariant_that_the_bad_release_broke_is_noted_and_holds_up_no_return() {
    let mut bed = retired(with_invariant(Found::Holds), &[], &["a"]);
    let back_to = bed.served().unwrap().1.0 - 1;
    find(&mut bed, broken());
    bed.command(BACK).unwrap();
    assert_eq!(bed.served().unwrap().1, RevisionId(back_to));
    bed.pass(Span::from_secs(3_600));
    expect![[r#"
        rollback asked for
        4: opened with r2
        4: expand
        schema: restore a
        4: provision in green
        4: verify in green
        note INVARIANT-BROKEN
        4: shift in green
        routes 4: [r2 in green]
        routes 4 in force
        blue drained, 0 left
        4: workers to green
        4: switched
        4: bake
        4: succeeded, proven: false
        4: retire
        blue told to stop
        blue empty
        4: settled
    "#]]
    .assert_eq(&bed.story());
}

#[test]
fn an_invariant_that_breaks_in_the_bake_of_a_return_leads_nothing_back_to_the_bad_release() {
    let mut bed = retired(with_invariant(Found::Holds), &[], &[]);
    let back_to = bed.served().unwrap().1.0 - 1;
    bed.command(BACK).unwrap();
    bed.log.clear();
    find(&mut bed, broken());
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.served().unwrap().1, RevisionId(back_to));
    let story = bed.story();
    assert_eq!(story.matches("note INVARIANT-BROKEN").count(), 1, "{story}");
    assert!(!story.contains("undoing"), "{story}");
}

#[test]
fn an_invariant_of_which_nothing_is_known_holds_up_no_return() {
    let mut bed = retired(with_invariant(Found::Holds), &[], &[]);
    let back_to = bed.served().unwrap().1.0 - 1;
    find(&mut bed, unknown());
    bed.command(BACK).unwrap();
    assert_eq!(bed.served().unwrap().1, RevisionId(back_to));
    bed.pass(Span::from_secs(3_600));
    assert!(bed.story().contains("4: succeeded, proven: false"));
}

#[test]
fn a_database_that_can_not_be_asked_holds_a_return_up_for_seconds() {
    let mut bed = retired(Bed::new(file_with_database()), &["a"], &["a"]);
    bed.seen.schema = None;
    bed.command(BACK).unwrap();
    assert_eq!(bed.served().unwrap().1, RevisionId(2), "it may just not have been seen yet");
    bed.pass(Span::from_secs(11));
    assert_eq!(bed.served().unwrap().1, RevisionId(1));
    bed.pass(Span::from_secs(3_600));
    assert!(matches!(bed.outcome(ReleaseId(3)), Some(Outcome::Succeeded { .. })), "{}", bed.story());
}

#[test]
fn a_return_that_waits_for_its_slot_with_the_database_unseen_does_not_begin_its_waits_anew() {
    let mut bed = retired(Bed::new(file_with_database()), &["a"], &["a"]);
    bed.stops_slowly = true;
    bed.deploy_with("newer", &["a"]);
    bed.seen.schema = None;
    bed.command(Command::Rollback { to: Some(RevisionId(1)), release: None, detach: false }).unwrap();
    let waits =
        |bed: &Bed| bed.records.iter().filter(|record| format!("{:?}", record.event).starts_with("Waiting")).count();
    bed.pass(Span::from_secs(10));
    let before = waits(&bed);
    bed.pass(Span::from_secs(60));
    assert!(waits(&bed) <= before + 2, "{before}, then {}", waits(&bed));
}

#[test]
fn a_return_waits_for_no_restore_point_of_a_database_that_can_not_be_asked() {
    let mut file = file_with_database();
    file.database.as_mut().unwrap().restore_point = true;
    let mut bed = retired(Bed::new(file), &["a"], &["a"]);
    bed.seen.schema = None;
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(11));
    assert_eq!(bed.served().unwrap().1, RevisionId(1));
    let point = bed.app.release(ReleaseId(3)).unwrap().restore_point.clone().expect("what became of it is told");
    expect!["the database could not be asked"].assert_eq(&point.why_not.unwrap());
}

#[test]
fn what_is_in_the_attic_is_needed_from_the_database_before_a_return() {
    let mut bed = retired(Bed::new(file_with_database()), &[], &["a"]);
    let schema = bed.seen.schema.take();
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(60));
    assert_eq!(bed.served().unwrap().1, RevisionId(2), "r1 can not run on what contract has left");
    bed.seen.schema = schema;
    bed.set_now(bed.now);
    bed.run();
    assert_eq!(bed.served().unwrap().1, RevisionId(1));
    assert!(bed.story().contains("schema: restore a"));
}

#[test]
fn a_return_that_needs_a_database_which_stays_away_says_so() {
    let mut bed = retired(Bed::new(file_with_database()), &[], &["a"]);
    bed.seen.schema = None;
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(600));
    assert!(bed.story().contains("3: undoing, DATABASE-UNKNOWN"));
    assert_eq!(bed.served().unwrap().1, RevisionId(2));
}

#[test]
fn a_contract_that_has_not_begun_is_in_nobodys_way_back() {
    let mut bed = Bed::new(file_with_database());
    quiet_since(&mut bed, Some(0));
    bed.deploy_with("old", &[]);
    bed.pass(Span::from_secs(3_600));
    bed.deploy_with("new", &["a"]);
    quiet_since(&mut bed, None);
    bed.pass(Span::from_secs(3_600));
    assert_eq!(bed.known(), "a expanded");
    bed.seen.schema = None;
    bed.command(BACK).unwrap();
    bed.pass(Span::from_secs(11));
    assert_eq!(bed.served().unwrap().1, RevisionId(1));
}

#[test]
fn a_return_is_not_led_to_what_the_schema_was_seen_not_to_serve() {
    let mut bed = retired(Bed::new(file_with_database()), &["a"], &["a"]);
    bed.boots_forever = true;
    bed.command(BACK).unwrap();
    bed.schema_stays = true;
    bed.seen.schema.as_mut().unwrap().migrations[0].phase = MigrationPhase::Undoing;
    bed.boots_forever = false;
    let now = bed.now;
    bed.instances_mut().iter_mut().for_each(|seen| seen.phase = Phase::Healthy { since: now });
    bed.pass(Span::from_secs(10));
    // Not seen any more, it is not forgotten what was seen.
    bed.seen.schema = None;
    bed.pass(Span::from_secs(60));
    assert_eq!(bed.served().unwrap().1, RevisionId(2));
    bed.pass(Span::from_secs(600));
    assert!(bed.story().contains("3: undoing, SCHEMA-NOT-SERVED"));
}

#[test]
fn a_release_that_is_undone_from_its_contract_goes_back_and_leaves_its_slot_empty() {
    for is_superseded in [false, true] {
        let mut bed = Bed::new(file_with_database());
        bed.deploy_with("v1", &[]);
        bed.pass(Span::from_secs(3_600));
        let release = bed.deploy_with("v2", &["a"]);
        quiet_since(&mut bed, None);
        bed.pass(Span::from_secs(3_600));
        assert_eq!(bed.app.slot(Slot::Blue).revision, None, "the contract waits, and nothing old is left");
        // Somebody has it started again, and somebody else takes the release back meanwhile.
        bed.boots_forever = true;
        bed.command(Command::Rollback { to: Some(RevisionId(1)), release: None, detach: false }).unwrap();
        bed.command(Command::Abort { release }).unwrap();
        if is_superseded {
            // A newer deploy gives up what was to start it; it is needed all the same.
            bed.deploy_with("v3", &["a"]);
        }
        let now = bed.now;
        bed.make(Slot::Blue, &Phase::Healthy { since: now });
        bed.run();
        assert_eq!(bed.served(), Some((Slot::Blue, RevisionId(1))), "superseded: {is_superseded}");
        if !is_superseded {
            bed.pass(Span::from_secs(600));
            assert_eq!(bed.app.slot(Slot::Green).revision, None, "{}", bed.story());
        }
    }
}
