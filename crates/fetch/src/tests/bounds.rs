//! Every bound holds, against other sides that would go on for ever.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::other_side::{WIDE, answered, other_side, request, url};
use crate::{Bounds, Client, FetchError, HEAD_BYTES, HEAD_FIELDS, Method, Request};

const SHORT: Duration = Duration::from_millis(150);

/// What a client with short time makes of an other side that writes `first` and then `again` for ever, slowly.
async fn dripped(first: &'static str, again: &'static str) -> FetchError {
    let (address, side) = other_side(move |mut stream: TcpStream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(first.as_bytes()).await;
        loop {
            if !again.is_empty() && stream.write_all(again.as_bytes()).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let bounds = Bounds { whole: SHORT, ..WIDE };
    let error = Client::new().fetch(Request::new(Method::Get, url(address, "/")), bounds).await.unwrap_err();
    side.abort();
    error
}

#[tokio::test]
async fn a_slow_other_side_is_waited_for_no_longer_than_said() {
    for (first, again) in [
        ("", ""),
        ("HTTP/1.1 200 OK\r\n", ""),
        ("HTTP/1.1 200 OK\r\nX: ", "a"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "a"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "a"),
    ] {
        let error = dripped(first, again).await;
        assert!(matches!(error, FetchError::TimedOut(limit) if limit == SHORT), "{first:?} {again:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_endless_body_is_read_to_its_bound() {
    let (address, side) = other_side(|mut stream: TcpStream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
    })
    .await;
    let bounds = Bounds { answer_bytes: 10_000, ..WIDE };
    let error = Client::new().fetch(Request::new(Method::Get, url(address, "/")), bounds).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLong(10_000)), "{error:?}");
    // And the connection is closed, or the other side would write for ever.
    side.await.unwrap();
}

#[tokio::test]
async fn a_body_of_just_the_bound_is_taken_and_one_byte_more_is_not() {
    let bounds = Bounds { answer_bytes: 10, ..WIDE };
    let body = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{}", "a".repeat(length));
    assert_eq!(answered(body(10), bounds).await.unwrap().body.len(), 10);
    assert!(matches!(answered(body(11), bounds).await.unwrap_err(), FetchError::TooLong(10)));
}

#[tokio::test]
async fn a_head_has_a_length_and_a_number_of_fields() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(HEAD_BYTES));
    let endless = "HTTP/1.1 200 OK\r\nX: ".to_owned() + &"a".repeat(HEAD_BYTES * 2);
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(HEAD_FIELDS + 1));
    for answer in [long, endless, many] {
        let error = answered(answer, WIDE).await.unwrap_err();
        assert!(matches!(error, FetchError::HeadTooLong), "{error:?}");
    }
    let most = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "X: a\r\n".repeat(HEAD_FIELDS - 1));
    assert_eq!(answered(most, WIDE).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_connection_that_nobody_takes_up_is_given_up() {
    // TLS that is never answered: the connection is there, the handshake is not.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = Client::trusting(rustls::RootCertStore::empty());
    let asked = Request::new(Method::Get, format!("https://{address}/").parse().unwrap());
    let error = client.fetch(asked, Bounds { connect: SHORT, ..WIDE }).await.unwrap_err();
    let FetchError::ConnectTimedOut { limit, .. } = error else { panic!("{error:?}") };
    assert_eq!(limit, SHORT);
}

#[tokio::test]
async fn an_other_side_that_does_not_read_holds_nobody_up() {
    let (address, side) = other_side(|stream: TcpStream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let asked = Request::new(Method::Post, url(address, "/")).body("text/plain", vec![b'a'; 64 << 20]);
    let error = Client::new().fetch(asked, Bounds { whole: SHORT, ..WIDE }).await.unwrap_err();
    side.abort();
    assert!(matches!(error, FetchError::TimedOut(_)), "{error:?}");
}

#[tokio::test]
async fn a_request_that_is_dropped_closes_its_connection() {
    let (address, side) = other_side(|mut stream: TcpStream| async move {
        request(&mut stream).await;
        stream.read(&mut [0; 1]).await.map_or(0, |read| read)
    })
    .await;
    let client = Client::new();
    let asked = client.fetch(Request::new(Method::Get, url(address, "/")), WIDE);
    assert!(tokio::time::timeout(SHORT, asked).await.is_err());
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), side).await.unwrap().unwrap(), 0);
}
