//! The journal's promises: whole and durable appends, one writer, a chain that shows every change, old records read.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails here fails the test; a child tells by printing"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command as Process, Stdio};

use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use switchover_journal::{AppendError, Journal as _, LockError, OpenError, Snapshot, SqliteJournal, Verified};
use switchover_model::record::{Actor, Draft, Event, IdempotencyKey, Record};
use switchover_model::release::Command;
use switchover_model::{AppName, Problem, ReleaseId, Timestamp};

/// Set in a child process: what it shall do, and where.
const CHILD: &str = "SWITCHOVER_JOURNAL_TEST_CHILD";
/// Small, so that a small disk can be filled.
const SMALL_RESERVE: u64 = 2 * 1024 * 1024;

fn shop() -> AppName {
    "shop".parse().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn note(text: &str) -> Draft {
    let problem = Problem::new("NOTE", text, "Nothing.");
    Draft {
        at: Timestamp::from_micros(7),
        actor: Actor::Controller,
        event: Event::Noted { release: Some(ReleaseId(1)), problem },
    }
}

fn commanded(command: Command) -> Draft {
    let key = IdempotencyKey("k".to_owned());
    let actor = Actor::Operator { uid: 1000, name: None };
    Draft { at: Timestamp::from_micros(8), actor, event: Event::Commanded { key, command } }
}

/// Runs this test binary's test `name` in another process, which finds `directory` in [`CHILD`].
fn child(name: &str, directory: &Path) -> Process {
    let mut process = Process::new(std::env::current_exe().unwrap());
    process.args(["--exact", name, "--nocapture"]).env(CHILD, directory);
    process
}

#[test]
fn what_was_appended_is_read_back_after_reopening() {
    let state = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let journal = SqliteJournal::open(state.path()).unwrap();
        let first = journal.append(&shop(), 0, &[note("a"), note("b")]).await.unwrap();
        assert_eq!(first.iter().map(|record| record.sequence).collect::<Vec<_>>(), [1, 2]);
        journal.append(&"blog".parse().unwrap(), 0, &[note("c")]).await.unwrap();
        drop(journal);
        let journal = SqliteJournal::open(state.path()).unwrap();
        assert_eq!(journal.read(&shop(), 0, usize::MAX).await.unwrap(), first);
        assert_eq!(journal.read(&shop(), 1, usize::MAX).await.unwrap(), first[1..]);
        assert_eq!(journal.read(&shop(), 0, 1).await.unwrap(), first[..1], "no more than is asked for");
        assert_eq!(journal.apps().await.unwrap(), ["blog".parse().unwrap(), shop()]);
        assert!(matches!(journal.verify(&shop()).await.unwrap(), Verified::Whole { records: 2, .. }));
    });
}

#[test]
fn of_two_appends_that_expect_the_same_record_one_is_refused_whole() {
    let state = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let journal = SqliteJournal::open(state.path()).unwrap();
        journal.append(&shop(), 0, &[note("a")]).await.unwrap();
        let late = journal.append(&shop(), 0, &[note("b"), note("c")]).await;
        assert_eq!(late, Err(AppendError::Conflict { expected: 0, found: 1 }));
        assert_eq!(journal.read(&shop(), 0, usize::MAX).await.unwrap().len(), 1);
    });
}

#[test]
fn a_second_controller_is_refused_and_told_who_is_first() {
    let state = tempfile::tempdir().unwrap();
    let first = SqliteJournal::open(state.path()).unwrap();
    match SqliteJournal::open(state.path()) {
        Err(error @ OpenError::Lock(LockError::AlreadyRunning { .. })) => {
            assert_eq!(error.problem().code, "ALREADY-RUNNING");
            assert!(error.problem().cause.contains(&std::process::id().to_string()), "{error}");
        }
        other => panic!("{other:?}"),
    }
    drop(first);
    SqliteJournal::open(state.path()).unwrap();
}

