//! What differs, and what is noise.

use serde_json::json;
use switchover_http1::{Progress, ResponseParser};

use super::*;

fn rules(ignored: &[&str]) -> Rules {
    let ignore_fields = ignored.iter().map(|path| path.parse().unwrap()).collect();
    Rules::new(&CompareRules { headers: vec!["X-Version".parse().unwrap()], ignore_fields, ..CompareRules::default() })
}

fn answer(status: u16, fields: &str, body: &[u8]) -> Answer {
    let text = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
    let mut parser = ResponseParser::new();
    assert!(matches!(parser.parse(text.as_bytes()), Ok(Progress::Complete { .. })));
    let mut answer = Answer::of(&parser.head(text.as_bytes()), rules(&[]).headers());
    answer.body = body.to_vec();
    answer
}

fn json_of(value: &Value) -> Answer {
    answer(200, "Content-Type: application/json\r\n", value.to_string().as_bytes())
}

/// The names of the fields in which both differ.
fn between(one: &Answer, two: &Answer, ignored: &[&str]) -> Vec<String> {
    let nothing = Differences::at_most(0);
    rules(ignored).differences((one, one), Ok(two), &nothing).fields().map(str::to_owned).collect()
}

fn bodies(one: &Value, two: &Value) -> Vec<String> {
    between(&json_of(one), &json_of(two), &[])
}

#[test]
fn json_is_compared_by_field_whatever_the_order_of_its_keys() {
    assert_eq!(
        bodies(&json!({"a": 1, "b": {"c": [1, 2]}}), &json!({"b": {"c": [1, 2]}, "a": 1})),
        Vec::<String>::new()
    );
    assert_eq!(bodies(&json!({"a": 1, "b": 2}), &json!({"a": 3, "c": 2})), ["body /a", "body /b", "body /c"]);
    assert_eq!(bodies(&json!({"i": [{"p": 1}, {"p": 2}]}), &json!({"i": [{"p": 1}, {"p": 3}]})), ["body /i/*/p"]);
    assert_eq!(bodies(&json!([1, 2]), &json!([1, 2, 3])), ["body / (length)"]);
    assert_eq!(bodies(&json!({"a": [1]}), &json!({"a": {"0": 1}})), ["body /a"]);
    assert_eq!(bodies(&json!(1), &json!("1")), ["body /"]);
    assert_eq!(bodies(&json!({"users": {"17": {"n": 1}}}), &json!({"users": {"17": {"n": 2}}})), ["body /users/*/n"]);
}

