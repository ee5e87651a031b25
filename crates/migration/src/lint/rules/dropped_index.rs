//! `dropped-index`: the live version's queries get slow, and its ON CONFLICT finds no unique index.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "dropped-index", kind: Kind::BreaksUntilContract, check };

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::DropIndex { index, .. } = act else { return None };
    scene.is_live_index(index).then(|| {
        Said::new(format!("the live version's queries may need index {index}"))
            .next("Drop it when the older version is gone.")
            .contract([format!("DROP INDEX CONCURRENTLY IF EXISTS {index};")])
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn an_index_goes_in_contract() {
        expect![[r#"
            1.sql:1:1: [dropped-index] the live version's queries may need index users_by_name
              |
            1 | DROP INDEX CONCURRENTLY users_by_name;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Drop it when the older version is gone.
                contract: DROP INDEX CONCURRENTLY IF EXISTS users_by_name;
        "#]]
        .assert_eq(&told(Phase::Expand, "DROP INDEX CONCURRENTLY users_by_name;"));
        quiet(Phase::Contract, &["DROP INDEX CONCURRENTLY users_by_name"]);
    }
}
