//! `new-unique`: the live version may write the same value twice.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "new-unique", kind: Kind::BreaksUntilContract, check };

use crate::Ident;
use crate::lint::act::Asks;
use crate::lint::name::Name;

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let (table, columns) = match act {
        Act::CreateIndex(added) if added.unique => (&added.table, &added.columns),
        Act::AddConstraint(added) if !added.using_index && !added.with_column => match added.asks {
            Asks::Unique | Asks::PrimaryKey | Asks::Exclusion => (&added.table, &added.columns),
            Asks::Check(_) | Asks::NotNull | Asks::ForeignKey(_) => return None,
        },
        _ => return None,
    };
    // A new column is NULL in the live version's rows, which no unique index takes as the same.
    if !scene.is_live(table) || columns.iter().any(|column| scene.is_made_column(table, column)) {
        return None;
    }
    let said = Said::new(format!("the live version may write rows into {table} that the new rule takes as the same"))
        .next("Let the new version hold to it, and add it when the older one is gone.");
    Some(match act {
        Act::CreateIndex(added) => {
            let name = super::name_or(table, added.index.as_ref(), "key");
            said.contract([format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} {};", added.rest)])
        }
        Act::AddConstraint(added) if added.asks != Asks::Exclusion => {
            let is_key = added.asks == Asks::PrimaryKey;
            said.contract(built_beside(table, added.name.as_ref(), columns, is_key))
        }
        _ => said,
    })
}

/// A unique constraint whose index is built beside running writes.
pub(super) fn built_beside(table: &Name, name: Option<&Ident>, columns: &[Ident], is_key: bool) -> Vec<String> {
    let (kind, end) = if is_key { ("PRIMARY KEY", "pkey") } else { ("UNIQUE", "key") };
    let name = super::name_or(table, name, end);
    vec![
        format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({});", super::listed(columns)),
        format!("ALTER TABLE {table} ADD CONSTRAINT {name} {kind} USING INDEX {name};"),
    ]
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn a_unique_rule_waits_for_contract() {
        expect![[r#"
            1.sql:1:1: [new-unique] the live version may write rows into users that the new rule takes as the same
              |
            1 | CREATE UNIQUE INDEX CONCURRENTLY users_age ON users (age);
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let the new version hold to it, and add it when the older one is gone.
                contract: CREATE UNIQUE INDEX CONCURRENTLY users_age ON users (age);
        "#]]
        .assert_eq(&told(Phase::Expand, "CREATE UNIQUE INDEX CONCURRENTLY users_age ON users (age);"));
        expect![[r#"
            1.sql:1:1: [new-unique] the live version may write rows into users that the new rule takes as the same
              |
            1 | ALTER TABLE users ADD CONSTRAINT users_age UNIQUE (age);
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let the new version hold to it, and add it when the older one is gone.
                contract: CREATE UNIQUE INDEX CONCURRENTLY users_age ON users (age);
                contract: ALTER TABLE users ADD CONSTRAINT users_age UNIQUE USING INDEX users_age;
        "#]]
        .assert_eq(&told(Phase::Expand, "ALTER TABLE users ADD CONSTRAINT users_age UNIQUE (age);"));
        quiet(
            Phase::Expand,
            &["ALTER TABLE users ADD COLUMN kind text; CREATE UNIQUE INDEX CONCURRENTLY k ON users (kind)"],
        );
    }
}
