//! Bodies, their framing, and attempts to smuggle a second request past the first.

use std::time::Duration;

use super::bed::{Bed, Client, Upstream, header, run, until};
use crate::connection::bounds::UPSTREAM_QUIET_TIME_ONCE;

#[test]
fn no_second_request_is_smuggled_through_the_first() {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let cases = [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", "400"),
        ("Content-Length: 0\r\nContent-Length: 44\r\n\r\n", "400"),
        ("Content-Length: 0, 44\r\n\r\n", "400"),
        ("Content-Length: +0\r\n\r\n", "400"),
        ("Content-Length : 0\r\n\r\n", "400"),
        ("Transfer-Encoding: xchunked\r\n\r\n", "501"),
        ("Transfer-Encoding: chunked, identity\r\n\r\n", "501"),
        ("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"),
        ("Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", "400"),
        ("X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ("X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ("X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n\r\n0\n\n", "400"),
        ("Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n\r\n-1\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n", "400"),
        ("Connection: Content-Length\r\nContent-Length: 44\r\n\r\n", "400"),
        ("Host: b\r\n\r\n", "400"),
    ];
    run(async move {
        for (rest, status) in cases {
            let upstream = Upstream::new(|mut client, _, notes| async move {
                let seen = client.rest().await;
                notes.borrow_mut().push(seen);
            })
            .await;
            let bed = Bed::new(&[upstream.address]).await;
            let answer = bed.ask(&format!("POST / HTTP/1.1\r\nHost: a\r\n{rest}{hidden}")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{rest:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{rest:?}: {answer}");
            assert!(answer.contains("Connection: close\r\n"), "{rest:?}: {answer}");
            bed.ended(&["refused"]).await;
            // When the head was fine, it may have been passed on; what was hidden never is.
            until(|| upstream.notes.borrow().len() == upstream.connections.get()).await;
            assert!(
                !upstream.notes.borrow().iter().any(|seen| seen.contains("hidden")),
                "{rest:?}: {:?}",
                upstream.notes
            );
        }
    });
}

#[test]
fn an_instance_can_not_answer_twice() {
    run(async {
        let upstream = Upstream::new(|mut client, _, _| async move {
            while client.try_head().await.is_some() {
                client
                    .send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
                    .await;
            }
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        for round in 1..=3 {
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            client.head().await;
            assert_eq!(client.bytes(2).await, b"ok");
            assert_eq!(upstream.connections.get(), round, "such a connection is not used again");
        }
    });
}

#[test]
fn bytes_that_nobody_asked_for_are_no_answer() {
    run(async {
        let upstream = Upstream::new(|mut client, number, notes| async move {
            client.head().await;
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            if number == 0 {
                // It comes when the connection lies in the pool.
                tokio::time::sleep(Duration::from_millis(5)).await;
                client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison").await;
                notes.borrow_mut().push("poisoned".to_owned());
                client.rest().await;
            }
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(client.until("\r\n\r\nok").await.starts_with("HTTP/1.1 200 OK\r\n"));
        until(|| upstream.notes.borrow().len() == 1).await;
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.head().await;
        assert_eq!(client.bytes(2).await, b"ok");
        assert_eq!(upstream.connections.get(), 2);
    });
}

#[test]
fn ambiguous_answers_are_not_passed_on() {
    run(async {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            "nonsense",
        ] {
            let upstream = Upstream::answering(answer).await;
            let bed = Bed::new(&[upstream.address]).await;
            let seen = bed.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert!(seen.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer:?}: {seen}");
            bed.ended(&["upstream-invalid"]).await;
        }
    });
}

async fn echo(mut client: Client) {
    while let Some(head) = client.try_head().await {
        let (content, trailers) = if header(&head, "transfer-encoding").is_some() {
            client.chunked().await
        } else {
            let length = header(&head, "content-length").map_or(0, |value| value.parse().unwrap());
            (client.bytes(length).await, String::new())
        };
        client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n").await;
        for piece in content.chunks(3000) {
            client.send(format!("{:x};ext=\"y\"\r\n", piece.len()).as_bytes()).await;
            client.send(piece).await;
            client.send(b"\r\n").await;
        }
        client.send(format!("0\r\n{trailers}\r\n").as_bytes()).await;
    }
}

#[test]
fn bodies_and_trailers_come_through_however_they_are_cut() {
    run(async {
        let upstream = Upstream::new(|client, _, _| echo(client)).await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        for (size, piece) in [(0, 1), (1, 1), (10, 1), (5000, 7), (70_000, 16_384), (70_000, 65_536), (300_000, 30_001)]
        {
            bed.skip(UPSTREAM_QUIET_TIME_ONCE);
            let content: Vec<u8> = (0..size).map(|at: usize| b'a' + u8::try_from(at % 26).unwrap()).collect();
            client
                .send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
                .await;
            for piece in content.chunks(piece) {
                client.send(format!("{:X}\r\n", piece.len()).as_bytes()).await;
                client.send(piece).await;
                client.send(b"\r\n").await;
            }
            client.send(b"0\r\nX-Sum: 17\r\n\r\n").await;
            let head = client.head().await;
            assert_eq!(head, "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n");
            let (echoed, trailers) = client.chunked().await;
            assert!(echoed == content, "{size} bytes in pieces of {piece} came back as {} bytes", echoed.len());
            assert_eq!(trailers, "X-Sum: 17\r\n");

            client.send(format!("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n").as_bytes()).await;
            for piece in content.chunks(piece) {
                client.send(piece).await;
            }
            client.head().await;
            let (echoed, trailers) = client.chunked().await;
            assert!(echoed == content && trailers.is_empty());
        }
        assert_eq!(upstream.connections.get(), 1);
    });
}

#[test]
fn a_message_that_comes_byte_by_byte_is_the_same_message() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            let head = client.head().await;
            let (content, _) = client.chunked().await;
            notes.borrow_mut().push(format!(
                "{} {}",
                header(&head, "x-a").unwrap(),
                String::from_utf8(content).unwrap()
            ));
            for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-T: u\r\n\r\n" {
                client.send(&[*byte]).await;
                tokio::task::yield_now().await;
            }
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client.stream.set_nodelay(true).unwrap();
        for byte in b"POST / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" {
            client.send(&[*byte]).await;
            tokio::task::yield_now().await;
        }
        client.head().await;
        assert_eq!(client.chunked().await, (b"abc".to_vec(), "X-T: u\r\n".to_owned()));
        assert_eq!(upstream.last(), "b hi");
    });
}
