//! What stands on a converted column comes along on the new one, or is named before anything begins.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use bed::{Bed, of_the_app, run};
use switchover_postgres::{MigrateError, Phase};
use switchover_testkit::postgres::dump;

const TABLES: &str = r#"
CREATE TABLE owners (id bigint PRIMARY KEY);
INSERT INTO owners SELECT generate_series(1, 50);
CREATE TABLE "Item" (
    id serial PRIMARY KEY, code text NOT NULL, "Weird ""one" text, amount integer NOT NULL DEFAULT 7, owner integer,
    CONSTRAINT code_once UNIQUE (code) INCLUDE (amount),
    CONSTRAINT pair UNIQUE NULLS NOT DISTINCT (amount, code) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT positive CHECK (amount > 0 AND id > 0),
    CONSTRAINT not_all CHECK (amount <> 5) NOT VALID);
INSERT INTO "Item" (code, amount, owner) SELECT 'c' || n, 1000 + n, n FROM generate_series(1, 50) AS n;
ALTER TABLE "Item" ADD CONSTRAINT of_owner FOREIGN KEY (owner) REFERENCES owners (id) ON DELETE CASCADE;
COMMENT ON CONSTRAINT positive ON "Item" IS 'more than none';
CREATE INDEX by_amount ON "Item" (amount DESC NULLS LAST) INCLUDE (code) WITH (fillfactor = 70);
COMMENT ON INDEX by_amount IS 'for lists';
CREATE INDEX partial ON "Item" (code COLLATE "C" text_pattern_ops) WHERE amount > 10;
CREATE UNIQUE INDEX by_expression ON "Item" ((amount + 1), lower(code));
CREATE STATISTICS amount_code (ndistinct, dependencies) ON amount, code FROM "Item";
ALTER TABLE "Item" ALTER COLUMN amount SET STATISTICS 321, ALTER COLUMN amount SET (n_distinct = 42);
COMMENT ON COLUMN "Item".amount IS 'how many';
"#;

const WIDEN: &str = r#"
operations:
  - alter_column: { table: Item, column: amount, type: bigint, up: amount, down: "amount::integer" }
  - alter_column: { table: Item, column: owner, type: bigint, up: owner, down: "owner::integer" }
"#;

/// All that a person would call the table's definition, with the new types in the place of the old.
fn as_widened(lines: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = lines.iter().map(|line| line.replace("attnum", "")).collect();
    lines.sort();
    lines
}

const DEFINITIONS: &str = "
SELECT line FROM (
    SELECT pg_get_indexdef(indexrelid) || coalesce(' -- ' || obj_description(indexrelid, 'pg_class'), '') || indisvalid AS line FROM pg_index
     WHERE indrelid = '\"Item\"'::regclass
    UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) || coalesce(' -- ' || obj_description(oid, 'pg_constraint'), '') FROM pg_constraint
     WHERE conrelid = '\"Item\"'::regclass AND contype <> 'n'
    UNION ALL SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext
    UNION ALL SELECT attname || ' ' || coalesce(nullif(attstattarget, -1), 0) || ' ' || coalesce(attoptions::text, '') || ' ' || coalesce(attacl::text, '') || ' '
                     || attnotnull || ' ' || coalesce(col_description(attrelid, attnum), '') || ' ' || coalesce(pg_get_expr(adbin, adrelid), '')
                FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
               WHERE attrelid = '\"Item\"'::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT LIKE '\\_switchover%'
) AS lines ORDER BY line COLLATE \"C\"";

