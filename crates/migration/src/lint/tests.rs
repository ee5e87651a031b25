//! What the rules' own tests share, and what holds for all of them.

use super::*;
use crate::Ident;
use crate::catalog::{Catalog, ConstraintType, Index, PartitionKey, Table, TableColumn, TableConstraint};

/// What is said about `sql` in `phase` when others run it, in a database of which nothing is known; the rules under test
/// alone, without the reminder of a lock's timeout.
pub(crate) fn told(phase: Phase, sql: &str) -> String {
    told_by(&mut Linter::new(RanBy::Us, None), phase, sql)
}

/// The same, knowing the shop's database.
pub(crate) fn told_of_shop(phase: Phase, sql: &str) -> String {
    let catalog = shop();
    told_by(&mut Linter::new(RanBy::Us, Some(&catalog)), phase, sql)
}

pub(crate) fn told_by(linter: &mut Linter<'_>, phase: Phase, sql: &str) -> String {
    linter.file(sql, "1.sql", phase).iter().map(|finding| format!("{finding}\n")).collect()
}

/// Statements that nothing is said about.
pub(crate) fn quiet(phase: Phase, statements: &[&str]) {
    for sql in statements {
        assert_eq!(told(phase, sql), "", "{sql}");
        assert_eq!(told_of_shop(phase, sql), "", "{sql} with the catalog");
    }
}

/// `users (id bigint key, name varchar(20) not null, age integer, state text not null default 'new', email text unique)`
pub(crate) fn shop() -> Catalog {
    let ident = |name: &str| Ident::new(name).unwrap();
    let column = |name: &str, data_type: &str, nullable: bool, default: Option<&str>| TableColumn {
        name: ident(name),
        data_type: data_type.to_owned(),
        nullable,
        default: default.map(str::to_owned),
        generated: false,
        computed: false,
        comment: None,
        statistics_target: None,
        options: None,
        granted: false,
        sequence: None,
    };
    let users = Table {
        columns: vec![
            column("id", "bigint", false, None),
            column("name", "character varying(20)", false, None),
            column("age", "integer", true, None),
            column("state", "text", false, Some("'new'::text")),
            column("email", "text", true, None),
        ],
        primary_key: vec![ident("id")],
        indexes: vec![Index {
            name: ident("users_email_key"),
            columns: vec![ident("email")],
            definition: "CREATE UNIQUE INDEX users_email_key ON public.users USING btree (email)".to_owned(),
            valid: true,
            of_constraint: true,
            replica_identity: false,
            comment: None,
        }],
        constraints: vec![TableConstraint {
            name: ident("users_age_given"),
            kind: ConstraintType::Check,
            columns: vec![ident("age")],
            referred: Vec::new(),
            condition: Some("(age IS NOT NULL)".to_owned()),
            validated: true,
            comment: None,
            definition: "CHECK ((age IS NOT NULL))".to_owned(),
            of_table: None,
        }],
        dependants: Vec::new(),
        statistics: Vec::new(),
        rows: Some(3_000),
        row_security: false,
        partitioned: false,
        partitions: Vec::new(),
        partitioned_by: PartitionKey::default(),
        relatives: Vec::new(),
        triggers_around: Vec::new(),
    };
    Catalog { schema: ident("public"), tables: [(ident("users"), users)].into(), other_names: Vec::new() }
}

