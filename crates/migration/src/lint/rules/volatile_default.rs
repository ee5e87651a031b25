//! `volatile-default`: the table is written anew, with nobody reading or writing meanwhile.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "volatile-default", kind: Kind::Stalls, check };

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::AddColumn(added) = act else { return None };
    if !scene.is_live(&added.table) {
        return None;
    }
    let (table, column, data_type) = (&added.table, super::written(&added.column), &added.data_type);
    if let Some(what) = added.makes_values {
        let base = match data_type.to_ascii_lowercase().as_str() {
            "bigserial" | "serial8" => "bigint".to_owned(),
            "serial" | "serial4" => "integer".to_owned(),
            "smallserial" | "serial2" => "smallint".to_owned(),
            other => other.to_owned(),
        };
        return Some(
            Said::new(format!("{what} makes a value for each row of {table} at once: the table is written anew"))
                .next("Add a plain column, give rows their values few at a time, and the sequence or trigger for new ones.")
                .expand([format!("ALTER TABLE {table} ADD COLUMN {column} {base};")]),
        );
    }
    let default = added.default.as_ref().filter(|default| default.is_volatile)?;
    Some(
        Said::new(format!("{} may be another value for each row, so the table is written anew", default.text))
            .next("Add the column first and the default after it: it is for new rows then. Give the others their values few at a time.")
            .expand([
                format!("ALTER TABLE {table} ADD COLUMN {column} {data_type};"),
                format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {};", default.text),
            ]),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn a_default_that_differs_from_row_to_row_is_for_new_rows() {
        expect![[r#"
            1.sql:1:1: [volatile-default] gen_random_uuid() may be another value for each row, so the table is written anew
              |
            1 | ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid();
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Add the column first and the default after it: it is for new rows then. Give the others their values few at a time.
                expand: ALTER TABLE users ADD COLUMN token uuid;
                expand: ALTER TABLE users ALTER COLUMN token SET DEFAULT gen_random_uuid();
        "#]].assert_eq(&told(Phase::Expand, "ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid();"));
        expect![[r#"
            1.sql:1:1: [volatile-default] a serial makes a value for each row of users at once: the table is written anew
              |
            1 | ALTER TABLE users ADD COLUMN number bigserial;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Add a plain column, give rows their values few at a time, and the sequence or trigger for new ones.
                expand: ALTER TABLE users ADD COLUMN number bigint;
        "#]].assert_eq(&told(Phase::Contract, "ALTER TABLE users ADD COLUMN number bigserial;"));
        quiet(
            Phase::Expand,
            &[
                "ALTER TABLE users ADD COLUMN at timestamptz DEFAULT now()",
                "ALTER TABLE users ADD COLUMN token uuid; ALTER TABLE users ALTER COLUMN token SET DEFAULT gen_random_uuid()",
            ],
        );
    }
}
