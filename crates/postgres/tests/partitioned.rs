//! Partitioned tables: rows are kept in step in each partition, and rules that need a look at every row are made partition by
//! partition, beside running writes.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use std::time::Duration;

use bed::{Bed, of_the_app, run};
use switchover_migration::Ident;
use switchover_postgres::{MigrateError, Migrator, Progress, Settings};
use switchover_testkit::postgres::{Session, dump};

/// Two partitions with rows, one that is partitioned itself, and one for all else.
const EVENTS: &str = "
CREATE TABLE users (id int PRIMARY KEY);
INSERT INTO users SELECT generate_series(1, 10);
CREATE TABLE events (id int NOT NULL, year int NOT NULL, who int, what text NOT NULL, PRIMARY KEY (id, year)) PARTITION BY RANGE (year);
CREATE TABLE events_20 PARTITION OF events FOR VALUES FROM (2020) TO (2021);
CREATE TABLE events_21 PARTITION OF events FOR VALUES FROM (2021) TO (2022) PARTITION BY LIST (year);
CREATE TABLE \"events 21 a\" PARTITION OF events_21 FOR VALUES IN (2021);
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE INDEX events_by_what ON events (what DESC) WHERE id > 0;
INSERT INTO events SELECT n, 2020 + n % 3, 1 + n % 10, 'what ' || n FROM generate_series(1, 900) AS n;
";

const SPLIT: &str = "operations:
  - add_column: { table: events, up: \"split_part(what, ' ', 1)\", column: { name: kind, type: text, nullable: false } }
  - add_column: { table: events, up: \"split_part(what, ' ', 2)\", column: { name: number, type: text, nullable: false } }
  - drop_column: { table: events, column: what, down: \"kind || ' ' || number\" }
";

const RULES: &str = "operations:
  - create_index: { name: by_who, table: events, columns: { who: { sort: DESC } } }
  - create_constraint: { table: events, name: once, type: unique, columns: [what, year], up: { what: what, year: year }, down: { what: what, year: year } }
  - create_constraint: { table: events, name: of_a_user, type: foreign_key, columns: [who], references: { table: users, columns: [id], on_delete: CASCADE }, up: { who: who }, down: { who: who } }
  - create_constraint: { table: events, name: named, type: check, columns: [what], check: length(what) > 0, up: { what: what }, down: { what: what } }
";

/// What holds of the rules in each partition: whether indexes are complete and constraints seen to hold, and under which names.
const STANDING: &str = "
SELECT indrelid::regclass || ' ' || indexrelid::regclass || CASE WHEN indisvalid THEN '' ELSE ' incomplete' END
  FROM pg_index JOIN pg_partition_tree('events') AS part ON part.relid = indrelid
 UNION ALL
SELECT conrelid::regclass || ' ' || contype::text || ' ' || conname || CASE WHEN convalidated THEN '' ELSE ' not seen' END
  FROM pg_constraint JOIN pg_partition_tree('events') AS part ON part.relid = conrelid WHERE contype <> 'n'
 ORDER BY 1";

#[test]
fn rows_are_kept_in_step_in_each_partition_and_on_their_way_from_one_to_another() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, EVENTS).await else { return };
        bed.session.batch_execute("ANALYZE events_20; ANALYZE \"events 21 a\"; ANALYZE events_rest").await.unwrap();
        let rows = bed.migrator().await.catalog().await.unwrap().tables[&Ident::new("events").unwrap()].rows;
        assert_eq!(rows, Some(900), "a table has the rows of its partitions");
        let before = dump(&bed.url).await;
        bed.expand("01_split", SPLIT).await.unwrap();
        let counted = "SELECT count(*)::text FROM public_01_split.events WHERE kind = 'what' AND number = id::text";
        assert_eq!(bed.told(counted).await, "900");
        // Each version writes, changes and moves rows of its own and of the other.
        bed.session
            .batch_execute(
                "INSERT INTO events VALUES (1001, 2020, 1, 'old one more'), (1002, 2021, 1, 'old two more');
                 INSERT INTO public_01_split.events (id, year, who, kind, number) VALUES (1003, 2020, 1, 'new', 'three'), (1004, 2030, 1, 'new', 'four');
                 UPDATE events SET year = 2021, what = 'moved by old' WHERE id = 1001;
                 UPDATE events SET year = 2020 WHERE id = 1002;
                 UPDATE public_01_split.events SET year = 2021, number = 'moved by new' WHERE id = 1003;
                 UPDATE events SET year = 2020, what = 'old wrote it' WHERE id = 1004;
                 UPDATE public_01_split.events SET year = 2035 WHERE id IN (1, 1002);",
            )
            .await
            .unwrap();
        let old = "SELECT id || ' ' || year || ' ' || what FROM events WHERE id > 1000 OR id = 1 ORDER BY id";
        let new = "SELECT id || ' ' || year || ' ' || kind || '/' || number FROM public_01_split.events WHERE id > 1000 OR id = 1 ORDER BY id";
        assert_eq!(
            bed.told(old).await,
            "1 2035 what 1|1001 2021 moved by old|1002 2035 old two more|1003 2021 new moved by new|1004 2020 old wrote it"
        );
        assert_eq!(
            bed.told(new).await,
            "1 2035 what/1|1001 2021 moved/by|1002 2035 old/two|1003 2021 new/moved by new|1004 2020 old/wrote"
        );
        bed.session
            .batch_execute("DELETE FROM events WHERE id > 1000; UPDATE events SET year = 2021 WHERE id = 1")
            .await
            .unwrap();
        bed.undo().await;
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
        bed.expand("01_split", SPLIT).await.unwrap();
        bed.contract().await;
        assert_eq!(
            bed.told("SELECT count(*)::text FROM events WHERE kind = 'what' AND number = id::text").await,
            "900"
        );
        bed.session
            .batch_execute(
                "INSERT INTO events (id, year, who, kind, number) VALUES (1005, 2021, 1, 'after', 'contract')",
            )
            .await
            .unwrap();
        bed.restore().await;
        assert_eq!(
            bed.told("SELECT what FROM events WHERE id IN (2, 1005) ORDER BY id").await,
            "what 2|after contract"
        );
    });
}

