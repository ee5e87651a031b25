//! Rows are brought in step once each, whatever breaks a backfill off, and nobody waits for it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use std::io::BufRead as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use bed::{Bed, migration, run};
use switchover_migration::Ident;
use switchover_postgres::{MigrateError, Migrator, Phase, Progress, Settings};
use switchover_testkit::postgres::{Durability, Major, Server, Session};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

const ROWS: u64 = 30_000;
const USERS: &str = "
CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL);
INSERT INTO users SELECT n, 'First' || n || ' Last' || n FROM generate_series(1, 30000) AS n;
ANALYZE users;
";
const SPLIT: &str = "
operations:
  - add_column: {table: users, up: \"split_part(name, ' ', 1)\", column: {name: first, type: text, nullable: false}}
  - add_column: {table: users, up: \"split_part(name, ' ', 2)\", column: {name: last, type: text, nullable: false}}
  - drop_column: {table: users, column: name, down: \"first || ' ' || last\"}
";
const HALF_FILLED: &str = "SELECT count(*) FROM users WHERE _switchover_1_mark IS NOT NULL
    AND (first IS DISTINCT FROM split_part(name, ' ', 1) OR last IS DISTINCT FROM split_part(name, ' ', 2))";
const UNFILLED: &str = "SELECT count(*) FROM users WHERE _switchover_1_mark IS NULL";
/// So slow that a test can do something meanwhile.
const SLOW: Settings = Settings { backfill_rate: Some(15_000), ..SETTINGS };
const SLOWER: Settings = Settings { backfill_rate: Some(3_000), ..SETTINGS };
const SETTINGS: Settings = Settings {
    lock_timeout: Duration::from_secs(60),
    backfill_timeout: Duration::from_secs(600),
    backfill_rate: None,
    backfill_lag: Settings::BACKFILL_LAG,
    old_rows: switchover_model::config::OldRows::Refuse,
    attic: Settings::ATTIC,
    epoch: None,
};
const URL_OF_CHILD: &str = "BACKFILL_TEST_URL";

/// An expand on its way, and what it tells.
struct Expanding {
    told: UnboundedReceiver<Progress>,
    ends: JoinHandle<Result<Phase, MigrateError>>,
}

impl Expanding {
    async fn begin(url: &str, settings: Settings) -> Self {
        let mut migrator = Migrator::connect(url, Ident::new("public").unwrap(), settings).await.unwrap();
        let (tell, told) = unbounded_channel();
        let ends = tokio::spawn(async move {
            let mut tell = move |progress| drop(tell.send(progress));
            migrator.expand(&migration("01_split", SPLIT), &mut tell).await.map(|applied| applied.phase)
        });
        Self { told, ends }
    }

    /// Waits until something is told for which `is_it` holds.
    async fn until(&mut self, mut is_it: impl FnMut(&Progress) -> bool) -> Progress {
        loop {
            let progress = tokio::time::timeout(Duration::from_secs(60), self.told.recv()).await;
            let progress = progress.expect("it is told in time").expect("it is told before the end");
            if is_it(&progress) {
                return progress;
            }
        }
    }

    async fn until_rows(&mut self, least: u64) {
        self.until(|progress| matches!(progress, Progress::Backfilled { done, .. } if done.rows >= least)).await;
    }

    async fn end(self) -> Result<Phase, MigrateError> {
        self.ends.await.unwrap()
    }
}

#[test]
fn a_killed_tool_goes_on_behind_its_cursor_and_writes_no_row_twice() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, USERS).await else { return };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "expands_in_a_process_of_its_own", "--ignored", "--nocapture"])
            .env(URL_OF_CHILD, &bed.url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let rows = lines.filter_map(|line| line.strip_prefix("rows ")?.parse::<u64>().ok());
        assert!(rows.into_iter().any(|rows| rows >= ROWS / 3), "the child fills rows");
        child.kill().unwrap();
        child.wait().unwrap();
        let mut migrator = bed.migrator().await;
        assert_eq!(bed.told(HALF_FILLED).await, "0", "a row is marked when all of it is filled");
        let at: u64 = bed.told("SELECT at_block FROM switchover.backfill").await.parse().unwrap();
        let left: u64 = bed.told(UNFILLED).await.parse().unwrap();
        assert!(at > 0 && left > 0, "the kill came in the middle: block {at}, {left} rows left");
        // So that they stay on their page.
        bed.session.batch_execute("VACUUM users").await.unwrap();
        // Before the cursor a few rows lose what they have got: who does not know the cursor would fill them first.
        bed.session
            .batch_execute(&format!(
                "CREATE TABLE few AS SELECT id FROM users WHERE _switchover_1_mark IS NOT NULL AND ctid < '({at},0)' ORDER BY ctid LIMIT 3;
                 CREATE TABLE before AS SELECT id, xmin::text::bigint AS by FROM users
                  WHERE _switchover_1_mark IS NOT NULL AND id NOT IN (SELECT id FROM few);
                 SET switchover.backfill = 'on';
                 UPDATE users SET _switchover_1_mark = NULL WHERE id IN (SELECT id FROM few);"
            ))
            .await
            .unwrap();
        let lost = format!("FROM users WHERE _switchover_1_mark IS NULL AND ctid < '({at},0)'");
        bed.session.batch_execute(&format!("CREATE TABLE lost AS SELECT id {lost}")).await.unwrap();
        assert_ne!(bed.told("SELECT count(*) FROM lost").await, "0");
        let applied = migrator.expand(&migration("01_split", SPLIT), &mut |_| {}).await.unwrap();
        assert_eq!(applied.phase, Phase::Expanded);
        assert_eq!((bed.told(UNFILLED).await, bed.told(HALF_FILLED).await), ("0".to_owned(), "0".to_owned()));
        let again = "SELECT count(*) FROM before JOIN users USING (id) WHERE users.xmin::text::bigint <> by";
        assert_eq!(bed.told(again).await, "0", "no row is written twice");
        let order = "SELECT min(xmin::text::bigint) FILTER (WHERE id IN (SELECT id FROM lost))
                          > max(xmin::text::bigint) FILTER (WHERE id NOT IN (SELECT id FROM lost UNION SELECT id FROM before)
                                                              AND id > 1000) FROM users";
        assert_eq!(bed.told(order).await, "t", "what is behind the cursor comes first");
    });
}

