//! Who may see the preview of an unverified revision.

use std::net::SocketAddr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use switchover_http1::{Field, Name, RequestHead};

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
            .filter(|field| field.name() == Name::Cookie)
            .flat_map(|field| field.value().split(|byte| *byte == b';'))
            .filter_map(|pair| pair.trim_ascii().strip_prefix(TOKEN_COOKIE))
            .any(|token| self.is_token(token))
    }

    /// What of this field the unverified app may see: nothing that admits to its preview, as its logs are anybody's.
    ///
    /// Our own field and cookie are held back by name, `Authorization` where it carries the token: others are the app's.
    pub(crate) fn passes(&self, field: &Field<'_>) -> Passes {
        if field.name_bytes().eq_ignore_ascii_case(TOKEN_FIELD.as_bytes()) {
            return Passes::Nothing;
        }
        if field.name_bytes().eq_ignore_ascii_case(b"authorization") {
            let is_ours = bearer_token(field.value()).is_some_and(|token| self.is_token(token));
            return if is_ours { Passes::Nothing } else { Passes::Whole };
        }
        if field.name() == Name::Cookie {
            return without_token(field.value());
        }
        Passes::Whole
    }

    /// Compares in a time that does not depend on where the first difference is.
    fn is_token(&self, token: &[u8]) -> bool {
        token.len() <= TOKEN_BYTES_MAX && bool::from(Sha256::digest(token).as_slice().ct_eq(&self.digest))
    }
}

/// What of a field is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Passes {
    /// All of it, as it came.
    Whole,
    /// Nothing.
    Nothing,
    /// Of a `Cookie` field these pairs.
    Cookies(Vec<u8>),
}

/// A `Cookie` field's pairs (RFC 6265 4.2.1) but for ours.
fn without_token(value: &[u8]) -> Passes {
    let pairs = || value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    if !pairs().any(|pair| pair.starts_with(TOKEN_COOKIE)) {
        return Passes::Whole;
    }
    let rest: Vec<_> = pairs().filter(|pair| !pair.is_empty() && !pair.starts_with(TOKEN_COOKIE)).collect();
    if rest.is_empty() { Passes::Nothing } else { Passes::Cookies(rest.join(&b"; "[..])) }
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

    fn asked<T>(fields: &str, networks: &[&str], what: impl Fn(&Admission, &RequestHead<'_>) -> T) -> T {
        let text = format!("GET / HTTP/1.1\r\nHost: p\r\n{fields}\r\n");
        let mut parser = RequestParser::new();
        assert!(matches!(parser.parse(text.as_bytes()), Ok(Progress::Complete { .. })));
        let admission = Admission {
            digest: Sha256::digest(b"open-sesame").into(),
            networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
        };
        what(&admission, &parser.head(text.as_bytes()))
    }

    fn admits(fields: &str, networks: &[&str]) -> bool {
        asked(fields, networks, |admission, head| admission.admits("192.0.2.9:1".parse().unwrap(), head))
    }

    /// What of the last field passes.
    fn passes(field: &str) -> Passes {
        asked(field, &[], |admission, head| admission.passes(&head.fields().iter().last().unwrap()))
    }

    #[test]
    fn the_token_admits_in_each_of_its_three_places() {
        assert!(admits("X-Switchover-Preview: open-sesame\r\n", &[]));
        assert!(admits("Authorization: bearer open-sesame\r\n", &[]));
        assert!(admits("Cookie: a=b; switchover-preview=open-sesame\r\n", &[]));
        assert!(admits("", &["192.0.2.0/24"]));
    }

    #[test]
    fn what_admits_is_held_back_and_nothing_else() {
        assert_eq!(passes("X-SWITCHOVER-preview: open-sesame\r\n"), Passes::Nothing);
        assert_eq!(passes("Authorization: Bearer open-sesame\r\n"), Passes::Nothing);
        assert_eq!(passes("Authorization: Bearer of-the-app\r\n"), Passes::Whole);
        assert_eq!(passes("Cookie: switchover-preview=open-sesame\r\n"), Passes::Nothing);
        assert_eq!(
            passes("Cookie: a=b;switchover-preview=open-sesame; c=d=e; xswitchover-preview=f\r\n"),
            Passes::Cookies(b"a=b; c=d=e; xswitchover-preview=f".to_vec())
        );
        assert_eq!(passes("Cookie: a=b;; c\r\n"), Passes::Whole);
        assert_eq!(passes("X-Other: open-sesame\r\n"), Passes::Whole);
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
