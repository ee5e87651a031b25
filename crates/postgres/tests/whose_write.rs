//! A write counts for the version that made it, in whatever form it comes, and nothing that either version wrote is lost.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use bed::{Bed, run};
use switchover_postgres::MigrateError;

const TABLES: &str = "
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, age integer, note text);
INSERT INTO users (name, age) SELECT 'First' || n || ' Last' || n, n FROM generate_series(1, 300) AS n;
CREATE TABLE log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
";
const SPLIT_AND_RETYPE: &str = r#"
operations:
  - add_column: { table: users, up: "split_part(name, ' ', 1)", column: { name: first, type: text, nullable: false } }
  - add_column: { table: users, up: "split_part(name, ' ', 2)", column: { name: last, type: text, nullable: false } }
  - drop_column: { table: users, column: name, down: first || ' ' || last }
  - alter_column: { table: users, column: age, type: text, up: "coalesce(age::text, 'unknown')", down: "CASE WHEN age ~ '^[0-9]+$' THEN age::integer END" }
"#;
const AGREE: &str = "SELECT count(*) FROM users WHERE name IS DISTINCT FROM first || ' ' || last";

#[test]
fn one_conversion_of_a_row_leaves_what_the_other_version_wrote_by_another() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        bed.expand("01_both", SPLIT_AND_RETYPE).await.unwrap();
        bed.session
            .batch_execute(
                "UPDATE public_01_both.users SET first = 'Ann', last = 'van Dam', age = 'very old' WHERE id = 1;
                 UPDATE users SET age = 7 WHERE id = 1;
                 UPDATE users SET name = 'A  B' WHERE id = 2;
                 UPDATE public_01_both.users SET age = '12' WHERE id = 2;
                 UPDATE public_01_both.users SET note = 'x' WHERE id < 3; UPDATE users SET note = 'y' WHERE id < 3;",
            )
            .await
            .unwrap();
        let both = "SELECT o.name || ',' || o.age || ',' || n.first || ',' || n.last || ',' || n.age || ',' || n.note
                      FROM users AS o JOIN public_01_both.users AS n USING (id) WHERE id < 3 ORDER BY id";
        assert_eq!(bed.told(both).await, "Ann van Dam,7,Ann,van Dam,7,y|A  B,12,A,,12,y");
        bed.contract().await;
    });
}

#[test]
fn an_insert_of_the_newer_version_is_its_own_whatever_it_leaves_out() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let change = r#"
operations:
  - alter_column: { table: users, column: age, type: text, up: "coalesce(age::text, 'unknown')", down: "NULL" }
  - add_column: { table: users, up: "'of ' || name", column: { name: origin, type: text, nullable: true } }
  - alter_column: { table: users, column: note, default: null }
"#;
        bed.session.batch_execute("ALTER TABLE users ALTER COLUMN note SET DEFAULT 'base'").await.unwrap();
        bed.expand("01_all", change).await.unwrap();
        bed.session
            .batch_execute(
                "INSERT INTO public_01_all.users (name, origin) VALUES ('new', 'mine');
                 INSERT INTO public_01_all.users (name) VALUES ('plain');
                 INSERT INTO users (name) VALUES ('old');",
            )
            .await
            .unwrap();
        let newest = "SELECT concat_ws('/', name, coalesce(origin, '-'), coalesce(age, '-'), coalesce(note, '-'))
                        FROM public_01_all.users WHERE id > 300 ORDER BY id";
        assert_eq!(bed.told(newest).await, "new/mine/-/-|plain/-/-/-|old/of old/unknown/base");
    });
}

#[test]
fn a_row_whose_columns_were_written_by_different_versions_does_not_hold_contract_up() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        bed.expand("01_both", SPLIT_AND_RETYPE).await.unwrap();
        // Each value says more than the other version's can: neither side follows from the other as a whole.
        bed.session
            .batch_execute(
                "UPDATE users SET name = 'A  B' WHERE id = 1; UPDATE public_01_both.users SET age = 'very old' WHERE id = 1;",
            )
            .await
            .unwrap();
        bed.contract().await;
        assert_eq!(bed.told("SELECT concat_ws(',', first, last, age) FROM users WHERE id = 1").await, "A,,very old");
    });
}

