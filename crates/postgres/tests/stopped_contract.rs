//! A contract that does not come to its end leads back as long as it has changed no table.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use std::time::Duration;

use bed::{Bed, code, connect, of_the_app, run};
use switchover_migration::Ident;
use switchover_postgres::{MigrateError, Migrator, Phase, Purge, Settings};
use switchover_testkit::postgres::{Session, dump};

#[test]
fn a_contract_that_was_broken_off_before_it_changed_a_table_is_taken_back() {
    run(|major| async move {
        let tables = "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1);";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let before = dump(&bed.url).await;
        let positive = "operations:
  - create_constraint: { name: positive, table: t, type: check, columns: [n], check: n > 0, up: { n: n }, down: { n: n } }
";
        bed.expand_and_accept("01_n", positive).await.unwrap();
        let expanded = dump(&bed.url).await;

        // A row in the way: nothing but looks was done.
        bed.session.batch_execute("INSERT INTO public_base.t VALUES (2, 0)").await.unwrap();
        assert!(matches!(bed.migrator().await.contract(&mut |_| {}).await, Err(MigrateError::Found { .. })));
        assert_eq!(bed.migrator().await.undo(&mut |_| {}).await.unwrap().phase, Phase::Expanded);
        assert_eq!(dump(&bed.url).await, expanded);

        // A lock that is not to be had, when the older versions are gone.
        bed.session.batch_execute("DELETE FROM t WHERE id = 2").await.unwrap();
        let holder = Session::open(&bed.url).await;
        holder.batch_execute("BEGIN; SELECT FROM t").await.unwrap();
        let mut migrator = impatient(&bed).await;
        assert!(matches!(migrator.contract(&mut |_| {}).await, Err(MigrateError::Blocked { .. })));
        drop(migrator);
        holder.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(bed.migrator().await.undo(&mut |_| {}).await.unwrap().phase, Phase::Expanded);
        assert_eq!(dump(&bed.url).await, expanded);
        assert_eq!(bed.told("SELECT n FROM public_base.t").await, "1");
        bed.contract().await;
        bed.restore().await;
        bed.undo().await;
        bed.migrator().await.purge(Purge::All, &mut |_| {}).await.unwrap();
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
    });
}

#[test]
fn statements_of_the_users_that_can_not_pass_in_contract_lead_back() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, "CREATE TABLE t (id int PRIMARY KEY, n int);").await else { return };
        let file = |text: &str| ("0001_bad.contract.sql".to_owned(), text.to_owned());
        let read = |text: &str| switchover_migration::directory::read(&[file(text)]).unwrap().remove(0);
        let bad = read("ALTER TABLE t DROP CONSTRAINT nowhere;");
        bed.migrator().await.expand(&bad, &mut |_| {}).await.unwrap();
        let later = "operations: [{add_column: {table: t, column: {name: later, type: int, nullable: true}}}]";
        bed.expand("0002_later", later).await.unwrap();
        bed.migrator().await.contract(&mut |_| {}).await.unwrap_err();
        // The one that was broken off is taken back first, and not the newest.
        let back = bed.migrator().await.undo(&mut |_| {}).await.unwrap();
        assert_eq!((back.name.as_str(), back.phase), ("0001_bad", Phase::Expanded));
        assert_eq!(bed.told("SELECT count(*) FROM public_base.t").await, "0");
        bed.undo().await;
        bed.undo().await;
        let good = read("ALTER TABLE t DROP COLUMN n;");
        bed.migrator().await.expand(&good, &mut |_| {}).await.unwrap();
        bed.contract().await;
        // What comes late has no place any more.
        let late = bed.expand("0000_late", later).await;
        assert_eq!(code(late), "MIGRATION-OUT-OF-ORDER");
    });
}

