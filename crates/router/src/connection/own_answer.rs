//! What the router answers itself: small, plain and honest.

use std::io::Write as _;

use switchover_http1::{HeadWriter, Method, Version};

/// An answer of the router's own, ready to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub(super) status: u16,
    /// One line that says what happened.
    pub(super) text: &'static str,
    pub(super) retry_after_seconds: Option<u32>,
}

/// Writes it whole, head and body.
pub(super) fn write(out: &mut Vec<u8>, words: Words, asked_by: Method, client: Version, persistent: bool) {
    let mut length = [0; 20];
    let mut number = |value: usize| {
        let mut rest = &mut length[..];
        write!(rest, "{value}").expect("20 digits hold any length");
        let left = rest.len();
        20 - left
    };
    let body_bytes = words.text.len() + 1;
    let digits = number(body_bytes);
    let mut writer = HeadWriter::response(out, Version::Http11, words.status, reason(words.status).as_bytes());
    writer.field("Content-Type", b"text/plain; charset=utf-8").field("Content-Length", &length[..digits]);
    writer.field("Cache-Control", b"no-store");
    if let Some(seconds) = words.retry_after_seconds {
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
        out.extend_from_slice(words.text.as_bytes());
        out.push(b'\n');
    }
}

/// Reason phrases (RFC 9110 15) of the statuses that the router answers with.
fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        414 => "URI Too Long",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
