//! Partitioned tables as users have them: keys of an expression, partitions that others hold, indexes of their own.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use std::time::Duration;

use bed::{Bed, run};
use switchover_migration::Ident;
use switchover_postgres::Migrator;
use switchover_testkit::postgres::Session;

const EVENTS: &str = "
CREATE TABLE users (id int PRIMARY KEY);
CREATE TABLE events (id int NOT NULL, year int NOT NULL, who int) PARTITION BY RANGE (year);
CREATE TABLE events_20 PARTITION OF events FOR VALUES FROM (2020) TO (2021);
";

#[test]
fn a_table_partitioned_by_an_expression_keeps_the_columns_of_it() {
    run(|major| async move {
        let tables = "CREATE TABLE hashed (id int NOT NULL, what text) PARTITION BY RANGE ((id % 10));
                      CREATE TABLE hashed_all PARTITION OF hashed DEFAULT; INSERT INTO hashed VALUES (1, 'a');";
        let Some(bed) = Bed::new(major, tables).await else { return };
        for refused in [
            "operations: [{create_constraint: {table: hashed, name: once, type: unique, columns: [id], up: {id: id}, down: {id: id}}}]",
            "operations: [{alter_column: {table: hashed, column: id, type: bigint, up: id, down: id::int}}]",
            "operations: [{drop_column: {table: hashed, column: id, down: '1'}}]",
        ] {
            let told = bed.refused(refused).await;
            assert!(told.contains("partition"), "{refused}: {told}");
        }
        bed.expand("01_more", "operations: [{rename_column: {table: hashed, from: what, to: name}}]").await.unwrap();
        assert_eq!(bed.told("SELECT name FROM public_01_more.hashed").await, "a");
    });
}

#[test]
fn a_partition_that_is_locked_holds_up_no_look_at_the_tables() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, EVENTS).await else { return };
        let holder = Session::open(&bed.url).await;
        holder.batch_execute("BEGIN; LOCK TABLE events_20 IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let looker = Migrator::look(&bed.url, Ident::new("public").unwrap()).await.unwrap();
        tokio::time::timeout(Duration::from_secs(20), looker.catalog()).await.expect("it waits for no lock").unwrap();
        holder.batch_execute("ROLLBACK").await.unwrap();
    });
}

#[test]
fn a_complete_index_of_the_users_is_never_taken_for_ours() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, EVENTS).await else { return };
        for table in ["events", "users"] {
            let column = if table == "events" { "who" } else { "id" };
            let made = format!("CREATE INDEX mine ON {table} ({column}); COMMENT ON INDEX mine IS 'kept'");
            bed.session.batch_execute(&made).await.unwrap();
            let sql = format!("CREATE INDEX CONCURRENTLY mine ON {table} ({column});");
            let migrations = switchover_migration::directory::read(&[("0001_mine.sql".to_owned(), sql)]).unwrap();
            let failed = bed.migrator().await.expand(&migrations[0], &mut |_| {}).await.unwrap_err().to_string();
            assert!(failed.contains("the name is taken"), "{failed}");
            assert_eq!(bed.told("SELECT obj_description('mine'::regclass)").await, "kept");
            // Once it has another name, the same command goes on.
            bed.session.batch_execute("ALTER INDEX mine RENAME TO theirs").await.unwrap();
            bed.migrator().await.expand(&migrations[0], &mut |_| {}).await.unwrap();
            bed.session.batch_execute("DROP INDEX mine, theirs; DELETE FROM switchover.migration; DELETE FROM switchover.step; DROP SCHEMA public_base CASCADE; DROP SCHEMA \"public_0001_mine\" CASCADE").await.unwrap();
        }
    });
}

#[test]
fn a_table_without_partitions_gets_its_rules() {
    run(|major| async move {
        let tables = "CREATE TABLE ev (id int NOT NULL, y int NOT NULL) PARTITION BY RANGE (y);";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let once = "operations: [{create_constraint: {table: ev, name: once, type: unique, columns: [id, y], up: {id: id, y: y}, down: {id: id, y: y}}}]";
        bed.expand("01_once", once).await.unwrap();
        assert_eq!(bed.told("SELECT count(*) FROM pg_constraint WHERE conname = 'once'").await, "1");
        bed.undo().await;
        assert_eq!(bed.told("SELECT count(*) FROM pg_constraint WHERE conname = 'once'").await, "0");
    });
}
