//! `required-column`: the live version does not know the column, so its INSERT gives it no value.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "required-column", kind: Kind::BreaksAlways, check };

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::AddColumn(added) = act else { return None };
    let has_value = added.default.is_some() || added.makes_values.is_some();
    if !added.not_null || has_value || !scene.is_live(&added.table) {
        return None;
    }
    let (table, column, data_type) = (&added.table, super::written(&added.column), &added.data_type);
    Some(
        Said::new(format!("the live version's INSERT into {table} gives the new column {column} no value"))
            .next("Let it take NULL, or give it a default, until the older version is gone.")
            .expand([format!("ALTER TABLE {table} ADD COLUMN {column} {data_type};")])
            .contract(super::new_not_null::not_null_statements(table, &added.column)),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn a_new_column_takes_null_or_has_a_default() {
        expect![[r#"
            1.sql:1:1: [required-column] the live version's INSERT into users gives the new column kind no value
              |
            1 | ALTER TABLE users ADD COLUMN kind text NOT NULL;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let it take NULL, or give it a default, until the older version is gone.
                expand: ALTER TABLE users ADD COLUMN kind text;
                contract: ALTER TABLE users ADD CONSTRAINT users_kind_not_null CHECK (kind IS NOT NULL) NOT VALID;
                contract: ALTER TABLE users VALIDATE CONSTRAINT users_kind_not_null;
                contract: ALTER TABLE users ALTER COLUMN kind SET NOT NULL;
                contract: ALTER TABLE users DROP CONSTRAINT users_kind_not_null;
        "#]]
        .assert_eq(&told(Phase::Expand, "ALTER TABLE users ADD COLUMN kind text NOT NULL;"));
        expect![[r#"
            1.sql:1:1: [required-column] the live version's INSERT into users gives the new column kind no value
              |
            1 | ALTER TABLE users ADD kind text NOT NULL
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let it take NULL, or give it a default, until the older version is gone.
                expand: ALTER TABLE users ADD COLUMN kind text;
                contract: ALTER TABLE users ADD CONSTRAINT users_kind_not_null CHECK (kind IS NOT NULL) NOT VALID;
                contract: ALTER TABLE users VALIDATE CONSTRAINT users_kind_not_null;
                contract: ALTER TABLE users ALTER COLUMN kind SET NOT NULL;
                contract: ALTER TABLE users DROP CONSTRAINT users_kind_not_null;
        "#]]
        .assert_eq(&told(Phase::Contract, "ALTER TABLE users ADD kind text NOT NULL"));
        quiet(
            Phase::Expand,
            &["ALTER TABLE users ADD COLUMN kind text NOT NULL DEFAULT 'a'", "ALTER TABLE users ADD COLUMN kind text"],
        );
    }
}