#[test]
fn what_has_changed_a_table_is_gone_on_with() {
    run(|major| async move {
        let tables = "CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE u (id int PRIMARY KEY, n int); CREATE INDEX by_n ON u (n);";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let both = "operations:
  - alter_column: { table: t, column: n, type: bigint, up: n, down: \"n::int\" }
  - alter_column: { table: u, column: n, type: bigint, up: n, down: \"n::int\" }
";
        bed.expand("01_wide", both).await.unwrap();
        // Without an older version there is no step that takes it away.
        bed.session.batch_execute("DROP SCHEMA public_base CASCADE").await.unwrap();
        let holder = Session::open(&bed.url).await;
        holder.batch_execute("BEGIN; SELECT FROM u").await.unwrap();
        let mut migrator = impatient(&bed).await;
        assert!(matches!(migrator.contract(&mut |_| {}).await, Err(MigrateError::Blocked { .. })));
        drop(migrator);
        holder.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(code(bed.migrator().await.undo(&mut |_| {}).await), "MIGRATION-UNFINISHED");
        bed.contract().await;

        // An index that is being dropped is invalid already.
        let gone = "operations: [{drop_index: {name: by_n}}]";
        bed.expand("02_gone", gone).await.unwrap();
        holder.batch_execute("BEGIN; SELECT FROM u").await.unwrap();
        let url = bed.url.clone();
        let contract = tokio::spawn(async move {
            let mut migrator = Migrator::connect(&url, Ident::new("public").unwrap(), Settings::default()).await?;
            migrator.contract(&mut |_| {}).await
        });
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DROP INDEX CONCURRENTLY%' AND wait_event_type = 'Lock' AND datname = current_database()";
        while bed.told(waits).await == "0" {
            assert!(!contract.is_finished(), "it waits for the reader");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bed.told("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DROP INDEX CONCURRENTLY%' AND datname = current_database() AND pid <> pg_backend_pid()").await;
        contract.await.unwrap().unwrap_err();
        holder.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(code(bed.migrator().await.undo(&mut |_| {}).await), "MIGRATION-UNFINISHED");
        bed.contract().await;
        bed.restore().await;
        assert_eq!(bed.told("SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_n'::regclass").await, "t");
    });
}

#[test]
fn a_state_is_gone_back_to_in_the_order_of_the_migrations() {
    run(|major| async move {
        let Some(bed) =
            Bed::new(major, "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1);").await
        else {
            return;
        };
        let positive = "operations:
  - create_constraint: { name: positive, table: t, type: check, columns: [n], check: n > 0, up: { n: n }, down: { n: n } }
";
        bed.expand_and_accept("01_n", positive).await.unwrap();
        for name in ["02_a", "03_b"] {
            let add = format!(
                "operations: [{{add_column: {{table: t, column: {{name: c{name}, type: int, nullable: true}}}}}}]"
            );
            bed.expand(name, &add).await.unwrap();
        }
        bed.session.batch_execute("INSERT INTO public_base.t VALUES (2, 0)").await.unwrap();
        bed.migrator().await.contract(&mut |_| {}).await.unwrap_err();
        let undone = bed.migrator().await.undo_to("01_n", &mut |_| {}).await.unwrap();
        let told: Vec<_> = undone.iter().map(|one| (one.name.as_str(), one.phase)).collect();
        assert_eq!(told, [("01_n", Phase::Expanded), ("03_b", Phase::Undone), ("02_a", Phase::Undone)]);
    });
}

#[test]
fn what_a_contract_in_sql_made_is_seen_through_versions_that_come_back() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, "CREATE TABLE t (id int PRIMARY KEY, n int);").await else { return };
        let file =
            ("01_s.contract.sql".to_owned(), "ALTER TABLE t ADD COLUMN q int; CREATE TABLE more (id int);".to_owned());
        let sql = switchover_migration::directory::read(&[file]).unwrap();
        bed.migrator().await.expand(&sql[0], &mut |_| {}).await.unwrap();
        let wider = "operations:
  - alter_column: { table: t, column: n, type: bigint, up: n, down: \"n::int\" }
  - add_column: { table: t, column: { name: z, type: int, nullable: true } }
";
        bed.expand("02_wider", wider).await.unwrap();
        bed.contract().await;
        bed.contract().await;
        bed.restore().await;
        let columns = "SELECT string_agg(attname, ',' ORDER BY attname) FROM pg_attribute WHERE attrelid = 'VERSION.t'::regclass AND attnum > 0";
        assert_eq!(bed.told(&columns.replace("VERSION", "public_01_s")).await, "id,n,q");
        assert_eq!(bed.told(&columns.replace("VERSION", "public_02_wider")).await, "id,n,q,z");
        assert_eq!(bed.told("SELECT count(*) FROM public_01_s.more").await, "0");
    });
}

/// A migrator that gives up soon.
async fn impatient(bed: &Bed) -> Migrator {
    let settings = Settings { lock_timeout: Duration::from_millis(200), ..Settings::default() };
    connect(&bed.url, settings).await.unwrap()
}
