//! Which step of a release takes what a framework has still to do, or why none does.

use switchover_model::Problem;
use switchover_model::framework::{Pending, Placed, Step};

use super::{Fit, sort};
use crate::catalog::Catalog;
use crate::lint::{Finding, Linter, Phase, RanBy};

/// Which step takes each pending migration while another revision goes on with the database.
///
/// `vouched` are the names of migrations whose unseen code somebody answers for. Errors: what fits no step, each with how to
/// write it.
pub fn place(pending: &[Pending], vouched: &[String], catalog: Option<&Catalog>) -> Result<Placed, Problem> {
    let mut placed = Placed::default();
    let mut refused = Vec::new();
    let mut lines = Vec::new();
    let (bound, free): (Vec<Pending>, Vec<Pending>) = pending.iter().cloned().partition(|one| one.bound.is_some());
    bound_by_their_author(&bound, catalog, &mut placed, &mut refused, &mut lines);
    let is_vouched = |name: &String| vouched.contains(name);
    let seen: Vec<Pending> =
        free.into_iter().map(|one| Pending { runs_code: one.runs_code && !is_vouched(&one.name), ..one }).collect();
    for sorted in sort(&seen, catalog) {
        let why = match sorted.fit {
            Fit::Expand => {
                placed.expand.push(sorted.name);
                continue;
            }
            // Whoever answers for its code has seen where it stands.
            Fit::Behind if is_vouched(&sorted.name) => {
                placed.contract.push(sorted.name);
                continue;
            }
            Fit::Contract => {
                placed.contract.push(sorted.name);
                continue;
            }
            Fit::Neither => String::new(),
            Fit::Behind => format!(
                "{} comes after {}, which has to wait until the live revision is gone, so the new one would start \
                 without it: put it before, or release it after.",
                sorted.name,
                placed.contract.join(", ")
            ),
            Fit::Unseen => format!(
                "{0} runs code that its SQL does not show. Read it; when both revisions can live with it, say so in \
                 [database]: vouch = [\"{0}\"]",
                sorted.name
            ),
        };
        lines.extend((!why.is_empty()).then_some(why));
        if sorted.fit == Fit::Neither {
            tell(&sorted.findings, &mut lines);
        }
        refused.push(sorted.name);
    }
    if refused.is_empty() {
        return Ok(placed);
    }
    let cause = format!(
        "the live revision can not go on beside {} of {} pending migrations: {}.",
        refused.len(),
        pending.len(),
        refused.join(", ")
    );
    // The first ones: with these mended the others are told.
    lines.truncate(Problem::DETAIL_LINES);
    let next = "Write them as told, in two releases where it says expand and contract, then deploy again. Nothing was changed.";
    Err(Problem::new("MIGRATIONS-REFUSED", cause, next).with_detail(lines))
}

/// Those that stand in a step by what their author says; their SQL is read where it is shown.
fn bound_by_their_author(
    bound: &[Pending],
    catalog: Option<&Catalog>,
    placed: &mut Placed,
    refused: &mut Vec<String>,
    lines: &mut Vec<String>,
) {
    let mut linter = Linter::new(RanBy::Others, catalog);
    for one in bound {
        let (phase, names) = match one.bound {
            Some(Step::Contract) => (Phase::Contract, &mut placed.contract),
            Some(Step::Expand) | None => (Phase::Expand, &mut placed.expand),
        };
        let findings = one.sql.as_ref().map_or_else(Vec::new, |sql| linter.file(sql, &one.name, phase));
        if findings.iter().any(Finding::is_refused) {
            tell(&findings, lines);
            refused.push(one.name.clone());
        } else {
            names.push(one.name.clone());
        }
    }
}

