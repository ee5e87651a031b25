//! What is the user's own beside a migration: it is never taken along, and told before it is in the way.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what fails here fails the test; a skip is told")]

mod bed;

use bed::{Bed, migration, run};
use switchover_migration::Ident;
use switchover_postgres::{MigrateError, Migrator, Phase, Settings};
use switchover_testkit::postgres::Server;

const TABLE: &str = "
CREATE TABLE a (id int PRIMARY KEY, name text, k int);
INSERT INTO a SELECT n, 'n' || n, n FROM generate_series(1, 5) AS n;
CREATE SCHEMA rep;
";
const ADD: &str = "operations: [{add_column: {table: a, up: k, column: {name: z, type: int, nullable: false}}}]";
const WIDEN: &str = "operations: [{alter_column: {table: a, column: k, type: bigint, up: k, down: 'k::int'}}]";

/// Each is refused with this code, naming `what`; nothing is begun.
fn refused<T: std::fmt::Debug>(result: &Result<T, MigrateError>, code: &str, what: &str) {
    let Err(MigrateError::Refused(problems)) = result else { panic!("{what}: {result:?}") };
    let named = problems.iter().any(|problem| problem.code == code && problem.cause.contains(what));
    assert!(named, "{what}: {problems:#?}");
}

#[test]
fn a_schema_of_the_users_is_never_taken_for_ours() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLE).await else { return };
        let own = "CREATE SCHEMA public_base; CREATE TABLE public_base.precious (id int); INSERT INTO public_base.precious VALUES (1)";
        bed.session.batch_execute(own).await.unwrap();
        refused(&bed.expand("01_m", ADD).await, "VERSION-NAME-TAKEN", "public_base");
        bed.session
            .batch_execute("DROP TABLE public_base.precious; CREATE VIEW public_base.mine AS SELECT id FROM a")
            .await
            .unwrap();
        refused(&bed.expand("01_m", ADD).await, "VERSION-NAME-TAKEN", "public_base");
        bed.session.batch_execute("ALTER SCHEMA public_base RENAME TO theirs").await.unwrap();
        bed.expand("01_m", ADD).await.unwrap();
        bed.contract().await;
        assert_eq!(bed.told("SELECT count(*) FROM theirs.mine").await, "5");
    });
}

#[test]
fn what_lies_in_a_version_or_stands_on_it_is_named_and_stays() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLE).await else { return };
        bed.expand("01_m", ADD).await.unwrap();
        for (make, what, drop) in [
            ("CREATE TABLE V.sess (id int)", "table public_01_m.sess", "DROP TABLE V.sess"),
            ("CREATE SEQUENCE V.sq", "sequence public_01_m.sq", "DROP SEQUENCE V.sq"),
            ("CREATE VIEW V.rv AS SELECT id FROM V.a", "view public_01_m.rv", "DROP VIEW V.rv"),
            ("CREATE VIEW V.rv AS SELECT count(*) FROM public.a", "view public_01_m.rv", "DROP VIEW V.rv"),
            ("CREATE TYPE V.mood AS ENUM ('a')", "type public_01_m.mood", "DROP TYPE V.mood"),
            ("CREATE RULE r AS ON DELETE TO V.a DO ALSO NOTHING", "rule r on view", "DROP RULE r ON V.a"),
            (
                "CREATE FUNCTION rep.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER mine INSTEAD OF INSERT ON V.a FOR EACH ROW EXECUTE FUNCTION rep.t()",
                "trigger mine on view",
                "DROP FUNCTION rep.t CASCADE",
            ),
            ("CREATE MATERIALIZED VIEW rep.mv AS SELECT * FROM V.a", "rep.mv", "DROP MATERIALIZED VIEW rep.mv"),
            (
                "CREATE FUNCTION rep.fn(V.a) RETURNS int LANGUAGE sql AS 'SELECT 1'",
                "function rep.fn",
                "DROP FUNCTION rep.fn",
            ),
            ("CREATE TABLE rep.h (id int, x V.a)", "column x of table rep.h", "DROP TABLE rep.h"),
            (
                "CREATE TABLE rep.o (id int); CREATE POLICY p ON rep.o USING (EXISTS (SELECT FROM V.a))",
                "policy p on table rep.o",
                "DROP TABLE rep.o",
            ),
        ] {
            for (version, phase) in [("public_01_m", "undo"), ("public_base", "contract")] {
                let of = |text: &str| text.replace("V.", &format!("{version}."));
                bed.session.batch_execute(&of(make)).await.unwrap_or_else(|error| panic!("{make}: {error:?}"));
                let what = what.replace("public_01_m", version);
                let result = match phase {
                    "undo" => bed.migrator().await.undo(&mut |_| {}).await,
                    _ => bed.migrator().await.contract(&mut |_| {}).await,
                };
                refused(&result, "VERSION-STOOD-ON", &what);
                bed.session.batch_execute(&of(drop)).await.unwrap();
            }
        }
        bed.contract().await;
        bed.restore().await;
        bed.undo().await;
    });
}

