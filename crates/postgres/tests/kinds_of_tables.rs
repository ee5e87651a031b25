//! What applications have besides plain tables: each works through both versions, or the plan refuses it by name.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use bed::{Bed, of_the_app, run};
use switchover_testkit::postgres::dump;

#[test]
fn other_roles_and_row_security_are_as_on_the_table() {
    run(|major| async move {
        let tables = "CREATE TABLE docs (id int PRIMARY KEY, owner text NOT NULL, title text NOT NULL);
                      ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
                      CREATE POLICY own ON docs USING (owner = current_user);";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let role = |name: &str| format!("{name}_{}_{}", std::process::id(), major.number());
        let (reader, writer, nobody) = (role("reader"), role("writer"), role("nobody"));
        bed.session
            .batch_execute(&format!(
                "CREATE ROLE {reader}; CREATE ROLE {writer}; CREATE ROLE {nobody};
                 GRANT SELECT ON docs TO {reader}; GRANT SELECT, INSERT, UPDATE ON docs TO {writer};
                 INSERT INTO docs VALUES (1, '{reader}', 'a b'), (2, '{writer}', 'c d'), (3, 'other', 'e f');"
            ))
            .await
            .unwrap();
        let split = r#"
operations:
  - alter_column: { table: docs, column: title, type: bytea, up: "convert_to(title, 'UTF8')", down: "convert_from(title, 'UTF8')" }
"#;
        bed.expand("01_bytes", split).await.unwrap();
        for (who, seen) in [(&reader, "1"), (&writer, "2")] {
            bed.session.batch_execute(&format!("SET ROLE {who}")).await.unwrap();
            assert_eq!(bed.told("SELECT id FROM public_01_bytes.docs").await, seen);
            assert_eq!(bed.told("SELECT id FROM public_base.docs").await, seen);
            bed.session.batch_execute("RESET ROLE").await.unwrap();
        }
        let write = format!(
            "SET ROLE {writer}; INSERT INTO public_01_bytes.docs VALUES (4, '{writer}', 'new'); INSERT INTO docs VALUES (5, '{writer}', 'old'); UPDATE public_base.docs SET title = 'changed' WHERE id = 2; RESET ROLE"
        );
        bed.session.batch_execute(&write).await.unwrap();
        for forbidden in [
            format!("SET ROLE {writer}; INSERT INTO public_01_bytes.docs VALUES (6, 'other', 'x')"),
            format!("SET ROLE {reader}; UPDATE public_01_bytes.docs SET title = 'x'"),
            format!("SET ROLE {nobody}; SELECT FROM public_01_bytes.docs"),
        ] {
            let result = bed.session.batch_execute(&forbidden).await;
            bed.session.batch_execute("RESET ROLE").await.unwrap();
            assert!(result.is_err(), "{forbidden}");
        }
        bed.contract().await;
        assert_eq!(
            bed.told("SELECT convert_from(title, 'UTF8') FROM docs ORDER BY id").await,
            "a b|changed|e f|new|old"
        );
        bed.session
            .batch_execute(&format!(
                "DROP OWNED BY {reader}, {writer}, {nobody}; DROP ROLE {reader}, {writer}, {nobody}"
            ))
            .await
            .unwrap();
    });
}

