//! Who may see the preview of an unverified revision.

use std::net::SocketAddr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use switchover_http1::RequestHead;

use crate::networks::Network;

/// The field that carries the preview token.
pub(crate) const TOKEN_FIELD: &str = "x-switchover-preview";
/// The cookie that carries it, for browsers.
const TOKEN_COOKIE: &[u8] = b"switchover-preview=";
/// Longest token that is looked at (bytes).
const TOKEN_BYTES_MAX: usize = 256;

/// What admits to a preview.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    /// SHA-256 of the token.
    pub(crate) digest: [u8; 32],
    /// Networks that need none.
    pub(crate) networks: Vec<Network>,
}

impl Admission {
    /// Whether this request may see the preview.
    pub(crate) fn admits(&self, peer: SocketAddr, head: &RequestHead<'_>) -> bool {
        if self.networks.iter().any(|network| network.contains(peer.ip())) {
            return true;
        }
        let fields = head.fields();
        if fields.first(TOKEN_FIELD).is_some_and(|token| self.is_token(token)) {
            return true;
        }
        let bearer = fields.first("authorization").and_then(bearer_token);
        if bearer.is_some_and(|token| self.is_token(token)) {
            return true;
        }
        fields
            .iter()
            .filter(|field| field.name() == switchover_http1::Name::Cookie)
            .flat_map(|field| field.value().split(|byte| *byte == b';'))
            .filter_map(|pair| pair.trim_ascii().strip_prefix(TOKEN_COOKIE))
            .any(|token| self.is_token(token))
    }

    /// Compares in a time that does not depend on where the first difference is.
    fn is_token(&self, token: &[u8]) -> bool {
        token.len() <= TOKEN_BYTES_MAX && bool::from(Sha256::digest(token).as_slice().ct_eq(&self.digest))
    }
}

/// The token of `Bearer TOKEN` (RFC 6750 2.1).
fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Reads the 64 hexadecimal digits of a SHA-256.
pub(crate) fn digest_from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use switchover_http1::{Progress, RequestParser};

    use super::*;

    fn admits(fields: &str, networks: &[&str]) -> bool {
        let text = format!("GET / HTTP/1.1\r\nHost: p\r\n{fields}\r\n");
        let mut parser = RequestParser::new();
        assert!(matches!(parser.parse(text.as_bytes()), Ok(Progress::Complete { .. })));
        let admission = Admission {
            digest: Sha256::digest(b"open-sesame").into(),
            networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
        };
        admission.admits("192.0.2.9:1".parse().unwrap(), &parser.head(text.as_bytes()))
    }

    #[test]
    fn the_token_admits_in_each_of_its_three_places() {
        assert!(admits("X-Switchover-Preview: open-sesame\r\n", &[]));
        assert!(admits("Authorization: bearer open-sesame\r\n", &[]));
        assert!(admits("Cookie: a=b; switchover-preview=open-sesame\r\n", &[]));
        assert!(admits("", &["192.0.2.0/24"]));
    }

    #[test]
    fn nothing_else_admits() {
        for fields in [
            "",
            "X-Switchover-Preview: open-sesam\r\n",
            "X-Switchover-Preview: \r\n",
            "Authorization: Basic open-sesame\r\n",
            "Cookie: xswitchover-preview=open-sesame\r\n",
        ] {
            assert!(!admits(fields, &["192.0.3.0/24"]), "{fields}");
        }
    }

    #[test]
    fn a_digest_has_64_hexadecimal_digits() {
        assert_eq!(digest_from_hex(&"0f".repeat(32)), Some([15; 32]));
        assert!(digest_from_hex(&"0g".repeat(32)).is_none() && digest_from_hex("00").is_none());
    }
}