#[test]
fn what_the_same_file_makes_can_be_anything() {
    quiet(
        Phase::Expand,
        &["CREATE TABLE tags (id bigint PRIMARY KEY, name text UNIQUE CHECK (name <> ''));
           ALTER TABLE tags ADD COLUMN kind text NOT NULL;
           CREATE UNIQUE INDEX tags_kind ON tags (kind);
           ALTER TABLE tags RENAME COLUMN kind TO sort;
           ALTER TABLE public.tags ALTER COLUMN sort TYPE integer USING 1;
           INSERT INTO tags (id, name, sort) SELECT n, n::text, n FROM generate_series(1, 9) AS n;
           DROP TABLE tags"],
    );
    let mut linter = Linter::new(RanBy::Us, None);
    assert_eq!(told_by(&mut linter, Phase::Expand, "CREATE TABLE tags (id bigint PRIMARY KEY)"), "");
    assert_eq!(told_by(&mut linter, Phase::Expand, "ALTER TABLE tags ADD COLUMN kind text NOT NULL"), "");
}

#[test]
fn names_are_the_same_as_the_database_takes_them() {
    quiet(Phase::Expand, &["CREATE TABLE Tags (Id bigint); ALTER TABLE \"tags\" DROP COLUMN ID"]);
    assert!(
        told(Phase::Expand, "CREATE TABLE \"Tags\" (id bigint); ALTER TABLE tags DROP COLUMN id")
            .contains("dropped-column")
    );
    assert!(
        told_of_shop(Phase::Expand, "ALTER TABLE \"public\".USERS DROP COLUMN \"name\"").contains("dropped-column")
    );
}

#[test]
fn a_table_that_the_database_does_not_have_is_nobodys() {
    let sql = "ALTER TABLE nobody DROP COLUMN name";
    assert!(told(Phase::Expand, sql).contains("dropped-column"));
    assert_eq!(told_of_shop(Phase::Expand, sql), "");
    assert!(told_of_shop(Phase::Expand, "ALTER TABLE other.nobody DROP COLUMN name").contains("dropped-column"));
}

#[test]
fn a_comment_allows_one_rule_for_one_statement_and_says_why() {
    let allowed = "-- switchover: allow dropped-column because no revision since r3 reads it\nALTER TABLE users DROP COLUMN name;\n";
    assert_eq!(told(Phase::Expand, allowed), "");
    let second = format!("{allowed}ALTER TABLE users DROP COLUMN age;");
    assert!(told(Phase::Expand, &second).contains("column age"));
    for (comment, said) in [
        ("-- switchover: allow dropped-column", "does not say why `dropped-column`"),
        ("/* switchover: allow dropped-colum because x */", "did you mean dropped-column?"),
        ("-- switchover: allow", "does not name a rule"),
        ("-- switchover: please", "allows nothing"),
    ] {
        let told = told(Phase::Expand, &format!("{comment}\nALTER TABLE users DROP COLUMN name;"));
        assert!(told.contains(said) && told.contains("[dropped-column]"), "{told}");
    }
    let in_vain = told(Phase::Expand, "-- switchover: allow backfill because I can\nSELECT 1");
    assert!(in_vain.contains("`backfill` finds nothing"), "{in_vain}");
}

#[test]
fn what_is_no_sql_is_told_with_its_place() {
    expect_test::expect![[r#"
        1.sql:2:23: [not-sql] it is no SQL: expected name
          |
        2 | ALTER TABLE users DROP;
          |                       ^
          = Correct it.
    "#]]
    .assert_eq(&told(Phase::Expand, "SELECT 1;\nALTER TABLE users DROP;\n"));
}

#[test]
fn a_semicolon_in_quotes_or_comments_ends_nothing() {
    let sql = "DO $$ BEGIN PERFORM 1; END $$; /* a; b */ SELECT ';' -- c;\n, $x$;$x$;;\nSELECT 2";
    let statements = statements(sql).unwrap();
    let texts: Vec<&str> = statements.iter().map(|statement| &sql[statement.at.clone()]).collect();
    assert_eq!(texts, ["DO $$ BEGIN PERFORM 1; END $$", "SELECT ';' -- c;\n, $x$;$x$", "SELECT 2"]);
}

#[test]
fn statements_share_a_transaction_but_for_those_that_can_not() {
    let of = |sql: &str| transactions(&statements(sql).unwrap());
    assert_eq!(of("SELECT 1; SELECT 2"), vec![Range { start: 0, end: 2 }]);
    assert_eq!(of("SELECT 1; CREATE INDEX CONCURRENTLY i ON t (c); SELECT 2; SELECT 3"), [0..1, 1..2, 2..4]);
    assert_eq!(of("SELECT 1; BEGIN; SELECT 2; SELECT 3; COMMIT; SELECT 4"), [0..1, 2..4, 5..6]);
    assert_eq!(
        of("ALTER TABLE t ADD CONSTRAINT c CHECK (true) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c"),
        [0..1, 1..2]
    );
    assert_eq!(of(""), []);
}

#[test]
fn only_live_versions_matter_so_contract_takes_what_expand_does_not() {
    quiet(
        Phase::Contract,
        &[
            "ALTER TABLE users DROP COLUMN name",
            "DROP TABLE users",
            "ALTER TABLE users ALTER COLUMN state DROP DEFAULT",
            "DROP VIEW active_users",
        ],
    );
}

#[test]
fn rules_have_names_of_their_own() {
    let mut names = rule_names();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn squawk_s_rules_come_along_by_phase() {
    expect_test::expect![[r#"
        1.sql:1:1: [ban-drop-view] the live version may rest on it: Dropping a view may break existing clients
          |
        1 | DROP VIEW active_users;
          | ^^^^^^^^^^^^^^^^^^^^^^
          = Do it when the older version is gone.
            contract: DROP VIEW active_users;
        1.sql:2:1: [renaming-object] the live version may rest on it: Renaming a view may break existing clients
          |
        2 | ALTER VIEW a RENAME TO b;
          | ^^^^^^^^^^^^^^^^^^^^^^^^
          = Make the new one beside the old one, and drop the old one in contract.
        1.sql:3:1: [prefer-timestamp-tz] When Postgres stores a datetime in a timestamp field, Postgres drops the UTC offset. This means 2019-10-11 21:11:24+02 and 2019-10-11 21:11:24-06 will both be stored as 2019-10-11 21:11:24 in the database, even though they are eight hours apart in time
          |
        3 | CREATE TABLE t (at timestamp);
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          = Use `timestamptz` instead of `timestamp` for your column type.
    "#]].assert_eq(&told(
        Phase::Expand,
        "DROP VIEW active_users;\nALTER VIEW a RENAME TO b;\nCREATE TABLE t (at timestamp);",
    ));
}

#[test]
fn the_catalog_spares_what_is_harmless() {
    for sql in [
        "ALTER TABLE users ALTER COLUMN name TYPE text",
        "ALTER TABLE users ALTER COLUMN name TYPE varchar(40)",
        "ALTER TABLE users ALTER COLUMN name SET NOT NULL",
        "ALTER TABLE users ALTER COLUMN name SET DEFAULT 'x'",
        "ALTER TABLE users ALTER COLUMN email DROP DEFAULT",
        "ALTER TABLE users DROP COLUMN IF EXISTS gone",
    ] {
        assert_eq!(told_of_shop(Phase::Expand, sql), "", "{sql}");
        assert_ne!(told(Phase::Expand, sql), "", "{sql}");
    }
    assert_ne!(told_of_shop(Phase::Expand, "ALTER TABLE users ALTER COLUMN name TYPE varchar(10)"), "");
    // A check says so already, and it is known to hold.
    assert_eq!(told_of_shop(Phase::Contract, "ALTER TABLE users ALTER COLUMN age SET NOT NULL"), "");
    let kept = told_of_shop(Phase::Expand, "ALTER TABLE users RENAME COLUMN age TO years");
    assert!(kept.contains("ADD COLUMN years integer"), "{kept}");
}

#[test]
fn every_rule_has_its_section_and_every_section_its_rule() {
    let page = include_str!("../../../../docs/database-lint.md");
    let sections: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("### `")).map(|rest| rest.trim_end_matches('`')).collect();
    let rules: Vec<&str> = own_rule_names().into_iter().chain(through_views::RULES.iter().copied()).collect();
    assert_eq!(sections, rules);
    for name in squawk::names() {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}