#[test]
fn an_index_comes_along_with_a_converted_column() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, EVENTS).await else { return };
        let text =
            "operations:\n  - alter_column: { table: events, column: what, type: varchar, up: what, down: what }\n";
        bed.expand("01_varchar", text).await.unwrap();
        bed.contract().await;
        let parts = "SELECT indexrelid::regclass || ' ' || indisvalid FROM pg_index JOIN pg_partition_tree('events_by_what') AS part ON part.relid = indexrelid ORDER BY 1";
        assert_eq!(
            bed.told(parts).await,
            "\"events 21 a_events_by_what\" true|events_20_events_by_what true|events_21_events_by_what true|events_by_what true|events_rest_events_by_what true"
        );
        let definition = bed.told("SELECT pg_get_indexdef('events_by_what'::regclass)").await;
        assert_eq!(
            definition,
            "CREATE INDEX events_by_what ON ONLY public.events USING btree (what DESC) WHERE (id > 0)"
        );
        bed.restore().await;
        assert_eq!(bed.told(parts).await.matches("true").count(), 5);
    });
}

#[test]
fn rules_are_made_partition_by_partition_and_taken_back() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, EVENTS).await else { return };
        let (before, standing) = (dump(&bed.url).await, bed.told(STANDING).await);
        for _ in 0..2 {
            bed.expand("01_rules", RULES).await.unwrap();
            let made = bed.told(STANDING).await;
            assert!(!made.contains("incomplete") && !made.contains("not seen"), "{made}");
            for rule in ["by_who", "once", "of_a_user", "named"] {
                assert!(made.matches(rule).count() >= 5, "{rule} in each of five: {made}");
            }
            for (id, forbidden) in [
                (1, "INSERT INTO events VALUES (9001, 2020, 1, 'what 3')"),
                (2, "INSERT INTO public_01_rules.events VALUES (9002, 2021, 11, 'nobody')"),
                (3, "INSERT INTO events VALUES (9003, 2040, 1, '')"),
            ] {
                assert!(bed.session.batch_execute(forbidden).await.is_err(), "{id}");
            }
            bed.undo().await;
            assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
            assert_eq!(bed.told(STANDING).await, standing);
        }
        bed.expand("01_rules", RULES).await.unwrap();
        // A partition that comes later has all of them from the database.
        bed.session
            .batch_execute("CREATE TABLE events_25 PARTITION OF events FOR VALUES FROM (2025) TO (2026)")
            .await
            .unwrap();
        bed.contract().await;
        let made = bed.told(STANDING).await;
        assert!(!made.contains("incomplete") && !made.contains("not seen"), "{made}");
        let dropped = "operations:
  - drop_index: { name: by_who }
  - drop_multicolumn_constraint: { table: events, name: once, up: { what: what, year: year }, down: { what: what, year: year } }
