//! `new-foreign-key`: the live version may write rows that lead nowhere, or delete those that others lead to.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "new-foreign-key", kind: Kind::BreaksUntilContract, check };

use crate::lint::act::{AddedConstraint, Asks};

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::AddConstraint(added) = act else { return None };
    let Asks::ForeignKey(other) = &added.asks else { return None };
    let table = &added.table;
    if added.with_column || !scene.is_live(table) || scene.are_new(table, &added.columns) {
        return None;
    }
    Some(
        Said::new(format!("the live version may write rows into {table} that lead to no row of {other}"))
            .next("Let the new version hold to it, and add it when the older one is gone.")
            .contract(not_valid_first(added, "fkey")),
    )
}

/// A constraint that looks at the rows that are there without keeping anybody from writing.
pub(super) fn not_valid_first(added: &AddedConstraint, end: &str) -> Vec<String> {
    let table = &added.table;
    let name = super::name_or(table, added.name.as_ref(), end);
    vec![
        format!("ALTER TABLE {table} ADD CONSTRAINT {name} {} NOT VALID;", added.text),
        format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name};"),
    ]
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn a_foreign_key_waits_for_contract() {
        expect![[r#"
            1.sql:1:1: [new-foreign-key] the live version may write rows into users that lead to no row of teams
              |
            1 | ALTER TABLE users ADD CONSTRAINT of_team FOREIGN KEY (age) REFERENCES teams (id) NOT VALID;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let the new version hold to it, and add it when the older one is gone.
                contract: ALTER TABLE users ADD CONSTRAINT of_team FOREIGN KEY (age) REFERENCES teams (id) NOT VALID;
                contract: ALTER TABLE users VALIDATE CONSTRAINT of_team;
        "#]]
        .assert_eq(&told(
            Phase::Expand,
            "ALTER TABLE users ADD CONSTRAINT of_team FOREIGN KEY (age) REFERENCES teams (id) NOT VALID;",
        ));
        quiet(Phase::Expand, &["ALTER TABLE users ADD COLUMN team bigint REFERENCES teams"]);
    }
}
