//! One migrator at a time; who lost its place changes nothing more. A database is adopted; what was done is told.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use bed::{Bed, SHOP, code, migration, run};
use switchover_migration::Ident;
use switchover_postgres::{MigrateError, Migrator, Phase, Settings};

const WIDEN: &str =
    "operations: [{alter_column: {table: users, column: age, type: bigint, up: age, down: age::integer}}]";

fn schema() -> Ident {
    Ident::new("public").unwrap()
}

#[test]
fn an_older_epoch_is_refused_and_what_it_had_begun_goes_no_further() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let with = |epoch| Settings { epoch: Some(epoch), ..Settings::default() };
        let mut old = Migrator::connect(&bed.url, schema(), with(4)).await.unwrap();
        // The newer one waits for the lock, and yet the older one is out from now on.
        let newer = Migrator::connect(&bed.url, schema(), with(5)).await;
        assert!(matches!(newer, Err(MigrateError::Busy(_))), "{newer:?}");
        let stopped = old.expand(&migration("01_widen", WIDEN), &mut |_| {}).await;
        assert!(matches!(stopped, Err(MigrateError::Replaced(_))), "{stopped:?}");
        assert!(bed.session.column("SELECT 1 FROM public_01_widen.users").await.is_err(), "nothing was made");
        drop(old);
        let mut newer = loop {
            match Migrator::connect(&bed.url, schema(), with(5)).await {
                Err(MigrateError::Busy(_)) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                connected => break connected.unwrap(),
            }
        };
        assert_eq!(code(Migrator::connect(&bed.url, schema(), with(4)).await), "EPOCH-OLD");
        assert_eq!(newer.expand(&migration("01_widen", WIDEN), &mut |_| {}).await.unwrap().phase, Phase::Expanded);
    });
}

#[test]
fn a_migrator_whose_turn_was_taken_is_stopped_at_its_next_step() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let mut migrator = bed.migrator().await;
        migrator.expand(&migration("01_widen", WIDEN), &mut |_| {}).await.unwrap();
        // As a pooler would do it, which gives the lock's session to another one.
        bed.session.batch_execute("UPDATE switchover.fence SET turn = turn + 1").await.unwrap();
        let stopped = migrator.contract(&mut |_| {}).await;
        assert!(matches!(stopped, Err(MigrateError::Replaced(_))), "{stopped:?}");
        assert_eq!(bed.told("SELECT pg_typeof(age) FROM public_base.users LIMIT 1").await, "integer");
    });
}

#[test]
fn a_database_that_takes_no_writes_and_a_schema_that_is_not_there_are_refused() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let missing = Migrator::connect(&bed.url, Ident::new("nowhere").unwrap(), Settings::default()).await;
        assert_eq!(code(missing), "SCHEMA-UNKNOWN");
        let database = bed.told("SELECT current_database()").await;
        bed.session
            .batch_execute(&format!("ALTER DATABASE {database} SET default_transaction_read_only = on"))
            .await
            .unwrap();
        assert_eq!(code(Migrator::connect(&bed.url, schema(), Settings::default()).await), "DATABASE-READ-ONLY");
        assert_eq!(bed.told("SELECT count(*) FROM pg_namespace WHERE nspname = 'switchover'").await, "0");
        let looker = Migrator::look(&bed.url, schema()).await.unwrap();
        assert!(looker.observe().await.unwrap().migrations.is_empty());
    });
}

#[test]
fn a_database_is_adopted_as_it_is_and_migrations_begin_there() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let applied = bed.migrator().await.baseline("00_start").await.unwrap();
        assert!(applied.is_baseline() && applied.phase == Phase::Contracted);
        assert_eq!(bed.migrator().await.baseline("00_start").await.unwrap().number, applied.number, "once is enough");
        assert_eq!(bed.told("SELECT count(*) FROM public_base.users").await, "3000");
        assert_eq!(code(bed.migrator().await.undo(&mut |_| {}).await), "NOTHING-TO-UNDO");
        bed.expand("01_widen", WIDEN).await.unwrap();
        assert_eq!(code(bed.migrator().await.baseline("02_late").await), "BASELINE-TOO-LATE");
        bed.contract().await;
        bed.migrator().await.undo(&mut |_| {}).await.unwrap();
        assert_eq!(bed.told("SELECT pg_typeof(age) FROM public_base.users LIMIT 1").await, "integer");
    });
}

#[test]
fn the_history_tells_what_was_done_what_failed_and_what_was_taken_back() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        bed.expand("01_widen", WIDEN).await.unwrap();
        let bad = "operations: [{alter_column: {table: users, column: name, type: integer, up: name::integer, down: name::text}}]";
        assert!(bed.expand("02_bad", bad).await.is_err());
        bed.contract().await;
        let history = bed.migrator().await.history().await.unwrap();
        let told: Vec<String> = history.iter().map(|entry| format!("{} {}", entry.name, entry.event)).collect();
        let expected = [
            "01_widen expanding",
            "01_widen expanded",
            "02_bad expanding",
            "02_bad failed",
            "02_bad undoing",
            "02_bad undone",
            "02_bad purged",
            "01_widen contracting",
            "01_widen contracted",
        ];
        assert_eq!(told, expected);
        assert!(history[3].detail.as_ref().is_some_and(|detail| detail.contains("integer")), "{history:?}");
    });
}