/// Not a test of its own: what [`a_killed_tool_goes_on_behind_its_cursor_and_writes_no_row_twice`] kills.
#[test]
#[ignore = "a part of another test"]
fn expands_in_a_process_of_its_own() {
    let Ok(url) = std::env::var(URL_OF_CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut expanding = Expanding::begin(&url, SLOW).await;
        while let Some(progress) = expanding.told.recv().await {
            if let Progress::Backfilled { done, .. } = progress {
                println!("rows {}", done.rows);
            }
        }
    });
}

#[test]
fn a_locked_row_holds_nothing_up_but_itself_and_who_has_it_is_named() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, USERS).await else { return };
        let mut expanding = Expanding::begin(&bed.url, SLOW).await;
        expanding.until_rows(1).await;
        bed.session.batch_execute("BEGIN; SELECT FROM users WHERE id = 25000 FOR UPDATE").await.unwrap();
        let held = expanding.until(|progress| matches!(progress, Progress::HeldUp { .. })).await;
        let Progress::HeldUp { by, .. } = held else { panic!("{held:?}") };
        assert!(by.contains("(testkit), idle in transaction"), "{by}");
        assert_eq!(bed.told(UNFILLED).await, "1");
        bed.session.batch_execute("COMMIT").await.unwrap();
        assert_eq!(expanding.end().await.unwrap(), Phase::Expanded);
        assert_eq!(bed.told(HALF_FILLED).await, "0");
    });
}

#[test]
fn no_order_of_rows_makes_an_application_wait_or_a_deadlock_victim() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, USERS).await else { return };
        let application = Session::open(&bed.url).await;
        application.batch_execute("SET deadlock_timeout = '1ms'; SET statement_timeout = '5s'").await.unwrap();
        let mut expanding = Expanding::begin(&bed.url, SLOW).await;
        expanding.until_rows(1).await;
        let mut transactions = 0_u64;
        while !expanding.ends.is_finished() {
            let keys = [3, 1, 2].map(|part| 1 + (transactions * 7_919 + part * 11) % ROWS);
            let update =
                |key: &u64| format!("UPDATE users SET name = 'A' || id || ' B{transactions}' WHERE id = {key};");
            let updates: String = keys.iter().map(update).collect();
            application.batch_execute(&format!("BEGIN; {updates} COMMIT")).await.unwrap();
            transactions += 1;
        }
        assert_eq!(expanding.end().await.unwrap(), Phase::Expanded);
        assert!(transactions > 100, "{transactions}");
        assert_eq!((bed.told(UNFILLED).await, bed.told(HALF_FILLED).await), ("0".to_owned(), "0".to_owned()));
    });
}

#[test]
fn rows_that_a_write_has_brought_in_step_are_not_written_again() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, USERS).await else { return };
        let mut expanding = Expanding::begin(&bed.url, SLOW).await;
        expanding.until_rows(1).await;
        bed.session
            .batch_execute(
                "UPDATE users SET name = 'New ' || id WHERE id > 29900;
                 CREATE TABLE before AS SELECT id, xmin::text AS by FROM users WHERE id > 29900",
            )
            .await
            .unwrap();
        assert_eq!(expanding.end().await.unwrap(), Phase::Expanded);
        let again = "SELECT count(*) FROM before JOIN users USING (id) WHERE users.xmin::text <> by OR first <> 'New'";
        assert_eq!(bed.told(again).await, "0");
    });
}

