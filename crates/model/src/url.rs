//! Where something is asked for over HTTP: an `http` or `https` URL, read so that no two readers can understand it differently.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::Host;

/// Characters that a path or a query holds as they are, besides letters and digits (RFC 3986 3.3 and 3.4); others are
/// written as `%XX`.
const PLAIN: &[u8] = b"-._~!$&'()*+,;=:@/?";

/// An `http` or `https` URL.
///
/// Stricter than RFC 3986: the scheme and the host are in lower case, an address is written in its one usual form, there
/// is no fragment. Shown without the user and password and without the query's text, because both may be secrets;
/// serialized whole.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    secure: bool,
    user_info: Option<String>,
    name: String,
    port: Option<u16>,
    target: String,
}

/// Why a text is not a [`Url`]. The text itself is not in it: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither `http://` nor `https://`.
    #[error("a URL begins with \"http://\" or \"https://\", in lower case")]
    Scheme,
    /// Longer than [`Url::LONGEST`].
    #[error("a URL has at most {} bytes", Url::LONGEST)]
    TooLong,
    /// The user and password hold something that cannot stand there.
    #[error("the user and password before the \"@\" hold a character that is written as %XX")]
    UserInfo,
    /// No host, or none that is a name in lower case or an address.
    #[error("its host is no name in lower case and no address; an IPv6 address stands in brackets")]
    Host,
    /// Not 1 to 65535 in plain digits.
    #[error("its port is no number from 1 to 65535")]
    Port,
    /// A `#` and what comes after it never leave the client.
    #[error("it has a part after \"#\", which is never sent: leave it out")]
    Fragment,
    /// The path or query holds something that cannot stand there.
    #[error("its path or query holds a character that is written as %XX")]
    Target,
}

impl Url {
    /// The longest URL, in bytes: what common servers take in a request line (RFC 9110 4.1 asks for 8000 octets at least).
    pub const LONGEST: usize = 8000;

    /// Whether it is `https`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The user and password, still percent-encoded: a secret.
    #[must_use]
    pub fn user_info(&self) -> Option<&str> {
        self.user_info.as_deref()
    }

    /// The name or address, an IPv6 one without brackets.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port that is connected to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.secure { 443 } else { 80 })
    }

    /// What stands in the `Host` field (RFC 9110 7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.name),
            None => self.name.clone(),
        }
    }

    /// Path and query as a request asks for them; begins with `/`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The whole of it, with everything that may be secret.
    #[must_use]
    pub fn whole(&self) -> String {
        let user = self.user_info.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        format!("{}{user}{}{}", self.scheme(), self.authority(), self.target)
    }

    fn scheme(&self) -> &'static str {
        if self.secure { "https://" } else { "http://" }
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.len() > Self::LONGEST {
            return Err(UrlError::TooLong);
        }
        let (secure, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err(UrlError::Scheme),
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user_info, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, authority),
        };
        if user_info.as_ref().is_some_and(|user| user.is_empty() || !is_plain(user) || user.contains('@')) {
            return Err(UrlError::UserInfo);
        }
        let (name, port) = host_and_port(place)?;
        if !is_plain(target) {
            return Err(UrlError::Target);
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { secure, user_info, name: name.to_owned(), port, target })
    }
}

/// The host as it is written, an IPv6 address in its brackets, and the port if one is.
fn host_and_port(place: &str) -> Result<(&str, Option<u16>), UrlError> {
    let end = if place.starts_with('[') { place.find(']').map(|at| at + 1) } else { place.find(':') };
    let (name, after) = place.split_at(end.unwrap_or(place.len()));
    if !is_name(name) {
        return Err(UrlError::Host);
    }
    match after.strip_prefix(':') {
        None if after.is_empty() => Ok((name, None)),
        Some(digits) if !digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            digits.parse().map(|port| (name, Some(port))).map_err(|_| UrlError::Port)
        }
        None | Some(_) => Err(UrlError::Port),
    }
}

/// A name, or an address in the one form in which it is usually written: `127.1` and `0x7f.0.0.1` mean something to some
/// readers alone.
fn is_name(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    // A last label that begins with a digit makes it an address (URL Standard, "ends in a number").
    let is_address = text.rsplit('.').next().is_some_and(|last| last.starts_with(|first: char| first.is_ascii_digit()));
    if is_address { text.parse::<Ipv4Addr>().is_ok() } else { text.parse::<Host>().is_ok() }
}