#[test]
fn a_state_directory_that_can_not_be_made_is_said_so() {
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join("file"), "").unwrap();
    let error = SqliteJournal::open(&state.path().join("file/state")).unwrap_err();
    assert_eq!(error.problem().code, "STATE-NOT-WRITABLE");
}

#[test]
fn records_can_not_be_changed_removed_or_skipped_through_sql() {
    let state = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let journal = SqliteJournal::open(state.path()).unwrap();
        journal.append(&shop(), 0, &[note("a")]).await.unwrap();
    });
    let connection = Connection::open(state.path().join("journal.sqlite")).unwrap();
    for statement in [
        "UPDATE records SET at = 1",
        "DELETE FROM records",
        "INSERT INTO records SELECT app, sequence + 2, at, actor, release, event, previous, hash FROM records",
        "INSERT OR REPLACE INTO records SELECT app, sequence, 1, actor, release, event, previous, hash FROM records",
    ] {
        assert!(connection.execute(statement, []).is_err(), "{statement}");
    }
}

#[test]
fn verify_names_the_first_record_that_was_tampered_with() {
    let state = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let journal = SqliteJournal::open(state.path()).unwrap();
        journal.append(&shop(), 0, &[note("a"), note("b"), note("c")]).await.unwrap();
        let connection = Connection::open(state.path().join("journal.sqlite")).unwrap();
        connection
            .execute_batch(
                "DROP TRIGGER records_are_not_changed;
                 UPDATE records SET event = replace(event, '\"b\"', '\"x\"') WHERE sequence = 2;",
            )
            .unwrap();
        match journal.verify(&shop()).await.unwrap() {
            Verified::Broken(broken) => assert_eq!(broken.sequence, 2),
            whole @ Verified::Whole { .. } => panic!("{whole:?}"),
        }
    });
}

#[test]
fn a_snapshot_is_used_only_by_its_program_and_with_its_record() {
    let state = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let journal = SqliteJournal::open(state.path()).unwrap();
        journal.append(&shop(), 0, &[note("a"), note("b")]).await.unwrap();
        let snapshot = Snapshot { program: "1.0".to_owned(), sequence: 2, state: "{}".to_owned() };
        journal.store_snapshot(&shop(), snapshot.clone()).await.unwrap();
        assert_eq!(journal.snapshot(&shop(), "1.0").await.unwrap(), Some(snapshot));
        assert_eq!(journal.snapshot(&shop(), "1.1").await.unwrap(), None);
        let connection = Connection::open(state.path().join("journal.sqlite")).unwrap();
        connection.execute("UPDATE snapshots SET hash = zeroblob(32)", []).unwrap();
        assert_eq!(journal.snapshot(&shop(), "1.0").await.unwrap(), None);
    });
}

#[test]
fn records_of_older_versions_are_read() {
    let golden = include_str!("golden/records.jsonl");
    let records: Vec<Record> = golden.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 12);
    let Event::Opened { ledger, .. } = &records[1].event else { panic!("{:?}", records[1]) };
    assert!(ledger.is_none(), "an absent field has its default");
    let state = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let journal = SqliteJournal::open(state.path()).unwrap();
        let drafts: Vec<Draft> = records
            .iter()
            .map(|record| Draft { at: record.at, actor: record.actor.clone(), event: record.event.clone() })
            .collect();
        journal.append(&shop(), 0, &drafts).await.unwrap();
        assert_eq!(journal.read(&shop(), 0, usize::MAX).await.unwrap(), records);
    });
}

