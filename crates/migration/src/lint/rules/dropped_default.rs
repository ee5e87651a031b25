//! `dropped-default`: INSERTs of the live version that leave the column out fail or write NULL.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "dropped-default", kind: Kind::BreaksUntilContract, check };

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::DropDefault { table, column } = act else { return None };
    let (live, made) = (scene.is_live_column(table, column), scene.is_made_not_null(table, column));
    let has_none = scene.column(table, column).is_some_and(|known| known.default.is_none());
    if !(live && !has_none || made && scene.is_live(table)) {
        return None;
    }
    let column = super::written(column);
    let said = if live {
        Said::new(format!("INSERTs of the live version that leave column {column} of {table} out would get no value"))
            .next("Let the new version write the value itself, and drop the default when the older one is gone.")
    } else {
        Said::new(format!("the live version does not know the new column {column} of {table}, and without its default each INSERT of it fails"))
            .next("Keep the default until the older version is gone. In Django (5.0 and newer) give the field a db_default, in Alembic a server_default.")
    };
    Some(said.contract([format!("ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT;")]))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn a_default_goes_in_contract() {
        expect![[r#"
            1.sql:1:1: [dropped-default] INSERTs of the live version that leave column state of users out would get no value
              |
            1 | ALTER TABLE users ALTER COLUMN state DROP DEFAULT;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let the new version write the value itself, and drop the default when the older one is gone.
                contract: ALTER TABLE users ALTER COLUMN state DROP DEFAULT;
        "#]].assert_eq(&told(Phase::Expand, "ALTER TABLE users ALTER COLUMN state DROP DEFAULT;"));
        expect![[r#"
            1.sql:2:1: [dropped-default] the live version does not know the new column kind of users, and without its default each INSERT of it fails
              |
            2 | ALTER TABLE "users" ALTER COLUMN "kind" DROP DEFAULT;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Keep the default until the older version is gone. In Django (5.0 and newer) give the field a db_default, in Alembic a server_default.
                contract: ALTER TABLE users ALTER COLUMN kind DROP DEFAULT;
        "#]].assert_eq(&told(Phase::Expand, r#"ALTER TABLE "users" ADD COLUMN "kind" integer DEFAULT 5 NOT NULL;
ALTER TABLE "users" ALTER COLUMN "kind" DROP DEFAULT;"#));
        quiet(
            Phase::Expand,
            &["ALTER TABLE users ADD COLUMN kind text DEFAULT 'a'; ALTER TABLE users ALTER COLUMN kind DROP DEFAULT"],
        );
    }
}
