//! Bodies move as they come, both ways, and nothing is kept back.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::bed::{Bed, Upstream, header, run, until};
use crate::connection::bounds::{LAST_ROUTED_TIME, STREAM_IDLE_TIME};

#[test]
fn each_part_of_a_stream_arrives_before_the_next_is_sent() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            client.head().await;
            for _ in 0..3 {
                let line = client.until("\n").await;
                notes.borrow_mut().push(line);
            }
            client
                .send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            for number in 0..3 {
                client.send(format!("9\r\ndata: {number}\n\n\r\n").as_bytes()).await;
                // The next event follows only when the client has said that it saw this one.
                let seen = client.until("\n").await;
                notes.borrow_mut().push(seen);
            }
            client.send(b"0\r\n\r\n").await;
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n").await;
        for number in 0..3 {
            client.send(format!("{number}\n").as_bytes()).await;
            until(|| upstream.notes.borrow().len() == number + 1).await;
        }
        let head = client.head().await;
        assert_eq!(header(&head, "content-type"), Some("text/event-stream"));
        for number in 0..3 {
            assert_eq!(client.until("\n\n\r\n").await, format!("9\r\ndata: {number}\n\n\r\n"));
            client.send(format!("{number}\n").as_bytes()).await;
        }
        assert_eq!(client.rest().await, "0\r\n\r\n");
        assert_eq!(*upstream.notes.borrow(), ["0\n", "1\n", "2\n", "0\n", "1\n", "2\n"]);
        bed.ended(&["answered 2xx"]).await;
    });
}

#[test]
fn a_slow_reader_slows_the_sender_down() {
    const SIZE: usize = 64 * 1024 * 1024;
    run(async {
        let written = Rc::new(Cell::new(0));
        let counting = Rc::clone(&written);
        let upstream = Upstream::new(move |mut client, _, _| {
            let counting = Rc::clone(&counting);
            async move {
                client.head().await;
                client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).await;
                let piece = vec![b'x'; 64 * 1024];
                while counting.get() < SIZE {
                    client.stream.write_all(&piece).await.unwrap();
                    counting.set(counting.get() + piece.len());
                }
            }
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.head().await;
        // It comes to a stop while nobody reads: kernel buffers are full, and we hold one buffer.
        let mut before = usize::MAX;
        while before != written.get() {
            before = written.get();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(before < SIZE / 2, "{before} bytes were taken from the instance while the client read none");
        assert_eq!(bed.lane.io().held_buffers(), 1);
        let mut left = SIZE;
        while left > 0 {
            left -= client.bytes(left.min(1024 * 1024)).await.len();
        }
        bed.ended(&["answered 2xx"]).await;
    });
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    run(async {
        let upstream = Upstream::new(|mut client, _, _| async move {
            client.head().await;
            client.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge").await;
            // Closed with unread bytes: its kernel answers the rest of the upload with a reset.
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        for _ in 0..20 {
            let mut client = bed.client().await;
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n").await;
            // A client that does not read before it has sent everything.
            client.send(&vec![b'x'; 8 * 1024 * 1024]).await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 413 Content Too Large\r\n"), "{head}");
            assert_eq!(header(&head, "connection"), Some("close"));
            assert_eq!(client.bytes(5).await, b"large");
            assert_eq!(client.rest().await, "");
        }
        bed.ended(&["answered 4xx"; 20]).await;
    });
}

#[test]
fn a_client_that_waits_for_100_gets_it_from_the_instance() {
    run(async {
        let upstream = Upstream::new(|mut client, number, notes| async move {
            while let Some(head) = client.try_head().await {
                assert_eq!(header(&head, "expect"), Some("100-continue"));
                if number == 0 {
                    client.send(b"HTTP/1.1 100 Continue\r\n\r\n").await;
                    let body = client.bytes(5).await;
                    notes.borrow_mut().push(String::from_utf8(body).unwrap());
                    client
                        .send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n")
                        .await;
                    client.send(b"Connection: close\r\n\r\n").await;
                    return;
                }
                client.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n").await;
            }
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        let request = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        client.send(request).await;
        assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.send(b"hello").await;
        assert_eq!(client.head().await, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(upstream.last(), "hello");
        client.send(request).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 417 "), "{head}");
        assert_eq!(header(&head, "connection"), Some("close"), "the body will not come");
        bed.ended(&["answered 2xx", "answered 4xx"]).await;
    });
}

#[test]
fn a_client_that_has_ended_its_side_gets_its_answer() {
    run(async {
        let upstream = Upstream::new(|mut client, _, _| async move {
            client.head().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            client.rest().await;
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let answer = bed.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(answer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        bed.ended(&["answered 2xx"]).await;
    });
}

#[test]
fn a_client_that_has_ended_its_side_may_wait_as_long_as_others() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            client.head().await;
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no").await;
            until(|| !notes.borrow().is_empty()).await;
            client.send(b"k").await;
            client.rest().await;
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.stream.shutdown().await.unwrap();
        client.until("\r\n\r\no").await;
        for _ in 0..9 {
            // Gives the router the time to act on what it sees; together it is less than the time of a stream.
            tokio::time::sleep(Duration::from_millis(10)).await;
            bed.skip(STREAM_IDLE_TIME / 10);
        }
        upstream.notes.borrow_mut().push("go on".to_owned());
        assert_eq!(client.rest().await, "k");
        bed.ended(&["answered 2xx"]).await;
    });
}

#[test]
fn an_answer_that_begins_while_the_upload_is_held_up_goes_on_with_it() {
    const SIZE: usize = 32 * 1024 * 1024;
    run(async {
        let upstream = Upstream::new(|mut client, _, _| async move {
            client.head().await;
            // The upload fills every buffer on the way before the answer begins.
            tokio::time::sleep(Duration::from_millis(300)).await;
            client.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\nbegin-").await;
            let mut left = SIZE;
            while left > 0 {
                left -= client.bytes(left.min(1024 * 1024)).await.len();
            }
            client.send(b"ended.").await;
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).await;
        client.send(&vec![b'x'; SIZE]).await;
        client.head().await;
        client.head().await;
        assert_eq!(client.bytes(12).await, b"begin-ended.");
        bed.ended(&["answered 2xx"]).await;
    });
}

#[test]
fn behind_an_answer_that_outlives_the_end_of_the_router_no_request_is_routed_by_its_old_table() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            while let Some(head) = client.try_head().await {
                notes.borrow_mut().push(head);
                client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok").await;
                until(|| notes.borrow().len() == 2).await;
                client.send(b"ok").await;
            }
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let head = client.until("ok").await;
        assert!(!head.contains("Connection: close"), "nothing has ended yet: {head}");
        bed.lane.io().begin_closing();
        bed.skip(LAST_ROUTED_TIME);
        client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await;
        upstream.notes.borrow_mut().push("go on".to_owned());
        let answers = client.rest().await;
        assert!(answers.starts_with("okHTTP/1.1 503 ") && answers.contains("\r\nRetry-After: "), "{answers}");
        assert_eq!(upstream.notes.borrow().len(), 2, "nobody was asked for the next one");
    });
}
