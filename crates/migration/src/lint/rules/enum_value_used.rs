//! `enum-value-used`: a new value of an enum type can not be used in the transaction that adds it.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "enum-value-used", kind: Kind::Stalls, check };

use squawk_syntax::ast::{AstNode as _, Literal};

fn check(scene: &Scene<'_>, statement: &Statement, act: &Act) -> Option<Said> {
    if matches!(act, Act::AddValue { .. }) {
        return None;
    }
    let added = &scene.transaction.values;
    if added.is_empty() {
        return None;
    }
    let literals = statement.node.descendants().filter_map(Literal::cast).filter_map(|literal| literal.string_value());
    let value = literals.into_iter().find(|value| added.contains(value))?;
    Some(
        Said::new(format!(
            "the value {} is added in the same transaction, where it can not be used yet",
            crate::Literal(&value)
        ))
        .next("Add the value in a file of its own, before this one, or between BEGIN; and COMMIT; of its own."),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn a_value_is_used_after_its_transaction() {
        expect![[r#"
            1.sql:2:1: [enum-value-used] the value 'c' is added in the same transaction, where it can not be used yet
              |
            2 | ALTER TABLE users ADD COLUMN kind kind DEFAULT 'c';
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Add the value in a file of its own, before this one, or between BEGIN; and COMMIT; of its own.
        "#]]
        .assert_eq(&told(
            Phase::Expand,
            r#"ALTER TYPE kind ADD VALUE 'c';
ALTER TABLE users ADD COLUMN kind kind DEFAULT 'c';"#,
        ));
        quiet(
            Phase::Expand,
            &["BEGIN; ALTER TYPE kind ADD VALUE 'c'; COMMIT; ALTER TABLE users ADD COLUMN kind kind DEFAULT 'c'"],
        );
    }
}
