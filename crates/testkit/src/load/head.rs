//! The head of an answer: as strict as the accounting needs, and no part of the product.

use std::sync::Arc;

/// The largest head that is read, in bytes.
pub(super) const LONGEST_HEAD: usize = 64 * 1024;

/// What the head says about the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) framing: Framing,
    /// The connection may be used again after the body.
    pub(super) keep_alive: bool,
    /// `X-Sample-Revision`.
    pub(super) revision: Option<Arc<str>>,
    /// `X-Load-Id`.
    pub(super) load_id: Option<String>,
    /// `Sec-WebSocket-Accept`.
    pub(super) websocket_accept: Option<String>,
}

/// Where the body ends (RFC 9112 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// The head at the start of `bytes`, and how long it is; `None` when it is not all there yet.
pub(super) fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, String> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > LONGEST_HEAD { Err("the head does not end".to_owned()) } else { Ok(None) };
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| "the head is not text".to_owned())?;
    let mut lines = text.split("\r\n");
    let (status, minor) = parse_status_line(lines.next().unwrap_or_default())?;
    let mut head = Head {
        status,
        framing: Framing::UntilClose,
        keep_alive: minor == b'1',
        revision: None,
        load_id: None,
        websocket_accept: None,
    };
    let (mut length, mut chunked) = (None, false);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("no field: {line:?}"))?;
        let value = value.trim_matches([' ', '\t']);
        let named = |other: &str| name.eq_ignore_ascii_case(other);
        if named("content-length") {
            let parsed: u64 = value.parse().map_err(|_| format!("Content-Length is {value:?}"))?;
            if length.replace(parsed).is_some_and(|before| before != parsed) {
                return Err("two lengths".to_owned());
            }
        } else if named("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(format!("Transfer-Encoding is {value:?}"));
            }
            chunked = true;
        } else if named("connection") {
            if value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close")) {
                head.keep_alive = false;
            }
        } else if named("x-sample-revision") {
            head.revision = (!value.is_empty()).then(|| Arc::from(value));
        } else if named("x-load-id") {
            head.load_id = Some(value.to_owned());
        } else if named("sec-websocket-accept") {
            head.websocket_accept = Some(value.to_owned());
        }
    }
    head.framing = match (length, chunked) {
        _ if status < 200 || status == 204 || status == 304 => Framing::Length(0),
        (Some(_), true) => return Err("a length and chunks".to_owned()),
        (None, true) => Framing::Chunked,
        (Some(length), false) => Framing::Length(length),
        (None, false) => {
            head.keep_alive = false;
            Framing::UntilClose
        }
    };
    Ok(Some((head, end + 4)))
}

fn parse_status_line(line: &str) -> Result<(u16, u8), String> {
    let bad = || format!("no status line: {line:?}");
    let rest = line.strip_prefix("HTTP/1.").ok_or_else(bad)?.as_bytes();
    match rest {
        [minor @ (b'0' | b'1'), b' ', a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', tail @ ..]
            if tail.is_empty() || tail[0] == b' ' =>
        {
            let digit = |byte: &u8| u16::from(byte - b'0');
            Ok((digit(a) * 100 + digit(b) * 10 + digit(c), *minor))
        }
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Head, String> {
        parse_head(text.as_bytes()).map(|parsed| parsed.expect("a whole head").0)
    }

    #[test]
    fn the_framing_follows_the_fields() {
        let framing = |fields: &str| head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).map(|head| head.framing);
        assert_eq!(framing("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(framing("transfer-encoding: Chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(framing(""), Ok(Framing::UntilClose));
        assert!(framing("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n").is_err());
        assert!(framing("Content-Length: 5\r\nContent-Length: 6\r\n").is_err());
        assert!(framing("Content-Length: five\r\n").is_err());
    }

    #[test]
    fn an_answer_without_a_body_ends_with_its_head() {
        assert_eq!(head("HTTP/1.1 204 No Content\r\n\r\n").unwrap().framing, Framing::Length(0));
        assert_eq!(head("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").unwrap().framing, Framing::Length(0));
    }

    #[test]
    fn a_connection_is_kept_unless_told_otherwise() {
        assert!(head("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap().keep_alive);
        assert!(!head("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n").unwrap().keep_alive);
        assert!(!head("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap().keep_alive);
        assert!(!head("HTTP/1.1 200 OK\r\n\r\n").unwrap().keep_alive, "it ends with the connection");
    }

    #[test]
    fn half_a_head_is_waited_for_and_nonsense_is_not() {
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Le"), Ok(None));
        assert!(parse_head(b"HTTP/2 200\r\n\r\n").is_err());
        assert!(parse_head(b"HTTP/1.1 20x OK\r\n\r\n").is_err());
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n").is_err());
        assert!(parse_head(&[b'x'; LONGEST_HEAD + 1]).is_err());
    }
}