";
        // What a table is partitioned by has no other column in its place.
        assert!(bed.refused(dropped).await.contains("partitioned by"));
        bed.expand("02_without", "operations:\n  - drop_index: { name: by_who }\n").await.unwrap();
        bed.contract().await;
        assert!(!bed.told(STANDING).await.contains("by_who"));
        bed.restore().await;
        let back = bed.told(STANDING).await;
        assert!(back.matches("by_who").count() == 6 && !back.contains("incomplete"), "{back}");
    });
}

#[test]
fn rows_in_one_partition_that_break_a_rule_leave_nothing_of_it_in_any() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, EVENTS).await else { return };
        let standing = bed.told(STANDING).await;
        for (breaks, mended, named) in [
            ("UPDATE events SET what = 'same' WHERE id IN (5, 8)", "UPDATE events SET what = 'what ' || id", "5, 2022"),
            ("UPDATE events SET who = 11 WHERE id = 5", "UPDATE events SET who = 1 WHERE id = 5", "5, 2022"),
        ] {
            bed.session.batch_execute(breaks).await.unwrap();
            let told = bed.expand("01_rules", RULES).await.unwrap_err().to_string();
            assert!(told.contains(named) && told.contains("taken back"), "{told}");
            assert_eq!(bed.told(STANDING).await, standing);
            bed.session.batch_execute(mended).await.unwrap();
        }
        bed.expand("01_rules", RULES).await.unwrap();
    });
}

#[test]
fn what_a_partition_can_not_have_is_refused_by_name() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, EVENTS).await else { return };
        let index = |name: &str| {
            format!("operations:\n  - create_index: {{ name: {name}, table: events, columns: {{ who: {{}} }} }}\n")
        };
        let unique = "operations:\n  - create_constraint: { table: events, name: alone, type: unique, columns: [what], up: { what: what }, down: { what: what } }\n";
        let told = bed.refused(unique).await;
        assert!(told.contains("PARTITION-KEY-LEFT-OUT") && told.contains("year"), "{told}");
        let unique =
            "operations:\n  - create_index: { name: alone, table: events, unique: true, columns: { what: {} } }\n";
        assert!(bed.refused(unique).await.contains("PARTITION-KEY-LEFT-OUT"));
        let key = "operations:\n  - drop_column: { table: events, column: year, down: \"1\" }\n";
        assert!(bed.refused(key).await.contains("partitioned by"));
        bed.session
            .batch_execute(
                "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
                 CREATE TABLE far (id int, who int) PARTITION BY LIST (id);
                 CREATE FOREIGN TABLE far_1 PARTITION OF far FOR VALUES IN (1) SERVER nowhere",
            )
            .await
            .unwrap();
        assert!(bed.refused(&index("other").replace("events", "far")).await.contains("foreign table"));
    });
}