#[test]
fn a_record_that_was_tampered_with_is_named_and_not_read() {
    for (tampering, first_broken) in [
        ("UPDATE records SET event = replace(event, '\"b\"', '\"x\"') WHERE sequence = 2", 2),
        ("UPDATE records SET at = at + 1 WHERE sequence = 3", 3),
        ("UPDATE records SET previous = zeroblob(32) WHERE sequence = 2", 2),
        ("UPDATE records SET hash = zeroblob(32) WHERE sequence = 2", 2),
        ("DELETE FROM records WHERE sequence = 2", 3),
    ] {
        let state = tempfile::tempdir().unwrap();
        runtime().block_on(async {
            let journal = SqliteJournal::open(state.path()).unwrap();
            journal.append(&shop(), 0, &[note("a"), note("b"), note("c")]).await.unwrap();
            let connection = Connection::open(state.path().join("journal.sqlite")).unwrap();
            let triggers = "DROP TRIGGER records_are_not_changed; DROP TRIGGER records_are_not_removed;";
            connection.execute_batch(&format!("{triggers} {tampering}")).unwrap();
            let error = journal.read(&shop(), 0, usize::MAX).await.unwrap_err();
            assert_eq!(error.problem().code, "JOURNAL-UNREADABLE");
            assert!(error.to_string().contains(&format!("record {first_broken} ")), "{tampering}: {error}");
            // On from a snapshot at record 1: the first record that is read is checked against the stored one.
            assert_eq!(journal.read(&shop(), 1, usize::MAX).await.unwrap_err(), error, "{tampering}");
            assert!(journal.read(&shop(), 0, 1).await.is_ok(), "what comes before is whole");
        });
    }
}

#[test]
fn a_record_that_is_not_understood_is_named() {
    let state = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let journal = SqliteJournal::open(state.path()).unwrap();
        journal.append(&shop(), 0, &[note("a")]).await.unwrap();
        let connection = Connection::open(state.path().join("journal.sqlite")).unwrap();
        let (app, event) = ("shop", "{\"event\":\"from-the-future\"}");
        let actor: String = connection.query_row("SELECT actor FROM records", [], |row| row.get(0)).unwrap();
        let first: [u8; 32] = connection.query_row("SELECT hash FROM records", [], |row| row.get(0)).unwrap();
        // A newer version's record is chained like any other.
        let mut sha = Sha256::new();
        sha.update(first);
        let parts: [&[u8]; 6] = [
            app.as_bytes(),
            &2_i64.to_le_bytes(),
            &9_i64.to_le_bytes(),
            actor.as_bytes(),
            &(-1_i64).to_le_bytes(),
            event.as_bytes(),
        ];
        for part in parts {
            sha.update((part.len() as u64).to_le_bytes());
            sha.update(part);
        }
        let hash: [u8; 32] = sha.finalize().into();
        connection
            .execute(
                "INSERT INTO records VALUES (?1, 2, 9, ?2, NULL, ?3, ?4, ?5)",
                rusqlite::params![app, actor, event, first, hash],
            )
            .unwrap();
        let error = journal.read(&shop(), 0, usize::MAX).await.unwrap_err();
        assert_eq!(error.problem().code, "JOURNAL-UNREADABLE");
        assert!(error.to_string().contains("record 2") && error.to_string().contains("understood"), "{error}");
    });
}

#[test]
fn what_was_said_to_be_appended_survives_kill_9() {
    if let Some(directory) = std::env::var_os(CHILD) {
        // The child: appends pairs for ever, telling each sequence once it is durable.
        let journal = SqliteJournal::open(Path::new(&directory)).unwrap();
        runtime().block_on(async {
            let mut last = 0;
            loop {
                let written = journal.append(&shop(), last, &[note("a"), note("b")]).await.unwrap();
                last = written.last().unwrap().sequence;
                println!("durable {last}");
            }
        });
        return;
    }
    for kill_after in [1, 20, 57] {
        let state = tempfile::tempdir().unwrap();
        let mut child =
            child("what_was_said_to_be_appended_survives_kill_9", state.path()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told = lines.filter_map(|line| line.split("durable ").nth(1).map(str::to_owned)).take(kill_after).last();
        child.kill().unwrap();
        child.wait().unwrap();
        let told: u64 = told.unwrap().parse().unwrap();
        runtime().block_on(async {
            let journal = SqliteJournal::open(state.path()).unwrap();
            let found = journal.read(&shop(), 0, usize::MAX).await.unwrap().len() as u64;
            assert!(found >= told, "told {told}, found {found}");
            assert_eq!(found % 2, 0, "a batch is whole or not there");
            assert_eq!(journal.apps().await.unwrap(), [shop()]);
            assert!(matches!(journal.verify(&shop()).await.unwrap(), Verified::Whole { .. }));
        });
    }
}

#[test]
fn a_full_disk_forbids_a_deploy_but_not_going_back() {
    if let Some(directory) = std::env::var_os(CHILD) {
        // The child: alone on a small disk of its own.
        on_a_small_disk(Path::new(&directory));
        return;
    }
    let disk = tempfile::tempdir().unwrap();
    let test = child("a_full_disk_forbids_a_deploy_but_not_going_back", disk.path());
    let mut unshare = Process::new("unshare");
    unshare
        .args(["--mount", "--map-root-user", "sh", "-c"])
        .arg("mount -t tmpfs -o size=8m tmpfs \"$0\" && exec \"$@\"")
        .arg(disk.path())
        .arg(test.get_program())
        .args(test.get_args())
        .env(CHILD, disk.path());
    let output = unshare.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("went back"), "{output:?}");
}

