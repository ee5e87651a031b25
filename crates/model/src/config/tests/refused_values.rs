//! Values of a wrong type, unit or form.

use expect_test::expect;

use super::refused::{check, with};

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
