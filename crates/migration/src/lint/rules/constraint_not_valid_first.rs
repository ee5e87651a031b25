//! `constraint-not-valid-first`: all rows are looked at while nobody can write, or read.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "constraint-not-valid-first", kind: Kind::Stalls, check };

use crate::lint::Phase;
use crate::lint::act::{AddedConstraint, Asks};
use crate::plan::Lock;

use super::new_foreign_key::not_valid_first;
use super::new_not_null::not_null_statements;
use super::new_unique::built_beside;

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    match act {
        Act::SetNotNull { table, column } => {
            let is_not_null = scene.column(table, column).is_some_and(|known| !known.nullable);
            let is_old = scene.phase == Phase::Contract && scene.is_live(table);
            if !is_old || is_not_null || scene.is_known_not_null(table, column) {
                return None;
            }
            let said = Said::new(format!("all rows of {table} are looked at while nobody can read or write"));
            let next = "Let a check that is validated beside running writes say it first.";
            Some(said.next(next).contract(not_null_statements(table, column)))
        }
        Act::AddConstraint(added) if scene.is_live(&added.table) && !added.not_valid => constraint(scene, added),
        Act::ValidateConstraint { table, constraint } => {
            let held = scene.transaction.locked.get(&table.to_string()).copied();
            let is_held = held.is_some_and(|lock| lock > Lock::ShareUpdateExclusive) && scene.is_live(table);
            is_held.then(|| {
                let name = super::written(constraint);
                Said::new(format!("the transaction holds {table} locked while all its rows are looked at for {name}"))
                    .next("Validate in a transaction of its own: after COMMIT;, or without BEGIN; and COMMIT; in the file.")
            })
        }
        _ => None,
    }
}

fn constraint(scene: &Scene<'_>, added: &AddedConstraint) -> Option<Said> {
    let table = &added.table;
    let is_new = added.with_column || added.columns.iter().any(|column| scene.is_made_column(table, column));
    // In expand, what the live version can not live with is another rule's to tell.
    if scene.phase == Phase::Expand && !is_new {
        return None;
    }
    let (cause, statements) = match &added.asks {
        Asks::Check(_) => (
            format!("all rows of {table} are looked at while nobody can read or write"),
            not_valid_first(added, "check"),
        ),
        // A column without a value leads nowhere, so the database does not look.
        Asks::ForeignKey(_) if added.with_column => return None,
        Asks::ForeignKey(other) => (
            format!("all rows of {table} are looked at while nobody can write into it or {other}"),
            not_valid_first(added, "fkey"),
        ),
        Asks::Unique | Asks::PrimaryKey if !added.using_index => (
            format!("nobody can read or write {table} while the index is built"),
            built_beside(table, added.name.as_ref(), &added.columns, added.asks == Asks::PrimaryKey),
        ),
        Asks::Exclusion => (
            format!("nobody can read or write {table} while its rows are compared, and there is no other way"),
            Vec::new(),
        ),
        Asks::Unique | Asks::PrimaryKey | Asks::NotNull => return None,
    };
    let said = Said::new(cause).next("Take it in two steps.");
    Some(match scene.phase {
        Phase::Expand => said.expand(statements),
        Phase::Contract => said.contract(statements),
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn rows_are_looked_at_beside_running_writes() {
        expect![[r#"
            1.sql:1:1: [constraint-not-valid-first] all rows of users are looked at while nobody can read or write
              |
            1 | ALTER TABLE users ADD CONSTRAINT of_age CHECK (age >= 18);
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Take it in two steps.
                contract: ALTER TABLE users ADD CONSTRAINT of_age CHECK (age >= 18) NOT VALID;
                contract: ALTER TABLE users VALIDATE CONSTRAINT of_age;
            1.sql:2:1: [constraint-not-valid-first] all rows of users are looked at while nobody can read or write
              |
            2 | ALTER TABLE users ALTER COLUMN email SET NOT NULL;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let a check that is validated beside running writes say it first.
                contract: ALTER TABLE users ADD CONSTRAINT users_email_not_null CHECK (email IS NOT NULL) NOT VALID;
                contract: ALTER TABLE users VALIDATE CONSTRAINT users_email_not_null;
                contract: ALTER TABLE users ALTER COLUMN email SET NOT NULL;
                contract: ALTER TABLE users DROP CONSTRAINT users_email_not_null;
            1.sql:3:1: [constraint-not-valid-first] nobody can read or write users while the index is built
              |
            3 | ALTER TABLE users ADD UNIQUE (age);
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Take it in two steps.
                contract: CREATE UNIQUE INDEX CONCURRENTLY users_key ON users (age);
                contract: ALTER TABLE users ADD CONSTRAINT users_key UNIQUE USING INDEX users_key;
            1.sql:4:1: [constraint-not-valid-first] all rows of users are looked at while nobody can write into it or teams
              |
            4 | ALTER TABLE users ADD FOREIGN KEY (age) REFERENCES teams (id);
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Take it in two steps.
                contract: ALTER TABLE users ADD CONSTRAINT users_fkey FOREIGN KEY (age) REFERENCES teams (id) NOT VALID;
                contract: ALTER TABLE users VALIDATE CONSTRAINT users_fkey;
        "#]].assert_eq(&told(Phase::Contract, r#"ALTER TABLE users ADD CONSTRAINT of_age CHECK (age >= 18);
ALTER TABLE users ALTER COLUMN email SET NOT NULL;
ALTER TABLE users ADD UNIQUE (age);
ALTER TABLE users ADD FOREIGN KEY (age) REFERENCES teams (id);"#));
        expect![[r#"
            1.sql:1:70: [constraint-not-valid-first] the transaction holds users locked while all its rows are looked at for c
              |
            1 | BEGIN; ALTER TABLE users ADD CONSTRAINT c CHECK (age > 1) NOT VALID; ALTER TABLE users VALIDATE CONSTRAINT c; COMMIT;
              |                                                                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Validate in a transaction of its own: after COMMIT;, or without BEGIN; and COMMIT; in the file.
        "#]].assert_eq(&told(Phase::Contract, "BEGIN; ALTER TABLE users ADD CONSTRAINT c CHECK (age > 1) NOT VALID; ALTER TABLE users VALIDATE CONSTRAINT c; COMMIT;"));
        quiet(
            Phase::Contract,
            &[
                "ALTER TABLE users ADD CONSTRAINT c CHECK (age > 1) NOT VALID; ALTER TABLE users VALIDATE CONSTRAINT c",
                "ALTER TABLE users ADD CONSTRAINT c UNIQUE USING INDEX i",
            ],
        );
    }
}
