//! `renamed-enum-value`: one version knows the old value, the other one the new value.

use crate::lint::Kind;
use crate::lint::act::Act;
use crate::lint::finding::Said;
use crate::lint::scene::Scene;
use crate::lint::statement::Statement;

use super::Rule;

pub(super) const RULE: Rule = Rule { name: "renamed-enum-value", kind: Kind::BreaksAlways, check };

fn check(_: &Scene<'_>, _: &Statement, act: &Act) -> Option<Said> {
    let Act::RenameValue { kind, value } = act else { return None };
    let value = crate::Literal(value);
    Some(
        Said::new(format!("the live version writes {value} into columns of type {kind}"))
            .next(
                "Add the new value, let the new version read both, and change the rows when nobody writes the old one.",
            )
            .expand([format!("ALTER TYPE {kind} ADD VALUE '...';")])
            .contract([format!(
                "UPDATE ... SET ... = '...' WHERE ... = {value};  -- few rows at a time, outside of the file"
            )]),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::lint::Phase;
    use crate::lint::tests::{quiet, told};

    #[test]
    fn both_values_stay() {
        expect![[r#"
            1.sql:1:1: [renamed-enum-value] the live version writes 'a' into columns of type kind
              |
            1 | ALTER TYPE kind RENAME VALUE 'a' TO 'b';
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Add the new value, let the new version read both, and change the rows when nobody writes the old one.
                expand: ALTER TYPE kind ADD VALUE '...';
                contract: UPDATE ... SET ... = '...' WHERE ... = 'a';  -- few rows at a time, outside of the file
        "#]]
        .assert_eq(&told(Phase::Expand, "ALTER TYPE kind RENAME VALUE 'a' TO 'b';"));
        quiet(Phase::Expand, &["ALTER TYPE kind ADD VALUE 'b'"]);
    }
}
