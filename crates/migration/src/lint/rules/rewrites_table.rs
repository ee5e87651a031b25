//! `rewrites-table`: the table is written anew, with nobody reading or writing meanwhile.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "rewrites-table", kind: Kind::Stalls, check };

use crate::Ident;
use crate::lint::Phase;
use crate::lint::name::Name;

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    match act {
        Act::SetType { table, column, data_type } => {
            let is_told = scene.phase == Phase::Expand && scene.is_live_column(table, column);
            if !scene.is_live(table) || is_told || is_wider(scene, table, column, data_type) {
                return None;
            }
            let column = super::written(column);
            let cause = format!("{table} is written anew for the new type of {column}, with nobody reading or writing");
            Some(
                Said::new(cause).next(
                    "Give the new version a column of its own in expand, and drop this one here (see changed-type).",
                ),
            )
        }
        Act::Rewrite { table, how } if table.as_ref().is_none_or(|table| scene.is_live(table)) => {
            let table = table.as_ref().map_or_else(|| "every table".to_owned(), ToString::to_string);
            Some(
                Said::new(format!("{how} writes {table} anew, with nobody reading or writing"))
                    .next("Use pg_repack, or leave it out."),
            )
        }
        _ => None,
    }
}

/// Whether every value of the column's type is one of `to`, kept the same way: the database changes its catalog alone
/// (PostgreSQL, ALTER TABLE, "binary coercible").
pub(super) fn is_wider(scene: &Scene<'_>, table: &Name, column: &Ident, to: &str) -> bool {
    let Some(known) = scene.column(table, column) else { return false };
    let (from, to) = (InPlace::read(&known.data_type), InPlace::read(to));
    match (from, to) {
        (InPlace::Text(_), InPlace::Text(None)) => true,
        (InPlace::Text(Some(from)), InPlace::Text(Some(to))) => to >= from,
        (InPlace::Numeric(_), InPlace::Numeric(None)) => true,
        (InPlace::Numeric(Some((from, scale))), InPlace::Numeric(Some((to, same)))) => to >= from && scale == same,
        _ => false,
    }
}

/// A type, as far as it can be widened in place.
enum InPlace {
    Text(Option<u32>),
    Numeric(Option<(u32, u32)>),
    Other,
}

impl InPlace {
    fn read(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let (base, arguments) =
            text.split_once('(').map_or((text.as_str(), ""), |(base, rest)| (base, rest.trim_end_matches(')')));
        let numbers: Vec<u32> = arguments.split(',').filter_map(|number| number.trim().parse().ok()).collect();
        match base.trim() {
            "text" => Self::Text(None),
            "varchar" | "character varying" => Self::Text(numbers.first().copied()),
            "numeric" | "decimal" => {
                Self::Numeric(numbers.first().map(|precision| (*precision, numbers.get(1).copied().unwrap_or(0))))
            }
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn what_writes_a_table_anew_is_refused_in_both_phases() {
        expect![[r#"
            1.sql:1:1: [rewrites-table] users is written anew for the new type of age, with nobody reading or writing
              |
            1 | ALTER TABLE users ALTER COLUMN age TYPE bigint;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Give the new version a column of its own in expand, and drop this one here (see changed-type).
        "#]]
        .assert_eq(&told(Phase::Contract, "ALTER TABLE users ALTER COLUMN age TYPE bigint;"));
        expect![[r#"
            1.sql:1:1: [rewrites-table] CLUSTER writes users anew, with nobody reading or writing
              |
            1 | CLUSTER users USING i; VACUUM FULL;
              | ^^^^^^^^^^^^^^^^^^^^^
              = Use pg_repack, or leave it out.
            1.sql:1:24: [rewrites-table] VACUUM FULL writes every table anew, with nobody reading or writing
              |
            1 | CLUSTER users USING i; VACUUM FULL;
              |                        ^^^^^^^^^^^
              = Use pg_repack, or leave it out.
        "#]]
        .assert_eq(&told(Phase::Expand, "CLUSTER users USING i; VACUUM FULL;"));
        quiet(Phase::Contract, &["VACUUM users"]);
    }
}
