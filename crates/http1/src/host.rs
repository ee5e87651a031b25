//! Hosts with an optional port, as in `Host` and in absolute targets.

use std::net::Ipv6Addr;

use crate::bounds::HOST_BYTES_MAX;
use crate::grammar;

/// True for `host` or `host:port` (RFC 3986 3.2.2), where a host is a name, an IPv4 address or an IPv6 address in brackets.
/// No user information, no empty port, no percent-encoding: two readers could see different hosts in those.
pub(crate) fn is_authority(bytes: &[u8]) -> bool {
    if bytes.len() > HOST_BYTES_MAX {
        return false;
    }
    if let Some(rest) = bytes.strip_prefix(b"[") {
        let Some(close) = memchr::memchr(b']', rest) else { return false };
        let address = std::str::from_utf8(&rest[..close]).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
        let after = &rest[close + 1..];
        return address.is_some() && (after.is_empty() || after.strip_prefix(b":").is_some_and(is_port));
    }
    match memchr::memchr(b':', bytes) {
        Some(colon) => grammar::is_host_name(&bytes[..colon]) && is_port(&bytes[colon + 1..]),
        None => grammar::is_host_name(bytes),
    }
}

fn is_port(digits: &[u8]) -> bool {
    if digits.is_empty() || digits.len() > 5 {
        return false;
    }
    let mut port = 0_u32;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return false;
        }
        port = port * 10 + u32::from(digit - b'0');
    }
    port <= u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::is_authority;

    #[test]
    fn hosts_are_names_or_addresses_with_an_optional_port() {
        for good in
            ["a", "example.com", "example.com:80", "a_b.c", "127.0.0.1:8080", "[::1]", "[::1]:65535", "xn--e1afmkfd.x"]
        {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        let long = "a".repeat(300);
        for bad in [
            "", ":80", "a:", "a:b", "a:65536", "a:123456", "a:-1", "user@a", "a b", "a/b", "a?b", "a%2e", "[::1",
            "[::1]x", "[::1]:", "[1]", "a:80:80", "a,b", "a\0", "\u{e9}", &long,
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }
}
