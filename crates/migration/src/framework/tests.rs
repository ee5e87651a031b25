//! What Django 5.2 and Alembic 1.20 really printed, read and sorted.

use expect_test::{Expect, expect};

use super::*;

fn check(pending: &[Pending], expected: &Expect) {
    let line = |sorted: &Sorted| {
        let refused: Vec<&str> = sorted
            .findings
            .iter()
            .filter(|finding| finding.is_refused())
            .map(|finding| finding.rule.as_str())
            .collect();
        format!("{} {:?} {}\n", sorted.name, sorted.fit, refused.join(" "))
    };
    expected.assert_eq(&sort(pending, None).iter().map(line).collect::<String>());
}

#[test]
fn djangos_migrations_are_sorted_and_the_default_that_it_drops_is_found() {
    let names = django::pending(include_str!("tests/django/plan.txt")).unwrap();
    let sql = [
        include_str!("tests/django/0002_state.sql"),
        include_str!("tests/django/0003_kind.sql"),
        include_str!("tests/django/0004_drop_age.sql"),
        include_str!("tests/django/0005_rename.sql"),
        include_str!("tests/django/0006_fill.sql"),
    ];
    let pending: Vec<Pending> = names.iter().zip(sql).map(|(name, sql)| django::with_sql(name, sql)).collect();
    assert_eq!(pending.len(), sql.len());
    assert_eq!(names[0].sqlmigrate(), ["sqlmigrate", "shop", "0002_state"]);
    check(
        &pending,
        &expect![[r#"
        shop.0002_state Neither dropped-default
        shop.0003_kind Expand 
        shop.0004_drop_age Contract dropped-column
        shop.0005_rename Neither renamed-column
        shop.0006_fill Unseen 
    "#]],
    );
    let told = sort(&pending, None)[0].findings.iter().map(ToString::to_string).collect::<String>();
    assert!(told.contains("without its default each INSERT of it fails") && told.contains("db_default"), "{told}");
    assert!(django::pending("Traceback (most recent call last):").is_err());
    assert_eq!(django::pending("(no migrations)\n"), Ok(Vec::new()));
}

#[test]
fn alembics_revisions_are_put_in_order_and_sorted() {
    let (history, current) = (include_str!("tests/alembic/history.txt"), include_str!("tests/alembic/current.txt"));
    let sql = [
        include_str!("tests/alembic/b2.sql"),
        include_str!("tests/alembic/c3.sql"),
        include_str!("tests/alembic/d4.sql"),
    ];
    let steps = alembic::pending(history, current).unwrap();
    assert_eq!(steps[0].sql(), ["upgrade", "a1:b2", "--sql"].map(str::to_owned));
    let pending: Vec<Pending> = steps.iter().zip(sql).map(|(step, sql)| alembic::with_sql(step, sql)).collect();
    assert_eq!(pending.len(), sql.len());
    check(
        &pending,
        &expect![[r#"
        b2 Expand 
        c3 Contract dropped-column
        d4 Neither index-not-concurrent
    "#]],
    );
    let from_nothing = alembic::pending(history, "").unwrap();
    assert_eq!(from_nothing.len(), 4);
    assert_eq!(from_nothing[0].sql()[1], "base:a1");
    check(
        &[alembic::with_sql(&from_nothing[0], include_str!("tests/alembic/a1.sql"))],
        &expect![[r#"
        a1 Expand 
    "#]],
    );
    assert_eq!(alembic::pending(history, "d4 (head)").unwrap(), Vec::new());
    assert!(alembic::pending(history, "zz").is_err());
    assert!(alembic::pending("a, b -> c (head) (mergepoint), m\n<base> -> a, x", "").is_err());
}

#[test]
fn what_comes_after_a_migration_for_contract_waits_with_it() {
    let of = |name: &str, sql: &str| Pending {
        name: name.to_owned(),
        bound: None,
        sql: Some(sql.to_owned()),
        runs_code: false,
    };
    let pending = [
        of("1", "ALTER TABLE users DROP COLUMN age"),
        of("2", "ALTER TABLE users ADD COLUMN kind text"),
        of("3", "DROP TABLE old"),
    ];
    check(
        &pending,
        &expect![[r#"
        1 Contract dropped-column
        2 Behind 
        3 Contract dropped-table
    "#]],
    );
}
