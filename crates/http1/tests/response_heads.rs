//! Which response heads are taken, and where their bodies end.

use switchover_http1::{Framing, Method, Progress, Refusal, ResponseParser, Version};

fn framing(input: &str, asked_by: Method) -> Framing {
    let mut parser = ResponseParser::new();
    let progress = parser.parse(input.as_bytes());
    assert!(matches!(progress, Ok(Progress::Complete { .. })), "{progress:?}: {input:?}");
    parser.head(input.as_bytes()).framing(asked_by)
}

#[test]
fn ambiguous_answers_are_refused() {
    use Refusal as R;
    for (input, expected) in [
        ("HTTP/1.1 200 OK\nA: b\r\n\r\n", R::BareLf),
        ("HTTP/1.1 200 O\rK\r\n\r\n", R::BareCr),
        ("HTTP/1.1 200 O\0K\r\n\r\n", R::Nul),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", R::LeadingJunk),
        ("<html>", R::LeadingJunk),
        ("HTTP/1.1  200 OK\r\n\r\n", R::StatusLine),
        ("HTTP/1.1 20 OK\r\n\r\n", R::StatusLine),
        ("HTTP/1.1 2000 OK\r\n\r\n", R::StatusLine),
        ("HTTP/1.1 099 OK\r\n\r\n", R::StatusLine),
        ("HTTP/1.1 2x0 OK\r\n\r\n", R::StatusLine),
        ("HTTP/1.1\r\n\r\n", R::StatusLine),
        ("HTTP 200 OK\r\n\r\n", R::StatusLine),
        ("HTTP/2.0 200 OK\r\n\r\n", R::Version),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", R::ObsoleteFold),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", R::LengthAndCoding),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", R::ContentLengthRepeated),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", R::CodingUnknown),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", R::CodingInHttp10),
    ] {
        assert_eq!(ResponseParser::new().parse(input.as_bytes()), Err(expected), "{input:?}");
    }
}

#[test]
fn the_body_of_an_answer_ends_as_its_status_and_request_say() {
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n";
    let plain = "HTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(framing(length, Method::Get), Framing::Length(5));
    assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Method::Get), Framing::Empty);
    assert_eq!(framing(chunked, Method::Get), Framing::Chunked);
    assert_eq!(framing(plain, Method::Get), Framing::UntilClose);
    for input in [length, chunked, plain] {
        assert_eq!(framing(input, Method::Head), Framing::Empty);
        assert_eq!(framing(input, Method::Connect), Framing::Tunnel);
        for status in ["100", "103", "204", "304"] {
            assert_eq!(framing(&input.replace("200", status), Method::Get), Framing::Empty);
        }
        assert_eq!(framing(&input.replace("200", "101"), Method::Get), Framing::Tunnel);
    }
    assert_eq!(framing("HTTP/1.1 407 No\r\nContent-Length: 5\r\n\r\n", Method::Connect), Framing::Length(5));
}

#[test]
fn status_lines_of_common_servers_are_taken() {
    for (input, status, reason, version) in [
        ("HTTP/1.0 200 OK\r\n\r\n", 200, "OK", Version::Http10),
        ("HTTP/1.1 404 \r\n\r\n", 404, "", Version::Http11),
        ("HTTP/1.1 599\r\n\r\n", 599, "", Version::Http11),
        ("HTTP/1.1 200 It is  fine\r\n\r\n", 200, "It is  fine", Version::Http11),
    ] {
        let mut parser = ResponseParser::new();
        assert!(parser.parse(input.as_bytes()).is_ok(), "{input:?}");
        let head = parser.head(input.as_bytes());
        assert_eq!((head.status(), head.reason(), head.version()), (status, reason.as_bytes(), version));
    }
}