#[test]
fn what_stands_on_a_partition_alone_is_found_before_its_column_is_replaced() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, EVENTS).await else { return };
        let retype =
            "operations:\n  - alter_column: { table: events, column: who, type: bigint, up: who, down: who::int }\n";
        let key = "operations:\n  - create_constraint: { table: events, name: of_a_user, type: foreign_key, columns: [who], references: { table: users, columns: [id] }, up: { who: who }, down: { who: who } }\n";
        for (make, take, named) in [
            ("CREATE VIEW seen AS SELECT id, who FROM events_20", "DROP VIEW seen", "seen"),
            ("CREATE INDEX mine ON events_20 (who)", "DROP INDEX mine", "index mine"),
            ("CREATE INDEX mine ON events_20 ((who + 1)) WHERE id > 5", "DROP INDEX mine", "index mine"),
            (
                "ALTER TABLE events_20 ADD CONSTRAINT mine CHECK (who > 0)",
                "ALTER TABLE events_20 DROP CONSTRAINT mine",
                "mine",
            ),
            (
                "ALTER TABLE events_rest ALTER who SET DEFAULT 7",
                "ALTER TABLE events_rest ALTER who DROP DEFAULT",
                "a default",
            ),
            (
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER mine BEFORE UPDATE OF who ON events_20 FOR EACH ROW EXECUTE FUNCTION f()",
                "DROP FUNCTION f() CASCADE",
                "mine",
            ),
            ("ALTER TABLE events_20 ADD CONSTRAINT mine FOREIGN KEY (who) REFERENCES users", "SELECT 1", "mine"),
        ] {
            bed.session.batch_execute(make).await.unwrap();
            let told = bed.refused(retype).await;
            assert!(told.contains(named) && told.contains("events_"), "{told}");
            if take == "SELECT 1" {
                let told = bed.refused(key).await;
                assert!(told.contains("mine") && told.contains("events_20"), "{told}");
            }
            bed.session.batch_execute(take).await.unwrap();
        }
    });
}

#[test]
fn what_is_the_users_own_is_never_taken_for_a_part() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, EVENTS).await else { return };
        bed.session
            .batch_execute(
                "CREATE UNIQUE INDEX events_20_by_who ON events_20 (id); CREATE TABLE events_rest_by_who (x int); CREATE INDEX by_who ON events (who)",
            )
            .await
            .unwrap();
        let (before, standing) = (dump(&bed.url).await, bed.told(STANDING).await);
        bed.expand("01_drop", "operations:\n  - drop_index: { name: by_who }\n").await.unwrap();
        bed.contract().await;
        assert!(bed.told(STANDING).await.contains("events_20 events_20_by_who"));
        bed.restore().await;
        bed.undo().await;
        assert_eq!(bed.told(STANDING).await.lines().count(), standing.lines().count());
        bed.expand(
            "01_wide",
            "operations:\n  - alter_column: { table: events, column: who, type: bigint, up: who, down: who::int }\n",
        )
        .await
        .unwrap();
        bed.contract().await;
        let made = bed.told(STANDING).await;
        assert!(made.contains("events_20 events_20_by_who") && !made.contains("incomplete"), "{made}");
        bed.restore().await;
        bed.undo().await;
        // The parts of an index that was made again have the names that we give.
        let of = |dump: &str| {
            of_the_app(dump)
                .into_iter()
                .filter(|line| !line.contains("by_who") && !line.contains("who_idx"))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&dump(&bed.url).await), of(&before));
    });
}