#[test]
fn what_comes_to_a_column_after_expand_is_told_before_contract() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLE).await else { return };
        bed.session
            .batch_execute("CREATE INDEX by_k ON a (k); ALTER TABLE a ADD CONSTRAINT small CHECK (k < 5000)")
            .await
            .unwrap();
        bed.expand("01_wide", WIDEN).await.unwrap();
        for (make, what, drop) in [
            ("CREATE VIEW rep.v AS SELECT id, k FROM public.a", "view rep.v", "DROP VIEW rep.v"),
            ("CREATE INDEX uix ON a (k)", "index \"uix\"", "DROP INDEX uix"),
            (
                "ALTER TABLE a ADD CONSTRAINT ck CHECK (k < 1000)",
                "constraint \"ck\"",
                "ALTER TABLE a DROP CONSTRAINT ck",
            ),
            (
                "CREATE UNIQUE INDEX uk ON a (k); CREATE TABLE rep.r (k int REFERENCES a (k))",
                "index \"uk\"",
                "DROP TABLE rep.r; DROP INDEX uk",
            ),
        ] {
            bed.session.batch_execute(make).await.unwrap();
            refused(&bed.migrator().await.contract(&mut |_| {}).await, "COLUMN-IN-USE", what);
            bed.session.batch_execute(drop).await.unwrap();
        }
        // What only bound the old column would bind rows that no longer have it.
        bed.undo().await;
        bed.expand("02_gone", "operations: [{drop_column: {table: a, column: k}}]").await.unwrap();
        bed.session.batch_execute("ALTER TABLE a ADD CONSTRAINT given CHECK (k IS NOT NULL)").await.unwrap();
        refused(&bed.migrator().await.contract(&mut |_| {}).await, "COLUMN-IN-USE", "constraint \"given\"");
        bed.session.batch_execute("ALTER TABLE a DROP CONSTRAINT given").await.unwrap();
        bed.undo().await;
        bed.expand("03_wide", WIDEN).await.unwrap();
        // What was there at expand came along.
        bed.contract().await;
        bed.session.batch_execute("UPDATE a SET k = 5000 WHERE id = 1").await.unwrap_err();
    });
}

#[test]
fn whole_rows_as_values_elsewhere_keep_a_table_from_being_changed() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLE).await else { return };
        let within = "CREATE TYPE pair AS (one a, other a); CREATE DOMAIN known AS pair; CREATE TABLE hold (x known[])";
        bed.session.batch_execute(within).await.unwrap();
        for text in [ADD, WIDEN, "operations: [{drop_column: {table: a, column: name}}]"] {
            refused(&bed.expand("01_m", text).await, "ROW-TYPE-IN-USE", "column x of hold");
        }
        bed.expand("01_other", "operations: [{rename_column: {table: a, from: name, to: label}}]").await.unwrap();
        bed.undo().await;
        bed.session.batch_execute("DROP TABLE hold CASCADE").await.unwrap();
        bed.expand("01_m", ADD).await.unwrap();
        assert_eq!(bed.migrator().await.undo(&mut |_| {}).await.unwrap().phase, Phase::Undone);
    });
}

#[test]
fn a_state_before_the_first_migration_that_is_ours_stays_with_what_stands_on_it() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLE).await else { return };
        bed.expand("01_m", ADD).await.unwrap();
        bed.session.batch_execute("CREATE VIEW rep.v AS SELECT id FROM public_base.a").await.unwrap();
        bed.undo().await;
        bed.expand("01_m", ADD).await.unwrap();
        refused(&bed.migrator().await.contract(&mut |_| {}).await, "VERSION-STOOD-ON", "view rep.v");
        assert_eq!(bed.told("SELECT count(*) FROM rep.v").await, "5");
    });
}

#[test]
fn rows_that_a_policy_hides_from_their_owner_are_not_passed_over() {
    run(|major| async move {
        let Some(bed) = Bed::new(major, TABLE).await else { return };
        let role = format!("forced_{}_{}", std::process::id(), major.number());
        let database = bed.told("SELECT current_database()").await;
        bed.session
            .batch_execute(&format!(
                "CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {database} TO {role}; GRANT CREATE ON SCHEMA public TO {role};
                 ALTER TABLE a OWNER TO {role}; ALTER TABLE a ENABLE ROW LEVEL SECURITY; ALTER TABLE a FORCE ROW LEVEL SECURITY;
                 CREATE POLICY own ON a USING (id = 1)"
            ))
            .await
            .unwrap();
        let url = Server::shared(major).unwrap().url_as(&role, &database);
        let mut migrator = Migrator::connect(&url, Ident::new("public").unwrap(), Settings::default()).await.unwrap();
        let failed = migrator.expand(&migration("01_wide", WIDEN), &mut |_| {}).await.unwrap_err().to_string();
        assert!(failed.contains("row-level security"), "{failed}");
        drop(migrator);
        assert_eq!(bed.told("SELECT count(k) FROM a").await, "5");
        bed.session.batch_execute(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await.unwrap();
    });
}
