//! `several-tables-locked`: a transaction that holds one table while it waits for another can make everybody wait, or deadlock.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "several-tables-locked", kind: Kind::Stalls, check };

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let (_, table) = act.lock().filter(|(_, table)| scene.is_live(table))?;
    let others: Vec<&str> =
        scene.transaction.locked.keys().filter(|held| **held != table.to_string()).map(String::as_str).collect();
    if others.is_empty() || scene.transaction.locked.contains_key(&table.to_string()) {
        return None;
    }
    Some(
        Said::new(format!("the transaction holds {} locked while it waits for {table}", others.join(" and ")))
            .next("Give each table a transaction of its own: put BEGIN; before and COMMIT; after its statements."),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn each_table_has_a_transaction_of_its_own() {
        expect![[r#"
            1.sql:2:1: [several-tables-locked] the transaction holds users locked while it waits for other.orders
              |
            2 | ALTER TABLE other.orders ADD COLUMN b text;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Give each table a transaction of its own: put BEGIN; before and COMMIT; after its statements.
        "#]]
        .assert_eq(&told(
            Phase::Expand,
            r#"ALTER TABLE users ADD COLUMN a text;
ALTER TABLE other.orders ADD COLUMN b text;
ALTER TABLE users ADD COLUMN c text;"#,
        ));
        quiet(
            Phase::Expand,
            &[
                "BEGIN; ALTER TABLE users ADD COLUMN a text; COMMIT; BEGIN; ALTER TABLE other.orders ADD COLUMN b text; COMMIT",
            ],
        );
    }
}
