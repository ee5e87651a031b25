//! Which request heads are taken, which are refused, and why.

use switchover_http1::{Framing, Method, Name, Progress, Refusal, RequestParser, TargetForm, Version, bounds};

fn refusal(input: &[u8]) -> Refusal {
    match RequestParser::new().parse(input) {
        Err(refusal) => refusal,
        Ok(progress) => panic!("taken as {progress:?}: {:?}", String::from_utf8_lossy(input)),
    }
}

fn with_head<R>(input: &[u8], look: impl FnOnce(switchover_http1::RequestHead<'_>) -> R) -> R {
    let mut parser = RequestParser::new();
    match parser.parse(input) {
        Ok(Progress::Complete { .. }) => look(parser.head(input)),
        other => panic!("{other:?}: {:?}", String::from_utf8_lossy(input)),
    }
}

#[test]
fn whatever_two_parsers_could_read_differently_is_refused() {
    use Refusal as R;
    let cases: &[(&str, Refusal)] = &[
        // Line ends
        ("GET / HTTP/1.1\nHost: a\n\n", R::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", R::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", R::BareLf),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", R::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", R::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\r: b\r\n\r\n", R::BareCr),
        ("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", R::BareCr),
        ("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", R::BareCr),
        ("GE\rT / HTTP/1.1\r\nHost: a\r\n\r\n", R::BareCr),
        ("\r\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", R::BareCr),
        // What stands before
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", R::LeadingJunk),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", R::LeadingJunk),
        ("\0GET / HTTP/1.1\r\nHost: a\r\n\r\n", R::LeadingJunk),
        ("\u{16}\u{3}\u{1}", R::LeadingJunk),
        // Request line
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", R::RequestLine),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", R::RequestLine),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", R::RequestLine),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", R::RequestLine),
        ("GET /\r\nHost: a\r\n\r\n", R::RequestLine),
        ("GET\r\nHost: a\r\n\r\n", R::RequestLine),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", R::RequestLine),
        ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", R::MethodBytes),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", R::MethodBytes),
        ("GET /\t HTTP/1.1\r\nHost: a\r\n\r\n", R::Target),
        ("GET /# HTTP/1.1\r\nHost: a\r\n\r\n", R::Target),
        ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", R::Target),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", R::Target),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", R::Target),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", R::Target),
        ("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", R::Target),
        ("GET http://u@a/x HTTP/1.1\r\nHost: a\r\n\r\n", R::Target),
        ("GET http://?x HTTP/1.1\r\nHost: a\r\n\r\n", R::Target),
        ("GET http://a?@b HTTP/1.1\r\nHost: a?@b\r\n\r\n", R::HostInvalid),
        ("CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", R::Target),
        ("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", R::Target),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", R::Nul),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", R::Version),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", R::Version),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", R::Version),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", R::Version),
        ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", R::RequestLine),
        // Fields
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", R::ObsoleteFold),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", R::ObsoleteFold),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", R::ObsoleteFold),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", R::SpaceBeforeColon),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n", R::SpaceBeforeColon),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", R::FieldName),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", R::FieldName),
        ("GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n", R::FieldName),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\u{e9}: b\r\n\r\n", R::FieldName),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", R::Nul),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n", R::Nul),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{b}b\r\n\r\n", R::FieldValue),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{7f}b\r\n\r\n", R::FieldValue),
        // Host
        ("GET / HTTP/1.1\r\n\r\n", R::HostMissing),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", R::HostRepeated),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", R::HostInvalid),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", R::HostInvalid),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", R::HostInvalid),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", R::HostInvalid),
        ("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", R::HostInvalid),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", R::HostMismatch),
        ("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", R::HostMismatch),
        ("GET http://a/ HTTP/1.1\r\n\r\n", R::HostMissing),
        // Framing
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", R::LengthAndCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", R::LengthAndCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", R::ContentLengthRepeated),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", R::ContentLengthRepeated),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", R::ContentLengthRepeated),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", R::ContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", R::ContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", R::ContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 2\r\n\r\n", R::ContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", R::ContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", R::ContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n", R::ContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", R::CodingUnknown),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", R::CodingUnknown),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", R::CodingUnknown),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", R::CodingUnknown),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", R::CodingUnknown),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \u{b}chunked\r\n\r\n", R::FieldValue),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", R::CodingUnknown),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            R::CodingRepeated,
        ),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", R::CodingInHttp10),
        // Connection
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Host\r\n\r\n", R::ConnectionOptions),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\n\r\n", R::ConnectionOptions),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: transfer-encoding\r\n\r\n", R::ConnectionOptions),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: a b\r\n\r\n", R::ConnectionOptions),
    ];
    for (input, expected) in cases {
        // As the bytes of Latin-1, so that one char is one byte.
        let bytes: Vec<u8> = input.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        assert_eq!(refusal(&bytes), *expected, "{input:?}");
        assert!(matches!(expected.status(), 400..=431 | 501 | 505));
        assert!(expected.section().starts_with("RFC 91"));
    }
}

