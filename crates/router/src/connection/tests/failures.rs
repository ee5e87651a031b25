//! Instances that do not answer, clients that go away, and what is told and counted then.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::bed::{Bed, Upstream, header, run, until};
use crate::connection::bounds::{
    ANSWER_HEAD_TIME, CONNECT_TIME, HEAD_TIME, IDLE_TIME, STREAM_IDLE_TIME, UPSTREAM_DISTRUST_TIME,
    UPSTREAM_QUIET_TIME_ONCE,
};
use crate::connection::roster::GIVE_WAY_AFTER_MS;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

/// An address where nobody listens.
async fn nobody() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[test]
fn a_refused_connect_goes_to_the_next_instance() {
    run(async {
        let upstream = Upstream::answering(OK).await;
        let bed = Bed::new(&[nobody().await, nobody().await, upstream.address]).await;
        assert_eq!(bed.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await, OK);
        bed.ended(&["answered 2xx"]).await;
    });
}

/// A listener whose queue is full: connects to it wait, as they do to a machine that is gone.
struct Full {
    address: std::net::SocketAddr,
    _held: Vec<socket2::Socket>,
}

impl Full {
    fn new() -> Self {
        let socket = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        let listener = socket();
        listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into()).expect("a port");
        listener.listen(0).expect("listens");
        let address = listener.local_addr().expect("bound");
        let mut held = vec![listener];
        for _ in 0..4 {
            let filling = socket();
            filling.set_nonblocking(true).expect("a socket option");
            // Comes through or waits: either way it takes the room.
            let _ = filling.connect(&address);
            held.push(filling);
        }
        Self { address: address.as_socket().expect("an IPv4 address"), _held: held }
    }
}

#[test]
fn a_connect_that_takes_too_long_goes_to_the_next_instance() {
    run(async {
        let upstream = Upstream::answering(OK).await;
        let full = Full::new();
        for (upstreams, expected, end) in [
            (vec![full.address, upstream.address], "HTTP/1.1 200 OK\r\n", "answered 2xx"),
            (vec![full.address], "HTTP/1.1 504 Gateway Timeout\r\n", "connect-timeout"),
        ] {
            let bed = Bed::new(&upstreams).await;
            let mut client = bed.client().await;
            client.send(GET.as_bytes()).await;
            until(|| bed.in_flight().0 == 1).await;
            bed.skip(CONNECT_TIME);
            let head = client.head().await;
            assert!(head.starts_with(expected), "{head}");
            bed.ended(&[end]).await;
        }
    });
}

#[test]
fn when_no_instance_takes_the_connection_that_is_said() {
    run(async {
        let bed = Bed::new(&[nobody().await]).await;
        let answer = bed.ask(GET).await;
        assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
        let bed_of_none = Bed::new(&[]).await;
        let answer = bed_of_none.ask(GET).await;
        assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
        assert_eq!(header(answer.split("\r\n\r\n").next().unwrap(), "retry-after"), Some("2"));
        bed.ended(&["connect-failed"]).await;
        bed_of_none.ended(&["no-healthy-instance"]).await;
    });
}

/// Answers the first request of each connection, reads a second one and closes without a word.
async fn closes_on_the_second() -> Upstream {
    Upstream::new(|mut client, _, notes| async move {
        let head = client.head().await;
        notes.borrow_mut().push(head.split(' ').next().unwrap().to_owned());
        client.send(OK.as_bytes()).await;
        client.try_head().await;
    })
    .await
}

#[test]
fn an_idempotent_request_on_a_closed_connection_is_sent_once_more() {
    run(async {
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"] {
            let upstream = closes_on_the_second().await;
            let bed = Bed::new(&[upstream.address]).await;
            for round in 1..=3 {
                let body = if method == "PUT" { "Content-Length: 2\r\n\r\nhi" } else { "\r\n" };
                let answer = bed.ask(&format!("{method} / HTTP/1.1\r\nHost: a\r\n{body}")).await;
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{method}: {answer}");
                assert_eq!(upstream.notes.borrow().len(), round);
            }
            assert_eq!(upstream.connections.get(), 3);
            bed.ended(&["answered 2xx"; 3]).await;
        }
    });
}