#[test]
fn a_row_that_is_not_filled_yet_gets_all_its_values_from_the_first_write() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let nullable = SPLIT_AND_RETYPE.replace("nullable: false", "nullable: true");
        bed.expand("01_both", &nullable).await.unwrap();
        // As rows are that the backfill has not come to.
        bed.session
            .batch_execute(
                "SET switchover.backfill = 'on';
                 UPDATE users SET first = NULL, last = NULL, _switchover_1_age = NULL, _switchover_1_mark = NULL WHERE id < 4;
                 RESET switchover.backfill;
                 UPDATE public_01_both.users SET last = 'New' WHERE id = 1;
                 UPDATE public_01_both.users SET age = 'old' WHERE id = 2;
                 UPDATE users SET note = 'touched' WHERE id = 3;",
            )
            .await
            .unwrap();
        let rows =
            "SELECT o.name || ',' || n.first || ',' || n.last || ',' || n.age || ',' || coalesce(o.age::text, '-')
                      FROM users AS o JOIN public_01_both.users AS n USING (id) WHERE id < 4 ORDER BY id";
        assert_eq!(
            bed.told(rows).await,
            "First1 New,First1,New,1,1|First2 Last2,First2,Last2,old,-|First3 Last3,First3,Last3,3,3"
        );
    });
}

#[test]
fn a_write_counts_for_its_version_in_every_form() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        bed.session
            .batch_execute(
                "CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log (name) VALUES (NEW.id || ' log'); RETURN NEW; END $$;
                 CREATE TRIGGER a_log BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION log_it();
                 CREATE FUNCTION trim_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := trim(NEW.note); RETURN NEW; END $$;
                 CREATE TRIGGER trim_note BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION trim_note();
                 CREATE FUNCTION of_old(text) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public AS 'INSERT INTO users (name) VALUES ($1) RETURNING id';",
            )
            .await
            .unwrap();
        let both = format!(
            "{SPLIT_AND_RETYPE}  - add_column: {{ table: log, up: upper(name), column: {{ name: loud, type: text, nullable: false }} }}\n  - drop_column: {{ table: log, column: name, down: lower(loud) }}\n"
        );
        bed.expand("01_both", &both).await.unwrap();
        let before: i64 = bed.told("SELECT max(id) FROM users").await.parse().unwrap();
        bed.session
            .batch_execute(
                "INSERT INTO users (name, note) VALUES ('Old A', ' n '), ('Old B', DEFAULT);
                 INSERT INTO users (name) SELECT 'Old ' || n FROM generate_series(1, 3) AS n ORDER BY n DESC;
                 INSERT INTO public_01_both.users (first, last, age, note) VALUES ('New', 'A', '1', DEFAULT), ('New', 'B', DEFAULT, 'n');
                 INSERT INTO public_01_both.users (first, last) SELECT 'New', n::text FROM generate_series(1, 3) AS n;
                 INSERT INTO users (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'Up Old') ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name;
                 INSERT INTO public_01_both.users (id, first, last) OVERRIDING SYSTEM VALUE VALUES (2, 'Up', 'New') ON CONFLICT (id) DO UPDATE SET first = EXCLUDED.first, last = EXCLUDED.last;
                 INSERT INTO public_01_both.users (id, first, last) OVERRIDING SYSTEM VALUE VALUES (3, 'Not', 'Taken') ON CONFLICT (id) DO UPDATE SET note = 'only shared';
                 SELECT of_old('Definer Old');
                 BEGIN; SET LOCAL search_path = public_01_both, public; INSERT INTO users (first, last) VALUES ('Local', 'New'); INSERT INTO public.users (name) VALUES ('Local Old'); COMMIT;
                 BEGIN; SAVEPOINT s; INSERT INTO users (name) VALUES ('Gone Old'); ROLLBACK TO s; INSERT INTO public_01_both.users (first, last) VALUES ('Kept', 'New'); COMMIT;
                 BEGIN; SAVEPOINT s; DO $$ BEGIN INSERT INTO users (name, age) VALUES (NULL, 1); EXCEPTION WHEN OTHERS THEN NULL; END $$; INSERT INTO public_01_both.users (first, last) VALUES ('Also', 'New'); COMMIT;
                 MERGE INTO users AS u USING (VALUES (4, 'Merged Old'), (100000, 'Made Old')) AS v (id, name) ON u.id = v.id
                   WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (name) VALUES (v.name);
                 SET session_replication_role = replica;
                 INSERT INTO users (name) VALUES ('Replica Old'); INSERT INTO public_01_both.users (first, last) VALUES ('Replica', 'New');
                 UPDATE users SET name = 'Replica Changed' WHERE id = 5;
                 RESET session_replication_role;
                 COPY users (name) FROM PROGRAM 'echo Copy Old';
                 COPY users (first, last) FROM PROGRAM 'printf \"Copy\\tNew\\n\"';",
            )
            .await
            .unwrap();
        assert_eq!(bed.told(AGREE).await, "0");
        let names = format!("SELECT string_agg(name, ', ' ORDER BY id) FROM users WHERE id > {before} OR id < 6");
        assert_eq!(
            bed.told(&names).await,
            "Up Old, Up New, First3 Last3, Merged Old, Replica Changed, Old A, Old B, Old 3, Old 2, Old 1, New A, New B, New 1, New 2, New 3, \
             Definer Old, Local New, Local Old, Kept New, Also New, Made Old, Replica Old, Replica New, Copy Old, Copy New"
        );
        let ages = format!(
            "SELECT string_agg(coalesce(age, 'NULL'), ',' ORDER BY id) FROM public_01_both.users WHERE id > {before}"
        );
        let ages = bed.told(&ages).await;
        assert_eq!(
            ages.split(',').take(7).collect::<Vec<_>>(),
            ["unknown", "unknown", "unknown", "unknown", "unknown", "1", "NULL"]
        );
        assert_eq!(bed.told("SELECT count(*) FROM log WHERE loud IS DISTINCT FROM upper(name)").await, "0");
        bed.contract().await;
    });
}