#[test]
fn a_foreign_key_to_a_partitioned_table_comes_along_as_one() {
    run(|major| async move {
        let tables = "CREATE TABLE ref (k int PRIMARY KEY) PARTITION BY RANGE (k);
                      CREATE TABLE ref_1 PARTITION OF ref FOR VALUES FROM (0) TO (50); CREATE TABLE ref_2 PARTITION OF ref FOR VALUES FROM (50) TO (100);
                      INSERT INTO ref SELECT generate_series(0, 99);
                      CREATE TABLE t (id int PRIMARY KEY, who int CONSTRAINT of_ref REFERENCES ref);
                      INSERT INTO t SELECT n, n FROM generate_series(0, 99) AS n;";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let before = dump(&bed.url).await;
        let wide = "operations:\n  - alter_column: { table: t, column: who, type: bigint, up: who, down: who::int }\n";
        bed.expand("01_wide", wide).await.unwrap();
        bed.session
            .batch_execute("CREATE TABLE ref_3 PARTITION OF ref FOR VALUES FROM (100) TO (150); INSERT INTO ref VALUES (120); INSERT INTO t VALUES (200, 120); INSERT INTO public_01_wide.t VALUES (201, 120)")
            .await
            .unwrap();
        bed.contract().await;
        bed.restore().await;
        bed.undo().await;
        bed.session
            .batch_execute("DELETE FROM t WHERE id >= 200; DELETE FROM ref WHERE k = 120; ALTER TABLE ref DETACH PARTITION ref_3; DROP TABLE ref_3")
            .await
            .unwrap();
        // Of its inner keys, one for each partition that is referred to, the database never says that they were looked at.
        let is_inner = |line: &String| line.contains("t_who_fkey");
        let of = |dump: &str| of_the_app(dump).into_iter().filter(|line| !is_inner(line)).collect::<Vec<_>>();
        assert_eq!(of(&dump(&bed.url).await), of(&before));
        bed.expand("02_less", "operations:\n  - drop_column: { table: t, column: who, down: \"1\" }\n").await.unwrap();
        bed.contract().await;
        bed.restore().await;
        bed.undo().await;
        assert_eq!(of(&dump(&bed.url).await), of(&before));
    });
}

/// Expands one file of SQL.
async fn expand_sql(bed: &Bed, sql: &str) -> Result<(), MigrateError> {
    let migrations = switchover_migration::directory::read(&[("0001_by_who.sql".to_owned(), sql.to_owned())]).unwrap();
    bed.migrator().await.expand(&migrations[0], &mut |_| {}).await.map(|_| ())
}

#[test]
fn an_index_that_can_not_be_completed_is_begun_anew_and_a_users_own_is_left() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, EVENTS).await else { return };
        let sql = "CREATE INDEX CONCURRENTLY by_who ON events (who);";
        // A user's own, which waits for its parts.
        bed.session.batch_execute("CREATE INDEX by_who ON ONLY events (who)").await.unwrap();
        assert!(expand_sql(&bed, sql).await.unwrap_err().to_string().contains("the name is taken"));
        assert!(bed.told(STANDING).await.contains("events by_who incomplete"));
        // As a killed run leaves it, before the partition goes that it has not come to.
        let begun = "COMMENT ON INDEX by_who IS 'switchover builds it: CREATE INDEX \"by_who\" ON ONLY \"public\".\"events\" (who)'";
        bed.session.batch_execute(begun).await.unwrap();
        for part in ["events_20", "events_rest"] {
            let made = format!(
                "CREATE INDEX {part}_by_who ON {part} (who); ALTER INDEX by_who ATTACH PARTITION {part}_by_who"
            );
            bed.session.batch_execute(&made).await.unwrap();
        }
        bed.session.batch_execute("DROP TABLE events_21").await.unwrap();
        assert!(expand_sql(&bed, sql).await.unwrap_err().to_string().contains("a partition went"));
        expand_sql(&bed, sql).await.unwrap();
        let made = bed.told(STANDING).await;
        assert!(!made.contains("incomplete") && made.contains("events_20 events_20_by_who"), "{made}");
        assert_eq!(bed.told("SELECT obj_description('by_who'::regclass)").await, "NULL");
        // What another statement of ours left is begun anew, with its parts.
        let Some(bed) = Bed::new(major, EVENTS).await else { return };
        bed.session
            .batch_execute(
                "CREATE INDEX by_who ON ONLY events (id); COMMENT ON INDEX by_who IS 'switchover builds it: another';
                 CREATE INDEX \"_switchover_part_events_20_by_who\" ON events_20 (id)",
            )
            .await
            .unwrap();
        expand_sql(&bed, sql).await.unwrap();
        let definition = bed.told("SELECT pg_get_indexdef('by_who'::regclass)").await;
        assert_eq!(definition, "CREATE INDEX by_who ON ONLY public.events USING btree (who)");
        assert!(!bed.told(STANDING).await.contains("_switchover_"));
    });
}

