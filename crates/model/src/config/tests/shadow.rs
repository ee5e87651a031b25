//! `[release.shadow]`: accepted and refused.

use expect_test::{Expect, expect};

use super::{bad, good};
use crate::config::Shadow;
use crate::seam::MirrorRules;
use crate::{Share, Span};

/// A file with every key of a shadow comparison.
pub(super) const SHADOW: &str = "name = \"shop\"\n[process.web]\ncommand = \"a\"\n[release.shadow]\nshare = \"20%\"\nfor = \"5m\"\n\
    methods = [\"GET\", \"POST\"]\nbody = \"128KiB\"\nenough = 50\ntolerate = \"0.1%\"\n\
    [release.shadow.compare]\nheaders = [\"ETag\"]\nignore_headers = [\"cache-control\"]\nignore_fields = [\"/meta\", \"/items/*/at\"]\n";

fn check_bad(lines: &str, expected: &Expect) {
    let text = format!("name = \"shop\"\n[process.web]\ncommand = \"a\"\n[release.shadow]\n{lines}");
    expected.assert_eq(&bad(&text));
}

#[test]
fn a_shadow_comparison_by_its_defaults_copies_what_changes_nothing_and_tolerates_nothing() {
    let shadow = good("name = \"shop\"\n[process.web]\ncommand = \"a\"\n[release.shadow]\n").release.shadow.unwrap();
    let Shadow { rules, stays, enough, tolerate } = &shadow;
    assert_eq!((rules.share.to_string().as_str(), *stays), ("10%", Span::from_secs(600)));
    assert_eq!((*enough, *tolerate, rules.body_bytes), (500, Share::NONE, 64 * 1024));
    assert_eq!((&rules.methods, shadow.unsafe_methods().count()), (&MirrorRules::safe_methods(), 0));
    assert!(rules.compare.is_some() && rules.check().is_ok());
    assert!(good("name = \"shop\"\n[process.web]\ncommand = \"a\"\n").release.shadow.is_none());
}

#[test]
fn a_shadow_comparison_is_as_it_is_written() {
    let shadow = good(SHADOW).release.shadow.unwrap();
    assert_eq!(shadow.unsafe_methods().collect::<Vec<_>>(), ["POST"]);
    assert_eq!((shadow.enough, shadow.tolerate.basis_points(), shadow.rules.body_bytes), (50, 10, 128 * 1024));
    let compare = shadow.rules.compare.as_ref().unwrap();
    assert!(compare.compared_headers().contains(&"etag".to_owned()));
    assert!(!compare.compared_headers().contains(&"cache-control".to_owned()));
    assert_eq!(compare.ignore_fields.len(), 2);
    assert!(shadow.rules.check().is_ok());
}

#[test]
fn what_could_never_be_compared_is_refused() {
    check_bad(
        "share = \"0%\"\n",
        &expect![[r#"
            switchover.toml:5:9: a share of 0% copies nothing, so nothing could ever be compared
              |
            5 | share = "0%"
              |         ^^^^
              = write: share = "10%", or leave [release.shadow] out
        "#]],
    );
    check_bad(
        "methods = [\"get\"]\n",
        &expect![[r#"
            switchover.toml:5:12: "get" is no method in capital letters
              |
            5 | methods = ["get"]
              |            ^^^^^
              = write a method in capital letters, such as: methods = ["GET"]
        "#]],
    );
    let worker =
        "name = \"shop\"\n[process.mailer]\ncommand = \"a\"\nhandover = \"drain\"\n[release.shadow]\nshare = \"5%\"\n";
    expect![[r#"
        switchover.toml:5:1: [release.shadow] has nothing to copy: no process of the app takes requests
          |
        5 | [release.shadow]
          | ^^^^^^^^^^^^^^^^
          = leave [release.shadow] out
    "#]]
    .assert_eq(&bad(worker));
}

#[test]
fn what_would_compare_nothing_or_has_no_effect_is_refused() {
    check_bad(
        "tolerate = \"11%\"\nbody = \"257KiB\"\ncompare = { headers = [\"ETag\"], ignore_headers = [\"etag\", \"Date\"] }\n",
        &expect![[r#"
            switchover.toml:5:12: "tolerate" is 11%; with more than 10% hardly any difference would count
              |
            5 | tolerate = "11%"
              |            ^^^^^
              = write: tolerate = "0.1%", or name what differs in ignore_fields

            switchover.toml:6:8: "body" is 257KiB; it must be 1KiB to 256KiB
              |
            6 | body = "257KiB"
              |        ^^^^^^^^
              = write: body = "64KiB"

            switchover.toml:7:51: the header "etag" is to be compared and to be ignored
              |
            7 | compare = { headers = ["ETag"], ignore_headers = ["etag", "Date"] }
              |                                                   ^^^^^^
              = leave it out of headers, or of ignore_headers

            switchover.toml:7:59: ignoring "Date" has no effect: it is not compared
              |
            7 | compare = { headers = ["ETag"], ignore_headers = ["etag", "Date"] }
              |                                                           ^^^^^^
              = those that are by themselves: Content-Type, Content-Language, Content-Disposition, Cache-Control, Location, WWW-Authenticate
        "#]],
    );
    check_bad(
        "compare = { ignore_fields = [\"meta\", \"/a\", \"/a\"] }\n",
        &expect![[r#"
            switchover.toml:5:30: "meta" is not a valid field of a JSON body: "/" and a name for each step, "*" for any, such as "/items/*/updated_at"; at most 200 characters
              |
            5 | compare = { ignore_fields = ["meta", "/a", "/a"] }
              |                              ^^^^^^
              = write a field of a JSON body, such as: ignore_fields = ["/items/*/updated_at"]

            switchover.toml:5:44: "/a" stands here twice
              |
            5 | compare = { ignore_fields = ["meta", "/a", "/a"] }
              |                                            ^^^^
              = leave one of them out
        "#]],
    );
}
