//! `unread-code`: what a block of code does is not seen, so nothing of it is known to be something that the live version can
//! live with.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "unread-code", kind: Kind::BreaksUntilContract, check };

fn check(_: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    matches!(act, Act::Code).then(|| {
        Said::new("what stands in DO is not looked at").next(
            "Write its statements plainly, where each is looked at; or say why the live version can live with it: -- switchover: allow unread-code because REASON",
        )
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn code_is_not_taken_for_harmless() {
        expect![[r#"
            1.sql:1:1: [unread-code] what stands in DO is not looked at
              |
            1 | DO $$ BEGIN EXECUTE 'DROP TABLE users'; END $$;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Write its statements plainly, where each is looked at; or say why the live version can live with it: -- switchover: allow unread-code because REASON
        "#]].assert_eq(&told(Phase::Expand, "DO $$ BEGIN EXECUTE 'DROP TABLE users'; END $$;"));
        quiet(Phase::Contract, &["DO $$ BEGIN EXECUTE 'DROP TABLE users'; END $$;"]);
        quiet(
            Phase::Expand,
            &["-- switchover: allow unread-code because it only makes a role\nDO $$ BEGIN CREATE ROLE reader; END $$;"],
        );
    }
}
