//! `dropped-constraint`: the live version rests on the rule, or names it in ON CONFLICT.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "dropped-constraint", kind: Kind::BreaksUntilContract, check };

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::DropConstraint { table, constraint } = act else { return None };
    // What a file makes to help itself (a check before SET NOT NULL) it may take away.
    if !scene.is_live(table) || scene.is_made_check(table, constraint) {
        return None;
    }
    let name = super::written(constraint);
    Some(
        Said::new(format!("the live version may rest on {name} of {table}: rows of the new one would break it"))
            .next("Let the new version hold to it for a while, and drop it when the older one is gone.")
            .contract([format!("ALTER TABLE {table} DROP CONSTRAINT {name};")]),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn a_rule_goes_in_contract() {
        expect![[r#"
            1.sql:1:1: [dropped-constraint] the live version may rest on users_email_key of users: rows of the new one would break it
              |
            1 | ALTER TABLE users DROP CONSTRAINT users_email_key;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let the new version hold to it for a while, and drop it when the older one is gone.
                contract: ALTER TABLE users DROP CONSTRAINT users_email_key;
        "#]].assert_eq(&told(Phase::Expand, "ALTER TABLE users DROP CONSTRAINT users_email_key;"));
        quiet(Phase::Contract, &["ALTER TABLE users DROP CONSTRAINT users_email_key"]);
    }
}
