//! `[[release.check]]`: what is read, and what is refused.

use expect_test::expect;

use super::good;
use super::refused::{check, with};
use crate::config::*;
use crate::decimal::Decimal;
use crate::name::Share;
use crate::time::Span;

/// Checks of every source, with every key.
pub(super) const CHECKS: &str = r#"
name = "shop"

[secrets]
file = "secrets.env"

[process.web]
command = "a"

[release]
false_alarms = "1%"
evidence_timeout = "5m"
no_evidence = "pause"

[[release.check]]
name = "errors"
measure = "errors"
process = "web"
worse_by = "0.5%"
during = ["bake", "shift"]

[[release.check]]
name = "slow"
measure = "latency"
quantile = "p99.9"
max = "300ms"

[[release.check]]
name = "alive"
measure = "requests"
min = "0.5/s"

[[release.check]]
name = "queue"
prometheus = "http://127.0.0.1:9090"
query = "sum(queue{slot=\"$SLOT\"})"
worse_by = "20%"
worse = "lower"
interval = "30s"
timeout = "2s"
enough = 3

[[release.check]]
name = "lag"
command = "./lag.sh"
max = "100"
allowed = 2

[[release.check]]
name = "score"
url = "https://score.example/$REVISION"
token = "SCORE_TOKEN"
min = "-0.25"
"#;

