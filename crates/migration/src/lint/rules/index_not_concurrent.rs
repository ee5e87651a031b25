//! `index-not-concurrent`: nobody can write into the table while its index is built, read while it is dropped.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "index-not-concurrent", kind: Kind::Stalls, check };

use crate::lint::Phase;

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    match act {
        Act::CreateIndex(added) if !added.concurrently && scene.is_live(&added.table) => {
            let table = &added.table;
            let has_new = added.columns.iter().any(|column| scene.is_made_column(table, column));
            if added.unique && scene.phase == Phase::Expand && !has_new {
                return None;
            }
            let unique = if added.unique { "UNIQUE " } else { "" };
            let name = super::name_or(table, added.index.as_ref(), &format!("{}_idx", first(&added.columns)));
            let sql = format!("CREATE {unique}INDEX CONCURRENTLY {name} ON {table} {};", added.rest);
            let said = Said::new(format!("nobody can write into {table} while this index is built"))
                .next("Build it beside running writes.");
            Some(by_phase(said, scene.phase, sql))
        }
        Act::DropIndex { index, concurrently: false } if scene.phase == Phase::Contract => {
            let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {index};");
            let said = Said::new("its table waits for every open transaction, and everybody for it".to_owned());
            Some(by_phase(said.next("Drop it beside running statements."), scene.phase, sql))
        }
        Act::Reindex { name, concurrently: false } => {
            let said = Said::new(format!("nobody can write while {name} is built anew"));
            Some(said.next("Write REINDEX (CONCURRENTLY) ..., by itself."))
        }
        _ => None,
    }
}

fn first(columns: &[crate::Ident]) -> &str {
    columns.first().map_or("row", crate::Ident::as_str)
}

fn by_phase(said: Said, phase: Phase, sql: String) -> Said {
    match phase {
        Phase::Expand => said.expand([sql]),
        Phase::Contract => said.contract([sql]),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn an_index_is_built_beside_running_writes() {
        expect![[r#"
            1.sql:1:1: [index-not-concurrent] nobody can write into users while this index is built
              |
            1 | CREATE INDEX ON users USING gin (name, lower(email)) WHERE age > 3;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Build it beside running writes.
                expand: CREATE INDEX CONCURRENTLY users_name_idx ON users USING gin (name, lower(email)) WHERE age > 3;
        "#]]
        .assert_eq(&told(Phase::Expand, "CREATE INDEX ON users USING gin (name, lower(email)) WHERE age > 3;"));
        expect![[r#"
            1.sql:1:1: [index-not-concurrent] its table waits for every open transaction, and everybody for it
              |
            1 | DROP INDEX users_by_name; REINDEX TABLE users;
              | ^^^^^^^^^^^^^^^^^^^^^^^^
              = Drop it beside running statements.
                contract: DROP INDEX CONCURRENTLY IF EXISTS users_by_name;
            1.sql:1:27: [index-not-concurrent] nobody can write while users is built anew
              |
            1 | DROP INDEX users_by_name; REINDEX TABLE users;
              |                           ^^^^^^^^^^^^^^^^^^^
              = Write REINDEX (CONCURRENTLY) ..., by itself.
        "#]]
        .assert_eq(&told(Phase::Contract, "DROP INDEX users_by_name; REINDEX TABLE users;"));
        quiet(Phase::Contract, &["CREATE INDEX CONCURRENTLY i ON users (name)", "REINDEX (CONCURRENTLY) TABLE users"]);
    }
}