#[test]
fn a_request_that_may_have_had_an_effect_is_not_sent_twice() {
    run(async {
        let upstream = closes_on_the_second().await;
        let bed = Bed::new(&[upstream.address]).await;
        assert_eq!(bed.ask(GET).await, OK);
        bed.skip(UPSTREAM_QUIET_TIME_ONCE);
        let answer = bed.ask(POST).await;
        assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
        assert_eq!(upstream.connections.get(), 1);
        bed.ended(&["answered 2xx", "upstream-closed"]).await;
    });
}

#[test]
fn a_request_that_may_not_be_sent_twice_goes_on_no_connection_whose_end_may_be_on_its_way() {
    run(async {
        let upstream = closes_on_the_second().await;
        let bed = Bed::new(&[upstream.address]).await;
        assert_eq!(bed.ask(GET).await, OK);
        // Not quiet for long enough.
        assert_eq!(bed.ask(POST).await, OK);
        assert_eq!(upstream.connections.get(), 2);
        bed.skip(UPSTREAM_QUIET_TIME_ONCE);
        assert!(bed.ask(POST).await.starts_with("HTTP/1.1 502 "));
        // Once is enough to know such an instance.
        for count in 3..=5 {
            bed.skip(UPSTREAM_QUIET_TIME_ONCE);
            assert_eq!(bed.ask(POST).await, OK);
            assert_eq!(upstream.connections.get(), count);
        }
        bed.skip(UPSTREAM_DISTRUST_TIME);
        assert_eq!(bed.ask(POST).await, OK);
        bed.skip(UPSTREAM_QUIET_TIME_ONCE);
        assert!(bed.ask(POST).await.starts_with("HTTP/1.1 502 "), "the time of distrust is over");
        assert_eq!(upstream.connections.get(), 6);
    });
}

#[test]
fn connections_that_have_been_quiet_carry_requests_that_may_not_be_sent_twice() {
    run(async {
        let upstream = Upstream::answering(OK).await;
        let bed = Bed::new(&[upstream.address]).await;
        for _ in 0..5 {
            assert_eq!(bed.ask(POST).await, OK);
            bed.skip(UPSTREAM_QUIET_TIME_ONCE);
        }
        assert_eq!(upstream.connections.get(), 1);
    });
}

#[test]
fn a_body_that_has_moved_on_is_not_sent_again() {
    const SIZE: usize = 1_000_000;
    run(async {
        for reads_it in [false, true] {
            let upstream = Upstream::new(move |mut client, _, _| async move {
                client.head().await;
                client.send(OK.as_bytes()).await;
                if client.try_head().await.is_some() && reads_it {
                    client.bytes(SIZE).await;
                }
            })
            .await;
            let bed = Bed::new(&[upstream.address]).await;
            assert_eq!(bed.ask(GET).await, OK);
            let mut client = bed.client().await;
            client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).await;
            client.send(&vec![b'x'; SIZE]).await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
            assert_eq!(upstream.connections.get(), 1);
            bed.ended(&["answered 2xx", "upstream-closed"]).await;
        }
    });
}

#[test]
fn a_connection_that_the_instance_closed_while_idle_is_not_used() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            client.head().await;
            client.send(OK.as_bytes()).await;
            notes.borrow_mut().push("closed".to_owned());
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        for round in 1..=5 {
            let answer = bed.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
            assert_eq!(answer, OK);
            until(|| upstream.notes.borrow().len() == round).await;
        }
        bed.ended(&["answered 2xx"; 5]).await;
    });
}

#[test]
fn pooled_connections_are_closed_after_a_while() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            while client.try_head().await.is_some() {
                client.send(OK.as_bytes()).await;
            }
            notes.borrow_mut().push("ended".to_owned());
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        assert_eq!(bed.ask(GET).await, OK);
        assert!(upstream.notes.borrow().is_empty());
        bed.skip(Duration::from_secs(5));
        until(|| upstream.notes.borrow().len() == 1).await;
    });
}

#[test]
fn an_instance_that_breaks_off_is_told_apart_by_when() {
    run(async {
        for (sent, expected, outcome) in [
            ("", "HTTP/1.1 502 Bad Gateway\r\n", "upstream-closed"),
            ("HTTP/1.1 200 O", "HTTP/1.1 502 Bad Gateway\r\n", "upstream-closed"),
            ("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 502 ", "upstream-closed"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 200 OK\r\n", "answer-broken"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", "HTTP/1.1 200 OK\r\n", "answer-broken"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n",
                "HTTP/1.1 200 OK\r\n",
                "answer-broken",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\nzz",
                "HTTP/1.1 200 OK\r\n",
                "answer-broken",
            ),
        ] {
            for reset in [false, true] {
                let upstream = Upstream::new(move |mut client, _, _| async move {
                    client.head().await;
                    client.send(sent.as_bytes()).await;
                    // What was sent arrives before the end does.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    if reset {
                        socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
                    }
                })
                .await;
                let bed = Bed::new(&[upstream.address]).await;
                let answer = bed.ask(GET).await;
                assert!(answer.starts_with(expected), "{sent:?}: {answer}");
                assert!(!answer.ends_with("0\r\n\r\n"), "a cut answer does not look whole: {answer}");
                bed.ended(&[outcome]).await;
            }
        }
    });
}