#[test]
fn enums_domains_arrays_and_odd_names_are_converted() {
    run(|major| async move {
        let tables = r#"CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE "Mood 2" AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN short AS text CHECK (length(VALUE) < 10);
            CREATE TABLE "Select" ("order" int PRIMARY KEY, "user" mood, "Tags" text[], "a.b ""c" text);
            INSERT INTO "Select" VALUES (1, 'sad', '{a,b}', 'x'), (2, NULL, NULL, NULL);"#;
        let Some(bed) = Bed::new(major, tables).await else { return };
        let text = r#"
operations:
  - alter_column: { table: Select, column: user, type: '"Mood 2"', up: '"user"::text::"Mood 2"', down: 'nullif("user"::text, ''happy'')::mood' }
  - alter_column: { table: Select, column: Tags, type: 'text[]', up: 'array_append("Tags", ''n'')', down: 'array_remove("Tags", ''n'')' }
  - alter_column: { table: Select, column: 'a.b "c', type: short, up: '"a.b ""c"', down: '"a.b ""c"' }
"#;
        let before = dump(&bed.url).await;
        bed.expand("01 Odd", text).await.unwrap();
        bed.session
            .batch_execute(
                r#"INSERT INTO "public_01 Odd"."Select" VALUES (3, 'happy', '{z,n}', 'new'); INSERT INTO "Select" VALUES (4, 'ok', '{}', 'old');
                   UPDATE "Select" SET "Tags" = "Tags" || 'q'::text WHERE "order" = 1;"#,
            )
            .await
            .unwrap();
        let all = r#"SELECT concat_ws('/', "user", "Tags", "a.b ""c") FROM "#;
        assert_eq!(
            bed.told(&format!(r#"{all} "public_01 Odd"."Select" ORDER BY "order""#)).await,
            "sad/{a,b,q,n}/x|{n}|happy/{z,n}/new|ok/{n}/old"
        );
        assert_eq!(bed.told(&format!(r#"{all} "Select" ORDER BY "order""#)).await, "sad/{a,b,q}/x||{z}/new|ok/{}/old");
        bed.undo().await;
        assert_eq!(of_the_app(&dump(&bed.url).await), of_the_app(&before));
        bed.expand("01 Odd", text).await.unwrap();
        bed.contract().await;
        assert_eq!(bed.told(r#"SELECT pg_typeof("user")::text FROM "Select" LIMIT 1"#).await, "\"Mood 2\"");
    });
}

#[test]
fn types_and_functions_of_another_schema_are_found_from_a_schema_that_is_not_public() {
    run(|major| async move {
        let tables = "CREATE TYPE public.mood AS ENUM ('sad', 'ok'); CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY, m public.mood);
                      INSERT INTO shop.t VALUES (1, 'sad');";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let schema = switchover_migration::Ident::new("shop").unwrap();
        let settings = switchover_postgres::Settings::default();
        let mut migrator = switchover_postgres::Migrator::connect(&bed.url, schema, settings).await.unwrap();
        let text = "operations:\n  - alter_column: { table: t, column: m, type: text, up: 'm::text', down: 'm::public.mood' }\n";
        migrator.expand(&bed::migration("01_text", text), &mut |_| {}).await.unwrap();
        bed.session.batch_execute("SET search_path = pg_catalog; INSERT INTO shop_01_text.t VALUES (2, 'ok'); UPDATE shop.t SET m = 'ok' WHERE id = 1; RESET search_path").await.unwrap();
        assert_eq!(bed.told("SELECT m FROM shop_01_text.t ORDER BY id").await, "ok|ok");
        assert_eq!(bed.told("SELECT m FROM shop.t ORDER BY id").await, "ok|ok");
        migrator.contract(&mut |_| {}).await.unwrap();
    });
}

#[test]
fn identity_and_generated_columns_stay_and_what_rewrites_a_table_is_refused() {
    run(|major| async move {
        let tables = "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int GENERATED BY DEFAULT AS IDENTITY, a text, len int GENERATED ALWAYS AS (length(a)) STORED);
                      INSERT INTO t (a) VALUES ('x'), ('yy');";
        let Some(bed) = Bed::new(major, tables).await else { return };
        for (text, named) in [
            (
                "- add_column: { table: t, column: { name: i, type: bigint, generated: { identity: { user_specified_values: ALWAYS } } } }",
                "identity",
            ),
            (
                "- add_column: { table: t, column: { name: g, type: int, generated: { expression: 'id + 1' } } }",
                "stored",
            ),
            ("- alter_column: { table: t, column: n, type: bigint, up: n, down: 'n::int' }", "made by the database"),
            ("- alter_column: { table: t, column: a, type: varchar, up: a, down: a }", "generated column len"),
        ] {
            let told = bed.refused(&format!("operations:\n  {text}\n")).await;
            assert!(told.contains(named), "{text}: {told}");
        }
        bed.expand("01_more", "operations:\n  - add_column: { table: t, up: upper(a), column: { name: loud, type: text, nullable: true } }\n").await.unwrap();
        bed.session
            .batch_execute(
                "INSERT INTO t (a) VALUES ('old'); INSERT INTO public_01_more.t (a, loud) VALUES ('new', 'NEW!')",
            )
            .await
            .unwrap();
        assert_eq!(
            bed.told("SELECT id || loud || len FROM public_01_more.t ORDER BY id").await,
            "1X1|2YY2|3OLD3|4NEW!3"
        );
        bed.contract().await;
    });
}

#[test]
fn inherited_tables_and_triggers_beyond_ours_are_refused_by_name() {
    run(|major| async move {
        let tables = "CREATE TABLE parent (id int PRIMARY KEY, a text); CREATE TABLE child () INHERITS (parent);
                      CREATE TABLE t (id int PRIMARY KEY, a text);
                      CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
                      CREATE TRIGGER \"ätsch\" BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();";
        let Some(bed) = Bed::new(major, tables).await else { return };
        for (table, named) in [("parent", "child"), ("t", "ätsch")] {
            let text = format!(
                "operations:\n  - add_column: {{ table: {table}, up: a, column: {{ name: b, type: text }} }}\n"
            );
            let told = bed.refused(&text).await;
            assert!(told.contains(named), "{told}");
        }
    });
}

#[test]
fn prepared_statements_are_held_across_expand_and_undo() {
    run(|major| async move {
        let tables = "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1);";
        let Some(bed) = Bed::new(major, tables).await else { return };
        let update = bed.session.prepare("UPDATE t SET a = a + 1 WHERE id = $1 RETURNING a").await.unwrap();
        let insert = bed
            .session
            .prepare("INSERT INTO t (id, a) VALUES ($1, 0) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a RETURNING a")
            .await
            .unwrap();
        let text = "operations:\n  - alter_column: { table: t, column: a, type: bigint, up: a, down: 'a::int' }\n";
        for round in 0..8 {
            bed.session.query_one(&update, &[&1_i32]).await.unwrap();
            bed.session.query_one(&insert, &[&(round + 10)]).await.unwrap();
            if round == 3 {
                bed.expand("01_wide", text).await.unwrap();
            }
            if round == 6 {
                bed.undo().await;
            }
        }
        assert_eq!(bed.told("SELECT a FROM t WHERE id = 1").await, "9");
    });
}
