//! `changed-type`: the live version reads and writes values of the old type.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "changed-type", kind: Kind::BreaksUntilContract, check };

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::SetType { table, column, data_type } = act else { return None };
    if !scene.is_live_column(table, column) || super::rewrites_table::is_wider(scene, table, column, data_type) {
        return None;
    }
    let (old, new) = (super::written(column), super::written(&column.prefixed("new_")));
    let old_type = scene.type_of(table, column);
    let (expand, contract) = super::two_columns::kept_in_step(
        table,
        &old,
        &new,
        data_type,
        &format!("{old}::{data_type}"),
        &format!("{new}::{old_type}"),
    );
    Some(
        Said::new(format!("the live version expects column {old} of {table} in its old type"))
            .next(format!(
                "Give the new version a column of its own, or declare it: alter_column {{table: {}, column: {}, type: {data_type}, up: ..., down: ...}}.",
                table.name.as_str(),
                column.as_str()
            ))
            .expand(expand)
            .contract(contract),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn the_new_type_gets_a_column_of_its_own() {
        expect![[r#"
            1.sql:1:1: [changed-type] the live version expects column age of users in its old type
              |
            1 | ALTER TABLE users ALTER COLUMN age TYPE bigint;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Give the new version a column of its own, or declare it: alter_column {table: users, column: age, type: bigint, up: ..., down: ...}.
                expand: ALTER TABLE users ADD COLUMN new_age bigint;
                expand: CREATE FUNCTION users_new_age_step() RETURNS trigger LANGUAGE plpgsql AS $$
                  BEGIN
                    IF TG_OP = 'INSERT' AND NEW.new_age IS NOT NULL OR TG_OP = 'UPDATE' AND NEW.new_age IS DISTINCT FROM OLD.new_age THEN
                      NEW.age := NEW.new_age::TYPE;
                    ELSE
                      NEW.new_age := NEW.age::bigint;
                    END IF;
                    RETURN NEW;
                  END $$;
                expand: CREATE TRIGGER users_new_age_step BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION users_new_age_step();
                expand: UPDATE users SET age = age WHERE new_age IS NULL AND ...;  -- few rows at a time, outside of the file
                contract: DROP TRIGGER users_new_age_step ON users;
                contract: DROP FUNCTION users_new_age_step();
                contract: ALTER TABLE users DROP COLUMN age;
        "#]].assert_eq(&told(Phase::Expand, "ALTER TABLE users ALTER COLUMN age TYPE bigint;"));
        quiet(Phase::Expand, &["ALTER TABLE users ADD COLUMN years bigint"]);
    }
}
