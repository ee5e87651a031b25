//! Rolling releases in the file: what is accepted and what is refused.

use expect_test::expect;

use crate::config::*;
use crate::time::Span;

use super::refused::check;
use super::{bad, good};

/// The keys of a rolling release, in a whole file.
pub(super) const ROLLING: &str = "name = \"shop\"\n[process.web]\ncommand = \"a\"\ninstances = 4\n[release]\nstrategy = \"rolling\"\n\
                                  rolling = { surge = 1, every = \"30s\" }\n";

fn with_release(more: &str) -> String {
    format!(
        "name = \"shop\"\n[process.web]\ncommand = \"a\"\ninstances = 4\n[release]\nstrategy = \"rolling\"\n{more}\n"
    )
}

fn told(text: &str) -> String {
    let config = good(text);
    let Strategy::Rolling(Rolling { surge, every }) = &config.release.strategy else { panic!("{:?}", config.release) };
    let steps = config.release.strategy.steps(&config.routed_scale());
    let shares: Vec<String> = steps.iter().map(|step| step.share.to_string()).collect();
    format!("surge {surge} every {every}: {}; warm for {}", shares.join(" "), config.release.keep_warm)
}

#[test]
fn a_surge_is_a_number_of_instances_or_a_percentage() {
    expect!["surge 1 every 30s: 25% 50% 75%; warm for 0s"].assert_eq(&told(ROLLING));
    expect!["surge 25% every 10s: 25% 50% 75%; warm for 0s"].assert_eq(&told(&with_release("")));
    expect!["surge 2 every 10s: 50%; warm for 0s"].assert_eq(&told(&with_release("rolling = { surge = 2 }")));
    expect!["surge 50% every 0s: 50%; warm for 0s"]
        .assert_eq(&told(&with_release("rolling = { surge = \"50%\", every = \"0s\" }")));
    expect!["surge 100% every 10s: ; warm for 0s"].assert_eq(&told(&with_release("rolling = { surge = \"100%\" }")));
    assert_eq!(good(ROLLING).release.strategy.word(), "rolling");
    let Strategy::Rolling(rolling) = good(ROLLING).release.strategy else { panic!("it is rolling") };
    assert_eq!(rolling, Rolling { surge: Surge::Instances(1), every: Span::from_secs(30) });
}

#[test]
fn what_a_surge_can_not_be_is_refused() {
    check(
        &with_release("rolling = { surge = \"25\" }"),
        expect![[r#"
            switchover.toml:7:21: "25" could be instances or percent: write 25 for instances, "25%" for percent
              |
            7 | rolling = { surge = "25" }
              |                     ^^^^
              = write a number of instances from 1 to 100, or a percentage, such as: surge = 1
        "#]],
    );
    check(
        &with_release("rolling = { surge = 0 }"),
        expect![[r#"
            switchover.toml:7:21: "release.rolling.surge" is 0; it must be 1 to 100
              |
            7 | rolling = { surge = 0 }
              |                     ^
              = write: surge = 1
        "#]],
    );
    check(
        &with_release("rolling = { surge = \"0%\", every = \"soon\" }"),
        expect![[r#"
            switchover.toml:7:21: "0%" is not from 1% to 100%: at 100% both slots run at full scale
              |
            7 | rolling = { surge = "0%", every = "soon" }
              |                     ^^^^
              = write a number of instances from 1 to 100, or a percentage, such as: surge = 1

            switchover.toml:7:35: "soon" is not a duration: write a whole number and a unit, such as "500ms", "30s", "10m" or "1h"
              |
            7 | rolling = { surge = "0%", every = "soon" }
              |                                   ^^^^^^
              = write: every = "1m"
        "#]],
    );
    check(
        &with_release("rolling = { surge = 1.5 }"),
        expect![[r#"
            switchover.toml:7:21: "release.rolling.surge" must be a whole number or a text, not a number with a fraction
              |
            7 | rolling = { surge = 1.5 }
              |                     ^^^
              = write: surge = 1
        "#]],
    );
}

#[test]
fn what_does_not_go_with_rolling_is_refused() {
    check(
        &with_release("keep_warm = \"1h\"\nlinear = { by = \"10%\" }"),
        expect![[r#"
            switchover.toml:7:13: "keep_warm" has no effect: the old slot of a rolling release has no instance left to keep warm
              |
            7 | keep_warm = "1h"
              |             ^^^^
              = leave keep_warm out, or write a strategy that keeps the old slot whole, such as "linear"

            switchover.toml:8:10: "linear" has no effect: it belongs to strategy = "linear"
              |
            8 | linear = { by = "10%" }
              |          ^^^^^^^^^^^^^^
              = write: strategy = "linear", or leave linear out
        "#]],
    );
    check(
        "name = \"shop\"\n[process.mailer]\ncommand = \"a\"\nhandover = \"drain\"\n[release]\nstrategy = \"rolling\"\n",
        expect![[r#"
            switchover.toml:6:12: strategy = "rolling" has no effect: no process takes requests, so there is no share to move
              |
            6 | strategy = "rolling"
              |            ^^^^^^^^^
              = leave the strategy out: the workers are handed over
        "#]],
    );
    let mailers = "[process.mailer]\ncommand = \"b\"\ninstances = 3\nhandover = \"lease\"\n";
    check(
        &format!("{ROLLING}{mailers}"),
        expect![[r#"
            switchover.toml:6:12: process.mailer has 3 instances and handover = "lease", so 6 of it run while it is handed over: more than the 4 that a surge of 1 allows
              |
            6 | strategy = "rolling"
              |            ^^^^^^^^^
              = write: handover = "stop-first" in [process.mailer], or surge = "100%"
        "#]],
    );
    good(&format!("{ROLLING}{}", mailers.replace("instances = 3\n", "")));
    good(&format!("{ROLLING}{}", mailers.replace("lease", "stop-first")));
    check(
        &with_release("[[release.check]]\nname = \"slow\"\nmeasure = \"errors\"\nmax = \"1%\"\nduring = \"warm\""),
        expect![[r#"
            switchover.toml:11:10: the check "slow" is never looked at: the old slot of a rolling release is not kept warm
               |
            11 | during = "warm"
               |          ^^^^^^
               = write: during = ["shift", "bake"]
        "#]],
    );
    check(
        "name = \"shop\"\n[process.web]\ncommand = \"a\"\n[release]\nrolling = { surge = 1 }\n",
        expect![[r#"
            switchover.toml:5:11: "rolling" has no effect: without a strategy all traffic moves at once
              |
            5 | rolling = { surge = 1 }
              |           ^^^^^^^^^^^^^
              = write: strategy = "rolling", or leave rolling out
        "#]],
    );
    let many: String = [97, 98, 99]
        .map(|count| format!("[process.p{count}]\ncommand = \"a\"\ninstances = {count}\nroute = \"/{count}\"\n"))
        .concat();
    let refused =
        bad(&format!("name = \"shop\"\n{many}[release]\nstrategy = \"rolling\"\nrolling = {{ surge = 1 }}\n"));
    assert!(refused.contains("a surge of 1 makes ") && refused.contains("a release has at most 100"), "{refused}");
}
