//! `dropped-table`: the live version still uses the table.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "dropped-table", kind: Kind::BreaksUntilContract, check };

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::DropTable { table } = act else { return None };
    scene.is_live(table).then(|| {
        Said::new(format!("the live version still uses table {table}"))
            .next("Let the new version stop using it, and drop it when the older one is gone.")
            .contract([format!("DROP TABLE {table};")])
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn what_the_live_version_uses_stays_until_contract() {
        expect![[r#"
            1.sql:1:1: [dropped-table] the live version still uses table users
              |
            1 | DROP TABLE users, shop."Orders";
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let the new version stop using it, and drop it when the older one is gone.
                contract: DROP TABLE users;
            1.sql:1:1: [dropped-table] the live version still uses table shop."Orders"
              |
            1 | DROP TABLE users, shop."Orders";
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let the new version stop using it, and drop it when the older one is gone.
                contract: DROP TABLE shop."Orders";
            1.sql:1:1: [several-tables-locked] the transaction holds users locked while it waits for shop."Orders"
              |
            1 | DROP TABLE users, shop."Orders";
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Give each table a transaction of its own: put BEGIN; before and COMMIT; after its statements.
        "#]]
        .assert_eq(&told(Phase::Expand, r#"DROP TABLE users, shop."Orders";"#));
        quiet(Phase::Contract, &["DROP TABLE users"]);
    }
}
