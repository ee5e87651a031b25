//! Experiments: what is accepted and what is refused.

use expect_test::expect;

use crate::config::*;
use crate::decimal::Decimal;
use crate::name::Share;
use crate::seam::{Ability, Condition};
use crate::time::Span;

use super::good;
use super::refused::check;

/// A file with every key of an experiment.
pub(super) const AB: &str = r#"
name = "shop"
[process.web]
command = "a"
[release]
strategy = "ab"
[release.experiment]
share    = "50%"
match    = [{ header = "X-Beta", value = "1" }, { cookie = "beta", value = "yes" }, { query = "beta", value = "" }]
for      = "7d"
at_least = "1d"
undecided = "drop"
[[release.goal]]
name    = "checkout"
request = "POST /checkout 2xx"
primary = true
better  = "higher"
effect  = "1%"
[[release.goal]]
name    = "refunds"
request = "GET /refunds/* 200"
better  = "lower"
"#;

/// The shortest, with the lines of its tables.
pub(super) fn ab(experiment: &str, goals: &str) -> String {
    format!(
        "name = \"shop\"\n[process.web]\ncommand = \"a\"\n[release]\nstrategy = \"ab\"\n[release.experiment]\n{experiment}\n{goals}"
    )
}

const GOAL: &str = "[[release.goal]]\nname = \"buy\"\nrequest = \"POST /buy 2xx\"\n";

#[test]
fn an_experiment_is_one_step_with_goals() {
    let strategy = good(AB).release.strategy;
    let experiment = strategy.experiment().unwrap();
    assert_eq!(experiment.share.to_string(), "50%");
    assert_eq!((experiment.lasts, experiment.at_least), (Span::from_secs(7 * 86_400), Span::from_secs(86_400)));
    let header = Condition::Header { name: "X-Beta".parse().unwrap(), value: "1".into() };
    assert_eq!((experiment.matches.len(), &experiment.matches[0]), (3, &header));
    assert_eq!((experiment.goals.len(), experiment.primary()), (2, 0));
    assert_eq!(experiment.goals[0].effect, Decimal::from_millionths(10_000));
    assert_eq!((experiment.goals[1].better, experiment.goals[1].effect), (Better::Lower, Decimal::default()));
    assert!(experiment.needs().eq([Ability::Goals, Ability::Matches]));
    let [step] = strategy.steps(&[])[..] else { panic!("{strategy:?}") };
    assert_eq!((step.share, step.stays, strategy.asks_a_person()), (experiment.share, experiment.lasts, false));

    let by_match = good(&ab("match = [{ cookie = \"beta\", value = \"1\" }]\nfor = \"1h\"\nundecided = \"ask\"", GOAL));
    let experiment = by_match.release.strategy.experiment().unwrap();
    assert_eq!((experiment.share, experiment.is_by_chance()), (Share::NONE, false));
    assert!(experiment.goals[0].primary && by_match.release.strategy.asks_a_person());
    let fewer = good(&ab("share = \"50%\"\nfor = \"1h\"", GOAL).replace("\"ab\"\n", "\"ab\"\nfalse_alarms = \"1%\"\n"));
    assert_eq!(fewer.release.evidence.false_alarms.basis_points(), 100);
    let written = serde_json::to_string(&by_match.release.strategy).unwrap();
    assert_eq!(serde_json::from_str::<Strategy>(&written).unwrap(), by_match.release.strategy);
}

