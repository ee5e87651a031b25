//! `[route] sticky`.

use expect_test::expect;

use super::good;
use super::refused::{check, with};
use crate::seam::Sticky;

fn sticky(line: &str) -> Sticky {
    good(&with(&format!("[route]\n{line}"))).route.sticky
}

#[test]
fn clients_are_told_apart_by_a_cookie_of_the_routers_own_unless_the_file_says_otherwise() {
    assert_eq!(sticky(""), Sticky::Cookie);
    assert_eq!(sticky("sticky = \"cookie\""), Sticky::Cookie);
    assert_eq!(sticky("sticky = \"address\""), Sticky::Address);
    assert_eq!(sticky("sticky = \"none\""), Sticky::None);
    assert_eq!(sticky("sticky = { cookie = \"sid\" }"), Sticky::AppCookie { name: "sid".parse().unwrap() });
    assert_eq!(sticky("sticky = { header = \"X-User\" }"), Sticky::Header { name: "X-User".parse().unwrap() });
}

#[test]
fn what_names_no_one_way_is_refused() {
    check(
        &with("[route]\nsticky = { cookie = \"sid\", header = \"X-User\" }"),
        expect![[r#"
            switchover.toml:5:37: route.sticky names a cookie and a header: a client could be told apart by either
              |
            5 | sticky = { cookie = "sid", header = "X-User" }
              |                                     ^^^^^^^^
              = write one of them: sticky = { cookie = "session" }, or sticky = { header = "X-User" }
        "#]],
    );
    check(
        &with("[route]\nsticky = {}"),
        expect![[r#"
        switchover.toml:5:10: route.sticky names neither a cookie nor a header
          |
        5 | sticky = {}
          |          ^^
          = write one of them: sticky = { cookie = "session" }, or sticky = { header = "X-User" }
    "#]],
    );
    check(
        &with("[route]\nsticky = \"adress\""),
        expect![[r#"
        switchover.toml:5:10: "adress" is none of the words for "route.sticky": cookie, address, none
          |
        5 | sticky = "adress"
          |          ^^^^^^^^
          = did you mean "address"?
    "#]],
    );
    check(
        &with("[route]\nsticky = true"),
        expect![[r#"
        switchover.toml:5:10: "route.sticky" must be a text or a table, not true or false
          |
        5 | sticky = true
          |          ^^^^
          = write: sticky = "cookie"
    "#]],
    );
    check(
        &with("[route]\nsticky = { cookie = \"switchover-client\" }"),
        expect![[r#"
        switchover.toml:5:21: "switchover-client" is a cookie of Switchover's own; that one is meant by: sticky = "cookie"
          |
        5 | sticky = { cookie = "switchover-client" }
          |                     ^^^^^^^^^^^^^^^^^^^
          = write a cookie's name, such as: cookie = "session"
    "#]],
    );
    check(
        &with("[route]\nsticky = { header = \"Cookie\" }"),
        expect![[r#"
        switchover.toml:5:21: "Cookie" holds all cookies, of which any may change; name one: { cookie = "session" }
          |
        5 | sticky = { header = "Cookie" }
          |                     ^^^^^^^^
          = write a header's name, such as: header = "X-User"
    "#]],
    );
    check(
        &with("[route]\nsticky = { hedder = \"X-User\" }"),
        expect![[r#"
        switchover.toml:5:12: [route.sticky] has no key "hedder"
          |
        5 | sticky = { hedder = "X-User" }
          |            ^^^^^^
          = did you mean "header"?
    "#]],
    );
}