#[test]
fn everything_on_a_widened_column_comes_along_under_its_own_name() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let role = format!("reader_{}", std::process::id());
        let grants = format!(
            "DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
             GRANT SELECT (amount, code), UPDATE (amount) ON \"Item\" TO {role}"
        );
        bed.session.batch_execute(&grants).await.unwrap();
        let before = dump(&bed.url).await;
        let definitions = bed.told(DEFINITIONS).await;
        bed.expand("01_widen", WIDEN).await.unwrap();
        bed.session
            .batch_execute(&format!(
                "INSERT INTO public_01_widen.\"Item\" (code, amount, owner) VALUES ('c1', 9999, 1) ON CONFLICT (code) DO UPDATE SET amount = EXCLUDED.amount;
                 SET ROLE {role}; UPDATE public_01_widen.\"Item\" SET amount = 8888 WHERE code = 'c2'; UPDATE \"Item\" SET amount = 7777 WHERE code = 'c3'; RESET ROLE;"
            ))
            .await
            .unwrap();
        for refused in [
            "INSERT INTO public_01_widen.\"Item\" (code, amount) VALUES ('c1', 5)",
            "UPDATE public_01_widen.\"Item\" SET amount = -1",
            "UPDATE public_01_widen.\"Item\" SET amount = 5 WHERE code = 'c4'",
            "INSERT INTO public_01_widen.\"Item\" (code, amount, owner) VALUES ('n', 1, 4711)",
        ] {
            assert!(bed.session.batch_execute(refused).await.is_err(), "{refused}");
        }
        bed.undo().await;
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
        bed.expand("01_widen", WIDEN).await.unwrap();
        assert_ne!(
            bed.told("SELECT count(*) FROM pg_stats WHERE tablename = 'Item' AND attname LIKE '%amount'").await,
            "0"
        );
        bed.contract().await;
        assert_eq!(as_widened(&[bed.told(DEFINITIONS).await]), as_widened(&[definitions]));
        assert_eq!(
            bed.told("SELECT amount FROM \"Item\" WHERE code IN ('c1', 'c2', 'c3') ORDER BY code").await,
            "9999|8888|7777"
        );
        bed.session.batch_execute("INSERT INTO \"Item\" (code, amount) VALUES ('big', 5000000000)").await.unwrap();
    });
}

/// The lines that name nothing of ours.
fn without_ours(lines: &str) -> Vec<String> {
    lines.split('|').filter(|line| !line.contains("_switchover_")).map(str::to_owned).collect()
}

#[test]
fn everything_on_a_widened_column_comes_back_when_contract_is_undone() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let before = dump(&bed.url).await;
        let definitions = bed.told(DEFINITIONS).await;
        let all = format!(
            "{WIDEN}  - alter_column: {{ table: Item, column: id, type: bigint, up: id, down: 'id::integer' }}\n"
        );
        bed.expand("01_widen", &all).await.unwrap();
        let expanded = bed.told(DEFINITIONS).await;
        bed.contract().await;
        bed.session
            .batch_execute(
                "INSERT INTO public_01_widen.\"Item\" (code, amount, owner) VALUES ('since', 77, 3);
                 UPDATE public_01_widen.\"Item\" SET amount = 6666 WHERE code = 'c1'",
            )
            .await
            .unwrap();
        let applied = bed.migrator().await.undo(&mut |_| {}).await.unwrap();
        assert_eq!(applied.phase, Phase::Expanded);
        assert_eq!(without_ours(&bed.told(DEFINITIONS).await), without_ours(&expanded));
        assert_eq!(without_ours(&expanded), without_ours(&definitions));
        let older = "SELECT id || '/' || amount || '/' || owner FROM public_base.\"Item\" WHERE code IN ('since', 'c1') ORDER BY id";
        assert_eq!(bed.told(older).await, "1/6666/1|51/77/3");
        bed.session
            .batch_execute(
                "INSERT INTO public_base.\"Item\" (code, amount, owner) VALUES ('old again', 78, 4);
                 INSERT INTO public_01_widen.\"Item\" (code, amount, owner) VALUES ('new again', 79, 5);",
            )
            .await
            .unwrap();
        bed.contract().await;
        assert_eq!(as_widened(&[bed.told(DEFINITIONS).await]), as_widened(&[definitions]));
        bed.migrator().await.undo(&mut |_| {}).await.unwrap();
        bed.undo().await;
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
        assert_eq!(bed.told("SELECT count(*) FROM \"Item\" WHERE id IS NULL OR amount IS NULL").await, "0");
    });
}