#[test]
fn status_headers_and_other_bodies_are_compared_as_they_are() {
    let html = |body: &[u8]| answer(200, "Content-Type: text/html\r\n", body);
    assert_eq!(between(&html(b"<p>a</p>"), &html(b"<p>b</p>"), &[]), ["body"]);
    assert_eq!(between(&html(b"a"), &html(b"a"), &[]), Vec::<String>::new());
    assert_eq!(between(&html(b"a"), &answer(500, "", b"b"), &[]), ["status"], "the rest follows from it");
    let with = |fields: &str| answer(302, fields, b"");
    assert_eq!(
        between(&with("Location: /a\r\nDate: 1\r\n"), &with("Location: /b\r\nDate: 2\r\n"), &[]),
        ["header location"]
    );
    assert_eq!(between(&with("x-version: 1\r\n"), &with(""), &[]), ["header x-version"]);
    // What says to be JSON and is not is compared as it is.
    let broken = answer(200, "Content-Type: application/json\r\n", b"{\"a\": 1");
    assert_eq!(between(&broken, &json_of(&json!({"a": 1})), &[]), ["body"]);
    let unread = |why| {
        let found = rules(&[]).differences((&broken, &broken), Err(why), &Differences::at_most(0));
        found.fields().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(unread(Unreadable::Unanswered), ["answer"]);
    // The live answer could be read: one that can not is another one.
    assert_eq!(unread(Unreadable::TooLarge), ["body (size)"]);
    assert_eq!(unread(Unreadable::Encoded), ["header content-encoding"]);
}

#[test]
fn ignored_fields_are_not_compared_with_all_that_is_in_them() {
    let one = json!({"meta": {"at": 1, "by": "a"}, "items": [{"id": 1, "price": 5}], "total": 5});
    let two = json!({"meta": {"at": 2, "by": "b", "new": 1}, "items": [{"id": 2, "price": 6}], "total": 6});
    let with = |ignored: &[&str]| between(&json_of(&one), &json_of(&two), ignored);
    assert_eq!(with(&["/meta", "/items/*/id"]), ["body /items/*/price", "body /total"]);
    assert_eq!(with(&["/*/new", "/meta/at", "/meta/by", "/items"]), ["body /total"]);
    assert_eq!(with(&["/metadata", "/met"]).len(), 6);
}

#[test]
fn what_two_live_answers_differ_in_is_noise_and_nothing_else() {
    let beyond = |live: &Value, again: &Value, shadow: &Value| -> Vec<String> {
        let rules = rules(&[]);
        let (live, again, shadow) = (json_of(live), json_of(again), json_of(shadow));
        let noise = rules.noise(&live, &again);
        rules.differences((&live, &again), Ok(&shadow), &noise).told().map(|(field, _)| field).collect()
    };
    let of = |at: u64, price: u64| json!({"at": at, "price": price});
    assert_eq!(beyond(&of(1, 5), &of(3, 5), &of(2, 5)), Vec::<String>::new());
    assert_eq!(beyond(&of(1, 5), &of(3, 5), &of(2, 6)), ["body /price"]);
    assert_eq!(beyond(&of(1, 5), &of(1, 5), &of(1, 6)), ["body /price"]);
    // The list grew meanwhile: its items stand in other places.
    let list = |items: &[u64]| json!({"items": items, "total": 1});
    assert_eq!(beyond(&list(&[1, 2]), &list(&[3, 1, 2]), &list(&[3, 1, 2])), Vec::<String>::new());
    assert_eq!(beyond(&list(&[1, 2]), &list(&[1, 2]), &list(&[3, 2])), ["body /items/*"]);
}

#[test]
fn a_body_that_is_never_the_same_twice_is_compared_by_its_size() {
    let page = |body: &str| answer(200, "Content-Type: text/html\r\n", body.as_bytes());
    let (live, again) = (page(&"one ".repeat(500)), page(&"two ".repeat(510)));
    let noise = rules(&[]).noise(&live, &again);
    let beyond = |shadow: &Answer| -> Vec<String> {
        rules(&[]).differences((&live, &again), Ok(shadow), &noise).told().map(|(field, _)| field).collect()
    };
    assert_eq!(beyond(&page(&"six ".repeat(505))), Vec::<String>::new());
    assert_eq!(beyond(&page("")), ["body (size)"]);
    assert_eq!(beyond(&page(&"six ".repeat(2_000))), ["body (size)"]);
    assert!(!noise.says_nothing());
    assert!(
        rules(&[]).noise(&live, &answer(429, "", b"slow down")).says_nothing(),
        "of another status nothing follows"
    );
}

#[test]
fn what_is_noise_hides_nothing_that_comes_after_it() {
    let wide = |noise: u64, price: u64| {
        let mut all: serde_json::Map<String, Value> = (0..40).map(|n| (format!("a{n}x"), json!(noise))).collect();
        all.insert("price".to_owned(), json!(price));
        json_of(&Value::Object(all))
    };
    let (live, again) = (wide(1, 5), wide(2, 5));
    let noise = rules(&[]).noise(&live, &again);
    let found = rules(&[]).differences((&live, &again), Ok(&wide(3, 7777)), &noise);
    assert_eq!(found.fields().collect::<Vec<_>>(), ["body /price"]);
}

#[test]
fn hostile_bodies_are_bounded() {
    let wide = |from: usize| Value::Object((from..from + 5_000).map(|n| (format!("field_{n}x"), json!(n))).collect());
    assert_eq!(bodies(&wide(0), &wide(5_000)).len(), DIFFERENCES_MAX);
    // Deeper than is read: compared as it is.
    let deep = |depth: usize, end: &str| format!("{}{end}{}", "[".repeat(depth), "]".repeat(depth));
    let of = |text: String| answer(200, "Content-Type: application/json\r\n", text.as_bytes());
    assert_eq!(between(&of(deep(100_000, "1")), &of(deep(100_000, "2")), &[]), ["body"]);
    let name = bodies(
        &json!({"a".repeat(59): {"b".repeat(59): {"c".repeat(59): {"d".repeat(59): 1}}}}),
        &json!({"a".repeat(59): {"b".repeat(59): {"c".repeat(59): {"d".repeat(59): 2}}}}),
    );
    assert!(name.len() == 1 && name[0].len() <= FIELD_BYTES_MAX + 4, "{name:?}");
}

#[test]
fn what_is_secret_is_found_and_not_shown() {
    let token = |number: u64| json!({"token": format!("t-{number}"), "plain": format!("{number:032x}")});
    let (one, two) = (json_of(&token(1)), json_of(&token(2)));
    let all = rules(&[]).differences((&one, &one), Ok(&two), &Differences::at_most(0));
    assert_eq!(all.fields().collect::<Vec<_>>(), ["body /plain", "body /token"]);
    for (field, difference) in all.told() {
        assert_eq!((difference.live.as_str(), difference.other.as_str()), ("(hidden)", "(hidden)"), "{field}");
    }
}
