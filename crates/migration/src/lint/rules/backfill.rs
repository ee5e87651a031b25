//! `backfill`: rows stay locked, and the schema's locks held, until all of them are changed.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "backfill", kind: Kind::Stalls, check };

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::Write(write) = act else { return None };
    let table = &write.table;
    if write.only_named_rows {
        return None;
    }
    if scene.is_live(table) {
        return Some(
            Said::new(format!("{} keeps every row that it meets in {table} locked until it is done with all of them", write.verb))
                .next("Change few rows at a time, from outside of the file, or declare the change: its rows are brought in step in small batches."),
        );
    }
    // Rows of a new table, read from others: it is only long, which matters for what is locked meanwhile.
    let held = scene.transaction.locked.keys().next()?;
    Some(
        Said::new(format!("{held} stays locked until all rows are in {table}"))
            .next("Do it in a file of its own, or between BEGIN; and COMMIT; of its own."),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn rows_are_changed_few_at_a_time() {
        expect![[r#"
            1.sql:1:1: [backfill] UPDATE keeps every row that it meets in users locked until it is done with all of them
              |
            1 | UPDATE users SET age = 1;
              | ^^^^^^^^^^^^^^^^^^^^^^^^
              = Change few rows at a time, from outside of the file, or declare the change: its rows are brought in step in small batches.
            1.sql:2:1: [backfill] DELETE keeps every row that it meets in users locked until it is done with all of them
              |
            2 | DELETE FROM users WHERE age > 3;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Change few rows at a time, from outside of the file, or declare the change: its rows are brought in step in small batches.
        "#]].assert_eq(&told(Phase::Expand, r#"UPDATE users SET age = 1;
DELETE FROM users WHERE age > 3;"#));
        expect![[r#"
            1.sql:3:1: [backfill] users stays locked until all rows are in copies
              |
            3 | INSERT INTO copies SELECT id FROM users;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Do it in a file of its own, or between BEGIN; and COMMIT; of its own.
        "#]]
        .assert_eq(&told(
            Phase::Expand,
            r#"CREATE TABLE copies (id bigint);
ALTER TABLE users ADD COLUMN kind text;
INSERT INTO copies SELECT id FROM users;"#,
        ));
        quiet(Phase::Expand, &["INSERT INTO users (id, name) VALUES (1, 'a'), (2, 'b')"]);
    }
}