#[test]
fn a_column_is_converted_a_second_time_with_all_that_stands_on_it_before_the_first_is_contracted() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let definitions = bed.told(DEFINITIONS).await;
        bed.expand("01_widen", WIDEN).await.unwrap();
        let again = "operations:\n  - alter_column: { table: Item, column: amount, type: numeric, up: amount, down: 'amount::bigint' }\n";
        bed.expand("02_again", again).await.unwrap();
        bed.session
            .batch_execute(
                "UPDATE \"Item\" SET amount = 11 WHERE code = 'c1'; UPDATE public_01_widen.\"Item\" SET amount = 12 WHERE code = 'c2';
                 UPDATE public_02_again.\"Item\" SET amount = 13 WHERE code = 'c3';",
            )
            .await
            .unwrap();
        let codes = "WHERE code IN ('c1', 'c2', 'c3') ORDER BY code";
        for version in ["public_base", "public_01_widen", "public_02_again"] {
            assert_eq!(
                bed.told(&format!("SELECT amount FROM {version}.\"Item\" {codes}")).await,
                "11|12|13",
                "{version}"
            );
        }
        bed.contract().await;
        bed.contract().await;
        assert_eq!(
            as_widened(&[bed.told(DEFINITIONS).await]),
            as_widened(&[definitions
                .replace("amount + 1", "amount + (1)::numeric")
                .replace("> 10", "> (10)::numeric")
                .replace("amount > 0", "amount > (0)::numeric")
                .replace("<> 5", "<> (5)::numeric")])
        );
    });
}

#[test]
fn a_serial_primary_key_is_widened_with_its_sequence() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let widen =
            "operations:\n  - alter_column: { table: Item, column: id, type: bigint, up: id, down: 'id::integer' }\n";
        let before = dump(&bed.url).await;
        bed.expand("01_key", widen).await.unwrap();
        bed.session
            .batch_execute(
                "INSERT INTO public_01_key.\"Item\" (code) VALUES ('new'); INSERT INTO \"Item\" (code) VALUES ('old');
                 INSERT INTO public_01_key.\"Item\" (id, code) VALUES (1, 'again') ON CONFLICT (id) DO UPDATE SET code = 'found';",
            )
            .await
            .unwrap();
        assert_eq!(
            bed.told("SELECT count(*) FROM \"Item\" AS o JOIN public_01_key.\"Item\" AS n ON n.id = o.id").await,
            "52"
        );
        bed.undo().await;
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
        bed.expand("01_key", widen).await.unwrap();
        bed.contract().await;
        bed.session
            .batch_execute("INSERT INTO \"Item\" (id, code) VALUES (5000000000, 'big'); INSERT INTO public_01_key.\"Item\" (code) VALUES ('by default')")
            .await
            .unwrap();
        assert_eq!(
            bed.told("SELECT pg_get_serial_sequence('\"Item\"', 'id') || data_type FROM pg_sequences WHERE schemaname = 'public'").await,
            "public.\"Item_id_seq\"bigint"
        );
        assert_eq!(
            bed.told("SELECT conname FROM pg_constraint WHERE conrelid = '\"Item\"'::regclass AND contype = 'p'").await,
            "Item_pkey"
        );
    });
}

