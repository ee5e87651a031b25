//! What is secret is sent and never shown.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::other_side::{WIDE, other_side, request};
use crate::{BadField, Client, Method, Request};

fn asked(url: &str) -> Request {
    Request::new(Method::Get, url.parse().unwrap())
}

#[tokio::test]
async fn a_user_and_password_of_a_url_are_sent_as_basic_authorization_and_nowhere_else() {
    let (address, side) = other_side(|mut stream: TcpStream| async move {
        let read = request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        read
    })
    .await;
    // RFC 7617 2: the example of Aladdin, with a blank and a colon that a URL escapes.
    let asked = asked(&format!("http://Aladdin:open%20sesame@{address}/"));
    Client::new().fetch(asked, WIDE).await.unwrap();
    let read = side.await.unwrap().to_lowercase();
    assert!(read.contains("authorization: basic qwxhzgrpbjpvcgvuihnlc2ftzq==\r\n"), "{read}");
    assert!(read.contains(&format!("host: {address}\r\n")) && !read.contains("aladdin"), "{read}");
}

#[tokio::test]
async fn no_secret_is_shown() {
    let request = asked("http://user:hunter2@127.0.0.1:1/a?key=hunter3").field("x-key", "hunter4").unwrap();
    let request = request.body("text/plain", "hunter5");
    let shown = format!("{request:?} {}", request.url());
    let error = Client::new().fetch(request, WIDE).await.unwrap_err();
    let refused = asked("http://a.example/").field("x-key", "hunter6\r\n").unwrap_err();
    let twice = asked("http://user:hunter7@a.example/").bearer("hunter8").unwrap_err();
    let shown = format!("{shown} {error} {error:?} {refused} {refused:?} {twice} {twice:?}");
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("x-key") && shown.contains("127.0.0.1:1"), "{shown}");
}

#[test]
fn a_field_that_would_say_something_else_is_refused() {
    let plain = || asked("http://a.example/");
    for name in ["Host", "content-length", "Transfer-Encoding", "connection", "a b", "", "a:b"] {
        assert_eq!(plain().field(name, "1").unwrap_err(), BadField::Name(name.to_owned()));
    }
    assert_eq!(plain().field("a", "1\nb: 2").unwrap_err(), BadField::Value("a".to_owned()));
    assert_eq!(plain().bearer("a\r\nb").unwrap_err(), BadField::Value("authorization".to_owned()));
    assert_eq!(plain().field("a", "1").unwrap().field("A", "2").unwrap_err(), BadField::Twice("A".to_owned()));
    assert!(plain().field("accept", "text/plain").is_ok());
}
