//! `renamed-column`: one version knows the old name, the other one the new name: both have to be there.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "renamed-column", kind: Kind::BreaksAlways, check };

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::RenameColumn { table, column, to } = act else { return None };
    if !scene.is_live_column(table, column) {
        return None;
    }
    let (old, new) = (super::written(column), super::written(to));
    let (expand, contract) =
        super::two_columns::kept_in_step(table, &old, &new, &scene.type_of(table, column), &old, &new);
    Some(
        Said::new(format!("the live version knows column {new} of {table} as {old}"))
            .next(format!(
                "Keep both for a while, or declare it: rename_column {{table: {}, from: {}, to: {}}}.",
                table.name.as_str(),
                column.as_str(),
                to.as_str()
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
    fn both_names_stay_until_contract() {
        expect![[r#"
            1.sql:1:1: [renamed-column] the live version knows column "fullName" of users as name
              |
            1 | ALTER TABLE users RENAME COLUMN name TO "fullName";
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Keep both for a while, or declare it: rename_column {table: users, from: name, to: fullName}.
                expand: ALTER TABLE users ADD COLUMN "fullName" TYPE;
                expand: CREATE FUNCTION "users_fullName_step"() RETURNS trigger LANGUAGE plpgsql AS $$
                  BEGIN
                    IF TG_OP = 'INSERT' AND NEW."fullName" IS NOT NULL OR TG_OP = 'UPDATE' AND NEW."fullName" IS DISTINCT FROM OLD."fullName" THEN
                      NEW.name := NEW."fullName";
                    ELSE
                      NEW."fullName" := NEW.name;
                    END IF;
                    RETURN NEW;
                  END $$;
                expand: CREATE TRIGGER "users_fullName_step" BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION "users_fullName_step"();
                expand: UPDATE users SET name = name WHERE "fullName" IS NULL AND ...;  -- few rows at a time, outside of the file
                contract: DROP TRIGGER "users_fullName_step" ON users;
                contract: DROP FUNCTION "users_fullName_step"();
                contract: ALTER TABLE users DROP COLUMN name;
        "#]].assert_eq(&told(Phase::Expand, r#"ALTER TABLE users RENAME COLUMN name TO "fullName";"#));
        expect![[r#"
            1.sql:1:1: [renamed-column] the live version knows column full_name of users as name
              |
            1 | ALTER TABLE users RENAME name TO full_name;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Keep both for a while, or declare it: rename_column {table: users, from: name, to: full_name}.
                expand: ALTER TABLE users ADD COLUMN full_name TYPE;
                expand: CREATE FUNCTION users_full_name_step() RETURNS trigger LANGUAGE plpgsql AS $$
                  BEGIN
                    IF TG_OP = 'INSERT' AND NEW.full_name IS NOT NULL OR TG_OP = 'UPDATE' AND NEW.full_name IS DISTINCT FROM OLD.full_name THEN
                      NEW.name := NEW.full_name;
                    ELSE
                      NEW.full_name := NEW.name;
                    END IF;
                    RETURN NEW;
                  END $$;
                expand: CREATE TRIGGER users_full_name_step BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION users_full_name_step();
                expand: UPDATE users SET name = name WHERE full_name IS NULL AND ...;  -- few rows at a time, outside of the file
                contract: DROP TRIGGER users_full_name_step ON users;
                contract: DROP FUNCTION users_full_name_step();
                contract: ALTER TABLE users DROP COLUMN name;
        "#]].assert_eq(&told(Phase::Contract, "ALTER TABLE users RENAME name TO full_name;"));
        quiet(Phase::Expand, &["ALTER TABLE users ADD COLUMN full_name text"]);
    }
}
