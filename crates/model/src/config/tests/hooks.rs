//! What is read of hooks, what is refused, and how.

use expect_test::{Expect, expect};

use super::accepted::FULL;
use super::{bad, good};
use crate::config::{Asks, Hook, HookMethod, OnCrash, When};
use crate::release::Stage;
use crate::time::Span;

fn check(hook: &str, expected: &Expect) {
    let file = format!("name = \"shop\"\n[process.web]\ncommand = \"a\"\n[[release.hook]]\n{hook}");
    expected.assert_eq(&bad(&file));
}

#[test]
fn every_key_of_a_hook_is_read() {
    let release = good(FULL).release;
    assert_eq!(
        release.hooks,
        [
            Hook {
                stage: Stage::Verify,
                when: When::After,
                asks: Asks::Command { command: "./smoke.sh".into() },
                timeout: Span::from_secs(120),
                retries: 2,
                pause: Span::from_secs(10),
                on_crash: OnCrash::Rerun
            },
            Hook {
                stage: Stage::Shift,
                when: When::Before,
                asks: Asks::Http {
                    url: "https://change.example.com/ask?for=shop".parse().unwrap(),
                    method: HookMethod::Put,
                    token: Some("CHANGE_TOKEN".into())
                },
                timeout: Span::from_secs(7200),
                retries: 0,
                pause: Span::from_secs(5),
                on_crash: OnCrash::Fail
            }
        ]
    );
}

#[test]
fn a_hook_asks_one_thing() {
    check(
        "stage = \"verify\"\n",
        &expect![[r#"
        switchover.toml:4:1: the hook has neither "command" nor "url", so there is nothing to ask
          |
        4 | [[release.hook]]
          | ^^^^^^^^^^^^^^^^
          = write: command = "./smoke.sh", or: url = "https://…"
    "#]],
    );
    check(
        "stage = \"verify\"\ncommand = \"a\"\nurl = \"http://a/\"\n",
        &expect![[r#"
        switchover.toml:7:7: the hook has "command" and "url": only one of them can be asked
          |
        7 | url = "http://a/"
          |       ^^^^^^^^^^^
          = leave one of them out, or write two hooks
    "#]],
    );
    check(
        "stage = \"verify\"\ncommand = \"a\"\nmethod = \"GET\"\ntoken = \"T\"\n",
        &expect![[r#"
            switchover.toml:7:10: "method" has no effect: a command is not asked over HTTP
              |
            7 | method = "GET"
              |          ^^^^^
              = leave method out, or write url in the place of command

            switchover.toml:8:9: "token" has no effect: a command is not asked over HTTP
              |
            8 | token = "T"
              |         ^^^
              = leave token out, or write url in the place of command
        "#]],
    );
    check(
        "stage = \"build\"\nwhen = \"before\"\ncommand = \"a\"\n",
        &expect![[r#"
        switchover.toml:6:8: before the build there is no revision whose directory the command could run in
          |
        6 | when = "before"
          |        ^^^^^^^^
          = ask a server (url = …), or leave "when" out
    "#]],
    );
}

#[test]
fn a_url_is_one_and_holds_no_password() {
    check(
        "stage = \"verify\"\nurl = \"https://user:hunter2@a.example/\"\n",
        &expect![[r#"
        switchover.toml:6:7: a URL in the file holds no user and password, because the file is journaled: use a token
          |
        6 | url = "https://user:hunter2@a.example/"
          |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          = write an `http` or `https` URL, such as: url = "https://checks.example.com/release"
    "#]],
    );
    check(
        "stage = \"verify\"\nurl = \"a.example/x\"\n",
        &expect![[r#"
        switchover.toml:6:7: this is no URL that can be asked: a URL begins with "http://" or "https://", in lower case
          |
        6 | url = "a.example/x"
          |       ^^^^^^^^^^^^^
          = write an `http` or `https` URL, such as: url = "https://checks.example.com/release"
    "#]],
    );
    check(
        "stage = \"verify\"\nurl = \"https://a.example/\"\ntoken = \"T\"\n",
        &expect![[r#"
        switchover.toml:7:9: "token" names a variable of the secrets file, and the app has none
          |
        7 | token = "T"
          |         ^^^
          = add: [secrets] with file = "/etc/shop/secrets.env"
    "#]],
    );
}

#[test]
fn what_is_bounded_says_so() {
    check(
        "stage = \"verify\"\ncommand = \"a\"\nretries = 11\npause = \"1ms\"\nwhen = \"during\"\n",
        &expect![[r#"
        switchover.toml:7:11: "release.hook.retries" is 11; it must be 0 to 10
          |
        7 | retries = 11
          |           ^^
          = write: retries = 2

        switchover.toml:8:9: "release.hook.pause" is 1ms; it must be at least 100ms
          |
        8 | pause = "1ms"
          |         ^^^^^
          = write: pause = "10s"

        switchover.toml:9:8: "during" is none of the words for "release.hook.when": before, after
          |
        9 | when = "during"
          |        ^^^^^^^^
          = write one of: "before", "after"
    "#]],
    );
}
