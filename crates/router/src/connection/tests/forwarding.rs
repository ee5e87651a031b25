//! What is passed on, and what is not.

use std::rc::Rc;

use super::bed::{Bed, Upstream, header, run, until};
use crate::connection::serve;
use crate::listener::Listener;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn requests_come_with_their_sender_and_without_what_is_hop_by_hop() {
    run(async {
        let upstream = Upstream::answering(
            "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nConnection: keep-alive, X-Mine\r\nKeep-Alive: timeout=5\r\nX-Mine: 1\r\n\
             X-Other: 2\r\n\r\nok",
        )
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        for round in 0..3 {
            client
                .send(
                    b"GET /a?b=c HTTP/1.1\r\nHost: Example.com:81\r\nConnection: keep-alive, X-Secret\r\nKeep-Alive: 5\r\n\
                      TE: trailers\r\nX-Secret: 1\r\nX-Forwarded-For: 9.9.9.9\r\nX_Forwarded_Proto: https\r\n\
                      Forwarded: for=9.9.9.9\r\nX-Request-Id: mine\r\nX-Real-IP: 9.9.9.9\r\nAccept: */*\r\n\r\n",
                )
                .await;
            let head = client.head().await;
            assert_eq!(head, "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-Other: 2\r\n\r\n");
            assert_eq!(client.bytes(2).await, b"ok");
            let asked = upstream.last();
            let id = header(&asked, "x-request-id").unwrap().to_owned();
            assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
            assert_eq!(
                asked,
                format!(
                    "GET /a?b=c HTTP/1.1\r\nHost: Example.com:81\r\nAccept: */*\r\nX-Forwarded-For: 127.0.0.1\r\n\
                     X-Forwarded-Proto: http\r\nX-Forwarded-Host: Example.com:81\r\nX-Request-Id: {id}\r\n\r\n"
                )
            );
            assert_eq!(upstream.notes.borrow().len(), round + 1);
        }
        assert_eq!(upstream.connections.get(), 1, "the upstream connection is used again");
        bed.ended(&["answered 2xx"; 3]).await;
    });
}

#[test]
fn an_absolute_target_is_passed_on_as_path() {
    run(async {
        let upstream = Upstream::answering(OK).await;
        let bed = Bed::new(&[upstream.address]).await;
        bed.ask("GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(upstream.last().starts_with("GET /x?y HTTP/1.1\r\nHost: a\r\n"));
        bed.ask("GET http://a?y HTTP/1.1\r\nHost: a\r\nContent_Length: 7\r\nProxy: b\r\n\r\n").await;
        let asked = upstream.last();
        assert!(asked.starts_with("GET /?y HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: "), "{asked}");
    });
}

#[test]
fn answers_without_body_leave_the_connection_usable() {
    run(async {
        for (method, answer) in [
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
            ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ] {
            let upstream = Upstream::answering(answer).await;
            let bed = Bed::new(&[upstream.address]).await;
            let mut client = bed.client().await;
            for _ in 0..2 {
                client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
                assert_eq!(client.head().await, answer);
            }
            assert_eq!(upstream.connections.get(), 1);
        }
    });
}

#[test]
fn http_1_0_clients_get_what_they_understand() {
    run(async {
        let upstream =
            Upstream::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n")
                .await;
        let bed = Bed::new(&[upstream.address]).await;
        let answer = bed.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        assert_eq!(answer, "HTTP/1.1 200 OK\r\n\r\nhello", "chunks are no part of HTTP/1.0");
        assert_eq!(header(&upstream.last(), "host"), Some("localhost"));

        let upstream = Upstream::answering(OK).await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        for _ in 0..2 {
            client.send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").await;
            assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n");
            client.bytes(2).await;
        }
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.rest().await, OK);
    });
}

#[test]
fn an_answer_up_to_the_end_of_its_connection_goes_on_in_chunks() {
    run(async {
        let upstream = Upstream::new(|mut client, _, _| async move {
            client.head().await;
            client.send(b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhello").await;
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        for round in 1..=2 {
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\nServer: old\r\nTransfer-Encoding: chunked\r\n\r\n");
            assert_eq!(client.chunked().await, (b"hello".to_vec(), String::new()));
            assert_eq!(upstream.connections.get(), round);
        }
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    run(async {
        let upstream = Upstream::new(|mut client, _, _| async move {
            while let Some(head) = client.try_head().await {
                let length = header(&head, "content-length").map_or(0, |value| value.parse().unwrap());
                let body = String::from_utf8(client.bytes(length).await).unwrap();
                let path = head.split(' ').nth(1).unwrap();
                let content = format!("{path} {body}");
                client
                    .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}", content.len()).as_bytes())
                    .await;
            }
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client
            .send(
                b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
                  GET /3 HTTP/1.1\r\nHost: a\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /5 HTTP/1.1\r\n",
            )
            .await;
        for expected in ["/1 ", "/2 abc", "/3 ", "/4 "] {
            client.head().await;
            assert_eq!(client.bytes(expected.len()).await, expected.as_bytes());
        }
        assert_eq!(client.rest().await, "", "nothing is served behind a close");
        bed.ended(&["answered 2xx"; 4]).await;
    });
}

#[test]
fn an_unknown_host_is_answered_and_the_connection_goes_on() {
    run(async {
        let upstream = Upstream::answering(OK).await;
        let bed = Bed::with(&[upstream.address], &["a"], 10).await;
        let mut client = bed.client().await;
        client.send(b"GET / HTTP/1.1\r\nHost: unknown\r\n\r\n").await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
        let length = header(&head, "content-length").unwrap().parse().unwrap();
        assert_eq!(client.bytes(length).await, b"no app is served under this host\n");
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
        bed.ended(&["no-route", "answered 2xx"]).await;
    });
}

#[test]
fn idle_connections_hold_no_buffer() {
    run(async {
        let upstream = Upstream::answering(OK).await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = bed.client().await;
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            client.head().await;
            client.bytes(2).await;
            clients.push(client);
        }
        until(|| bed.lane.io().held_buffers() == 0).await;
        assert_eq!(bed.lane.io().open_connections(), 20);
        clients[0].send(b"GET / HTTP/1.1\r\nHo").await;
        until(|| bed.lane.io().held_buffers() == 1).await;
        // What an idle connection costs beside its socket is its task.
        let stream = tokio::net::TcpStream::connect(bed.address).await.unwrap();
        let (peer, listener) = (stream.local_addr().unwrap(), Rc::new(Listener::http()));
        let size = size_of_val(&serve(stream, peer, Rc::clone(&bed.lane), listener));
        assert!(size < 4096, "the task of a connection has {size} bytes");
    });
}
