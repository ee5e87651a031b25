//! Goals whose number is asked for: what is accepted and what is refused.

use expect_test::expect;

use crate::config::*;
use crate::time::Span;

use super::experiment::{AB, ab};
use super::good;
use super::refused::check;

/// A file with every key of a goal whose number is asked for.
pub(super) const ASKED: &str = r#"
name = "shop"
[process.web]
command = "a"
[secrets]
file = "secrets.env"
[release]
strategy = "ab"
[release.experiment]
share = "50%"
for = "7d"
[[release.goal]]
name = "buys"
prometheus = "http://127.0.0.1:9090"
query = 'sum(signed_up_total{revision="$REVISION"})'
token = "METRICS_TOKEN"
interval = "30s"
timeout = "2s"
lag = "10m"
primary = true
[[release.goal]]
name = "signs"
url = "http://127.0.0.1:9000/signed?slot=$SLOT"
[[release.goal]]
name = "stays"
command = "./stays.sh"
"#;

const HOW: &str = "share = \"50%\"\nfor = \"1h\"";

fn number(lines: &str) -> String {
    ab(HOW, &format!("[[release.goal]]\nname = \"buys\"\n{lines}\n"))
}

#[test]
fn a_goal_may_be_a_number_that_somebody_else_knows() {
    let query = "prometheus = \"http://127.0.0.1:9090\"\nquery = \"sum(signed_up_total{revision=\\\"$REVISION\\\"})\"";
    let file = good(&number(query));
    let experiment = file.release.strategy.experiment().unwrap();
    let GoalSource::Number(asked) = &experiment.goals[0].source else { panic!("{experiment:?}") };
    assert!(matches!(&asked.from, NumberFrom::Prometheus { token: None, .. }), "{asked:?}");
    let seconds = |span: Span| span.as_micros() / 1_000_000;
    assert_eq!((seconds(asked.interval), seconds(asked.timeout), seconds(asked.lag)), (10, 5, 60));
    assert!(experiment.goals[0].primary && experiment.requests().next().is_none());
    for more in [
        "url = \"http://127.0.0.1:9000/buyers?of=$SLOT\"\ninterval = \"1m\"\ntimeout = \"1s\"\nlag = \"0s\"",
        "command = \"./buyers.sh\"",
    ] {
        let file = good(&number(more));
        let written = serde_json::to_string(&file.release.strategy).unwrap();
        assert_eq!(serde_json::from_str::<Strategy>(&written).unwrap(), file.release.strategy);
    }
    let secrets = number(&format!("{query}\ntoken = \"METRICS\""))
        .replace("[release]\n", "[secrets]\nfile = \"secrets.env\"\n[release]\n");
    assert_eq!(good(&secrets).release.strategy.experiment().unwrap().goals.len(), 1);
}

#[test]
fn a_request_is_written_in_the_journal_as_before_there_were_numbers() {
    let goal = good(AB).release.strategy.experiment().unwrap().goals[0].clone();
    let written = r#"{"name":"checkout","request":{"method":"POST","path":"/checkout","status":{"class":2}},"primary":true,"better":"higher","effect":10000}"#;
    assert_eq!(serde_json::to_string(&goal).unwrap(), written);
    assert_eq!(serde_json::from_str::<Goal>(written).unwrap(), goal);
}

