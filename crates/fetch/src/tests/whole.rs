//! Answers that are whole, those that are not, and what is no answer.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::other_side::{WIDE, answered, other_side, request, url};
use crate::{Bounds, Client, FetchError, Method, Request};

#[tokio::test]
async fn a_request_goes_out_as_it_was_meant_and_its_answer_comes_back_whole() {
    let (address, side) = other_side(|mut stream: TcpStream| async move {
        let read = request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 202 Accepted\r\nLocation: /later\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
        read
    })
    .await;
    let asked = Request::new(Method::Post, url(address, "/hooks?a=b")).body("application/json", "{}");
    let asked = asked.field("x-release", "r-1").unwrap().bearer("secret").unwrap();
    let answer = Client::new().fetch(asked, WIDE).await.unwrap();
    assert_eq!((answer.status, answer.text().as_str(), answer.field("location")), (202, "hello", Some("/later")));
    assert!(answer.is_success());
    let read = side.await.unwrap();
    let (head, body) = read.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("post /hooks?a=b http/1.1\r\n"), "{head}");
    for line in [
        &format!("host: {address}"),
        "content-length: 2",
        "content-type: application/json",
        "x-release: r-1",
        "authorization: bearer secret",
        "connection: close",
    ] {
        assert!(head.lines().any(|read| read == line), "{line} in {head}");
    }
    assert_eq!(body, "{}");
}

#[tokio::test]
async fn a_body_ends_with_its_length_its_chunks_or_the_connection() {
    for (answer, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nA: b\r\n\r\n", "abc"),
        ("HTTP/1.1 200 OK\r\n\r\nabc", "abc"),
        ("HTTP/1.0 200 OK\r\n\r\n", ""),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc"),
    ] {
        assert_eq!(answered(answer, WIDE).await.unwrap().text(), body, "{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_none() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let error = answered(answer, WIDE).await.unwrap_err();
        assert!(matches!(error, FetchError::BrokenOff(_)), "{answer:?}: {error:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_told_so() {
    for answer in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n".as_bytes(),
        b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    ] {
        let error = answered(answer, WIDE).await.unwrap_err();
        assert!(matches!(error, FetchError::NotHttp(_)), "{}: {error:?}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    for (to, told) in [
        ("Location: https://u:p@b.example/x?key=1\r\n", "https://b.example/x?…"),
        ("Location: /login?token=1\r\n", "/login"),
        ("Location: //u:p@b.example/\r\n", "a place that is no URL"),
        ("", "nowhere"),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let error =
                answered(format!("HTTP/1.1 {status} R\r\n{to}Content-Length: 0\r\n\r\n"), WIDE).await.unwrap_err();
            let FetchError::Redirected { status: seen, to } = error else { panic!("{error:?}") };
            assert_eq!((seen, to.as_str()), (status, told));
        }
    }
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_refused_and_a_name_that_is_none_not_found() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Client::new().fetch(Request::new(Method::Get, url(address, "/")), WIDE).await.unwrap_err();
    let FetchError::Connect { place, cause } = error else { panic!("{error:?}") };
    assert_eq!((place, cause.kind()), (address.to_string(), std::io::ErrorKind::ConnectionRefused));
    // RFC 6761 6.4: `.invalid` never resolves.
    let nowhere = Request::new(Method::Get, "http://nowhere.invalid/".parse().unwrap());
    let error = Client::new().fetch(nowhere, WIDE).await.unwrap_err();
    assert!(matches!(error, FetchError::Name { .. } | FetchError::ConnectTimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn a_connection_reset_in_the_answer_breaks_it_off() {
    let (address, side) = other_side(|mut stream: TcpStream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab").await.unwrap();
        stream.set_zero_linger().unwrap();
    })
    .await;
    let error = Client::new().fetch(Request::new(Method::Get, url(address, "/")), WIDE).await.unwrap_err();
    side.await.unwrap();
    assert!(matches!(error, FetchError::BrokenOff(_)), "{error:?}");
}

#[tokio::test]
async fn a_head_is_taken_without_waiting_for_its_body() {
    for body in ["Content-Length: 9000000\r\n\r\nbegun", "Transfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n"] {
        let (address, side) = other_side(move |mut stream: TcpStream| async move {
            request(&mut stream).await;
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{body}").as_bytes()).await.unwrap();
            // Open until the client has had enough.
            stream.read(&mut [0; 1]).await
        })
        .await;
        let asked = Request::new(Method::Get, url(address, "/"));
        let answer = Client::new().fetch_head(asked, Bounds { answer_bytes: 0, ..WIDE }).await.unwrap();
        assert!(answer.is_success() && answer.body.is_empty(), "{answer:?}");
        let _ = side.await.unwrap();
    }
}
