//! `new-check`: the live version may write rows that the check refuses.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "new-check", kind: Kind::BreaksUntilContract, check };

use crate::lint::act::Asks;

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::AddConstraint(added) = act else { return None };
    let table = &added.table;
    let is_check = matches!(added.asks, Asks::Check(_));
    let names_live = added.columns.iter().any(|column| scene.is_live_column(table, column));
    if !is_check || added.with_column || !scene.is_live(table) || (!names_live && scene.are_new(table, &added.columns))
    {
        return None;
    }
    Some(
        Said::new(format!("the live version may write rows into {table} that the new check refuses"))
            .next("Let the new version hold to it, and add it when the older one is gone.")
            .contract(super::new_foreign_key::not_valid_first(added, "check")),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn a_check_waits_for_contract() {
        expect![[r#"
            1.sql:1:1: [new-check] the live version may write rows into users that the new check refuses
              |
            1 | ALTER TABLE users ADD CONSTRAINT of_age CHECK (age >= 18) NOT VALID;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let the new version hold to it, and add it when the older one is gone.
                contract: ALTER TABLE users ADD CONSTRAINT of_age CHECK (age >= 18) NOT VALID;
                contract: ALTER TABLE users VALIDATE CONSTRAINT of_age;
        "#]]
        .assert_eq(&told(Phase::Expand, "ALTER TABLE users ADD CONSTRAINT of_age CHECK (age >= 18) NOT VALID;"));
        quiet(
            Phase::Expand,
            &[
                "ALTER TABLE users ADD COLUMN kind text; ALTER TABLE users ADD CONSTRAINT c CHECK (kind <> '') NOT VALID",
            ],
        );
    }
}
