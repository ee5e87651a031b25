//! By which steps the traffic moves: what is accepted and what is refused.

use expect_test::expect;

use crate::config::*;
use crate::time::Span;

use super::accepted::FULL;
use super::good;
use super::refused::{check, with};

/// The keys of `[release]` that do not go together with those of the full file.
pub(super) const PRESET: &str =
    "name = \"shop\"\n[process.web]\ncommand = \"a\"\n[release]\nstrategy = \"canary\"\ncanary = \"careful\"\n";
/// The same for equal steps.
pub(super) const LINEAR: &str = "name = \"shop\"\n[process.web]\ncommand = \"a\"\n[release]\nstrategy = \"linear\"\n\
                                 linear = { by = \"25%\", every = \"2m\" }\n";

#[test]
fn steps_are_written_out_or_named_or_equal() {
    let steps = |text: &str| {
        let told: Vec<String> = good(text)
            .release
            .strategy
            .steps(&[])
            .iter()
            .map(|step| format!("{} {}{}", step.share, step.stays, if step.approve { " and a person" } else { "" }))
            .collect();
        told.join(", ")
    };
    assert_eq!(steps(FULL), "5% 10m and a person");
    assert_eq!(steps(PRESET), "1% 10m, 5% 10m, 20% 20m, 50% 20m");
    assert_eq!(steps(LINEAR), "25% 2m, 50% 2m, 75% 2m");
    assert_eq!(steps(&with("[release]\nstrategy = \"linear\"\n")).split(", ").count(), 9, "10% each without more");
    let written = "[release]\nstrategy = \"canary\"\napprove_timeout = \"2h\"\n[[release.step]]\nshare = \"0.5%\"\napprove = true\n\
                   [[release.step]]\nshare = \"50%\"\nfor = \"1h\"\n";
    assert_eq!(steps(&with(written)), "0.5% 0s and a person, 50% 1h");
    assert_eq!(good(&with(written)).release.approve_timeout, Span::from_secs(7_200));
}

