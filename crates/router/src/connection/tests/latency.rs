//! What is measured as an arm's latency: the instance's time, and not its client's.

use std::ops::Range;
use std::time::Duration;

use socket2::SockRef;
use switchover_model::histogram::middle;
use switchover_model::seam::ArmMeasured;

use super::bed::{Bed, Client, TEST_TIME, Upstream, run, until};

/// What a client takes: four times that is no time-out. The lane's time is moved by that much, so no test waits for it.
const SLOW: Duration = Duration::from_secs(60);
/// What an instance takes.
const THOUGHT: Duration = Duration::from_secs(30);
/// More than the buffers of the kernel on both sides and ours keep from a client that does not read.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// More than they keep from an instance that does not read.
const BODY_BYTES: usize = 32 * 1024 * 1024;

fn measured(bed: &Bed) -> Option<ArmMeasured> {
    let app = "shop".parse().unwrap();
    let (_, readings) = bed.lane.look(Some(&app)).measured?;
    readings.into_iter().map(|reading| reading.measured).find(|arm| arm.latency.total() > 0)
}

/// Waits for `count` requests to be measured, and holds each against so much time of the instance. What a test itself takes
/// is added to it: that is never longer than a test may be, and a client is slower than that.
async fn assert_each_took(bed: &Bed, count: u64, instance: Duration) {
    until(|| measured(bed).is_some_and(|arm| arm.latency.total() == count)).await;
    // A bucket's middle is within 0.8 % of what was counted in it.
    let expected: Range<f64> = 0.99 * instance.as_secs_f64()..1.01 * (instance + TEST_TIME).as_secs_f64();
    for (bucket, _) in measured(bed).unwrap().latency.counts() {
        let took = middle(*bucket) / 1e6;
        assert!(expected.contains(&took), "measured {took} s, the instance took {instance:?}");
    }
}

/// Waits until the router can not pass on what it has read: it keeps a buffer, and goes on doing so while everybody else here has
/// nothing left to do.
async fn until_held_up(bed: &Bed) {
    const TURNS: usize = 50;
    let mut turns = 0;
    while turns < TURNS {
        tokio::time::sleep(Duration::from_millis(1)).await;
        turns = if bed.lane.io().held_buffers() == 1 { turns + 1 } else { 0 };
    }
}

/// Reads a head, then stands still for a while again and again, and then reads all.
async fn read_slowly(bed: &Bed, client: &mut Client) {
    client.head().await;
    for _ in 0..3 {
        until_held_up(bed).await;
        bed.skip(SLOW);
        client.bytes(64 * 1024).await;
    }
}

#[test]
fn a_client_that_takes_its_answer_slowly_is_no_slow_instance() {
    let length: &str = &format!("Content-Length: {ANSWER_BYTES}\r\n");
    for (version, framing) in [("1.1", length), ("1.0", length), ("1.1", ""), ("1.0", "")] {
        let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{framing}\r\n");
        run(async {
            let upstream = Upstream::new(move |mut client, _, _| {
                let answer = answer.clone();
                async move {
                    client.head().await;
                    client.send(answer.as_bytes()).await;
                    client.send(&vec![b'x'; ANSWER_BYTES]).await;
                }
            })
            .await;
            let bed = Bed::new(&[upstream.address]).await;
            let mut client = bed.narrow_client().await;
            client.send(format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).await;
            read_slowly(&bed, &mut client).await;
            client.rest().await;
            bed.ended(&["answered 2xx"]).await;
            assert_each_took(&bed, 1, Duration::ZERO).await;
        });
    }
}