#[test]
fn types_without_equality_or_with_a_loose_one_are_compared_to_the_byte() {
    run(|major| async move {
        let tables = "CREATE TABLE things (id int PRIMARY KEY, doc json, place point, area box, amount numeric);
                      INSERT INTO things SELECT n, '{\"a\": 1}', '(1,2)', '(0,0),(2,2)', 1.0 FROM generate_series(1, 10) AS n;";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let convert = r#"
operations:
  - alter_column: { table: things, column: doc, type: jsonb, up: "doc::jsonb", down: "doc::json" }
  - alter_column: { table: things, column: place, type: point, nullable: true, up: "place", down: "place" }
  - alter_column: { table: things, column: area, type: text, up: "area::text", down: "area::box" }
  - alter_column: { table: things, column: amount, type: text, up: "amount::text", down: "amount::numeric" }
"#;
        bed.expand("01_types", convert).await.unwrap();
        bed.session
            .batch_execute(
                "UPDATE things SET doc = '{\"a\":  2}', place = '(3,4)' WHERE id = 1;
                 UPDATE things SET area = '(0,0),(1,4)', amount = 1.00 WHERE id = 2;
                 UPDATE public_01_types.things SET place = '(5,6)' WHERE id = 3;",
            )
            .await
            .unwrap();
        let seen = "SELECT doc::text || ' ' || place::text || ' ' || area || ' ' || amount FROM public_01_types.things WHERE id < 4 ORDER BY id";
        assert_eq!(
            bed.told(seen).await,
            r#"{"a": 2} (3,4) (2,2),(0,0) 1.0|{"a": 1} (1,2) (1,4),(0,0) 1.00|{"a": 1} (5,6) (2,2),(0,0) 1.0"#
        );
        bed.contract().await;
    });
}

#[test]
fn two_active_changes_of_a_table_pass_a_write_on_in_both_directions() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        bed.expand("01_both", SPLIT_AND_RETYPE).await.unwrap();
        let again = r#"
operations:
  - alter_column: { table: users, column: first, type: bytea, up: "convert_to(first, 'UTF8')", down: "convert_from(first, 'UTF8')" }
"#;
        bed.expand("02_bytes", again).await.unwrap();
        bed.session
            .batch_execute(
                "UPDATE users SET name = 'Oldest One' WHERE id = 1;
                 UPDATE public_01_both.users SET first = 'Middle' WHERE id = 2;
                 UPDATE public_02_bytes.users SET first = 'Newest' WHERE id = 3;
                 INSERT INTO users (name) VALUES ('Oldest Two');
                 INSERT INTO public_01_both.users (first, last) VALUES ('Middle', 'Two');
                 INSERT INTO public_02_bytes.users (first, last) VALUES ('Newest', 'Two');",
            )
            .await
            .unwrap();
        let rows =
            "SELECT o.name || ':' || m.first || ':' || convert_from(n.first, 'UTF8') || ':' || n.last FROM users AS o
                      JOIN public_01_both.users AS m USING (id) JOIN public_02_bytes.users AS n USING (id)
                     WHERE id < 4 OR id > 300 ORDER BY id";
        assert_eq!(
            bed.told(rows).await,
            "Oldest One:Oldest:Oldest:One|Middle Last2:Middle:Middle:Last2|Newest Last3:Newest:Newest:Last3|\
             Oldest Two:Oldest:Oldest:Two|Middle Two:Middle:Middle:Two|Newest Two:Newest:Newest:Two"
        );
    });
}

#[test]
fn a_value_taken_from_a_column_that_both_have_follows_it_until_it_gets_one_of_its_own() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLES).await else { return };
        let slug = r#"
operations:
  - add_column: { table: users, up: "lower(name)", column: { name: slug, type: text, nullable: false } }