#[test]
fn a_full_disk_keeps_what_is_filled_and_rows_that_were_moved_meanwhile_are_found() {
    let full = "
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full';
END $$;
CREATE TRIGGER full_disk BEFORE UPDATE ON users FOR EACH ROW WHEN (OLD.id = 20000) EXECUTE FUNCTION full_disk();
";
    run(|major| async move {
        let Some(bed) = Bed::new(major, USERS).await else { return };
        bed.session.batch_execute(full).await.unwrap();
        // However fast the machine is: no batch takes more rows than a step of the rate.
        let failed = Expanding::begin(&bed.url, SLOWER).await.end().await;
        assert!(matches!(&failed, Err(error) if !matches!(error, MigrateError::TakenBack { .. })), "{failed:?}");
        let left: u64 = bed.told(UNFILLED).await.parse().unwrap();
        assert!(left > 0 && left < ROWS / 2 && bed.told(HALF_FILLED).await == "0", "{left} rows are left");
        // Rows are elsewhere now: the cursor is past some of them.
        bed.session.batch_execute("DROP TRIGGER full_disk ON users").await.unwrap();
        bed.session
            .batch_execute("CREATE INDEX by_id_down ON users (id DESC); CLUSTER users USING by_id_down")
            .await
            .unwrap();
        bed.expand("01_split", SPLIT).await.unwrap();
        assert_eq!((bed.told(UNFILLED).await, bed.told(HALF_FILLED).await), ("0".to_owned(), "0".to_owned()));
    });
}

#[test]
fn a_server_that_goes_down_keeps_what_is_filled() {
    run(|major| async move {
        let Some(mut server) = Server::start(major, Durability::Fast) else { return };
        let url = server.create_database().await;
        Session::open(&url).await.batch_execute(USERS).await.unwrap();
        let mut expanding = Expanding::begin(&url, SLOW).await;
        expanding.until_rows(ROWS / 2).await;
        server.kill_9();
        let failed = expanding.end().await;
        assert!(matches!(&failed, Err(error) if !matches!(error, MigrateError::TakenBack { .. })), "{failed:?}");
        server.start_again();
        let session = Session::open(&url).await;
        let told = async |query: &str| session.column(query).await.unwrap()[0].clone().unwrap();
        assert_eq!(told(HALF_FILLED).await, "0");
        session
            .batch_execute(
                "CREATE TABLE before AS SELECT id, xmin::text AS by FROM users WHERE _switchover_1_mark IS NOT NULL",
            )
            .await
            .unwrap();
        assert_ne!(told("SELECT count(*) FROM before").await, "0");
        assert_eq!(Expanding::begin(&url, SETTINGS).await.end().await.unwrap(), Phase::Expanded);
        let again = "SELECT count(*) FROM before JOIN users USING (id) WHERE users.xmin::text <> by";
        assert_eq!((told(again).await, told(UNFILLED).await), ("0".to_owned(), "0".to_owned()));
    });
}

#[test]
fn rows_wait_for_a_standby_that_is_too_far_behind_and_it_is_said_which_one() {
    run(|major: Major| async move {
        let Some(server) = Server::start(major, Durability::Fast) else { return };
        let url = server.create_database().await;
        let session = Session::open(&url).await;
        session.batch_execute(USERS).await.unwrap();
        let standby = server.standby("far_away").await;
        let on_standby = Session::open(&standby.url("postgres")).await;
        on_standby.batch_execute("SELECT pg_wal_replay_pause()").await.unwrap();
        let settings = Settings { backfill_lag: Duration::from_millis(400), backfill_rate: Some(5_000), ..SETTINGS };
        let mut expanding = Expanding::begin(&url, settings).await;
        let is_held = |progress: &Progress| matches!(progress, Progress::HeldUp { .. });
        let held = expanding.until(is_held).await;
        let Progress::HeldUp { by, .. } = held else { panic!("{held:?}") };
        assert!(by.starts_with("standby far_away is ") && by.ends_with("at most 0.4 s is allowed"), "{by}");
        let left = session.column(UNFILLED).await.unwrap();
        expanding.until(is_held).await;
        expanding.until(is_held).await;
        assert_eq!(session.column(UNFILLED).await.unwrap(), left, "nothing is filled meanwhile");
        assert_ne!(left, [Some("0".to_owned())]);
        on_standby.batch_execute("SELECT pg_wal_replay_resume()").await.unwrap();
        assert_eq!(expanding.end().await.unwrap(), Phase::Expanded);
        assert_eq!(session.column(UNFILLED).await.unwrap(), [Some("0".to_owned())]);
    });
}

#[test]
fn a_row_for_which_a_value_can_not_be_computed_is_named() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, "CREATE TABLE t (id int PRIMARY KEY, age int); INSERT INTO t SELECT n, n % 50 FROM generate_series(1, 99) AS n;").await else { return };
        let text = "operations:\n  - add_column: { table: t, up: \"100 / age\", column: { name: part, type: int } }\n";
        let Err(MigrateError::TakenBack { why, .. }) = bed.expand("01_part", text).await else {
            panic!("it was expanded")
        };
        let MigrateError::Found { keys, means, .. } = *why else { panic!("{why:?}") };
        assert!(keys == ["50"] && means.contains("division by zero"), "{keys:?}: {means}");
    });
}