#[test]
fn a_client_that_leaves_an_answer_which_it_took_slowly_waited_for_the_rest_of_the_time_alone() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            client.head().await;
            notes.borrow_mut().push("asked".to_owned());
            until(|| notes.borrow().len() == 2).await;
            client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY_BYTES}\r\n\r\n").as_bytes()).await;
            // Its client leaves in the middle.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, &vec![b'x'; BODY_BYTES]).await;
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.narrow_client().await;
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        until(|| upstream.notes.borrow().len() == 1).await;
        bed.skip(THOUGHT);
        upstream.notes.borrow_mut().push("go on".to_owned());
        read_slowly(&bed, &mut client).await;
        until_held_up(&bed).await;
        bed.skip(SLOW);
        SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        bed.ended(&["aborted"]).await;
        assert_each_took(&bed, 1, THOUGHT).await;
    });
}

/// An instance that notes the word `half`, and answers when that has come twice.
async fn takes_two_halves() -> Upstream {
    Upstream::new(|mut client, _, notes| async move {
        while client.try_head().await.is_some() {
            for _ in 0..2 {
                client.until("half").await;
                notes.borrow_mut().push("half".to_owned());
            }
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
            client.rest().await;
        }
    })
    .await
}

#[test]
fn a_client_that_sends_its_body_slowly_is_no_slow_instance() {
    let chunked = ["Transfer-Encoding: chunked", "4\r\nhalf\r\n", "4\r\nhalf\r\n0\r\n\r\n"];
    for [framing, first, second] in [["Content-Length: 8", "half", "half"], chunked] {
        run(async {
            let upstream = takes_two_halves().await;
            let bed = Bed::new(&[upstream.address]).await;
            let mut client = bed.client().await;
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n").as_bytes()).await;
            until(|| upstream.connections.get() == 1).await;
            bed.skip(SLOW);
            client.send(first.as_bytes()).await;
            until(|| upstream.notes.borrow().len() == 1).await;
            bed.skip(SLOW);
            client.send(second.as_bytes()).await;
            client.head().await;
            bed.ended(&["answered 2xx"]).await;
            assert_each_took(&bed, 1, Duration::ZERO).await;
        });
    }
}

#[test]
fn what_an_instance_thinks_and_drips_is_its_time() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            client.head().await;
            client.bytes(4).await;
            notes.borrow_mut().push("asked".to_owned());
            until(|| notes.borrow().len() == 2).await;
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha").await;
            until(|| notes.borrow().len() == 3).await;
            client.send(b"lf").await;
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nhalf").await;
        until(|| upstream.notes.borrow().len() == 1).await;
        bed.skip(THOUGHT);
        upstream.notes.borrow_mut().push("answer".to_owned());
        client.until("ha").await;
        bed.skip(THOUGHT);
        upstream.notes.borrow_mut().push("end".to_owned());
        client.until("lf").await;
        bed.ended(&["answered 2xx"]).await;
        assert_each_took(&bed, 1, 2 * THOUGHT).await;
    });
}

#[test]
fn what_an_instance_takes_to_read_the_body_is_its_time() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            client.head().await;
            until(|| notes.borrow().len() == 1).await;
            client.bytes(BODY_BYTES).await;
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY_BYTES}\r\n\r\n").as_bytes()).await;
        let sends = async {
            client.send(&vec![b'x'; BODY_BYTES]).await;
            client.head().await;
        };
        let waits = async {
            until_held_up(&bed).await;
            bed.skip(THOUGHT);
            upstream.notes.borrow_mut().push("go on".to_owned());
        };
        tokio::join!(sends, waits);
        bed.ended(&["answered 2xx"]).await;
        assert_each_took(&bed, 1, THOUGHT).await;
    });
}