#[test]
fn statuses_tell_the_causes_apart() {
    let line = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let long_target = format!("/{}", "a".repeat(bounds::TARGET_BYTES_MAX));
    assert_eq!(refusal(line(&long_target).as_bytes()).status(), 414);
    assert_eq!(refusal(&vec![b'A'; bounds::HEAD_BYTES_MAX]).status(), 414);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(bounds::FIELDS_MAX));
    assert_eq!(refusal(many.as_bytes()), Refusal::TooManyFields);
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(bounds::HEAD_BYTES_MAX));
    assert_eq!(refusal(large.as_bytes()), Refusal::HeadTooLarge);
    assert_eq!(refusal(large.as_bytes()).status(), 431);
    let options =
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {}\r\n\r\n", "a,".repeat(bounds::CONNECTION_OPTIONS_MAX + 1));
    assert_eq!(refusal(options.as_bytes()), Refusal::ConnectionOptions);
    let method = format!("{} / HTTP/1.1\r\n", "M".repeat(bounds::METHOD_BYTES_MAX + 1));
    assert_eq!(refusal(method.as_bytes()).status(), 501);
    assert_eq!(refusal(b"GET / HTTP/3.0\r\n").status(), 505);
    assert_eq!(refusal(b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: br\r\n\r\n").status(), 501);
}

#[test]
fn a_head_that_just_fits_is_taken() {
    let fixed = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
    for (pad, fits) in [(bounds::HEAD_BYTES_MAX - fixed, true), (bounds::HEAD_BYTES_MAX - fixed + 1, false)] {
        let input = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(pad));
        assert_eq!(RequestParser::new().parse(input.as_bytes()).is_ok(), fits);
    }
}

#[test]
fn a_refusal_stands() {
    let mut parser = RequestParser::new();
    assert_eq!(parser.parse(b"GET / HTTP/1.1\nHost: a\r\n\r\n"), Err(Refusal::BareLf));
    assert_eq!(parser.parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Err(Refusal::BareLf));
    parser.reset();
    assert!(parser.parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok());
}

#[test]
fn one_empty_line_before_a_request_is_ignored() {
    let input = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(RequestParser::new().parse(input), Ok(Progress::Complete { head_bytes: input.len() }));
}

#[test]
fn a_head_is_read_as_it_was_meant() {
    let input = b"POST /a/b?c=d|e HTTP/1.1\r\nhOST:\t Example.com:80 \r\ncontent-length: 12\r\nX-Empty:\r\nX-Odd: \xff\tz\r\nExpect: 100-Continue\r\n\r\nrest";
    with_head(input, |head| {
        assert_eq!(head.method(), Method::Post);
        assert_eq!(head.version(), Version::Http11);
        assert_eq!(head.target_form(), TargetForm::Origin);
        assert_eq!(*head.path_and_query(), *b"/a/b?c=d|e");
        assert_eq!(head.path(), b"/a/b");
        assert_eq!(head.host(), Some(&b"Example.com:80"[..]));
        assert_eq!(head.framing(), Framing::Length(12));
        assert_eq!(head.fields().first("x-empty"), Some(&b""[..]));
        assert_eq!(head.fields().first("X-ODD"), Some(&b"\xff\tz"[..]));
        assert_eq!(head.fields().first_known(Name::ContentLength), Some(&b"12"[..]));
        assert!(head.expects_continue() && head.is_persistent());
        assert_eq!(head.upgrade(), None);
    });
}