#[test]
fn a_goal_is_told_by_one_thing() {
    check(
        &number("request = \"GET / 2xx\"\ncommand = \"./buyers.sh\""),
        expect![[r#"
        switchover.toml:12:11: a goal has "request" and "command": one of them tells who reached it
           |
        12 | command = "./buyers.sh"
           |           ^^^^^^^^^^^^^
           = write two goals, or leave one of them out
    "#]],
    );
    check(
        &number("effect = \"1%\""),
        expect![[r#"
        switchover.toml:9:1: the goal does not say what tells who reached it
          |
        9 | [[release.goal]]
          | ^^^^^^^^^^^^^^^^
          = write: request = "POST /checkout 2xx", or prometheus with query, or command, or url
    "#]],
    );
    check(
        &number("prometheus = \"http://127.0.0.1:9090\""),
        expect![[r#"
            switchover.toml:11:14: "prometheus" is asked nothing
               |
            11 | prometheus = "http://127.0.0.1:9090"
               |              ^^^^^^^^^^^^^^^^^^^^^^^
               = write: query = "sum(signed_up_total{revision=\"$REVISION\"}) or vector(0)"
        "#]],
    );
    check(
        &number("graphite = \"http://127.0.0.1:9090\""),
        expect![[r#"
        switchover.toml:9:1: the goal does not say what tells who reached it
          |
        9 | [[release.goal]]
          | ^^^^^^^^^^^^^^^^
          = write: request = "POST /checkout 2xx", or prometheus with query, or command, or url

        switchover.toml:11:1: [release.goal] has no key "graphite"
           |
        11 | graphite = "http://127.0.0.1:9090"
           | ^^^^^^^^
           = known here: name, request, prometheus, query, command, url, token, interval, timeout, lag, primary, better, effect
    "#]],
    );
}

#[test]
fn a_number_of_both_sides_together_is_refused() {
    check(
        &number("prometheus = \"http://127.0.0.1:9090\"\nquery = \"sum(signed_up_total)\""),
        expect![[r#"
            switchover.toml:12:9: the query names no slot: it would give the number of both slots together
               |
            12 | query = "sum(signed_up_total)"
               |         ^^^^^^^^^^^^^^^^^^^^^^
               = write a query, such as: query = "sum(signed_up_total{revision=\"$REVISION\"}) or vector(0)"
        "#]],
    );
    check(
        &number("url = \"http://127.0.0.1:9000/buyers\""),
        expect![[r#"
        switchover.toml:11:7: the URL names no slot: it would give the number of both slots together
           |
        11 | url = "http://127.0.0.1:9000/buyers"
           |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           = write: url = "http://127.0.0.1:9000/buyers?revision=$REVISION"
    "#]],
    );
    let both = ab(
        "share = \"50%\"\nmatch = [{ header = \"X-Beta\", value = \"1\" }]\nfor = \"1h\"",
        "[[release.goal]]\nname = \"buys\"\ncommand = \"./buyers.sh\"\n",
    );
    check(
        &both,
        expect![[r#"
        switchover.toml:12:11: this number counts those of a match too, and nobody chose them by chance
           |
        12 | command = "./buyers.sh"
           |           ^^^^^^^^^^^^^
           = leave match or share out, or write a request
    "#]],
    );
}

#[test]
fn a_lag_of_more_than_a_tenth_of_the_experiment_is_refused() {
    check(
        &number("command = \"./buyers.sh\"\nlag = \"1d\""),
        expect![[r#"
        switchover.toml:12:7: the goal counts only 1d after the experiment began, and that ends after 1h
           |
        12 | lag = "1d"
           |       ^^^^
           = write a lag of at most a tenth of "for": lag = "6m"
    "#]],
    );
}

#[test]
fn a_number_that_could_never_be_counted_from_is_refused() {
    check(
        &number("command = \"./buyers.sh\"\ninterval = \"15m\""),
        expect![[r#"
        switchover.toml:12:12: the goal is asked for each 15m, and has to be 4 times before the experiment ends
           |
        12 | interval = "15m"
           |            ^^^^^
           = write a shorter interval, or a longer "for"
    "#]],
    );
    good(&number("command = \"./buyers.sh\"\ninterval = \"14m\""));
}

#[test]
fn keys_that_another_source_heeds_are_refused() {
    check(
        &number("request = \"GET / 2xx\"\nlag = \"1m\"\ninterval = \"1m\""),
        expect![[r#"
        switchover.toml:12:7: "lag" has no effect: requests are counted as they come
           |
        12 | lag = "1m"
           |       ^^^^
           = leave it out

        switchover.toml:13:12: "interval" has no effect: requests are counted as they come
           |
        13 | interval = "1m"
           |            ^^^^
           = leave it out
    "#]],
    );
    check(
        &number("command = \"./buyers.sh\"\ntoken = \"A\"\nquery = \"x{slot='$SLOT'}\""),
        expect![[r#"
        switchover.toml:12:9: "token" has no effect: it belongs to "prometheus" and "url"
           |
        12 | token = "A"
           |         ^^^
           = leave it out

        switchover.toml:12:9: "token" names a variable of the secrets file, and the app has none
           |
        12 | token = "A"
           |         ^^^
           = add: [secrets] with file = "/etc/shop/secrets.env"

        switchover.toml:13:9: "query" has no effect: it belongs to "prometheus"
           |
        13 | query = "x{slot='$SLOT'}"
           |         ^^^^^^^^^^^^^^^^^
           = leave it out
    "#]],
    );
    check(
        &number("url = \"http://127.0.0.1:9000/$SLOT\"\ntoken = \"A\""),
        expect![[r#"
        switchover.toml:12:9: "token" names a variable of the secrets file, and the app has none
           |
        12 | token = "A"
           |         ^^^
           = add: [secrets] with file = "/etc/shop/secrets.env"
    "#]],
    );
    check(
        &number("url = \"http://127.0.0.1:9000/$SLOT\"\ninterval = \"10ms\""),
        expect![[r#"
        switchover.toml:12:12: "release.goal.interval" is 10ms; it must be at least 1s
           |
        12 | interval = "10ms"
           |            ^^^^^^
           = write: interval = "10s"
    "#]],
    );
    let twice = "[[release.goal]]\nname = \"a\"\nprimary = true\ncommand = \"a\"\n[[release.goal]]\nname = \"b\"\ncommand = \"a\"\n";
    check(
        &ab(HOW, twice),
        expect![[r#"
        switchover.toml:15:11: "a" is two goals
           |
        15 | command = "a"
           |           ^^^
           = leave one of them out
    "#]],
    );
}