#[test]
fn an_experiment_on_nobody_or_without_a_goal_is_refused() {
    check(
        &ab("for = \"7d\"", GOAL),
        expect![[r#"
        switchover.toml:6:1: nobody gets the new revision: there is no match and no share
          |
        6 | [release.experiment]
          | ^^^^^^^^^^^^^^^^^^^^
          = write: share = "50%", or match = [{ header = "X-Beta", value = "1" }]
    "#]],
    );
    check(
        &ab("share = \"100%\"\nfor = \"7d\"", GOAL),
        expect![[r#"
        switchover.toml:7:9: with a share of 100% there is nobody to compare with
          |
        7 | share = "100%"
          |         ^^^^^^
          = write: share = "50%", or leave it out where match says who
    "#]],
    );
    check(
        &ab("share = \"50%\"\nfor = \"7d\"", ""),
        expect![[r#"
        switchover.toml:5:12: an experiment without a goal proves nothing
          |
        5 | strategy = "ab"
          |            ^^^^
          = write:
            [[release.goal]]
            name = "checkout"
            request = "POST /checkout 2xx"
    "#]],
    );
    check(
        "name = \"shop\"\n[process.web]\ncommand = \"a\"\n[release]\nstrategy = \"ab\"\n",
        expect![[r#"
        switchover.toml:5:12: strategy = "ab" does not say who gets the new revision
          |
        5 | strategy = "ab"
          |            ^^^^
          = write:
            [release.experiment]
            share = "50%"
            for = "7d"

        switchover.toml:5:12: an experiment without a goal proves nothing
          |
        5 | strategy = "ab"
          |            ^^^^
          = write:
            [[release.goal]]
            name = "checkout"
            request = "POST /checkout 2xx"
    "#]],
    );
    check(
        &ab("share = \"50%\"", GOAL),
        expect![[r#"
        switchover.toml:6:1: [release.experiment] has no "for"
          |
        6 | [release.experiment]
          | ^^^^^^^^^^^^^^^^^^^^
          = write: for = "7d"
    "#]],
    );
}

#[test]
fn what_can_not_be_decided_is_refused() {
    let second = "[[release.goal]]\nname = \"look\"\nrequest = \"GET /look 2xx\"\n";
    check(
        &ab("share = \"50%\"\nfor = \"7d\"", &format!("{GOAL}{second}")),
        expect![[r#"
        switchover.toml:9:1: none of the goals is primary: it is not said by which the experiment is decided
          |
        9 | [[release.goal]]
          | ^^^^^^^^^^^^^^^^
          = add to one of them: primary = true
    "#]],
    );
    let both = format!("{GOAL}primary = true\n{second}primary = true\n");
    check(
        &ab("share = \"50%\"\nfor = \"7d\"", &both),
        expect![[r#"
        switchover.toml:16:11: two goals are primary: an experiment is decided by one
           |
        16 | primary = true
           |           ^^^^
           = write primary = true in one of them alone
    "#]],
    );
    check(
        &ab("share = \"50%\"\nfor = \"7d\"", &format!("{GOAL}{GOAL}")),
        expect![[r#"
        switchover.toml:13:8: the goal "buy" stands here twice
           |
        13 | name = "buy"
           |        ^^^^^
           = give each a name of its own

        switchover.toml:14:11: "POST /buy 2xx" is two goals
           |
        14 | request = "POST /buy 2xx"
           |           ^^^^^^^^^^^^^^^
           = leave one of them out
    "#]],
    );
    check(
        &ab("share = \"50%\"\nfor = \"1h\"\nat_least = \"2h\"", GOAL),
        expect![[r#"
        switchover.toml:9:12: the experiment ends after 1h, before it may be decided
          |
        9 | at_least = "2h"
          |            ^^^^
          = write an at_least that is no longer than "for"
    "#]],
    );
    check(
        &ab("share = \"50%\"\nfor = \"1h\"", &format!("{GOAL}effect = \"0%\"\n")),
        expect![[r#"
        switchover.toml:12:10: "0%" is no difference that can matter: it is above 0% and below 100%
           |
        12 | effect = "0%"
           |          ^^^^
           = write: effect = "1%", or leave it out: then any difference matters
    "#]],
    );
}

#[test]
fn what_no_request_meets_is_refused() {
    let goal = |request: &str| {
        ab("share = \"50%\"\nfor = \"1h\"", &format!("[[release.goal]]\nname = \"a\"\nrequest = \"{request}\"\n"))
    };
    check(
        &goal("POST /checkout"),
        expect![[r#"
        switchover.toml:11:11: "POST /checkout" is not a method, a path and a status
           |
        11 | request = "POST /checkout"
           |           ^^^^^^^^^^^^^^^^
           = write a request with its answer, such as: request = "POST /checkout 2xx"
    "#]],
    );
    check(
        &goal("post /checkout 2xx"),
        expect![[r#"
        switchover.toml:11:11: "post" is not a method: 1 to 32 capital letters and "-"
           |
        11 | request = "post /checkout 2xx"
           |           ^^^^^^^^^^^^^^^^^^^^
           = write a request with its answer, such as: request = "POST /checkout 2xx"
    "#]],
    );
    check(
        &goal("POST /checkout?step=2 2xx"),
        expect![[r#"
        switchover.toml:11:11: "/checkout?step=2" is not a path: it begins with "/", has at most 256 bytes that a request's path may have, no query, and a "*" only at its end
           |
        11 | request = "POST /checkout?step=2 2xx"
           |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^
           = write a request with its answer, such as: request = "POST /checkout 2xx"
    "#]],
    );
    check(
        &goal("POST /checkout 2x"),
        expect![[r#"
        switchover.toml:11:11: "2x" is not a status: write a class such as 2xx, or a number such as 201
           |
        11 | request = "POST /checkout 2x"
           |           ^^^^^^^^^^^^^^^^^^^
           = write a request with its answer, such as: request = "POST /checkout 2xx"
    "#]],
    );
    let who = |entry: &str| ab(&format!("match = [{entry}]\nfor = \"1h\""), GOAL);
    check(
        &who("{ value = \"1\" }"),
        expect![[r#"
        switchover.toml:7:10: this match does not say what it looks at
          |
        7 | match = [{ value = "1" }]
          |          ^^^^^^^^^^^^^^^
          = write: { header = "X-Beta", value = "1" }, or cookie or query in its place
    "#]],
    );
    check(
        &who("{ header = \"X-A\", cookie = \"b\", value = \"1\" }"),
        expect![[r#"
        switchover.toml:7:37: a match looks at one thing, and this one names two
          |
        7 | match = [{ header = "X-A", cookie = "b", value = "1" }]
          |                                     ^^^
          = write two matches: either of them will do
    "#]],
    );
    check(
        &who("{ header = \"X-A\", value = \"1\" }, { header = \"X-A\", value = \"1\" }"),
        expect![[r#"
        switchover.toml:7:43: this match stands here twice
          |
        7 | match = [{ header = "X-A", value = "1" }, { header = "X-A", value = "1" }]
          |                                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          = leave one of them out
    "#]],
    );
}

#[test]
fn clients_that_stay_nowhere_and_keys_of_another_strategy_are_refused() {
    let unsticky =
        ab("share = \"50%\"\nfor = \"1h\"", GOAL).replace("[release]", "[route]\nsticky = \"none\"\n[release]");
    check(
        &unsticky,
        expect![[r#"
        switchover.toml:5:10: sticky = "none" leads each request its own way: a client of an experiment stays on its side
          |
        5 | sticky = "none"
          |          ^^^^^^
          = leave sticky out, or write: sticky = { cookie = "session" }
    "#]],
    );
    check(
        &ab("share = \"50%\"\nfor = \"1h\"", GOAL).replace("\"ab\"", "\"linear\""),
        expect![[r#"
        switchover.toml:6:1: "experiment" has no effect: it belongs to strategy = "ab"
          |
        6 | [release.experiment]
          | ^^^^^^^^^^^^^^^^^^^^
          = write: strategy = "ab", or leave experiment out

        switchover.toml:9:1: "goal" has no effect: it belongs to strategy = "ab"
          |
        9 | [[release.goal]]
          | ^^^^^^^^^^^^^^^^
          = write: strategy = "ab", or leave goal out
    "#]],
    );
}
