//! What the router answers itself: small, plain and honest.

use std::io::Write as _;

use switchover_http1::{HeadWriter, Method, Refusal, Version};

use crate::causes::{OwnAnswer, OwnCause};

/// Writes it whole, head and body.
pub(super) fn write(out: &mut Vec<u8>, answer: OwnAnswer, asked_by: Method, client: Version, persistent: bool) {
    let mut length = [0; 20];
    let mut number = |value: usize| {
        let mut rest = &mut length[..];
        write!(rest, "{value}").expect("20 digits hold any length");
        let left = rest.len();
        20 - left
    };
    let body_bytes = answer.text.len() + 1;
    let digits = number(body_bytes);
    let mut writer = HeadWriter::response(out, Version::Http11, answer.status, reason(answer.status).as_bytes());
    writer.field("Content-Type", b"text/plain; charset=utf-8").field("Content-Length", &length[..digits]);
    writer.field("Cache-Control", b"no-store");
    if let Some(seconds) = answer.retry_after_seconds {
        writer.field("Retry-After", seconds.to_string().as_bytes());
    }
    match (client, persistent) {
        (Version::Http11, true) | (Version::Http10, false) => {}
        (Version::Http11, false) => {
            writer.field("Connection", b"close");
        }
        (Version::Http10, true) => {
            writer.field("Connection", b"keep-alive");
        }
    }
    writer.end();
    if asked_by != Method::Head {
        out.extend_from_slice(answer.text.as_bytes());
        out.push(b'\n');
    }
}

/// Seconds after which a client may come again when all connections are taken.
const RETRY_AFTER_SECONDS: u32 = 1;

/// What is answered to a request that is refused so.
pub(super) fn to_refusal(refusal: Refusal) -> OwnAnswer {
    plain(refusal.status(), refusal.words())
}

/// What is answered when the byte path itself comes to this cause.
pub(super) fn to_cause(cause: OwnCause) -> OwnAnswer {
    match cause {
        OwnCause::Refused => plain(400, "the request was refused"),
        OwnCause::RequestTimeout => plain(408, "the request did not come in time"),
        OwnCause::UnknownHost => OwnAnswer::UNKNOWN_HOST,
        OwnCause::PreviewForbidden => OwnAnswer::PREVIEW_FORBIDDEN,
        OwnCause::NoPreview => OwnAnswer::NO_PREVIEW,
        OwnCause::NoInstance => OwnAnswer::NO_INSTANCE,
        OwnCause::TooManyConnections => {
            let retry_after_seconds = Some(RETRY_AFTER_SECONDS);
            OwnAnswer { status: 503, text: "too many connections", retry_after_seconds }
        }
        OwnCause::OutOfSockets => {
            let retry_after_seconds = Some(RETRY_AFTER_SECONDS);
            OwnAnswer { status: 503, text: "the router has no connection left", retry_after_seconds }
        }
        OwnCause::ConnectFailed => plain(502, "no instance took the connection"),
        OwnCause::ConnectTimeout => plain(504, "no instance took the connection in time"),
        OwnCause::UpstreamClosed => plain(502, "the instance closed the connection before it answered"),
        OwnCause::UpstreamInvalid => plain(502, "the instance's answer is not valid HTTP/1.1"),
        OwnCause::AnswerBroken => plain(502, "the instance broke off its answer"),
        OwnCause::RouterPanicked => plain(500, "the router failed"),
        OwnCause::UpstreamTimeout => plain(504, "the instance did not answer in time"),
    }
}

/// What is answered to CONNECT: this is no forward proxy.
pub(super) fn to_connect() -> OwnAnswer {
    plain(501, "CONNECT is not served here")
}

fn plain(status: u16, text: &'static str) -> OwnAnswer {
    OwnAnswer { status, text, retry_after_seconds: None }
}

/// Reason phrases (RFC 9110 15) of the statuses that the router answers with; none for any other.
fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        414 => "URI Too Long",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_a_reason_phrase() {
        // One of each status that a refusal has.
        let refused =
            [Refusal::BareLf, Refusal::TargetTooLong, Refusal::HeadTooLarge, Refusal::MethodTooLong, Refusal::Version];
        let answers = OwnCause::ALL.map(to_cause).into_iter().chain(refused.map(to_refusal));
        let own = [OwnAnswer::UNKNOWN_PATH, OwnAnswer::NOT_CONFIRMED, to_connect()];
        for answer in answers.chain(own) {
            assert!(!reason(answer.status).is_empty(), "{answer:?}");
        }
    }
}
