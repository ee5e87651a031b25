//! Constraints and indexes made, dropped and renamed while an older version writes.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use bed::{Bed, of_the_app, run};
use switchover_postgres::{MigrateError, Phase};
use switchover_testkit::postgres::dump;

const TABLES: &str = "
CREATE TABLE users (id bigint PRIMARY KEY, email text, age integer, CONSTRAINT grown CHECK (age >= 18));
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, sku text NOT NULL, place integer NOT NULL, total integer,
    CONSTRAINT place_once UNIQUE (sku, place), CONSTRAINT total_known CHECK (total IS NOT NULL));
CREATE INDEX orders_by_user ON orders (user_id);
INSERT INTO users SELECT n, 'user' || n || '@example.com', 18 + n % 50 FROM generate_series(1, 500) AS n;
INSERT INTO orders SELECT n, 1 + n % 500, 'sku' || n, n % 7, n FROM generate_series(1, 2000) AS n;
";

/// Four rules on tables that are in use, none of which changes a value.
const RULES: &str = r#"
operations:
  - create_constraint:
      table: users
      name: email_once
      type: unique
      columns: [email]
      up: { email: email }
      down: { email: email }
  - create_constraint:
      table: orders
      name: sku_is_short
      type: check
      columns: [sku]
      check: length(sku) < 100
      up: { sku: sku }
      down: { sku: sku }
  - create_constraint:
      table: orders
      name: of_a_user
      type: foreign_key
      columns: [user_id]
      references: { table: users, columns: [id], on_delete: CASCADE }
      up: { user_id: user_id }
      down: { user_id: user_id }
  - rename_constraint: { table: users, from: grown, to: of_age }
  - drop_index: { name: orders_by_user }
  - set_replica_identity: { table: orders, identity: { type: full } }
"#;

const CONSTRAINTS: &str =
    "SELECT conname || CASE WHEN convalidated THEN '' ELSE ' not valid' END FROM pg_constraint WHERE contype IN ('u', 'c', 'f')
        AND connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE '%switchover%' ORDER BY conname";

#[test]
fn rules_are_made_beside_running_writes_and_taken_back_without_a_trace() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let before = dump(&bed.url).await;
        let files = "SELECT string_agg(pg_relation_filepath(oid::regclass), ' ' ORDER BY oid) FROM pg_class WHERE relname IN ('users', 'orders')";
        let on_disk = bed.told(files).await;
        bed.expand("01_rules", RULES).await.unwrap();
        assert_eq!(bed.told(CONSTRAINTS).await, "email_once|grown|of_a_user|place_once|sku_is_short|total_known");
        for refused in [
            "INSERT INTO users VALUES (900, 'user7@example.com', 20)",
            "INSERT INTO orders VALUES (9000, 7777, 'x', 1, 1)",
            "INSERT INTO public_01_rules.orders VALUES (9000, 1, repeat('x', 100), 1, 1)",
        ] {
            assert!(bed.session.batch_execute(refused).await.is_err(), "{refused}");
        }
        let taken =
            "INSERT INTO public_01_rules.users VALUES (7, 'user7@example.com', 20) ON CONFLICT (email) DO NOTHING";
        bed.session.batch_execute(taken).await.unwrap();
        assert_eq!(bed.told(files).await, on_disk, "no table was copied");
        bed.undo().await;
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
        bed.expand("01_rules", RULES).await.unwrap();
        assert_eq!(bed.told("SELECT to_regclass('orders_by_user') IS NOT NULL").await, "t", "the older version has it");
        bed.contract().await;
        assert_eq!(bed.told(CONSTRAINTS).await, "email_once|of_a_user|of_age|place_once|sku_is_short|total_known");
        assert_eq!(bed.told("SELECT to_regclass('orders_by_user') IS NULL").await, "t");
        assert_eq!(
            bed.told("SELECT relreplident::text FROM pg_class WHERE relname = 'orders' AND relkind = 'r'").await,
            "f"
        );
    });
}

#[test]
fn rows_that_break_a_new_rule_are_shown_and_nothing_of_it_is_left() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        bed.session
            .batch_execute(
                "INSERT INTO users VALUES (601, 'twice@example.com', 20), (602, 'twice@example.com', 20);
                 INSERT INTO orders VALUES (7001, 4711, 'sku', 1, 1), (7002, 1, repeat('x', 200), 2, 1);",
            )
            .await
            .unwrap();
        let before = dump(&bed.url).await;
        let one = |rule: &str| format!("operations:\n  - create_constraint: {rule}\n");
        for (rule, broken) in [
            (
                "{ table: users, name: r, type: unique, columns: [email], up: { email: email }, down: { email: email } }",
                "601, 602",
            ),
            (
                "{ table: orders, name: r, type: check, columns: [sku], check: length(sku) < 100, up: { sku: sku }, down: { sku: sku } }",
                "7002",
            ),
            (
                "{ table: orders, name: r, type: foreign_key, columns: [user_id], references: { table: users, columns: [id] }, up: { user_id: user_id }, down: { user_id: user_id } }",
                "7001",
            ),
        ] {
            let error = bed.expand("01_rule", &one(rule)).await.unwrap_err();
            let MigrateError::TakenBack { why: within, .. } = error else { panic!("{rule}: {error:?}") };
            let MigrateError::Found { keys, .. } = *within else { panic!("{rule}: {within:?}") };
            assert_eq!(keys.join(", "), broken, "{rule}");
            assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before), "{rule}");
            let phases: Vec<Phase> =
                bed.migrator().await.applied().await.unwrap().iter().map(|one| one.phase).collect();
            assert!(phases.iter().all(|phase| *phase == Phase::Undone), "{phases:?}");
        }
    });
}