#[test]
fn a_cut_answer_does_not_look_whole_to_an_http_1_0_client() {
    run(async {
        let upstream = Upstream::new(|mut client, _, _| async move {
            client.head().await;
            client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n").await;
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client.send(b"GET / HTTP/1.0\r\n\r\n").await;
        let mut read = Vec::new();
        let end = client.stream.read_to_end(&mut read).await;
        assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        bed.ended(&["answer-broken"]).await;
    });
}

#[test]
fn a_client_that_goes_away_frees_the_instance() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            client.head().await;
            notes.borrow_mut().push("asked".to_owned());
            assert_eq!(client.rest().await, "", "the connection ends");
            notes.borrow_mut().push("ended".to_owned());
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        // While it waits for the answer.
        let mut client = bed.client().await;
        client.send(GET.as_bytes()).await;
        until(|| upstream.notes.borrow().len() == 1).await;
        socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        until(|| upstream.notes.borrow().len() == 2).await;
        // In the middle of its own body.
        let mut client = bed.client().await;
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhal").await;
        until(|| upstream.notes.borrow().len() == 3).await;
        drop(client);
        bed.ended(&["aborted", "aborted"]).await;
    });
}

#[test]
fn a_client_that_goes_away_in_a_stream_is_noticed_by_the_next_event() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            client.head().await;
            client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            while client.stream.write_all(b"1\r\nx\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            notes.borrow_mut().push("ended".to_owned());
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client.send(GET.as_bytes()).await;
        client.head().await;
        drop(client);
        until(|| upstream.notes.borrow().len() == 1).await;
        bed.ended(&["aborted"]).await;
    });
}

#[test]
fn every_wait_has_an_end() {
    run(async {
        let silent = Upstream::new(|mut client, _, notes| async move {
            let head = client.head().await;
            if head.starts_with("GET /begin ") {
                client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n").await;
            }
            notes.borrow_mut().push("asked".to_owned());
            client.rest().await;
        })
        .await;
        let bed = Bed::new(&[silent.address]).await;
        let none_left = || bed.lane.io().open_connections() == 0;
        {
            // A head that does not end.
            let mut client = bed.client().await;
            client.send(b"GET / HT").await;
            until(|| bed.lane.io().held_buffers() == 1).await;
            bed.skip(HEAD_TIME);
            assert!(client.rest().await.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
        }
        until(none_left).await;
        {
            // A connection without a request.
            let mut client = bed.client().await;
            until(|| bed.lane.io().open_connections() == 1).await;
            bed.skip(IDLE_TIME);
            assert_eq!(client.rest().await, "");
        }
        until(none_left).await;
        {
            // An answer that does not begin.
            let mut client = bed.client().await;
            client.send(GET.as_bytes()).await;
            until(|| silent.notes.borrow().len() == 1).await;
            bed.skip(ANSWER_HEAD_TIME);
            assert!(client.head().await.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"));
        }
        {
            // An upload that stands still.
            let mut client = bed.client().await;
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhal").await;
            until(|| silent.notes.borrow().len() == 2).await;
            bed.skip(STREAM_IDLE_TIME);
            assert!(client.head().await.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
        }
        {
            // An answer that stands still.
            let mut client = bed.client().await;
            client.send(b"GET /begin HTTP/1.1\r\nHost: a\r\n\r\n").await;
            client.until("1\r\nx\r\n").await;
            bed.skip(STREAM_IDLE_TIME);
            assert_eq!(client.rest().await, "");
        }
        {
            // A stream that stands still, to a client that has ended its side: it is the instance that fails.
            let mut client = bed.client().await;
            client.send(b"GET /begin HTTP/1.1\r\nHost: a\r\n\r\n").await;
            client.until("1\r\nx\r\n").await;
            client.stream.shutdown().await.unwrap();
            // When the end is seen the time begins anew, so it may take two.
            let over = async { assert_eq!(client.rest().await, "") };
            let skips = async {
                loop {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    bed.skip(STREAM_IDLE_TIME);
                }
            };
            tokio::select! {
                () = over => {}
                () = skips => {}
            }
        }
        bed.ended(&["request-timeout", "upstream-timeout", "request-timeout", "answer-broken", "answer-broken"]).await;
    });
}

#[test]
fn too_many_connections_are_turned_away() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            client.head().await;
            notes.borrow_mut().push("asked".to_owned());
            until(|| notes.borrow().len() == 3).await;
            client.send(OK.as_bytes()).await;
        })
        .await;
        let bed = Bed::with(&[upstream.address], &[], 2).await;
        let (mut one, mut two) = (bed.client().await, bed.client().await);
        one.send(GET.as_bytes()).await;
        two.send(GET.as_bytes()).await;
        until(|| upstream.notes.borrow().len() == 2).await;
        let mut three = bed.client().await;
        three.send(GET.as_bytes()).await;
        let answer = three.rest().await;
        assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
        assert!(answer.contains("\r\nRetry-After: "), "{answer}");
        upstream.notes.borrow_mut().push("go on".to_owned());
        assert!(one.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(two.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
        bed.ended(&["too-many-connections", "answered 2xx", "answered 2xx"]).await;
        // It was for the only app there is: its users lost it.
        let seen = bed.lane.look(None);
        assert_eq!(seen.apps[0].live.own["too-many-connections"].lost, 1);
        assert_eq!(seen.nobody.accepted, 0);
    });
}

