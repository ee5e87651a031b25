//! What is read of who is told, what is refused, and how.

use expect_test::{Expect, expect};

use super::accepted::FULL;
use super::{bad, good};
use crate::config::{Happening, Notify, Tells};
use crate::time::Span;

#[test]
fn every_key_of_who_is_told_is_read() {
    let webhook = Notify {
        tells: Tells::Webhook { url: "https://chat.example.com/in".parse().unwrap(), secret: "NOTIFY_SECRET".into() },
        events: vec![Happening::Failed, Happening::RolledBack],
        timeout: Span::from_secs(20),
    };
    let command = Notify {
        tells: Tells::Command { command: "/usr/local/bin/tell".into() },
        events: Happening::USUAL.to_vec(),
        timeout: Span::from_secs(15),
    };
    assert_eq!(good(FULL).notify, [webhook, command]);
}

fn check(notify: &str, expected: &Expect) {
    let file = format!("name = \"shop\"\n[process.web]\ncommand = \"a\"\n[[notify]]\n{notify}");
    expected.assert_eq(&bad(&file));
}

#[test]
fn who_is_told_is_one_and_can_tell_who_sends() {
    check(
        "events = [\"failed\"]\n",
        &expect![[r#"
        switchover.toml:4:1: [[notify]] has neither "command" nor "url", so nobody is told
          |
        4 | [[notify]]
          | ^^^^^^^^^^
          = write: url = "https://…", or: command = "/usr/local/bin/…"
    "#]],
    );
    check(
        "url = \"http://a/\"\ncommand = \"a\"\n",
        &expect![[r#"
        switchover.toml:5:7: [[notify]] has "command" and "url": only one of them can be told
          |
        5 | url = "http://a/"
          |       ^^^^^^^^^^^
          = leave one of them out, or write [[notify]] twice
    "#]],
    );
    check(
        "url = \"http://a/\"\n",
        &expect![[r#"
        switchover.toml:5:7: [[notify]] has "url" and no "secret": its receiver could not tell who sends
          |
        5 | url = "http://a/"
          |       ^^^^^^^^^^^
          = add: secret = "NOTIFY_SECRET"
    "#]],
    );
    check(
        "url = \"http://a/\"\nsecret = \"S\"\n",
        &expect![[r#"
        switchover.toml:6:10: "secret" names a variable of the secrets file, and the app has none
          |
        6 | secret = "S"
          |          ^^^
          = add: [secrets] with file = "/etc/shop/secrets.env"
    "#]],
    );
    check(
        "command = \"a\"\nsecret = \"S\"\n",
        &expect![[r#"
        switchover.toml:6:10: "secret" has no effect: what a command is told is not signed
          |
        6 | secret = "S"
          |          ^^^
          = leave secret out, or write url in the place of command
    "#]],
    );
}

#[test]
fn what_is_told_is_known_and_stands_once() {
    check(
        "command = \"a\"\nevents = [\"failed\", \"done\", \"failed\"]\n",
        &expect![[r#"
        switchover.toml:6:21: "done" is nothing that can be told: paused, switched, succeeded, unproven, rolled-back, aborted, failed
          |
        6 | events = ["failed", "done", "failed"]
          |                     ^^^^^^
          = write one of `paused`, `switched`, `succeeded`, `unproven`, `rolled-back`, `aborted`, `failed`, such as: events = ["paused", "failed"]

        switchover.toml:6:29: "failed" stands here twice
          |
        6 | events = ["failed", "done", "failed"]
          |                             ^^^^^^^^
          = leave one of them out
    "#]],
    );
    check(
        "command = \"a\"\nevents = []\n",
        &expect![[r#"
        switchover.toml:6:10: "notify.events" is an empty list
          |
        6 | events = []
          |          ^^
          = write: events = ["paused", "failed"], or leave it out
    "#]],
    );
}