#[test]
fn an_older_version_keeps_the_constraint_that_a_newer_one_does_without() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let without = r"
operations:
  - drop_constraint: { table: users, name: grown, up: age, down: 'CASE WHEN age < 18 THEN 18 ELSE age END' }
  - drop_multicolumn_constraint:
      table: orders
      name: place_once
      up: { sku: sku, place: place }
      down: { sku: sku || ' ' || id, place: place }
";
        let before = dump(&bed.url).await;
        bed.expand("01_without", without).await.unwrap();
        bed.session
            .batch_execute(
                "INSERT INTO public_01_without.users (id, age) VALUES (800, 3);
                 INSERT INTO public_01_without.orders (id, sku, place, total) VALUES (8000, 'same', 1, 1), (8001, 'same', 1, 1);",
            )
            .await
            .unwrap();
        assert_eq!(bed.told("SELECT age FROM users WHERE id = 800").await, "18");
        assert_eq!(bed.told("SELECT sku FROM orders WHERE id > 7999 ORDER BY id").await, "same 8000|same 8001");
        assert!(bed.session.batch_execute("INSERT INTO users VALUES (801, 'x', 3)").await.is_err(), "its own rule");
        bed.undo().await;
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
        bed.session
            .batch_execute("DELETE FROM users WHERE id = 800; DELETE FROM orders WHERE id > 7999")
            .await
            .unwrap();
        bed.expand("01_without", without).await.unwrap();
        bed.session.batch_execute("INSERT INTO users VALUES (802, 'x', 20)").await.unwrap();
        bed.contract().await;
        assert_eq!(bed.told(CONSTRAINTS).await, "total_known");
        bed.session
            .batch_execute("INSERT INTO users (id, age) VALUES (803, 3); INSERT INTO orders (id, sku, place, total) VALUES (8002, 'sku1', 1, 1)")
            .await
            .unwrap();
        assert_eq!(bed.told("SELECT age FROM users WHERE id > 801 ORDER BY id").await, "20|3");
    });
}

#[test]
fn a_dropped_column_takes_its_own_constraints_along() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let drop = "operations:\n  - drop_column: { table: orders, column: total }\n";
        bed.expand("01_drop", drop).await.unwrap();
        bed.contract().await;
        bed.session.batch_execute("INSERT INTO orders (id, sku, place) VALUES (9000, 'x', 1)").await.unwrap();
    });
}

#[test]
fn a_table_that_is_kept_holds_up_no_deletion_and_its_names_are_free() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        bed.session
            .batch_execute("ALTER TABLE orders ADD CONSTRAINT of_user FOREIGN KEY (user_id) REFERENCES users (id)")
            .await
            .unwrap();
        bed.expand("01_drop", "operations:\n  - drop_table: { name: orders }\n").await.unwrap();
        bed.contract().await;
        bed.session.batch_execute("DELETE FROM users WHERE id = 2; CREATE TABLE orders (id int); CREATE INDEX orders_by_user ON orders (id)").await.unwrap();
        assert_eq!(bed.told("SELECT count(*) FROM _switchover_attic_1_orders").await, "2000");
    });
}

#[test]
fn a_new_table_and_a_new_column_come_with_their_constraints() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let made = r"
operations:
  - create_table:
      name: addresses
      columns:
        - { name: id, type: bigint, pk: true }
        - { name: user_id, type: bigint, references: { name: of_user, table: users, column: id, on_delete: CASCADE } }
        - { name: line, type: text }
        - { name: back, type: bigint, nullable: true }
      constraints:
        - { name: line_once, type: unique, columns: [user_id, line] }
        - { name: line_given, type: check, check: line <> '' }
        - { name: to_itself, type: foreign_key, columns: [back], references: { table: addresses, columns: [id] } }
  - add_column:
      table: orders
      column: { name: code, type: text, nullable: true, unique: true }
      up: '''c'' || id'
  - add_column:
      table: orders
      column: { name: referrer, type: bigint, nullable: true, references: { name: from_user, table: users, column: id } }
  - alter_column:
      table: orders
      column: user_id
      references: { name: order_of_user, table: users, column: id }
      up: user_id
      down: user_id
";
        let before = dump(&bed.url).await;
        bed.expand("01_made", made).await.unwrap();
        assert_eq!(bed.told("SELECT code FROM public_01_made.orders WHERE id = 5").await, "c5");
        for refused in [
            "INSERT INTO public_01_made.addresses VALUES (1, 4711, 'x', NULL)",
            "INSERT INTO public_01_made.addresses VALUES (1, 1, '', NULL)",
            "INSERT INTO public_01_made.addresses VALUES (1, 1, 'x', 7)",
            "INSERT INTO public_01_made.orders (id, sku, place, total, code) VALUES (9000, 's', 1, 1, 'c5')",
            "INSERT INTO public_01_made.orders (id, sku, place, total, referrer) VALUES (9000, 's', 1, 1, 4711)",
            "UPDATE orders SET user_id = 4711 WHERE id = 1",
        ] {
            assert!(bed.session.batch_execute(refused).await.is_err(), "{refused}");
        }
        bed.undo().await;
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
        bed.expand("01_made", made).await.unwrap();
        bed.contract().await;
        assert_eq!(
            bed.told(CONSTRAINTS).await,
            "from_user|grown|line_given|line_once|of_user|order_of_user|orders_code_key|place_once|to_itself|total_known"
        );
    });
}
