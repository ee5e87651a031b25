//! The request head as an instance gets it.

use switchover_http1::{Field, Fields, Framing, HeadWriter, Name, RequestHead, Version};

use super::request_id::{self, RequestId};
use crate::preview::Passes;

/// What is known of the sender apart from the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    /// The peer's address without port, as text.
    pub(super) address: &'a str,
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// What it says about who it speaks for is believed: a load balancer before us.
    pub(super) is_trusted: bool,
}

/// Writes the head that is passed on: the client's fields without those that speak of its connection alone (RFC 9110
/// 7.6.1) and what `passes` holds back, plus who it is and a request id. `Forwarded` and its like are taken over from
/// trusted senders alone.
pub(super) fn write(
    out: &mut Vec<u8>,
    head: &RequestHead<'_>,
    sender: Sender<'_>,
    upgrade: Option<&[u8]>,
    passes: impl Fn(&Field<'_>) -> Passes,
    make_id: impl FnOnce() -> RequestId,
) {
    let fields = head.fields();
    let trusted = |name: Name| if sender.is_trusted { fields.first_known(name) } else { None };
    let mut cookies = Vec::new();
    let mut writer = HeadWriter::request(out, head.method_bytes(), &head.path_and_query());
    writer.kept(fields, |field| match field.name() {
        Name::XForwardedFor | Name::XForwardedProto | Name::XForwardedHost | Name::XRequestId => false,
        Name::Forwarded | Name::ForwardedLike => sender.is_trusted,
        // RFC 9110 10.1.1: an HTTP/1.0 client can not mean it.
        Name::Expect => head.version() == Version::Http11,
        Name::Host
        | Name::ContentLength
        | Name::TransferEncoding
        | Name::Connection
        | Name::KeepAlive
        | Name::ProxyConnection
        | Name::ProxyAuthenticate
        | Name::ProxyAuthorization
        | Name::Te
        | Name::Trailer
        | Name::Upgrade
        | Name::Http2Settings
        | Name::Disguised
        | Name::Cookie
        | Name::Other => match passes(field) {
            Passes::Whole => true,
            Passes::Nothing => false,
            Passes::Cookies(rest) => {
                cookies.push(rest);
                false
            }
        },
    });
    for rest in cookies {
        writer.field("Cookie", &rest);
    }
    if fields.first_known(Name::Host).is_none() {
        // HTTP/1.0 alone; a 1.1 request needs one (RFC 9112 3.2).
        writer.field("Host", head.host().unwrap_or(b"localhost"));
    }
    if head.framing() == Framing::Chunked {
        writer.field("Transfer-Encoding", b"chunked");
    }
    if let Some(protocol) = upgrade {
        writer.field("Connection", b"upgrade").field("Upgrade", protocol);
    }
    writer.field_of("X-Forwarded-For", &[&forwarded_before(fields, sender), sender.address.as_bytes()]);
    writer.field("X-Forwarded-Proto", trusted(Name::XForwardedProto).unwrap_or(sender.scheme.as_bytes()));
    if let Some(host) = trusted(Name::XForwardedHost).or(head.host()) {
        writer.field("X-Forwarded-Host", host);
    }
    match trusted(Name::XRequestId).filter(|id| request_id::is_acceptable(id)) {
        Some(id) => writer.field("X-Request-Id", id),
        None => writer.field("X-Request-Id", &make_id()),
    };
    writer.end();
}

/// What a trusted sender says of who it speaks for, in front of its own address; nothing from another.
fn forwarded_before(fields: Fields<'_>, sender: Sender<'_>) -> Vec<u8> {
    let mut value = Vec::new();
    let said = fields.into_iter().filter(|field| sender.is_trusted && field.name() == Name::XForwardedFor);
    for field in said {
        value.extend_from_slice(field.value());
        value.extend_from_slice(b", ");
    }
    value
}

/// The protocol to ask the instance for. `h2c` and its like would turn the connection into one whose requests nobody
/// here looks at; they are left out, which a server may do (RFC 9110 7.8).
pub(super) fn upgrade_passed_on<'a>(head: &RequestHead<'a>) -> Option<&'a [u8]> {
    let begins =
        |value: &[u8], with: &[u8]| value.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
    head.upgrade().filter(|value| {
        !value.is_empty()
            && !value.contains(&b',')
            && !begins(value, b"h2")
            && !begins(value, b"http/")
            && !begins(value, b"tls/")
    })
}

#[cfg(test)]
mod tests {
    use switchover_http1::{Progress, RequestParser};

    use super::*;

    fn passed_on(request: &str, is_trusted: bool) -> String {
        let mut parser = RequestParser::new();
        assert!(matches!(parser.parse(request.as_bytes()), Ok(Progress::Complete { .. })));
        let mut out = Vec::new();
        let sender = Sender { address: "192.0.2.1", scheme: "http", is_trusted };
        let passes = |field: &Field<'_>| match field.name_bytes() {
            b"X-Token" => Passes::Nothing,
            b"Cookie" => Passes::Cookies(b"rest=1".to_vec()),
            _ => Passes::Whole,
        };
        write(&mut out, &parser.head(request.as_bytes()), sender, None, passes, || [b'0'; 32]);
        String::from_utf8(out).unwrap()
    }

    const FORWARDED: &str = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8, 7.7.7.7\r\n\
        X-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nX-Request-Id: mine-1\r\nForwarded: for=9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\n\r\n";

    #[test]
    fn a_trusted_sender_is_believed_and_named() {
        assert_eq!(
            passed_on(FORWARDED, true),
            "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\n\
             X-Forwarded-For: 9.9.9.9, 8.8.8.8, 7.7.7.7, 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n\
             X-Request-Id: mine-1\r\n\r\n"
        );
    }

    #[test]
    fn anybody_else_is_not() {
        let zeros = "0".repeat(32);
        assert_eq!(
            passed_on(FORWARDED, false),
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\
                 X-Request-Id: {zeros}\r\n\r\n"
            )
        );
    }

    #[test]
    fn what_is_kept_back_does_not_pass() {
        let asked = passed_on("GET / HTTP/1.1\r\nHost: a\r\nX-Token: b\r\nCookie: all=2\r\nX-Other: c\r\n\r\n", false);
        assert!(!asked.contains("X-Token") && asked.contains("X-Other: c\r\n"), "{asked}");
        assert!(!asked.contains("all=2") && asked.contains("\r\nCookie: rest=1\r\n"), "{asked}");
    }

    #[test]
    fn an_odd_request_id_is_replaced_even_from_a_trusted_sender() {
        let asked = passed_on("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: \"><script>\r\n\r\n", true);
        assert!(asked.contains(&format!("X-Request-Id: {}\r\n", "0".repeat(32))), "{asked}");
    }
}
