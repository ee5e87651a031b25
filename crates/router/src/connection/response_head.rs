//! The response head as the client gets it.

use switchover_http1::{Framing, HeadWriter, Name, ResponseHead, Version};

use super::flow::Coding;
use crate::split::NewClient;

/// How the answer's body is written, and whether the client can see its end without the connection's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BodyOut {
    pub(super) coding: Coding,
    pub(super) ends_with_connection: bool,
}

/// RFC 9112 6.3 and 7: lengths stay, everything else goes in chunks, or up to the end of the connection for HTTP/1.0.
pub(super) fn body_out(framing: Framing, client: Version) -> BodyOut {
    let (coding, ends_with_connection) = match (framing, client) {
        (Framing::Empty | Framing::Length(_), _) => (Coding::Plain, false),
        (Framing::Chunked | Framing::UntilClose, Version::Http11) => (Coding::Chunked, false),
        (Framing::Chunked | Framing::UntilClose, Version::Http10) | (Framing::Tunnel, _) => (Coding::Plain, true),
    };
    BodyOut { coding, ends_with_connection }
}

/// Writes the head that is passed on, with what it says about this connection and what a new client is called.
pub(super) fn write(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_>,
    client: Version,
    body: BodyOut,
    persistent: bool,
    new_client: Option<NewClient>,
) {
    let mut writer = begin(out, head);
    introduce(&mut writer, head, new_client);
    if body.coding == Coding::Chunked {
        writer.field("Transfer-Encoding", b"chunked");
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
}

/// Writes a 1xx head.
pub(super) fn write_informational(out: &mut Vec<u8>, head: &ResponseHead<'_>) {
    begin(out, head).end();
}

/// Writes the 101 that turns the connection into a tunnel.
pub(super) fn write_switching(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_>,
    protocol: &[u8],
    new_client: Option<NewClient>,
) {
    let mut writer = begin(out, head);
    introduce(&mut writer, head, new_client);
    writer.field("Connection", b"upgrade").field("Upgrade", protocol);
    writer.end();
}

/// Gives a new client its id, unless the answer is meant for caches that many share: they would give it to all.
fn introduce(writer: &mut HeadWriter<'_>, head: &ResponseHead<'_>, new_client: Option<NewClient>) {
    if let Some(new) = new_client.filter(|_| !is_for_shared_caches(head)) {
        writer.field_of("Set-Cookie", &new.set_cookie());
    }
}

/// Whether `Cache-Control` says so (RFC 9111 5.2.2.9 and 5.2.2.10).
fn is_for_shared_caches(head: &ResponseHead<'_>) -> bool {
    let is_cache_control = |name: &[u8]| name.eq_ignore_ascii_case(b"cache-control");
    let fields = head.fields().into_iter().filter(|field| is_cache_control(field.name_bytes()));
    fields.flat_map(|field| field.value().split(|byte| *byte == b',')).any(|directive| {
        let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"public") || name.eq_ignore_ascii_case(b"s-maxage")
    })
}

fn begin<'o>(out: &'o mut Vec<u8>, head: &ResponseHead<'_>) -> HeadWriter<'o> {
    // RFC 9110 8.6: no Content-Length in 1xx and 204.
    let has_length = head.status() >= 200 && head.status() != 204;
    let mut writer = HeadWriter::response(out, Version::Http11, head.status(), head.reason());
    writer.kept(head.fields(), |field| field.name() != Name::ContentLength || has_length);
    writer
}
