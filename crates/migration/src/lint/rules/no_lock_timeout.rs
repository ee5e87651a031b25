//! `no-lock-timeout`: a statement that waits for its lock makes everybody behind it wait.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "no-lock-timeout", kind: Kind::Tells, check };

use crate::lint::RanBy;

fn check(scene: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let (_, table) = act.lock().filter(|(_, table)| scene.is_live(table))?;
    // Once a transaction is enough.
    let is_first = scene.transaction.locked.is_empty();
    (scene.ran_by == RanBy::Others && !scene.has_lock_timeout && is_first).then(|| {
        Said::new(format!("while this waits for {table}, everybody who comes after it waits, too"))
            .next("Begin with SET LOCAL lock_timeout = '40ms'; and try again, or set it for the command: PGOPTIONS='-c lock_timeout=40ms'.")
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::tests::told_by;
    use crate::lint::{Linter, Phase, RanBy};

    #[test]
    fn others_are_told_to_bound_their_waits() {
        let sql = "ALTER TABLE users ADD COLUMN a text;\nALTER TABLE users ADD COLUMN b text;";
        let told = |ran_by: RanBy, sql: &str| told_by(&mut Linter::new(ran_by, None), Phase::Expand, sql);
        expect![[r#"
            1.sql:1:1: [no-lock-timeout] while this waits for users, everybody who comes after it waits, too
              |
            1 | ALTER TABLE users ADD COLUMN a text;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Begin with SET LOCAL lock_timeout = '40ms'; and try again, or set it for the command: PGOPTIONS='-c lock_timeout=40ms'.
        "#]].assert_eq(&told(RanBy::Others, sql));
        assert_eq!(told(RanBy::Us, sql), "");
        assert_eq!(told(RanBy::Others, &format!("SET LOCAL lock_timeout = '40ms'; {sql}")), "");
    }
}