#[test]
fn a_primary_key_is_made_and_a_foreign_key_comes_along_with_the_names_that_they_are_to_have() {
    run(|major| async move {
        let tables = "CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users SELECT generate_series(1, 9);
                      CREATE TABLE visits (id int NOT NULL, year int NOT NULL, who int CONSTRAINT of_user REFERENCES users) PARTITION BY LIST (year);
                      CREATE TABLE visits_20 PARTITION OF visits FOR VALUES IN (2020); CREATE TABLE visits_21 PARTITION OF visits FOR VALUES IN (2021);
                      INSERT INTO visits SELECT n, 2020 + n % 2, n FROM generate_series(1, 9) AS n;";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let standing = STANDING.replace("events", "visits");
        let key = "operations:\n  - create_constraint: { table: visits, name: visits_key, type: primary_key, columns: [id, year], up: { id: id, year: year }, down: { id: id, year: year } }\n";
        bed.expand("01_key", key).await.unwrap();
        bed.contract().await;
        let made = bed.told(&standing).await;
        assert!(made.matches(" p ").count() == 3 && !made.contains("incomplete"), "{made}");
        let wide =
            "operations:\n  - alter_column: { table: visits, column: who, type: bigint, up: who, down: who::int }\n";
        bed.expand("02_wide", wide).await.unwrap();
        assert!(bed.session.batch_execute("INSERT INTO public_02_wide.visits VALUES (99, 2020, 99)").await.is_err());
        bed.contract().await;
        let made = bed.told(&standing).await;
        assert!(made.contains("visits_20 f visits_20_of_user") && !made.contains("_switchover_"), "{made}");
        assert!(bed.session.batch_execute("INSERT INTO visits (id, year, who) VALUES (99, 2021, 99)").await.is_err());
        bed.restore().await;
        bed.undo().await;
        let made = bed.told(&standing).await;
        assert!(made.matches("of_user").count() == 3 && !made.contains("_switchover_part_"), "{made}");
    });
}

#[test]
fn a_session_that_holds_one_partition_is_named_while_it_is_waited_for() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, EVENTS).await else { return };
        let held = Session::open(&bed.url).await;
        held.batch_execute("BEGIN; SELECT FROM events_rest LIMIT 1").await.unwrap();
        let mut told = Vec::new();
        let settings = Settings { lock_timeout: Duration::from_secs(2), ..Settings::default() };
        let mut migrator = Migrator::connect(&bed.url, Ident::new("public").unwrap(), settings).await.unwrap();
        let split = bed::migration("01_split", SPLIT);
        let mut tell = |progress| {
            if let Progress::Waits { blockers, .. } = progress {
                told.extend(blockers);
            }
        };
        let expanded = migrator.expand(&split, &mut tell).await;
        assert!(matches!(expanded, Err(MigrateError::Blocked { .. })), "{expanded:?}");
        assert!(told.iter().any(|blocker| blocker.contains("idle in transaction")), "{told:?}");
        let Err(MigrateError::Blocked { blockers, .. }) = &expanded else { return };
        assert_eq!(blockers.len(), 1, "each session once: {blockers:?}");
        held.batch_execute("ROLLBACK").await.unwrap();
        migrator.expand(&split, &mut |_| {}).await.unwrap();
    });
}