fn number(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn every_source_and_bound_is_read_in_its_unit() {
    let evidence = good(CHECKS).release.evidence;
    assert_eq!(evidence.false_alarms, Share::from_basis_points(100).unwrap());
    assert_eq!((evidence.timeout, evidence.no_evidence), (Span::from_secs(300), NoEvidence::Pause));
    let [errors, slow, alive, queue, lag, score] = &evidence.checks[..] else { panic!("{evidence:?}") };
    let web = Some("web".parse().unwrap());
    assert_eq!(errors.source, CheckSource::Traffic { process: web, measure: Measure::Errors });
    assert_eq!(errors.bound, Bound::WorseBy { effect: number("0.005") });
    assert_eq!(errors.during, [During::Shift, During::Bake]);
    let p999 = Measure::Latency { quantile: number("0.999") };
    assert_eq!(slow.source, CheckSource::Traffic { process: None, measure: p999 });
    assert_eq!(slow.bound, Bound::Most { limit: number("0.3") });
    assert_eq!(slow.during, During::ALL);
    assert_eq!(alive.bound, Bound::Least { limit: number("0.5") });
    let CheckSource::Number { from: NumberFrom::Prometheus { .. }, interval, timeout, allowed, worse } = &queue.source
    else {
        panic!("{queue:?}")
    };
    assert_eq!((*interval, *timeout, *allowed, *worse), (Span::from_secs(30), Span::from_secs(2), 0, Worse::Lower));
    assert_eq!((errors.enough, queue.enough, lag.enough), (None, Some(3), Some(5)));
    assert_eq!(queue.bound, Bound::WorseBy { effect: number("0.2") });
    assert_eq!(lag.bound, Bound::Most { limit: number("100") });
    assert_eq!(score.bound, Bound::Least { limit: number("-0.25") });
}

#[test]
fn a_file_of_before_there_were_checks_has_none() {
    let config = good("name = \"shop\"\n[process.web]\ncommand = \"a\"\n");
    let mut written = serde_json::to_value(&config).unwrap();
    written["release"].as_object_mut().unwrap().remove("evidence");
    assert_eq!(serde_json::from_value::<AppConfig>(written).unwrap(), config);
}

#[test]
fn a_check_says_what_is_measured_and_what_it_is_held_against() {
    check(
        &with(
            "[[release.check]]\nname = \"a\"\nmeasure = \"errors\"\n\n[[release.check]]\nname = \"a\"\nmax = \"1%\"\n\n[[release.check]]\nname = \"b\"\nmeasure = \"errors\"\ncommand = \"x\"\nmax = \"1\"\nmin = \"2\"",
        ),
        expect![[r#"
            switchover.toml:4:1: the check is held against nothing
              |
            4 | [[release.check]]
              | ^^^^^^^^^^^^^^^^^
              = write max, min or worse_by, such as: worse_by = "0.5%"

            switchover.toml:8:1: the check does not say what is measured
              |
            8 | [[release.check]]
              | ^^^^^^^^^^^^^^^^^
              = write: measure = "errors", or prometheus with query, or command, or url

            switchover.toml:9:8: the check "a" stands here twice
              |
            9 | name = "a"
              |        ^^^
              = give each a name of its own

            switchover.toml:15:11: a check has "measure" and "command": one of them says what is measured
               |
            15 | command = "x"
               |           ^^^
               = write two checks, or leave one of them out
        "#]],
    );
}

#[test]
fn a_bound_is_written_in_the_unit_of_what_is_measured() {
    check(
        &with(
            "[[release.check]]\nname = \"a\"\nmeasure = \"errors\"\nmax = \"300ms\"\n\n[[release.check]]\nname = \"b\"\nmeasure = \"latency\"\nquantile = \"p99\"\nmax = \"30%\"\n\n[[release.check]]\nname = \"c\"\nmeasure = \"latency\"\nquantile = \"p100\"\nmax = \"30ms\"\n\n[[release.check]]\nname = \"d\"\ncommand = \"x\"\nmax = \"NaN\"\n\n[[release.check]]\nname = \"e\"\nmeasure = \"errors\"\nworse_by = \"0%\"\n\n[[release.check]]\nname = \"f\"\nmeasure = \"errors\"\nmin = \"1%\"\n\n[[release.check]]\nname = \"g\"\nmeasure = \"requests\"\nworse_by = \"1%\"\n\n[[release.check]]\nname = \"h\"\nmeasure = \"errors\"\nmax = \"100%\"",
        ),
        expect![[r#"
            switchover.toml:7:7: "300ms" is not a percentage, which this check is held against
              |
            7 | max = "300ms"
              |       ^^^^^^^
              = write: max = "1%"

            switchover.toml:13:7: "30%" is not a duration, which this check is held against
               |
            13 | max = "30%"
               |       ^^^^^
               = write: max = "300ms"

            switchover.toml:18:12: a check of the latency needs a quantile above p0 and below p100
               |
            18 | quantile = "p100"
               |            ^^^^^^
               = write: quantile = "p99"

            switchover.toml:24:7: "NaN" is not a plain number, which this check is held against
               |
            24 | max = "NaN"
               |       ^^^^^
               = write: max = "100"

            switchover.toml:29:12: an effect of nothing always matters: no release could pass
               |
            29 | worse_by = "0%"
               |            ^^^^
               = write: worse_by = "30%"

            switchover.toml:34:7: min = "1%": less of it is better, so a least amount makes no sense
               |
            34 | min = "1%"
               |       ^^^^
               = write: max = "1%"

            switchover.toml:39:12: how many requests come is the split's doing, not the slot's
               |
            39 | worse_by = "1%"
               |            ^^^^
               = write: min = "5/s"

            switchover.toml:44:7: max = "100%": it is never more than all of them, so this always passes
               |
            44 | max = "100%"
               |       ^^^^^^
               = write: max = "1%"
        "#]],
    );
}

#[test]
fn a_range_of_a_query_is_a_duration() {
    check(
        &with(
            "[[release.check]]\nname = \"a\"\nprometheus = \"http://127.0.0.1:9090\"\nquery = \"rate(up{slot='$SLOT'}[5x])\"\nmax = \"1\"",
        ),
        expect![[r#"
            switchover.toml:7:9: a range of the query is no duration such as [5m], so how far back it looks is not known
              |
            7 | query = "rate(up{slot='$SLOT'}[5x])"
              |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = write a query, such as: query = "sum(rate(http_errors_total{slot=\"$SLOT\"}[1m]))"
        "#]],
    );
}

#[test]
fn a_query_names_the_slot_and_a_url_holds_no_password() {
    check(
        &with(
            "[[release.check]]\nname = \"a\"\nprometheus = \"http://127.0.0.1:9090\"\nquery = \"sum(up)\"\nmax = \"1\"\n\n[[release.check]]\nname = \"b\"\nprometheus = \"http://me:secret@127.0.0.1:9090\"\nquery = \"up{slot='$SLOT'}\"\nmax = \"1\"\n\n[[release.check]]\nname = \"c\"\nurl = \"127.0.0.1:80/x\"\nmax = \"1\"\n\n[[release.check]]\nname = \"d\"\nprometheus = \"http://127.0.0.1:9090\"\nmax = \"1\"",
        ),
        expect![[r#"
            switchover.toml:7:9: the query names no slot: it would give the number of both slots together
              |
            7 | query = "sum(up)"
              |         ^^^^^^^^^
              = write a query, such as: query = "sum(rate(http_errors_total{slot=\"$SLOT\"}[1m]))"

            switchover.toml:12:14: a URL in the file holds no user and password, because the file is journaled: use a token
               |
            12 | prometheus = "http://me:secret@127.0.0.1:9090"
               |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               = write an `http` or `https` URL, such as: prometheus = "http://127.0.0.1:9090"

            switchover.toml:18:7: this is no URL that can be asked: a URL begins with "http://" or "https://", in lower case
               |
            18 | url = "127.0.0.1:80/x"
               |       ^^^^^^^^^^^^^^^^
               = write an `http` or `https` URL, such as: url = "http://127.0.0.1:9000/lag?slot=$SLOT"

            switchover.toml:23:14: "prometheus" is asked nothing
               |
            23 | prometheus = "http://127.0.0.1:9090"
               |              ^^^^^^^^^^^^^^^^^^^^^^^
               = write: query = "sum(rate(http_errors_total{slot=\"$SLOT\"}[1m]))"
        "#]],
    );
}

#[test]
fn keys_without_effect_and_unknown_metrics_are_refused() {
    check(
        &with(
            "[release]\nfalse_alarms = \"20%\"\nno_evidence = \"pause\"\n[[release.check]]\nname = \"a\"\nmeasure = \"eror\"\nmax = \"1%\"\ntoken = \"T\"\n\n[[release.check]]\nname = \"b\"\nmeasure = \"errors\"\nquantile = \"p50\"\ninterval = \"5s\"\nmax = \"1%\"\n\n[[release.check]]\nname = \"c\"\ncommand = \"x\"\nprocess = \"web\"\nworse = \"lower\"\nmax = \"1\"\nduring = [\"shift\", \"shift\", \"dawn\"]",
        ),
        expect![[r#"
            switchover.toml:5:16: "20%" is no rate of false alarms: 0.01% to 10%, in hundredths of a percent
              |
            5 | false_alarms = "20%"
              |                ^^^^^
              = write: false_alarms = "0.1%"

            switchover.toml:9:11: "eror" is none of the words for "release.check.measure": errors, latency, requests, upgrades-cut
              |
            9 | measure = "eror"
              |           ^^^^^^
              = did you mean "errors"?

            switchover.toml:11:9: "token" names a variable of the secrets file, and the app has none
               |
            11 | token = "T"
               |         ^^^
               = add: [secrets] with file = "/etc/shop/secrets.env"

            switchover.toml:16:12: "quantile" has no effect: it belongs to measure = "latency"
               |
            16 | quantile = "p50"
               |            ^^^^^
               = leave it out

            switchover.toml:17:12: "interval" has no effect: what the router counts is read each second, and more of it is worse
               |
            17 | interval = "5s"
               |            ^^^^
               = leave it out

            switchover.toml:23:11: "process" has no effect: it belongs to "measure"
               |
            23 | process = "web"
               |           ^^^^^
               = leave it out

            switchover.toml:24:9: "worse" has no effect: "max" and "min" say which way is worse
               |
            24 | worse = "lower"
               |         ^^^^^^^
               = leave it out

            switchover.toml:26:10: the check "c" is never looked at: all traffic moves at once, so there are no steps
               |
            26 | during = ["shift", "shift", "dawn"]
               |          ^^^^^^^^^^^^^^^^^^^^^^^^^^
               = write: strategy = "canary" in [release], or a check that is looked at during "bake"

            switchover.toml:26:20: "shift" stands here twice
               |
            26 | during = ["shift", "shift", "dawn"]
               |                    ^^^^^^^
               = leave one of them out

            switchover.toml:26:29: "dawn" is no time at which a check is looked at
               |
            26 | during = ["shift", "shift", "dawn"]
               |                             ^^^^^^
               = write "shift", "bake" or "warm", such as: during = ["shift", "bake"]
        "#]],
    );
}

#[test]
fn what_is_worse_than_the_live_slot_needs_one_to_compare_with() {
    check(
        &with(
            "[[release.check]]\nname = \"a\"\ncommand = \"x\"\nworse_by = \"5%\"\nduring = \"bake\"\n\n[[release.check]]\nname = \"b\"\ncommand = \"x\"\nworse_by = \"5%\"\nallowed = 1\n\n[[release.check]]\nname = \"c\"\nmeasure = \"latency\"\nquantile = \"p50\"\nworse_by = \"1%\"",
        ),
        expect![[r#"
            switchover.toml:8:10: during "bake" the old slot has no requests, and what it was before is not known by then
              |
            8 | during = "bake"
              |          ^^^^^^
              = write: during = "shift", or max or min instead of worse_by

            switchover.toml:13:12: worse_by = "5%": the mean of all values is compared, so none is "allowed"
               |
            13 | worse_by = "5%"
               |            ^^^^
               = write: worse_by = "30%"

            switchover.toml:20:12: worse_by = "1%": latencies are counted in steps of 1.6 %, so less than 2% can not be told
               |
            20 | worse_by = "1%"
               |            ^^^^
               = write: worse_by = "30%"
        "#]],
    );
}

#[test]
fn a_check_of_steps_alone_needs_steps() {
    check(
        &with("[[release.check]]\nname = \"a\"\nmeasure = \"errors\"\nmax = \"1%\"\nduring = \"shift\""),
        expect![[r#"
        switchover.toml:8:10: the check "a" is never looked at: all traffic moves at once, so there are no steps
          |
        8 | during = "shift"
          |          ^^^^^^^
          = write: strategy = "canary" in [release], or a check that is looked at during "bake"
    "#]],
    );
}

#[test]
fn what_holds_for_checks_alone_needs_one() {
    check(
        &with("[release]\nno_evidence = \"pause\""),
        expect![[r#"
        switchover.toml:5:15: "no_evidence" has no effect: there is no check
          |
        5 | no_evidence = "pause"
          |               ^^^^^^^
          = add a [[release.check]], or leave it out
    "#]],
    );
}

#[test]
fn a_process_of_a_check_takes_requests() {
    check(
        &with("[[release.check]]\nname = \"a\"\nmeasure = \"errors\"\nprocess = \"wep\"\nmax = \"1%\""),
        expect![[r#"
        switchover.toml:7:11: no process type "wep" takes requests
          |
        7 | process = "wep"
          |           ^^^^^
          = write one of: "web"
    "#]],
    );
}

#[test]
fn there_are_so_many_checks_and_no_more() {
    let many: String = (0..=MAX_CHECKS)
        .map(|at| format!("[[release.check]]\nname = \"{at}\"\nmeasure = \"errors\"\nmax = \"1%\"\n"))
        .collect();
    assert!(super::bad(&with(&many)).contains("there are 51 checks; an app may have 50"));
}