#[test]
fn connections_that_wait_for_a_request_give_way_the_oldest_first() {
    run(async {
        let upstream = Upstream::answering(OK).await;
        let bed = Bed::with(&[upstream.address], &[], 3).await;
        let sits = |count| move |bed: &Bed| bed.lane.io().open_connections() == count;
        let mut half_sent = bed.client().await;
        half_sent.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
        until(|| bed.lane.io().held_buffers() == 1).await;
        let mut silent = bed.client().await;
        until(|| sits(2)(&bed)).await;
        let mut kept = bed.client().await;
        kept.send(GET.as_bytes()).await;
        kept.until("ok").await;
        // All seats are taken, none by a request.
        bed.skip(Duration::from_millis(GIVE_WAY_AFTER_MS));
        assert_eq!(bed.ask(GET).await, OK);
        assert_eq!(half_sent.rest().await, "", "it has waited longest");
        until(|| sits(2)(&bed)).await;
        let mut fourth = bed.client().await;
        until(|| sits(3)(&bed)).await;
        bed.skip(Duration::from_millis(GIVE_WAY_AFTER_MS));
        assert_eq!(bed.ask(GET).await, OK);
        assert_eq!(silent.rest().await, "");
        kept.send(GET.as_bytes()).await;
        kept.until("ok").await;
        fourth.send(GET.as_bytes()).await;
        fourth.until("ok").await;
        bed.ended(&["request-timeout", "answered 2xx", "answered 2xx", "answered 2xx", "answered 2xx", "answered 2xx"])
            .await;
    });
}

#[test]
fn closing_ends_idle_connections_and_lets_requests_finish() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            while let Some(head) = client.try_head().await {
                notes.borrow_mut().push(head.clone());
                if head.starts_with("POST /slow ") {
                    client.until("go").await;
                }
                client.send(OK.as_bytes()).await;
            }
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut idle = bed.client().await;
        idle.send(GET.as_bytes()).await;
        idle.until("ok").await;
        let mut late = bed.client().await;
        late.send(GET.as_bytes()).await;
        late.until("ok").await;
        let mut busy = bed.client().await;
        busy.send(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n").await;
        until(|| upstream.notes.borrow().len() == 3).await;
        bed.lane.io().begin_closing();
        late.send(GET.as_bytes()).await;
        let answer = late.rest().await;
        assert!(answer.contains("Connection: close\r\n") && answer.ends_with("ok"), "it was on its way: {answer}");
        assert_eq!(idle.rest().await, "");
        busy.send(b"go").await;
        let answer = busy.rest().await;
        assert!(answer.contains("Connection: close\r\n") && answer.ends_with("ok"), "{answer}");
        until(|| bed.lane.io().open_connections() == 0).await;
    });
}
