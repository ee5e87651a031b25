//! `dropped-not-null`: the live version may meet a NULL that it does not expect.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "dropped-not-null", kind: Kind::Tells, check };

use crate::lint::Phase;

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::DropNotNull { table, column } = act else { return None };
    let is_live = scene.phase == Phase::Expand && scene.is_live_column(table, column);
    is_live.then(|| {
        let column = super::written(column);
        Said::new(format!("once the new version writes NULL into column {column} of {table}, the live one reads it"))
            .next("See that the live version can read NULL there, or let the new one write it only when the older one is gone.")
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn null_that_the_live_version_may_read_is_told() {
        expect![[r#"
            1.sql:1:1: [dropped-not-null] once the new version writes NULL into column name of users, the live one reads it
              |
            1 | ALTER TABLE users ALTER COLUMN name DROP NOT NULL;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = See that the live version can read NULL there, or let the new one write it only when the older one is gone.
        "#]].assert_eq(&told(Phase::Expand, "ALTER TABLE users ALTER COLUMN name DROP NOT NULL;"));
        quiet(Phase::Contract, &["ALTER TABLE users ALTER COLUMN name DROP NOT NULL"]);
    }
}
