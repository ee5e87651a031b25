//! Migrations in SQL: files of a directory, beside declared ones, carried out by the same engine.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; figures are told")]

mod bed;

use bed::{Bed, SHOP, run};
use switchover_migration::lint::{Linter, Phase as When, RanBy};
use switchover_migration::{Migration, directory};
use switchover_postgres::{MigrateError, Phase};
use switchover_testkit::postgres::{Major, Session};

fn migrations(files: &[(&str, &str)]) -> Vec<Migration> {
    let files: Vec<directory::File> =
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    directory::read(&files).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

async fn expand(bed: &Bed, migration: &Migration) -> Result<Phase, MigrateError> {
    bed.migrator().await.expand(migration, &mut |_| {}).await.map(|applied| applied.phase)
}

const ADD_EMAIL: (&str, &str) = (
    "01_kind.expand.sql",
    "CREATE TYPE kind AS ENUM ('a', 'b');
     ALTER TABLE users ADD COLUMN kind kind DEFAULT 'a'; -- one transaction up to here
     CREATE INDEX CONCURRENTLY users_by_kind ON users (kind);
     CREATE TABLE tags (id bigint PRIMARY KEY, name text NOT NULL);
     VACUUM (ANALYZE) users;",
);

#[test]
fn parts_in_sql_expand_and_contract_like_declared_ones() {
    async fn parts(major: Major) {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let [migration] = &migrations(&[ADD_EMAIL, ("01_kind.contract.sql", "ALTER TABLE users DROP COLUMN age")])[..]
        else {
            panic!("one migration")
        };
        assert_eq!(expand(&bed, migration).await.unwrap(), Phase::Expanded);
        assert_eq!(
            bed.told("SELECT count(*)::text FROM \"public_01_kind\".users WHERE kind = 'a' AND age >= 0").await,
            "3000"
        );
        assert_eq!(bed.told("SELECT count(*)::text FROM \"public_01_kind\".tags").await, "0");
        assert_eq!(
            bed.told("SELECT indisvalid::text FROM pg_index WHERE indexrelid = 'users_by_kind'::regclass").await,
            "true"
        );
        bed.session.batch_execute("INSERT INTO public_base.users (name) VALUES ('live'); INSERT INTO public_01_kind.users (name, kind) VALUES ('new', 'b')").await.unwrap();
        bed.contract().await;
        assert_eq!(bed.told("SELECT count(*)::text FROM \"public_01_kind\".users WHERE kind = 'a'").await, "3001");
        let columns = "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'public_01_kind.users'::regclass AND attnum > 0";
        assert_eq!(bed.told(columns).await, "id,name,email,kind");
        assert_eq!(bed.told("SELECT (to_regnamespace('public_base') IS NULL)::text").await, "true");
    }
    run(parts);
}

#[test]
fn what_sql_made_is_seen_through_a_later_declared_version_and_hidden_columns_stay_hidden() {
    async fn mixed(major: Major) {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let all = migrations(&[
            ("01_drop.yaml", "operations: [{drop_column: {table: users, column: age}}]"),
            ("02_more.sql", "ALTER TABLE users ADD COLUMN phone text; CREATE TABLE tags (id bigint PRIMARY KEY)"),
            ("03_rename.yaml", "operations: [{rename_column: {table: users, from: phone, to: call}}]"),
        ]);
        for migration in &all {
            expand(&bed, migration).await.unwrap();
        }
        let columns = |version: &str| {
            format!(
                "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '{version}.users'::regclass AND attnum > 0"
            )
        };
        for (version, expected) in [
            ("public_base", "id,name,age,email"),
            ("public_01_drop", "id,name,email"),
            ("public_02_more", "id,name,email,phone"),
            ("public_03_rename", "id,name,email,call"),
        ] {
            assert_eq!(bed.told(&columns(version)).await, expected, "{version}");
        }
        assert_eq!(bed.told("SELECT count(*)::text FROM public_03_rename.tags").await, "0");
    }
    run(mixed);
}

#[test]
fn contract_in_sql_leaves_newer_versions_what_they_show_but_what_it_takes_away() {
    async fn newer(major: Major) {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let all = migrations(&[
            ("01_age.contract.sql", "ALTER TABLE users DROP COLUMN age"),
            (
                "02_name.yaml",
                "operations: [{rename_column: {table: users, from: name, to: called}}, {drop_column: {table: users, column: email}}]",
            ),
            ("03_more.sql", "ALTER TABLE users ADD COLUMN phone text"),
            (
                "04_loud.yaml",
                "operations: [{add_column: {table: users, up: upper(called), column: {name: loud, type: text}}}]",
            ),
        ]);
        for migration in &all {
            expand(&bed, migration).await.unwrap();
        }
        let columns = |version: &str| {
            format!(
                "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '{version}.users'::regclass AND attnum > 0"
            )
        };
        bed.contract().await;
        for (version, expected) in [
            ("public_01_age", "id,name,email"),
            ("public_02_name", "id,called"),
            ("public_03_more", "id,called,phone"),
            ("public_04_loud", "id,called,phone,loud"),
        ] {
            assert_eq!(bed.told(&columns(version)).await, expected, "{version}");
        }
        bed.session
            .batch_execute(
                "INSERT INTO public_01_age.users (name, email) VALUES ('old', 'e'); INSERT INTO public_02_name.users (called) VALUES ('middle');
                 INSERT INTO public_04_loud.users (called, phone, loud) VALUES ('new', '1', 'mine');",
            )
            .await
            .unwrap();
        assert_eq!(
            bed.told("SELECT concat_ws('/', called, loud) FROM public_04_loud.users WHERE called IN ('old', 'middle', 'new') ORDER BY called").await,
            "middle/MIDDLE|new/mine|old/OLD"
        );
        for _ in 0..3 {
            bed.contract().await;
        }
        let again = bed.migrator().await.undo(&mut |_| {}).await.unwrap();
        assert_eq!(
            (again.phase, bed.told(&columns("public_03_more")).await.as_str()),
            (Phase::Expanded, "id,called,phone")
        );
        bed.contract().await;
        assert_eq!(bed.told(&columns("public_04_loud")).await, "id,called,phone,loud");
        assert_eq!(bed.told("SELECT count(*)::text FROM users").await, "3003");
    }
    run(newer);
}

#[test]
fn contract_in_sql_is_not_undone_and_says_so() {
    async fn contracted(major: Major) {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let all = migrations(&[("01_age.contract.sql", "ALTER TABLE users DROP COLUMN age")]);
        expand(&bed, &all[0]).await.unwrap();
        bed.contract().await;
        let error = bed.migrator().await.undo(&mut |_| {}).await.unwrap_err();
        assert!(matches!(&error, MigrateError::Refused(problems) if problems[0].code == "NO-WAY-BACK"), "{error:?}");
        assert_eq!(bed.told("SELECT phase FROM switchover.migration").await, "contracted");
    }
    run(contracted);
}

#[test]
fn sql_that_the_live_version_can_not_live_with_is_refused_before_anything_begins() {
    async fn refused(major: Major) {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let all = migrations(&[("01_a.sql", "CREATE TABLE made (id bigint);\nALTER TABLE users DROP COLUMN name;")]);
        let error = expand(&bed, &all[0]).await.unwrap_err();
        let MigrateError::Refused(problems) = &error else { panic!("{error:?}") };
        assert_eq!(problems[0].code, "SQL-REFUSED");
        assert!(problems[0].detail.iter().any(|line| line.contains("[dropped-column]")), "{problems:?}");
        assert_eq!(bed.told("SELECT (to_regclass('made') IS NULL)::text").await, "true");
        assert_eq!(bed.told("SELECT count(*)::text FROM switchover.migration").await, "0");
    }
    run(refused);
}

#[test]
fn undo_runs_what_takes_it_back_and_is_refused_where_nothing_does() {
    async fn undone(major: Major) {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let up = ("01_a.expand.sql", "ALTER TABLE users ADD COLUMN phone text");
        let both = migrations(&[up, ("01_a.undo.sql", "ALTER TABLE users DROP COLUMN phone")]);
        expand(&bed, &both[0]).await.unwrap();
        bed.undo().await;
        let there = "SELECT count(*)::text FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'phone'";
        assert_eq!(bed.told(there).await, "0");
        let alone = migrations(&[up]);
        expand(&bed, &alone[0]).await.unwrap();
        let error = bed.migrator().await.undo(&mut |_| {}).await.unwrap_err();
        assert!(matches!(&error, MigrateError::Refused(problems) if problems[0].code == "NO-WAY-BACK"), "{error:?}");
        assert_eq!(bed.told(there).await, "1");
        assert_eq!(bed.told("SELECT phase FROM switchover.migration ORDER BY number DESC LIMIT 1").await, "expanded");
    }
    run(undone);
}

#[test]
fn a_file_that_fails_at_its_first_statement_leaves_nothing_and_one_that_fails_later_goes_on() {
    async fn failing(major: Major) {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let all = migrations(&[("01_a.sql", "CREATE TABLE made (id bigint); CREATE TABLE other (id no_type)")]);
        let error = expand(&bed, &all[0]).await.unwrap_err();
        assert!(matches!(error, MigrateError::TakenBack { .. }), "{error:?}");
        assert_eq!(bed.told("SELECT (to_regclass('made') IS NULL)::text").await, "true");
        // The index is broken off for good by rows of the same value; once they are mended, the same command goes on.
        bed.session
            .batch_execute("CREATE TABLE codes (code text); INSERT INTO codes VALUES ('x'), ('x')")
            .await
            .unwrap();
        let text = "CREATE TABLE made (id bigint);
            -- switchover: allow new-unique because codes are drawn at random
            CREATE UNIQUE INDEX CONCURRENTLY codes_key ON codes (code)";
        let all = migrations(&[("02_a.sql", text)]);
        let error = expand(&bed, &all[0]).await.unwrap_err();
        assert!(matches!(error, MigrateError::Step { .. }), "{error:?}");
        assert_eq!(
            bed.told("SELECT indisvalid::text FROM pg_index WHERE indexrelid = 'codes_key'::regclass").await,
            "false"
        );
        bed.session.batch_execute("DELETE FROM codes").await.unwrap();
        assert_eq!(expand(&bed, &all[0]).await.unwrap(), Phase::Expanded);
        assert_eq!(
            bed.told("SELECT indisvalid::text FROM pg_index WHERE indexrelid = 'codes_key'::regclass").await,
            "true"
        );
    }
    run(failing);
}

#[test]
fn the_way_that_the_linter_shows_works_for_both_versions() {
    async fn shown(major: Major) {
        let Some(bed) = Bed::new(major, SHOP).await else { return };
        let told = |sql: &str| {
            let found = Linter::new(RanBy::Us, None).file(sql, "1.sql", When::Expand);
            let finding = found.into_iter().find(switchover_migration::lint::Finding::is_refused).unwrap();
            (finding.expand, finding.contract)
        };
        let (mut expand, contract) = told("ALTER TABLE users RENAME COLUMN name TO full_name");
        expand[0] = expand[0].replace("TYPE", "text");
        expand.pop(); // in batches, by hand
        execute(&bed.session, &expand).await;
        bed.session.batch_execute("UPDATE users SET age = 1 WHERE id = 1").await.unwrap();
        bed.session
            .batch_execute("INSERT INTO users (name) VALUES ('live'); UPDATE users SET name = 'old wrote' WHERE id = 2")
            .await
            .unwrap();
        bed.session
            .batch_execute(
                "INSERT INTO users (full_name) VALUES ('new'); UPDATE users SET full_name = 'new wrote' WHERE id = 3",
            )
            .await
            .unwrap();
        bed.session.batch_execute("UPDATE users SET name = name WHERE full_name IS NULL").await.unwrap();
        assert_eq!(
            bed.told("SELECT count(*)::text FROM users WHERE name IS DISTINCT FROM full_name OR name IS NULL").await,
            "0"
        );
        assert_eq!(
            bed.told("SELECT full_name FROM users WHERE id <= 3 ORDER BY id").await,
            "First1 Last1|old wrote|new wrote"
        );
        execute(&bed.session, &contract).await;
        for sql in [
            "ALTER TABLE users ADD COLUMN state text NOT NULL",
            "ALTER TABLE users ADD CONSTRAINT of_age CHECK (age < 200)",
            "ALTER TABLE users ADD CONSTRAINT users_id_age UNIQUE (id, age)",
            "ALTER TABLE orders ADD FOREIGN KEY (id) REFERENCES users (id) ON DELETE CASCADE",
            "ALTER TABLE users RENAME TO people",
        ] {
            let (expand, contract) = told(sql);
            execute(&bed.session, &expand).await;
            bed.session.batch_execute("UPDATE users SET age = age").await.unwrap();
            if sql.contains("state") {
                bed.session.batch_execute("UPDATE users SET state = 'x'").await.unwrap();
            }
            execute(&bed.session, &contract).await;
        }
        assert_eq!(bed.told("SELECT count(*)::text FROM people").await, "3002");
    }
    run(shown);
}

async fn execute(session: &Session, statements: &[String]) {
    for sql in statements {
        session.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}