/// Every byte may stand in a path or query, and a `%` is followed by two hexadecimal digits.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        byte => byte.is_ascii_alphanumeric() || PLAIN.contains(byte),
    })
}

/// A URL, or the end of one, as it may be seen: without the query's text, which may be a secret.
#[must_use]
pub fn without_query(text: &str) -> String {
    text.split_once('?').map_or_else(|| text.to_owned(), |(place, _)| format!("{place}?…"))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.scheme(), self.authority(), without_query(&self.target))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl Serialize for Url {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.whole())
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (text, secure, name, port, authority, target) in [
            ("http://localhost", false, "localhost", 80, "localhost", "/"),
            ("https://a.example:8443/b/c?d=%20e", true, "a.example", 8443, "a.example:8443", "/b/c?d=%20e"),
            ("http://127.0.0.1:9090?x", false, "127.0.0.1", 9090, "127.0.0.1:9090", "/?x"),
            ("https://[::1]/", true, "::1", 443, "[::1]", "/"),
            ("http://[fe80::1]:81/", false, "fe80::1", 81, "[fe80::1]:81", "/"),
        ] {
            let url: Url = text.parse().unwrap();
            let parts = (url.is_secure(), url.name(), url.port(), url.authority(), url.target());
            assert_eq!(parts, (secure, name, port, authority.to_owned(), target), "{text}");
            let whole = url.whole();
            assert_eq!(whole.parse::<Url>().unwrap(), url, "{whole}");
        }
    }

    #[test]
    fn what_two_readers_could_understand_differently_is_refused() {
        for (text, why) in [
            ("", UrlError::Scheme),
            ("ftp://a.example/", UrlError::Scheme),
            ("HTTP://a.example/", UrlError::Scheme),
            ("http:/a.example/", UrlError::Scheme),
            (" http://a.example/", UrlError::Scheme),
            ("http://", UrlError::Host),
            ("http:///path", UrlError::Host),
            ("http://A.example/", UrlError::Host),
            ("http://a..example/", UrlError::Host),
            ("http://127.1/", UrlError::Host),
            ("http://0x7f.0.0.1/", UrlError::Host),
            ("http://2130706433/", UrlError::Host),
            ("http://127.0.0.0x1/", UrlError::Host),
            ("http://::1/", UrlError::Host),
            ("http://[::1/", UrlError::Host),
            ("http://[v1.a]/", UrlError::Host),
            ("http://a.example\\@b.example/", UrlError::UserInfo),
            ("http://@a.example/", UrlError::UserInfo),
            ("http://a@b@c.example/", UrlError::UserInfo),
            ("http://a.example:/", UrlError::Port),
            ("http://a.example:0/", UrlError::Port),
            ("http://a.example:080/", UrlError::Port),
            ("http://a.example:+80/", UrlError::Port),
            ("http://a.example:65536/", UrlError::Port),
            ("http://[::1]80/", UrlError::Port),
            ("http://a.example/#b", UrlError::Fragment),
            ("http://a.example/a b", UrlError::Target),
            ("http://a.example/\r\nHost: b", UrlError::Target),
            ("http://a.example/%2", UrlError::Target),
            ("http://a.example/{b}", UrlError::Target),
            ("http://a.example/é", UrlError::Target),
        ] {
            assert_eq!(text.parse::<Url>(), Err(why), "{text}");
        }
        let long = format!("http://a.example/{}", "a".repeat(Url::LONGEST));
        assert_eq!(long.parse::<Url>(), Err(UrlError::TooLong));
    }

    #[test]
    fn what_may_be_secret_is_not_shown_and_not_lost() {
        let text = "https://user:pass%40word@a.example/hooks?key=abc";
        let url: Url = text.parse().unwrap();
        assert_eq!(url.to_string(), "https://a.example/hooks?…");
        assert_eq!(format!("{url:?}"), "Url(https://a.example/hooks?…)");
        assert_eq!(url.user_info(), Some("user:pass%40word"));
        assert_eq!(serde_json::to_string(&url).unwrap(), format!("\"{text}\""));
        let error = "https://user:pass word@a.example/".parse::<Url>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("pass word"));
    }
}
