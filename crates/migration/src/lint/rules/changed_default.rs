//! `changed-default`: rows of the live version that leave the column out get another value than it knows.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "changed-default", kind: Kind::BreaksUntilContract, check };

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::SetDefault { table, column, default } = act else { return None };
    if !scene.is_live_column(table, column) {
        return None;
    }
    // The first default of a column that has to be given changes nothing for who gives it.
    if scene.column(table, column).is_some_and(|known| known.default.is_none() && !known.nullable) {
        return None;
    }
    let column = super::written(column);
    Some(
        Said::new(format!("rows of the live version that leave column {column} of {table} out would get {default}"))
            .next("Let the new version write the value itself, and change the default when the older one is gone.")
            .contract([format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default};")]),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn a_default_changes_in_contract() {
        expect![[r#"
            1.sql:1:1: [changed-default] rows of the live version that leave column state of users out would get 'old'
              |
            1 | ALTER TABLE users ALTER COLUMN state SET DEFAULT 'old';
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let the new version write the value itself, and change the default when the older one is gone.
                contract: ALTER TABLE users ALTER COLUMN state SET DEFAULT 'old';
        "#]]
        .assert_eq(&told(Phase::Expand, "ALTER TABLE users ALTER COLUMN state SET DEFAULT 'old';"));
        quiet(
            Phase::Expand,
            &["ALTER TABLE users ADD COLUMN kind text; ALTER TABLE users ALTER COLUMN kind SET DEFAULT 'a'"],
        );
    }
}