"#;
        bed.expand("01_slug", slug).await.unwrap();
        bed.session
            .batch_execute(
                "UPDATE users SET name = 'Changed' WHERE id = 1;
                 UPDATE public_01_slug.users SET slug = 'own' WHERE id = 2;
                 UPDATE users SET name = 'Changed' WHERE id = 2;",
            )
            .await
            .unwrap();
        assert_eq!(
            bed.told("SELECT slug FROM public_01_slug.users WHERE id < 4 ORDER BY id").await,
            "changed|own|first3 last3"
        );
    });
}

#[test]
fn down_of_a_dropped_column_touches_only_rows_of_the_newer_version() {
    run(|major| async move {
        let tables = "CREATE TABLE t (id int PRIMARY KEY, a text, full_name text DEFAULT 'nobody', opt text);
                      INSERT INTO t SELECT n, 'a' || n, CASE WHEN n % 2 = 0 THEN 'a' || n || '!' END FROM generate_series(1, 10) AS n;";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let stamp = bed.told("SELECT string_agg(xmin::text, ',' ORDER BY id) FROM t").await;
        let drop = "operations:\n  - drop_column: { table: t, column: full_name, down: a || '!' }\n  - drop_column: { table: t, column: opt, down: \"'given'\" }\n";
        bed.expand("01_drop", drop).await.unwrap();
        assert_eq!(
            bed.told("SELECT string_agg(xmin::text, ',' ORDER BY id) FROM t").await,
            stamp,
            "no row was written"
        );
        bed.session
            .batch_execute(
                "INSERT INTO t (id, a) VALUES (11, 'old'); INSERT INTO t (id, a, full_name) VALUES (12, 'old', NULL);
                 INSERT INTO public_01_drop.t (id, a) VALUES (13, 'new'), (14, 'new');
                 INSERT INTO public_01_drop.t (id, a) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a;
                 UPDATE public_01_drop.t SET a = 'y' WHERE id = 2;
                 UPDATE t SET a = 'z', full_name = 'own' WHERE id = 4;",
            )
            .await
            .unwrap();
        assert_eq!(
            bed.told("SELECT string_agg(coalesce(full_name, '-') || coalesce(opt, '-'), ',' ORDER BY id) FROM t WHERE id IN (1, 2, 3, 4) OR id > 10").await,
            "--,y!-,--,own-,nobody-,--,new!given,new!given"
        );
        assert_eq!(bed.told("SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public_01_drop' AND table_name = 't'").await, "2");
        bed.contract().await;
        bed.session.batch_execute("INSERT INTO public_01_drop.t VALUES (20, 'after')").await.unwrap();
    });
}

#[test]
fn wrong_expressions_are_refused_before_anything_begins_also_on_an_empty_table() {
    run(|major| async move {
        let Some(bed) =
            Bed::new(major, "CREATE TABLE t (id int PRIMARY KEY, a text, b int GENERATED ALWAYS AS (1) STORED)").await
        else {
            return;
        };
        for (operations, told) in [
            (
                "- add_column: { table: t, column: { name: n, type: int, nullable: true }, up: a + 1 }",
                "`up` for column \"n\"",
            ),
            (
                "- add_column: { table: t, column: { name: n, type: int, nullable: true }, up: max(length(a)) }",
                "aggregate functions are not allowed",
            ),
            (
                "- add_column: { table: t, column: { name: n, type: int, nullable: true }, up: nothing(a) }",
                "nothing(text) does not exist",
            ),
            (
                "- add_column: { table: t, column: { name: n, type: nothing, nullable: true } }",
                "type \"nothing\" does not exist",
            ),
            ("- add_column: { table: t, column: { name: n, type: int, default: \"'x'\" } }", "the default of column"),
            ("- alter_column: { table: t, column: a, check: { name: c, constraint: a > 1 } }", "check \"c\""),
            (
                "- alter_column: { table: t, column: a, check: { name: c, constraint: 'a IN (SELECT a FROM t)' } }",
                "holds a query",
            ),
            ("- alter_column: { table: t, column: a, type: int, up: a::int, down: a || '' }", ""),
            ("- alter_column: { table: t, column: a, type: int, up: a::int, down: length(a) }", "`down` for column"),
            (
                "- create_table: { name: n, columns: [{ name: id, type: serial, pk: true }, { name: x, type: text, check: { name: c, constraint: x > 1 } }] }",
                "check \"c\"",
            ),
            ("- add_column: { table: t, column: { name: n, type: int, nullable: true }, up: b }", "is generated"),
        ] {
            let result = bed.expand("01_wrong", &format!("operations:\n  {operations}\n")).await;
            if told.is_empty() {
                result.unwrap();
                bed.undo().await;
                continue;
            }
            let Err(MigrateError::Refused(problems)) = result else { panic!("{operations}: {result:?}") };
            assert!(problems[0].to_string().contains(told), "{operations}: {problems:?}");
        }
    });
}