#[test]
fn a_step_without_a_strategy_that_has_steps_is_refused() {
    check(
        &with("[[release.step]]\nshare = \"5%\"\nfor = \"1m\"\n"),
        expect![[r#"
            switchover.toml:4:1: "step" has no effect: without a strategy all traffic moves at once
              |
            4 | [[release.step]]
              | ^^^^^^^^^^^^^^^^
              = write: strategy = "canary", or leave step out
        "#]],
    );
    check(
        &with("[release]\nstrategy = \"linear\"\ncanary = \"quick\"\n"),
        expect![[r#"
            switchover.toml:6:10: "canary" has no effect: it belongs to strategy = "canary"
              |
            6 | canary = "quick"
              |          ^^^^^^^
              = write: strategy = "canary", or leave canary out
        "#]],
    );
    check(
        &with("[release]\nstrategy = \"canary\"\n"),
        expect![[r#"
            switchover.toml:5:12: strategy = "canary" does not say by which steps
              |
            5 | strategy = "canary"
              |            ^^^^^^^^
              = write: canary = "careful", or:
                [[release.step]]
                share = "5%"
                for = "10m"
        "#]],
    );
    check(
        &with("[release]\nstrategy = \"canary\"\ncanary = \"quick\"\n[[release.step]]\nshare = \"5%\"\nfor = \"1m\"\n"),
        expect![[r#"
            switchover.toml:6:10: [release] has "canary" and steps of its own: one of them says how the traffic moves
              |
            6 | canary = "quick"
              |          ^^^^^^^
              = leave canary out, or the steps
        "#]],
    );
}

#[test]
fn shares_that_lead_nowhere_are_refused() {
    let step = |share: &str| format!("[[release.step]]\nshare = \"{share}\"\nfor = \"1m\"\n");
    let steps: String = ["0%", "20%", "20%", "10%", "100%", "150%", "30"].map(step).concat();
    check(
        &with(&format!("[release]\nstrategy = \"canary\"\n{steps}[[release.step]]\nshare = \"60%\"\n")),
        expect![[r#"
            switchover.toml:7:9: a step with a share of 0% moves nothing
              |
            7 | share = "0%"
              |         ^^^^
              = write: share = "5%"

            switchover.toml:13:9: the share goes from 20% to 20%: each step is larger than the one before
               |
            13 | share = "20%"
               |         ^^^^^
               = write a share above 20%, or leave the step out

            switchover.toml:16:9: the share goes from 20% to 10%: each step is larger than the one before
               |
            16 | share = "10%"
               |         ^^^^^
               = write a share above 20%, or leave the step out

            switchover.toml:19:9: a step with a share of 100% is no step: all traffic comes by itself after the last one
               |
            19 | share = "100%"
               |         ^^^^^^
               = leave this step out

            switchover.toml:22:9: "150%" is more than all the traffic: a share is at most "100%"
               |
            22 | share = "150%"
               |         ^^^^^^
               = write a share in percent, such as: share = "5%"

            switchover.toml:25:9: a share needs its sign: write "30%"
               |
            25 | share = "30"
               |         ^^^^
               = write a share in percent, such as: share = "5%"

            switchover.toml:27:1: this step would end as soon as it begins: it says neither how long it stays nor that it waits for a person
               |
            27 | [[release.step]]
               | ^^^^^^^^^^^^^^^^
               = write: for = "10m", or approve = true
        "#]],
    );
}

#[test]
fn equal_steps_that_never_end_are_refused() {
    for (by, told) in [
        ("0%", "steps of 0% never come to an end"),
        ("0.5%", "steps of 0.5% are more than 100: each is at least 1%"),
        ("100%", "a step of 100% is all at once"),
        ("20", "a share needs its sign: write \"20%\""),
    ] {
        let text = with(&format!("[release]\nstrategy = \"linear\"\nlinear = {{ by = \"{by}\" }}\n"));
        let refused = super::bad(&text);
        assert!(refused.contains(told), "{refused}");
    }
    let refused = super::bad(&with("[release]\nstrategy = \"linear\"\nlinear = { every = 5 }\n"));
    assert!(refused.contains("a duration needs a unit"), "{refused}");
}

#[test]
fn windows_that_never_open_are_refused() {
    check(
        &with(
            "[release]\nallow = [\"Mon 09:00-16:00 UTC\", \"Mon 09:00-16:00 UTC\", \"Tue 09:00-09:00 UTC\"]\n\
             freeze = [\"2026-01-01..2026-12-31 UTC\", \"2027-01-01..2027-06-30 UTC\"]\n",
        ),
        expect![[r#"
            switchover.toml:5:33: "Mon 09:00-16:00 UTC" stands here twice
              |
            5 | allow = ["Mon 09:00-16:00 UTC", "Mon 09:00-16:00 UTC", "Tue 09:00-09:00 UTC"]
              |                                 ^^^^^^^^^^^^^^^^^^^^^
              = leave one of them out

            switchover.toml:5:56: "Tue 09:00-09:00 UTC" never opens: it ends when it begins; a whole day is "00:00-24:00"
              |
            5 | allow = ["Mon 09:00-16:00 UTC", "Mon 09:00-16:00 UTC", "Tue 09:00-09:00 UTC"]
              |                                                        ^^^^^^^^^^^^^^^^^^^^^
              = write a time window, such as: allow = ["Mon-Thu 09:00-16:00 Europe/Berlin"]

            switchover.toml:6:41: these freezes cover 546 days on end, so nothing would be released
              |
            6 | freeze = ["2026-01-01..2026-12-31 UTC", "2027-01-01..2027-06-30 UTC"]
              |                                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = leave days open: at most 366 on end
        "#]],
    );
    let many: Vec<String> = (0..=MAX_WINDOWS).map(|at| format!("\"Mon 00:00-01:{at:02} UTC\"")).collect();
    let refused = super::bad(&with(&format!("[release]\nallow = [{}]\n", many.join(", "))));
    assert!(refused.contains("\"allow\" has 51 entries; it may have 50"), "{refused}");
}

#[test]
fn more_steps_than_anybody_means_are_refused() {
    let steps: String =
        (1..=MAX_STEPS + 1).map(|at| format!("[[release.step]]\nshare = \"0.{at:02}%\"\nfor = \"1s\"\n")).collect();
    let steps = steps.replace("\"0.100%\"", "\"1%\"").replace("\"0.101%\"", "\"2%\"");
    let refused = super::bad(&with(&format!("[release]\nstrategy = \"canary\"\n{steps}")));
    assert!(refused.contains("these are 101 steps; a release has at most 100"), "{refused}");
}