#[test]
fn targets_have_four_forms() {
    with_head(b"GET HTTP://A:8080/x?y HTTP/1.1\r\nHost: a:8080\r\n\r\n", |head| {
        assert_eq!(head.target_form(), TargetForm::Absolute);
        assert_eq!(*head.path_and_query(), *b"/x?y");
    });
    with_head(b"GET http://a HTTP/1.0\r\n\r\n", |head| {
        assert_eq!((&*head.path_and_query(), head.host()), (&b"/"[..], Some(&b"a"[..])));
    });
    with_head(b"GET http://a:8080?x=/y?z HTTP/1.1\r\nHost: A:8080\r\n\r\n", |head| {
        assert_eq!((&*head.path_and_query(), head.path()), (&b"/?x=/y?z"[..], &b"/"[..]));
        assert_eq!(head.host(), Some(&b"A:8080"[..]));
    });
    with_head(b"OPTIONS http://a? HTTP/1.1\r\nHost: a\r\n\r\n", |head| {
        assert_eq!((&*head.path_and_query(), head.path()), (&b"/?"[..], &b"/"[..]));
    });
    with_head(b"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", |head| assert_eq!(*head.path_and_query(), *b"*"));
    with_head(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", |head| assert_eq!(head.target_form(), TargetForm::Asterisk));
    with_head(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", |head| {
        assert_eq!((head.target_form(), head.method()), (TargetForm::Authority, Method::Connect));
    });
}

#[test]
fn connections_persist_by_version_and_options() {
    for (input, persistent) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, ,close\r\n\r\n", false),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nConnection: close\r\n\r\n", false),
    ] {
        with_head(input.as_bytes(), |head| assert_eq!(head.is_persistent(), persistent, "{input:?}"));
    }
}

#[test]
fn hop_by_hop_fields_are_known_by_name_and_by_connection() {
    let input = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine, upgrade\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nTE: trailers\r\n\
        Upgrade: websocket\r\nHTTP2-Settings: x\r\nx-mine: 1\r\nX-Mine: 2\r\nTrailer: t\r\nX-Other: 3\r\n\r\n";
    with_head(input, |head| {
        let kept: Vec<_> =
            head.fields().into_iter().filter(|field| !field.is_hop_by_hop()).map(|field| field.name_bytes()).collect();
        assert_eq!(kept, [&b"Host"[..], b"Trailer", b"X-Other"]);
        assert_eq!(head.upgrade(), Some(&b"websocket"[..]));
    });
    with_head(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", |head| assert_eq!(head.upgrade(), None));
    with_head(b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", |head| {
        assert_eq!(head.upgrade(), None);
    });
}

#[test]
fn names_that_an_application_could_take_for_framing_are_never_passed_on() {
    for name in [
        "Content_Length",
        "content_length",
        "Transfer_Encoding",
        "TRANSFER_encoding",
        "Keep_Alive",
        "Proxy_Connection",
        "Proxy_Authenticate",
        "Proxy_Authorization",
        "HTTP2_Settings",
        "Proxy",
        "PROXY",
    ] {
        let input = format!("POST / HTTP/1.1\r\nHost: a\r\n{name}: chunked\r\nContent-Length: 1\r\nX_Mine: b\r\n\r\n");
        with_head(input.as_bytes(), |head| {
            let kept = head.fields().into_iter().filter(|field| !field.is_hop_by_hop()).map(|field| field.name_bytes());
            assert_eq!(kept.collect::<Vec<_>>(), [&b"Host"[..], b"Content-Length", b"X_Mine"], "{name}");
            assert_eq!(head.framing(), Framing::Length(1));
        });
    }
}

#[test]
fn names_that_an_application_could_take_for_forwarded_ones_are_known() {
    let input = b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1\r\nx-forwarded_proto: 2\r\nX-Forwarded-Port: 3\r\nX_REAL_IP: 4\r\n\
        X-Real-IP: 5\r\nX_Request-Id: 6\r\nX-Forwarded-For: 7\r\nX-Forward: 8\r\n\r\n";
    with_head(input, |head| {
        let names: Vec<_> = head.fields().into_iter().skip(1).map(|field| field.name()).collect();
        let like = Name::ForwardedLike;
        assert_eq!(names, [like, like, like, like, like, like, Name::XForwardedFor, Name::Other]);
    });
}
