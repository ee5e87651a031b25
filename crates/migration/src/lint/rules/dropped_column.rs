//! `dropped-column`: the live version still reads and writes the column.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "dropped-column", kind: Kind::BreaksUntilContract, check };

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::DropColumn { table, column } = act else { return None };
    if !scene.is_live_column(table, column) {
        return None;
    }
    let must_be_given = scene.column(table, column).is_none_or(|known| !known.nullable && known.default.is_none());
    let column = super::written(column);
    let takes_null = must_be_given.then(|| format!("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL;"));
    Some(
        Said::new(format!("the live version still uses column {column} of {table}"))
            .next("Let the new version stop using it, and drop it when the older one is gone; if it must be given (NOT NULL, no default), let it take NULL before.")
            .expand(takes_null)
            .contract([format!("ALTER TABLE {table} DROP COLUMN {column};")]),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn what_the_live_version_uses_stays_until_contract() {
        expect![[r#"
            1.sql:1:1: [dropped-column] the live version still uses column name of users
              |
            1 | ALTER TABLE users DROP COLUMN name;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let the new version stop using it, and drop it when the older one is gone; if it must be given (NOT NULL, no default), let it take NULL before.
                expand: ALTER TABLE users ALTER COLUMN name DROP NOT NULL;
                contract: ALTER TABLE users DROP COLUMN name;
        "#]].assert_eq(&told(Phase::Expand, "ALTER TABLE users DROP COLUMN name;"));
        quiet(Phase::Contract, &["ALTER TABLE users DROP COLUMN name"]);
    }
}
