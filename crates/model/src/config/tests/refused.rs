use expect_test::{Expect, expect};

use super::bad;

#[expect(clippy::needless_pass_by_value, reason = "expect! makes a value")]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&bad(text));
}

const WEB: &str = "name = \"shop\"\n[process.web]\ncommand = \"bin/shop\"\n";

fn with(text: &str) -> String {
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
strategy = "canary"
steps = ["10%"]
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

            switchover.toml:8:1: [database] has no "migrations"
              |
            8 | [database]
              | ^^^^^^^^^^
              = write: migrations = "db/migrations"

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

            switchover.toml:16:12: release.strategy = "canary" is not carried out yet
               |
            16 | strategy = "canary"
               |            ^^^^^^^^
               = write one of: "blue-green"

            switchover.toml:17:1: "release.steps" is not carried out yet
               |
            17 | steps = ["10%"]
               | ^^^^^
               = leave it out: traffic moves all at once

            switchover.toml:18:11: "release.check" is not carried out yet
               |
            18 | [[release.check]]
               |           ^^^^^
               = write the check as a command in a [[release.hook]]
        "#]],
    );
}

#[test]
fn a_number_where_a_duration_is_meant_shows_the_units() {
    check(
        &with("[release]\nbake = 10\nkeep_warm = \"1 hour\"\n[route]\ndrain = \"400d\""),
        expect![[r#"
        switchover.toml:5:8: a duration needs a unit: write "10s", "10ms", "10m", "10h" or "10d"
          |
        5 | bake = 10
          |        ^^
          = write: bake = "10m"

        switchover.toml:6:13: "1 hour" is not a duration: write a whole number and a unit, such as "500ms", "30s", "10m" or "1h"
          |
        6 | keep_warm = "1 hour"
          |             ^^^^^^^^
          = write: keep_warm = "1h"

        switchover.toml:8:9: "route.drain" is 400d; it must be at most 366d
          |
        8 | drain = "400d"
          |         ^^^^^^
          = write: drain = "30s"
    "#]],
    );
}

#[test]
fn a_wrong_type_says_what_was_meant_and_what_was_found() {
    check(
        "name = 3\nenv = \"x\"\n[process.web]\ncommand = [\"bin/shop\"]\ninstances = \"2\"\nstop = \"SIGTERM\"\n[release]\napprove = \"yes\"\nhook = \"x\"\n[route]\nhosts = \"shop.example.com\"",
        expect![[r#"
            switchover.toml:1:8: "name" must be a text, not a whole number
              |
            1 | name = 3
              |        ^
              = write: name = "shop"

            switchover.toml:2:7: "env" must be a table, not a text
              |
            2 | env = "x"
              |       ^^^
              = write: [env]
                RAILS_ENV = "production"

            switchover.toml:4:11: "process.web.command" must be a text, not a list
              |
            4 | command = ["bin/shop"]
              |           ^^^^^^^^^^^^
              = write: command = "bin/shop --port $PORT"

            switchover.toml:5:13: "process.web.instances" must be a whole number, not a text
              |
            5 | instances = "2"
              |             ^^^
              = write: instances = 2

            switchover.toml:6:8: "process.web.stop" must be a table, not a text
              |
            6 | stop = "SIGTERM"
              |        ^^^^^^^^^
              = write: stop = { signal = "SIGTERM", grace = "30s" }

            switchover.toml:8:11: "release.approve" must be true or false, not a text
              |
            8 | approve = "yes"
              |           ^^^^^
              = write: approve = true

            switchover.toml:9:8: "release.hook" must be a list of tables, not a text
              |
            9 | hook = "x"
              |        ^^^
              = write: [[release.hook]]

            switchover.toml:11:9: "route.hosts" must be a list of texts, not a text
               |
            11 | hosts = "shop.example.com"
               |         ^^^^^^^^^^^^^^^^^^
               = write: hosts = ["shop.example.com"]
        "#]],
    );
    check(
        &with("[release.hook]\nstage = \"verify\"\n"),
        expect![[r#"
        switchover.toml:4:1: "release.hook" is a list of tables: its header has two brackets
          |
        4 | [release.hook]
          | ^^^^^^^^^^^^^^
          = write: [[release.hook]]
    "#]],
    );
    check(
        "name = \"shop\"\n[process]\ncommand = \"bin/shop\"\n",
        expect![[r#"
        switchover.toml:3:1: "command" stands in [process], where only tables named after process types stand
          |
        3 | command = "bin/shop"
          | ^^^^^^^
          = write the name of the process type into the header: [process.web]
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
fn paths_that_leave_the_apps_directory_are_refused() {
    check(
        &with("[shared]\npaths = [\"/var/media\", \"../media\", \"a/../../b\", \".\", \"var\", \"var/spool\", \"\"]"),
        expect![[r#"
            switchover.toml:5:10: "/var/media" is absolute; it must lie inside the app's directory
              |
            5 | paths = ["/var/media", "../media", "a/../../b", ".", "var", "var/spool", ""]
              |          ^^^^^^^^^^^^
              = write a path inside the app's directory, such as: paths = ["media"]

            switchover.toml:5:24: "../media" leads out of the app's directory with ".."
              |
            5 | paths = ["/var/media", "../media", "a/../../b", ".", "var", "var/spool", ""]
              |                        ^^^^^^^^^^
              = write a path inside the app's directory, such as: paths = ["media"]

            switchover.toml:5:36: "a/../../b" leads out of the app's directory with ".."
              |
            5 | paths = ["/var/media", "../media", "a/../../b", ".", "var", "var/spool", ""]
              |                                    ^^^^^^^^^^^
              = write a path inside the app's directory, such as: paths = ["media"]

            switchover.toml:5:49: "." is the app's directory itself
              |
            5 | paths = ["/var/media", "../media", "a/../../b", ".", "var", "var/spool", ""]
              |                                                 ^^^
              = write a path inside the app's directory, such as: paths = ["media"]

            switchover.toml:5:61: "var/spool" and "var" lie in each other
              |
            5 | paths = ["/var/media", "../media", "a/../../b", ".", "var", "var/spool", ""]
              |                                                             ^^^^^^^^^^^
              = share the outer one alone

            switchover.toml:5:74: a path is empty
              |
            5 | paths = ["/var/media", "../media", "a/../../b", ".", "var", "var/spool", ""]
              |                                                                          ^^
              = write a path inside the app's directory, such as: paths = ["media"]
        "#]],
    );
}

#[test]
fn names_of_variables_that_cannot_be_set_are_refused_and_their_values_stay_texts() {
    check(
        &with(
            "[env]\nPORT = \"80\"\nSWITCHOVER_SLOT = \"blue\"\n\"A-B\" = \"x\"\n\"1A\" = \"x\"\nDEBUG = true\nWORKERS = 4",
        ),
        expect![[r#"
            switchover.toml:5:1: "PORT" is set by Switchover itself
              |
            5 | PORT = "80"
              | ^^^^
              = write another name, such as: RAILS_ENV = "production"

            switchover.toml:6:1: "SWITCHOVER_SLOT" is set by Switchover itself
              |
            6 | SWITCHOVER_SLOT = "blue"
              | ^^^^^^^^^^^^^^^
              = write another name, such as: RAILS_ENV = "production"

            switchover.toml:7:1: "A-B" is not a name of an environment variable: letters, digits and "_", no digit first
              |
            7 | "A-B" = "x"
              | ^^^^^
              = write another name, such as: RAILS_ENV = "production"

            switchover.toml:8:1: "1A" is not a name of an environment variable: letters, digits and "_", no digit first
              |
            8 | "1A" = "x"
              | ^^^^
              = write another name, such as: RAILS_ENV = "production"

            switchover.toml:9:9: "env.DEBUG" must be a text, not true or false
              |
            9 | DEBUG = true
              |         ^^^^
              = write: DEBUG = "true"

            switchover.toml:10:11: "env.WORKERS" must be a text, not a whole number
               |
            10 | WORKERS = 4
               |           ^
               = write: WORKERS = "4"
        "#]],
    );
}

#[test]
fn hosts_and_networks_are_checked_where_they_are_written() {
    check(
        &with(
            "[route]\nhosts = [\"Shop.example.com\", \"shop.example.com:8080\", \"https://shop.example.com\", \"a..b\"]\npreview = { networks = [\"10.0.0.0\", \"10.0.0.0/33\"] }",
        ),
        expect![[r#"
            switchover.toml:5:10: "Shop.example.com" has capital letters; write "shop.example.com"
              |
            5 | hosts = ["Shop.example.com", "shop.example.com:8080", "https://shop.example.com", "a..b"]
              |          ^^^^^^^^^^^^^^^^^^
              = write a host name, such as: hosts = ["shop.example.com"]

            switchover.toml:5:30: "shop.example.com:8080" has a port; a host is written without one: "shop.example.com"
              |
            5 | hosts = ["Shop.example.com", "shop.example.com:8080", "https://shop.example.com", "a..b"]
              |                              ^^^^^^^^^^^^^^^^^^^^^^^
              = write a host name, such as: hosts = ["shop.example.com"]

            switchover.toml:5:55: "https://shop.example.com" is a URL; only its host is written here
              |
            5 | hosts = ["Shop.example.com", "shop.example.com:8080", "https://shop.example.com", "a..b"]
              |                                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^
              = write a host name, such as: hosts = ["shop.example.com"]

            switchover.toml:5:83: "a..b" is not a valid host name: lower-case labels of a-z, 0-9, "-" and "_" joined by dots, without a port
              |
            5 | hosts = ["Shop.example.com", "shop.example.com:8080", "https://shop.example.com", "a..b"]
              |                                                                                   ^^^^^^
              = write a host name, such as: hosts = ["shop.example.com"]

            switchover.toml:6:25: "10.0.0.0" is not a network: write an address and its length, such as "10.0.0.0/8"
              |
            6 | preview = { networks = ["10.0.0.0", "10.0.0.0/33"] }
              |                         ^^^^^^^^^^
              = write a network, such as: networks = ["10.0.0.0/8"]

            switchover.toml:6:37: "10.0.0.0/33" is not a network: write an address and its length, such as "10.0.0.0/8"
              |
            6 | preview = { networks = ["10.0.0.0", "10.0.0.0/33"] }
              |                                     ^^^^^^^^^^^^^
              = write a network, such as: networks = ["10.0.0.0/8"]
        "#]],
    );
}

#[test]
fn path_prefixes_are_plain_paths() {
    check(
        "name = \"shop\"\n[process.web]\ncommand = \"a\"\nroute = [\"api\", \"/a b\", \"/a?b\", \"/a//b\", \"/*\"]",
        expect![[r#"
            switchover.toml:4:10: "api" does not begin with "/"
              |
            4 | route = ["api", "/a b", "/a?b", "/a//b", "/*"]
              |          ^^^^^
              = write a path prefix, such as: route = "/api"

            switchover.toml:4:17: "/a b" holds a character that cannot stand in a request's path: write it as %XX
              |
            4 | route = ["api", "/a b", "/a?b", "/a//b", "/*"]
              |                 ^^^^^^
              = write a path prefix, such as: route = "/api"

            switchover.toml:4:25: "/a?b" is a pattern or a query; a prefix is plain text
              |
            4 | route = ["api", "/a b", "/a?b", "/a//b", "/*"]
              |                         ^^^^^^
              = write a path prefix, such as: route = "/api"

            switchover.toml:4:33: "/a//b" holds an empty, "." or ".." segment
              |
            4 | route = ["api", "/a b", "/a?b", "/a//b", "/*"]
              |                                 ^^^^^^^
              = write a path prefix, such as: route = "/api"

            switchover.toml:4:42: "/*" is a pattern or a query; a prefix is plain text
              |
            4 | route = ["api", "/a b", "/a?b", "/a//b", "/*"]
              |                                          ^^^^
              = write a path prefix, such as: route = "/api"
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

            switchover.toml:7:12: "blue/green" is none of the words for "release.strategy": blue-green
              |
            7 | strategy = "blue/green"
              |            ^^^^^^^^^^^^
              = did you mean "blue-green"?
        "#]],
    );
}
