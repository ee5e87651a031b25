//! `new-not-null`: the live version may still write NULL.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "new-not-null", kind: Kind::BreaksUntilContract, check };

use crate::Ident;
use crate::lint::act::Asks;
use crate::lint::name::Name;

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let (table, column) = match act {
        Act::SetNotNull { table, column } => (table, column),
        Act::AddConstraint(added) if added.asks == Asks::NotNull => (&added.table, added.columns.first()?),
        _ => return None,
    };
    let is_not_null = scene.column(table, column).is_some_and(|known| !known.nullable);
    if is_not_null || !(scene.is_live_column(table, column) || scene.is_made_column(table, column)) {
        return None;
    }
    let name = super::written(column);
    let cause = if scene.is_live_column(table, column) {
        format!("the live version may write NULL into column {name} of {table}")
    } else {
        format!("the live version does not know column {name} of {table}, so its INSERT leaves it NULL")
    };
    Some(
        Said::new(cause)
            .next("Ask for a value when the older version is gone; a default gives its rows one until then.")
            .contract(not_null_statements(table, column)),
    )
}

/// NOT NULL without a look at all rows under the strongest lock.
pub(super) fn not_null_statements(table: &Name, column: &Ident) -> Vec<String> {
    let check = super::name_or(table, None, &format!("{}_not_null", column.as_str()));
    let column = super::written(column);
    vec![
        format!("ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID;"),
        format!("ALTER TABLE {table} VALIDATE CONSTRAINT {check};"),
        format!("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL;"),
        format!("ALTER TABLE {table} DROP CONSTRAINT {check};"),
    ]
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn null_is_refused_when_the_older_version_is_gone() {
        expect![[r#"
            1.sql:1:1: [new-not-null] the live version may write NULL into column email of users
              |
            1 | ALTER TABLE users ALTER COLUMN email SET NOT NULL;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Ask for a value when the older version is gone; a default gives its rows one until then.
                contract: ALTER TABLE users ADD CONSTRAINT users_email_not_null CHECK (email IS NOT NULL) NOT VALID;
                contract: ALTER TABLE users VALIDATE CONSTRAINT users_email_not_null;
                contract: ALTER TABLE users ALTER COLUMN email SET NOT NULL;
                contract: ALTER TABLE users DROP CONSTRAINT users_email_not_null;
        "#]]
        .assert_eq(&told(Phase::Expand, "ALTER TABLE users ALTER COLUMN email SET NOT NULL;"));
        expect![[r#"
            1.sql:1:41: [new-not-null] the live version does not know column kind of users, so its INSERT leaves it NULL
              |
            1 | ALTER TABLE users ADD COLUMN kind text; ALTER TABLE users ALTER COLUMN kind SET NOT NULL
              |                                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Ask for a value when the older version is gone; a default gives its rows one until then.
                contract: ALTER TABLE users ADD CONSTRAINT users_kind_not_null CHECK (kind IS NOT NULL) NOT VALID;
                contract: ALTER TABLE users VALIDATE CONSTRAINT users_kind_not_null;
                contract: ALTER TABLE users ALTER COLUMN kind SET NOT NULL;
                contract: ALTER TABLE users DROP CONSTRAINT users_kind_not_null;
        "#]]
        .assert_eq(&told(
            Phase::Expand,
            "ALTER TABLE users ADD COLUMN kind text; ALTER TABLE users ALTER COLUMN kind SET NOT NULL",
        ));
        quiet(
            Phase::Contract,
            &[
                "ALTER TABLE users ADD CONSTRAINT c CHECK (email IS NOT NULL) NOT VALID; ALTER TABLE users VALIDATE CONSTRAINT c; ALTER TABLE users ALTER COLUMN email SET NOT NULL; ALTER TABLE users DROP CONSTRAINT c",
            ],
        );
    }
}
