use expect_test::{Expect, expect};

use super::bad;

#[expect(clippy::needless_pass_by_value, reason = "expect! makes a value")]
pub(super) fn check(text: &str, expected: Expect) {
    expected.assert_eq(&bad(text));
}

const WEB: &str = "name = \"shop\"\n[process.web]\ncommand = \"bin/shop\"\n";

pub(super) fn with(text: &str) -> String {
    format!("{WEB}{text}")
}

#[test]
fn every_mistake_is_told_at_once_in_the_order_of_the_file() {
    check(
        r#"nmae = "shop"

[process.web]
comand = "bin/shop"
instances = 0
health = { path = "up", interval = 500, timeout = "2 s" }

[releese]
bake = "10m"
"#,
        expect![[r#"
            switchover.toml:1:1: there is no key or table "nmae"
              |
            1 | nmae = "shop"
              | ^^^^
              = did you mean "name"?

            switchover.toml:4:1: [process.web] has no key "comand"
              |
            4 | comand = "bin/shop"
              | ^^^^^^
              = did you mean "command"?

            switchover.toml:5:13: "process.web.instances" is 0; it must be 1 to 100
              |
            5 | instances = 0
              |             ^
              = write: instances = 2

            switchover.toml:6:19: "up" does not begin with "/"
              |
            6 | health = { path = "up", interval = 500, timeout = "2 s" }
              |                   ^^^^
              = write a path that is asked for, such as: path = "/up"

            switchover.toml:6:36: a duration needs a unit: write "500s", "500ms", "500m", "500h" or "500d"
              |
            6 | health = { path = "up", interval = 500, timeout = "2 s" }
              |                                    ^^^
              = write: interval = "500ms"

            switchover.toml:6:51: "2 s" is not a duration: write a whole number and a unit, such as "500ms", "30s", "10m" or "1h"
              |
            6 | health = { path = "up", interval = 500, timeout = "2 s" }
              |                                                   ^^^^^
              = write: timeout = "2s"

            switchover.toml:8:2: there is no key or table "releese"
              |
            8 | [releese]
              |  ^^^^^^^
              = did you mean "release"?
        "#]],
    );
}

#[test]
fn broken_toml_is_shown_as_any_mistake_and_the_rest_is_still_read() {
    check(
        "name = \"shop\n[process.web]\ncommand = 3\nbake = = 4\n[process.web]\n",
        expect![[r#"
        switchover.toml:1:13: not TOML: invalid basic string, expected `"`
          |
        1 | name = "shop
          |             ^
          = see https://toml.io for how TOML is written

        switchover.toml:3:11: "process.web.command" must be a text, not a whole number
          |
        3 | command = 3
          |           ^
          = write: command = "bin/shop --port $PORT"

        switchover.toml:4:8: not TOML: extra `=`, expected nothing
          |
        4 | bake = = 4
          |        ^
          = see https://toml.io for how TOML is written

        switchover.toml:4:10: not TOML: unexpected key or value, expected newline, `#`
          |
        4 | bake = = 4
          |          ^
          = see https://toml.io for how TOML is written

        switchover.toml:5:10: not TOML: duplicate key
          |
        5 | [process.web]
          |          ^^^
          = see https://toml.io for how TOML is written
    "#]],
    );
    check(
        "name = \"shop\"\n[process.web]\ncommand = = 3\n[releas]\nbake = \"1m\"\n",
        expect![[r#"
        switchover.toml:3:11: not TOML: extra `=`, expected nothing
          |
        3 | command = = 3
          |           ^
          = see https://toml.io for how TOML is written

        switchover.toml:3:13: not TOML: unexpected key or value, expected newline, `#`
          |
        3 | command = = 3
          |             ^
          = see https://toml.io for how TOML is written

        switchover.toml:4:2: there is no key or table "releas"
          |
        4 | [releas]
          |  ^^^^^^
          = did you mean "release"?
    "#]],
    );
    check(
        "",
        expect![[r#"
            switchover.toml:1:1: the file has no "name"
              |
            1 | 
              | ^
              = write: name = "shop"

            switchover.toml:1:1: the file has no "process"
              |
            1 | 
              | ^
              = write: [process.web]
                command = "bin/shop --port $PORT"
        "#]],
    );
    check(
        "name = \"shop\"\nname = \"shop\"\n[process.web]\ncommand = \"a\"\n",
        expect![[r#"
        switchover.toml:2:1: not TOML: duplicate key
          |
        2 | name = "shop"
          | ^^^^
          = see https://toml.io for how TOML is written
    "#]],
    );
}

#[test]
fn a_key_that_is_not_carried_out_yet_is_refused_as_such() {
    check(
        &with(
            r#"[platform]
kind = "ecs"
[traffic]
kind = "alb"
[database]
url = "postgres://"
[flags]
[route]
tls = "auto"
static = { "/assets/" = "public" }
hosts = ["*.example.com"]
[release]
strategy = "shadow"
[[release.check]]
[[release.hook]]
stage = "contract"
command = "true"
"#,
        ),
        expect![[r#"
            switchover.toml:4:2: "platform" is not carried out yet
              |
            4 | [platform]
              |  ^^^^^^^^
              = leave it out: instances are processes on this machine

            switchover.toml:6:2: "traffic" is not carried out yet
              |
            6 | [traffic]
              |  ^^^^^^^
              = leave it out: requests come through the built-in router

            switchover.toml:8:1: [database] says nothing of who makes the changes
              |
            8 | [database]
              | ^^^^^^^^^^
              = write: migrations = "db/migrations", or framework = "django" or "alembic", or commands of another one

            switchover.toml:9:7: "postgres://" is not a name of an environment variable: letters, digits and "_", no digit first
              |
            9 | url = "postgres://"
              |       ^^^^^^^^^^^^^
              = write the name of a variable, such as: url = "DATABASE_URL"

            switchover.toml:10:2: "flags" is not carried out yet
               |
            10 | [flags]
               |  ^^^^^
               = leave it out

            switchover.toml:12:1: "route.tls" is not carried out yet
               |
            12 | tls = "auto"
               | ^^^
               = leave it out and terminate TLS in front of Switchover

            switchover.toml:13:1: "route.static" is not carried out yet
               |
            13 | static = { "/assets/" = "public" }
               | ^^^^^^
               = leave it out and let the app serve these files

            switchover.toml:14:10: "*.example.com": hosts with a wildcard are not carried out yet
               |
            14 | hosts = ["*.example.com"]
               |          ^^^^^^^^^^^^^^^
               = write a host name, such as: hosts = ["shop.example.com"]

            switchover.toml:16:12: "shadow" is none of the words for "release.strategy": blue-green, canary, linear, ab, rolling
               |
            16 | strategy = "shadow"
               |            ^^^^^^^^
               = write one of: "blue-green", "canary", "linear", "ab", "rolling"

            switchover.toml:17:1: [release.check] has no "name"
               |
            17 | [[release.check]]
               | ^^^^^^^^^^^^^^^^^
               = write: name = "errors"

            switchover.toml:17:1: the check does not say what is measured
               |
            17 | [[release.check]]
               | ^^^^^^^^^^^^^^^^^
               = write: measure = "errors", or prometheus with query, or command, or url
        "#]],
    );
}

#[test]
fn contradictions_are_refused() {
    check(
        r#"name = "shop"
[process.web]
command = "a"
route = "/api"
handover = "drain"
[process.api]
command = "b"
route = ["/api/", "/v1", "/v1"]
[process.admin]
command = "c"
health = { timeout = "5m" }
[release]
approve_timeout = "1h"
[route]
hosts = ["shop.example.com", "shop.example.com", "idle.example.com"]
preview = { host = "idle.example.com" }
"#,
        expect![[r#"
            switchover.toml:5:12: process.web has "handover" and "route": a worker takes no requests, so nobody routes to it or asks for its health
              |
            5 | handover = "drain"
              |            ^^^^^^^
              = leave out "handover" (it takes requests) or "route" (it is a worker)

            switchover.toml:8:10: "/api" goes to two places: process.web and process.api
              |
            8 | route = ["/api/", "/v1", "/v1"]
              |          ^^^^^^^
              = give each process its own path prefixes

            switchover.toml:8:26: the path prefix "/v1" stands here twice
              |
            8 | route = ["/api/", "/v1", "/v1"]
              |                          ^^^^^
              = leave one of them out

            switchover.toml:9:1: 3 processes take requests, and process.admin does not say which ones
              |
            9 | [process.admin]
              | ^^^^^^^^^^^^^^^
              = write: route = "/", or another path prefix; a background process needs: handover = "stop-first"

            switchover.toml:11:22: health.timeout is 5m, longer than health.deadline, which is 1m
               |
            11 | health = { timeout = "5m" }
               |                      ^^^^
               = write a timeout that is shorter than the deadline

            switchover.toml:13:19: "approve_timeout" has no effect: nobody is asked to approve
               |
            13 | approve_timeout = "1h"
               |                   ^^^^
               = add: approve = true, or leave approve_timeout out

            switchover.toml:15:30: the host "shop.example.com" stands here twice
               |
            15 | hosts = ["shop.example.com", "shop.example.com", "idle.example.com"]
               |                              ^^^^^^^^^^^^^^^^^^
               = leave one of them out

            switchover.toml:16:20: "idle.example.com" is the preview host and one of the app's hosts: a request could mean either slot
               |
            16 | preview = { host = "idle.example.com" }
               |                    ^^^^^^^^^^^^^^^^^^
               = give the preview a host of its own: preview = { host = "idle.shop.example.com" }
        "#]],
    );
}

#[test]
fn the_default_preview_host_may_not_be_a_host_of_the_app() {
    check(
        &with("[route]\nhosts = [\"a.example\", \"preview.a.example\"]"),
        expect![[r#"
        switchover.toml:5:9: "preview.a.example" is the preview host and one of the app's hosts: a request could mean either slot
          |
        5 | hosts = ["a.example", "preview.a.example"]
          |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          = give the preview a host of its own: preview = { host = "idle.shop.example.com" }
    "#]],
    );
}

#[test]
fn a_tab_and_wide_letters_keep_the_caret_under_the_mistake() {
    check(
        "name = \"shop\"\n[process.web]\n\tcommand = \"äö\"\n\tinstances = 101 # äö\n",
        expect![[r#"
        switchover.toml:4:14: "process.web.instances" is 101; it must be 1 to 100
          |
        4 | 	instances = 101 # äö
          | 	            ^^^
          = write: instances = 2
    "#]],
    );
}

#[test]
fn unknown_words_suggest_the_nearest_and_otherwise_list_all() {
    check(
        &with("handover = \"stopfirst\"\nstop = { signal = \"SIGKILL\" }\n[release]\nstrategy = \"blue/green\"\n"),
        expect![[r#"
            switchover.toml:4:12: "stopfirst" is none of the words for "process.web.handover": stop-first, start-first, drain, lease
              |
            4 | handover = "stopfirst"
              |            ^^^^^^^^^^^
              = did you mean "stop-first"?

            switchover.toml:5:19: "SIGKILL" is none of the words for "process.web.stop.signal": SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGHUP
              |
            5 | stop = { signal = "SIGKILL" }
              |                   ^^^^^^^^^
              = did you mean "SIGINT"?

            switchover.toml:7:12: "blue/green" is none of the words for "release.strategy": blue-green, canary, linear, ab, rolling
              |
            7 | strategy = "blue/green"
              |            ^^^^^^^^^^^^
              = did you mean "blue-green"?
        "#]],
    );
}

#[test]
fn one_alone_changes_the_schema() {
    check(
        &with("[database]\nmigrations = \"db\"\nframework = \"django\"\ncommand = \"a\"\n"),
        expect![[r#"
            switchover.toml:6:13: [database] has "migrations" and "framework": one of them makes the changes
              |
            6 | framework = "django"
              |             ^^^^^^^^
              = leave framework out, or migrations
        "#]],
    );
    check(
        &with("[database]\nmigrations = \"db\"\ncommand = \"a\"\nvouch = [\"a\"]\n"),
        expect![[r#"
        switchover.toml:6:11: "command" has no effect: it belongs to "framework"
          |
        6 | command = "a"
          |           ^^^
          = add: framework = "django", or leave command out

        switchover.toml:7:9: "vouch" has no effect: files of migrations hide no code
          |
        7 | vouch = ["a"]
          |         ^^^^^
          = leave it out
    "#]],
    );
    check(
        &with("[database]\nframework = \"django\"\nold_rows = \"accept\"\n"),
        expect![[r#"
        switchover.toml:6:12: "old_rows" has no effect: whoever else changes the schema fills rows and makes rules itself
          |
        6 | old_rows = "accept"
          |            ^^^^^^^^
          = leave it out
    "#]],
    );
    check(
        &with("[database]\nframework = \"rails\"\n"),
        expect![[r#"
        switchover.toml:5:13: "rails" is none of the words for "database.framework": django, alembic
          |
        5 | framework = "rails"
          |             ^^^^^^^
          = write one of: "django", "alembic"
    "#]],
    );
    check(
        &with("[database]\ncommands = { status = \"a\" }\n"),
        expect![[r#"
        switchover.toml:5:12: [database.commands] has no "expand"
          |
        5 | commands = { status = "a" }
          |            ^^^^^^^^^^^^^^^^
          = write: expand = "bin/migrate expand"
    "#]],
    );
}