#[test]
fn of_two_that_are_slow_the_instances_part_is_measured() {
    run(async {
        let upstream = Upstream::new(|mut client, _, notes| async move {
            client.head().await;
            client.bytes(8).await;
            notes.borrow_mut().push("asked".to_owned());
            until(|| notes.borrow().len() == 2).await;
            client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", ANSWER_BYTES + 3).as_bytes()).await;
            client.send(&vec![b'x'; ANSWER_BYTES]).await;
            until(|| notes.borrow().len() == 3).await;
            client.send(b"end").await;
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.narrow_client().await;
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf").await;
        until(|| upstream.connections.get() == 1).await;
        bed.skip(SLOW);
        client.send(b"half").await;
        until(|| upstream.notes.borrow().len() == 1).await;
        bed.skip(THOUGHT);
        upstream.notes.borrow_mut().push("answer".to_owned());
        read_slowly(&bed, &mut client).await;
        client.bytes(ANSWER_BYTES - 3 * 64 * 1024).await;
        bed.skip(THOUGHT);
        upstream.notes.borrow_mut().push("end".to_owned());
        client.until("end").await;
        bed.ended(&["answered 2xx"]).await;
        assert_each_took(&bed, 1, 2 * THOUGHT).await;
    });
}

/// A client that waits for leave; the instance says `first` when told to, and 200 when the body has come.
async fn expecting(first: &'static str) -> (Upstream, Bed, Client) {
    let upstream = Upstream::new(move |mut client, _, notes| async move {
        client.head().await;
        notes.borrow_mut().push("asked".to_owned());
        until(|| notes.borrow().len() == 2).await;
        client.send(first.as_bytes()).await;
        client.until("body").await;
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let bed = Bed::new(&[upstream.address]).await;
    let mut client = bed.client().await;
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").await;
    until(|| upstream.notes.borrow().len() == 1).await;
    (upstream, bed, client)
}

#[test]
fn a_client_that_waits_for_100_waits_for_the_instance_until_then() {
    run(async {
        let (upstream, bed, mut client) = expecting("HTTP/1.1 100 Continue\r\n\r\n").await;
        bed.skip(THOUGHT);
        upstream.notes.borrow_mut().push("go on".to_owned());
        client.head().await;
        bed.skip(SLOW);
        client.send(b"body").await;
        client.head().await;
        assert_each_took(&bed, 1, THOUGHT).await;
    });
}

#[test]
fn a_client_that_waits_for_100_and_sends_without_it_chose_how_long() {
    run(async {
        let (upstream, bed, mut client) = expecting("").await;
        bed.skip(SLOW);
        upstream.notes.borrow_mut().push("go on".to_owned());
        client.send(b"body").await;
        client.head().await;
        assert_each_took(&bed, 1, Duration::ZERO).await;
    });
}

#[test]
fn an_answer_instead_of_100_took_its_time_unless_it_says_that_the_body_was_waited_for() {
    const REFUSED: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    const TIMED_OUT: &str = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
    for (answer, took) in [(REFUSED, THOUGHT), (TIMED_OUT, Duration::ZERO)] {
        run(async {
            let (upstream, bed, mut client) = expecting(answer).await;
            bed.skip(THOUGHT);
            upstream.notes.borrow_mut().push("go on".to_owned());
            client.head().await;
            assert_each_took(&bed, 1, took).await;
        });
    }
}

#[test]
fn a_request_that_is_sent_again_leaves_out_what_its_client_took_before() {
    run(async {
        let upstream = Upstream::new(|mut client, number, notes| async move {
            let mut asked = 0;
            while client.try_head().await.is_some() {
                asked += 1;
                notes.borrow_mut().push(format!("{number}"));
                if number == 0 && asked == 2 {
                    // Closes an idle connection, as it believes.
                    return until(|| notes.borrow().len() == 3).await;
                }
                if number == 1 {
                    client.until("body").await;
                }
                client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        })
        .await;
        let bed = Bed::new(&[upstream.address]).await;
        let mut client = bed.client().await;
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.head().await;
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n").await;
        until(|| upstream.notes.borrow().len() == 2).await;
        bed.skip(SLOW);
        upstream.notes.borrow_mut().push("close".to_owned());
        until(|| upstream.connections.get() == 2).await;
        bed.skip(SLOW);
        client.send(b"body").await;
        client.head().await;
        bed.ended(&["answered 2xx", "answered 2xx"]).await;
        assert_each_took(&bed, 2, Duration::ZERO).await;
    });
}