#[test]
fn what_can_not_come_along_is_named_before_anything_begins() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        bed.session
            .batch_execute(
                "CREATE TABLE r (id int PRIMARY KEY, parent int REFERENCES r (id), a int, b int GENERATED ALWAYS AS (a + 1) STORED, at tsrange, EXCLUDE USING gist (at WITH &&));
                 CREATE TABLE child (of int REFERENCES r (id));
                 CREATE VIEW v AS SELECT a FROM r; CREATE MATERIALIZED VIEW m AS SELECT a FROM r;
                 CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
                 CREATE TRIGGER of_a BEFORE UPDATE OF a ON r FOR EACH ROW EXECUTE FUNCTION f();
                 CREATE POLICY p ON r USING (a > 0);
                 CREATE PUBLICATION pub FOR TABLE r (id, a);
                 CREATE FUNCTION parsed() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT sum(a) FROM public.r; END;
                 CREATE RULE ru AS ON UPDATE TO r WHERE new.a = 13 DO ALSO SELECT 1;
                 CREATE STATISTICS s ON (a + 1), id FROM r;",
            )
            .await
            .unwrap();
        let before = dump(&bed.url).await;
        let one = |column: &str, kind: &str| {
            format!(
                "operations:\n  - alter_column: {{ table: r, column: {column}, type: {kind}, up: '{column}', down: '{column}' }}\n"
            )
        };
        for (column, kind, named) in [
            (
                "a",
                "int",
                &[
                    "view v",
                    "view m",
                    "trigger of_a",
                    "policy p",
                    "publication",
                    "function parsed()",
                    "rule ru",
                    "generated column b",
                    "statistics object s",
                ][..],
            ),
            ("id", "int", &["of \"child\" refers to column", "refers to its own column"][..]),
            ("at", "tsrange", &["exclusion constraint"][..]),
        ] {
            let result = bed.expand("01_change", &one(column, kind)).await;
            let Err(MigrateError::Refused(problems)) = result else { panic!("{column}: {result:?}") };
            let all = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            for name in named {
                assert!(all.contains(name), "{name} is not in {all}");
            }
        }
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
    });
}

#[test]
fn a_rule_of_the_old_type_that_the_new_one_can_not_have_is_refused_first() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let text = "operations:\n  - alter_column: { table: Item, column: amount, type: text, up: 'amount::text', down: 'amount::integer' }\n";
        let result = bed.expand("01_text", text).await;
        let Err(MigrateError::Refused(problems)) = result else { panic!("{result:?}") };
        assert!(problems.iter().any(|problem| problem.to_string().contains("positive")), "{problems:?}");
    });
}

#[test]
fn a_constraint_with_a_conversion_and_two_columns_of_one_index_work() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        bed.session.batch_execute("CREATE INDEX owner_code ON \"Item\" (owner, \"Weird \"\"one\")").await.unwrap();
        let text = r#"
operations:
  - create_constraint:
      table: Item
      name: owner_given
      type: check
      columns: [owner, 'Weird "one']
      check: owner IS NOT NULL AND "Weird ""one" <> ''
      up: { owner: "coalesce(owner, 1)", 'Weird "one': "coalesce(nullif(\"Weird \"\"one\", ''), '?')" }
      down: { owner: owner, 'Weird "one': "nullif(\"Weird \"\"one\", '?')" }
"#;
        let before = dump(&bed.url).await;
        bed.expand("01_rule", text).await.unwrap();
        bed.session.batch_execute("INSERT INTO \"Item\" (code, \"Weird \"\"one\") VALUES ('old', '')").await.unwrap();
        assert_eq!(
            bed.told("SELECT owner || \"Weird \"\"one\" FROM public_01_rule.\"Item\" WHERE code = 'old'").await,
            "1?"
        );
        assert!(bed.session.batch_execute("UPDATE public_01_rule.\"Item\" SET owner = NULL").await.is_err());
        bed.undo().await;
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
        bed.expand("01_rule", text).await.unwrap();
        bed.contract().await;
        assert_eq!(bed.told("SELECT owner || \"Weird \"\"one\" FROM \"Item\" WHERE code = 'old'").await, "1?");
        assert_eq!(bed.told("SELECT count(*) FROM pg_indexes WHERE indexname = 'owner_code'").await, "1");
    });
}
