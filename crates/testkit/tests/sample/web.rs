//! What a healthy app answers, and how it leaves.

use std::io::{Read, Write};

use crate::process::{App, get, receive, send, until};

const SLOT: &[(&str, &str)] =
    &[("SWITCHOVER_SLOT", "green"), ("SWITCHOVER_REVISION", "r7"), ("SWITCHOVER_INSTANCE", "web-1")];

#[test]
fn it_says_who_it_is() {
    let (app, port) = App::listening(&["--version", "v2"], SLOT);
    let answer = get(port, "/");
    let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let wanted = serde_json::json!({
        "version": "v2", "slot": "green", "revision": "r7", "instance": "web-1", "pid": app.pid(), "id": null
    });
    assert_eq!(body, wanted);
    for field in ["x-sample-version: v2", "x-sample-slot: green", "x-sample-revision: r7", "x-sample-instance: web-1"] {
        assert!(answer.contains(field), "{answer}");
    }
}

#[test]
fn its_version_and_its_sickness_come_from_the_directory_it_runs_in() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("VERSION"), "v9\n").unwrap();
    let mut app = App::start_in(dir.path(), &["--port", "0"], &[]);
    let port = app.port();
    assert!(get(port, "/").contains("\"version\":\"v9\""));

    std::fs::write(dir.path().join("SICK"), "exits=8\n").unwrap();
    let mut app = App::start_in(dir.path(), &["--port", "0"], &[]);
    assert_eq!(app.ended().code(), Some(8));
}

#[test]
fn it_answers_what_it_is_asked() {
    let (_app, port) = App::listening(&[], &[]);
    assert!(get(port, "/up").starts_with("HTTP/1.1 200 "));
    assert!(get(port, "/status/418").starts_with("HTTP/1.1 418 "));
    assert!(get(port, "/status/204").starts_with("HTTP/1.1 204 "));
    assert!(get(port, "/nowhere").starts_with("HTTP/1.1 404 "));
    assert!(get(port, "/work?job=a").starts_with("HTTP/1.1 501 "), "no spool was named");
    let echo = receive(send(port, "GET /echo?x=1 HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nConnection: close"));
    assert!(echo.contains("[\"x-one\",\"1\"]") && echo.contains("\"target\":\"/echo?x=1\""), "{echo}");
    let trailers = receive(send(port, "GET /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, close"));
    assert!(trailers.contains("trailer: x-checksum") && trailers.contains("0\r\nx-checksum: "), "{trailers}");
    assert!(get(port, "/bytes?n=100000").len() > 100_000);
}

#[test]
fn it_digests_an_upload_after_100_continue() {
    let (_app, port) = App::listening(&[], &[]);
    let mut stream =
        send(port, "PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close");
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abc").unwrap();
    let answer = receive(stream);
    // The digest of "abc" from FIPS 180-2.
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert!(answer.contains(digest) && answer.contains("\"length\":3"), "{answer}");
}

#[test]
fn asked_to_stop_it_finishes_what_is_on_and_leaves() {
    let (mut app, port) = App::listening(&[], &[]);
    let slow = send(port, "GET /slow?ms=400 HTTP/1.1\r\nHost: a");
    let stream = send(port, "GET /stream?ms=400&every=20 HTTP/1.1\r\nHost: a");
    // An answer on a later connection: by then both requests above are being worked on.
    get(port, "/up");
    let mut first = [0; 1];
    stream.peek(&mut first).unwrap();
    app.terminate();
    assert!(receive(slow).starts_with("HTTP/1.1 200 "));
    assert!(receive(stream).ends_with("end\n\r\n0\r\n\r\n"));
    assert_eq!(app.ended().code(), Some(0));
}

#[test]
fn asked_to_stop_it_closes_websockets_as_going_away() {
    let (mut app, port) = App::listening(&[], &[]);
    let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let head = format!("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}");
    let mut stream = send(port, &head);
    let mut seen = Vec::new();
    until("it greets", || {
        let mut some = [0; 512];
        let count = stream.read(&mut some).unwrap();
        seen.extend_from_slice(&some[..count]);
        String::from_utf8_lossy(&seen).contains("hello from v1").then_some(())
    });
    // The accept value of this key from RFC 6455 1.3.
    assert!(String::from_utf8_lossy(&seen).contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    app.terminate();
    let mut frame = [0; 4];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!((frame[0], u16::from_be_bytes([frame[2], frame[3]])), (0x88, 1001), "a close frame (RFC 6455 5.5.1)");
    drop(stream);
    assert_eq!(app.ended().code(), Some(0));
}
