//! `renamed-table`: one version knows the old name, the other one the new name.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "renamed-table", kind: Kind::BreaksAlways, check };

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::RenameTable { table, to } = act else { return None };
    scene.is_live(table).then(|| {
        Said::new(format!("the live version knows table {to} as {table}"))
            .next(format!(
                "Give the new version a view of the new name, which can be written like the table; rename the table when nobody is on the older version, or declare it: rename_table {{from: {}, to: ...}}.",
                table.name.as_str()
            ))
            .expand([format!("CREATE VIEW {to} WITH (security_invoker = true) AS SELECT * FROM {table};")])
            .contract([format!(
                "BEGIN;\nDROP VIEW {to};  -- switchover: allow ban-drop-view because the table takes its name\n{};  -- switchover: allow renamed-table because the view had this name\nCOMMIT;",
                format_args!("ALTER TABLE {table} RENAME TO {to}")
            )])
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn both_names_stay_until_contract() {
        expect![[r#"
            1.sql:1:1: [renamed-table] the live version knows table people as users
              |
            1 | ALTER TABLE users RENAME TO people; 
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Give the new version a view of the new name, which can be written like the table; rename the table when nobody is on the older version, or declare it: rename_table {from: users, to: ...}.
                expand: CREATE VIEW people WITH (security_invoker = true) AS SELECT * FROM users;
                contract: BEGIN;
                  DROP VIEW people;  -- switchover: allow ban-drop-view because the table takes its name
                  ALTER TABLE users RENAME TO people;  -- switchover: allow renamed-table because the view had this name
                  COMMIT;
        "#]].assert_eq(&told(Phase::Expand, "ALTER TABLE users RENAME TO people; "));
        quiet(Phase::Expand, &["CREATE VIEW people AS SELECT * FROM users"]);
    }
}