fn tell(findings: &[Finding], lines: &mut Vec<String>) {
    for finding in findings.iter().filter(|finding| finding.is_refused()) {
        lines.extend(finding.to_string().lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn of(name: &str, sql: &str) -> Pending {
        Pending { name: name.to_owned(), bound: None, sql: Some(sql.to_owned()), runs_code: false }
    }

    fn check(pending: &[Pending], vouched: &[&str], expected: &Expect) {
        let vouched: Vec<String> = vouched.iter().map(ToString::to_string).collect();
        let told = match place(pending, &vouched, None) {
            Ok(placed) => format!("expand {:?}\ncontract {:?}\n", placed.expand, placed.contract),
            Err(problem) => format!("{}\n{}\n{}\n", problem.cause, problem.next, problem.detail.join("\n")),
        };
        expected.assert_eq(&told);
    }

    #[test]
    fn what_both_can_live_with_comes_first_and_the_rest_waits() {
        let add = of("1", "ALTER TABLE users ADD COLUMN kind text");
        let drop = of("2", "ALTER TABLE users DROP COLUMN age");
        let code = Pending { runs_code: true, ..of("3", "") };
        check(
            &[add.clone(), drop.clone()],
            &[],
            &expect![[r#"
            expand ["1"]
            contract ["2"]
        "#]],
        );
        check(
            &[add.clone(), code.clone()],
            &[],
            &expect![[r#"
            the live revision can not go on beside 1 of 2 pending migrations: 3.
            Write them as told, in two releases where it says expand and contract, then deploy again. Nothing was changed.
            3 runs code that its SQL does not show. Read it; when both revisions can live with it, say so in [database]: vouch = ["3"]
        "#]],
        );
        check(
            &[add.clone(), code.clone()],
            &["3"],
            &expect![[r#"
            expand ["1", "3"]
            contract []
        "#]],
        );
        check(
            &[drop.clone(), code],
            &["3"],
            &expect![[r#"
            expand []
            contract ["2", "3"]
        "#]],
        );
        check(
            &[drop, add],
            &[],
            &expect![[r#"
            the live revision can not go on beside 1 of 2 pending migrations: 1.
            Write them as told, in two releases where it says expand and contract, then deploy again. Nothing was changed.
            1 comes after 2, which has to wait until the live revision is gone, so the new one would start without it: put it before, or release it after.
        "#]],
        );
    }

    #[test]
    fn what_fits_nowhere_is_told_with_how_to_write_it() {
        let sql = "ALTER TABLE users ADD COLUMN state text DEFAULT 'new' NOT NULL;\nALTER TABLE users ALTER COLUMN state DROP DEFAULT;";
        check(
            &[of("1", sql)],
            &[],
            &expect![[r#"
            the live revision can not go on beside 1 of 1 pending migrations: 1.
            Write them as told, in two releases where it says expand and contract, then deploy again. Nothing was changed.
            1:2:1: [dropped-default] the live version does not know the new column state of users, and without its default each INSERT of it fails
              |
            2 | ALTER TABLE users ALTER COLUMN state DROP DEFAULT;
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Keep the default until the older version is gone. In Django (5.0 and newer) give the field a db_default, in Alembic a server_default.
                contract: ALTER TABLE users ALTER COLUMN state DROP DEFAULT;
        "#]],
        );
    }

    #[test]
    fn what_its_author_has_put_into_a_step_stays_there_and_is_read_where_it_is_shown() {
        let bound = |name: &str, step, sql: Option<&str>| Pending {
            name: name.to_owned(),
            bound: Some(step),
            sql: sql.map(str::to_owned),
            runs_code: false,
        };
        let drop = Some("ALTER TABLE users DROP COLUMN age");
        check(
            &[bound("1", Step::Expand, None), bound("2", Step::Contract, drop)],
            &[],
            &expect![[r#"
                expand ["1"]
                contract ["2"]
            "#]],
        );
        check(
            &[bound("1", Step::Expand, drop)],
            &[],
            &expect![[r#"
            the live revision can not go on beside 1 of 1 pending migrations: 1.
            Write them as told, in two releases where it says expand and contract, then deploy again. Nothing was changed.
            1:1:1: [dropped-column] the live version still uses column age of users
              |
            1 | ALTER TABLE users DROP COLUMN age
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = Let the new version stop using it, and drop it when the older one is gone; if it must be given (NOT NULL, no default), let it take NULL before.
                expand: ALTER TABLE users ALTER COLUMN age DROP NOT NULL;
                contract: ALTER TABLE users DROP COLUMN age;
        "#]],
        );
    }
}