fn on_a_small_disk(directory: &Path) {
    runtime().block_on(async {
        let journal = SqliteJournal::open_with_reserve(directory, SMALL_RESERVE).unwrap();
        let apply = serde_json::json!({"command": "promote", "release": 1, "stage": "approve"});
        let forward = commanded(serde_json::from_value(apply).unwrap());
        let back = commanded(Command::Rollback { to: None, release: None, detach: false });
        let mut last = journal.append(&shop(), 0, std::slice::from_ref(&forward)).await.unwrap().len() as u64;
        fill(directory);
        let refused = loop {
            match journal.append(&shop(), last, std::slice::from_ref(&forward)).await {
                Ok(written) => last += written.len() as u64,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, AppendError::DiskFull { .. }), "{refused:?}");
        assert!(directory.join("reserve").exists());
        for _ in 0..50 {
            last += journal.append(&shop(), last, &[back.clone(), note("going back")]).await.unwrap().len() as u64;
        }
        assert!(!directory.join("reserve").exists(), "the reserve was what made it possible");
        let refused = journal.append(&shop(), last, std::slice::from_ref(&forward)).await;
        assert!(matches!(refused, Err(AppendError::DiskFull { .. })), "nothing new draws on the reserve: {refused:?}");
        std::fs::remove_file(directory.join("filler")).unwrap();
        journal.append(&shop(), last, &[forward]).await.unwrap();
        assert!(directory.join("reserve").exists(), "it is kept again");
        let kept = || std::fs::metadata(directory.join("reserve")).map_or(0, |file| file.len());
        assert_eq!(kept(), SMALL_RESERVE);
        while journal.give_space().await {
            assert!(kept() < SMALL_RESERVE);
        }
        assert_eq!(kept(), 0, "all of it was given");
        journal.append(&shop(), last + 1, &[note("gone back")]).await.unwrap();
        assert_eq!(kept(), SMALL_RESERVE, "it is kept again");
        println!("went back");
    });
}

fn fill(directory: &Path) {
    use std::io::Write as _;
    let mut filler = std::fs::File::create(directory.join("filler")).unwrap();
    while filler.write_all(&[0; 1024]).is_ok() {}
}

#[test]
fn nothing_is_written_to_a_journal_whose_file_was_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    let (file, away) = (directory.path().join("journal.sqlite"), directory.path().join("away"));
    runtime().block_on(async {
        let journal = SqliteJournal::open_with_reserve(directory.path(), SMALL_RESERVE).unwrap();
        journal.append(&shop(), 0, &[note("kept")]).await.unwrap();
        std::fs::rename(&file, &away).unwrap();
        let refused = journal.append(&shop(), 1, &[note("lost")]).await;
        assert!(matches!(refused, Err(AppendError::NotWritable(_))), "{refused:?}");
        std::fs::rename(&away, &file).unwrap();
        journal.append(&shop(), 1, &[note("kept too")]).await.unwrap();
    });
}
