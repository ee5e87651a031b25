//! Each sickness shows.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::process::{App, get, receive, send, until};

fn sick(list: &str) -> (App, u16) {
    App::listening(&["--sick", list], &[])
}

#[test]
fn never_healthy() {
    let (_app, port) = sick("never-healthy");
    assert!(get(port, "/up").starts_with("HTTP/1.1 500 "));
    assert!(get(port, "/").starts_with("HTTP/1.1 200 "));
}

#[test]
fn redirects_its_health_until_the_scheme_is_said() {
    let (_app, port) = sick("redirects-health");
    let answer = get(port, "/up");
    assert!(answer.starts_with("HTTP/1.1 301 ") && answer.contains("location: https://shop.example/up"), "{answer}");
    let told = send(port, "GET /up HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nConnection: close");
    assert!(receive(told).starts_with("HTTP/1.1 200 "));
}

#[test]
fn wants_its_host() {
    let (_app, port) = sick("wants-host=shop.example");
    assert!(get(port, "/up").starts_with("HTTP/1.1 200 "));
    let other = send(port, "GET /up HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close");
    assert!(receive(other).starts_with("HTTP/1.1 400 "));
}

#[test]
fn hangs_when_asked_for_its_health() {
    let (_app, port) = sick("hangs-health");
    let mut asked = send(port, "GET /up HTTP/1.1\r\nHost: a");
    assert!(get(port, "/").starts_with("HTTP/1.1 200 "));
    asked.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(asked.read(&mut [0; 1]).is_err());
}

#[test]
fn exits_at_once_with_its_last_words() {
    let mut app = App::start(&["--sick", "exits=3"], &[("PORT", "0")]);
    let said = String::from_utf8(app.rest_of_output()).unwrap();
    assert_eq!(app.ended().code(), Some(3));
    assert_eq!(said.lines().count(), 2, "{said}");
}

#[test]
fn ignores_sigterm() {
    let (mut app, port) = sick("ignores-sigterm");
    app.terminate();
    assert_eq!(app.line(), "sample-app ignores SIGTERM\n");
    assert!(get(port, "/up").starts_with("HTTP/1.1 200 "));
    assert!(app.is_running());
}

#[test]
fn floods_its_output_before_it_listens() {
    let mut app = App::start(&["--port", "0", "--sick", "floods=100000000"], &[]);
    let mut flood = 0;
    loop {
        let line = app.line();
        if line.contains("listens on") {
            break;
        }
        flood += line.len();
    }
    assert_eq!(flood, 100_000_000);
}

#[test]
fn boots_slowly() {
    let begun = Instant::now();
    let (_app, _) = sick("boots-in=300");
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[test]
fn crashes_with_its_last_request_unanswered() {
    let (mut app, port) = sick("crashes-after=3");
    for _ in 0..5 {
        assert!(get(port, "/up").starts_with("HTTP/1.1 200 "), "health is not counted");
    }
    for _ in 0..2 {
        assert!(get(port, "/").starts_with("HTTP/1.1 200 "));
    }
    let mut last = send(port, "GET / HTTP/1.1\r\nHost: a");
    let mut text = Vec::new();
    // Closed or reset, but never answered.
    let _ = last.read_to_end(&mut text);
    assert!(text.is_empty());
    assert_eq!(app.ended().code(), Some(70));
}

#[test]
fn a_wrong_call_is_told_how_to_do_it() {
    for arguments in [&["--sick", "tired"][..], &["--prot", "1"], &["work", "mail"], &[], &["--port"]] {
        let mut app = App::start(arguments, &[("PORT", "")]);
        let said = String::from_utf8(app.rest_of_output()).unwrap();
        assert!(said.contains("sample-app work NAME"), "{said}");
        assert_eq!(app.ended().code(), Some(64));
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let (_app, port) = sick("");
    let mut second = App::start(&["--port", &port.to_string()], &[]);
    assert_eq!(second.ended().code(), Some(74));
    assert!(second.line().contains(&format!("cannot listen on port {port}")));
    until("the first one still answers", || get(port, "/up").starts_with("HTTP/1.1 200 ").then_some(()));
}
